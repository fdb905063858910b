//! Threads as the operating system has them, and what they wait with.
//!
//! `std`'s threads and `Arc` synchronise in ways that the thread sanitizer does
//! not see (they are compiled without it, and it does not understand fences), so
//! nothing here uses them: every report is about Flue, or about a scenario.

use std::ptr::null_mut;
use std::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, SeqCst},
};
use std::task::{RawWaker, RawWakerVTable, Waker};

struct Start<'f> {
    body: &'f (dyn Fn(usize) + Sync),
    number: usize,
    /// How many have begun, and how many there are.
    begun: &'f AtomicU32,
    count: usize,
}

extern "C" fn begin(start: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: `run` keeps it until this thread has been joined.
    let start = unsafe { &*start.cast::<Start<'_>>() };
    // All begin together: on a busy machine one would be done before the last is there.
    // Relaxed, so that this orders nothing for those who look for races.
    start.begun.fetch_add(1, Relaxed);
    until(|| start.begun.load(Relaxed) as usize == start.count);
    (start.body)(start.number);
    null_mut()
}

/// Runs `body` on so many threads at once, each with its number, and waits for all.
pub fn run(count: usize, body: &(dyn Fn(usize) + Sync)) {
    let begun = &AtomicU32::new(0);
    let starts: Vec<_> = (0..count).map(|number| Start { body, number, begun, count }).collect();
    let threads = starts.iter().map(|start| {
        let mut thread = 0;
        let start = (&raw const *start).cast_mut().cast();
        // SAFETY: `begin` is such a function, and what it is given outlives the thread.
        let error = unsafe { libc::pthread_create(&mut thread, std::ptr::null(), begin, start) };
        assert_eq!(error, 0, "no thread");
        thread
    });
    let threads: Vec<_> = threads.collect();
    for thread in threads {
        // SAFETY: created above, joined once.
        unsafe { libc::pthread_join(thread, null_mut()) };
    }
}

/// Lets another thread have the processor.
pub fn give_way() {
    // SAFETY: has no conditions.
    unsafe { libc::sched_yield() };
}

/// Waits until `is_so`. A thing that never becomes so is found by the watchdog.
pub fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        give_way();
    }
}

/// Where one thread sleeps until it is woken, by wakers.
#[derive(Debug, Default)]
pub struct Bed(AtomicU32);

static VTABLE: RawWakerVTable =
    RawWakerVTable::new(|bed| RawWaker::new(bed, &VTABLE), wake, wake, |_| {});

fn wake(bed: *const ()) {
    // SAFETY: `Bed::waker` alone makes wakers with this vtable, of a bed that outlives them.
    let bed = unsafe { &*bed.cast::<Bed>() };
    bed.0.fetch_add(1, AcqRel); // Partner: `calls`, `sleep`.
    // SAFETY: wakes whoever waits on that word.
    unsafe { libc::syscall(libc::SYS_futex, bed.0.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}

impl Bed {
    /// A waker for whoever sleeps here.
    ///
    /// # Safety
    /// - The bed stays where it is until the last clone of the waker is dropped.
    pub unsafe fn waker(&self) -> Waker {
        // SAFETY: the vtable's functions take the pointer for what it is, and
        // the caller promises that it is good.
        unsafe { Waker::from_raw(RawWaker::new((&raw const *self).cast(), &VTABLE)) }
    }

    /// How often it was woken: look before registering a waker.
    pub fn calls(&self) -> u32 {
        self.0.load(Acquire)
    }

    /// Sleeps, unless it was woken since `calls` was that.
    pub fn sleep(&self, calls: u32) {
        while self.0.load(SeqCst) == calls {
            let (word, forever) = (self.0.as_ptr(), std::ptr::null::<libc::timespec>());
            // SAFETY: sleeps only while the word is `calls`.
            unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, calls, forever) };
        }
    }
}
