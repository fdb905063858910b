//! Sweeps an interrupt over every instruction boundary of every operation, and counts the instructions of each.
#![no_std]
#![no_main]

mod cases;
mod handler;
mod rig;

use cases::{CASES, Case, Stage};
use common::process::own_handles;
use common::{figures, machine, println, steps, tour};
use flue_core::StaticPostOffice;
use handler::Action;
use rig::Rig;

common::report_panics!();

static TOUR: tour::Office = tour::storage();
static COUNTED: steps::Office = steps::storage();
static SWEPT: StaticPostOffice<6, 24, 24> = StaticPostOffice::with_limits(own_handles(8));

/// Delays that miss, one after the other, before a sweep ends: the interrupt now comes after the operation.
const MISSES: u32 = 8;
/// Delays in a row that may stop at one instruction; more, and interrupts were masked there. An instruction is less than
/// 2 ticks, but slots are reused in rotation: the way to an instruction may be longer by a few from shot to shot.
const LONGEST_STAY: u32 = 12;

#[cortex_m_rt::entry]
fn main() -> ! {
    let totals = tour::run(&TOUR.office());
    println!("tour: {} messages, {} downs", totals.messages, totals.downs);

    let mut rig = Rig::new();
    let is_flat = steps::run(&COUNTED.office(), &mut rig, steps::ROUNDS, 8);
    assert!(is_flat, "sends and receives take more in a crowd");
    figures::sizes();

    let office = SWEPT.office();
    let mut stage = Stage::new(rig, &office);
    let mut entries = 0;
    for case in CASES {
        entries += sweep(&mut stage, case);
    }
    println!(
        "{} operations x {} handlers: {entries} interrupts, nothing lost, doubled, reordered or stuck",
        CASES.len(),
        Action::ALL.len()
    );
    machine::exit(0)
}

/// Interrupts one operation everywhere, by a handler of every kind. How often.
fn sweep(stage: &mut Stage, case: &Case) -> u32 {
    let mut total = 0;
    for action in Action::ALL {
        stage.choose(action);
        let (mut delay, mut misses, mut entries) = (1, 0, 0);
        let (mut last, mut stay) = (0, 0);
        while misses < MISSES {
            match (case.1)(stage, delay) {
                Some(pc) => {
                    entries += 1;
                    misses = 0;
                    stay = if pc == last { stay + 1 } else { 1 };
                    last = pc;
                    assert!(stay <= LONGEST_STAY, "{}: interrupts are masked at {pc:#x}", case.0);
                }
                None => misses += 1,
            }
            stage.settle();
            delay += 1;
        }
        total += entries;
    }
    println!("  {:18} {total:6} interrupts", case.0);
    total
}
