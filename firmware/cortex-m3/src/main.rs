//! Sweeps an interrupt over every instruction boundary of every operation.
#![no_std]
#![no_main]

mod cases;
mod handler;
mod rig;
mod stage;

use cases::Case;
use common::process::own_handles;
use common::{machine, println, tour};
use flue_core::{Limits, StaticPostOffice};
use handler::Action;
use rig::Rig;
use stage::Stage;

common::report_panics!();

static TOUR: tour::Office = tour::storage();
static SWEPT: StaticPostOffice<8, 24, 24> = StaticPostOffice::with_limits(LIMITS);

const LINKS_PER_GROUP: u32 = 2;
const MONITORS_PER_GROUP: u32 = 2;
const LIMITS: Limits = {
    let mut limits = own_handles(8);
    limits.links_per_group = LINKS_PER_GROUP;
    limits.monitors_per_group = MONITORS_PER_GROUP;
    limits
};

/// Delays that miss, one after the other, before a sweep ends: the interrupt now comes after the operation.
const MISSES: u32 = 8;
/// Delays in a row that may stop at one instruction; more, and interrupts were masked there. Slots are reused in
/// rotation: the way to an instruction may be longer by a few from shot to shot.
const LONGEST_STAY: u32 = 8;

#[cortex_m_rt::entry]
fn main() -> ! {
    let totals = tour::run(&TOUR.office());
    println!("tour: {} messages, {} downs", totals.messages, totals.downs);

    let mut rig = Rig::new();
    rig.check();
    let mut stage = Stage::new(rig, &SWEPT.office());
    let mut entries = 0;
    for case in cases::all() {
        entries += sweep(&mut stage, case);
    }
    println!(
        "{} operations x {} handlers: {entries} interrupts, nothing lost, doubled, reordered or stuck",
        cases::all().count(),
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
            match (case.run)(stage, delay) {
                Some(pc) => {
                    entries += 1;
                    misses = 0;
                    stay = if pc == last { stay + 1 } else { 1 };
                    last = pc;
                    assert!(
                        stay <= LONGEST_STAY,
                        "{}: interrupts are masked at {pc:#x}",
                        case.name
                    );
                }
                None => misses += 1,
            }
            stage.settle();
            delay += 1;
        }
        stage.fill();
        total += entries;
    }
    println!("  {:33} {total:6} interrupts", case.name);
    total
}
