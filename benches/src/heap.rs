//! What the allocator was asked for, counted only while somebody wants to know, so that the timed
//! windows run at the system allocator's speed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

static COUNTING: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);
static CALLS: AtomicI64 = AtomicI64::new(0);

/// The system allocator with counters. Only the binaries that report memory install it.
#[derive(Debug)]
pub struct Counting;

/// What happened between two points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heap {
    /// Bytes asked for and not given back.
    pub bytes: i64,
    /// Calls that asked for memory.
    pub allocations: i64,
}

fn note(bytes: i64, calls: i64) {
    if COUNTING.load(Relaxed) {
        LIVE.fetch_add(bytes, Relaxed);
        CALLS.fetch_add(calls, Relaxed);
    }
}

// SAFETY: every call is the system allocator's own; the counters touch no memory of the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as i64, 1);
        // SAFETY: the caller's promise is passed on whole.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-(layout.size() as i64), 0);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as i64, 1);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size as i64 - layout.size() as i64, 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Runs `work` and says what it left allocated. The result is kept until the count was read.
pub fn of<T>(work: impl FnOnce() -> T) -> (T, Heap) {
    let was = COUNTING.swap(true, Relaxed);
    let before = (LIVE.load(Relaxed), CALLS.load(Relaxed));
    let result = work();
    let heap =
        Heap { bytes: LIVE.load(Relaxed) - before.0, allocations: CALLS.load(Relaxed) - before.1 };
    COUNTING.store(was, Relaxed);
    (result, heap)
}

/// The process's resident set in bytes, where `/proc` tells.
pub fn resident() -> Option<u64> {
    let line = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}
