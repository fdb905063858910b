//! Tables: the capabilities that a process holds, and the handles it names
//! them by.
//!
//! # Who may do what to a table slot
//! | state   | refs | may read and write the fields                              |
//! |---------|------|------------------------------------------------------------|
//! | Vacant  | 0    | who holds the slot's claim                                 |
//! | Living  | > 0  | who has a reference, by the steps of each field            |
//!
//! References are `Table` values, mailboxes, received messages that are owned,
//! and sends with attachments while they are under way. Others reach a slot
//! pinned, and take a reference before they do anything (`acquire`).
//!
//! # Progress
//! Lookups are wait-free. Inserting, retaining and releasing are lock-free.

use super::Reference;
use super::capability::Capability;
use super::entry::{By, Entry, Key, Lowered, Refused};
use super::granted::{Granted, Right};
use super::handle::Handle;
use super::permissions::Permissions;
use crate::arena::small::Small;
use crate::arena::{Exhausted, Slot};
use crate::error::TableError;
use crate::group::RouteGroup;
use crate::index::{Family, Index, LinkCell, mix};
use crate::life::{Address, AddressCell, Generation, Life};
use crate::limits::Limits;
use crate::mailbox::Mailbox;
#[cfg(feature = "alloc")]
use crate::mailbox::magazine::Magazine;
use crate::monitor::MonitorId;
use crate::office::{Office, PostOffice};
use crate::reclaim::Pin;
use crate::route;
use crate::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::sync::const_fn;
use core::cell::OnceCell;
use core::fmt;
use core::ptr::NonNull;

/// Entries that lie in the table slot itself.
pub(crate) const FIRST_ENTRIES: usize =
    if crate::sync::MODEL || cfg!(not(feature = "alloc")) { 1 } else { 4 };

pub(crate) type Entries = Small<Entry, FIRST_ENTRIES>;

/// What all values of one table share.
pub(crate) struct TableSlot {
    refs: AtomicU32,
    /// The group that seals the table by its death, if there is one.
    pub(crate) group: AddressCell,
    /// Slots charged to the table itself. Changed by wrapping steps that only
    /// together make sense while a mailbox goes.
    used: AtomicU32,
    limit: AtomicU32,
    /// Slots that living mailboxes have added.
    shares: AtomicU32,
    /// Living entries.
    live: AtomicU32,
    pub(crate) entries: Entries,
    index: Index,
    #[cfg(feature = "alloc")]
    pub(crate) magazine: Magazine,
}

impl TableSlot {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self {
                refs: AtomicU32::new(0),
                group: AddressCell::nowhere(),
                used: AtomicU32::new(0),
                limit: AtomicU32::new(0),
                shares: AtomicU32::new(0),
                live: AtomicU32::new(0),
                #[cfg(all(not(feature = "alloc"), not(all(loom, feature = "loom"))))]
                entries: Entries::new([const { Entry::new() }; FIRST_ENTRIES]),
                #[cfg(any(feature = "alloc", all(loom, feature = "loom")))]
                entries: Entries::new(first_entries()),
                index: Index::new(),
                #[cfg(feature = "alloc")]
                magazine: Magazine::new(),
            }
        }
    }

    /// Makes the claimed slot a table of one reference.
    fn open(&self, group: Address, limits: &Limits) {
        self.group.store(group);
        self.used.store(0, Relaxed);
        self.limit.store(limits.handles_per_table, Relaxed);
        self.shares.store(0, Relaxed);
        self.live.store(0, Relaxed);
        self.refs.store(1, Release); // Partner: `acquire`.
    }

    /// Takes a reference, if the table still has one.
    pub(crate) fn acquire(&self) -> bool {
        let mut refs = self.refs.load(Relaxed);
        while refs != 0 {
            match self.refs.compare_exchange_weak(refs, refs + 1, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(now) => refs = now,
            }
        }
        false
    }

    /// Adds a mailbox's share to the capacity, if storage is not fixed below it.
    pub(crate) fn add_share(&self, handles: u32, most: u32) -> bool {
        let own = self.limit.load(Relaxed);
        // What closed mailboxes left behind is the table's own: one that is above
        // its limit by that gets no more of it.
        if self.used.load(Relaxed) > own {
            return false;
        }
        let mut shares = self.shares.load(Relaxed);
        loop {
            let Some(sum) = shares.checked_add(handles) else { return false };
            if sum.saturating_add(own) > most {
                return false;
            }
            match self.shares.compare_exchange_weak(shares, sum, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(now) => shares = now,
            }
        }
    }

    pub(crate) fn remove_share(&self, handles: u32) {
        self.shares.fetch_sub(handles, AcqRel);
    }

    /// Takes over what a closing mailbox's share is used for.
    pub(crate) fn take_over(&self, change: i64) {
        self.used.fetch_add(change as u32, AcqRel); // Wrapping: `change` may be negative.
    }

    fn charge(&self) -> bool {
        let limit = self.limit.load(Relaxed);
        let mut used = self.used.load(Relaxed);
        loop {
            if used >= limit {
                return false;
            }
            match self.used.compare_exchange_weak(used, used + 1, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(now) => used = now,
            }
        }
    }

    fn uncharge(&self) {
        self.used.fetch_sub(1, AcqRel);
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
    }
}

