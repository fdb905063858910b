//! The instructions of every operation: SysTick, in a machine whose time is instructions (see the sweep's `rig`).
#![no_std]
#![no_main]

use common::steps::{self, Counter};
use common::{figures, machine, println, tour};
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{Peripherals, SYST};

const NANOSECONDS_PER_TICK: u32 = 40;
const NANOSECONDS_PER_INSTRUCTION: u32 = 64;

static TOUR: tour::Office = tour::storage();
static STORAGE: steps::Office = steps::storage();

common::report_panics!();

struct Ticks(SYST);

impl Counter for Ticks {
    #[inline(never)]
    fn count(&mut self, operation: &mut dyn FnMut()) -> u32 {
        self.0.set_reload(0xff_ffff);
        self.0.clear_current();
        self.0.enable_counter();
        cortex_m::asm::delay(64); // the counter reads 0 until its first reload
        let start = SYST::get_current();
        operation();
        let ticks = start - SYST::get_current();
        self.0.disable_counter();
        (ticks * NANOSECONDS_PER_TICK + NANOSECONDS_PER_INSTRUCTION / 2)
            / NANOSECONDS_PER_INSTRUCTION
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    // With the tour there is as much of the core as in a program that uses all of it.
    let totals = tour::run(&TOUR.office());
    println!("tour: {} messages, {} downs", totals.messages, totals.downs);
    let mut ticks = Ticks(Peripherals::take().unwrap().SYST);
    ticks.0.set_clock_source(SystClkSource::Core);
    let is_flat = steps::run(&STORAGE.office(), &mut ticks, steps::ROUNDS, 8);
    assert!(is_flat, "sends and receives take more in a crowd");
    figures::sizes();
    machine::exit(0)
}
