//! What can be done with the entries of a table, for those who keep it.
//!
//! # Progress
//! Lookups are wait-free. Inserting, retaining and releasing are lock-free.

use super::Reference;
use super::entry::{By, Entry, Key, Lowered, Refused};
use super::granted::{Granted, Right};
use super::handle::Handle;
use super::slot::TableSlot;
use super::table::Table;
use crate::arena::Exhausted;
use crate::error::{SendError, TableError};
use crate::index::{Family, LinkCell, mix};
use crate::life::Address;
use crate::office::PostOffice;
use crate::panics::Panics;
use crate::reclaim::Pin;
use crate::route;
use crate::sync::atomic::Ordering::Relaxed;
use core::cell::{Cell, OnceCell};

/// A table slot together with its office: where its operations are.
#[derive(Clone, Copy)]
pub(crate) struct View<'t>(&'t Table);

impl<'t> View<'t> {
    #[inline(always)]
    pub(super) fn of(table: &'t Table) -> Self {
        Self(table)
    }

    #[inline(always)]
    pub(crate) fn office(self) -> &'t PostOffice {
        self.0.post_office()
    }

    #[inline(always)]
    pub(crate) fn slot(self) -> &'t TableSlot {
        self.0.slot()
    }

    /// Whether the table's group is dead (rule O5).
    #[inline(always)]
    pub(crate) fn is_sealed(self) -> bool {
        !self.0.seal().is(self.0.generation())
    }

    /// What a send that failed says: a sealed table comes before everything.
    #[cold]
    #[inline(never)]
    pub(crate) fn refusal(self, error: SendError) -> SendError {
        if self.is_sealed() { SendError::Dead } else { error }
    }

    /// Runs `look` on the entry at a handle's index, if there is one.
    #[inline(always)]
    fn with_entry<R>(self, handle: Handle, look: impl FnOnce(&Entry) -> R) -> Option<R> {
        match self.slot().entries.settled(handle.index()) {
            Some(entry) => Some(look(entry)),
            None => self.with_passing_entry(handle, look),
        }
    }

    #[inline(never)]
    fn with_passing_entry<R>(self, handle: Handle, look: impl FnOnce(&Entry) -> R) -> Option<R> {
        let pin = self.office().pin();
        self.slot().entries.peek(&pin, handle.index()).map(look)
    }

    /// The capability that `handle` names.
    #[inline(always)]
    pub(crate) fn lookup(self, handle: Handle) -> Option<Reference> {
        self.with_entry(handle, |entry| entry.copy(handle.generation()))?
    }

    /// Proof that `handle` names a capability with the right `R`.
    pub(crate) fn grant<R: Right>(self, handle: Handle) -> Result<Granted<R>, TableError> {
        if self.is_sealed() {
            return Err(TableError::Dead);
        }
        let reference = self.lookup(handle).ok_or(TableError::InvalidHandle)?;
        Granted::check(reference).ok_or(TableError::PermissionDenied)
    }

    /// Goes through the index. Unlinking an entry may wake a sender: what its waker
    /// does is kept in `panics`.
    #[inline(always)]
    fn walk<R>(self, panics: &mut Panics, walk: impl FnOnce(&EntryFamily<'t>) -> R) -> R {
        let family =
            EntryFamily { view: self, pin: OnceCell::new(), panics: Cell::new(Panics::new()) };
        let walked = walk(&family);
        panics.add(family.panics.into_inner());
        walked
    }

    /// The handle of the entry equal to `reference`, with one more reference, if there is one.
    fn raise(self, reference: Reference, by: By, panics: &mut Panics) -> Option<Handle> {
        let key = Key::of(reference);
        self.walk(panics, |family| {
            loop {
                let index = self.slot().index.find(family, key)?;
                if let Some(handle) = self.raise_listed(family, index, key, by) {
                    return Some(handle);
                }
            }
        })
    }

    /// The handle of the entry that was found listed at `index`, with one more reference, if it
    /// is there still. The slot may have been used for the key again since: what is staged
    /// counts only if it is found once more.
    fn raise_listed(
        self,
        family: &EntryFamily<'t>,
        index: u32,
        key: Key,
        by: By,
    ) -> Option<Handle> {
        let is_listed = || self.slot().index.find(family, key) == Some(index);
        family.record(index)?.raise_key(index, key, by, is_listed)
    }

    /// The same without a search, if the entry is still the one at `index`.
    #[inline]
    pub(crate) fn raise_at(self, index: u32, reference: Reference, by: By) -> Option<Handle> {
        self.slot().entries.settled(index)?.raise_live(index, Key::of(reference), by)
    }

    /// Puts a capability into the claimed slot `index`, or finds it there
    /// already, in which case the slot was not used (rule P4).
    pub(crate) fn admit(
        self,
        index: u32,
        reference: Reference,
        payer: Address,
        by: By,
        panics: &mut Panics,
    ) -> Admitted {
        let key = Key::of(reference);
        // SAFETY: claimed by the caller.
        let entry = unsafe { self.slot().entries.slot(index) };
        let mut staged = None;
        self.walk(panics, |family| {
            loop {
                let stage = || {
                    if staged.is_none() {
                        staged = Some(self.stage(entry, index, reference, payer, by));
                    }
                };
                let inserted = self.slot().index.insert(family, key, index, stage);
                let other = match (inserted, staged) {
                    (Ok(()), Some(handle)) => {
                        entry.publish(handle.generation());
                        return Admitted::New(handle);
                    }
                    (Ok(()), None) => continue, // Not so: what is listed was staged.
                    (Err(other), _) => other,
                };
                if let Some(handle) = self.raise_listed(family, other, key, by) {
                    if staged.is_some() {
                        entry.withdraw();
                        self.slot().live.fetch_sub(1, Relaxed);
                    }
                    return Admitted::Present(handle);
                }
            }
        })
    }

    /// Fills the slot of an entry that is about to be listed.
    fn stage(
        self,
        entry: &Entry,
        index: u32,
        reference: Reference,
        payer: Address,
        by: By,
    ) -> Handle {
        self.slot().live.fetch_add(1, Relaxed); // A count for people, and for `clear`.
        entry.stage(index, reference, payer, by)
    }

    /// Puts a capability into the table on the table's own account.
    pub(crate) fn insert(self, reference: Reference) -> Result<Handle, TableError> {
        let mut panics = Panics::new();
        let inserted = match self.raise(reference, By::Own, &mut panics) {
            Some(handle) => Ok(handle),
            None => {
                self.reserve_own().map(|slot| self.admit_own(slot, reference, By::Own, &mut panics))
            }
        };
        if let (Ok(handle), true) = (inserted, panics.is_due()) {
            self.lower_amid(handle, By::Own, &mut panics); // Nobody will know of it.
        }
        panics.resume();
        inserted
    }

    /// Puts a capability into a slot that was reserved on the table's own account.
    pub(crate) fn admit_own(
        self,
        slot: u32,
        reference: Reference,
        by: By,
        panics: &mut Panics,
    ) -> Handle {
        match self.admit(slot, reference, Address::NOWHERE, by, panics) {
            Admitted::New(handle) => handle,
            Admitted::Present(handle) => {
                self.give_back_own(slot);
                handle
            }
        }
    }

    /// Reserves a slot on the table's own account.
    pub(crate) fn reserve_own(self) -> Result<u32, TableError> {
        if !self.slot().charge() {
            return Err(TableError::Full);
        }
        self.claim().inspect_err(|_| self.slot().uncharge(1)).map_err(|refused| match refused {
            Exhausted::Limit => TableError::Full,
            Exhausted::Memory => TableError::OutOfMemory,
        })
    }

    /// Claims a slot that somebody is charged for.
    pub(crate) fn claim(self) -> Result<u32, Exhausted> {
        self.slot().claim_entry(self.office())
    }

    /// Gives back a slot that was reserved, or whose entry is gone.
    pub(crate) fn give_back(self, index: u32, payer: Address, panics: &mut Panics) {
        self.vacate(index);
        if self.repay(payer) {
            self.office().wake_sender(payer, panics);
        }
    }

    /// The same, for one on the table's own account.
    pub(crate) fn give_back_own(self, index: u32) {
        self.vacate(index);
        self.slot().uncharge(1);
    }

    fn vacate(self, index: u32) {
        // SAFETY: the caller holds the claim.
        let spent = unsafe { self.slot().entries.slot(index) }.is_spent();
        if !spent {
            self.slot().entries.give_back(index);
        }
    }

    /// Gives back a claimed slot that was never used, and is not charged here.
    pub(crate) fn return_slot(self, index: u32) {
        self.slot().entries.give_back(index);
    }

    /// Gives back what a slot was charged. Whether a sender waits for it.
    fn repay(self, payer: Address) -> bool {
        let lowered = match self.office().route(payer) {
            Some(route) if route.counts(payer.generation) => route.share.lower(payer.generation, 1),
            _ => route::Lowered::Stale,
        };
        if let route::Lowered::Stale = lowered {
            self.slot().uncharge(1);
        }
        matches!(lowered, route::Lowered::Awaited)
    }

    pub(crate) fn retain(self, handle: Handle) -> Result<(), TableError> {
        match self.with_entry(handle, |entry| entry.retain(handle.generation())) {
            Some(Ok(())) => Ok(()),
            Some(Err(Refused::Overflow)) => Err(TableError::LimitReached),
            Some(Err(Refused::Invalid)) | None => Err(TableError::InvalidHandle),
        }
    }

    /// Takes one reference of this kind back. `false`: there is none.
    pub(crate) fn lower(self, handle: Handle, by: By) -> bool {
        match self.lower_count(handle, by) {
            Some(Some(last)) => {
                Panics::after(|panics| self.settle(last, panics));
                true
            }
            Some(None) => true,
            None => false,
        }
    }

    /// The same, in the middle of something.
    pub(crate) fn lower_amid(self, handle: Handle, by: By, panics: &mut Panics) {
        if let Some(Some(last)) = self.lower_count(handle, by) {
            self.settle(last, panics);
        }
    }

    /// The key of what must be settled, if the reference was the last one.
    #[inline(always)]
    fn lower_count(self, handle: Handle, by: By) -> Option<Option<Key>> {
        self.with_entry(handle, |entry| {
            // Of this very life: a handle may be guessed before it is given out, and the key
            // that lay here then is another's.
            let key = Key::of(entry.copy(handle.generation())?);
            let lowered = entry.lower(handle.generation(), by)?;
            Some((lowered == Lowered::Last).then_some(key))
        })?
    }

    /// Sees to it that an entry that has died is no longer listed.
    #[inline(never)]
    fn settle(self, key: Key, panics: &mut Panics) {
        self.slot().live.fetch_sub(1, Relaxed);
        self.walk(panics, |family| self.slot().index.settle(family, key));
    }

    /// Turns a guard's reference into the process's own.
    pub(crate) fn take(self, handle: Handle) {
        self.with_entry(handle, |entry| entry.take(handle.generation()));
    }

    /// Empties the table, whose last reference is gone.
    pub(super) fn clear(self) {
        #[cfg(feature = "alloc")]
        self.office().empty_magazines(self.slot());
        if self.slot().live.load(Relaxed) == 0 {
            return;
        }
        let empty = |family: &EntryFamily<'t>| {
            for index in 0..self.slot().entries.span() {
                if let Some(key) = family.record(index).and_then(Entry::finish) {
                    self.slot().live.fetch_sub(1, Relaxed);
                    self.slot().index.settle(family, key);
                }
            }
        };
        Panics::after(|panics| self.walk(panics, empty));
    }
}

