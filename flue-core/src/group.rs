//! Route groups: what dies together.
//!
//! # States
//! | state  | life    | owners | holds | who may act                                |
//! |--------|---------|--------|-------|--------------------------------------------|
//! | Alive  | odd     | > 0    | > 0   | anybody                                    |
//! | Dead   | even    | > 0    | > 0   | its owners, who find it dead; its killer, who finishes |
//! | Ended  | even    | 0      | > 0   | who has a hold: finds it gone              |
//! | Vacant | even    | 0      | 0     | who has the slot's claim                   |
//!
//! # Transitions
//! | step          | from     | to     | owes                                   |
//! |---------------|----------|--------|----------------------------------------|
//! | kill          | Alive    | Dead   | the cascade (`death`)                  |
//! | disown, last  | Alive    | Ended  | dissolving the links (rule O4), then the owners' hold |
//! | disown, last  | Dead     | Ended  | the owners' hold                       |
//! | release, last | Ended    | Vacant | giving the slot back                   |
//!
//! Owners are `RouteGroup` values, tables made for the group, and its mailboxes. A hold
//! keeps the slot: one is all owners', and an operation takes one while it works on the
//! group, a killer or a linker. One is taken only where there is another (`acquire`), so
//! a group that is gone stays so; and who stops with one keeps a slot, and nobody alive.
//!
//! # Progress
//! Every step is one atomic operation, lock-free.

use crate::arena::{Exhausted, Slot, stable};
use crate::cap::table::Table;
use crate::error::{CreateError, TableError};
use crate::life::{Address, Ended, Life};
use crate::limits::MailboxLimits;
use crate::mailbox::Mailbox;
use crate::office::{Office, PostOffice};
use crate::reclaim::Pin;
use crate::refs::Refs;
use crate::roster::Roster;
use crate::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sync::const_fn;
use crate::twin::{self, Twin};
use core::fmt;
use core::ptr::NonNull;

/// One group of the office.
#[repr(C)]
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub(crate) struct Group {
    pub(crate) life: Life,
    owners: Refs,
    holds: Refs,
    pub(crate) routes: Quota,
    pub(crate) tables: Quota,
    pub(crate) monitors: Quota,
    pub(crate) links: Quota,
    /// The next group of a cascade; its killer's.
    pub(crate) next_dead: AtomicU32,
    pub(crate) route_roster: Roster,
    pub(crate) link_roster: Roster,
}

const _: () = assert!(crate::sync::MODEL || size_of::<Group>() <= 64);

impl Group {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self {
                life: Life::vacant(0),
                owners: Refs::new(),
                holds: Refs::new(),
                routes: Quota::new(),
                tables: Quota::new(),
                monitors: Quota::new(),
                links: Quota::new(),
                next_dead: AtomicU32::new(0),
                route_roster: Roster::new(),
                link_roster: Roster::new(),
            }
        }
    }
}

impl Slot for Group {
    const NEAR: usize = if crate::sync::MODEL { 1 } else { 4 };

    fn vacant() -> Self {
        Self::new()
    }

    const HOLDS_MEMORY: bool = true;

    fn reclaim(&self, pin: &Pin) {
        self.route_roster.clear(pin);
        self.link_roster.clear(pin);
    }
}

/// How many of something there are, up to a limit.
#[derive(Debug)]
pub(crate) struct Quota(AtomicU32);

impl Quota {
    const_fn! {
        const fn new() -> Self {
            Self(AtomicU32::new(0))
        }
    }

    /// Counts one more, below `limit`.
    pub(crate) fn charge(&self, limit: u32) -> bool {
        let mut used = self.0.load(Relaxed);
        while used < limit {
            // Partner: `repay`: what was given back before it is seen free.
            match self.0.compare_exchange_weak(used, used + 1, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(now) => used = now,
            }
        }
        false
    }

    /// Counts one fewer. The caller has a reference to the group, so that it
    /// still is the one that was charged.
    pub(crate) fn repay(&self) {
        self.0.fetch_sub(1, Release); // Partner: `charge`.
    }

    fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

impl Office {
    /// The slot of a group's address, whatever is in it now.
    #[inline(always)]
    pub(crate) fn group(&self, address: Address) -> Option<&Group> {
        stable(&self.groups, address)
    }

