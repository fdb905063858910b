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
    /// Its message has capabilities attached, so slots of the share are room to it.
    attaches: bool,
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

/// Capabilities and tables (rules P1 to P6).
impl Spec {
    /// `Mailbox::capability`: unknown bits are dropped.
    pub fn capability(&self, mailbox: Mailbox, to: Permissions) -> Capability {
        Capability { route: mailbox, permissions: to & ALL }
    }

    /// `Mailbox::export`
    pub fn export(&mut self, mailbox: Mailbox, to: Permissions) -> Result<Handle, TableError> {
        if !self.is_alive(self.mailboxes[mailbox].group) {
            return Err(TableError::Dead);
        }
        let capability = self.capability(mailbox, ALL).demote(to)?;
        self.insert(self.mailboxes[mailbox].table, capability)
    }

    /// `Table::insert`
    pub fn insert(&mut self, table: Table, capability: Capability) -> Result<Handle, TableError> {
        if self.is_sealed(table) {
            return Err(TableError::Dead);
        }
        if self.find(table, capability).is_none() {
            self.own_slot(table)?;
        }
        let handle = self.import(table, capability, None);
        self.entry(table, handle).own += 1;
        Ok(handle)
    }

    /// `Table::capability`: what a handle names.
    pub fn look_up(&self, table: Table, handle: Handle) -> Result<Capability, TableError> {
        if self.is_sealed(table) {
            return Err(TableError::Dead); // Rule O5
        }
        let entry = self.tables[table].entries.get(&handle);
        Ok(entry.ok_or(TableError::InvalidHandle)?.capability) // Rule P3
    }

    /// `Table::same_route`
    pub fn same_route(&self, table: Table, a: Handle, b: Handle) -> Result<bool, TableError> {
        Ok(self.look_up(table, a)?.route == self.look_up(table, b)?.route)
    }

    /// `Table::demote`
    pub fn demote(
        &mut self,
        table: Table,
        handle: Handle,
        to: Permissions,
    ) -> Result<Handle, TableError> {
        let weaker = self.look_up(table, handle)?.demote(to)?;
        self.insert(table, weaker)
    }

    /// `Table::retain`
    pub fn retain(&mut self, table: Table, handle: Handle) -> Result<(), TableError> {
        self.look_up(table, handle)?;
        self.entry(table, handle).own += 1;
        Ok(())
    }

    /// `Table::release`: an own reference only (rule P5).
    pub fn release(&mut self, table: Table, handle: Handle) -> Result<(), TableError> {
        self.look_up(table, handle)?;
        let own = &mut self.entry(table, handle).own;
        *own = own.checked_sub(1).ok_or(TableError::InvalidHandle)?;
        self.free_if_unreferenced(table, handle);
        Ok(())
    }

    /// `Table::handles`
    pub fn handles(&self, table: Table) -> Vec<Handle> {
        let entries = self.tables[table].entries.keys();
        if self.is_sealed(table) { Vec::new() } else { entries.copied().collect() }
    }

    /// `Table::capacity`: its own slots and its mailboxes' shares (rule S2).
    pub fn table_capacity(&self, table: Table) -> usize {
        let shares = self.mailboxes_on(table).map(|m| self.mailboxes[m].limits.handles as usize);
        self.limits.handles_per_table as usize + shares.sum::<usize>()
    }

    fn find(&self, table: Table, capability: Capability) -> Option<Handle> {
        let mut entries = self.tables[table].entries.iter();
        entries.find(|(_, entry)| entry.capability == capability).map(|(&handle, _)| handle)
    }

    /// The handle of an equal capability (rule P4), or else a new one. Cannot fail (rule S2).
    fn import(&mut self, table: Table, capability: Capability, payer: Option<Mailbox>) -> Handle {
        self.find(table, capability).unwrap_or_else(|| {
            let (handle, entry) = (self.number(), Entry { capability, own: 0, held: 0, payer });
            self.tables[table].entries.insert(handle, entry);
            handle
        })
    }

