//! Counts of references: what is counted ends with the last one.
//!
//! # States
//! | count         | what is so                                                    |
//! |---------------|---------------------------------------------------------------|
//! | 0             | it has ended, or not begun: no reference can be had           |
//! | 1 to `MOST`   | so many references                                            |
//! | above `MOST`  | *stuck*: too many were forgotten; it never ends               |
//!
//! A count that wrapped would end what is in use, and a panic at its end would
//! be one that processes could reach. So it sticks: whoever steps a count above
//! `MOST` sets it to `STUCK`, and before it came from there to either end there
//! would have to be as many steps under way at one instant.
//!
//! # Ordering
//! 1. Giving back releases, and the last one acquires: whatever was done with a
//!    reference is before the end.
//!
//! # Progress
//! Lock-free; wait-free but for `try_add` and `give_back_unless_last`.

use crate::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::sync::const_fn;

const MOST: u32 = u32::MAX / 2;
const STUCK: u32 = MOST + MOST / 2;

/// A count of references.
#[derive(Debug)]
pub(crate) struct Refs(AtomicU32);

impl Refs {
    const_fn! {
        /// No references.
        pub(crate) const fn new() -> Self {
            Self(AtomicU32::new(0))
        }
    }

    /// Begins anew with one reference. What was written before is seen by who
    /// takes another one.
    pub(crate) fn open(&self) {
        self.0.store(1, Release); // Partner: `try_add`.
    }

    /// One more, for somebody who has one, or for whom another one is kept.
    pub(crate) fn add(&self) {
        let before = self.0.fetch_add(1, Relaxed);
        self.stick(before);
    }

    /// One more, if there is one.
    #[must_use]
    pub(crate) fn try_add(&self) -> bool {
        let mut seen = self.0.load(Relaxed);
        while seen != 0 {
            // Partner: `open`.
            match self.0.compare_exchange_weak(seen, seen.wrapping_add(1), Acquire, Relaxed) {
                Ok(before) => {
                    self.stick(before);
                    return true;
                }
                Err(now) => seen = now,
            }
        }
        false
    }

    /// One fewer. `true`: it was the last, and the caller ends what is counted.
    #[must_use]
    pub(crate) fn give_back(&self) -> bool {
        let before = self.0.fetch_sub(1, AcqRel); // Ordering 1.
        self.stick(before);
        before == 1
    }

    /// One fewer, if it is not the last. `false`: it is, and still the caller's.
    #[must_use]
    pub(crate) fn give_back_unless_last(&self) -> bool {
        let mut seen = self.0.load(Relaxed);
        while seen > 1 {
            match self.0.compare_exchange_weak(seen, seen - 1, Release, Relaxed) {
                Ok(before) => {
                    self.stick(before);
                    return true; // Ordering 1.
                }
                Err(now) => seen = now,
            }
        }
        false
    }

    fn stick(&self, before: u32) {
        if before >= MOST {
            self.0.store(STUCK, Relaxed); // Nothing depends on it any more.
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_ends_it() {
        let refs = Refs::new();
        assert!(!refs.try_add(), "there is none to begin with");
        refs.open();
        refs.add();
        assert!(refs.try_add());
        assert!(refs.give_back_unless_last() && !refs.give_back());
        assert!(!refs.give_back_unless_last() && refs.give_back());
        assert!(!refs.try_add());
    }

    /// Rule Q3: as many references as can be counted panic nowhere, and end nothing.
    #[test]
    fn a_count_at_its_maximum_sticks() {
        for step in [Refs::add, |refs: &Refs| assert!(refs.try_add())] {
            let refs = Refs(AtomicU32::new(MOST));
            step(&refs);
            (0..3).for_each(|_| assert!(!refs.give_back()));
            assert!(refs.give_back_unless_last());
            assert_eq!(refs.0.load(Relaxed), STUCK);
        }
        let refs = Refs(AtomicU32::new(MOST - 1));
        refs.add();
        assert_eq!(refs.0.load(Relaxed), MOST, "not yet");
    }
}
