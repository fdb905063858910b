//! One CPU of a virt machine: every public type, then two processes with much to say.
#![no_std]
#![no_main]

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "riscv32")]
mod riscv32;

use common::machine::exit;
use common::{exchange, println, tour};

common::report_panics!();

const ROUNDS: u32 = 100_000;

static TOUR: tour::Office = tour::storage();
static EXCHANGE: exchange::Office = exchange::storage();

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    let totals = tour::run(&TOUR.office());
    println!("tour: {} messages, {} downs", totals.messages, totals.downs);
    let done = exchange::run(&EXCHANGE.office(), ROUNDS).is_some();
    println!("exchange: {ROUNDS} questions and answers: {}", if done { "done" } else { "failed" });
    exit(u32::from(!done))
}