    /// Whether the group is alive.
    #[inline(always)]
    pub(crate) fn is_living(&self, address: Address) -> bool {
        self.group(address).is_some_and(|group| group.life.is(address.generation))
    }

    /// Takes a hold on a group that is not gone, whether alive, dead or ended.
    pub(crate) fn acquire(&self, address: Address) -> Option<&Group> {
        let group = self.group(address)?;
        if !group.holds.try_add() {
            return None;
        }
        // Its slot stays now; but is it the one that is meant?
        let count = group.life.count();
        if count == address.generation || count == address.generation + 1 {
            return Some(group);
        }
        self.release(address.index);
        None
    }

    /// Lets go of a hold on the group at `index`. The last one gives its slot back.
    pub(crate) fn release(&self, index: u32) {
        // SAFETY: the caller has a hold, so the slot is claimed.
        let group = unsafe { self.groups.slot(index) };
        if !group.holds.give_back() {
            return;
        }
        if twin::is(Twin::HoldsOwn) {
            self.end_group(index, group);
        }
        if !group.life.is_spent() {
            self.groups.give_back(index);
        }
    }

    /// For an owner of the group at `index` that goes. The last one ends it.
    fn disown(&self, index: u32) {
        // SAFETY: an owner's, so the slot is claimed.
        let group = unsafe { self.groups.slot(index) };
        if !group.owners.give_back() {
            return;
        }
        if !twin::is(Twin::HoldsOwn) {
            self.end_group(index, group);
        }
        self.release(index);
    }

    fn end_group(&self, index: u32, group: &Group) {
        if let Some(generation) = group.life.living()
            && group.life.end(generation) == Ended::Now
        {
            self.dissolve_links(Address { index, generation });
        }
    }

    /// A table of the group is gone, which was one of its owners.
    pub(crate) fn table_gone(&self, group: Address) {
        // SAFETY: the table is an owner of the group until the next line.
        unsafe { self.groups.slot(group.index) }.tables.repay();
        self.disown(group.index);
    }
}

/// Routes that die together, and whoever owns them.
///
/// A group dies once, by being killed; then all its routes are closed to senders
/// and receivers at that instant, and its tables are sealed. It *ends* without
/// dying when its last owner is dropped: `RouteGroup` values, tables made for
/// it, mailboxes in it. Its links then dissolve (rule O4).
///
/// ```
/// use flue_core::{Permissions, PostOffice, SendError};
///
/// let office = PostOffice::new();
/// let (one, two) = (office.create_group()?, office.create_group()?);
/// let table = office.create_table()?;
/// let mailbox = one.create_mailbox(&table)?;
/// let to = mailbox.export(Permissions::SEND)?;
///
/// one.link(&two)?;
/// two.kill();
/// assert!(one.is_dead());
/// assert_eq!(table.send(to, b"late", &[]), Err(SendError::Closed));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Cost
/// Dropping the last owner dissolves the links: linear in those; no memory. Dropping
/// another is two steps.
///
/// # Progress
/// Lock-free.
pub struct RouteGroup {
    office: PostOffice,
    address: Address,
    slot: NonNull<Group>,
}

// SAFETY: a `RouteGroup` is a counted reference to a slot that stays as long as
// its office and is changed by atomic steps only.
unsafe impl Send for RouteGroup {}
// SAFETY: as above.
unsafe impl Sync for RouteGroup {}

impl RouteGroup {
    /// Makes a group in a claimed slot.
    pub(crate) fn create(office: &PostOffice) -> Result<Self, Exhausted> {
        let index = office.groups.claim()?;
        // SAFETY: claimed just now, and groups' slots are never retired.
        let slot = unsafe { office.groups.slot(index) };
        for quota in [&slot.routes, &slot.tables, &slot.monitors, &slot.links] {
            quota.reset();
        }
        slot.owners.open();
        // The life first: who acquires an earlier life's address must not find the
        // holds of this one beside the end of that.
        if twin::is(Twin::HeldBeforeBorn) {
            slot.holds.open();
        }
        let generation = slot.life.begin();
        if !twin::is(Twin::HeldBeforeBorn) {
            slot.holds.open();
        }
        let address = Address { index, generation };
        Ok(Self { office: office.clone(), address, slot: NonNull::from(slot) })
    }

