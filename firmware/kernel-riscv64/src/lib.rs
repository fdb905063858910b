//! QEMU's RISC-V virt machine: boot, clock, interrupts between harts.
#![no_std]

use core::arch::{asm, global_asm};

use common::machine::{PANICKED, exit};
use common::println;

common::report_panics!();

global_asm!(include_str!("boot.s"));

/// The CLINT's software interrupts: a word for each hart.
const SOFTWARE_INTERRUPTS: *mut u32 = 0x0200_0000 as *mut u32;
const HARTS: usize = 4;
/// The software interrupt in `mie`.
const MSIE: usize = 8;
/// The CLINT's clock: 10 MHz.
const MTIME: *const u64 = 0x0200_bff8 as *const u64;
const NANOSECONDS_PER_TICK: u64 = 100;

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

fn hart() -> usize {
    let hart;
    // SAFETY: reads a constant.
    unsafe { asm!("csrr {}, mhartid", out(reg) hart, options(nomem, nostack)) }
    hart
}

#[unsafe(no_mangle)]
fn machine_doze() {
    // SAFETY: an interrupt that is enabled in `mie` ends `wfi`; none is taken, as `mstatus` has them off. It is cleared
    // before the caller looks, which the fence says to the hart.
    unsafe {
        asm!("csrs mie, {}", "wfi", in(reg) MSIE, options(nostack));
        SOFTWARE_INTERRUPTS.add(hart()).write_volatile(0);
        asm!("fence iorw, iorw", options(nostack));
    }
}

#[unsafe(no_mangle)]
fn machine_rouse() {
    // SAFETY: the registers of the CLINT; what was stored before is seen before the interrupt.
    unsafe {
        asm!("fence iorw, iorw", options(nostack));
        for other in (0..HARTS).filter(|other| *other != hart()) {
            SOFTWARE_INTERRUPTS.add(other).write_volatile(1);
        }
    }
}

/// Stops this hart for good.
pub fn park() -> ! {
    loop {
        // SAFETY: sleeps, and lets nobody rouse it.
        unsafe { asm!("csrw mie, zero", "wfi", options(nomem, nostack)) }
    }
}

/// No trap is expected.
#[unsafe(no_mangle)]
extern "C" fn trapped(cause: usize, pc: usize, value: usize) -> ! {
    println!("trap {cause:#x} at {pc:#x}, value {value:#x}");
    exit(PANICKED)
}