    /// Whether the table has a slot of its own left. In use are those of entries, also of ones
    /// whose mailbox is gone with its share, and one for each monitor's down (rule K6).
    fn own_slot(&self, table: Table) -> Result<(), TableError> {
        let used = self.own_used(table);
        if used < self.limits.handles_per_table as usize { Ok(()) } else { Err(TableError::Full) }
    }

    fn own_used(&self, table: Table) -> usize {
        let is_own = |e: &&Entry| e.payer.is_none_or(|payer| !self.mailboxes[payer].owned);
        let entries = self.tables[table].entries.values().filter(is_own).count();
        let monitors = self.mailboxes_on(table).map(|mailbox| self.monitors(mailbox).count());
        entries + monitors.sum::<usize>()
    }

    fn free_if_unreferenced(&mut self, table: Table, handle: Handle) {
        let Entry { own, held, payer, .. } = *self.entry(table, handle);
        if own + held == 0 {
            self.tables[table].entries.remove(&handle);
            let awaited = |payer: &Mailbox| {
                self.mailboxes[*payer].line.iter().any(|p| p.attaches && !p.woken)
            };
            payer.filter(awaited).into_iter().for_each(|payer| self.wake_one_sender(payer));
        }
    }

    fn entry(&mut self, table: Table, handle: Handle) -> &mut Entry {
        self.tables[table].entries.get_mut(&handle).expect("what is referenced stays")
    }
}

/// Send (rules S1 to S6).
impl Spec {
    /// A message as a process sends it, through handles of its table.
    pub fn outgoing(&self, from: Table, to: Handle, data: &[u8], attach: &[Handle]) -> Outgoing {
        Outgoing {
            to: self.look_up(from, to),
            attach: attach.iter().map(|&handle| self.look_up(from, handle)).collect(),
            data: data.to_vec(),
            owned: false,
        }
    }

    /// `send` and `send_payload`
    pub fn send(&mut self, message: &Outgoing) -> Result<(), SendError> {
        let (to, accepted) = self.check(message)?;
        self.push(to, accepted);
        Ok(())
    }

    /// `SendWait::default`: in no line yet.
    pub fn create_wait(&mut self) -> Wait {
        self.number()
    }

    /// `poll_send` and `poll_send_payload`
    pub fn poll_send(&mut self, wait: Wait, message: &Outgoing) -> Poll<Result<(), SendError>> {
        let (result, to) = (self.send(message), message.to.map(|to| to.route));
        let waits_at = to
            .ok()
            .filter(|&to| result == Err(SendError::Full) && self.may_wait(wait, to, message));
        self.leave_lines(wait, waits_at, result.is_ok());
        let Some(mailbox) = waits_at else { return Poll::Ready(result) };
        let place = Place { wait, woken: false, attaches: !message.attach.is_empty() };
        let line = &mut self.mailboxes[mailbox].line;
        match line.iter_mut().find(|other| other.wait == wait) {
            Some(own) => *own = place, // In front of all who were not woken.
            None => line.push(place),
        }
        Poll::Pending
    }

    /// A sender was woken though it need not have been. `false`: another came before it.
    pub fn woken_early(&mut self, wait: Wait) -> bool {
        let mut lines = self.mailboxes.iter_mut().map(|mailbox| &mut mailbox.line);
        let Some(line) = lines.find(|line| line.iter().any(|p| p.wait == wait && !p.woken)) else {
            return true;
        };
        let first = line.iter_mut().find(|place| !place.woken);
        first.filter(|place| place.wait == wait).map(|place| place.woken = true).is_some()
    }

    /// Drop of a `SendWait`.
    pub fn drop_wait(&mut self, wait: Wait) {
        self.leave_lines(wait, None, false);
    }

