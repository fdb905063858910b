//! A segment: a run of slots and the word that says which of them are free.
//!
//! # States of a slot
//! | state   | free bit | slots   | who may write the slot                     |
//! |---------|----------|---------|--------------------------------------------|
//! | Hollow  | 0        | null    | nobody: it is not there                    |
//! | Free    | 1        | there   | nobody                                     |
//! | Claimed | 0        | there   | its claimant, by the slot's own rules      |
//!
//! # Transitions
//! | step      | from         | to       | owes                               |
//! |-----------|--------------|----------|------------------------------------|
//! | install   | all Hollow   | Claimed by the installer, which gives back what it does not want | |
//! | claim     | Free, one or several | Claimed | `give_back`                 |
//! | give_back | Claimed      | Free     |                                    |
//! | retire    | all Free     | all Claimed, then Hollow | freeing the slots after the last pin |
//!
//! # Ordering
//! 1. `give_back` releases and `claim` acquires: a claimant sees what the last
//!    one left.
//! 2. Setting `slots` releases, `peek` acquires: who finds a slot without a claim
//!    sees it made.
//!
//! # Progress
//! Lock-free; see the arena.

use crate::reclaim::Pin;
use crate::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::twin::{self, Twin};
use core::ptr;

/// Slots of a segment: half a word's bits, so that places are shifts.
pub(crate) const SLOTS: usize = if crate::sync::MODEL { 4 } else { crate::bits::WORD as usize / 2 };

const ALL: usize = (1 << SLOTS) - 1;

/// What an arena is made of.
pub(crate) trait Slot: Sized + 'static {
    /// A slot that nobody has used.
    fn vacant() -> Self;

    /// The count that whatever replaces this slot must start from (rule O2).
    fn floor(&self) -> u32 {
        0
    }

    /// Makes a fresh slot start from `floor`, which was rounded up to be odd.
    fn raise(&self, _floor: u32) {}

    /// How many slots the words that name them can tell apart. No arena has more; one
    /// that grows lets half of them be claimed, for its slots may lie scattered.
    const NAMES: usize = usize::MAX;

    /// How many of the first segments are made together and stay.
    const NEAR: usize = 1;

    /// Whether free slots hold memory that `reclaim` gives back.
    const HOLDS_MEMORY: bool = false;

    /// Gives back what this free slot holds besides itself. The caller has
    /// claimed it for this.
    fn reclaim(&self, _pin: &Pin) {}
}

/// The header of a segment: two words, for it stays when the slots are gone
/// (rule Q2).
pub(crate) struct Segment<T: Slot> {
    free: AtomicUsize,
    /// The slots; while there are none, null or the floor that the last ones
    /// left, which is odd as no address of theirs is.
    slots: AtomicPtr<T>,
}

/// Whether what `Segment::slots` says is an address.
#[inline(always)]
fn are_there<T>(slots: *mut T) -> bool {
    const { assert!(align_of::<T>() > 1) };
    !slots.is_null() && slots.addr().is_multiple_of(2)
}

impl<T: Slot> Segment<T> {
    /// The header of slots that exist already, the first `count` of which may be claimed.
    pub(super) fn over(slots: *mut T, count: usize) -> Self {
        let free = if count >= SLOTS { ALL } else { (1 << count) - 1 };
        Self { free: AtomicUsize::new(free), slots: AtomicPtr::new(slots) }
    }

    pub(super) fn is_hollow(&self) -> bool {
        !are_there(self.slots.load(Relaxed)) // A hint: `install` looks again.
    }

    /// # Safety
    /// - The slot at `at` is claimed and stays so, or the arena never retires
    ///   and it was claimed once.
    #[inline(always)]
    pub(super) unsafe fn slot(&self, at: usize) -> &T {
        // SAFETY: per the caller the slots are there and stay, and their claimant has
        // seen them made (Ordering 1); `at` < SLOTS by the callers' arithmetic.
        unsafe { &*self.slots.load(Relaxed).add(at) }
    }

    /// The slot, if there is one now; see the arena's `peek`.
    #[inline]
    pub(super) fn peek(&self, at: usize) -> Option<&T> {
        let slots = self.slots.load(Acquire);
        if !are_there(slots) {
            return None;
        }
        // SAFETY: the caller is pinned, so slots retired after its pin stay
        // (Ordering 2 shows them made); `at` < SLOTS.
        Some(unsafe { &*slots.add(at) })
    }