    /// A value of its own for somebody who has one anyway.
    pub(crate) fn another(&self) -> Self {
        self.slot().owners.add();
        Self { office: self.office.clone(), address: self.address, slot: self.slot }
    }

    #[inline(always)]
    pub(crate) fn slot(&self) -> &Group {
        // SAFETY: groups' slots stay as long as the office, which we count on.
        unsafe { self.slot.as_ref() }
    }

    pub(crate) fn address(&self) -> Address {
        self.address
    }

    pub(crate) fn post_office(&self) -> &PostOffice {
        &self.office
    }

    /// Makes a table for this group: it is sealed the instant the group dies
    /// (rule O5), and is one of the group's owners.
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice, TableError};
    /// # let group = PostOffice::new().create_group()?;
    /// let table = group.create_table()?;
    /// let mailbox = group.create_mailbox(&table)?;
    /// let handle = mailbox.export(Permissions::SEND)?;
    /// group.kill();
    /// assert_eq!(table.release(handle), Err(TableError::Dead));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Dead`: this group is; `LimitReached`: the office or the group has as many
    /// as it may have; `OutOfMemory`.
    ///
    /// # Cost
    /// [A slot](crate#what-operations-cost).
    pub fn create_table(&self) -> Result<Table, CreateError> {
        if self.is_dead() {
            return Err(CreateError::Dead);
        }
        let group = self.slot();
        if !group.tables.charge(self.office.limits().tables_per_group) {
            return Err(CreateError::LimitReached);
        }
        let table =
            Table::create(&self.office, self.address).inspect_err(|_| group.tables.repay())?;
        group.owners.add(); // The table.
        if self.is_dead() { Err(CreateError::Dead) } else { Ok(table) }
    }

    /// Makes a mailbox with the default limits; see [`Mailbox`] for an example, and
    /// [`create_mailbox_with`](Self::create_mailbox_with).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cost
    /// As there.
    pub fn create_mailbox(&self, table: &Table) -> Result<Mailbox, CreateError> {
        self.create_mailbox_with(table, MailboxLimits::default())
    }

    /// Makes a mailbox and its route in this group. `table` gets the
    /// capabilities attached to its messages: it is the office's or this
    /// group's (rule O3).
    ///
    /// ```
    /// # use flue_core::{CreateError, MailboxLimits, PostOffice};
    /// # let office = PostOffice::new();
    /// # let (group, other) = (office.create_group()?, office.create_group()?);
    /// let mut limits = MailboxLimits::default();
    /// limits.messages = 16;
    /// let mailbox = group.create_mailbox_with(&group.create_table()?, limits)?;
    /// assert_eq!(mailbox.capacity(), 16);
    ///
    /// let refused = group.create_mailbox_with(&other.create_table()?, limits);
    /// assert_eq!(refused.unwrap_err(), CreateError::TableMismatch);
    /// # Ok::<(), CreateError>(())
    /// ```
    ///
    /// # Errors
    /// `PostOfficeMismatch`: the table is of another office; `TableMismatch`: it is
    /// another group's; `Dead`: this group is; `LimitReached`: the office or the
    /// group has as many as it may have, or the table cannot be given more handles;
    /// `OutOfMemory`.
    ///
    /// # Cost
    /// [A slot](crate#what-operations-cost) each for the route, the rest of the
    /// mailbox, and its place on the group's roster. Messages wait in buffers of
    /// the office: their limit takes no memory here.
    pub fn create_mailbox_with(
        &self,
        table: &Table,
        limits: MailboxLimits,
    ) -> Result<Mailbox, CreateError> {
        Mailbox::create(self, table, limits)
    }

    /// Kills the group, and every group that is reachable through links.
    ///
    /// When the call that decided the death returns, every monitor of the
    /// routes has had its down queued, and the linked groups are dead too
    /// (rule K3); but what another kill or close has begun to take apart is completed by that one.
    /// Killing a dead group does nothing. See [`RouteGroup`] for an example.
    ///
    /// # Cost
    /// Linear in the routes, monitors, waiting senders and links of what dies; no
    /// memory. In static storage each kind is found by walking all of its records.
    pub fn kill(&self) {
        self.office.kill(self.address);
    }

