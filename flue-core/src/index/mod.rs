//! An index over records in slots: at most one living record for each key.
//!
//! One sorted list links all records of the index; *buckets* are shortcuts into
//! it, added as it grows and never moved (Michael 2002 for the list, Shalev and
//! Shavit 2006 for the split order). A record is in the list by its index, and
//! each link carries a tag that advances with every change, so a slot that was
//! reused is never taken for what it was.
//!
//! ```text
//!  head ─► record ─► bucket 1 ─► record ─► record ─► nil      sorted by the
//!                       ▲                                     reversed hash
//!  buckets [1] ─────────┘
//! ```
//!
//! # The link
//! ```text
//!  most significant                      least significant
//! ┌─────────────────┬───────┬──────┬────────┬─────────────┐
//! │       tag       │ ready │ mark │ bucket │ target + 1  │
//! └─────────────────┴───────┴──────┴────────┴─────────────┘
//! ```
//!
//! # States of a record
//! | state    | its key    | its link  | who may give its slot back              |
//! |----------|------------|-----------|-----------------------------------------|
//! | Private  | its own    | free      | its maker                               |
//! | Listed   | some       | unmarked  | nobody                                  |
//! | Dead     | none       | unmarked  | nobody: whoever passes marks it         |
//! | Marked   | none       | marked    | nobody: whoever passes unlinks it       |
//! | Unlinked | none       | marked    | whoever's step unlinked it              |
//!
//! A record becomes Dead by its own word, never by the index, and never comes
//! back from it.
//!
//! # Ordering
//! 1. Publishing a link releases, following it acquires: who finds a record
//!    sees it filled.
//! 2. What was read of a record counts only if the link that led to it is
//!    unchanged after: then it was listed all the while.
//!
//! # Progress
//! Lock-free: a walk starts again only if another's change went through. A
//! bucket that somebody is still adding is passed over.

use crate::bits::{Field, WORD};
use crate::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sync::const_fn;
use crate::twin::{self, Twin};

const TARGET: Field = Field::lowest(WORD / 2 - 3);
const BUCKET: Field = Field::above(TARGET, 1);
const MARK: Field = Field::above(BUCKET, 1);
const READY: Field = Field::above(MARK, 1);
const TAG: Field = Field::rest(READY);

/// The most records an index can name.
pub(crate) const MOST_RECORDS: usize = TARGET.max() - 1;

/// One observed link. A plain value.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Link(usize);

/// What a link leads to.
enum Target {
    Nothing,
    Record(u32),
    Bucket(usize),
}

impl Link {
    fn target(self) -> Target {
        match (TARGET.get(self.0), BUCKET.get(self.0)) {
            (0, _) => Target::Nothing,
            (number, 0) => Target::Record(number as u32 - 1),
            (number, _) => Target::Bucket(number),
        }
    }

    fn is_marked(self) -> bool {
        MARK.get(self.0) == 1
    }

    /// This link, leading to the record at `index`.
    fn to_record(self, index: u32) -> Self {
        self.moved(TARGET.set(0, index as usize + 1))
    }

    /// This link, leading to bucket `number`.
    fn to_bucket(self, number: usize) -> Self {
        self.moved(BUCKET.set(TARGET.set(0, number), 1))
    }

    /// This link, leading where `other` does.
    fn to_target_of(self, other: Self) -> Self {
        self.moved(BUCKET.set(TARGET.set(0, TARGET.get(other.0)), BUCKET.get(other.0)))
    }

    /// The only way a target changes: unmarked, with the next tag.
    fn moved(self, target: usize) -> Self {
        let kept = READY.set(TAG.set(0, TAG.get(self.0)), READY.get(self.0));
        if twin::is(Twin::LinkUntagged) {
            return Self(kept | target);
        }
        Self(TAG.advance(kept | target))
    }

    fn marked(self) -> Self {
        Self(TAG.advance(MARK.set(self.0, 1)))
    }
}

/// A shared link.
pub(crate) struct LinkCell(AtomicUsize);

impl LinkCell {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    fn load(&self) -> Link {
        Link(self.0.load(Acquire)) // Ordering 1.
    }

    fn change(&self, from: Link, to: Link) -> bool {
        self.0.compare_exchange(from.0, to.0, Release, Relaxed).is_ok() // Ordering 1; `from` was acquired.
    }
}

/// The records that an index is over.
pub(crate) trait Family {
    type Record;
    type Key: Copy + Eq;

    /// The record at `index`. `None` only if its segment was given back.
    fn record(&self, index: u32) -> Option<&Self::Record>;

    fn link(record: &Self::Record) -> &LinkCell;

    /// The record's key if it is living. What this says of a record that is not
    /// listed is thrown away.
    fn key(&self, record: &Self::Record) -> Option<Self::Key>;

    fn hash(&self, key: Self::Key) -> u32;

    /// Gives back the slot at `index`: the record was dead and is now unlinked.
    fn unlinked(&self, index: u32);
}

