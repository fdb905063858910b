//! Mailboxes: where signals are received.
//!
//! A mailbox is a route (one cache line that senders touch), a channel (what
//! else they may need), and this value, which only its owner has: the list of
//! what was taken off the head, in order, and the marker where it stopped.

#[cfg(feature = "alloc")]
pub(crate) mod block;
pub(crate) mod channel;
pub(crate) mod deliver;
pub(crate) mod head;
mod line;
mod list;
pub(crate) mod magazine;
pub(crate) mod node;
pub(crate) mod parcel;
pub(crate) mod recv;
mod settle;
pub(crate) mod supply;
pub(crate) mod waiters;
pub(crate) mod wake;

use crate::cap::Reference;
use crate::cap::capability::Capability;
use crate::cap::handle::Handle;
use crate::cap::permissions::Permissions;
use crate::cap::table::Table;
use crate::error::{CreateError, TableError};
use crate::group::RouteGroup;
use crate::life::Address;
use crate::limits::{MAX_MESSAGE_HANDLES, MailboxLimits};
use crate::monitor::{DownReason, Firer, ReceivedDown, Waking};
use crate::office::{Office, PostOffice};
use crate::panics::Panics;
use crate::roster::Position;
use crate::route::{self, NO_CHANNEL, Route};
use crate::sync::atomic::{
    Ordering::{Release, SeqCst},
    fence,
};
use crate::twin::{self, Twin};
use channel::Channel;
use core::cell::Cell;
use core::fmt;
use core::ptr::NonNull;
use head::{Element, What};
use magazine::Spare;
use node::Node;
use settle::Recent;

/// Where signals to one route are received, by one owner.
///
/// A mailbox is bounded (rule S3), first in first out (rule R1), and dies with
/// its group. It is moved freely between threads and used by one at a time.
/// Dropping or closing it closes its route; the group lives on (rule K4).
///
/// ```
/// use flue_core::{Permissions, PostOffice, Signal};
///
/// let group = PostOffice::new().create_group()?;
/// let table = group.create_table()?;
/// let mut mailbox = group.create_mailbox(&table)?;
/// let to = mailbox.export(Permissions::SEND)?;
///
/// table.send(to, b"with myself attached", &[to])?;
/// let Signal::Message(mut message) = mailbox.try_recv()? else { unreachable!() };
/// assert_eq!(message.data(), b"with myself attached");
/// assert_eq!(message.handles(), [to], "equal capabilities are equal handles");
///
/// drop(message);
/// assert!(mailbox.is_empty() && mailbox.len() < mailbox.capacity());
/// assert!(mailbox.table().contains(to) && !mailbox.group().is_dead());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Cost
/// Its accessors are reads. Dropping it costs what [`close`](Self::close) does.
///
/// # Progress
/// Receiving is wait-free but for the wake of a sender that waits for room, and for
/// capabilities, which are put into the table lock-free.
pub struct Mailbox {
    group: RouteGroup,
    table: Table,
    address: Address,
    route: NonNull<Route>,
    channel: NonNull<Channel>,
    /// Index of the channel.
    channel_at: u32,
    position: Position,
    limits: MailboxLimits,
    /// What was taken off the head and is not received yet, oldest first.
    pending: Element,
    /// The node of the first pending element, if it is at hand.
    front: Option<NonNull<Node>>,
    /// The newest element that was taken: a walk from the head ends here.
    marker: Element,
    /// The received messages between two that publish the bound, less one.
    stride: u32,
    /// The down that a guard has.
    down: ReceivedDown,
    /// The first element, if a waker panicked when its receive had begun: its room was given
    /// back already, or its capabilities are imported, or its monitor is over.
    counted: Element,
    /// Whether a guard was lent something that must be settled after it.
    has_lent: bool,
    /// The message that a guard has, or had and forgot.
    lent: Option<(Element, NonNull<Node>)>,
    /// Handles that the guard of `lent` has not given away.
    pub(crate) handles: heapless::Vec<Handle, MAX_MESSAGE_HANDLES>,
    /// Where in the table the capabilities that came last are.
    recent: Recent,
    /// Nodes to be given back together.
    spare_nodes: Spare,
    #[cfg(feature = "alloc")]
    spare_blocks: Spare,
    /// Whether the head was put to sleep.
    asleep: bool,
    /// The list of this mailbox's monitors: index + 1 of the first.
    monitors: Cell<u32>,
    /// How many monitors there have been.
    numbered: Cell<u64>,
    /// Downs removed since removed ones were last taken out of the queue ...
    removed: u32,
    /// ... and the elements that were left then.
    left: u32,
}

// SAFETY: the pointers are to slots that stay while this mailbox holds their
// claims, and what they share is changed by atomic steps; the rest is owned.
// Not Sync: the cells are the owner's.
unsafe impl Send for Mailbox {}