    /// Visits the slots that are claimed, of the first `count`.
    pub(super) fn visit<'s>(&'s self, count: usize, mut visit: impl FnMut(usize, &'s T)) {
        // Who announced what lies in a slot had claimed it before; `peek` acquires it.
        let mut claimed = (ALL >> (SLOTS - count)) & !self.free.load(Relaxed);
        while claimed != 0 {
            let at = claimed.trailing_zeros() as usize;
            claimed &= claimed - 1;
            match self.peek(at) {
                Some(slot) => visit(at, slot),
                None => return,
            }
        }
    }

    /// Claims up to `want` free slots, the first at or after `from`, cyclically.
    #[inline]
    pub(super) fn claim(&self, from: usize, want: usize) -> Option<usize> {
        let mut free = self.free.load(Relaxed);
        loop {
            if free == 0 {
                return None;
            }
            let mask = pick(free, from, want);
            if twin::is(Twin::ClaimInTwoSteps) {
                self.free.store(free & !mask, Release);
                return Some(mask);
            }
            let acquire = twin::unless(Twin::ClaimUnacquired, Acquire);
            match self.free.compare_exchange_weak(free, free & !mask, acquire, Relaxed) {
                Ok(_) => return Some(mask), // Ordering 1.
                Err(now) => free = now,
            }
        }
    }

    /// Claims the first free slot at or after `from`, cyclically, and returns
    /// its place. Places wrap, so any number will do.
    #[inline]
    pub(super) fn claim_one(&self, from: usize) -> Option<usize> {
        let mask = self.claim(from % SLOTS, 1)?;
        Some(mask.trailing_zeros() as usize)
    }

    /// Gives back the slots of `mask`.
    #[inline]
    pub(super) fn give_back(&self, mask: usize) {
        let before = self.free.fetch_or(mask, twin::unless(Twin::GiveBackUnreleased, Release)); // Ordering 1.
        debug_assert!(before & mask == 0, "a slot was given back twice");
    }
}

/// Up to `want` set bits of `free`, from bit `from` on, then from the lowest.
#[inline]
fn pick(free: usize, from: usize, want: usize) -> usize {
    if want >= SLOTS {
        return free;
    }
    let upper = free & (usize::MAX << from);
    let mut left = if upper != 0 { upper } else { free };
    if want == 1 {
        return left & left.wrapping_neg();
    }
    let mut mask = 0;
    for _ in 0..want {
        if left == 0 {
            break;
        }
        mask |= left & left.wrapping_neg();
        left &= left - 1;
    }
    mask
}

#[cfg(feature = "alloc")]
pub(crate) mod memory {
    //! The allocator, with a way to fail.

    use crate::sync::atomic::{
        AtomicPtr,
        Ordering::{Relaxed, Release},
    };
    use alloc::alloc::{alloc, dealloc};
    use core::alloc::Layout;
    use core::ptr;

    /// The allocator had nothing.
    #[derive(Debug)]
    pub(crate) struct Refused;

    /// `count` values of `T`, each made by `make`.
    pub(crate) fn allocate<T>(count: usize, make: impl Fn() -> T) -> Result<*mut T, Refused> {
        const { assert!(size_of::<T>() > 0) };
        let layout = Layout::array::<T>(count).map_err(|_| Refused)?;
        // SAFETY: the layout is not empty: `count` is positive in every call
        // and `T` has a size (above).
        let memory = unsafe { alloc(layout) }.cast::<T>();
        if memory.is_null() {
            return Err(Refused);
        }
        for n in 0..count {
            // SAFETY: within the allocation, which nobody else knows yet.
            unsafe { memory.add(n).write(make()) };
        }
        Ok(memory)
    }

    /// Drops and frees what `allocate` made.
    ///
    /// # Safety
    /// - `memory` came from `allocate` with the same `count`, and is used no more.
    pub(crate) unsafe fn free<T>(memory: *mut T, count: usize) {
        for n in 0..count {
            // SAFETY: made by `allocate`, dropped once.
            unsafe { memory.add(n).drop_in_place() };
        }
        if crate::twin::is(crate::twin::Twin::Unpinned) {
            return; // Kept, so that who looks at it too late may say so.
        }
        // SAFETY: the same layout was computed for the allocation, so it exists.
        unsafe { dealloc(memory.cast(), Layout::array::<T>(count).unwrap_unchecked()) };
    }

    /// Sees to it that `cell` leads to `count` values, made here unless somebody was
    /// first. Partner: the acquiring load of whoever follows it.
    #[inline]
    pub(crate) fn publish<T>(
        cell: &AtomicPtr<T>,
        count: usize,
        make: impl Fn() -> T,
    ) -> Result<(), Refused> {
        if !cell.load(Relaxed).is_null() {
            return Ok(());
        }
        let fresh = allocate(count, make)?;
        if cell.compare_exchange(ptr::null_mut(), fresh, Release, Relaxed).is_err() {
            // SAFETY: allocated above, never published.
            unsafe { free(fresh, count) };
        }
        Ok(())
    }
}

