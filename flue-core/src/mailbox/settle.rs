//! What a guard has, and what becomes of it: the capabilities that came with a
//! message are put into the table for it, and when it is gone they, the payload
//! and the node go back.
//!
//! # Progress
//! Lock-free: steps of the table, and of the arena that a node goes back to.

use super::Mailbox;
#[cfg(feature = "alloc")]
use super::block::Block;
use super::head::{Element, What};
use super::node::{Attachment, Content, Holds, Node};
use crate::cap::Reference;
use crate::cap::entry::By;
use crate::cap::handle::Handle;
use crate::cap::view::Admitted;
use crate::panics::Panics;
use crate::payload::Owned;
use crate::route::Lowered;
use crate::twin::{self, Twin};
use core::ptr::NonNull;

/// Of the capabilities that came, how many may be found again without a search.
const RECENT: usize = if cfg!(feature = "alloc") { 8 } else { 1 };

/// Indices of table entries that hold, or held, the capabilities that came last: those who
/// talk send the same ones again and again.
pub(super) struct Recent([u32; RECENT]);

impl Recent {
    pub(super) const fn new() -> Self {
        Self([0; RECENT])
    }

    /// The place for what is known of a capability.
    fn place(&mut self, reference: Reference) -> &mut u32 {
        let at = reference.route.index ^ reference.permissions.bits();
        let places = self.0.len();
        &mut self.0[at as usize % places]
    }
}

impl Mailbox {
    /// Puts the attached capabilities into the table, for the guard: from the
    /// last back to the first, as they are chained. The message is still in the queue, and
    /// what is imported is kept, so a waker that panics does no harm (rule R4).
    #[inline(never)]
    pub(super) fn import(&mut self, element: Element, message: NonNull<Node>) {
        self.counted = element;
        Panics::after(|panics| {
            while let Some(attachment) = self.last_attachment(message) {
                let handle = self.admit(attachment, panics);
                let _ = self.handles.push(handle); // As many as a message may carry.
            }
        });
        self.counted = Element::NONE;
        self.handles.reverse();
    }

    /// Gives back what the attachments of a message had reserved.
    pub(super) fn detach_all(&mut self, message: NonNull<Node>) {
        while let Some(attachment) = self.last_attachment(message) {
            self.table.view().return_slot(attachment.slot);
            let (Lowered::Stale | Lowered::Done | Lowered::Awaited) =
                self.route().share.lower(self.address.generation, 1);
        }
    }

    /// Takes the last of a message's attachments out of it.
    pub(super) fn last_attachment(&mut self, message: NonNull<Node>) -> Option<Attachment> {
        // SAFETY: the caller's message, lent or being destroyed.
        let message = unsafe { message.as_ref() };
        loop {
            // SAFETY: as above.
            let index = unsafe { message.read(|content| content.more) }.as_message()?;
            // SAFETY: a node of the message is as the message.
            let node = unsafe { self.post_office().nodes.slot(index) };
            // SAFETY: as above; it holds attachments.
            let last = unsafe { node.write(|content| content.detach()) };
            if last.is_some() {
                return last;
            }
            // SAFETY: as above.
            unsafe {
                let next = node.read(|content| content.next);
                message.write(|content| content.more = next);
            }
            self.keep::<Node>(index);
        }
    }

    fn admit(&mut self, attachment: Attachment, panics: &mut Panics) -> Handle {
        let (view, payer) = (self.table.view(), self.address);
        let Attachment { slot, reference } = attachment;
        let recent = self.recent.place(reference);
        let admitted = match view.raise_at(*recent, reference, By::Guard) {
            Some(handle) => Admitted::Present(handle),
            None => view.admit(slot, reference, payer, By::Guard, panics),
        };
        let (Admitted::New(handle) | Admitted::Present(handle)) = admitted;
        *recent = handle.index();
        if let Admitted::Present(_) = admitted {
            view.give_back(slot, payer, panics);
        }
        handle
    }

    /// Ends what a guard had: its handles, the message, its node.
    #[inline(always)]
    pub(crate) fn settle_lent(&mut self) {
        if self.has_lent {
            self.settle();
        }
    }

    #[inline(never)]
    pub(super) fn settle(&mut self) {
        if !self.handles.is_empty() {
            self.release_lent();
        }
        self.has_lent = false; // Before the payload's drop, which is user code.
        if let Some((element, node)) = self.lent.take() {
            self.settle_message(element, node);
        }
    }

    #[inline]
    pub(super) fn settle_message(&mut self, element: Element, node: NonNull<Node>) {
        #[cfg(feature = "alloc")]
        self.keep_block(node);
        // SAFETY: lent, and its guard is gone.
        if unsafe { node.as_ref().read(|content| content.holds == Holds::Inline) } {
            if element != self.marker || twin::is(Twin::MarkerFreed) {
                self.free(element);
            }
            if twin::is(Twin::MarkerFreed) {
                self.flush_spare();
            }
        } else {
            self.settle_owned(element, node);
        }
    }

    /// Keeps a message's block, if it has one.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(super) fn keep_block(&mut self, message: NonNull<Node>) {
        // SAFETY: lent and its guard is gone, or being destroyed.
        if let Some(block) = unsafe { message.as_ref().write(Content::take_block) } {
            self.keep::<Block>(block);
        }
    }

    #[inline(never)]
    pub(super) fn settle_owned(&mut self, element: Element, node: NonNull<Node>) {
        // SAFETY: lent, and its guard is gone.
        let owned = unsafe { node.as_ref().write(Content::take_owned) };
        if element != self.marker {
            self.free(element);
        }
        drop(owned); // User code: the state is whole.
    }

    #[cold]
    #[inline(never)]
    pub(super) fn release_lent(&mut self) {
        Panics::after(|panics| {
            while let Some(handle) = self.handles.pop() {
                self.table.view().lower_amid(handle, By::Guard, panics);
            }
        });
    }

    /// Takes the owned bytes of the lent message out of it.
    pub(crate) fn take_lent(&mut self) -> Option<Owned> {
        let (_, node) = self.lent?;
        // SAFETY: lent to the guard that asks.
        unsafe { node.as_ref().write(Content::take_owned) }
    }

    /// Destroys a message that was not received.
    pub(super) fn destroy(&mut self, index: u32, panics: &mut Panics) {
        // SAFETY: drained, so Queued and ours.
        let message = unsafe { NonNull::from(self.post_office().nodes.slot(index)) };
        self.detach_all(message);
        #[cfg(feature = "alloc")]
        if !twin::is(Twin::BlockLeft) {
            self.keep_block(message);
        }
        // SAFETY: as above.
        let owned = unsafe { message.as_ref().write(Content::take_owned) };
        panics.run(|| drop(owned)); // User code: this message is out of the list.
    }

    /// Frees an element that was received or destroyed, and is no marker any more.
    #[inline(always)]
    pub(super) fn free(&mut self, element: Element) {
        match element.as_message() {
            Some(index) => self.keep::<Node>(index),
            None => self.free_down(element),
        }
    }

    #[inline(never)]
    pub(super) fn free_down(&mut self, element: Element) {
        if let Some(What::Down(down)) = element.what() {
            self.unqueue_down(down);
        }
    }
}