/// Place of a key with this hash in the list.
fn order_of(hash: u32) -> u32 {
    hash.reverse_bits() | 1
}

/// Place of a bucket in the list: before all whose hash ends in its number.
fn order_of_bucket(number: usize) -> u32 {
    (number as u32).reverse_bits()
}

/// What a search found.
enum Place<'i> {
    /// The key's living record.
    At(u32),
    /// Where it would be.
    Gap(&'i LinkCell, Link),
}

/// The head of the list, and its buckets.
pub(crate) struct Index {
    head: LinkCell,
    buckets: buckets::Buckets,
}

impl Index {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self { head: LinkCell::new(), buckets: buckets::Buckets::new() }
        }
    }

    /// The living record with `key`.
    pub(crate) fn find<F: Family>(&self, family: &F, key: F::Key) -> Option<u32> {
        let hash = family.hash(key);
        match self.search(family, self.start(family, hash), order_of(hash), Some(key)) {
            Place::At(index) => Some(index),
            Place::Gap(..) => None,
        }
    }

    /// Lists the record at `index`, which is private, unless a living one has
    /// the key: that one's index is the error. `fill` gives the record the key,
    /// once, just before it is listed.
    pub(crate) fn insert<F: Family>(
        &self,
        family: &F,
        key: F::Key,
        index: u32,
        fill: impl FnOnce(),
    ) -> Result<(), u32> {
        let mut fill = Some(fill);
        let hash = family.hash(key);
        let Some(record) = family.record(index) else { return Err(index) };
        let link = F::link(record);
        loop {
            let start = self.start(family, hash);
            match self.search(family, start, order_of(hash), Some(key)) {
                Place::At(other) => return Err(other),
                Place::Gap(before, seen) => {
                    if let Some(fill) = fill.take() {
                        fill();
                    }
                    let list = |seen: Link| {
                        link.0.store(link.load().to_target_of(seen).0, Release); // Private.
                        before.change(seen, seen.to_record(index))
                    };
                    if list(seen) || (twin::is(Twin::InsertBlind) && list(before.load())) {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Sees to it that a record which died with `key` is no longer listed.
    pub(crate) fn settle<F: Family>(&self, family: &F, key: F::Key) {
        let hash = family.hash(key);
        let _ = self.search(family, self.start(family, hash), order_of(hash), None);
    }

    /// Gives the buckets back. The caller is alone, and nothing is listed.
    #[cfg(feature = "alloc")]
    pub(crate) fn clear(&self) {
        self.head.0.store(0, Relaxed); // Nobody else is here.
        self.buckets.clear();
    }

    /// Adds buckets if there are few for `records`. Failing is harmless.
    pub(crate) fn spread(&self, records: usize) {
        self.buckets.spread(records);
    }

    /// Where a search for `hash` starts: the nearest bucket before it.
    fn start<F: Family>(&self, family: &F, hash: u32) -> &LinkCell {
        match self.buckets.nearest(hash as usize) {
            buckets::Nearest::Head => &self.head,
            buckets::Nearest::Ready(cell) => cell,
            buckets::Nearest::Missing { number, cell, before } => {
                self.list_bucket(family, number, cell, before.unwrap_or(&self.head))
            }
        }
    }

    /// Lists bucket `number`, unless somebody else is about to.
    #[cold]
    fn list_bucket<'i, F: Family>(
        &'i self,
        family: &F,
        number: usize,
        cell: &'i LinkCell,
        before: &'i LinkCell,
    ) -> &'i LinkCell {
        let empty = Link(0);
        let ours = Link(TAG.one());
        if !cell.change(empty, ours) {
            return before;
        }
        loop {
            let Place::Gap(place, seen) =
                self.search(family, before, order_of_bucket(number), None)
            else {
                return before;
            };
            cell.0.store(cell.load().to_target_of(seen).0, Relaxed); // Private: it was claimed above.
            if place.change(seen, seen.to_bucket(number)) {
                cell.0.fetch_or(READY.one(), Release); // Partner: `is_ready`.
                return cell;
            }
        }
    }

    /// Looks for `key` (or, if `None`, for the end of its order), unlinking
    /// the dead on the way.
    fn search<'i, F: Family>(
        &'i self,
        family: &'i F,
        start: &'i LinkCell,
        order: u32,
        key: Option<F::Key>,
    ) -> Place<'i> {
        'again: loop {
            let mut before = start;
            let mut seen = before.load();
            loop {
                let (after, at) = match seen.target() {
                    Target::Nothing => return Place::Gap(before, seen),
                    Target::Bucket(number) => {
                        if order_of_bucket(number) > order {
                            return Place::Gap(before, seen);
                        }
                        let Some(cell) = self.buckets.cell(number) else { continue 'again };
                        (cell, None)
                    }
                    Target::Record(index) => {
                        let Some(record) = family.record(index) else { continue 'again };
                        (F::link(record), Some((index, family.key(record))))
                    }
                };
                let next = after.load();
                if before.load() != seen && !twin::is(Twin::IndexUnvalidated) {
                    continue 'again; // Ordering 2.
                }
                // A record that was living when its key was read may be marked by
                // now; nothing is changed behind a marked link but by unlinking it.
                let is_marked = next.is_marked() && !twin::is(Twin::MarkOverlooked);
                match at {
                    Some((index, found)) if found.is_none() || is_marked => {
                        if !next.is_marked() && !after.change(next, next.marked()) {
                            continue 'again;
                        }
                        let past = seen.to_target_of(next);
                        if !before.change(seen, past) {
                            continue 'again;
                        }
                        family.unlinked(index);
                        seen = past;
                        continue;
                    }
                    Some((index, Some(found))) => {
                        let place = order_of(family.hash(found));
                        if place > order {
                            return Place::Gap(before, seen);
                        }
                        if key == Some(found) {
                            return Place::At(index);
                        }
                    }
                    Some((_, None)) | None => {}
                }
                before = after;
                seen = next;
            }
        }
    }
}

/// Mixes `words` under a secret seed, so that chosen keys do not share a bucket:
/// multiply each word, and fold the product's halves onto each other (as in
/// wyhash, Wang 2019).
#[inline]
pub(crate) fn mix(seed: u32, words: &[u32]) -> u32 {
    let mut hash = fold(seed as usize);
    for pair in words.chunks(usize::BITS as usize / 32) {
        // One step for as many as a machine word holds.
        hash = fold(hash ^ pair.iter().rev().fold(0, |word, half| widen(word, *half)));
    }
    (hash ^ hash >> (usize::BITS / 2)) as u32
}

/// `half` below what `word` holds; on 32-bit words that is nothing.
#[inline(always)]
fn widen(word: usize, half: u32) -> usize {
    word.checked_shl(u32::BITS).unwrap_or(0) | half as usize
}

#[cfg(target_pointer_width = "64")]
#[inline(always)]
fn fold(word: usize) -> usize {
    let product = word as u128 * 0x9e37_79b9_7f4a_7c15; // 2^64 over the golden ratio.
    (product ^ product >> 64) as usize
}

#[cfg(not(target_pointer_width = "64"))]
#[inline(always)]
fn fold(word: usize) -> usize {
    let product = word as u64 * 0x9e37_79b9; // 2^32 over the golden ratio.
    (product ^ product >> 32) as usize
}

#[cfg(not(feature = "alloc"))]
mod buckets {
    //! Fixed storage is small: one list does.

    use super::LinkCell;

    pub(super) struct Buckets(());

    #[expect(dead_code, reason = "without buckets a search always starts at the head")]
    pub(super) enum Nearest<'b> {
        Head,
        Ready(&'b LinkCell),
        Missing { number: usize, cell: &'b LinkCell, before: Option<&'b LinkCell> },
    }

    impl Buckets {
        pub(super) const fn new() -> Self {
            Self(())
        }

        pub(super) fn nearest(&self, _hash: usize) -> Nearest<'_> {
            Nearest::Head
        }

        pub(super) fn cell(&self, _number: usize) -> Option<&LinkCell> {
            None
        }

        pub(super) fn spread(&self, _records: usize) {}
    }
}

