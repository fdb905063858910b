//! A table's magazine: a few message nodes at hand, so that a send does not go
//! to the office for each.
//!
//! (After the magazines of Bonwick and Adams 2001, with one word deciding.)
//!
//! # The word
//! ```text
//!  most significant              least significant
//! ┌──────────────┬──────────┬───────────────┐
//! │   version    │ filling  │  full places  │
//! └──────────────┴──────────┴───────────────┘
//! ```
//!
//! # States
//! | state   | full places | filling | may read a full place | may write the places |
//! |---------|-------------|---------|-----------------------|----------------------|
//! | Stocked | some        | 0       | anybody, then takes it by the word | nobody  |
//! | Empty   | none        | 0       | -                     | nobody               |
//! | Filling | any         | 1       | as in Stocked         | who began filling: the places that were empty then |
//!
//! # Transitions
//! | step  | from    | to                       | owes                          |
//! |-------|---------|--------------------------|-------------------------------|
//! | take  | Stocked | one place fewer          |                               |
//! | begin | any but Filling | Filling          | the places, then `end`        |
//! | end   | Filling | Stocked, next version    |                               |
//!
//! # Ordering
//! 1. `end` releases, `take` acquires: who takes a place reads what was put
//!    there. The version tells a refilled place from the one that was looked at.
//!
//! # Progress
//! Lock-free. While one is filling the others go to the office themselves; one
//! that stops there keeps what it had claimed and this magazine, nothing else.

use crate::sync::const_fn;

/// Nodes that a magazine, or a mailbox's stash, holds at most.
pub(crate) const MAGAZINE: usize = if crate::sync::MODEL {
    2
} else if cfg!(feature = "alloc") {
    16
} else {
    1
};

#[cfg(feature = "alloc")]
pub(crate) use stocked::Magazine;

#[cfg(feature = "alloc")]
mod stocked {
    use super::*;
    use crate::bits::Field;
    use crate::sync::atomic::{
        AtomicU32, AtomicUsize,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    };
    use crate::sync::each_new;
    use crate::twin::{self, Twin};

    const FULL: Field = Field::lowest(MAGAZINE as u32);
    const FILLING: Field = Field::above(FULL, 1);
    const VERSION: Field = Field::rest(FILLING);

    /// Nodes at hand.
    pub(crate) struct Magazine {
        word: AtomicUsize,
        places: [AtomicU32; MAGAZINE],
        /// How many nodes the next refill asks for: a table that sends seldom keeps few.
        appetite: AtomicU32,
    }

    impl Magazine {
        const_fn! {
            pub(crate) const fn new() -> Self {
                Self {
                    word: AtomicUsize::new(0),
                    places: each_new!(AtomicU32::new(0); MAGAZINE),
                    appetite: AtomicU32::new(0),
                }
            }
        }

        /// Takes a node, if there is one.
        #[inline]
        pub(crate) fn take(&self) -> Option<u32> {
            let mut seen = self.word.load(Acquire);
            loop {
                let full = FULL.get(seen);
                if full == 0 {
                    return None;
                }
                let place = full.trailing_zeros() as usize;
                // SAFETY: a bit of `FULL`, whose width is the number of places.
                let node = unsafe { self.places.get_unchecked(place) }.load(Relaxed);
                let taken = FULL.set(seen, full & (full - 1));
                // Ordering 1: success means the version is the one seen, so
                // the place was not refilled since.
                match self.word.compare_exchange_weak(seen, taken, AcqRel, Acquire) {
                    Ok(_) => return Some(node),
                    Err(now) => seen = now,
                }
            }
        }

        /// How many nodes to fetch now that it is empty: twice as many as the last time.
        pub(crate) fn appetite(&self) -> usize {
            let last = self.appetite.load(Relaxed); // A hint.
            let next = (last * 2).clamp(1, MAGAZINE as u32);
            self.appetite.store(next, Relaxed);
            next as usize
        }

        /// Puts nodes into the empty places, as many as there are; the rest stays.
        pub(crate) fn fill(&self, nodes: &mut impl Iterator<Item = u32>) {
            let seen = self.word.load(Relaxed);
            let empty = FULL.max() & !FULL.get(seen);
            if empty == 0 || (FILLING.get(seen) != 0 && !twin::is(Twin::FillUnclaimed)) {
                return;
            }
            // Acquire: whoever took what lay in the empty places has read it.
            if self.word.compare_exchange(seen, FILLING.set(seen, 1), Acquire, Relaxed).is_err() {
                return;
            }
            let (mut left, mut filled) = (empty, 0);
            while left != 0 {
                let Some(node) = nodes.next() else { break };
                // SAFETY: a bit of `FULL`, whose width is the number of places.
                let place = unsafe { self.places.get_unchecked(left.trailing_zeros() as usize) };
                place.store(node, Relaxed);
                filled |= left & left.wrapping_neg();
                left &= left - 1;
            }
            let mut seen = self.word.load(Relaxed);
            loop {
                let stocked = FULL.set(FILLING.set(seen, 0), FULL.get(seen) | filled);
                let stocked = if twin::is(Twin::MagazineKeepsVersion) {
                    stocked
                } else {
                    VERSION.advance(stocked)
                };
                // Release: Ordering 1.
                match self.word.compare_exchange_weak(seen, stocked, Release, Relaxed) {
                    Ok(_) => return,
                    Err(now) => seen = now, // Somebody took one.
                }
            }
        }
    }
}