    /// Rule S1: the checks in their order. What they let pass is accepted (rule S2).
    fn check(&self, message: &Outgoing) -> Result<(Mailbox, Queued), SendError> {
        let Outgoing { to, attach, data, owned } = message;
        if *to == Err(TableError::Dead) {
            return Err(SendError::Dead);
        }
        if attach.len() > self.limits.handles_per_message as usize {
            return Err(SendError::TooManyHandles);
        }
        let has_place = self.storage.is_none() || *owned || data.len() <= self.inline_bytes;
        if data.len() > self.limits.bytes_per_message as usize || !has_place {
            return Err(SendError::TooLarge); // A static office has no memory for copies.
        }
        let to = to.map_err(|_| SendError::InvalidHandle)?;
        let Capability { route, .. } = to.with(SEND).map_err(|_| SendError::PermissionDenied)?;
        if let Some(index) = attach.iter().position(Result::is_err) {
            return Err(SendError::InvalidAttachment { index });
        }
        if self.is_closed(route) {
            return Err(SendError::Closed);
        }
        let (limits, charge) = (self.mailboxes[route].limits, self.charge(message));
        if self.messages(route) >= limits.messages as usize
            || self.bytes_queued(route) + charge > limits.bytes as usize
            || self.share_used(route) + attach.len() > limits.handles as usize
            || self.stats().messages >= self.limits.messages as usize
        {
            return Err(SendError::Full);
        }
        let attached = attach.iter().flatten().copied().collect();
        Ok((route, Queued::Message { data: data.clone(), charge, attached }))
    }

    /// Whether room may come up for a message that was refused, and the line has a place.
    fn may_wait(&self, wait: Wait, to: Mailbox, message: &Outgoing) -> bool {
        let MailboxState { limits, line, .. } = &self.mailboxes[to];
        let has_place = line.iter().any(|place| place.wait == wait);
        limits.messages > 0
            && self.charge(message) <= limits.bytes as usize
            && message.attach.len() <= limits.handles as usize
            && self.stats().messages < self.limits.messages as usize
            && (has_place || line.len() < limits.waiters as usize)
    }

    /// Bytes that a message is charged: those that are not inline (rule S3).
    fn charge(&self, message: &Outgoing) -> usize {
        let is_inline = !message.owned && message.data.len() <= self.inline_bytes;
        if is_inline { 0 } else { message.data.len() }
    }

    fn push(&mut self, to: Mailbox, signal: Queued) {
        self.mailboxes[to].queue.push_back(signal); // Rule R1
        if mem::take(&mut self.mailboxes[to].asleep) {
            self.wakes.push(Wake::Receiver(to));
        }
    }

    /// Room came up: the first in line that was not woken yet is (rule S6).
    fn wake_one_sender(&mut self, mailbox: Mailbox) {
        if let Some(place) = self.mailboxes[mailbox].line.iter_mut().find(|place| !place.woken) {
            place.woken = true;
            self.wakes.push(Wake::Sender(place.wait));
        }
    }

    /// Out of all lines but one; who was woken and did not send passes that on (rule S6).
    fn leave_lines(&mut self, wait: Wait, but: Option<Mailbox>, sent: bool) {
        for mailbox in (0..self.mailboxes.len()).filter(|&mailbox| Some(mailbox) != but) {
            let line = &mut self.mailboxes[mailbox].line;
            let place = line.iter().position(|place| place.wait == wait);
            if place.is_some_and(|place| line.remove(place).woken) && !sent {
                self.wake_one_sender(mailbox);
            }
        }
    }
}

/// Receive (rules R1 to R4).
impl Spec {
    /// `Mailbox::try_recv`. See [`received`](Spec::received) for what the guard holds.
    pub fn try_recv(&mut self, mailbox: Mailbox) -> Result<Guard, TryRecvError> {
        self.release_forgotten(mailbox);
        let MailboxState { group, table, .. } = self.mailboxes[mailbox];
        if !self.is_alive(group) {
            return Err(TryRecvError::Dead); // Rule R3
        }
        let next = self.mailboxes[mailbox].queue.pop_front();
        let (signal, attached, payer) = match next.ok_or(TryRecvError::Empty)? {
            Queued::Message { data, attached, .. } => {
                self.wake_one_sender(mailbox);
                (Signal::Message(data), attached, Some(mailbox))
            }
            Queued::Down { monitor, reason, .. } => {
                let bare = self.capability(monitor.route, 0); // Rule K5
                (Signal::Down(monitor.number, reason), vec![bare], None)
            }
        };
        let mut handles = Vec::new();
        for capability in attached {
            let handle = self.import(table, capability, payer);
            self.entry(table, handle).held += 1;
            handles.push(handle);
        }
        let guard = self.number();
        self.guards.insert(guard, Received { mailbox, signal, handles });
        Ok(guard)
    }

