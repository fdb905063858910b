//! Table entries: one capability each, counted.
//!
//! # The word
//! ```text
//!  most significant                least significant
//! ┌─────────────┬────────┬────────────┬────────────┐
//! │   version   │ staged │    own     │    held    │
//! └─────────────┴────────┴────────────┴────────────┘
//! ```
//! *own* counts what the process has (it may release those), *held* what guards
//! have (rule P5).
//!
//! # States
//! | state  | own + held | staged | may write the capability | a lookup |
//! |--------|------------|--------|--------------------------|----------|
//! | Vacant | 0          | 0      | the slot's claimant      | refuses  |
//! | Staged | > 0        | 1      | nobody                   | refuses: it is not listed yet |
//! | Live   | > 0        | 0      | nobody                   | copies, then looks at the word again |
//!
//! # Transitions
//! | step    | from         | to                      | owes                     |
//! |---------|--------------|-------------------------|--------------------------|
//! | stage   | Vacant       | Staged, next version    | listing, or `withdraw`   |
//! | publish | Staged, Live | Live                    |                          |
//! | raise   | Staged, Live | Live, one more          | one release              |
//! | raise live | Live      | Live, one more          | one release              |
//! | lower   | Live         | Live, one fewer         |                          |
//! | lower   | Live, last   | Vacant                  | settling the index       |
//! | withdraw| Staged       | Vacant                  | giving the slot back     |
//!
//! # Ordering
//! 1. The capability is written before `stage` (release) and read after an
//!    acquire of the word: a reader of that version sees it.
//! 2. Its fields are written with release and read with acquire, and the reader
//!    looks at the word once more: had it read anything of a later life, it
//!    would see that this one had ended (rule P6).
//!
//! # Progress
//! Lookups are wait-free; steps are lock-free.

use super::Reference;
use super::handle::Handle;
use super::permissions::Permissions;
use crate::arena::Slot;
use crate::bits::{Field, WORD};
use crate::index::LinkCell;
use crate::life::{Address, AddressCell};
use crate::sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sync::const_fn;
use crate::twin::{self, Twin};

const HELD: Field = Field::lowest(WORD / 4 - 1);
const OWN: Field = Field::above(HELD, WORD / 4);
const STAGED: Field = Field::above(OWN, 1);
const VERSION: Field = Field::rest(STAGED);

/// Both counts at once, and those with the flag.
const COUNTS: Field = Field::spanning(HELD, OWN);
const BELOW_VERSION: Field = Field::spanning(HELD, STAGED);

const _: () = assert!(VERSION.one() == 1 << (WORD / 2));

/// The generation after which a slot is not used again. Even, so that a floor,
/// which is rounded up to be odd, stays below it: no fresh slot is spent.
const LAST: u32 = if cfg!(flue_word = "16") { 4 } else { u32::MAX - 1 };
/// The generation before the first one. With `--cfg flue_aged` slots are near their end.
const NEW: u32 = if cfg!(flue_aged) { LAST - 4 } else { 0 };

const _: () = assert!(LAST.is_multiple_of(2));

/// The two kinds of references to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The process: released with `release`.
    Own,
    /// A guard: released when it is dropped.
    Guard,
}

impl By {
    const fn field(self) -> Field {
        match self {
            Self::Own => OWN,
            Self::Guard => HELD,
        }
    }
}

/// One observed value of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(usize);

impl Word {
    fn count(self, by: By) -> usize {
        by.field().get(self.0)
    }

    #[inline(always)]
    fn is_vacant(self) -> bool {
        COUNTS.get(self.0) == 0
    }

    /// Neither vacant nor staged: a staged word, without its counts, is above
    /// what they can be.
    #[inline(always)]
    fn is_live(self) -> bool {
        BELOW_VERSION.get(self.0).wrapping_sub(1) < COUNTS.max()
    }

    fn same_version(self, other: Self) -> bool {
        VERSION.get(self.0) == VERSION.get(other.0)
    }

    /// One more, unless that would be more than `most`; a count at its
    /// maximum sticks there for ever.
    fn raised(self, by: By) -> Self {
        let field = by.field();
        let count = (self.count(by) + 1).min(field.max());
        Self(STAGED.set(field.set(self.0, count), 0))
    }

    fn lowered(self, by: By) -> Option<Self> {
        let field = by.field();
        match self.count(by) {
            0 => None,
            stuck if stuck == field.max() => Some(self),
            count => Some(Self(field.set(self.0, count - 1))),
        }
    }
}

/// What lowering a count did.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lowered {
    Kept,
    /// It was the last: the entry is dead and must leave the index.
    Last,
}