/// A table slot together with its office: where its operations are.
#[derive(Clone, Copy)]
pub(crate) struct View<'t> {
    pub(crate) office: &'t Office,
    pub(crate) slot: &'t TableSlot,
    /// The table slot's own index.
    pub(crate) number: u32,
    /// The group that seals the table.
    seal: Option<&'t Life>,
    generation: Generation,
}

impl<'t> View<'t> {
    /// Whether the table's group is dead (rule O5).
    #[inline(always)]
    pub(crate) fn is_sealed(self) -> bool {
        self.seal.is_some_and(|life| !life.is(self.generation))
    }

    /// Runs `look` on the entry at a handle's index, if there is one.
    #[inline(always)]
    fn with_entry<R>(self, handle: Handle, look: impl FnOnce(&Entry) -> R) -> Option<R> {
        let index = handle.index();
        if Entries::is_settled(index) {
            return self.slot.entries.settled(index).map(look);
        }
        let pin = self.office.pin();
        self.slot.entries.peek(&pin, index).map(look)
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

    fn family(self) -> EntryFamily<'t> {
        EntryFamily { view: self, pin: OnceCell::new() }
    }

    /// The handle of the entry equal to `reference`, with one more reference, if there is one.
    fn raise(self, reference: Reference, by: By) -> Option<Handle> {
        let (family, key) = (self.family(), Key::of(reference));
        loop {
            let index = self.slot.index.find(&family, key)?;
            if let Some(handle) = family.record(index)?.raise_key(index, key, by) {
                return Some(handle);
            }
        }
    }

    /// Puts a capability into the claimed slot `index`, or finds it there
    /// already, in which case the slot was not used (rule P4).
    pub(crate) fn admit(
        self,
        index: u32,
        reference: Reference,
        payer: Address,
        by: By,
    ) -> Admitted {
        let (family, key) = (self.family(), Key::of(reference));
        // SAFETY: claimed by the caller.
        let entry = unsafe { self.slot.entries.slot(index) };
        let handle = entry.stage(index, reference, payer, by);
        let live = self.slot.live.fetch_add(1, Relaxed) as usize + 1; // A count for people, and for:
        if !self.office.is_fixed() {
            self.slot.index.spread(live);
        }
        loop {
            let other = match self.slot.index.insert(&family, key, index) {
                Ok(()) => {
                    entry.publish();
                    return Admitted::New(handle);
                }
                Err(other) => other,
            };
            let raised = family.record(other).and_then(|entry| entry.raise_key(other, key, by));
            if let Some(handle) = raised {
                entry.withdraw();
                self.slot.live.fetch_sub(1, Relaxed);
                return Admitted::Present(handle);
            }
        }
    }