    /// `Message::data`, `Message::handles`, and a down's parts.
    pub fn received(&self, guard: Guard) -> &Received {
        &self.guards[&guard]
    }

    /// One step of `Message::take_handles`, or `Down::take_handle`: the first handle that was
    /// not taken; its held reference becomes an own one (rule P5).
    pub fn take_handle(&mut self, guard: Guard) -> Option<Handle> {
        let Received { mailbox, handles, .. } = self.guards.get_mut(&guard)?;
        let (table, handle) = (self.mailboxes[*mailbox].table, *handles.first()?);
        handles.remove(0);
        let entry = self.entry(table, handle);
        (entry.own, entry.held) = (entry.own + 1, entry.held - 1);
        Some(handle)
    }

    /// Drop of a guard, borrowed or owned: what was not taken is released (rule R2).
    pub fn drop_guard(&mut self, guard: Guard) {
        let Some(Received { mailbox, handles, .. }) = self.guards.remove(&guard) else { return };
        let table = self.mailboxes[mailbox].table;
        for handle in handles {
            self.entry(table, handle).held -= 1;
            self.free_if_unreferenced(table, handle);
        }
        self.end_ownerless_groups();
    }

    /// `mem::forget` of a borrowed guard: released by the next receive (rule R2).
    pub fn forget_guard(&mut self, guard: Guard) {
        self.mailboxes[self.guards[&guard].mailbox].forgotten = Some(guard);
    }

    /// `Mailbox::is_ready`
    pub fn is_ready(&self, mailbox: Mailbox) -> bool {
        let state = &self.mailboxes[mailbox];
        !state.queue.is_empty() || !self.is_alive(state.group)
    }

    /// `Mailbox::poll_ready`: ready, or a waker is left that is called when it is.
    pub fn poll_ready(&mut self, mailbox: Mailbox) -> Poll<()> {
        self.release_forgotten(mailbox);
        let is_ready = self.is_ready(mailbox);
        self.mailboxes[mailbox].asleep |= !is_ready;
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    }

    /// `Mailbox::len`: the messages to be received. Its `capacity` is `MailboxLimits::messages`.
    #[allow(clippy::len_without_is_empty, reason = "it is not the specification's own length")]
    pub fn len(&self, mailbox: Mailbox) -> usize {
        if self.is_closed(mailbox) { 0 } else { self.messages(mailbox) }
    }

    /// This monitor's down is to be the next signal, if the rules allow it: the downs of one
    /// kill stand in the queue together, in an order that rule K8 alone restricts.
    pub fn prefer_down(&mut self, mailbox: Mailbox, number: u64) -> bool {
        let of_kill = |signal: &Queued| match *signal {
            Queued::Down { monitor, cascade, .. } => {
                Some((monitor.number, self.mailboxes[monitor.route].group, cascade))
            }
            Queued::Message { .. } => None,
        };
        let downs: Vec<_> = self.mailboxes[mailbox].queue.iter().map_while(of_kill).collect();
        let Some(place) = downs.iter().position(|down| down.0 == number) else { return false };
        if place > 0 {
            let (Some(kill), true) = (downs[0].2, downs[0].2 == downs[place].2) else {
                return false;
            };
            // From the group killed first, a way along links to this one, through groups of
            // which no down waits here.
            let (root, links) = &self.cascades[kill];
            let (mut reached, mut step) = (vec![*root], 0);
            while let Some(&group) = reached.get(step) {
                step += 1;
                if !downs.iter().any(|down| (down.1, down.2) == (group, Some(kill))) {
                    reached.extend(neighbours(links, group, &reached));
                }
            }
            if !reached.contains(&downs[place].1) {
                return false;
            }
        }
        self.mailboxes[mailbox].queue.make_contiguous()[..=place].rotate_right(1);
        true
    }

