//! The allocator of the stall tests: every operation is one atomic step.
//!
//! A context that is stopped for ever inside the system's allocator may hold
//! its lock, and then everybody who allocates waits. That is not Flue's doing,
//! so here is an allocator in which nobody can be stopped holding anything.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Address space, of which only what is used becomes memory.
const SIZE: usize = 1 << 30;

struct Heap {
    memory: UnsafeCell<[u8; SIZE]>,
    /// Bytes handed out.
    top: AtomicUsize,
}

// SAFETY: each byte of the memory is handed out to one owner at a time: `top`
// goes up by one step over what is handed out, and down by one over what came back.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap { memory: UnsafeCell::new([0; SIZE]), top: AtomicUsize::new(0) };

// SAFETY: blocks do not overlap, fit the layout, and stay until they are given back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.memory.get().addr();
        let mut top = self.top.load(Relaxed);
        loop {
            let start = (base + top).next_multiple_of(layout.align()) - base;
            let Some(end) = start.checked_add(layout.size()).filter(|end| *end <= SIZE) else {
                return null_mut();
            };
            // Relaxed: the step itself is what counts; what a block holds is its owner's.
            match self.top.compare_exchange_weak(top, end, Relaxed, Relaxed) {
                // SAFETY: `start` is within the memory.
                Ok(_) => return unsafe { self.memory.get().cast::<u8>().add(start) },
                Err(now) => top = now,
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let start = block.addr() - self.memory.get().addr();
        // The last block is taken back, others are not: so freeing is one step too.
        let _ = self.top.compare_exchange(start + layout.size(), start, Relaxed, Relaxed);
    }
}
