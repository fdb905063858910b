//! RISC-V with 32 bits: console, verdict, boot.

use core::arch::global_asm;

const UART: *mut u8 = 0x1000_0000 as *mut u8;
const UART_LINE_STATUS: usize = 5;
const UART_READY: u8 = 0x20;
/// The device that ends the run.
const FINISHER: *mut u32 = 0x10_0000 as *mut u32;
const FINISHER_PASS: u32 = 0x5555;
const FINISHER_FAIL: u32 = 0x3333;

global_asm!(
    ".section .text.boot, \"ax\"",
    ".globl _start",
    "_start: csrw mie, zero",
    "la t0, trap",
    "csrw mtvec, t0",
    "la sp, __stack_top",
    "la t0, __bss_start",
    "la t1, __bss_end",
    "1: bgeu t0, t1, 2f",
    "sw zero, 0(t0)",
    "addi t0, t0, 4",
    "j 1b",
    "2: call start",
    ".balign 4",
    "trap: csrr a0, mcause",
    "csrr a1, mepc",
    "call faulted",
    ".text",
);

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
    loop {
        core::hint::spin_loop();
    }
}

#[unsafe(no_mangle)]
extern "C" fn faulted(cause: usize, pc: usize) -> ! {
    common::println!("trap {cause:#x} at {pc:#x}");
    common::machine::exit(common::machine::PANICKED)
}
