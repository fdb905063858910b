//! Delivery: from a checked capability to a message in the mailbox's queue.
//!
//! What a message needs is reserved first, in the order of rule S1: room among
//! the mailbox's messages, bytes and capabilities, then a node, a block, a slot of the
//! receiver's table for each attached capability, and memory for a copy. Then
//! it is published by one step, under the head's commit rule. Whatever fails
//! gives back what was reserved, and nothing has happened.
//!
//! # Progress
//! Lock-free. A sender stopped at any instruction keeps what it had reserved,
//! and stops nobody (rule S4).

#[cfg(feature = "alloc")]
use super::block::Block;
use super::channel::Channel;
use super::head::{Element, Pushed};
use super::node::{Content, Node};
use super::parcel::Parcel;
use crate::arena::Exhausted;
use crate::cap::Reference;
use crate::cap::granted::{Granted, Send as MaySend};
use crate::cap::view::View;
use crate::error::SendError;
use crate::group::Group;
use crate::life::Address;
use crate::limits::MAX_MESSAGE_HANDLES;
use crate::mailbox::wake::Left;
use crate::office::Office;
use crate::panics::Panics;
use crate::payload::{INLINE_BYTES, Owned};
use crate::reclaim::Pin;
use crate::route::{NoCredit, Route, is_below};
use crate::sync::atomic::{
    Ordering::{Acquire, Relaxed, SeqCst},
    fence,
};
use crate::sync::prefetch_to_write;
use crate::twin::{self, Twin};

/// The capabilities attached to a message.
pub(crate) type Attached = heapless::Vec<Reference, MAX_MESSAGE_HANDLES>;

/// Why a message was not accepted; whether it was for want of the office's
/// nodes or blocks, for which nobody waits in a mailbox's line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undelivered {
    pub(crate) error: SendError,
    pub(crate) exhausted: bool,
}

impl From<SendError> for Undelivered {
    #[inline(always)]
    fn from(error: SendError) -> Self {
        Self { error, exhausted: false }
    }
}

impl From<Exhausted> for Undelivered {
    fn from(refused: Exhausted) -> Self {
        let error = match refused {
            Exhausted::Limit => SendError::Full,
            Exhausted::Memory => SendError::OutOfMemory,
        };
        Self { error, exhausted: true }
    }
}

/// The bytes of a message.
pub(crate) enum Letter<'l> {
    /// By reference: copied into the node or into memory of its own.
    Copied(&'l [u8]),
    /// Owned: handed on. Taken out only when the message is accepted.
    Moved(&'l mut Option<Owned>),
}

impl Letter<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Copied(data) => data.len(),
            Self::Moved(owned) => owned.as_ref().map_or(0, |owned| owned.len()),
        }
    }

    pub(crate) fn is_copied(&self) -> bool {
        matches!(self, Self::Copied(_))
    }

    /// Bytes to be charged: those that are not among the `most` inline.
    pub(crate) fn weight(&self, most: usize) -> u32 {
        match self {
            Self::Copied(data) if data.len() <= most => 0,
            letter => letter.len() as u32,
        }
    }
}

/// What a node is filled with.
enum Filling<'l> {
    Inline(&'l [u8]),
    /// Index of the block that has so many bytes.
    #[cfg_attr(not(feature = "alloc"), allow(dead_code, reason = "there are none"))]
    Block(u32, usize),
    Owned(Owned),
}

impl Office {
    /// The slot of a route's address, whatever is in it now.
    #[inline(always)]
    pub(crate) fn route(&self, address: Address) -> Option<&Route> {
        crate::arena::stable(&self.routes, address)
    }

    /// Whether the route is open and its group alive.
    #[inline(always)]
    pub(crate) fn is_open(&self, route: Address, group: Address) -> bool {
        let open = self.route(route).is_some_and(|r| r.life.is(route.generation));
        open && self.is_living(group)
    }

