//! Interrupts an operation at a chosen instruction, and counts instructions.
//!
//! QEMU runs with `-icount shift=6`: an instruction takes 64 ns of virtual time. The machine's clock has 25 MHz, so a
//! tick of SysTick is 40 ns, and an instruction is 1.6 ticks: when the delay goes up tick by tick, the interrupt comes
//! at every instruction boundary, the same way in every run.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use common::{machine, println};
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::scb::SystemHandler;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{NVIC, Peripherals, SCB, SYST};

const NANOSECONDS_PER_TICK: u32 = 40;
const NANOSECONDS_PER_INSTRUCTION: u32 = 64;

/// The exit code of an operation or a handler that never returns.
const STUCK: u32 = 7;
/// Ticks until the watchdog bites: 20 ms, far more instructions than any operation has.
const WATCHDOG_TICKS: u32 = 500_000;
/// CMSDK timer 0.
const WATCHDOG: *mut u32 = 0x4000_0000 as *mut u32;
const WATCHDOG_INTERRUPT: Interrupt = Interrupt(8);

/// Whether the handler has run in this shot.
static FIRED: AtomicBool = AtomicBool::new(false);
/// The instruction it interrupted.
static PC: AtomicU32 = AtomicU32::new(0);

#[derive(Clone, Copy)]
struct Interrupt(u16);

// SAFETY: the number of a line that this machine has.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self.0
    }
}

pub struct Rig(SYST);

impl Rig {
    /// Takes the machine's timers.
    pub fn new() -> Rig {
        let mut peripherals = Peripherals::take().unwrap();
        // SAFETY: no critical section relies on these priorities: SysTick lowest, the watchdog above all.
        unsafe {
            peripherals.SCB.set_priority(SystemHandler::SysTick, 0xff);
            NVIC::unmask(WATCHDOG_INTERRUPT);
            peripherals.NVIC.set_priority(WATCHDOG_INTERRUPT, 0);
        }
        peripherals.SYST.set_clock_source(SystClkSource::Core);
        Rig(peripherals.SYST)
    }

    /// Runs `operation` with the interrupt due `delay` ticks after its start; where it came, if it came within.
    #[inline(never)]
    pub fn shot(&mut self, delay: u32, operation: &mut dyn FnMut()) -> Option<u32> {
        FIRED.store(false, Ordering::Relaxed);
        watch(WATCHDOG_TICKS);
        self.0.set_reload(delay);
        self.0.clear_current();
        self.0.enable_interrupt();
        self.0.enable_counter();
        operation();
        self.0.disable_counter();
        self.0.disable_interrupt();
        SCB::clear_pendst();
        watch(0);
        FIRED.load(Ordering::Relaxed).then(|| PC.load(Ordering::Relaxed))
    }
}

impl common::steps::Counter for Rig {
    #[inline(never)]
    fn count(&mut self, operation: &mut dyn FnMut()) -> u32 {
        self.0.disable_interrupt();
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

/// Starts the watchdog anew, or stops it with 0.
fn watch(ticks: u32) {
    const CONTROL: usize = 0;
    const VALUE: usize = 1;
    const RELOAD: usize = 2;
    const CLEAR: usize = 3;
    // SAFETY: the registers of CMSDK timer 0, which only this function uses.
    unsafe {
        WATCHDOG.add(CONTROL).write_volatile(0);
        WATCHDOG.add(CLEAR).write_volatile(1);
        if ticks != 0 {
            WATCHDOG.add(RELOAD).write_volatile(ticks);
            WATCHDOG.add(VALUE).write_volatile(ticks);
            WATCHDOG.add(CONTROL).write_volatile(0b1001);
        }
    }
}

#[cortex_m_rt::exception]
unsafe fn DefaultHandler(number: i16) {
    println!(
        "interrupt {number}: stuck; the handler was entered at {:#x}",
        PC.load(Ordering::Relaxed)
    );
    machine::exit(STUCK)
}

// SysTick: finds where it came, which the hardware has put on the stack.
core::arch::global_asm!(
    ".section .text.SysTick, \"ax\"",
    ".globl SysTick",
    ".type SysTick, %function",
    ".thumb_func",
    "SysTick: mrs r0, msp",
    "ldr r0, [r0, #24]",
    "b systick_entered",
);

#[unsafe(no_mangle)]
extern "C" fn systick_entered(pc: u32) {
    // One shot: a short delay would come again and again.
    // SAFETY: a write to SysTick's control register; `Rig` has it only while no shot is under way.
    unsafe { (*SYST::PTR).csr.write(0b100) }
    if FIRED.load(Ordering::Relaxed) {
        return;
    }
    FIRED.store(true, Ordering::Relaxed);
    PC.store(pc, Ordering::Relaxed);
    crate::handler::run();
}
