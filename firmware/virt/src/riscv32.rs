//! RISC-V with 32 bits: boot.

use core::arch::global_asm;

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
extern "C" fn faulted(cause: usize, pc: usize) -> ! {
    common::println!("trap {cause:#x} at {pc:#x}");
    common::machine::exit(common::machine::PANICKED)
}