    /// Puts a capability into the table on the table's own account.
    pub(crate) fn insert(self, reference: Reference) -> Result<Handle, TableError> {
        if let Some(handle) = self.raise(reference, By::Own) {
            return Ok(handle);
        }
        let slot = self.reserve_own()?;
        match self.admit(slot, reference, Address::NOWHERE, By::Own) {
            Admitted::New(handle) => Ok(handle),
            Admitted::Present(handle) => {
                self.give_back(slot, Address::NOWHERE);
                Ok(handle)
            }
        }
    }

    /// Reserves a slot on the table's own account.
    pub(crate) fn reserve_own(self) -> Result<u32, TableError> {
        if !self.slot.charge() {
            return Err(TableError::Full);
        }
        self.claim().inspect_err(|_| self.slot.uncharge()).map_err(|refused| match refused {
            Exhausted::Limit => TableError::Full,
            Exhausted::Memory => TableError::OutOfMemory,
        })
    }

    /// Claims a slot that somebody is charged for.
    pub(crate) fn claim(self) -> Result<u32, Exhausted> {
        self.slot.entries.claim()
    }

    /// Gives back a slot that was reserved, or whose entry is gone.
    pub(crate) fn give_back(self, index: u32, payer: Address) {
        // SAFETY: the caller holds the claim.
        let spent = unsafe { self.slot.entries.slot(index) }.is_spent();
        if !spent {
            self.slot.entries.give_back(index);
        }
        self.repay(payer);
    }

    /// Gives back a claimed slot that was never used, and is not charged here.
    pub(crate) fn return_slot(self, index: u32) {
        self.slot.entries.give_back(index);
    }

    /// Gives back what a slot was charged.
    fn repay(self, payer: Address) {
        let Some(route) = self.office.route(payer) else { return self.slot.uncharge() };
        match route.share.lower(payer.generation, 1) {
            route::Lowered::Stale => self.slot.uncharge(),
            route::Lowered::Done => {}
            route::Lowered::Awaited => self.office.wake_sender(payer),
        }
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
        let lowered = self.with_entry(handle, |entry| {
            let key = entry.key(); // This life's, if the step succeeds.
            (key, entry.lower(handle.generation(), by))
        });
        match lowered {
            Some((Some(key), Some(Lowered::Last))) => {
                self.slot.live.fetch_sub(1, Relaxed);
                self.slot.index.settle(&self.family(), key);
                true
            }
            Some((_, Some(_))) => true,
            _ => false,
        }
    }

    /// Turns a guard's reference into the process's own.
    pub(crate) fn take(self, handle: Handle) {
        self.with_entry(handle, |entry| entry.take(handle.generation()));
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
}

impl Family for EntryFamily<'_> {
    type Record = Entry;
    type Key = Key;

    fn record(&self, index: u32) -> Option<&Entry> {
        if Entries::is_settled(index) {
            return self.view.slot.entries.settled(index);
        }
        let pin = self.pin.get_or_init(|| self.view.office.pin());
        self.view.slot.entries.peek(pin, index)
    }

    fn link(entry: &Entry) -> &LinkCell {
        &entry.link
    }

    fn key(&self, entry: &Entry) -> Option<Key> {
        entry.key()
    }

    fn hash(&self, key: Key) -> u32 {
        let seed = self.view.office.seed() ^ self.view.number;
        mix(seed, &[key.route.index, key.route.generation, key.permissions])
    }

    fn unlinked(&self, index: u32) {
        // SAFETY: dead and unlinked by our step, so its slot is ours to give back.
        let payer = unsafe { self.view.slot.entries.slot(index) }.payer();
        self.view.give_back(index, payer);
    }
}

