//! The executable specification of Flue: every verb of the API, sequential, naive and safe.
//!
//! A [`Spec`] is one post office. It answers each operation as Flue must: the same results, the
//! same refusals in the same order, the same counts. Nothing here is fast or clever; each method
//! is meant to be read beside the rules it cites. What is an owned value in Flue is a number
//! here, and its drop a method.
//!
//! ```
//! use flue_spec::{LINK, MailboxLimits, SEND, SendError, Signal, Spec};
//!
//! let mut spec = Spec::default();
//! let group = spec.create_group()?;
//! let table = spec.create_group_table(group)?;
//! let small = MailboxLimits { messages: 1, ..Default::default() };
//! let mailbox = spec.create_mailbox(group, table, small)?;
//! let me = spec.export(mailbox, SEND | LINK).unwrap();
//!
//! let hello = spec.outgoing(table, me, b"hello", &[me]);
//! assert_eq!(spec.send(&hello), Ok(()));
//! assert_eq!(spec.send(&hello), Err(SendError::Full));
//!
//! let guard = spec.try_recv(mailbox).unwrap();
//! assert_eq!(spec.received(guard).signal, Signal::Message(b"hello".to_vec()));
//! assert_eq!(spec.received(guard).handles, [me]); // Rule P4: equal capability, equal handle
//! spec.drop_guard(guard);
//!
//! spec.look_up(table, me).and_then(|capability| spec.kill(capability)).unwrap();
//! assert!(spec.is_dead(group));
//! # Ok::<(), flue_spec::CreateError>(())
//! ```
//!
//! # Reading it beside the API
//! - What a process does through a handle is [`look_up`](Spec::look_up), and then what the host
//!   does with the capability found there, as in the last lines above.
//! - `Table::contains` and `permissions` are `look_up` too, `len` is the length of
//!   [`handles`](Spec::handles). Of clones only the drop of the last counts.
//! - Using objects of two offices together is `PostOfficeMismatch` before all else (rule O1): a
//!   test with two offices has two `Spec`s and nothing to ask them.
//! - Handles are never reused here, and slots are in Flue. A test keeps pairs of the two; to a
//!   handle that is new here belongs one that was never seen in that table.
//! - The downs of one kill may arrive in any order that rule K8 allows. A test says which it saw
//!   with [`prefer_down`](Spec::prefer_down), which refuses the forbidden ones.
//! - [`take_wakes`](Spec::take_wakes) lists the wakers that must have run; more may (rule R4).
//! - Memory never runs out here, and references never overflow. Of `Limits::messages` only what
//!   is queued is counted: Flue, which also counts buffers at hand, may reach it earlier.
#![forbid(unsafe_code)]

/// The guide for kernels and firmware, whose examples are tests. It lies outside of every
/// package, so one that is not published runs them.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
mod embedding {}

mod capabilities;
mod death;
mod observe;
mod receive;
mod send;
mod types;

use core::mem;
use core::task::Poll;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use types::*;

/// A post office and all that belongs to it. The default one has the default limits, and takes
/// no bytes for inline.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    limits: Limits,
    inline_bytes: usize,
    /// Entries of each table that a static office has storage for.
    storage: Option<usize>,
    groups: Vec<GroupState>,
    tables: Vec<TableState>,
    mailboxes: Vec<MailboxState>,
    /// Who asked for the link, and pays for it (rule Q1), and the other group.
    links: Vec<(Group, Group)>,
    guards: BTreeMap<Guard, Received>,
    /// For each decided death: the group killed, and the links that carried it on (rule K3).
    cascades: Vec<(Group, Vec<(Group, Group)>)>,
    wakes: Vec<Wake>,
    handles_guards_and_waits: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Alive,
    Dead,
    /// Over without dying (rule O4).
    Ended,
}

#[derive(Clone, Debug)]
struct GroupState {
    life: Life,
    /// A `RouteGroup` value is left.
    owned: bool,
}

#[derive(Clone, Debug, Default)]
struct TableState {
    /// `None` for the host's.
    group: Option<Group>,
    /// A `Table` value is left.
    owned: bool,
    entries: BTreeMap<Handle, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    capability: Capability,
    own: usize,
    held: usize,
    /// Whose share the slot came out of (rule S2); `None`: the table's own capacity.
    payer: Option<Mailbox>,
}

#[derive(Clone, Debug, Default)]
struct MailboxState {
    group: Group,
    table: Table,
    limits: MailboxLimits,
    /// Neither dropped nor closed.
    owned: bool,
    queue: VecDeque<Queued>,
    armed: Vec<Monitor>,
    /// How many monitors were ever set.
    monitored: u64,
    /// The senders that wait for room, first come first (rule S6).
    line: Vec<Place>,
    /// The receiver left a waker.
    asleep: bool,
    forgotten: Option<Guard>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    wait: Wait,
    /// Since it last found no room.
    woken: bool,
    /// What is charged for its message, and the capabilities attached to it.
    charge: usize,
    attaches: usize,
}

/// Rule K6: a monitor is armed or its down is queued, until it ends.
#[derive(Clone, Copy, Debug)]
struct Monitor {
    number: u64,
    route: Mailbox,
}