/// One entry of a table.
pub(crate) struct Entry {
    word: AtomicUsize,
    pub(crate) link: LinkCell,
    /// Which of the capabilities that this slot has held, from 1 on.
    generation: AtomicU32,
    permissions: AtomicU32,
    route: AddressCell,
    group: AddressCell,
    /// The mailbox whose share this slot is charged to, or the table itself.
    payer: AddressCell,
}

const _: () = assert!(crate::sync::MODEL || size_of::<Entry>() <= 48);

/// What an entry is found by (rule P4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) route: Address,
    pub(crate) permissions: u32,
}

impl Key {
    pub(crate) fn of(reference: Reference) -> Self {
        Self { route: reference.route, permissions: reference.permissions.bits() }
    }
}

impl Entry {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self {
                word: AtomicUsize::new(0),
                link: LinkCell::new(),
                generation: AtomicU32::new(NEW),
                permissions: AtomicU32::new(0),
                route: AddressCell::nowhere(),
                group: AddressCell::nowhere(),
                payer: AddressCell::nowhere(),
            }
        }
    }

    fn step(&self, step: impl Fn(Word) -> Option<Word>) -> Option<Word> {
        let mut seen = self.load();
        loop {
            let next = step(seen)?;
            // `seen` was acquired.
            match self.word.compare_exchange_weak(seen.0, next.0, Release, Acquire) {
                Ok(_) => return Some(next),
                Err(now) => seen = Word(now),
            }
        }
    }

    #[inline(always)]
    fn load(&self) -> Word {
        Word(self.word.load(Acquire))
    }

    /// Fills the slot, which the caller has claimed, and stages it with one
    /// reference. Returns its handle.
    pub(crate) fn stage(&self, index: u32, reference: Reference, payer: Address, by: By) -> Handle {
        let generation = self.generation.load(Relaxed) + 1; // Not spent: else it is not given back.
        self.generation.store(generation, Release);
        self.permissions.store(reference.permissions.bits(), Release);
        self.route.store(reference.route);
        self.group.store(reference.group);
        self.payer.store(payer);
        let _ = self.step(|word| {
            let fresh = VERSION.set(0, VERSION.get(VERSION.advance(word.0)));
            Some(Word(STAGED.set(Word(fresh).raised(by).0, 1)))
        });
        Handle::new(index, generation)
    }

    /// Lets lookups find the entry: it is listed. Its references may be gone by now, for
    /// others have found it, and the slot be staged anew: that is somebody else's to publish.
    pub(crate) fn publish(&self, generation: u32) {
        let _ = self.step(|word| {
            // A later life has another version, so the exchange would fail.
            let ours = self.generation.load(Acquire) == generation || twin::is(Twin::PublishBlind);
            (STAGED.get(word.0) == 1 && ours).then(|| Word(STAGED.set(word.0, 0)))
        });
    }

    /// Makes the slot vacant: undoes `stage` of an entry that was not listed.
    pub(crate) fn withdraw(&self) {
        let _ = self.step(|word| Some(Word(VERSION.set(0, VERSION.get(word.0)))));
    }

    /// The capability that `generation` of this slot holds.
    #[inline(always)]
    pub(crate) fn copy(&self, generation: u32) -> Option<Reference> {
        let before = self.load();
        if !before.is_live() || self.generation.load(Acquire) != generation {
            return None;
        }
        let reference = self.fields();
        let after = if twin::is(Twin::EntryUnvalidated) { before } else { self.load() }; // Ordering 2.
        let same = after == before || after.is_live() && after.same_version(before);
        same.then_some(reference)
    }

    #[inline(always)]
    fn fields(&self) -> Reference {
        let permissions = self.permissions.load(Acquire);
        let (route, group) = (self.route.load(), self.group.load());
        Reference { route, group, permissions: Permissions::from_bits_truncate(permissions) }
    }

    /// The key, and the handle, of the living entry in this slot, staged or not.
    pub(crate) fn key(&self) -> Option<Key> {
        let before = self.load();
        let key = Key { route: self.route.load(), permissions: self.permissions.load(Acquire) };
        let after = self.load();
        (!after.is_vacant() && after.same_version(before)).then_some(key)
    }

    /// Raises a count of the entry with `key`, if that is what still lives
    /// here. Returns its handle. A count at its maximum sticks (rule P5). What is only staged
    /// is raised if `is_listed` says so after that was seen: else it may be withdrawn.
    pub(crate) fn raise_key(
        &self,
        index: u32,
        key: Key,
        by: By,
        is_listed: impl Fn() -> bool,
    ) -> Option<Handle> {
        self.raise_if(index, key, by, || twin::is(Twin::StagedFoundOnce) || is_listed())
    }

    /// The same, for who remembers that it was here, and has not just found it listed:
    /// what is only staged may be withdrawn.
    #[inline]
    pub(crate) fn raise_live(&self, index: u32, key: Key, by: By) -> Option<Handle> {
        self.raise_if(index, key, by, || twin::is(Twin::StagedRemembered))
    }

    #[cfg_attr(not(feature = "alloc"), inline(never))] // Once, where memory is scarce.
    fn raise_if(
        &self,
        index: u32,
        key: Key,
        by: By,
        is_listed: impl Fn() -> bool,
    ) -> Option<Handle> {
        loop {
            let seen = self.load();
            if seen.is_vacant() || self.key() != Some(key) {
                return None;
            }
            // If it is found after `seen` it was this life that was, or the exchange fails.
            if !seen.is_live() && !is_listed() {
                return None;
            }
            let generation = self.generation.load(Acquire);
            let next = seen.raised(by);
            if twin::is(Twin::RaiseInTwoSteps) {
                self.word.store(next.0, Release);
                return Some(Handle::new(index, generation));
            }
            // Success: the version did not change since, so key and generation are this life's.
            if self.word.compare_exchange(seen.0, next.0, Relaxed, Relaxed).is_ok() {
                return Some(Handle::new(index, generation));
            }
        }
    }

    /// A step on the life `generation`. `None`: it is over, or `step` refuses.
    fn step_in(&self, generation: u32, step: impl Fn(Word) -> Option<Word>) -> Option<Word> {
        self.step(|word| {
            // A later life has another version, so the exchange would fail.
            let ours = word.is_live() && self.generation.load(Acquire) == generation;
            if ours { step(word) } else { None }
        })
    }

    /// One more of the process's own, unless there are as many as can be counted.
    pub(crate) fn retain(&self, generation: u32) -> Result<(), Refused> {
        let mut full = false;
        let mut seen = self.load();
        loop {
            if !seen.is_live() || self.generation.load(Acquire) != generation {
                return Err(Refused::Invalid);
            }
            full |= seen.count(By::Own) + 1 >= OWN.max();
            if full {
                return Err(Refused::Overflow);
            }
            match self.word.compare_exchange_weak(seen.0, seen.raised(By::Own).0, Relaxed, Acquire)
            {
                Ok(_) => return Ok(()),
                Err(now) => seen = Word(now),
            }
        }
    }

    /// One fewer. `None`: the life is over, or it has none of this kind.
    pub(crate) fn lower(&self, generation: u32, by: By) -> Option<Lowered> {
        let after = self.step_in(generation, |word| word.lowered(by))?;
        Some(if after.is_vacant() { Lowered::Last } else { Lowered::Kept })
    }

    /// Turns one of a guard's references into one of the process's own.
    pub(crate) fn take(&self, generation: u32) {
        let _ = self.step_in(generation, |word| word.raised(By::Own).lowered(By::Guard));
    }

    /// Ends whatever lives here, for a table that nobody uses any more.
    pub(crate) fn finish(&self) -> Option<Key> {
        let key = self.key()?;
        self.withdraw();
        Some(key)
    }

    pub(crate) fn payer(&self) -> Address {
        self.payer.load()
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.generation.load(Relaxed) == LAST
    }

    /// The handle of what lives here, for a snapshot.
    pub(crate) fn handle(&self, index: u32) -> Option<Handle> {
        let before = self.load();
        let generation = self.generation.load(Acquire);
        let after = self.load();
        let live = after.is_live() && after.same_version(before);
        live.then(|| Handle::new(index, generation))
    }
}