/// What came of putting a capability into a slot.
#[must_use]
pub(crate) enum Admitted {
    /// It is there now.
    New(Handle),
    /// An equal one was: the slot is still the caller's to give back.
    Present(Handle),
}

/// The entries of a table, as its index sees them. Pins when it first meets an
/// entry that might be given back.
struct EntryFamily<'t> {
    view: View<'t>,
    pin: OnceCell<Pin>,
    panics: Cell<Panics>,
}

impl Family for EntryFamily<'_> {
    type Record = Entry;
    type Key = Key;

    fn record(&self, index: u32) -> Option<&Entry> {
        if let Some(entry) = self.view.slot().entries.settled(index) {
            return Some(entry);
        }
        let pin = self.pin.get_or_init(|| self.view.office().pin());
        self.view.slot().entries.peek(pin, index)
    }

    fn link(entry: &Entry) -> &LinkCell {
        &entry.link
    }

    fn key(&self, entry: &Entry) -> Option<Key> {
        entry.key()
    }

    fn hash(&self, key: Key) -> u32 {
        let seed = self.view.office().seed() ^ self.view.0.number();
        mix(seed, &[key.route.index, key.route.generation, key.permissions])
    }

    fn unlinked(&self, index: u32) {
        // SAFETY: dead and unlinked by our step, so its slot is ours to give back.
        let payer = unsafe { self.view.slot().entries.slot(index) }.payer();
        self.view.vacate(index);
        if self.view.repay(payer) {
            let mut panics = self.panics.take();
            self.view.office().wake_sender(payer, &mut panics);
            self.panics.set(panics);
        }
    }
}

