//! Runs what was asked for.

use crate::scenarios::{self, Run, Scenario};
use crate::{controls, office};
use flue_core::Stats;
use std::process::exit;
use std::time::{Duration, Instant};

/// Seconds after which a scenario that does not end has lost a wake-up, or hangs. Alone it
/// takes a few; where each `give_way` is a slice of another program's, many times that.
const PATIENCE: u32 = 1800;

/// The scale of a scenario in a run for so many seconds.
const SCALE: u64 = 10;

/// The first seed if none is given.
const SEED: u64 = 1;

pub fn main() {
    // A failed check on one thread must end all of them.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("stress: {panic}");
        exit(1);
    }));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| usage());
    match arguments[..] {
        ["--controls"] => {
            for control in &controls::CONTROLS {
                println!("{} {}", control.name, if control.is_race { "race" } else { "none" });
            }
        }
        ["--control", name] => {
            let control = controls::CONTROLS.iter().find(|control| control.name == name);
            (control.unwrap_or_else(|| usage()).run)();
        }
        ["--once", scale, ref parts @ ..] => once(number(scale), parts),
        [seconds] => for_a_while(number(seconds), SEED),
        [seconds, seed] => for_a_while(number(seconds), number(seed)),
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("stress SECONDS [SEED] | --once SCALE [NAME-PART].. | --control NAME | --controls");
    exit(2)
}

/// Runs one scenario; how much was done, and how long it took.
fn run(scenario: &Scenario, seed: u64, scale: u64) -> (u64, Duration) {
    // SAFETY: sets a timer whose signal, unhandled, ends the process.
    unsafe { libc::alarm(PATIENCE) };
    let (office, started) = (office::empty(), Instant::now());
    let run = Run { office, seed, scale };
    let done = (scenario.run)(&run);
    assert!(done > 0, "{}: nothing was done", scenario.name);
    assert_eq!(run.office.stats(), Stats::default(), "{}: something is left", scenario.name);
    // SAFETY: as above: no timer any more.
    unsafe { libc::alarm(0) };
    (done, started.elapsed())
}

fn once(scale: u64, parts: &[&str]) {
    let chosen = |name: &str| parts.is_empty() || parts.iter().any(|part| name.contains(part));
    let mut count = 0;
    for scenario in scenarios::all().filter(|scenario| chosen(scenario.name)) {
        let (done, took) = run(scenario, SEED, scale);
        println!("{:42} {done:8} in {:6.2} s", scenario.name, took.as_secs_f64());
        count += 1;
    }
    println!("{count} scenarios on {} post offices, seed {SEED}: all well", office::KIND);
    if count == 0 {
        exit(1);
    }
}

fn for_a_while(seconds: u64, first: u64) {
    let started = Instant::now();
    let names: Vec<_> = scenarios::all().collect();
    let mut done = vec![0; names.len()];
    let mut seed = first;
    // At least one round; no scenario is cut short.
    loop {
        println!("seed {seed}");
        for (scenario, done) in names.iter().zip(&mut done) {
            // If it does not end, this is which.
            eprintln!("  {}", scenario.name);
            *done += run(scenario, seed, SCALE).0;
        }
        seed += 1;
        if started.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
    }
    for (scenario, done) in names.iter().zip(&done) {
        println!("{:42} {done:10}", scenario.name);
    }
    println!(
        "{} scenarios on {} post offices, seeds {first} to {}, {} steps in {} s: all well",
        names.len(),
        office::KIND,
        seed - 1,
        done.iter().sum::<u64>(),
        started.elapsed().as_secs()
    );
}
