//! The nRF51's TIMER0: interrupts with a period that is never twice the same.

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;

const TIMER: *mut u32 = 0x4000_8000 as *mut u32;
const START: usize = 0x000;
const STOP: usize = 0x004;
const EVENT: usize = 0x140;
const SHORTCUTS: usize = 0x200;
const ENABLE_INTERRUPT: usize = 0x304;
const BITS: usize = 0x508;
const PRESCALER: usize = 0x510;
const COMPARE: usize = 0x540;
const LINE: Line = Line(8);

/// Ticks, of which QEMU makes about one an instruction: several times what the handler takes.
const PERIOD: u32 = 15_000;
/// The period grows by up to so many ticks, in steps that share no factor with it.
const SPREAD: u32 = 10_007;
const STEP: u32 = 397;

#[derive(Clone, Copy)]
struct Line(u16);

// SAFETY: the number of a line that this machine has.
unsafe impl InterruptNumber for Line {
    fn number(self) -> u16 {
        self.0
    }
}

fn write(register: usize, value: u32) {
    // SAFETY: the registers of TIMER0, which only this module uses.
    unsafe { TIMER.add(register / 4).write_volatile(value) }
}

fn read(register: usize) -> u32 {
    // SAFETY: as in `write`.
    unsafe { TIMER.add(register / 4).read_volatile() }
}

pub fn start() {
    write(BITS, 3); // 32
    write(PRESCALER, 0); // 16 MHz
    write(SHORTCUTS, 1); // starts over at the compare value
    write(COMPARE, PERIOD);
    write(ENABLE_INTERRUPT, 1 << 16);
    write(START, 1);
    // SAFETY: the handler is ready; no critical section relies on the mask.
    unsafe { NVIC::unmask(LINE) }
}

pub fn stop() {
    NVIC::mask(LINE);
    write(STOP, 1);
}

#[cortex_m_rt::exception]
unsafe fn DefaultHandler(number: i16) {
    assert_eq!(number, 8);
    write(EVENT, 0);
    write(COMPARE, PERIOD + (read(COMPARE) - PERIOD + STEP) % SPREAD);
    crate::tick();
}
