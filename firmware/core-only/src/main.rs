//! Linux on x86-64 without a libc: that it links at all shows that Flue's static core needs nothing but `core`.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

use common::machine::exit;
use common::{exchange, println, tour};

common::report_panics!();

global_asm!(
    ".globl _start",
    "_start: xor ebp, ebp",
    "and rsp, -16",
    "call start",
    "ud2"
);

const WRITE: usize = 1;
const EXIT_GROUP: usize = 231;
const STANDARD_OUTPUT: usize = 1;

const ROUNDS: u32 = 100_000;

static TOUR: tour::Office = tour::storage();
static EXCHANGE: exchange::Office = exchange::storage();

#[unsafe(no_mangle)]
fn machine_write(text: &str) {
    // SAFETY: write(2) reads `text`; the kernel changes no register but these.
    unsafe {
        asm!("syscall", inout("rax") WRITE => _, in("rdi") STANDARD_OUTPUT, in("rsi") text.as_ptr(), in("rdx") text.len(),
            out("rcx") _, out("r11") _, options(nostack));
    }
}

#[unsafe(no_mangle)]
fn machine_exit(code: u32) -> ! {
    // SAFETY: exit_group(2) does not return.
    unsafe { asm!("syscall", in("rax") EXIT_GROUP, in("rdi") code, options(noreturn, nostack)) }
}

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    let totals = tour::run(&TOUR.office());
    println!("tour: {} messages, {} downs", totals.messages, totals.downs);
    let done = exchange::run(&EXCHANGE.office(), ROUNDS).is_some();
    println!(
        "exchange: {ROUNDS} questions and answers: {}",
        if done { "done" } else { "failed" }
    );
    exit(u32::from(!done))
}
