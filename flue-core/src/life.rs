//! Whether the thing in a slot is living, and which of the slot's things it is.
//!
//! One word counts the beginnings and the ends of a slot's lives, so an odd
//! count is a living thing and an even one is none. The odd count itself is the
//! *generation*: an address that carries it is right for exactly one life
//! (rule O2), and "still living" is one comparison.
//!
//! | state   | count | who may take a step                         |
//! |---------|-------|---------------------------------------------|
//! | Vacant  | even  | `begin`: whoever holds the slot's claim     |
//! | Living  | odd   | `end`: anybody; one caller's step is taken  |
//! | Spent   | last even | nobody: the slot is never given back    |
//!
//! # Ordering
//! 1. `begin` releases and `is` acquires: who finds a generation living sees
//!    what its creator wrote before.
//! 2. `end` releases, and acquires whatever it finds: who sees the end, for having come too
//!    late too, sees what was before it.
//!
//! # Progress
//! Wait-free: every step is one atomic operation.

use crate::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::sync::const_fn;
use crate::twin::{self, Twin};

/// The count at which a slot has had all the lives it can have.
const SPENT: u32 = if cfg!(flue_word = "16") { 6 } else { u32::MAX - 1 };
/// The count of a slot that is new. With `--cfg flue_aged` it is near its end.
const NEW: u32 = if cfg!(flue_aged) { SPENT - 6 } else { 0 };

/// Which life of a slot. Odd, and never used twice for one slot.
pub(crate) type Generation = u32;

/// A generation that no life ever has.
pub(crate) const NEVER: Generation = 0;

/// What `end` did.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// This call ended the life: its caller owes what follows from that.
    Now,
    /// It had ended before.
    Before,
}

/// The word that counts a slot's lives.
#[derive(Debug)]
pub(crate) struct Life(AtomicU32);

impl Life {
    const_fn! {
        /// A vacant slot whose generations all lie above `floor`.
        pub(crate) const fn vacant(floor: u32) -> Self {
            Self(AtomicU32::new(if floor > NEW { floor } else { NEW }))
        }
    }

    const_fn! {
        /// A life of which `NEVER` is the generation for ever.
        pub(crate) const fn eternal() -> Self {
            Self(AtomicU32::new(NEVER))
        }
    }

    /// Makes a fresh slot count from `floor`: an even count, perhaps made odd by
    /// one more. The caller holds its claim.
    pub(crate) fn raise(&self, floor: u32) {
        let floor = floor & !1;
        self.0.store(if floor > NEW { floor } else { NEW }, Relaxed); // Before its first claim.
    }

    /// Begins the next life. The caller holds the slot's claim.
    pub(crate) fn begin(&self) -> Generation {
        let generation = self.next();
        self.0.store(generation, Release); // Ordering 1; sole writer while vacant.
        generation
    }

    /// The generation that `begin` would return.
    pub(crate) fn next(&self) -> Generation {
        let count = self.0.load(Relaxed); // Claimed by the caller.
        debug_assert!(count.is_multiple_of(2) && count != SPENT, "the slot is not vacant");
        count + 1
    }

    /// Ends the life `generation` if it has not ended yet.
    pub(crate) fn end(&self, generation: Generation) -> Ended {
        if generation.is_multiple_of(2) {
            return Ended::Before;
        }
        if twin::is(Twin::EndInTwoSteps) && self.is(generation) {
            self.0.store(generation + 1, Release);
            return Ended::Now;
        }
        match self.0.compare_exchange(generation, generation + 1, AcqRel, Acquire) {
            Ok(_) => Ended::Now,
            Err(_) => Ended::Before,
        }
    }

    /// Whether `generation` is living.
    #[inline(always)]
    pub(crate) fn is(&self, generation: Generation) -> bool {
        self.0.load(Acquire) == generation
    }