    /// Whether the group is dead. See [`RouteGroup`] for an example.
    ///
    /// Who sees its death sees what its killer did before.
    ///
    /// # Cost
    /// One read; wait-free.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        !self.slot().life.is(self.address.generation)
    }

    /// Ties the two groups' fates: when one dies, the other is killed. A
    /// repeated link is no other one. If one is dead already, the other is when
    /// this returns (rules L1 and L2).
    ///
    /// ```
    /// # let office = flue_core::PostOffice::new();
    /// # let (dead, group) = (office.create_group()?, office.create_group()?);
    /// dead.kill();
    /// group.link(&dead)?;
    /// assert!(group.is_dead());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `PostOfficeMismatch`: the other is of another office; `LimitReached`: this
    /// group has asked for as many links as it may, or the office has no more;
    /// `OutOfMemory`.
    ///
    /// # Cost
    /// [A search](crate#what-operations-cost) of the office's links; for a new one, a
    /// slot, and a place on each group's roster. If one is dead, what
    /// [`kill`](Self::kill) costs.
    pub fn link(&self, other: &RouteGroup) -> Result<(), TableError> {
        if self.office != other.office {
            return Err(TableError::PostOfficeMismatch);
        }
        self.office.link(self.address, other.address)
    }

    /// Removes the link between the two groups. `true`: there was one, and it
    /// never kills anyone any more (rule L3).
    ///
    /// ```
    /// # let office = flue_core::PostOffice::new();
    /// # let (group, other) = (office.create_group()?, office.create_group()?);
    /// group.link(&other)?;
    /// assert_eq!(other.unlink(&group), Ok(true));
    /// other.kill();
    /// assert!(!group.is_dead());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `PostOfficeMismatch`: the other is of another office.
    ///
    /// # Cost
    /// [A search](crate#what-operations-cost) of the office's links; no memory.
    pub fn unlink(&self, other: &RouteGroup) -> Result<bool, TableError> {
        if self.office != other.office {
            return Err(TableError::PostOfficeMismatch);
        }
        Ok(self.office.unlink(self.address, other.address))
    }
}

impl Clone for RouteGroup {
    /// One more owner of the same group: two steps.
    fn clone(&self) -> Self {
        self.another()
    }
}

impl PartialEq for RouteGroup {
    /// Whether both are the same group.
    fn eq(&self, other: &Self) -> bool {
        self.office == other.office && self.address == other.address
    }
}

impl Eq for RouteGroup {}

impl Drop for RouteGroup {
    fn drop(&mut self) {
        self.office.disown(self.address.index);
    }
}

impl fmt::Debug for RouteGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteGroup").field("dead", &self.is_dead()).finish_non_exhaustive()
    }
}

impl From<Exhausted> for CreateError {
    fn from(refused: Exhausted) -> Self {
        match refused {
            Exhausted::Limit => Self::LimitReached,
            Exhausted::Memory => Self::OutOfMemory,
        }
    }
}

#[cfg(all(test, feature = "alloc", not(any(loom, shuttle))))]
mod tests {
    use crate::PostOffice;

    /// Rule O2: a hold is on the group that is meant, alive or dead, or on none; and one on
    /// another in its slot is given back.
    #[test]
    fn a_hold_is_on_the_group_that_is_meant() {
        let office = PostOffice::new();
        let group = office.create_group().unwrap();
        let first = group.address;
        group.kill();
        assert!(office.acquire(first).is_some(), "it has an owner");
        office.release(first.index);
        drop(group);
        assert!(office.acquire(first).is_none());
        let mut others = (0..10_000).map(|_| office.create_group().unwrap());
        let group = others.find(|group| group.address.index == first.index).unwrap();
        assert!(group.address != first);
        for _ in 0..10 {
            assert!(office.acquire(first).is_none());
        }
        let second = group.address;
        drop(group);
        assert!(office.acquire(second).is_none(), "it has nobody left");
    }
}
