//! Tables: the capabilities that a process holds, and the handles it names
//! them by.
//!
//! # Progress
//! Lookups are wait-free. Inserting, retaining and releasing are lock-free.

use super::capability::Capability;
use super::entry::By;
use super::handle::Handle;
use super::permissions::Permissions;
use super::slot::TableSlot;
use super::view::View;
use crate::arena::Exhausted;
use crate::error::TableError;
use crate::life::{Address, Generation, Life};
use crate::office::{Office, PostOffice};
use crate::sync::atomic::Ordering::Relaxed;
use crate::twin::{self, Twin};
use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};

/// The capabilities that a process holds, named by [`Handle`]s.
///
/// A table is what a process can reach of the world: whatever it does, it does
/// through a handle of its table, and a handle that is not in the table is
/// refused. A table made by a [`RouteGroup`](crate::RouteGroup) is *sealed* the instant the group
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
/// # Errors
/// What is asked of a sealed table is `Dead`, and a handle that names nothing in it
/// is `InvalidHandle`. [`TableError`] and [`SendError`](crate::SendError) say what
/// each error means.
///
/// # Cost
/// Dropping the last value empties the table: linear in the entries that it ever had at
/// one time; no memory. Dropping another is two steps.
///
/// # Progress
/// Lookups are wait-free; every other operation is lock-free.
pub struct Table {
    office: PostOffice,
    number: u32,
    slot: NonNull<TableSlot>,
    /// The life of the group that seals it, and its generation.
    seal: NonNull<Life>,
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
        Ok(Self::of_slot(office, number, slot))
    }

    fn of_slot(office: &Office, number: u32, slot: &TableSlot) -> Self {
        let group = slot.group.load();
        let seal = NonNull::from(office.group(group).map_or(office.eternal(), |group| &group.life));
        let generation = group.generation;
        Self { office: office.counted(), number, slot: NonNull::from(slot), seal, generation }
    }

    #[inline(always)]
    pub(crate) fn view(&self) -> View<'_> {
        View::of(self)
    }

    #[inline(always)]
    pub(crate) fn slot(&self) -> &TableSlot {
        // SAFETY: the slot stays while this reference does.
        unsafe { self.slot.as_ref() }
    }

    /// The life that seals the table by its end: its group's, or one that never
    /// ends.
    #[inline(always)]
    pub(crate) fn seal(&self) -> &Life {
        // SAFETY: of a group, or of the office, both of which stay as the office does.
        unsafe { self.seal.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    #[inline(always)]
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
    /// `PostOfficeMismatch`: the capability is of another office; `Dead` if the table
    /// is sealed; `Full`: it has as many of its own as it may; `OutOfMemory`.
    ///
    /// # Cost
    /// [A search](crate#what-operations-cost); for a new entry, a slot.
    pub fn insert(&self, capability: &Capability) -> Result<Handle, TableError> {
        if *capability.post_office() != self.office {
            return Err(TableError::PostOfficeMismatch);
        }
        self.unsealed()?.insert(capability.reference())
    }

    /// The capability that `handle` names, for the host.
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice};
    /// # let office = PostOffice::new();
    /// # let group = office.create_group()?;
    /// # let (table, other) = (group.create_table()?, office.create_table()?);
    /// # let mailbox = group.create_mailbox(&table)?;
    /// let handle = mailbox.export(Permissions::SEND)?;
    /// let there = other.insert(&table.capability(handle)?)?;
    /// other.send(there, b"by another table", &[])?;
    /// # assert_eq!(mailbox.len(), 1);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Dead`, `InvalidHandle`.
    ///
    /// # Cost
    /// [A look-up](crate#what-operations-cost) and one step: the capability keeps the
    /// office.
    pub fn capability(&self, handle: Handle) -> Result<Capability, TableError> {
        let reference = self.unsealed()?.lookup(handle).ok_or(TableError::InvalidHandle)?;
        Ok(Capability::new(&self.office, reference))
    }

    /// Whether `handle` names a capability: never in a sealed table. See
    /// [`retain`](Self::retain) for an example.
    ///
    /// # Cost
    /// [A look-up](crate#what-operations-cost).
    #[must_use]
    pub fn contains(&self, handle: Handle) -> bool {
        self.unsealed().is_ok_and(|view| view.lookup(handle).is_some())
    }

    /// What the capability permits. See [`demote`](Self::demote) for an example.
    ///
    /// # Errors
    /// `Dead`, `InvalidHandle`.
    ///
    /// # Cost
    /// [A look-up](crate#what-operations-cost).
    pub fn permissions(&self, handle: Handle) -> Result<Permissions, TableError> {
        let reference = self.unsealed()?.lookup(handle).ok_or(TableError::InvalidHandle)?;
        Ok(reference.permissions)
    }

    /// Whether two handles name capabilities to the same route. See
    /// [`demote`](Self::demote) for an example.
    ///
    /// # Errors
    /// `Dead`, `InvalidHandle`.
    ///
    /// # Cost
    /// Two [look-ups](crate#what-operations-cost).
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
    ///
    /// # Cost
    /// [A look-up](crate#what-operations-cost) and one step.
    pub fn retain(&self, handle: Handle) -> Result<(), TableError> {
        self.unsealed()?.retain(handle)
    }

    /// Gives one reference back. With the last, the handle names nothing any more.
    ///
    /// Only the process's own references are given back so, never a guard's
    /// (rule P5). See [`retain`](Self::retain) for an example.
    ///
    /// # Errors
    /// `Dead`; `InvalidHandle`, also if the process has no reference of its own.
    ///
    /// # Cost
    /// [A look-up](crate#what-operations-cost) and one step; with the last reference a
    /// search besides, and the wake of a sender that waits for the slot. No memory.
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
    /// ```
    /// # use flue_core::{Permissions, PostOffice, TableError};
    /// # let group = PostOffice::new().create_group()?;
    /// # let table = group.create_table()?;
    /// # let mailbox = group.create_mailbox(&table)?;
    /// let handle = mailbox.export(Permissions::SEND | Permissions::MONITOR)?;
    /// let send_only = table.demote(handle, Permissions::SEND)?;
    /// assert_eq!(table.permissions(send_only)?, Permissions::SEND);
    /// assert!(table.same_route(handle, send_only)?);
    /// let back = table.demote(send_only, Permissions::MONITOR);
    /// assert_eq!(back, Err(TableError::PermissionDenied));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Dead`, `InvalidHandle`; `PermissionDenied` for a permission that it has not,
    /// or an unknown bit; `Full`: the table has as many of its own as it may;
    /// `OutOfMemory`.
    ///
    /// # Cost
    /// [A look-up and a search](crate#what-operations-cost); for a new entry, a slot.
    pub fn demote(&self, handle: Handle, permissions: Permissions) -> Result<Handle, TableError> {
        let view = self.unsealed()?;
        let reference = view.lookup(handle).ok_or(TableError::InvalidHandle)?;
        view.insert(reference.demoted(permissions).ok_or(TableError::PermissionDenied)?)
    }

    /// The handles that name capabilities, for the host: those that are there
    /// throughout, and perhaps some that come or go meanwhile; none twice.
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice};
    /// # let group = PostOffice::new().create_group()?;
    /// # let table = group.create_table()?;
    /// # let mailbox = group.create_mailbox(&table)?;
    /// assert!(table.is_empty());
    /// let handle = mailbox.export(Permissions::SEND)?;
    /// assert!(table.handles().eq([handle]));
    /// assert!(table.len() == 1 && table.capacity() > 1);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Cost
    /// Linear in the entries that the table ever had at one time; no memory.
    pub fn handles(&self) -> impl Iterator<Item = Handle> {
        let view = self.unsealed().ok();
        (0..).map_while(move |index| Slots::at(view?, index)).flatten()
    }

    /// How many capabilities there are; none in a sealed table. See
    /// [`handles`](Self::handles) for an example.
    ///
    /// # Cost
    /// Reads alone; wait-free. So are [`is_empty`](Self::is_empty) and
    /// [`capacity`](Self::capacity).
    #[must_use]
    pub fn len(&self) -> usize {
        self.unsealed().map_or(0, |view| view.slot().live.load(Relaxed) as usize)
    }

    /// Whether there is none. See [`handles`](Self::handles) for an example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many capabilities there may be: the table's own, and what its
    /// mailboxes have added for those attached to messages (rule S2). See
    /// [`handles`](Self::handles) for an example.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slot().capacity()
    }
}

