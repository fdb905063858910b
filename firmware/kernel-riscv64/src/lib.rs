//! QEMU's RISC-V virt machine: boot, console, clock, verdict.
#![no_std]

use core::arch::{asm, global_asm};

use common::machine::{PANICKED, exit};
use common::println;

common::report_panics!();

global_asm!(include_str!("boot.s"));

const UART: *mut u8 = 0x1000_0000 as *mut u8;
const UART_LINE_STATUS: usize = 5;
const UART_READY: u8 = 0x20;
/// The CLINT's clock: 10 MHz.
const MTIME: *const u64 = 0x0200_bff8 as *const u64;
const NANOSECONDS_PER_TICK: u64 = 100;
/// The device that ends the run.
const FINISHER: *mut u32 = 0x10_0000 as *mut u32;
const FINISHER_PASS: u32 = 0x5555;
const FINISHER_FAIL: u32 = 0x3333;

#[unsafe(no_mangle)]
fn machine_write(text: &str) {
    for byte in text.bytes() {
        // SAFETY: the registers of the ns16550a, which the virt machine has there.
        unsafe {
            while UART.add(UART_LINE_STATUS).read_volatile() & UART_READY == 0 {}
            UART.write_volatile(byte);
        }
    }
}

#[unsafe(no_mangle)]
fn machine_exit(code: u32) -> ! {
    let word = if code == 0 { FINISHER_PASS } else { code << 16 | FINISHER_FAIL };
    // SAFETY: the virt machine's finisher.
    unsafe { FINISHER.write_volatile(word) }
    park()
}

/// A clock that all harts share.
pub fn nanoseconds() -> u64 {
    // SAFETY: the CLINT's mtime, readable by all.
    unsafe { MTIME.read_volatile() * NANOSECONDS_PER_TICK }
}

/// Instructions this hart has executed.
#[inline(always)]
pub fn instructions() -> u64 {
    let count;
    // SAFETY: reads a counter. Not `nomem`: no memory access may move across it.
    unsafe { asm!("csrr {}, minstret", out(reg) count, options(nostack)) }
    count
}

/// Stops this hart for good.
pub fn park() -> ! {
    loop {
        // SAFETY: sleeps.
        unsafe { asm!("wfi", options(nomem, nostack)) }
    }
}

/// No trap is expected.
#[unsafe(no_mangle)]
extern "C" fn trapped(cause: usize, pc: usize, value: usize) -> ! {
    println!("trap {cause:#x} at {pc:#x}, value {value:#x}");
    exit(PANICKED)
}
