//! Rounds, and what is compared after each.

use crate::dice::Dice;
use crate::heap;
use crate::residents::Residents;
use crate::totals::Totals;
use crate::worker::Worker;
use flue_core::{PostOffice, RouteGroup};
use std::time::Instant;

/// Steps of each thread in a round: about 2,000,000 messages of both.
const STEPS: u64 = 1000;
/// Rounds after which memory must be flat.
const WARM: u64 = 3;
/// Calls of `reclaim` after a round: the collector frees what was retired some
/// epochs later, and a part of it in each call.
const RECLAIMS: usize = 64;
/// Rounds between two lines.
const PERIOD: u64 = 10;

/// Two threads, until both have done their steps and nothing of them is left.
fn round(office: &PostOffice, seed: u64) -> Totals {
    let shared: Vec<RouteGroup> = (0..4).map(|_| office.create_group().expect("a group")).collect();
    let mut one = Worker::new(office, Dice::new(seed, 0));
    let mut two = Worker::new(office, Dice::new(seed, 1));
    Worker::introduce(&mut one, &mut two);
    // The highest peak that the threads can come to: what stays of it is the same in each round.
    one.fill();
    two.fill();
    one.receive();
    two.receive();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| two.work(STEPS, &shared));
        one.work(STEPS, &shared);
        other.join().expect("no panic");
    });
    for (at, group) in shared.iter().enumerate() {
        // What one thread linked last the other may have found linked, and left so.
        group.unlink(&shared[(at + 1) % shared.len()]).expect("the same office");
        assert!(!group.is_dead());
    }
    let mut totals = one.finish();
    totals += two.finish();
    totals
}

/// Rounds for so many seconds, or until so many messages were sent.
pub fn run(seconds: f64, sends: u64) {
    let first_seed: u64 =
        std::env::var("FLUE_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let office = PostOffice::new();
    let residents = Residents::new(&office);
    let baseline = office.stats();
    let started = Instant::now();
    let mut all = Totals::default();
    let (mut warm, mut least, mut most) = (0, 0, 0);
    let mut rounds = 0;
    while rounds <= WARM || (all.sent < sends && started.elapsed().as_secs_f64() < seconds) {
        let totals = round(&office, first_seed + rounds);
        totals.check();
        assert_eq!(office.stats(), baseline, "something is left");
        (0..RECLAIMS).for_each(|_| office.reclaim());
        let live = heap::live();
        all += totals;
        rounds += 1;
        if rounds <= WARM {
            (warm, least, most) = (live, live, live);
        }
        (least, most) = (least.min(live), most.max(live));
        if rounds <= WARM || rounds % PERIOD == 0 {
            print(&format!("seed {}", first_seed + rounds - 1), &all, started, live);
        }
    }
    residents.check();
    let seeds = format!("soak: {rounds} rounds, seeds {first_seed} to {}", first_seed + rounds - 1);
    print(&seeds, &all, started, heap::live());
    let percent = |live: usize| live.abs_diff(warm) as f64 * 100.0 / warm as f64;
    println!(
        "soak: live bytes after each round {least} to {most}, {warm} after {WARM}: {:.2} % at most",
        percent(least).max(percent(most))
    );
    assert!(percent(least) <= 1.0 && percent(most) <= 1.0, "memory is not flat");
}

fn print(label: &str, all: &Totals, started: Instant, live: usize) {
    let resident = heap::resident().map_or("unknown".to_owned(), |bytes| format!("{bytes}"));
    println!(
        "{label}: {:.0} s, sends {}, slots reused {}, links made and unmade {}, kills {}, downs {}, waits {}; \
         live {live} bytes, peak {}, resident {resident}",
        started.elapsed().as_secs_f64(),
        all.sent,
        all.made,
        all.link_pairs,
        all.kills,
        all.downs,
        all.waits,
        heap::peak(),
    );
}
