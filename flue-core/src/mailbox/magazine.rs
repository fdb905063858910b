//! A table's magazine: a few message nodes, or blocks, at hand, so that a send does not go
//! to the office for each.
//!
//! (After the magazines of Bonwick and Adams 2001, with one word that is all.)
//!
//! # The word
//! ```text
//!  most significant           least significant
//! ┌────────────────────┬───────────────────────┐
//! │      segment       │   its nodes at hand   │
//! └────────────────────┴───────────────────────┘
//! ```
//! The word says which nodes are at hand, not where that is written: so whatever
//! happened since it was looked at, if it is the same now, the same nodes are.
//! It needs no version.
//!
//! # Transitions
//! | step  | from            | to                 | owes                        |
//! |-------|-----------------|--------------------|-----------------------------|
//! | take  | some at hand    | one fewer          | the node                    |
//! | fill  | none at hand    | some, of one segment |                           |
//! | fill  | some of the same segment | some more |                             |
//!
//! # Ordering
//! 1. `fill` releases, `take` acquires: who takes a node sees it as it was left.
//!
//! # Progress
//! Lock-free: a step fails only because another went through.

use crate::arena::{Claim, SLOTS};
use crate::bits::Field;
use crate::sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sync::const_fn;
use crate::twin::{self, Twin};

const AT_HAND: Field = Field::lowest(SLOTS as u32);
const SEGMENT: Field = Field::rest(AT_HAND);

/// Nodes that a refill asks for at most, and that a mailbox keeps before it
/// gives them back together.
pub(crate) const BATCH: usize = if cfg!(feature = "alloc") { SLOTS } else { 1 };

/// Nodes at hand.
pub(crate) struct Magazine {
    word: AtomicUsize,
    /// How many nodes the next refill asks for: a table that sends seldom keeps few.
    appetite: AtomicU32,
}

impl Magazine {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self { word: AtomicUsize::new(0), appetite: AtomicU32::new(0) }
        }
    }

    /// Takes a node, if there is one.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<u32> {
        let mut seen = self.word.load(Relaxed);
        loop {
            let at_hand = AT_HAND.get(seen);
            if at_hand == 0 {
                return None;
            }
            let node = SEGMENT.get(seen) * SLOTS + at_hand.trailing_zeros() as usize;
            let taken = seen & (seen - 1); // The lowest bit is of `AT_HAND`.
            if twin::is(Twin::TakeInTwoSteps) {
                self.word.store(taken, Release);
                return Some(node as u32);
            }
            match self.word.compare_exchange_weak(seen, taken, Acquire, Relaxed) {
                Ok(_) => return Some(node as u32), // Ordering 1.
                Err(now) => seen = now,
            }
        }
    }

    /// How many nodes to fetch now that it is empty: twice as many as the last time.
    pub(crate) fn appetite(&self) -> usize {
        let last = self.appetite.load(Relaxed); // A hint.
        let next = (last * 2).clamp(1, BATCH as u32);
        self.appetite.store(next, Relaxed);
        next as usize
    }

    /// Puts the nodes of a claim at hand. `false`: there are others.
    #[must_use]
    pub(crate) fn fill(&self, claim: Claim) -> bool {
        let mut seen = self.word.load(Relaxed);
        loop {
            let same = SEGMENT.get(seen) == claim.segment();
            if AT_HAND.get(seen) != 0 && !same && !twin::is(Twin::FillBlind) {
                return false;
            }
            let kept = if same { AT_HAND.get(seen) } else { 0 };
            let full = SEGMENT.set(AT_HAND.set(0, kept | claim.mask()), claim.segment());
            match self.word.compare_exchange_weak(seen, full, Release, Relaxed) {
                Ok(_) => return true, // Ordering 1.
                Err(now) => seen = now,
            }
        }
    }
}

/// Nodes to be given back together, by segment: its owner's alone.
pub(crate) struct Spare {
    runs: [Claim; RUNS],
    count: u32,
    /// As many are given back together.
    batch: u32,
}

const RUNS: usize = if cfg!(feature = "alloc") { 4 } else { 1 };

impl Spare {
    /// For a receiver that keeps none, if `is_thrifty`.
    pub(crate) const fn new(is_thrifty: bool) -> Self {
        let batch = if is_thrifty { 1 } else { BATCH as u32 };
        Self { runs: [const { Claim::none() }; RUNS], count: 0, batch }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a node. What it returns is to be given back now.
    #[inline(always)]
    #[must_use]
    pub(crate) fn keep(&mut self, node: u32) -> Option<Claim> {
        self.count += 1;
        let [first, ..] = &mut self.runs;
        if first.try_extend(node) && self.count < self.batch {
            return None;
        }
        self.keep_slowly(node)
    }

    /// Finds the node's run, or makes room for it.
    #[cold]
    #[inline(never)]
    fn keep_slowly(&mut self, node: u32) -> Option<Claim> {
        let mut out = None;
        let added = self.runs.iter_mut().position(|run| run.try_add(node));
        let at = added.or_else(|| {
            out = self.take();
            self.runs.iter_mut().position(|run| run.try_add(node))
        });
        // The one that grows is the one that is looked at first.
        self.runs.swap(0, at.unwrap_or(0));
        if out.is_none() && self.count >= self.batch { self.take() } else { out }
    }

    /// Takes the largest run out.
    pub(crate) fn take(&mut self) -> Option<Claim> {
        if self.count == 0 {
            return None;
        }
        let largest = self.runs.iter_mut().max_by_key(|run| run.mask().count_ones())?;
        let run = core::mem::replace(largest, Claim::none());
        self.count = self.count.saturating_sub(run.mask().count_ones());
        (run.mask() != 0).then_some(run)
    }
}

#[cfg(all(test, not(loom), feature = "alloc"))]
mod tests {
    use super::*;

    fn claim(nodes: &[u32]) -> Claim {
        let mut claim = Claim::none();
        assert!(nodes.iter().all(|node| claim.try_add(*node)));
        claim
    }

    #[test]
    fn what_was_put_in_comes_out() {
        let magazine = Magazine::new();
        assert_eq!(magazine.take(), None);
        assert!(magazine.fill(claim(&[33, 35])));
        assert!(!magazine.fill(claim(&[1])), "others are at hand");
        assert!(magazine.fill(claim(&[40])));
        let mut all: alloc::vec::Vec<u32> = core::iter::from_fn(|| magazine.take()).collect();
        all.sort_unstable();
        assert_eq!(all, [33, 35, 40]);
    }

    /// Who sends seldom fetches little.
    #[test]
    fn the_appetite_doubles() {
        let magazine = Magazine::new();
        let fetched: alloc::vec::Vec<_> = (0..8).map(|_| magazine.appetite()).collect();
        let doubled: alloc::vec::Vec<_> = (0..8).map(|n| (1 << n).min(BATCH)).collect();
        assert_eq!(fetched, doubled);
    }

    #[test]
    fn spare_nodes_are_kept_apart_by_segment_and_none_is_lost() {
        let mut spare = Spare::new(false);
        let mut out = alloc::vec::Vec::new();
        let nodes: alloc::vec::Vec<u32> = (0..200).map(|n| (n * 37) % 6 * 32 + n % 32).collect();
        let mut unique: alloc::collections::BTreeSet<u32> = Default::default();
        for node in nodes {
            if unique.insert(node)
                && let Some(run) = spare.keep(node)
            {
                out.extend(run);
            }
        }
        while let Some(run) = spare.take() {
            out.extend(run);
        }
        out.sort_unstable();
        assert_eq!(out, unique.into_iter().collect::<alloc::vec::Vec<_>>());
    }
}