/// Why a count was not raised.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Invalid,
    Overflow,
}

impl Slot for Entry {
    // Of those beyond the first entries, which have the first names.
    const NAMES: usize = crate::index::MOST_RECORDS - super::slot::FIRST_ENTRIES;

    fn vacant() -> Self {
        Self::new()
    }

    fn floor(&self) -> u32 {
        self.generation.load(Relaxed) // Claimed by the caller.
    }

    fn raise(&self, floor: u32) {
        self.generation.store(if floor > NEW { floor } else { NEW }, Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn reference(permissions: Permissions) -> Reference {
        let address = |index| Address { index, generation: 1 };
        Reference { route: address(3), group: address(4), permissions }
    }

    fn live(by: By) -> (Entry, Handle) {
        let entry = Entry::new();
        let handle = entry.stage(0, reference(Permissions::SEND), Address::NOWHERE, by);
        entry.publish(handle.generation());
        (entry, handle)
    }

    /// Rule P6: what is not listed yet is not found.
    #[test]
    fn a_staged_entry_is_not_found() {
        let entry = Entry::new();
        let handle = entry.stage(0, reference(Permissions::SEND), Address::NOWHERE, By::Own);
        assert_eq!(entry.copy(handle.generation()), None);
        entry.publish(handle.generation());
        assert_eq!(entry.copy(handle.generation()), Some(reference(Permissions::SEND)));
    }

    /// Rule P5: the two kinds do not mix.
    #[test]
    fn own_and_held_are_apart() {
        let (entry, handle) = live(By::Guard);
        assert_eq!(entry.lower(handle.generation(), By::Own), None);
        entry.take(handle.generation());
        assert_eq!(entry.lower(handle.generation(), By::Guard), None);
        assert_eq!(entry.lower(handle.generation(), By::Own), Some(Lowered::Last));
        assert_eq!(entry.lower(handle.generation(), By::Own), None);
    }

    /// Who remembers an entry finds it again as long as it lives, and if it is listed.
    #[test]
    fn a_remembered_entry_is_found() {
        let key = Key::of(reference(Permissions::SEND));
        let entry = Entry::new();
        assert!(entry.key().is_none());
        let handle = entry.stage(0, reference(Permissions::SEND), Address::NOWHERE, By::Own);
        assert!(entry.key() == Some(key));
        assert_eq!(entry.raise_live(0, key, By::Own), None, "staged");
        assert_eq!(entry.raise_key(0, key, By::Own, || false), None, "not listed");
        entry.publish(handle.generation());
        assert_eq!(entry.raise_live(0, key, By::Own), Some(handle));
        let other = Key::of(reference(Permissions::KILL));
        assert_eq!(entry.raise_live(0, other, By::Own), None);
        for left in [Lowered::Kept, Lowered::Last] {
            assert_eq!(entry.lower(handle.generation(), By::Own), Some(left));
        }
        assert_eq!(entry.raise_live(0, key, By::Own), None);
    }

    /// Rule P3: a slot that was made anew counts from where it was.
    #[test]
    fn a_fresh_entry_counts_from_its_floor() {
        let (entry, first) = live(By::Own);
        let fresh = Entry::vacant();
        fresh.raise(entry.floor());
        let second = fresh.stage(0, reference(Permissions::SEND), Address::NOWHERE, By::Own);
        assert!(second.generation() > first.generation());
        let low = Entry::vacant();
        low.raise(NEW.saturating_sub(1));
        assert_eq!(low.floor(), NEW);
    }

    /// Rule P5: own counts do not overflow, and a count that an import drove to
    /// its maximum sticks.
    #[test]
    fn counts_stop_at_their_maximum() {
        let (entry, handle) = live(By::Own);
        for _ in 2..OWN.max() {
            assert_eq!(entry.retain(handle.generation()), Ok(()));
        }
        assert_eq!(entry.retain(handle.generation()), Err(Refused::Overflow));
        let key = Key::of(reference(Permissions::SEND));
        assert_eq!(entry.raise_key(0, key, By::Own, || true), Some(handle));
        for _ in 0..OWN.max() + 1 {
            assert_eq!(entry.lower(handle.generation(), By::Own), Some(Lowered::Kept));
        }
    }

    /// Rule P3: a handle names one capability, for ever.
    #[test]
    fn a_later_life_has_another_generation() {
        let (entry, first) = live(By::Own);
        let _ = entry.lower(first.generation(), By::Own);
        let second = entry.stage(0, reference(Permissions::KILL), Address::NOWHERE, By::Own);
        entry.publish(second.generation());
        assert_ne!(first, second);
        assert_eq!(entry.copy(first.generation()), None);
        assert_eq!(entry.retain(first.generation()), Err(Refused::Invalid));
    }

    /// Rules P3 and P4: an insertion that goes on late, when others have found what it listed,
    /// released all of it and staged the slot anew, publishes nothing of theirs.
    #[test]
    fn a_late_publication_is_of_its_own_life() {
        let (entry, key) = (Entry::new(), Key::of(reference(Permissions::SEND)));
        let stage = || entry.stage(0, reference(Permissions::SEND), Address::NOWHERE, By::Own);
        let first = stage();
        assert_eq!(entry.raise_key(0, key, By::Own, || true), Some(first));
        assert_eq!(entry.lower(first.generation(), By::Own), Some(Lowered::Kept));
        assert_eq!(entry.lower(first.generation(), By::Own), Some(Lowered::Last));
        let second = stage();
        entry.publish(first.generation());
        assert_eq!(entry.copy(second.generation()), None, "staged, and not listed yet");
        assert_eq!(entry.lower(second.generation(), By::Own), None);
        entry.publish(second.generation());
        assert_eq!(entry.lower(second.generation(), By::Own), Some(Lowered::Last));
    }
}
