//! The windows of a run, and what is compared after them.

use crate::bound::{self, HONEST};
use crate::dice::Dice;
use crate::heap;
use crate::honest::{Counts, Service};
use crate::villain::{Deeds, Villain};
use flue_core::{PostOffice, Stats};
use std::hint::black_box;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_millis(200);
/// After a change, before turns are counted.
const SETTLE: Duration = Duration::from_millis(20);

const COMPUTE: u8 = 0;
const HOSTILE: u8 = 1;
const OVER: u8 = 2;

/// The other thread: the hostile process, or one that only computes in its place.
fn other(villain: &mut Villain, mode: &AtomicU8) -> u64 {
    let mut work = 1_u64;
    loop {
        match mode.load(SeqCst) {
            HOSTILE => villain.act(),
            COMPUTE => {
                for _ in 0..10_000 {
                    work = black_box(work.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(9));
                }
            }
            _ => return work,
        }
    }
}

/// Turns of all services in order for so long; how many in a second.
fn turns(services: &mut [Service], counts: &mut Counts, time: Duration) -> f64 {
    let (started, before) = (Instant::now(), counts.turns);
    while started.elapsed() < time {
        services.iter_mut().for_each(|service| service.turn(counts));
    }
    (counts.turns - before) as f64 / started.elapsed().as_secs_f64()
}

fn check(stats: &Stats) {
    let limits = bound::office();
    assert!(stats.groups <= limits.groups as usize, "{stats:?}");
    assert!(stats.tables <= limits.tables as usize, "{stats:?}");
    assert!(stats.buffers <= limits.messages as usize, "{stats:?}");
    assert!(stats.blocks <= limits.messages as usize, "{stats:?}");
    assert!(stats.links <= (limits.links_per_group * limits.groups) as usize, "{stats:?}");
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// A run of so many seconds.
pub fn run(seconds: f64, guide: &str) {
    let seed: u64 = std::env::var("FLUE_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    println!("hostile: seed {seed}, {HONEST} honest processes");
    let promised = bound::bytes(guide);
    let before = heap::live();
    let office = PostOffice::with_limits(bound::office());
    let mut villain = Villain::new(&office, Dice::new(seed, 0));
    let mut services: Vec<Service> =
        (0..HONEST).map(|number| Service::new(number, &office, &villain.inbox)).collect();
    Service::introduce(&mut services);
    villain.stolen = services.iter().flat_map(|service| service.table.handles()).collect();

    let mode = AtomicU8::new(COMPUTE);
    let pairs = (seconds / (2.0 * (WINDOW + SETTLE).as_secs_f64())).ceil().max(3.0) as usize;
    let mut counts = Counts::default();
    let mut figures = Vec::new();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| other(&mut villain, &mode));
        for _ in 0..pairs {
            let mut window = |what: u8| {
                mode.store(what, SeqCst);
                turns(&mut services, &mut counts, SETTLE);
                let figure = turns(&mut services, &mut counts, WINDOW);
                check(&office.stats());
                assert!(!thread.is_finished(), "the hostile process has panicked");
                figure
            };
            let alone = window(COMPUTE);
            figures.push((alone, window(HOSTILE)));
        }
        mode.store(OVER, SeqCst);
        black_box(thread.join().expect("no panic"));
    });
    let most = heap::peak() - before;

    let deeds = villain.deeds;
    drop(villain);
    services.iter_mut().for_each(Service::part);
    services.iter_mut().for_each(|service| service.receive(&mut counts));
    assert_eq!(counts.sent, counts.received, "each honest message once");
    assert_eq!(counts.sandboxes, counts.downs, "one down for each sandbox");
    assert!(services.iter().all(|service| !service.group.is_dead()));
    drop(services);
    assert_eq!(office.stats(), Stats::default(), "something is left");
    report(&counts, &deeds, figures, most, promised);
}

fn report(counts: &Counts, deeds: &Deeds, figures: Vec<(f64, f64)>, most: usize, promised: usize) {
    println!("hostile: {counts:?}");
    println!("hostile: {deeds:?}");
    let ratio = median(figures.iter().map(|(alone, beside)| beside / alone).collect());
    let (alone, beside): (Vec<f64>, Vec<f64>) = figures.into_iter().unzip();
    println!(
        "hostile: honest turns a second, medians of {} windows each: {:.0} beside one that computes, \
         {:.0} beside the hostile one; ratio of neighbours {ratio:.2}",
        alone.len(),
        median(alone),
        median(beside),
    );
    let resident = heap::resident().unwrap_or_default();
    println!(
        "hostile: at most {most} bytes live, {promised} by the limits; {resident} resident at the end"
    );
    assert!(most <= promised, "more memory than the limits promise");
    let done =
        [deeds.kills, deeds.full, deeds.forged, deeds.tables_full, deeds.waits, counts.downs];
    assert!(!done.contains(&0), "something was never done");
    // Half is what is promised; a machine with other work may take some of it.
    assert!(ratio >= 0.4, "the honest ones are held up");
}
