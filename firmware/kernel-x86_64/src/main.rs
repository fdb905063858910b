//! 4 CPUs, one office: see `common::smp`. Interrupts are off but while a CPU dozes: the host's target
//! has a red zone.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm, x86_64::_rdtsc};
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use common::smp;

common::report_panics!();

global_asm!(include_str!("boot.s"), options(att_syntax));

const SERIAL: u16 = 0x3f8;
const SERIAL_LINE_STATUS: u16 = SERIAL + 5;
const SERIAL_READY: u8 = 0x20;
/// ACPI's PM1a control of the q35 machine, and the value that turns it off.
const POWER: u16 = 0x604;
const POWER_OFF: u16 = 0x2000;
/// The device that ends the run as a failure.
const DEBUG_EXIT: u16 = 0xf4;

const LOCAL_APIC: *mut u32 = 0xfee0_0000 as *mut u32;
const APIC_SPURIOUS: usize = 0xf0;
const APIC_COMMAND: usize = 0x300;
/// The line of the legacy controller, whose timer the firmware has left on; and what silences it.
const APIC_LEGACY: usize = 0x350;
const APIC_MASKED: u32 = 0x1_0000;
const APIC_ENABLE: u32 = 0x1ff;
const APIC_PENDING: u32 = 0x1000;
const INIT_ALL_OTHERS: u32 = 0xc_4500;
const START_ALL_OTHERS: u32 = 0xc_4600;
/// The interrupt that ends a doze, and the command that sends it.
const ROUSED: usize = 0x40;
const ROUSE_ALL_OTHERS: u32 = 0xc_4000 | ROUSED as u32;
/// Boot's segment of code; a gate that leaves interrupts off.
const CODE_SEGMENT: u64 = 8;
const INTERRUPT_GATE: u64 = 0x8e00;
/// Where the trampoline goes; the page's number is the start vector.
const TRAMPOLINE: usize = 0x8000;

fn out8(port: u16, value: u8) {
    // SAFETY: all ports named in this file are devices of the q35 machine; none touches memory.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack)) }
}

fn in8(port: u16) -> u8 {
    let value;
    // SAFETY: as in `out8`.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack)) }
    value
}

#[unsafe(no_mangle)]
fn machine_write(text: &str) {
    for byte in text.bytes() {
        while in8(SERIAL_LINE_STATUS) & SERIAL_READY == 0 {}
        out8(SERIAL, byte);
    }
}

#[unsafe(no_mangle)]
fn machine_exit(code: u32) -> ! {
    // SAFETY: as in `out8`. Turning off takes a moment: the halt below waits for it.
    unsafe {
        if code == 0 {
            asm!("out dx, ax", in("dx") POWER, in("ax") POWER_OFF, options(nomem, nostack));
        } else {
            asm!("out dx, eax", in("dx") DEBUG_EXIT, in("eax") code, options(nomem, nostack));
        }
    }
    halt()
}

fn halt() -> ! {
    loop {
        // SAFETY: stops this CPU.
        unsafe { asm!("cli; hlt", options(nomem, nostack)) }
    }
}

/// The interrupts that a CPU knows: one.
static GATES: [[AtomicU64; 2]; ROUSED + 1] =
    [const { [AtomicU64::new(0), AtomicU64::new(0)] }; ROUSED + 1];

/// Lets this CPU be roused.
fn prepare_to_doze() {
    unsafe extern "C" {
        static roused: u8;
    }
    #[repr(C, packed)]
    struct Pointer {
        limit: u16,
        base: *const [[AtomicU64; 2]; ROUSED + 1],
    }
    let handler = &raw const roused as u64;
    let low = handler & 0xffff | CODE_SEGMENT << 16 | INTERRUPT_GATE << 32;
    // Relaxed: each CPU writes the same before it reads it.
    GATES[ROUSED][0].store(low | (handler >> 16 & 0xffff) << 48, Relaxed);
    GATES[ROUSED][1].store(handler >> 32, Relaxed);
    let pointer = Pointer { limit: size_of_val(&GATES) as u16 - 1, base: &raw const GATES };
    // SAFETY: the gate leads to `roused`, which leaves all registers as they were; interrupts are still off.
    unsafe {
        asm!("lidt [{}]", in(reg) &raw const pointer, options(readonly, nostack));
        LOCAL_APIC.add(APIC_LEGACY / 4).write_volatile(APIC_MASKED);
        LOCAL_APIC.add(APIC_SPURIOUS / 4).write_volatile(APIC_ENABLE);
    }
}

#[unsafe(no_mangle)]
fn machine_doze() {
    // SAFETY: the one interrupt that may come needs the stack, which is why this does not say `nostack`: nothing is in
    // the red zone. An interrupt that already waits ends the halt, as `sti` holds for one instruction.
    unsafe { asm!("sti; hlt; cli") }
}

#[unsafe(no_mangle)]
fn machine_rouse() {
    // SAFETY: the APIC's registers are mapped; all other CPUs that run know the interrupt, or will when they enable theirs.
    unsafe { LOCAL_APIC.add(APIC_COMMAND / 4).write_volatile(ROUSE_ALL_OTHERS) }
}

/// A clock that all CPUs share: QEMU's TCG counts nanoseconds.
fn nanoseconds() -> u64 {
    // SAFETY: every x86-64 CPU has it.
    unsafe { _rdtsc() }
}

fn start_other_cpus() {
    unsafe extern "C" {
        static trampoline: u8;
        static trampoline_end: u8;
    }
    let (start, end) = (&raw const trampoline, &raw const trampoline_end);
    // SAFETY: low memory is ours and unused; the APIC's registers are mapped, and the others run nothing yet.
    unsafe {
        core::ptr::copy_nonoverlapping(start, TRAMPOLINE as *mut u8, end as usize - start as usize);
        LOCAL_APIC.add(APIC_SPURIOUS / 4).write_volatile(APIC_ENABLE);
        let command = LOCAL_APIC.add(APIC_COMMAND / 4);
        for (word, pause) in
            [(INIT_ALL_OTHERS, 1_000_000), (START_ALL_OTHERS | (TRAMPOLINE >> 12) as u32, 100_000)]
        {
            command.write_volatile(word);
            while command.read_volatile() & APIC_PENDING != 0 {}
            for _ in 0..pause {
                spin_loop();
            }
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn cpu_main(cpu: usize) -> ! {
    if cpu >= smp::CPUS {
        halt();
    }
    if cpu == 0 {
        #[cfg(feature = "heap")]
        {
            unsafe extern "C" {
                static mut __heap_start: u8;
                static mut __heap_end: u8;
            }
            // SAFETY: the linker script leaves this memory to the heap, and the other CPUs are not started yet.
            unsafe { common::heap::init(&raw mut __heap_start, &raw mut __heap_end) }
        }
        start_other_cpus();
    }
    prepare_to_doze();
    smp::run(cpu, nanoseconds);
    if cpu == 0 {
        common::machine::exit(0);
    }
    halt()
}
