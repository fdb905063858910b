//! An allocator whose n-th allocation fails, and which counts what is not freed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Failing;

/// Every allocation, for [`FAILS`].
pub const ALL: usize = usize::MAX;

thread_local! {
    /// Which allocation of this thread, counted from now, fails; 0 for none, or [`ALL`].
    pub static FAILS: Cell<usize> = const { Cell::new(0) };
    /// Bytes that this thread has allocated and not freed.
    pub static LIVE: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: the system's allocator, or null.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let fails = FAILS.get();
        if fails != ALL {
            FAILS.set(fails.saturating_sub(1));
        }
        if fails == 1 || fails == ALL {
            return std::ptr::null_mut();
        }
        LIVE.set(LIVE.get() + layout.size() as isize);
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as isize);
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static FAILING: Failing = Failing;

/// Runs `code` with all the memory there is.
pub fn unfailing<T>(code: impl FnOnce() -> T) -> T {
    let fails = FAILS.replace(0);
    let value = code();
    FAILS.set(fails);
    value
}
