//! Table slots: what all values of one table share.
//!
//! # Who may do what to a table slot
//! | state   | owners | holds | may read and write the fields                     |
//! |---------|--------|-------|---------------------------------------------------|
//! | Vacant  | 0      | 0     | who has the slot's claim                          |
//! | Living  | > 0    | > 0   | who has a hold, by the steps of each field        |
//! | Ended   | 0      | > 0   | the same; but it is none of its group's owners any more |
//!
//! Owners are `Table` values, mailboxes, and received messages that are owned. A hold
//! keeps the slot and its entries: one is all owners', and sends with attachments have
//! one while they are under way. Others reach a slot pinned, and take a hold before they
//! do anything (`acquire`).
//!
//! # Progress
//! Lock-free; each word by itself.

use super::entry::Entry;
use crate::arena::small::Small;
use crate::arena::{Exhausted, Slot};
use crate::index::Index;
use crate::life::{Address, AddressCell};
use crate::limits::Limits;
#[cfg(feature = "alloc")]
use crate::mailbox::magazine::Magazine;
use crate::office::Office;
#[cfg(feature = "alloc")]
use crate::reclaim::Pin;
use crate::refs::Refs;
use crate::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sync::const_fn;
use crate::twin::{self, Twin};

/// Entries that lie in the table slot itself.
pub(super) const FIRST_ENTRIES: usize =
    if crate::sync::MODEL || cfg!(not(feature = "alloc")) { 1 } else { 4 };

/// What all values of one table share.
pub(crate) struct TableSlot {
    pub(super) owners: Refs,
    pub(super) holds: Refs,
    /// The group that seals the table by its death, if there is one.
    pub(crate) group: AddressCell,
    /// Slots charged to the table itself; wraps below 0 while a mailbox goes whose share is
    /// closed and not taken over yet, if some of that was given back already.
    used: AtomicU32,
    limit: AtomicU32,
    /// Slots that living mailboxes have added.
    shares: AtomicU32,
    /// Living entries.
    pub(super) live: AtomicU32,
    pub(crate) entries: Small<Entry, FIRST_ENTRIES>,
    pub(super) index: Index,
    /// Message nodes, and blocks, at hand.
    #[cfg(feature = "alloc")]
    pub(crate) nodes: Magazine,
    #[cfg(feature = "alloc")]
    pub(crate) blocks: Magazine,
}

