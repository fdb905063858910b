//! Takes every operation through every one of its instructions, and says what came of it.

use crate::machine::{self, Patience, Plan, Tally};
use crate::operations::{self, Operation, Players};
use crate::scene::Scene;
use crate::world::{FIRST, KIND, OTHER, World};
use std::io::Write;
use std::ptr::null_mut;
use std::sync::atomic::{
    AtomicPtr,
    Ordering::{Acquire, Release},
};
use std::time::Instant;

static WORLD: AtomicPtr<World> = AtomicPtr::new(null_mut());

/// Far more than any visit takes.
const PATIENCE: Patience = Patience { cpu: 20_000, clock: 120_000 };

/// The world that all processes begin with.
pub fn world() -> &'static World {
    // SAFETY: set by `run` to a leaked box, which only `end` takes back, at last.
    unsafe { WORLD.load(Acquire).as_ref() }.expect("made at the start")
}

/// Ends the world, with all its checks.
fn end() {
    let world = WORLD.swap(null_mut(), Acquire);
    // SAFETY: leaked by `run`, and nobody is at work any more.
    unsafe { Box::from_raw(world) }.end();
}

/// A number that the environment gives.
pub fn number(variable: &str) -> Option<u32> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Sweeps the chosen operations, or all. Whether every visit went well.
pub fn run(name: &str, chosen: &[String], visit: fn(u32), variants: u32) -> bool {
    let started = Instant::now();
    machine::report_failures();
    WORLD.store(Box::into_raw(World::new()), Release);
    rehearse();
    let is_chosen = |operation: &Operation| {
        chosen.is_empty() || chosen.iter().any(|part| operation.name.contains(part.as_str()))
    };
    let overhead = measure(visit, &|| machine::stepped(&mut || {}));
    let mut sum = Tally::default();
    let mut failures = 0;
    for operation in operations::all().filter(|operation| is_chosen(operation)) {
        let tally = sweep(operation, visit, variants);
        let instructions = tally.instructions.saturating_sub(overhead);
        report(name, operation, instructions, tally);
        failures += u32::from(!tally.is_clean());
        sum.instructions += instructions;
        sum.visits += tally.visits;
        sum.blocked += tally.blocked;
    }
    println!(
        "{name}, {KIND}: {} instructions, {} visits, {} blocked, {failures} failures, {} s",
        sum.instructions,
        sum.visits,
        sum.blocked,
        started.elapsed().as_secs()
    );
    failures == 0 && sum.visits > 0
}

/// Plays every case undisturbed, by both parties: the cases are right, and leave
/// the world as it was.
fn rehearse() {
    let plan = Plan { visit: |_| {}, stride: u32::MAX, first: 1, variants: 1, patience: PATIENCE };
    let tally = machine::run(plan, || {
        for operation in operations::all() {
            for me in [FIRST, OTHER] {
                if operation.players != Players::First || me == FIRST {
                    for _ in 0..3 {
                        (operation.case)(&Scene::alone(world(), me))
                            .expect("nobody holds anything");
                    }
                }
            }
        }
        end();
    });
    assert!(!tally.unrunnable, "the cases fail undisturbed");
}

/// Instructions of `body`, without visiting any.
fn measure(visit: fn(u32), body: &dyn Fn()) -> u32 {
    let plan =
        Plan { visit, stride: u32::MAX, first: u32::MAX - 1, variants: 1, patience: PATIENCE };
    machine::run(plan, body).instructions
}

fn sweep(operation: &Operation, visit: fn(u32), variants: u32) -> Tally {
    let body = || {
        (operation.case)(&Scene::stepped(world())).expect("nobody else holds anything");
        end();
        if machine::is_child() {
            machine::well();
        }
    };
    let stride = match number("FLUE_STALL_POINTS") {
        Some(points) => measure(visit, &body).div_ceil(points.max(1)).max(1),
        None => 1,
    };
    // Where the stride begins differs from operation to operation.
    let first = operation.name.bytes().map(u32::from).sum::<u32>() % stride;
    machine::run(Plan { visit, stride, first, variants, patience: PATIENCE }, body)
}

fn report(test: &str, operation: &Operation, instructions: u32, tally: Tally) {
    let verdict = if tally.is_clean() { "ok" } else { "FAILED" };
    let name = operation.name;
    println!("{test:9} {KIND:6} {name:38} {instructions:6} {:6} {verdict}", tally.visits);
    if !tally.is_clean() {
        println!("    {tally:?}");
    }
    let Ok(path) = std::env::var("FLUE_STALL_TABLE") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let line = format!("{test}\t{KIND}\t{name}\t{instructions}\t{}\t{verdict}\n", tally.visits);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the table is written");
}