/// The capabilities that a process holds, named by [`Handle`]s.
///
/// A table is what a process can reach of the world: whatever it does, it does
/// through a handle of its table, and a handle that is not in the table is
/// refused. A table made by a [`RouteGroup`] is *sealed* the instant the group
/// dies (rule O5); one made by the [`PostOffice`] is the host's and is not.
///
/// Values of one table are clones of each other; the table goes with the last
/// of them, and with the mailboxes that put capabilities into it.
///
/// ```
/// use flue_core::{Permissions, PostOffice, Signal};
///
/// let office = PostOffice::new();
/// let group = office.create_group()?;
/// let table = group.create_table()?;
/// let mut mailbox = group.create_mailbox(&table)?;
///
/// let all = mailbox.export(Permissions::all())?;
/// let send_only = table.demote(all, Permissions::SEND)?;
/// table.send(send_only, b"hello", &[])?;
///
/// let Signal::Message(message) = mailbox.try_recv()? else { unreachable!() };
/// assert_eq!(message.data(), b"hello");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Progress
/// Lookups are wait-free; every other operation is lock-free.
pub struct Table {
    office: PostOffice,
    number: u32,
    slot: NonNull<TableSlot>,
    /// The life of the group that seals it, and its generation.
    seal: Option<NonNull<Life>>,
    generation: Generation,
}