    /// As `is`, but a step: of it and `end` one is first. So either this says
    /// `false`, or who ends the life sees all that was before this.
    pub(crate) fn confirm(&self, generation: Generation) -> bool {
        self.0.fetch_or(0, Release) == generation
    }

    /// The generation that is living now.
    pub(crate) fn living(&self) -> Option<Generation> {
        let count = self.0.load(Acquire);
        (count % 2 == 1).then_some(count)
    }

    /// The generation that is living now, or was the last one.
    pub(crate) fn latest(&self) -> Generation {
        self.0.load(Acquire).wrapping_sub(1) | 1
    }

    /// Whether the slot has no lives left and must never be claimed again.
    pub(crate) fn is_spent(&self) -> bool {
        self.0.load(Relaxed) == SPENT
    }

    /// The count so far: the floor for whatever takes the slot's place.
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Acquire)
    }
}

/// A slot and one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) index: u32,
    pub(crate) generation: Generation,
}

impl Address {
    /// The address of nothing.
    pub(crate) const NOWHERE: Self = Self { index: 0, generation: NEVER };

    pub(crate) fn is_nowhere(self) -> bool {
        self.generation == NEVER
    }
}

/// An address in a slot that is validated by another word: the two halves are
/// read and written one by one, and whoever reads them checks that word after.
#[derive(Debug)]
pub(crate) struct AddressCell {
    index: AtomicU32,
    generation: AtomicU32,
}

impl AddressCell {
    const_fn! {
        pub(crate) const fn nowhere() -> Self {
            Self { index: AtomicU32::new(0), generation: AtomicU32::new(NEVER) }
        }
    }

    /// Reads both halves. Acquire, so that a half written for a later life also
    /// shows the end of the earlier one to the check that follows.
    #[inline(always)]
    pub(crate) fn load(&self) -> Address {
        Address { index: self.index.load(Acquire), generation: self.generation.load(Acquire) }
    }

    /// Writes both halves; release pairs with the acquire of `load`.
    pub(crate) fn store(&self, address: Address) {
        self.index.store(address.index, Release);
        self.generation.store(address.generation, Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Rule O2: a generation is right for one life only.
    #[test]
    fn a_generation_is_one_life() {
        let life = Life::vacant(0);
        let first = life.begin();
        assert!(life.is(first) && life.latest() == first);
        assert_eq!(life.end(first), Ended::Now);
        assert_eq!(life.latest(), first);
        assert_eq!(life.end(first), Ended::Before);
        let second = life.begin();
        assert!(first != second && !life.is(first) && life.is(second));
    }

    /// Rule O2: the last life is followed by none.
    #[test]
    fn a_slot_is_spent_before_its_count_wraps() {
        let life = Life::vacant(SPENT - 2);
        let last = life.begin();
        assert_eq!(last, u32::MAX - 2);
        assert!(!life.is_spent());
        assert_eq!(life.end(last), Ended::Now);
        assert!(life.is_spent());
    }

    /// A slot that was made anew goes on above what was counted there.
    #[test]
    fn a_fresh_slot_counts_from_its_floor() {
        for (floor, next) in [(NEW + 2, NEW + 3), (NEW + 3, NEW + 3), (NEW, NEW + 1), (0, NEW + 1)]
        {
            let life = Life::vacant(NEW);
            life.raise(floor);
            assert_eq!(life.begin(), next, "from {floor}");
        }
    }

    #[test]
    fn who_confirms_a_life_hears_of_its_end() {
        let life = Life::vacant(NEW);
        let generation = life.begin();
        assert!(life.confirm(generation));
        assert_eq!(life.end(generation), Ended::Now);
        assert!(!life.confirm(generation));
    }

    #[test]
    fn a_vacant_count_is_no_generation() {
        let life = Life::vacant(4);
        assert_eq!(life.end(4), Ended::Before, "even counts are not lives");
        assert_eq!((life.living(), life.latest()), (None, 3));
    }
}
