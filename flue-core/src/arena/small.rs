//! A small arena: the first few slots in place, the rest in an arena of its own
//! that is made when it is first needed.
//!
//! Most tables hold a few handles and most groups a few routes: for them this
//! is one word and no further memory.
//!
//! # Who may look at a slot
//! As in [`Arena`]; besides, *settled* slots, the first ones and those of the
//! first segment of the rest, stay as long as their owner, so they are looked
//! up without a pin.
//!
//! # Progress
//! Lock-free, as the arena's.

use super::{Arena, Exhausted, SLOTS, Slot};
use crate::reclaim::Pin;
use crate::sync::atomic::{
    AtomicPtr, AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sync::const_fn;
use core::ptr;

/// The first `F` slots in place, more behind a pointer.
pub(crate) struct Small<T: Slot, const F: usize> {
    /// Which of the first slots are claimed.
    taken: AtomicU32,
    /// Where the last of them was claimed: rotates reuse.
    cursor: AtomicU32,
    first: [T; F],
    rest: AtomicPtr<Arena<T>>,
}

impl<T: Slot, const F: usize> Small<T, F> {
    const ALL: u32 = u32::MAX >> (32 - F);

    const_fn! {
        /// A small arena over `first`.
        pub(crate) const fn new(first: [T; F]) -> Self {
            Self {
                taken: AtomicU32::new(0),
                cursor: AtomicU32::new(0),
                first,
                rest: AtomicPtr::new(ptr::null_mut()),
            }
        }
    }

    /// The slot at `index`, if it is there and stays as long as its owner.
    #[inline(always)]
    pub(crate) fn settled(&self, index: u32) -> Option<&T> {
        if let Some(slot) = self.first.get(index as usize) {
            return Some(slot);
        }
        self.settled_beyond(index)
    }

    #[inline(never)]
    fn settled_beyond(&self, index: u32) -> Option<&T> {
        if cfg!(feature = "alloc") && index as usize >= F + SLOTS {
            return None;
        }
        // SAFETY: the segment of a settled slot is never retired while this
        // arena's owner, who is asking, is there.
        unsafe { self.rest()?.peek_unpinned(index - F as u32) }
    }

    /// The slot at `index`, if there is one now; see [`Arena::peek`].
    #[inline]
    pub(crate) fn peek<'p>(&'p self, pin: &'p Pin, index: u32) -> Option<&'p T> {
        if let Some(slot) = self.first.get(index as usize) {
            return Some(slot);
        }
        self.rest()?.peek(pin, index - F as u32)
    }

    /// The slot at `index`.
    ///
    /// # Safety
    /// - The caller holds its claim while the reference is used.
    #[inline]
    pub(crate) unsafe fn slot(&self, index: u32) -> &T {
        if let Some(slot) = self.first.get(index as usize) {
            return slot;
        }
        // SAFETY: claimed beyond the first ones, so `rest` was set before; the
        // caller holds the claim.
        unsafe { (*self.rest.load(Relaxed)).slot(index - F as u32) }
    }

    /// Above every index that was ever claimed.
    pub(crate) fn span(&self) -> u32 {
        (F + self.rest().map_or(0, Arena::span)) as u32
    }

    fn rest(&self) -> Option<&Arena<T>> {
        // SAFETY: set to an arena that stays while `self` does, or until
        // `clear`, whose caller is alone but for those pinned.
        unsafe { self.rest.load(Acquire).as_ref() }
    }

    /// Claims one slot.
    pub(crate) fn claim(&self) -> Result<u32, Exhausted> {
        let mut taken = self.taken.load(Relaxed);
        while taken != Self::ALL {
            let free = Self::ALL & !taken;
            let from = self.cursor.load(Relaxed) % F as u32;
            let upper = free & (u32::MAX << from);
            let bit = if upper != 0 { upper } else { free }.trailing_zeros();
            // Acquire pairs with the release in `give_back`.
            match self.taken.compare_exchange_weak(taken, taken | 1 << bit, Acquire, Relaxed) {
                Ok(_) => {
                    self.cursor.store(bit + 1, Relaxed); // A hint.
                    return Ok(bit);
                }
                Err(now) => taken = now,
            }
        }
        Ok(self.rest_made()?.claim()? + F as u32)
    }

    /// Gives back one slot.
    pub(crate) fn give_back(&self, index: u32) {
        if (index as usize) < F {
            let before = self.taken.fetch_and(!(1 << index), Release); // Partner: `claim`.
            debug_assert!(before & (1 << index) != 0, "a slot was given back twice");
        } else if let Some(rest) = self.rest() {
            rest.give_back(index - F as u32);
        }
    }

    /// Visits the slots that are claimed; see [`Arena::visit`].
    #[cfg(feature = "alloc")]
    pub(crate) fn visit<'p>(&'p self, pin: &'p Pin, mut visit: impl FnMut(&'p T)) {
        let taken = self.taken.load(Relaxed);
        for (at, slot) in self.first.iter().enumerate() {
            if taken & (1 << at) != 0 {
                visit(slot);
            }
        }
        if let Some(rest) = self.rest() {
            rest.visit(pin, |_, slot| visit(slot));
        }
    }

    /// Slots claimed now.
    #[cfg(feature = "alloc")]
    pub(crate) fn live(&self) -> usize {
        self.taken.load(Relaxed).count_ones() as usize + self.rest().map_or(0, Arena::live)
    }

    /// Whether no slot is claimed.
    #[cfg(feature = "alloc")]
    pub(crate) fn is_idle(&self) -> bool {
        self.taken.load(Relaxed) == 0 && self.rest().is_none_or(Arena::is_idle)
    }

    /// Gives this the fixed arena `rest` for its further slots.
    ///
    /// # Safety
    /// - `rest` is for this alone and stays as long as this is used; whoever looks at
    ///   this later has acquired what the caller releases after this.
    pub(crate) unsafe fn wire(&self, rest: *mut Arena<T>) {
        self.rest.store(rest, Relaxed);
    }

    #[cfg(not(feature = "alloc"))]
    fn rest_made(&self) -> Result<&Arena<T>, Exhausted> {
        self.rest().ok_or(Exhausted::Limit)
    }
}