impl Mailbox {
    pub(crate) fn create(
        group: &RouteGroup,
        table: &Table,
        limits: MailboxLimits,
    ) -> Result<Self, CreateError> {
        let office = group.post_office();
        if table.post_office() != office {
            return Err(CreateError::PostOfficeMismatch);
        }
        let of_table = table.view().slot().group.load();
        if !of_table.is_nowhere() && of_table != group.address() {
            return Err(CreateError::TableMismatch);
        }
        if group.is_dead() {
            return Err(CreateError::Dead);
        }
        if !group.slot().routes.charge(office.limits().routes_per_group) {
            return Err(CreateError::LimitReached);
        }
        let created = Self::open(group, table, channel::clamp(limits));
        let mailbox = created.inspect_err(|_| group.slot().routes.repay())?;
        // A group that died meanwhile closed this route with it; but say so.
        if group.is_dead() { Err(CreateError::Dead) } else { Ok(mailbox) }
    }

    /// Claims and fills the slots; the group's count is charged already.
    fn open(group: &RouteGroup, table: &Table, limits: MailboxLimits) -> Result<Self, CreateError> {
        let office: &Office = group.post_office();
        let view = table.view();
        if !view.slot().add_share(limits.handles, office.most_handles()) {
            return Err(CreateError::LimitReached);
        }
        let unshare = |_: &_| view.slot().remove_share(limits.handles);
        let index = office.routes.claim().inspect_err(unshare)?;
        let unroute = |_: &_| office.routes.give_back(index);
        let channel_at = office.channels.claim().inspect_err(unroute).inspect_err(unshare)?;
        let enrolled = if office.is_fixed() { Ok(0) } else { group.slot().route_roster.add(index) };
        let unchannel = |_: &_| office.channels.give_back(channel_at);
        let position = enrolled.inspect_err(unchannel).inspect_err(unroute).inspect_err(unshare)?;
        // SAFETY: both were claimed just now, and are kept until the drop.
        let (route, channel) =
            unsafe { (office.routes.slot(index), office.channels.slot(channel_at)) };
        channel.open(group.address(), table.number(), limits);
        let generation = route.life.next();
        route.credit.open(generation);
        // After it: who finds this channel finds that count. And who finds it before the end
        // seen by `life` sees that end.
        route.channel.store(channel_at, Release);
        route.share.open(generation);
        route::publish(&route.bound, limits.messages);
        route.wake.open();
        let _ = route.life.begin(); // Releases all of the above.
        Ok(Self {
            group: group.another(),
            table: table.clone(),
            address: Address { index, generation },
            route: NonNull::from(route),
            channel: NonNull::from(channel),
            channel_at,
            position,
            limits,
            pending: Element::NONE,
            front: None,
            marker: Element::NONE,
            stride: (limits.messages / 4 + 1).next_power_of_two() / 2
                - u32::from(limits.messages >= 4),
            down: ReceivedDown::NONE,
            counted: Element::NONE,
            has_lent: false,
            lent: None,
            handles: heapless::Vec::new(),
            recent: Recent::new(),
            spare_nodes: Spare::new(office.is_thrifty()),
            #[cfg(feature = "alloc")]
            spare_blocks: Spare::new(office.is_thrifty()),
            asleep: false,
            monitors: Cell::new(0),
            numbered: Cell::new(0),
            removed: 0,
            left: 0,
        })
    }

    #[inline(always)]
    pub(crate) fn route(&self) -> &Route {
        // SAFETY: claimed until the drop.
        unsafe { self.route.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn channel(&self) -> &Channel {
        // SAFETY: claimed until the drop.
        unsafe { self.channel.as_ref() }
    }

    pub(crate) fn post_office(&self) -> &PostOffice {
        self.group.post_office()
    }

    pub(crate) fn address(&self) -> Address {
        self.address
    }

    pub(crate) fn received_down(&self) -> &ReceivedDown {
        &self.down
    }

    pub(crate) fn first_monitor(&self) -> u32 {
        self.monitors.get()
    }

    pub(crate) fn set_first_monitor(&self, first: u32) {
        self.monitors.set(first);
    }

    /// The number of the next monitor. A count of 64 bits does not come to its end.
    pub(crate) fn next_monitor_number(&self) -> u64 {
        let number = self.numbered.get() + 1;
        self.numbered.set(number);
        number
    }

    fn reference(&self, permissions: Permissions) -> Reference {
        Reference { route: self.address, group: self.group.address(), permissions }
    }

    /// Puts a capability to this mailbox's route into its own table. With
    /// [`demote`](Table::demote) and with being attached to messages, this is
    /// how all capabilities come about (rule P2).
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice};
    /// # let group = PostOffice::new().create_group()?;
    /// # let table = group.create_table()?;
    /// # let mailbox = group.create_mailbox(&table)?;
    /// let handle = mailbox.export(Permissions::SEND)?;
    /// assert_eq!(table.permissions(handle)?, Permissions::SEND);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Dead`: the mailbox's group is; `PermissionDenied` for unknown bits; `Full`: the
    /// table has as many of its own as it may; `OutOfMemory`.
    ///
    /// # Cost
    /// [A search](crate#what-operations-cost); for a new entry, a slot.
    ///
    /// # Progress
    /// Lock-free.
    pub fn export(&self, permissions: Permissions) -> Result<Handle, TableError> {
        if self.group.is_dead() {
            return Err(TableError::Dead);
        }
        if permissions.has_unknown() {
            return Err(TableError::PermissionDenied);
        }
        self.table.view().insert(self.reference(permissions))
    }

    /// A capability to this mailbox's route, for the host. Unknown bits are
    /// left out. See [`Capability`] for an example.
    ///
    /// # Cost
    /// One step.
    #[must_use]
    pub fn capability(&self, permissions: Permissions) -> Capability {
        let known = Permissions::from_bits_truncate(permissions.bits());
        Capability::new(self.post_office(), self.reference(known))
    }

    /// Closes the route, as dropping the mailbox does.
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice, SendError};
    /// # let group = PostOffice::new().create_group()?;
    /// # let table = group.create_table()?;
    /// # let mailbox = group.create_mailbox(&table)?;
    /// let to = mailbox.export(Permissions::SEND)?;
    /// mailbox.close();
    /// assert_eq!(table.send(to, b"late", &[]), Err(SendError::Closed));
    /// assert!(!group.is_dead());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Cost
    /// Linear in what waits in it, its monitors, those who watch it and those who wait
    /// for room; no memory. In static storage the last two are found by walking all
    /// records of their kind.
    ///
    /// # Progress
    /// Lock-free.
    pub fn close(self) {}

