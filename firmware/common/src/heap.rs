//! The kernels' allocator: first fit behind a spin lock.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};

use linked_list_allocator::Heap as List;

use crate::sync::Lock;

struct Heap(Lock<List>);

#[global_allocator]
static HEAP: Heap = Heap(Lock::new(List::empty()));

// SAFETY: `List` hands out blocks that do not overlap and fit the layout; the lock makes each call sole.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.with(|list| list.allocate_first_fit(layout).map_or(null_mut(), NonNull::as_ptr))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller vouches that `block` came from `alloc` (so it is not null) with this layout.
        self.0.with(|list| unsafe { list.deallocate(NonNull::new_unchecked(block), layout) });
    }
}

/// Gives the allocator its memory.
///
/// # Safety
/// - Called once, before the first allocation.
/// - `start..end` is memory that nothing else uses, ever.
pub unsafe fn init(start: *mut u8, end: *mut u8) {
    // SAFETY: the caller vouches for the memory and for being first.
    HEAP.0.with(|list| unsafe { list.init(start, end as usize - start as usize) });
}

/// Bytes that are allocated now.
pub fn used() -> usize {
    HEAP.0.with(|list| list.used())
}
