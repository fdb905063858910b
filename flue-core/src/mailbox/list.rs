//! The owner's list: what was taken off the head, in order.
//!
//! ```text
//!            marker                 newest
//!  head ───────────────────────────►[5]─►[4]─►[3]─►(marker)      as it was pushed
//!  pending ─►[3]─►[4]─►[5]                                       turned round
//! ```
//! The marker is kept until the next batch was taken, for the head still names
//! it; then it is freed. While the mailbox sleeps there is no marker.
//!
//! A down that is removed when it is queued stays where it is until its turn comes, or
//! until there are so many of them that looking for all of them costs little for each.

use super::Mailbox;
use super::head::{Element, Queued, What};
use crate::panics::Panics;
use crate::twin::{self, Twin};
use core::ptr::NonNull;

impl Mailbox {
    /// Takes what was pushed since the last batch. `false`: nothing was. `is_polled`: the
    /// owner's task asks, and has registered itself.
    #[inline]
    pub(super) fn fetch(&mut self, is_polled: bool) -> bool {
        let seen = self.route().head.look();
        if seen.newest() == self.marker {
            return false;
        }
        let seen = if self.asleep { self.rouse(is_polled) } else { seen.newest() };
        self.take_batch(seen);
        true
    }

    /// Wakes the head up: what comes from then on wakes nobody. So if the owner's task waits, and
    /// who pushed what is here has not called it yet, and may have stopped, we do (rule R4).
    #[cold]
    fn rouse(&mut self, is_polled: bool) -> Element {
        let is_told = is_polled || self.route().wake.is_notified();
        if !is_told && !twin::is(Twin::RousedUntold) {
            Panics::after(|panics| self.post_office().wake_receiver(self.address(), panics));
        }
        self.asleep = false;
        self.route().head.rouse().newest()
    }

    /// Turns the list from `newest` back to the marker round, behind what is
    /// pending already.
    #[inline]
    pub(super) fn take_batch(&mut self, newest: Element) {
        let (mut element, mut after) = (newest, Element::NONE);
        let mut front = None;
        while !element.is_none() && element != self.marker {
            let before = if let Some(What::Message(index)) = element.what() {
                // SAFETY: in our queue, so its claim is ours, and Queued.
                let node = unsafe { self.post_office().nodes.slot(index) };
                front = Some(NonNull::from(node));
                // SAFETY: as above.
                unsafe { node.write(|content| core::mem::replace(&mut content.next, after)) }
            } else {
                front = None;
                self.turn(element, after)
            };
            after = element;
            element = before;
        }
        if after.is_none() {
            return;
        }
        let old = core::mem::replace(&mut self.marker, newest);
        if self.pending.is_none() {
            self.pending = after;
            self.front = front;
        } else {
            self.turn(old, after); // The newest of what is pending.
        }
        // Received before this batch; a guard that was forgotten may have it yet.
        if self.pending == after && self.lent.is_none_or(|(lent, _)| lent != old) {
            self.free(old);
        }
    }

    /// Counts a removed down that is in the queue, or will be; they are taken out of it when
    /// they are as many as what was left the last time, and a few. Where storage is fixed
    /// each record is missed: at once.
    pub(crate) fn count_removed(&mut self) {
        const FEW: u32 = if crate::sync::MODEL { 0 } else { 8 };
        self.removed = self.removed.saturating_add(1);
        if self.removed <= self.left.saturating_add(FEW) && !self.post_office().is_fixed() {
            return;
        }
        self.left = self.take_removed();
        self.removed = 0;
    }

    /// Takes removed downs out of the queue. Returns how many elements are left.
    fn take_removed(&mut self) -> u32 {
        let _ = self.fetch(false);
        let (mut before, mut left) = (Element::NONE, 0u32);
        let mut element = self.pending;
        while !element.is_none() {
            let after = self.next_of(element);
            // The marker stays the last one.
            if self.is_current(element) || element == self.marker {
                before = element;
                left = left.saturating_add(1);
            } else {
                if before.is_none() {
                    self.pending = after;
                    self.front = None;
                } else {
                    let _ = self.turn(before, after);
                }
                self.free(element);
            }
            element = after;
        }
        left
    }

    /// The element after (or, as it was pushed, before) this one.
    #[inline]
    pub(super) fn next_of(&self, element: Element) -> Element {
        match element.what() {
            // SAFETY: in our queue, so its claim is ours, and Queued.
            Some(What::Message(index)) => unsafe {
                self.post_office().nodes.slot(index).read(|content| content.next)
            },
            // SAFETY: as above.
            Some(What::Down(Queued { record, again })) => unsafe {
                self.post_office().monitors.slot(record).next(again)
            },
            None => Element::NONE,
        }
    }

    /// Makes `to` the element after this one, and returns what was.
    #[inline]
    fn turn(&self, element: Element, to: Element) -> Element {
        match element.what() {
            // SAFETY: in our queue, so its claim is ours, and Queued.
            Some(What::Message(index)) => unsafe {
                let node = self.post_office().nodes.slot(index);
                node.write(|content| core::mem::replace(&mut content.next, to))
            },
            Some(What::Down(Queued { record, again })) => {
                // SAFETY: as above.
                let monitor = unsafe { self.post_office().monitors.slot(record) };
                // SAFETY: as above.
                let before = unsafe { monitor.next(again) };
                // SAFETY: as above.
                unsafe { monitor.set_next(again, to) };
                before
            }
            None => Element::NONE,
        }
    }
}