impl TableSlot {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self {
                owners: Refs::new(),
                holds: Refs::new(),
                group: AddressCell::nowhere(),
                used: AtomicU32::new(0),
                limit: AtomicU32::new(0),
                shares: AtomicU32::new(0),
                live: AtomicU32::new(0),
                #[cfg(all(not(feature = "alloc"), not(all(loom, feature = "loom"))))]
                entries: Small::new([const { Entry::new() }; FIRST_ENTRIES]),
                #[cfg(any(feature = "alloc", all(loom, feature = "loom")))]
                entries: Small::new(first_entries()),
                index: Index::new(),
                #[cfg(feature = "alloc")]
                nodes: Magazine::new(),
                #[cfg(feature = "alloc")]
                blocks: Magazine::new(),
            }
        }
    }

    /// Makes the claimed slot a table of one owner.
    pub(super) fn open(&self, group: Address, limits: &Limits) {
        self.group.store(group);
        self.used.store(0, Relaxed);
        self.limit.store(limits.handles_per_table, Relaxed);
        self.shares.store(0, Relaxed);
        self.live.store(0, Relaxed);
        self.owners.open();
        self.holds.open();
    }

    /// Takes a hold, if there is one.
    pub(crate) fn acquire(&self) -> bool {
        self.holds.try_add()
    }

    /// Lets go of a hold, if it is not the last. `false`: it is, and the caller's still.
    pub(crate) fn release_unless_last(&self) -> bool {
        self.holds.give_back_unless_last()
    }

    /// Claims a slot for an entry, and sees to it that there are buckets enough in the index:
    /// who receives what will lie in it must not need memory (rule Q4).
    pub(crate) fn claim_entry(&self, office: &Office) -> Result<u32, Exhausted> {
        let index = self.entries.claim()?;
        #[cfg(feature = "alloc")]
        if index as usize >= FIRST_ENTRIES {
            office.spread(&self.index, self.entries.live()); // As many need no buckets.
        }
        let _ = office;
        Ok(index)
    }

    /// Entries there may be now.
    pub(super) fn capacity(&self) -> usize {
        self.limit.load(Relaxed) as usize + self.shares.load(Relaxed) as usize
    }

    /// Adds a mailbox's share to the capacity, if storage is not fixed below it.
    pub(crate) fn add_share(&self, handles: u32, most: u32) -> bool {
        let own = self.limit.load(Relaxed);
        // What closed mailboxes left behind is the table's own: one that is above
        // its limit by that gets no more of it.
        let is_above = || signed(self.used.load(Relaxed)) > signed(own);
        if is_above() {
            return false;
        }
        if handles == 0 {
            return true;
        }
        let mut shares = self.shares.load(Relaxed);
        loop {
            let Some(sum) = shares.checked_add(handles) else { return false };
            if sum.saturating_add(own) > most {
                return false;
            }
            match self.shares.compare_exchange_weak(shares, sum, Acquire, Relaxed) {
                Ok(_) => break,
                Err(now) => shares = now,
            }
        }
        // A mailbox leaves what it holds, then its share: we may have come between.
        if is_above() && !twin::is(Twin::ShareUnasked) {
            self.remove_share(handles);
            return false;
        }
        true
    }

    pub(crate) fn remove_share(&self, handles: u32) {
        self.shares.fetch_sub(handles, Release); // Partner: `add_share`.
    }

    /// Takes over what a closed mailbox's share was used for.
    pub(crate) fn take_over(&self, count: u32) {
        self.used.fetch_add(count, Release); // Partner: `add_share`.
    }

    pub(super) fn charge(&self) -> bool {
        let limit = self.limit.load(Relaxed);
        let mut used = self.used.load(Relaxed);
        loop {
            if signed(used) >= signed(limit) {
                return false;
            }
            // Partner: `uncharge`, before which the entry's slot was given back.
            // It may be below 0, and comes back through it.
            let next = used.wrapping_add(1);
            match self.used.compare_exchange_weak(used, next, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(now) => used = now,
            }
        }
    }

    pub(crate) fn uncharge(&self, count: u32) {
        self.used.fetch_sub(count, Release); // Partner: `charge`.
    }
}

/// A count that may have wrapped below 0. Limits are far below half of a word.
fn signed(count: u32) -> i32 {
    if twin::is(Twin::BelowZeroIsMuch) {
        count.min(i32::MAX as u32) as i32
    } else {
        count.cast_signed()
    }
}

/// The first entries, built as the target's const rules allow.
#[cfg(all(feature = "alloc", not(all(loom, feature = "loom"))))]
const fn first_entries() -> [Entry; FIRST_ENTRIES] {
    [const { Entry::new() }; FIRST_ENTRIES]
}

#[cfg(all(loom, feature = "loom"))]
fn first_entries() -> [Entry; FIRST_ENTRIES] {
    core::array::from_fn(|_| Entry::new())
}

impl Slot for TableSlot {
    fn vacant() -> Self {
        Self::new()
    }

    #[cfg(feature = "alloc")]
    const HOLDS_MEMORY: bool = true;

    #[cfg(feature = "alloc")]
    fn reclaim(&self, pin: &Pin) {
        self.entries.clear(pin);
        // Only who has a reference walks the index, and there is none.
        self.index.clear();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Rule Q1: a place that is released while the mailbox it is charged to closes is given back
    /// before it is taken over: below 0 there is room for one more, and no overflow.
    #[test]
    fn what_is_used_comes_back_through_zero() {
        let slot = TableSlot::new();
        slot.limit.store(1, Relaxed);
        slot.uncharge(1);
        assert!(slot.charge(), "a place that was released");
        slot.take_over(1);
        assert!(!slot.charge(), "more than one");
    }
}