    /// The table that gets the attached capabilities. See [`Mailbox`] for an example.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The group that the route lives in. See [`Mailbox`] for an example.
    #[must_use]
    pub fn group(&self) -> &RouteGroup {
        &self.group
    }

    /// How many messages wait; 0 once the group is dead. See [`Mailbox`] for an example.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.group.is_dead() {
            return 0;
        }
        let (accepted, received) = (self.route().credit.count(), self.channel().received.count());
        route::ahead(accepted, received) as usize
    }

    /// Whether no message waits. See [`Mailbox`] for an example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages may wait. See [`Mailbox`] for an example.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.limits.messages as usize
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let route = self.route();
        let office = self.post_office().clone();
        let mut panics = Panics::new();
        let taken;
        {
            let pin = office.pin();
            // First pass: the downs. If the group dies after this is decided, the route was
            // closed before; and its killer does all of this, too, until we are done (rule K3).
            let reason = self.decide();
            let _ = route.life.end(self.address.generation); // Only we end it.
            taken = route.head.close();
            if !twin::is(Twin::CloseUnfenced) {
                // Partner: whoever announces a monitor or a wait, or holds one, then looks.
                fence(SeqCst);
            }
            if twin::is(Twin::DelistedEarly) {
                self.delist();
            }
            let _ = office.fire_monitors(&pin, self.address, self.channel(), reason, Firer::Closer);
            self.end_monitors(&pin);
            // Second pass: the wake-ups.
            office.wake_senders(&pin, self.address, self.channel(), &mut panics);
            office.take_senders_out(&pin, self.address, self.channel());
            office.wake_observers(&pin, self.address, self.channel(), Waking::Closer, &mut panics);
            if !twin::is(Twin::DelistedEarly) {
                self.delist();
            }
        }
        // A guard that was forgotten, or handles that were imported for none. A payload is user
        // code. Again if a panic came in between: of the waker of who waits for another mailbox's
        // room, which a handle of it was.
        while self.has_lent || !self.handles.is_empty() {
            panics.run(|| self.settle());
        }
        self.drain(taken, &mut panics);
        // What taken handles are charged to this mailbox is its table's now.
        let view = self.table.view();
        view.slot().take_over(self.route().share.close(self.address.generation));
        view.slot().remove_share(self.limits.handles);
        let _ = self.channel().life.end(self.channel().life.count());
        office.release_channel(self.channel_at);
        self.group.slot().routes.repay();
        if self.route().wake.close(&mut panics) == wake::Left::Vacant {
            office.vacate_route(self.address.index);
        }
        panics.resume();
    }
}

impl Mailbox {
    /// Why the route is over: the owner is about to close it.
    fn decide(&self) -> DownReason {
        let reason = if self.group.is_dead() { DownReason::Killed } else { DownReason::Closed };
        self.channel().decide(self.channel().life.count(), reason)
    }

    /// Lets no killer find the route any more: all that it owes is done.
    fn delist(&self) {
        self.route().channel.store(NO_CHANNEL, Release); // Partner: `Office::each_route`.
        if !self.post_office().is_fixed() {
            self.group.slot().route_roster.remove(self.position);
        }
    }

    /// Destroys what was not received: what the owner had taken, and the rest.
    fn drain(&mut self, newest: Element, panics: &mut Panics) {
        self.take_batch(newest);
        self.asleep = false;
        while !self.pending.is_none() {
            let element = self.pending;
            self.front = None;
            self.pending = self.next_of(element);
            match element.what() {
                Some(What::Message(index)) => self.destroy(index, panics),
                Some(What::Down(_)) | None => {}
            }
            if element != self.marker {
                self.free(element);
            }
        }
        let marker = core::mem::replace(&mut self.marker, Element::NONE);
        self.free(marker);
        self.flush_spare();
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("dead", &self.group.is_dead()).finish_non_exhaustive()
    }
}