#[cfg(all(test, not(loom), feature = "std"))]
mod tests {
    use super::*;
    use crate::cap::permissions::Permissions;
    use crate::{Capability, Limits, Mailbox, MailboxLimits, SendWait, Signal};
    use alloc::sync::Arc;
    use core::panic::AssertUnwindSafe;
    use core::task::{Context, Waker};
    use std::panic::catch_unwind;

    struct Loud;

    impl alloc::task::Wake for Loud {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }

    /// A table with an entry whose release was begun: dead, and still listed. What
    /// unlinks it repays its mailbox, and so wakes a sender. All wakers panic.
    struct World {
        table: Table,
        mailbox: Mailbox,
        /// What the entry was, in the table and in a sender's.
        capability: Capability,
        attached: Handle,
        sender: Table,
        to: Handle,
        waits: [SendWait; 2],
        _other: Mailbox,
    }

    impl World {
        /// The mailbox's share is used up by the entry and by so many queued capabilities.
        fn new(queued: u32) -> Self {
            let office =
                PostOffice::with_limits(Limits { handles_per_table: 2, ..Limits::default() });
            let group = office.create_group().unwrap();
            let (table, sender) = (group.create_table().unwrap(), group.create_table().unwrap());
            let limits = MailboxLimits { handles: 1 + queued, ..MailboxLimits::default() };
            let mut mailbox = group.create_mailbox_with(&table, limits).unwrap();
            let other = group.create_mailbox(&sender).unwrap();
            let to = sender.insert(&mailbox.capability(Permissions::SEND)).unwrap();
            let capability = other.capability(Permissions::SEND);
            let attached = sender.insert(&capability).unwrap();
            sender.send(to, b"first", &[attached]).unwrap();
            let Ok(Signal::Message(mut message)) = mailbox.try_recv() else {
                panic!("one message")
            };
            let entry = message.take_handles().next().unwrap();
            drop(message);
            for _ in 0..queued {
                sender.send(to, b"queued", &[attached]).unwrap();
            }
            let (waker, mut waits) = (Waker::from(Arc::new(Loud)), [const { SendWait::new() }; 2]);
            for wait in &mut waits {
                let cx = &mut Context::from_waker(&waker);
                assert!(sender.poll_send(cx, wait, to, b"late", &[attached]).is_pending());
            }
            let view = table.view();
            let lowered = view.with_entry(entry, |it| it.lower(entry.generation(), By::Own));
            assert_eq!(lowered, Some(Some(Lowered::Last)));
            view.slot().live.fetch_sub(1, Relaxed);
            Self { table, mailbox, capability, attached, sender, to, waits, _other: other }
        }
    }