#[cfg(feature = "alloc")]
mod growing {
    use super::*;
    use crate::arena::memory;

    impl<T: Slot, const F: usize> Small<T, F> {
        pub(super) fn rest_made(&self) -> Result<&Arena<T>, Exhausted> {
            let make = || Arena::new((u32::MAX as usize).min(T::NAMES) / 2);
            let made = memory::publish(&self.rest, 1, make); // Partner: `rest`.
            made.ok().and_then(|()| self.rest()).ok_or(Exhausted::Memory)
        }

        /// Gives back the memory of further slots that are all free, but for
        /// the settled ones. For the living owner.
        pub(crate) fn reclaim(&self, pin: &Pin) {
            if let Some(rest) = self.rest() {
                rest.reclaim(pin, 1);
            }
        }

        /// Claims all slots there are or could be, if none is claimed: nobody
        /// can claim one from then on. One word decides for each part.
        pub(crate) fn seal(&self) -> bool {
            if self.rest().is_some_and(|rest| !rest.seal()) {
                return false;
            }
            // Partner: `give_back`.
            if self.taken.compare_exchange(0, Self::ALL, Acquire, Relaxed).is_err() {
                if let Some(rest) = self.rest() {
                    rest.unseal();
                }
                return false;
            }
            true
        }

        /// Gives back all further slots, if none is claimed.
        pub(crate) fn clear(&self, pin: &Pin) {
            if !crate::reclaim::RECLAIMS || self.rest().is_none_or(Arena::is_wired) || !self.seal()
            {
                return;
            }
            let rest = self.rest.swap(ptr::null_mut(), Relaxed); // Acquired by `seal`.
            self.taken.store(0, Release); // Unsealed: the first slots stay. Partner: `claim`.
            if !rest.is_null() {
                // SAFETY: sealed, so no claim is left and none can be made:
                // only those pinned before still look. Made by `allocate` with
                // this count.
                unsafe { crate::reclaim::retire(pin, rest, 1) };
            }
        }
    }

    impl<T: Slot, const F: usize> Drop for Small<T, F> {
        fn drop(&mut self) {
            let rest = self.rest.load(Relaxed); // `&mut self`.
            // SAFETY: `rest` is null or stays as long as this.
            let Some(arena) = (unsafe { rest.as_ref() }) else { return };
            if !arena.is_wired() {
                // SAFETY: `&mut self`, so nobody looks; made by `allocate` with
                // this count, since it is not a fixed one.
                unsafe { memory::free(rest, 1) };
            }
        }
    }
}
