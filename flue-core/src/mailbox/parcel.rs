//! Parcels: messages under way that carry more than a node's inline bytes.
//!
//! What a parcel needs is reserved one thing after the other: room in the
//! mailbox, a node, a block, a slot of the receiver's table for each attached
//! capability. A parcel that is dropped gives all of that back; one that was
//! accepted is the receiver's.
//!
//! The attached capabilities lie in nodes of their own, a chain from the last
//! back to the first, each with the slot that waits for it.
//!
//! # Progress
//! Lock-free. A sender stopped at any instruction keeps what it had reserved,
//! and stops nobody (rule S4).

use super::channel::Channel;
use super::deliver::Undelivered;
use super::head::Element;
use super::node::{ATTACHMENTS, Attachment, Holds, Node};
use crate::cap::Reference;
use crate::cap::slot::TableSlot;
use crate::cap::table::Held;
use crate::cap::view::View;
use crate::error::SendError;
use crate::life::{Generation, NEVER};
use crate::office::Office;
use crate::reclaim::Pin;
use crate::route::{Lowered, NoCredit, Route};
use crate::sync::atomic::Ordering::Acquire;
use crate::twin::{self, Twin};

/// What a message under way has reserved.
pub(super) struct Parcel<'p> {
    office: &'p Office,
    sender: Option<View<'p>>,
    /// Keeps the channel and the table's slot in place.
    pin: &'p Pin,
    route: &'p Route,
    target: Reference,
    channel: Option<&'p Channel>,
    /// The channel's life that `bytes` are charged to.
    life: Generation,
    has_room: bool,
    bytes: u32,
    handles: u32,
    node: Element,
    #[cfg(feature = "alloc")]
    block: Option<u32>,
    /// The chain of nodes with the attachments.
    more: Element,
    /// The receiver's table, kept until the message is accepted or given up,
    /// whatever its owners do.
    table: Option<(u32, &'p TableSlot)>,
}

impl<'p> Parcel<'p> {
    pub(super) fn new(
        office: &'p Office,
        sender: Option<View<'p>>,
        pin: &'p Pin,
        route: &'p Route,
        target: Reference,
    ) -> Self {
        Self {
            office,
            sender,
            pin,
            route,
            target,
            channel: None,
            life: NEVER,
            has_room: false,
            bytes: 0,
            handles: 0,
            node: Element::NONE,
            #[cfg(feature = "alloc")]
            block: None,
            more: Element::NONE,
            table: None,
        }
    }

    /// The receiver has it all now.
    pub(super) fn accepted(self) {
        self.leave_table();
        core::mem::forget(self);
    }

    /// Room in the mailbox.
    pub(super) fn charge(&mut self, bytes: u32, handles: u32) -> Result<(), SendError> {
        let (route, address) = (self.route, self.target.route);
        let generation = address.generation;
        if bytes == 0 && handles == 0 {
            self.office.charge_message(route, address, self.target.group)?;
            self.has_room = true;
            return Ok(());
        }
        let (_, channel) = self.office.channel_of(self.pin, address).ok_or(SendError::Closed)?;
        let limits = channel.limits();
        let Some(life) = channel.life.living() else { return Err(SendError::Closed) };
        if !route.life.is(generation) {
            return Err(SendError::Closed); // Then `life` is its mailbox's no more.
        }
        self.channel = Some(channel);
        self.life = life;
        let full =
            |refused| if refused == NoCredit::Stale { SendError::Closed } else { SendError::Full };
        let fits = |used: u32| used.checked_add(bytes).is_some_and(|sum| sum <= limits.bytes);
        // Looked at before anything is taken: giving back wakes who waits for
        // it, and a sender that waits would wake itself for ever.
        if (bytes > 0 && !fits(channel.bytes.count()))
            || (handles > 0 && handles > route.share.left(limits.handles))
        {
            return Err(self.office.full_or_closed(address, self.target.group));
        }
        self.office.charge_message(route, address, self.target.group)?;
        self.has_room = true;
        if bytes > 0 {
            channel.bytes.raise(life, bytes, fits).map_err(full)?;
            self.bytes = bytes;
        }
        if handles > 0 {
            self.enter_table()?; // First: who closes the mailbox leaves the share to its table.
            route.share.raise(generation, handles, limits.handles).map_err(full)?;
            self.handles = handles;
        }
        Ok(())
    }