    /// Each table of each office orders its entries in a way of its own, so that who sees one
    /// cannot choose capabilities that fall together in another.
    #[test]
    fn each_table_has_a_seed_of_its_own() {
        let mut hashes = alloc::collections::BTreeSet::new();
        for _ in 0..4 {
            let office = PostOffice::new();
            let group = office.create_group().unwrap();
            let address = Address { index: 1, generation: 1 };
            let reference =
                Reference { route: address, group: address, permissions: Permissions::SEND };
            let tables: alloc::vec::Vec<_> =
                (0..16).map(|_| group.create_table().unwrap()).collect();
            for table in &tables {
                let hash = |family: &EntryFamily<'_>| family.hash(Key::of(reference));
                hashes.insert(table.view().walk(&mut Panics::new(), hash));
            }
        }
        assert!(hashes.len() > 60, "{} of 64", hashes.len());
    }

    /// Rules S2 and P4: the table has all its own places afterwards.
    #[test]
    fn a_waker_that_panics_in_an_insert_costs_no_place() {
        let World { table, mailbox, capability, waits, .. } = World::new(0);
        let inserted = catch_unwind(AssertUnwindSafe(|| table.insert(&capability)));
        assert!(inserted.is_err(), "a panic is passed on");
        assert_eq!(table.len(), 0, "nobody knows of what was inserted");
        drop(waits.into_iter().rev().collect::<alloc::vec::Vec<_>>()); // The last in the line first.
        let one = table.insert(&capability);
        let two = table.insert(&mailbox.capability(Permissions::SEND));
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    }

    /// Rules S2 and R2: the mailbox has all its share afterwards.
    #[test]
    fn a_waker_that_panics_in_a_receive_costs_no_share() {
        let World { table, mut mailbox, attached, sender, to, waits, .. } = World::new(1);
        for cause in ["room for messages", "room for capabilities"] {
            let received = catch_unwind(AssertUnwindSafe(|| drop(mailbox.try_recv())));
            assert!(received.is_err(), "a panic is passed on: {cause}");
        }
        drop(waits);
        assert_eq!(mailbox.try_recv().map(drop), Ok(()), "what was interrupted");
        assert_eq!(mailbox.try_recv().map(drop), Err(crate::TryRecvError::Empty));
        assert_eq!(table.len(), 0);
        assert_eq!(sender.send(to, b"all of it", &[attached, attached]), Ok(()));
    }
}