    /// The channel of a route, and its index, if the route is open.
    pub(crate) fn channel_of<'p>(
        &'p self,
        pin: &'p Pin,
        route: Address,
    ) -> Option<(u32, &'p Channel)> {
        let slot = self.route(route)?;
        let index = slot.channel.load(Acquire);
        let channel = self.channels.peek(pin, index)?;
        slot.life.is(route.generation).then_some((index, channel))
    }

    /// Sends a message without attachments whose bytes are inline: in its node, or, where
    /// storage grows, in a block.
    #[inline(always)]
    pub(crate) fn deliver_inline<const IN_BLOCK: bool>(
        &self,
        sender: Option<View<'_>>,
        granted: &Granted<MaySend>,
        data: &[u8],
    ) -> Result<(), Undelivered> {
        let target = granted.reference();
        let (route, fate) = granted.slots(self);
        // The node first, so that the two steps on the route's cache line follow
        // each other. A closed route has no credit; a dead group is seen when
        // there is none, or at the commit.
        let index = match self.take::<Node>(sender) {
            Ok(index) => index,
            Err(refused) => return Err(self.no_node(route, target.route, target.group, refused)),
        };
        // SAFETY: taken just now, and claimed until the receiver gives it back.
        let node = unsafe { self.nodes.slot(index) };
        // The next node is likely the next send's: its line comes meanwhile.
        prefetch_to_write(core::ptr::from_ref(node).wrapping_add(1));
        #[cfg(feature = "alloc")]
        if IN_BLOCK {
            let block = match self.take_block(sender, data) {
                Ok(block) => block,
                Err(refused) => {
                    self.put_back::<Node>(sender, index);
                    return Err(self.no_node(route, target.route, target.group, refused));
                }
            };
            // SAFETY: Private: taken by us, not queued yet.
            unsafe { node.write(|content| content.fill_block(block, data.len())) };
        }
        if !IN_BLOCK {
            // SAFETY: as above.
            unsafe { node.write(|content| content.fill_inline(data)) };
        }
        if let Err(error) = self.charge_message(route, target.route, target.group) {
            self.put_message_back(sender, index);
            return Err(error.into());
        }
        match self.commit(sender, route, target, fate, Element::message(index), node) {
            Ok(Pushed::Seen) => Ok(()),
            Ok(Pushed::Sleeping) => {
                self.rouse_receiver(route, target.route.index);
                Ok(())
            }
            Err(error) => {
                self.uncharge_message(route, target.route);
                self.put_message_back(sender, index);
                Err(error.into())
            }
        }
    }

    /// Takes a block, with these bytes in it.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(super) fn take_block(
        &self,
        sender: Option<View<'_>>,
        data: &[u8],
    ) -> Result<u32, Exhausted> {
        let index = self.take::<Block>(sender)?;
        // SAFETY: taken just now: Private.
        unsafe { self.blocks.slot(index).fill(data) };
        Ok(index)
    }

    /// Gives back the node of an inline message that was refused, and its block.
    #[cold]
    #[inline(never)]
    fn put_message_back(&self, sender: Option<View<'_>>, index: u32) {
        #[cfg(feature = "alloc")]
        // SAFETY: Private still.
        if let Some(block) = unsafe { self.nodes.slot(index).write(Content::take_block) } {
            self.put_back::<Block>(sender, block);
        }
        self.put_back::<Node>(sender, index);
    }

    /// There was no node, or no block; but that counts only if there is room (rule S1).
    #[cold]
    #[inline(never)]
    fn no_node(
        &self,
        route: &Route,
        address: Address,
        group: Address,
        refused: Exhausted,
    ) -> Undelivered {
        if !self.is_open(address, group) {
            return SendError::Closed.into();
        }
        // A look: a charge, for a moment, would be in the way of who has a node.
        let pin = self.pin();
        let Some((_, channel)) = self.channel_of(&pin, address) else {
            return SendError::Closed.into();
        };
        let has_room = channel.has_room(route);
        match self.full_or_closed(address, group) {
            SendError::Full if has_room => refused.into(),
            error => error.into(),
        }
    }

    /// One message's room.
    #[inline(always)]
    pub(super) fn charge_message(
        &self,
        route: &Route,
        address: Address,
        group: Address,
    ) -> Result<(), SendError> {
        if !route.counts(address.generation) {
            return Err(SendError::Closed);
        }
        let bound = route.bound.load(Relaxed);
        match route.credit.raise(address.generation, 1, |used| is_below(used, bound)) {
            Ok(()) => Ok(()),
            Err(NoCredit::Stale) => Err(SendError::Closed),
            Err(NoCredit::Used(_)) => self.charge_exactly(route, address, group),
        }
    }

    /// Gives one message's room back without a receive.
    #[cold]
    #[inline(never)]
    fn uncharge_message(&self, route: &Route, address: Address) {
        if route.credit.lower(address.generation, 1) {
            self.room_made(address);
        }
    }

    /// The bound is only published now and then: looks at what was received.
    #[cold]
    #[inline(never)]
    fn charge_exactly(
        &self,
        route: &Route,
        address: Address,
        group: Address,
    ) -> Result<(), SendError> {
        if !self.is_open(address, group) {
            return Err(SendError::Closed);
        }
        let pin = self.pin();
        let (_, channel) = self.channel_of(&pin, address).ok_or(SendError::Closed)?;
        let most = channel.limits().messages;
        match route.credit.raise_ahead(address.generation, most, || channel.received.count()) {
            Ok(()) => Ok(()),
            Err(NoCredit::Used(_)) => Err(self.full_or_closed(address, group)),
            Err(NoCredit::Stale) => Err(SendError::Closed),
        }
    }

    /// Why there was no room.
    pub(super) fn full_or_closed(&self, address: Address, group: Address) -> SendError {
        if self.is_open(address, group) { SendError::Full } else { SendError::Closed }
    }

    /// Publishes a filled node, under the commit rule.
    #[inline(always)]
    fn commit(
        &self,
        sender: Option<View<'_>>,
        route: &Route,
        target: Reference,
        fate: &Group,
        element: Element,
        node: &Node,
    ) -> Result<Pushed, SendError> {
        loop {
            let seen = route.head.look();
            if sender.is_some_and(View::is_sealed) {
                return Err(SendError::Dead);
            }
            let group_lives =
                fate.life.is(target.group.generation) || twin::is(Twin::GroupUnchecked);
            if !route.life.is(target.route.generation) || !group_lives {
                return Err(SendError::Closed);
            }
            let seen = if twin::is(Twin::ChecksBeforeLook) { route.head.look() } else { seen };
            // SAFETY: Private: not queued yet.
            unsafe { node.write(|content| content.next = seen.newest()) };
            if let Some(pushed) = route.head.push_message(seen, element) {
                return Ok(pushed);
            }
        }
    }

    /// Wakes the receiver after a push onto a sleeping head.
    #[cold]
    #[inline(never)]
    fn rouse_receiver(&self, route: &Route, index: u32) {
        // The head showed that the receiver sleeps, so its registration is seen;
        // if a call since that has ended, it will look. Partner of the fence: `poll_ready`, which
        // registers, then looks; else it may have looked, and we see it notified still.
        if !twin::is(Twin::RouseUnfenced) {
            fence(SeqCst);
        }
        if route.wake.is_notified() {
            return;
        }
        Panics::after(|panics| self.call_receiver(index, route, panics));
    }

    /// Wakes whoever waits to receive from this route.
    pub(crate) fn wake_receiver(&self, address: Address, panics: &mut Panics) {
        if let Some(route) = self.route(address) {
            self.call_receiver(address.index, route, panics);
        }
    }

    /// The same, where the route was found.
    pub(crate) fn call_receiver(&self, index: u32, route: &Route, panics: &mut Panics) {
        if route.wake.wake(panics) == Left::Vacant {
            self.vacate_route(index);
        }
    }

    /// Gives a route's slot back: its mailbox is gone and nobody is inside its waker.
    pub(crate) fn vacate_route(&self, index: u32) {
        // SAFETY: claimed until now; routes' slots are never retired.
        if !unsafe { self.routes.slot(index) }.life.is_spent() {
            self.routes.give_back(index);
        }
    }

    /// Sends any message.
    pub(crate) fn deliver(
        &self,
        sender: Option<View<'_>>,
        granted: &Granted<MaySend>,
        mut letter: Letter<'_>,
        attached: &[Reference],
    ) -> Result<(), Undelivered> {
        if let Letter::Copied(data) = letter
            && data.len() <= INLINE_BYTES
            && attached.is_empty()
        {
            return self.deliver_inline::<false>(sender, granted, data);
        }
        #[cfg(feature = "alloc")]
        if let Letter::Copied(data) = letter
            && data.len() <= self.most_inline()
            && attached.is_empty()
        {
            return self.deliver_inline::<true>(sender, granted, data);
        }
        let target = granted.reference();
        let (route, fate) = granted.slots(self);
        if !self.is_open(target.route, target.group) {
            return Err(SendError::Closed.into());
        }
        let pin = self.pin();
        let mut parcel = Parcel::new(self, sender, &pin, route, target);
        parcel.charge(letter.weight(self.most_inline()), attached.len() as u32)?;
        let index = parcel.node()?;
        // SAFETY: taken just now; Private until it is committed.
        let node = unsafe { self.nodes.slot(index) };
        #[cfg(feature = "alloc")]
        if let Letter::Copied(data) = letter
            && (INLINE_BYTES + 1..=self.most_inline()).contains(&data.len())
        {
            parcel.take_block(data)?;
        }
        let more = parcel.attach(attached)?;
        let filling = match &mut letter {
            Letter::Copied(data) if data.len() <= INLINE_BYTES => Filling::Inline(data),
            Letter::Copied(data) => match parcel.block() {
                Some(block) => Filling::Block(block, data.len()),
                None => Filling::Owned(self.copy(data)?),
            },
            Letter::Moved(owned) => owned.take().map_or(Filling::Inline(&[]), Filling::Owned),
        };
        // SAFETY: Private.
        unsafe {
            node.write(|content| {
                match filling {
                    Filling::Inline(data) => content.fill_inline(data),
                    #[cfg(feature = "alloc")]
                    Filling::Block(block, length) => content.fill_block(block, length),
                    #[cfg(not(feature = "alloc"))]
                    Filling::Block(..) => {}
                    Filling::Owned(owned) => content.fill_owned(owned),
                }
                content.attached = attached.len() as u8;
                content.more = more;
            });
        }
        match self.commit(sender, route, target, fate, Element::message(index), node) {
            Ok(pushed) => {
                parcel.accepted();
                if pushed == Pushed::Sleeping {
                    self.rouse_receiver(route, target.route.index);
                }
                Ok(())
            }
            Err(error) => {
                // SAFETY: still Private.
                let owned = unsafe { node.write(Content::take_owned) };
                match letter {
                    Letter::Moved(place) => *place = owned,
                    Letter::Copied(_) => drop(owned), // Our own copy.
                }
                drop(parcel); // With the block; who waits is woken, which is user code.
                Err(error.into())
            }
        }
    }

    #[cfg(feature = "alloc")]
    fn copy(&self, data: &[u8]) -> Result<Owned, SendError> {
        if self.is_fixed() {
            return Err(SendError::TooLarge);
        }
        Owned::copied(data).map_err(|_| SendError::OutOfMemory)
    }

    #[cfg(not(feature = "alloc"))]
    fn copy(&self, _data: &[u8]) -> Result<Owned, SendError> {
        Err(SendError::TooLarge)
    }

    /// The most bytes of a message sent by reference.
    pub(crate) fn most_bytes(&self, by_reference: bool) -> usize {
        let limit = self.limits().bytes_per_message as usize;
        if by_reference && self.is_fixed() { limit.min(self.most_inline()) } else { limit }
    }
}