    fn release_forgotten(&mut self, mailbox: Mailbox) {
        let forgotten = self.mailboxes[mailbox].forgotten.take();
        forgotten.into_iter().for_each(|guard| self.drop_guard(guard));
    }
}

/// Kill, monitors and links (rules K1 to K8, L1 to L4).
impl Spec {
    /// `Capability::kill`
    pub fn kill(&mut self, capability: Capability) -> Result<(), TableError> {
        let Capability { route, .. } = capability.with(KILL)?;
        let group = self.mailboxes[route].group;
        if self.is_alive(group) && self.is_closed(route) {
            return Err(TableError::Closed); // Rule K1
        }
        self.kill_group(group);
        Ok(())
    }

    /// `RouteGroup::kill`
    pub fn kill_group(&mut self, root: Group) {
        if !self.is_alive(root) {
            return; // Rule K1
        }
        let (mut dying, mut step) = (vec![root], 0);
        while let Some(&group) = dying.get(step) {
            step += 1;
            dying.extend(neighbours(&self.links, group, &dying));
        }
        let (fired, kept) = self.links.iter().partition(|(asker, _)| dying.contains(asker));
        self.links = kept;
        self.cascades.push((root, fired));
        dying.iter().for_each(|&group| self.groups[group].life = Life::Dead);
        let is_dying = |&mailbox: &Mailbox| dying.contains(&self.mailboxes[mailbox].group);
        let routes: Vec<Mailbox> = self.mailboxes().filter(is_dying).collect();
        routes.iter().for_each(|&route| self.wake_all(route));
        let cascade = Some(self.cascades.len() - 1);
        routes.iter().for_each(|&route| self.fire(route, DownReason::Killed, cascade));
    }

    /// `RouteGroup::is_dead`
    pub fn is_dead(&self, group: Group) -> bool {
        self.groups[group].life == Life::Dead
    }

    /// `Capability::is_closed`
    pub fn is_closed(&self, route: Mailbox) -> bool {
        !self.mailboxes[route].owned || !self.is_alive(self.mailboxes[route].group)
    }

    /// `Capability::monitor`: the monitor's number.
    pub fn monitor(&mut self, watched: Capability, observer: Mailbox) -> Result<u64, TableError> {
        let Capability { route, .. } = watched.with(MONITOR)?;
        let MailboxState { group, table, .. } = self.mailboxes[observer];
        if !self.is_alive(group) {
            return Err(TableError::Dead);
        }
        if let Some(monitor) = self.monitors(observer).find(|monitor| monitor.route == route) {
            return Ok(monitor.number); // Rule K7
        }
        let of_group = self.mailboxes_of(group).map(|mailbox| self.monitors(mailbox).count());
        if of_group.sum::<usize>() >= self.limits.monitors_per_group as usize {
            return Err(TableError::LimitReached);
        }
        self.own_slot(table)?; // Rule K6: reserved for the down
        let state = &mut self.mailboxes[observer];
        state.monitored += 1;
        let number = state.monitored;
        state.armed.push(Monitor { number, route });
        if self.is_closed(route) {
            self.fire(route, DownReason::Gone, None); // Rule K7
        }
        Ok(number)
    }

    /// `Mailbox::demonitor`: no down of it is received any more (rule K7).
    pub fn demonitor(&mut self, mailbox: Mailbox, number: u64) -> bool {
        let before = self.monitors(mailbox).count();
        let MailboxState { armed, queue, .. } = &mut self.mailboxes[mailbox];
        armed.retain(|monitor| monitor.number != number);
        queue.retain(|s| !matches!(s, Queued::Down { monitor, .. } if monitor.number == number));
        self.monitors(mailbox).count() < before
    }