/// The slots of a table one by one, for a snapshot.
struct Slots;

impl Slots {
    /// `None` beyond the last slot; `Some(None)` for a vacant one.
    fn at(view: View<'_>, index: u32) -> Option<Option<Handle>> {
        if index >= view.slot().entries.span() {
            return None;
        }
        let pin = view.office().pin();
        Some(view.slot().entries.peek(&pin, index).and_then(|entry| entry.handle(index)))
    }
}

impl Clone for Table {
    /// One more value of the same table: two steps.
    fn clone(&self) -> Self {
        self.slot().owners.add();
        let Self { number, slot, seal, generation, .. } = *self;
        Self { office: self.office.clone(), number, slot, seal, generation }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if !self.slot().owners.give_back() {
            return;
        }
        if !twin::is(Twin::HoldsOwn) {
            self.leave_group();
        }
        self.let_go();
    }
}

impl Table {
    /// The last owner is gone: the table is none of its group's any more (rule O4).
    fn leave_group(&self) {
        let group = self.slot().group.load();
        if !group.is_nowhere() {
            self.office.table_gone(group);
        }
    }

    /// Lets go of a hold. The last one empties the table and gives its slot back.
    fn let_go(&self) {
        if !self.slot().holds.give_back() {
            return;
        }
        self.view().clear();
        if twin::is(Twin::HoldsOwn) {
            self.leave_group();
        }
        self.office.tables.give_back(self.number);
    }
}

/// A table while an operation works on it, whatever becomes of its owners: it is none.
pub(crate) struct Held(ManuallyDrop<Table>);

impl Held {
    /// From a hold that `acquire` took.
    pub(crate) fn from_acquired(office: &Office, number: u32, slot: &TableSlot) -> Self {
        Self(ManuallyDrop::new(Table::of_slot(office, number, slot)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.let_go();
        // SAFETY: the value is not used again, and of its fields this one alone needs
        // dropping; what `Table` does besides is for owners.
        drop(unsafe { ptr::read(&self.0.office) });
    }
}

/// Says whose it is not, and nothing that helps to forge or to count.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("sealed", &self.view().is_sealed()).finish_non_exhaustive()
    }
}
