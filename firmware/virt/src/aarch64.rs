//! AArch64: console, verdict, boot.

use core::arch::{asm, global_asm};

const UART: *mut u8 = 0x0900_0000 as *mut u8;
const EXIT_EXTENDED: usize = 0x20;
/// `ADP_Stopped_ApplicationExit`
const APPLICATION_EXIT: u64 = 0x2_0026;

// Compiled code uses the vector registers, which trap until they are let; a fault ends the run.
global_asm!(
    ".section .text.boot, \"ax\"",
    ".globl _start",
    "_start: mov x0, #(3 << 20)",
    "msr cpacr_el1, x0",
    "adr x0, vectors",
    "msr vbar_el1, x0",
    "isb",
    "ldr x0, =__stack_top",
    "mov sp, x0",
    "ldr x0, =__bss_start",
    "ldr x1, =__bss_end",
    "1: cmp x0, x1",
    "b.hs 2f",
    "str xzr, [x0], #8",
    "b 1b",
    "2: bl start",
    ".balign 2048",
    "vectors:",
    ".rept 16",
    "mrs x0, esr_el1",
    "mrs x1, elr_el1",
    "b faulted",
    ".balign 128",
    ".endr",
    ".text",
);

#[unsafe(no_mangle)]
fn machine_write(text: &str) {
    for byte in text.bytes() {
        // SAFETY: the data register of the PL011, which QEMU's is always ready for.
        unsafe { UART.write_volatile(byte) }
    }
}

#[unsafe(no_mangle)]
fn machine_exit(code: u32) -> ! {
    let block = [APPLICATION_EXIT, u64::from(code)];
    // SAFETY: EXIT_EXTENDED reads two words, which `block` has, and ends the machine.
    unsafe {
        asm!("hlt #0xf000", in("x0") EXIT_EXTENDED, in("x1") block.as_ptr(), options(noreturn, nostack))
    }
}

#[unsafe(no_mangle)]
extern "C" fn faulted(syndrome: u64, pc: u64) -> ! {
    common::println!("fault {syndrome:#x} at {pc:#x}");
    common::machine::exit(common::machine::PANICKED)
}