    /// `Capability::link`
    pub fn link(&mut self, capability: Capability, group: Group) -> Result<(), TableError> {
        let Capability { route, .. } = capability.with(LINK)?;
        let target = self.mailboxes[route].group;
        if target != group && self.is_alive(target) && self.is_closed(route) {
            return Err(TableError::Closed); // Rule L2
        }
        self.link_groups(group, target)
    }

    /// `RouteGroup::link`
    pub fn link_groups(&mut self, asker: Group, other: Group) -> Result<(), TableError> {
        if !self.is_alive(asker) || !self.is_alive(other) {
            self.kill_group(asker);
            self.kill_group(other);
            return Ok(()); // Rule L2
        }
        if asker == other || neighbours(&self.links, asker, &[]).contains(&other) {
            return Ok(()); // Rule L1
        }
        let asked = self.links.iter().filter(|link| link.0 == asker).count();
        if asked >= self.limits.links_per_group as usize {
            return Err(TableError::LimitReached);
        }
        self.links.push((asker, other));
        Ok(())
    }

    /// `Capability::unlink`: through any route of the group, open or closed (rule L3).
    pub fn unlink(&mut self, capability: Capability, group: Group) -> Result<bool, TableError> {
        let Capability { route, .. } = capability.with(LINK)?;
        Ok(self.unlink_groups(group, self.mailboxes[route].group))
    }

    /// `RouteGroup::unlink`
    pub fn unlink_groups(&mut self, a: Group, b: Group) -> bool {
        let before = self.links.len();
        self.links.retain(|&link| other_end(link, a) != Some(b));
        self.links.len() < before
    }

    /// Wakes all who wait at a mailbox: its receiver and senders (rules R4 and S6).
    fn wake_all(&mut self, mailbox: Mailbox) {
        if mem::take(&mut self.mailboxes[mailbox].asleep) {
            self.wakes.push(Wake::Receiver(mailbox));
        }
        while self.mailboxes[mailbox].line.iter().any(|place| !place.woken) {
            self.wake_one_sender(mailbox);
        }
    }

    /// Queues the down of every armed monitor of a route.
    fn fire(&mut self, route: Mailbox, reason: DownReason, cascade: Option<usize>) {
        for observer in 0..self.mailboxes.len() {
            let armed = &mut self.mailboxes[observer].armed;
            if let Some(place) = armed.iter().position(|monitor| monitor.route == route) {
                let monitor = armed.remove(place);
                self.push(observer, Queued::Down { monitor, reason, cascade });
            }
        }
    }
}

/// What tests may want to see.
impl Spec {
    /// What a table may do now (rules P2 and O5).
    pub fn authority(&self, table: Table) -> BTreeSet<Capability> {
        let handles = self.handles(table).into_iter();
        handles.filter_map(|handle| self.look_up(table, handle).ok()).collect()
    }

    /// What waits in a mailbox to become its table's.
    pub fn authority_queued(&self, mailbox: Mailbox) -> BTreeSet<Capability> {
        let MailboxState { group, queue, .. } = &self.mailboxes[mailbox];
        let signals = queue.iter().filter(|_| self.is_alive(*group)); // Rule R3
        let capabilities = signals.flat_map(|signal| match signal {
            Queued::Message { attached, .. } => attached.clone(),
            Queued::Down { monitor, .. } => vec![self.capability(monitor.route, 0)],
        });
        capabilities.collect()
    }

    /// The wakers that had to be called since this was last asked.
    pub fn take_wakes(&mut self) -> Vec<Wake> {
        mem::take(&mut self.wakes)
    }