#[cfg(feature = "alloc")]
mod buckets;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::mix;

    /// Keys that count up, as addresses do, under any seed: no bucket gets much
    /// more than its part.
    #[test]
    fn counted_keys_spread() {
        for seed in [0, 1, 0x5eed, u32::MAX] {
            let mut buckets = [0u32; 256];
            for key in 0..4096 {
                let hash = mix(seed, &[key, 1, key % 3 + 1]);
                buckets[hash as usize % 256] += 1;
            }
            let most = buckets.iter().max().copied();
            assert!(most < Some(48), "seed {seed}: {most:?} of 16 on average");
        }
    }

    /// Who finds out which keys fall together in one office has gained nothing in another.
    #[test]
    fn keys_that_meet_under_one_seed_part_under_another() {
        let bucket = |seed, key: u32| mix(seed, &[key, 1, 1]) % 256;
        for (known, other) in [(0, 1), (0x5eed, 0x5eee), (1, u32::MAX)] {
            let meet = (0..1 << 16).filter(|key| bucket(known, *key) == 0);
            let mut buckets = [0u32; 256];
            let count = meet.map(|key| buckets[bucket(other, key) as usize] += 1).count();
            let most = buckets.iter().max().copied();
            assert!(count > 128 && most < Some(16), "{most:?} of {count} meet again");
        }
    }

    #[test]
    fn every_word_and_the_seed_matter() {
        let hash = mix(7, &[1, 2, 3]);
        for (seed, words) in [(8, [1, 2, 3]), (7, [0, 2, 3]), (7, [1, 3, 3]), (7, [1, 2, 2])] {
            assert_ne!(mix(seed, &words), hash);
        }
    }
}