    /// The message's own node.
    pub(super) fn node(&mut self) -> Result<u32, Undelivered> {
        let node = self.office.take::<Node>(self.sender)?;
        self.node = Element::message(node);
        Ok(node)
    }

    /// A block with these bytes.
    #[cfg(feature = "alloc")]
    #[cold]
    #[inline(never)]
    pub(super) fn take_block(&mut self, data: &[u8]) -> Result<(), Undelivered> {
        self.block = Some(self.office.take_block(self.sender, data)?);
        Ok(())
    }

    /// The message's block, if it has one.
    #[inline(always)]
    pub(super) fn block(&self) -> Option<u32> {
        #[cfg(feature = "alloc")]
        return self.block;
        #[cfg(not(feature = "alloc"))]
        None
    }

    /// Reserves slots for the attached capabilities and writes them into nodes
    /// of their own. Returns the first of the chain.
    pub(super) fn attach(&mut self, attached: &[Reference]) -> Result<Element, Undelivered> {
        if attached.is_empty() {
            return Ok(Element::NONE);
        }
        let Some((_, table)) = self.table else { return Err(SendError::Closed.into()) };
        for references in attached.chunks(ATTACHMENTS) {
            let index = self.office.take::<Node>(self.sender)?;
            // SAFETY: taken just now; Private until the message is committed.
            let node = unsafe { self.office.nodes.slot(index) };
            // SAFETY: Private.
            unsafe {
                node.write(|content| {
                    content.next = self.more;
                    content.length = 0;
                    content.more = Element::NONE;
                    content.holds = Holds::Attachments;
                    content.attached = 0;
                });
            }
            self.more = Element::message(index);
            for reference in references {
                let slot = table.claim_entry(self.office)?;
                let attachment = Attachment { reference: *reference, slot };
                // SAFETY: Private.
                unsafe { node.write(|content| content.attach(attachment)) };
            }
        }
        Ok(self.more)
    }

    /// Takes a hold on the receiver's table.
    fn enter_table(&mut self) -> Result<(), SendError> {
        let channel = self.channel.ok_or(SendError::Closed)?;
        let number = channel.table.load(Acquire);
        let table = self.office.tables.peek(self.pin, number).filter(|table| table.acquire());
        let table = table.ok_or(SendError::Closed)?;
        self.table = Some((number, table));
        if !self.route.life.is(self.target.route.generation) {
            return Err(SendError::Closed); // Then it may be another mailbox's table.
        }
        Ok(())
    }

    /// Lets go of the receiver's table.
    fn leave_table(&self) {
        if let Some((number, table)) = self.table
            && !table.release_unless_last()
        {
            drop(Held::from_acquired(self.office, number, table));
        }
    }
}

impl Drop for Parcel<'_> {
    fn drop(&mut self) {
        let (office, generation) = (self.office, self.target.route.generation);
        if let Some(node) = self.node.as_message() {
            office.nodes.give_back(node);
        }
        #[cfg(feature = "alloc")]
        if let Some(block) = self.block {
            office.blocks.give_back(block);
        }
        while let Some(index) = self.more.as_message() {
            // SAFETY: taken by `attach`; Private.
            let node = unsafe { office.nodes.slot(index) };
            // SAFETY: as above; it holds attachments.
            while let Some(attachment) = unsafe { node.write(|content| content.detach()) } {
                if let Some((_, table)) = self.table {
                    table.entries.give_back(attachment.slot);
                }
            }
            // SAFETY: as above.
            self.more = unsafe { node.read(|content| content.next) };
            office.nodes.give_back(index);
        }
        if self.handles > 0
            && let Lowered::Stale = self.route.share.lower(generation, self.handles)
            && !twin::is(Twin::ShareLeftCharged)
            && let Some((_, table)) = self.table
        {
            table.uncharge(self.handles); // The mailbox closed, and left it to its table.
        }
        self.leave_table();
        if self.bytes > 0
            && let Some(channel) = self.channel
        {
            channel.bytes.lower(self.life, self.bytes);
        }
        if self.has_room && self.route.credit.lower(generation, 1) {
            office.room_made(self.target.route);
        }
    }
}
