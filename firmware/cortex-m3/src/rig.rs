//! Interrupts an operation at a chosen instruction.
//!
//! QEMU runs with `-icount shift=6`: an instruction takes 64 ns of virtual time. The machine's clock has 25 MHz, so a
//! tick of SysTick is 40 ns, and an instruction is 1.6 ticks: there is a delay for every instruction boundary, which
//! `Rig::check` makes sure of, and the interrupt comes there the same way in every run.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use common::{machine, println};
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::scb::SystemHandler;
use cortex_m::peripheral::{NVIC, Peripherals, SCB, SYST};

/// The exit code of an operation or a handler that never returns.
const STUCK: u32 = 7;
/// Ticks until the watchdog bites: 20 ms, far more instructions than any case has.
const WATCHDOG_TICKS: u32 = 500_000;
/// CMSDK timer 0.
const WATCHDOG: *mut u32 = 0x4000_0000 as *mut u32;
const WATCHDOG_INTERRUPT: Interrupt = Interrupt(8);
/// Its registers.
const CONTROL: usize = 0;
const VALUE: usize = 1;
const RELOAD: usize = 2;

/// SysTick's control: by the processor's clock, with an interrupt at zero.
const COUNTS_AND_INTERRUPTS: u32 = 0b111;
/// The same, stopped.
const STOPPED: u32 = 0b100;

const NANOSECONDS_PER_TICK: u32 = 40;
const NANOSECONDS_PER_INSTRUCTION: u32 = 64;

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
        watch(RELOAD, WATCHDOG_TICKS);
        watch(VALUE, WATCHDOG_TICKS);
        watch(CONTROL, 0b1001); // Enabled, with its interrupt.
        Rig(peripherals.SYST)
    }

    /// Runs `operation` with the interrupt due `delay` instructions after its start; where it came, if it came within.
    #[inline(never)]
    pub fn shot(&mut self, delay: u32, operation: &mut dyn FnMut()) -> Option<u32> {
        let ticks = delay * NANOSECONDS_PER_INSTRUCTION / NANOSECONDS_PER_TICK;
        FIRED.store(false, Ordering::Relaxed);
        watch(VALUE, WATCHDOG_TICKS); // Begins anew.
        self.0.set_reload(ticks);
        self.0.clear_current();
        // SAFETY: this timer is ours alone until it is stopped, or the interrupt has stopped it.
        unsafe { self.0.csr.write(COUNTS_AND_INTERRUPTS) };
        operation();
        // SAFETY: as above.
        unsafe { self.0.csr.write(STOPPED) };
        SCB::clear_pendst();
        FIRED.load(Ordering::Relaxed).then(|| PC.load(Ordering::Relaxed))
    }

    /// Checks, on straight code, that delays one after the other interrupt at boundaries one after the other.
    pub fn check(&mut self) {
        let start = straight as *const () as u32 & !1;
        let end = start + 2 * STRAIGHT;
        let mut next = start;
        for delay in 1..4 * STRAIGHT {
            let pc = self.shot(delay, &mut || straight());
            if let Some(pc) = pc.filter(|pc| (start..end).contains(pc)) {
                assert_eq!(pc, next, "an instruction boundary was left out");
                next += 2;
            }
        }
        assert_eq!(next, end);
    }
}

/// Instructions of `straight` before it returns.
const STRAIGHT: u32 = 64;

unsafe extern "C" {
    /// Does nothing, many times.
    safe fn straight();
}

core::arch::global_asm!(
    ".section .text.straight, \"ax\"",
    ".globl straight",
    ".type straight, %function",
    ".thumb_func",
    "straight: .rept {count}",
    "nop.n",
    ".endr",
    "bx lr",
    count = const STRAIGHT,
);

/// Writes a register of the watchdog.
fn watch(register: usize, value: u32) {
    // SAFETY: one of the registers of CMSDK timer 0, which only this module uses.
    unsafe { WATCHDOG.add(register).write_volatile(value) }
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
    unsafe { (*SYST::PTR).csr.write(STOPPED) }
    if FIRED.load(Ordering::Relaxed) {
        return;
    }
    FIRED.store(true, Ordering::Relaxed);
    PC.store(pc, Ordering::Relaxed);
    crate::handler::run();
}
