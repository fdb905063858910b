//! Blocks: where the bytes of a message lie that do not fit into its node, but need
//! no memory of their own.
//!
//! A block goes round through a node's states, with the node that names it: Free,
//! Spare, Private, Queued, Lent. It is written by the sender that fills it, then read
//! by the receiver and its guard.

use crate::arena::Slot;
use crate::payload::BLOCK_BYTES;
use crate::sync::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// A block: two cache lines or parts of them.
#[cfg_attr(target_pointer_width = "64", repr(align(32)))]
#[cfg_attr(not(target_pointer_width = "64"), repr(align(8)))]
pub(crate) struct Block(UnsafeCell<[MaybeUninit<u8>; BLOCK_BYTES]>);

const _: () = assert!(crate::sync::MODEL || size_of::<Block>() == BLOCK_BYTES);

// SAFETY: a block is touched by one thread at a time, and handed over with its node,
// by a release and an acquire. Plain bytes are Send.
unsafe impl Sync for Block {}
// SAFETY: as above.
unsafe impl Send for Block {}

impl Block {
    /// Writes bytes, as many as fit.
    ///
    /// # Safety
    /// - The block is the caller's: Private.
    #[inline(always)]
    pub(super) unsafe fn fill(&self, data: &[u8]) {
        let length = data.len().min(BLOCK_BYTES);
        // SAFETY: nobody else touches the block, per the caller; `length` bytes are
        // readable there and writable here, apart.
        self.0.with_mut(|bytes| unsafe {
            core::ptr::copy_nonoverlapping(data.as_ptr(), bytes.cast(), length);
        });
    }

    /// Where the bytes are.
    ///
    /// # Safety
    /// - The block is the caller's: Queued or Lent.
    #[inline(always)]
    pub(super) unsafe fn bytes(&self) -> NonNull<u8> {
        // SAFETY: nobody else touches the block, per the caller; the address alone is taken.
        self.0.with(|bytes| unsafe { NonNull::from(&*bytes).cast() })
    }
}

impl Slot for Block {
    const NEAR: usize = if crate::sync::MODEL { 1 } else { 2 };

    fn vacant() -> Self {
        Self(UnsafeCell::new([MaybeUninit::uninit(); BLOCK_BYTES]))
    }
}