// SAFETY: a `Table` is a counted reference to a slot whose fields are all
// changed by atomic steps; the slot stays while the count does.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Table {
    /// Makes a table in a claimed slot, for `group` or for the office.
    pub(crate) fn create(office: &PostOffice, group: Address) -> Result<Self, Exhausted> {
        let number = office.tables.claim()?;
        // SAFETY: claimed just now, until the last reference gives it back.
        let slot = unsafe { office.tables.slot(number) };
        slot.open(group, office.limits());
        Ok(Self::from_acquired(office, number, slot))
    }

    /// A value from a reference that `acquire` took.
    pub(crate) fn from_acquired(office: &Office, number: u32, slot: &TableSlot) -> Self {
        let group = slot.group.load();
        let seal = office.group(group).map(|group| NonNull::from(&group.life));
        let generation = group.generation;
        Self { office: office.counted(), number, slot: NonNull::from(slot), seal, generation }
    }

    #[inline(always)]
    pub(crate) fn view(&self) -> View<'_> {
        // SAFETY: the slot stays while this reference does, the group's as long
        // as the office.
        let (slot, seal) = unsafe { (self.slot.as_ref(), self.seal.map(|life| life.as_ref())) };
        let Self { number, generation, .. } = *self;
        View { office: &self.office, slot, number, seal, generation }
    }

    pub(crate) fn post_office(&self) -> &PostOffice {
        &self.office
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    fn unsealed(&self) -> Result<View<'_>, TableError> {
        let view = self.view();
        if view.is_sealed() { Err(TableError::Dead) } else { Ok(view) }
    }

    /// Puts the host's capability into the table.
    ///
    /// If an equal one is there its handle is returned, with one more reference
    /// (rule P4).
    ///
    /// ```
    /// use flue_core::{Permissions, PostOffice};
    ///
    /// let office = PostOffice::new();
    /// let service = office.create_group()?;
    /// let mailbox = service.create_mailbox(&service.create_table()?)?;
    /// let client = office.create_group()?.create_table()?;
    ///
    /// let capability = mailbox.capability(Permissions::SEND);
    /// # let keep = office.create_group()?; let client = keep.create_table()?;
    /// let handle = client.insert(&capability)?;
    /// assert_eq!(client.insert(&capability)?, handle);
    /// assert_eq!(client.len(), 1);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `PostOfficeMismatch`, `Dead` if the table is sealed, `Full`, `OutOfMemory`.
    pub fn insert(&self, capability: &Capability) -> Result<Handle, TableError> {
        if *capability.post_office() != self.office {
            return Err(TableError::PostOfficeMismatch);
        }
        self.unsealed()?.insert(capability.reference())
    }

    /// The capability that `handle` names, for the host.
    ///
    /// # Errors
    /// `Dead`, `InvalidHandle`.
    pub fn capability(&self, handle: Handle) -> Result<Capability, TableError> {
        let reference = self.unsealed()?.lookup(handle).ok_or(TableError::InvalidHandle)?;
        Ok(Capability::new(&self.office, reference))
    }

    /// Whether `handle` names a capability.
    #[must_use]
    pub fn contains(&self, handle: Handle) -> bool {
        self.unsealed().is_ok_and(|view| view.lookup(handle).is_some())
    }

    /// What the capability permits.
    ///
    /// # Errors
    /// `Dead`, `InvalidHandle`.
    pub fn permissions(&self, handle: Handle) -> Result<Permissions, TableError> {
        let reference = self.unsealed()?.lookup(handle).ok_or(TableError::InvalidHandle)?;
        Ok(reference.permissions)
    }

    /// Whether two handles name capabilities to the same route.
    ///
    /// # Errors
    /// `Dead`, `InvalidHandle`.
    pub fn same_route(&self, a: Handle, b: Handle) -> Result<bool, TableError> {
        let view = self.unsealed()?;
        let find = |handle| view.lookup(handle).ok_or(TableError::InvalidHandle);
        Ok(find(a)?.route == find(b)?.route)
    }

    /// Takes one more reference to the capability.
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice, TableError};
    /// # let group = PostOffice::new().create_group()?;
    /// # let table = group.create_table()?;
    /// # let mailbox = group.create_mailbox(&table)?;
    /// let handle = mailbox.export(Permissions::SEND)?;
    /// table.retain(handle)?;
    /// table.release(handle)?;
    /// assert!(table.contains(handle));
    /// table.release(handle)?;
    /// assert_eq!(table.release(handle), Err(TableError::InvalidHandle));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Dead`, `InvalidHandle`; `LimitReached` if the process has as many as can be counted.
    pub fn retain(&self, handle: Handle) -> Result<(), TableError> {
        self.unsealed()?.retain(handle)
    }

    /// Gives one reference back. With the last, the handle names nothing any more.
    ///
    /// Only the process's own references are given back so, never a guard's
    /// (rule P5).
    ///
    /// # Errors
    /// `Dead`; `InvalidHandle`, also if the process has no reference of its own.
    pub fn release(&self, handle: Handle) -> Result<(), TableError> {
        if self.unsealed()?.lower(handle, By::Own) {
            Ok(())
        } else {
            Err(TableError::InvalidHandle)
        }
    }

    /// A capability to the same route with only `permissions`, which must all
    /// be permitted by the one that `handle` names (rule P2).
    ///
    /// # Errors
    /// `Dead`, `InvalidHandle`, `PermissionDenied`, `Full`, `OutOfMemory`.
    pub fn demote(&self, handle: Handle, permissions: Permissions) -> Result<Handle, TableError> {
        let view = self.unsealed()?;
        let reference = view.lookup(handle).ok_or(TableError::InvalidHandle)?;
        view.insert(reference.demoted(permissions).ok_or(TableError::PermissionDenied)?)
    }

    /// Kills the group of the capability's route (rule K1).
    ///
    /// # Errors
    /// `Dead`, `InvalidHandle`, `PermissionDenied`; `Closed` if the route is
    /// closed while its group lives.
    pub fn kill(&self, handle: Handle) -> Result<(), TableError> {
        let view = self.view();
        view.office.kill_through(view.grant(handle)?)
    }

    /// Has `observer` told, by a down, when the capability's route is over
    /// (rules K5 to K7).
    ///
    /// Monitoring the same route again before its down was received changes
    /// nothing and returns the same id.
    ///
    /// ```
    /// use flue_core::{DownReason, Permissions, PostOffice, Signal};
    ///
    /// let office = PostOffice::new();
    /// let group = office.create_group()?;
    /// let table = group.create_table()?;
    /// let mut observer = group.create_mailbox(&table)?;
    /// let watched = group.create_mailbox(&table)?;
    ///
    /// let handle = watched.export(Permissions::MONITOR)?;
    /// let id = table.monitor(handle, &observer)?;
    /// watched.close();
    /// let Signal::Down(down) = observer.try_recv()? else { unreachable!() };
    /// assert_eq!((down.monitor(), down.reason()), (id, DownReason::Closed));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `PostOfficeMismatch`; `Dead` if the table is sealed or the observer's
    /// group dead; `InvalidHandle`, `PermissionDenied`; `LimitReached` for the
    /// observer's group; `Full` for the observer's table; `OutOfMemory`.
    pub fn monitor(&self, handle: Handle, observer: &Mailbox) -> Result<MonitorId, TableError> {
        if *observer.post_office() != self.office {
            return Err(TableError::PostOfficeMismatch);
        }
        observer.monitor(self.view().grant(handle)?)
    }

    /// Ties the fate of `group` to that of the capability's group: when one
    /// dies, the other is killed (rules L1 to L4).
    ///
    /// # Errors
    /// `PostOfficeMismatch`, `Dead`, `InvalidHandle`, `PermissionDenied`;
    /// `Closed` if the route is closed while its group lives; `LimitReached`
    /// for `group`; `OutOfMemory`.
    pub fn link(&self, handle: Handle, group: &RouteGroup) -> Result<(), TableError> {
        if *group.post_office() != self.office {
            return Err(TableError::PostOfficeMismatch);
        }
        let view = self.view();
        view.office.link_through(view.grant(handle)?, group.address())
    }

    /// Removes the link between `group` and the capability's group. `true`: there
    /// was one, and it never kills anyone any more (rule L3).
    ///
    /// # Errors
    /// `PostOfficeMismatch`, `Dead`, `InvalidHandle`, `PermissionDenied`.
    pub fn unlink(&self, handle: Handle, group: &RouteGroup) -> Result<bool, TableError> {
        if *group.post_office() != self.office {
            return Err(TableError::PostOfficeMismatch);
        }
        let view = self.view();
        Ok(view.office.unlink_through(view.grant(handle)?, group.address()))
    }

    /// The handles that name capabilities, for the host: those that are there
    /// throughout, and perhaps some that come or go meanwhile.
    pub fn handles(&self) -> impl Iterator<Item = Handle> {
        let view = self.unsealed().ok();
        (0..).map_while(move |index| Slots::at(view?, index)).flatten()
    }

    /// How many capabilities there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.unsealed().map_or(0, |view| view.slot.live.load(Relaxed) as usize)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many capabilities there may be: the table's own, and what its
    /// mailboxes have added for those attached to messages (rule S2).
    #[must_use]
    pub fn capacity(&self) -> usize {
        let slot = self.view().slot;
        slot.limit.load(Relaxed) as usize + slot.shares.load(Relaxed) as usize
    }
}