    /// `PostOffice::stats`
    pub fn stats(&self) -> Stats {
        Stats {
            groups: self.groups().count(),
            tables: self.tables().count(),
            routes: self.mailboxes().count(),
            messages: self.mailboxes().map(|mailbox| self.messages(mailbox)).sum(),
            monitors: self.mailboxes().map(|mailbox| self.monitors(mailbox).count()).sum(),
            links: self.links.len(),
            bytes: self.mailboxes().map(|mailbox| self.bytes_queued(mailbox)).sum(),
        }
    }

    /// The groups that have an owner, dead or alive (rule O4).
    pub fn groups(&self) -> impl Iterator<Item = Group> {
        (0..self.groups.len()).filter(|&group| {
            self.groups[group].owned
                || self.mailboxes_of(group).next().is_some()
                || self.tables().any(|table| self.tables[table].group == Some(group))
        })
    }

    /// The tables of which a value, a mailbox or a guard is left.
    pub fn tables(&self) -> impl Iterator<Item = Table> {
        (0..self.tables.len()).filter(|&table| {
            self.tables[table].owned
                || self.mailboxes_on(table).next().is_some()
                || self.guards.values().any(|guard| self.mailboxes[guard.mailbox].table == table)
        })
    }

    /// The mailboxes that were not dropped.
    pub fn mailboxes(&self) -> impl Iterator<Item = Mailbox> {
        (0..self.mailboxes.len()).filter(|&mailbox| self.mailboxes[mailbox].owned)
    }

    /// References to an entry, own and held (rule P5), and the mailbox whose share its slot is
    /// out of (rule S2), if not the table's own.
    pub fn references(
        &self,
        table: Table,
        handle: Handle,
    ) -> Option<(usize, usize, Option<Mailbox>)> {
        let entry = self.tables[table].entries.get(&handle)?;
        Some((entry.own, entry.held, entry.payer))
    }

    /// Whether the table's group is over (rule O5).
    pub fn is_sealed(&self, table: Table) -> bool {
        self.tables[table].group.is_some_and(|group| !self.is_alive(group))
    }

    /// Bytes charged to a mailbox.
    pub fn bytes_queued(&self, mailbox: Mailbox) -> usize {
        let charge = |s: &Queued| if let Queued::Message { charge, .. } = s { *charge } else { 0 };
        self.mailboxes[mailbox].queue.iter().map(charge).sum()
    }

    /// Slots used of a mailbox's share: by queued capabilities and by entries (rule S2).
    pub fn share_used(&self, mailbox: Mailbox) -> usize {
        let MailboxState { table, queue, .. } = &self.mailboxes[mailbox];
        let attached = queue.iter().map(|signal| match signal {
            Queued::Message { attached, .. } => attached.len(),
            Queued::Down { .. } => 0,
        });
        let entries = self.tables[*table].entries.values();
        attached.sum::<usize>() + entries.filter(|entry| entry.payer == Some(mailbox)).count()
    }

    fn messages(&self, mailbox: Mailbox) -> usize {
        let queue = self.mailboxes[mailbox].queue.iter();
        queue.filter(|signal| matches!(signal, Queued::Message { .. })).count()
    }

    fn monitors(&self, mailbox: Mailbox) -> impl Iterator<Item = Monitor> {
        let queued = self.mailboxes[mailbox].queue.iter().filter_map(|signal| match signal {
            Queued::Down { monitor, .. } => Some(*monitor),
            Queued::Message { .. } => None,
        });
        self.mailboxes[mailbox].armed.iter().copied().chain(queued)
    }

    fn mailboxes_of(&self, group: Group) -> impl Iterator<Item = Mailbox> {
        self.mailboxes().filter(move |&mailbox| self.mailboxes[mailbox].group == group)
    }

    fn mailboxes_on(&self, table: Table) -> impl Iterator<Item = Mailbox> {
        self.mailboxes().filter(move |&mailbox| self.mailboxes[mailbox].table == table)
    }

    fn is_alive(&self, group: Group) -> bool {
        self.groups[group].life == Life::Alive
    }

    fn number(&mut self) -> usize {
        self.handles_guards_and_waits += 1;
        self.handles_guards_and_waits - 1
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