#[cfg(feature = "alloc")]
impl<T: Slot> Segment<T> {
    /// The header of slots that are not there yet.
    pub(super) fn hollow() -> Self {
        Self { free: AtomicUsize::new(0), slots: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Makes the slots, claims up to `want` of them and frees the rest. `None`:
    /// somebody else was first.
    pub(super) fn install(&self, want: usize) -> Result<Option<usize>, memory::Refused> {
        let before = self.slots.load(Relaxed);
        if are_there(before) {
            return Ok(None);
        }
        let fresh = memory::allocate(SLOTS, T::vacant)?;
        // Release: Ordering 2.
        if twin::is(Twin::InstallInTwoSteps) {
            self.slots.store(fresh, Release);
        } else if self.slots.compare_exchange(before, fresh, Release, Relaxed).is_err() {
            // SAFETY: allocated above, never published.
            unsafe { memory::free(fresh, SLOTS) };
            return Ok(None);
        }
        let floor = before.addr() as u32;
        for at in 0..SLOTS {
            // SAFETY: installed by this call; no bit is free, so nobody retires it.
            unsafe { self.slot(at) }.raise(floor);
        }
        let mine = pick(ALL, 0, want);
        if mine != ALL {
            self.give_back(ALL & !mine);
        }
        Ok(Some(mine))
    }

    /// Takes over slots that were made elsewhere, and frees them to be claimed,
    /// unless that was done.
    pub(super) fn adopt(&self, slots: *mut T) {
        // Release: Ordering 2.
        if self.slots.compare_exchange(ptr::null_mut(), slots, Release, Relaxed).is_ok() {
            self.give_back(ALL);
        }
    }

    /// Forgets slots that are freed elsewhere. For the arena's end.
    pub(super) fn disown(&self) {
        self.slots.store(ptr::null_mut(), Relaxed);
    }

    /// Gives back what free slots hold and, if `retire` and all are free, the
    /// slots themselves.
    pub(super) fn reclaim(&self, pin: &Pin, retire: bool) {
        let may_retire = retire && self.free.load(Relaxed) == ALL;
        if !T::HOLDS_MEMORY && !may_retire {
            return;
        }
        let Some(mask) = self.claim(0, SLOTS) else { return };
        if T::HOLDS_MEMORY {
            for at in (0..SLOTS).filter(|at| mask & (1 << at) != 0) {
                // SAFETY: claimed just now.
                unsafe { self.slot(at) }.reclaim(pin);
            }
        }
        let is_sole = mask == ALL || twin::is(Twin::RetireUncounted);
        if is_sole && retire && crate::reclaim::RECLAIMS {
            self.retire(pin);
        } else {
            self.give_back(mask);
        }
    }

    /// Takes the slots out of use. The caller has claimed every one.
    fn retire(&self, pin: &Pin) {
        let slots = self.slots.load(Relaxed); // Seen by the claim.
        // SAFETY: all claimed by the caller.
        let floor = (0..SLOTS).map(|at| unsafe { self.slot(at) }.floor()).max();
        let left = ptr::without_provenance_mut(floor.unwrap_or(0) as usize | 1);
        self.slots.store(left, Relaxed); // The floor is all that is left of them.
        // SAFETY: no claim on them is left and none can be made, so only those
        // who peeked before now, pinned, can still look; they were made by
        // `allocate` with this count.
        unsafe { crate::reclaim::retire(pin, slots, SLOTS) };
    }
}

#[cfg(feature = "alloc")]
impl<T: Slot> Drop for Segment<T> {
    fn drop(&mut self) {
        let slots = self.slots.load(Relaxed);
        if are_there(slots) {
            // SAFETY: `&mut self`; `install` set them, from `allocate`. A fixed
            // arena's headers are never dropped.
            unsafe { memory::free(slots, SLOTS) };
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn picks_in_rotation() {
        assert_eq!(pick(0b1011, 1, 1), 0b0010);
        assert_eq!(pick(0b1011, 2, 1), 0b1000);
        assert_eq!(pick(0b0011, 2, 1), 0b0001, "wraps to the lowest");
        assert_eq!(pick(0b1011, 0, 2), 0b0011);
        assert_eq!(pick(0b1011, 0, SLOTS), 0b1011);
    }
}