/// The slots of a table one by one, for a snapshot.
struct Slots;

impl Slots {
    /// `None` beyond the last slot; `Some(None)` for a vacant one.
    fn at(view: View<'_>, index: u32) -> Option<Option<Handle>> {
        if index >= view.slot.entries.span() {
            return None;
        }
        let pin = view.office.pin();
        Some(view.slot.entries.peek(&pin, index).and_then(|entry| entry.handle(index)))
    }
}

impl Clone for Table {
    fn clone(&self) -> Self {
        let refs = self.view().slot.refs.fetch_add(1, Relaxed); // We have one: it cannot go.
        assert!(refs < u32::MAX / 2, "too many values of one table");
        let Self { number, slot, seal, generation, .. } = *self;
        Self { office: self.office.clone(), number, slot, seal, generation }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let view = self.view();
        // Release: what we did is before the end. Acquire, if we are the last:
        // so is what the others did.
        if view.slot.refs.fetch_sub(1, AcqRel) != 1 {
            return;
        }
        view.clear();
        let group = view.slot.group.load();
        view.office.tables.give_back(self.number);
        if !group.is_nowhere() {
            view.office.table_gone(group);
        }
    }
}

impl View<'_> {
    /// Empties the table, whose last reference is gone.
    fn clear(self) {
        #[cfg(feature = "alloc")]
        self.office.nodes.give_back_all(core::iter::from_fn(|| self.slot.magazine.take()));
        if self.slot.live.load(Acquire) == 0 {
            return;
        }
        let family = self.family();
        for index in 0..self.slot.entries.span() {
            if let Some(key) = family.record(index).and_then(Entry::finish) {
                self.slot.live.fetch_sub(1, Relaxed);
                self.slot.index.settle(&family, key);
            }
        }
    }
}

/// Says whose it is not, and nothing that helps to forge or to count.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("sealed", &self.view().is_sealed()).finish_non_exhaustive()
    }
}
