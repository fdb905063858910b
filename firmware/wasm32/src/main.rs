//! The core as a guest of any WebAssembly runtime: no imports, one thread.
#![no_std]
#![no_main]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

use common::{exchange, println, tour};

common::report_panics!();

static TOUR: tour::Office = tour::storage();
static EXCHANGE: exchange::Office = exchange::storage();

/// What was printed: there is no console without an import, so the host reads it when it likes.
struct Output {
    bytes: UnsafeCell<[u8; 4096]>,
    written: AtomicUsize,
}

// SAFETY: the module has one thread, and no reference to the bytes outlives a call.
unsafe impl Sync for Output {}

static OUTPUT: Output = Output {
    bytes: UnsafeCell::new([0; 4096]),
    written: AtomicUsize::new(0),
};

#[unsafe(no_mangle)]
fn machine_write(text: &str) {
    let written = OUTPUT.written.load(Ordering::Relaxed);
    // SAFETY: sole access: one thread, and nothing below calls back.
    let room = &mut unsafe { &mut *OUTPUT.bytes.get() }[written..];
    let fits = text.len().min(room.len());
    room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
    OUTPUT.written.store(written + fits, Ordering::Relaxed);
}

/// A trap is the only way out; the message was written before it.
#[unsafe(no_mangle)]
fn machine_exit(_: u32) -> ! {
    core::arch::wasm32::unreachable()
}

/// Where the printed text is, and how long.
#[unsafe(no_mangle)]
extern "C" fn text() -> *const u8 {
    OUTPUT.bytes.get().cast()
}

#[unsafe(no_mangle)]
extern "C" fn written() -> usize {
    OUTPUT.written.load(Ordering::Relaxed)
}

/// All the work; 0 is success.
#[unsafe(no_mangle)]
extern "C" fn run(rounds: u32) -> u32 {
    let totals = tour::run(&TOUR.office());
    println!("tour: {} messages, {} downs", totals.messages, totals.downs);
    let done = exchange::run(&EXCHANGE.office(), rounds).is_some();
    println!(
        "exchange: {rounds} questions and answers: {}",
        if done { "done" } else { "failed" }
    );
    u32::from(!done)
}