#[derive(Clone, Debug)]
enum Queued {
    Message { data: Vec<u8>, charge: usize, attached: Vec<Capability> },
    Down { monitor: Monitor, reason: DownReason, cascade: Option<usize> },
}

/// Creation and the end of owned values.
impl Spec {
    /// `PostOffice::with_limits`, and the size up to which payloads are not charged (rule S3).
    pub fn new(limits: Limits, inline_bytes: usize) -> Self {
        Self { limits, inline_bytes, ..Self::default() }
    }

    /// `StaticPostOffice`, with storage for so many entries of each table (its `HANDLES`).
    pub fn with_storage(self, handles: usize) -> Self {
        Self { storage: Some(handles), ..self }
    }

    /// `PostOffice::create_group`
    pub fn create_group(&mut self) -> Result<Group, CreateError> {
        within(self.groups(), self.limits.groups)?;
        self.groups.push(GroupState { life: Life::Alive, owned: true });
        Ok(self.groups.len() - 1)
    }

    /// `PostOffice::create_table`: the host's.
    pub fn create_table(&mut self) -> Result<Table, CreateError> {
        within(self.tables(), self.limits.tables)?;
        self.tables.push(TableState { owned: true, ..Default::default() });
        Ok(self.tables.len() - 1)
    }

    /// `RouteGroup::create_table`
    pub fn create_group_table(&mut self, group: Group) -> Result<Table, CreateError> {
        if !self.is_alive(group) {
            return Err(CreateError::Dead);
        }
        let of_group = self.tables().filter(|&table| self.tables[table].group == Some(group));
        within(of_group, self.limits.tables_per_group)?;
        let table = self.create_table()?;
        self.tables[table].group = Some(group);
        Ok(table)
    }

    /// `RouteGroup::create_mailbox_with`
    pub fn create_mailbox(
        &mut self,
        group: Group,
        table: Table,
        limits: MailboxLimits,
    ) -> Result<Mailbox, CreateError> {
        if self.tables[table].group.is_some_and(|owner| owner != group) {
            return Err(CreateError::TableMismatch); // Rule O3
        }
        if !self.is_alive(group) {
            return Err(CreateError::Dead);
        }
        within(self.mailboxes_of(group), self.limits.routes_per_group)?;
        if self.own_used(table) > self.limits.handles_per_table as usize {
            return Err(CreateError::LimitReached); // It took over what mailboxes left behind.
        }
        let slots = self.table_capacity(table) + limits.handles as usize;
        if self.storage.is_some_and(|storage| slots > storage) {
            return Err(CreateError::LimitReached);
        }
        let state = MailboxState { group, table, limits, owned: true, ..Default::default() };
        self.mailboxes.push(state);
        Ok(self.mailboxes.len() - 1)
    }

    /// A `RouteGroup` value more, if there was none: `Mailbox::group` gives them too.
    pub fn clone_group(&mut self, group: Group) {
        self.groups[group].owned = true;
    }

    /// Drop of the last `RouteGroup`.
    pub fn drop_group(&mut self, group: Group) {
        self.groups[group].owned = false;
        self.end_ownerless_groups();
    }

    /// A `Table` value more, if there was none.
    pub fn clone_table(&mut self, table: Table) {
        self.tables[table].owned = true;
    }

    /// Drop of the last `Table`.
    pub fn drop_table(&mut self, table: Table) {
        self.tables[table].owned = false;
        self.end_ownerless_groups();
    }

    /// Drop of a `Mailbox`, or `Mailbox::close`.
    pub fn close(&mut self, mailbox: Mailbox) {
        self.release_forgotten(mailbox);
        let state = &mut self.mailboxes[mailbox];
        state.owned = false; // Rule K4: only its route
        state.asleep = false;
        state.queue.clear(); // Rule K2
        state.armed.clear(); // Rule K6: the observer closed first
        self.wake_all(mailbox);
        self.fire(mailbox, DownReason::Closed, None);
        self.end_ownerless_groups();
    }

    /// Rule O4: their links dissolve and do not fire.
    fn end_ownerless_groups(&mut self) {
        let owned: BTreeSet<Group> = self.groups().collect();
        for group in (0..self.groups.len()).filter(|group| !owned.contains(group)) {
            if self.is_alive(group) {
                self.groups[group].life = Life::Ended;
                self.links.retain(|&link| other_end(link, group).is_none());
            }
        }
    }
}

fn within(existing: impl Iterator, limit: u32) -> Result<(), CreateError> {
    if existing.count() < limit as usize { Ok(()) } else { Err(CreateError::LimitReached) }
}

fn other_end((a, b): (Group, Group), group: Group) -> Option<Group> {
    [(a, b), (b, a)].into_iter().find(|&(end, _)| end == group).map(|(_, other)| other)
}

/// The groups linked to one, without those already known.
fn neighbours(links: &[(Group, Group)], group: Group, known: &[Group]) -> BTreeSet<Group> {
    let ends = links.iter().filter_map(|&link| other_end(link, group));
    ends.filter(|other| !known.contains(other)).collect()
}
