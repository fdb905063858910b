//! Supply: where senders take what a message lies in, and where receivers give it back.
//!
//! A message lies in a [`Node`]; where storage grows, bytes that do not fit into that
//! lie in a [`Block`] besides. Both are slots of arenas of the office. A table has a
//! magazine of each at hand, so that a send does not go to the office; a mailbox
//! gives back several at once.
//!
//! # Progress
//! Lock-free, as the arenas and the magazines are.

use super::Mailbox;
#[cfg(feature = "alloc")]
use super::block::Block;
#[cfg(feature = "alloc")]
use super::magazine::Magazine;
use super::magazine::{BATCH, Spare};
use super::node::Node;
use crate::arena::{Arena, Claim, Exhausted, Slot};
#[cfg(feature = "alloc")]
use crate::cap::slot::TableSlot;
use crate::cap::view::View;
use crate::office::Office;

/// Slots that messages are made of.
pub(crate) trait Supply: Slot {
    /// All there are.
    fn of_office(office: &Office) -> &Arena<Self>;

    /// Those that a table has at hand.
    #[cfg(feature = "alloc")]
    fn of_table(table: &TableSlot) -> &Magazine;

    /// Those that a mailbox is going to give back.
    fn of_mailbox(mailbox: &mut Mailbox) -> &mut Spare;
}

impl Supply for Node {
    #[inline(always)]
    fn of_office(office: &Office) -> &Arena<Self> {
        &office.nodes
    }

    #[cfg(feature = "alloc")]
    #[inline(always)]
    fn of_table(table: &TableSlot) -> &Magazine {
        &table.nodes
    }

    #[inline(always)]
    fn of_mailbox(mailbox: &mut Mailbox) -> &mut Spare {
        &mut mailbox.spare_nodes
    }
}

#[cfg(feature = "alloc")]
impl Supply for Block {
    #[inline(always)]
    fn of_office(office: &Office) -> &Arena<Self> {
        &office.blocks
    }

    #[inline(always)]
    fn of_table(table: &TableSlot) -> &Magazine {
        &table.blocks
    }

    #[inline(always)]
    fn of_mailbox(mailbox: &mut Mailbox) -> &mut Spare {
        &mut mailbox.spare_blocks
    }
}

impl Office {
    /// Takes one.
    #[inline(always)]
    pub(super) fn take<S: Supply>(&self, sender: Option<View<'_>>) -> Result<u32, Exhausted> {
        #[cfg(feature = "alloc")]
        if let Some(view) = sender {
            return match S::of_table(view.slot()).take() {
                Some(index) => Ok(index),
                None => self.restock::<S>(view),
            };
        }
        let _ = sender;
        S::of_office(self).claim()
    }

    /// Fetches some for a table's empty magazine, and one to use now.
    #[cfg(feature = "alloc")]
    #[cold]
    #[inline(never)]
    fn restock<S: Supply>(&self, view: View<'_>) -> Result<u32, Exhausted> {
        let all = S::of_office(self);
        let is_scarce = self.is_thrifty() || all.is_scarce();
        let want = if is_scarce { 1 } else { S::of_table(view.slot()).appetite() };
        let mut some = all.claim_some(want)?;
        let first = some.next().ok_or(Exhausted::Limit)?;
        if some.mask() != 0 {
            self.hand_on::<S>(view, some);
        }
        Ok(first)
    }

    /// Gives some back: to a table's magazine, if that is empty or has others of
    /// the same segment, and others do not miss them.
    fn hand_on<S: Supply>(&self, view: View<'_>, some: Claim) {
        let all = S::of_office(self);
        #[cfg(feature = "alloc")]
        if !self.is_thrifty() && !all.is_scarce() && S::of_table(view.slot()).fill(some) {
            return;
        }
        let _ = view;
        all.give_back_claim(some);
    }

    /// Gives one back that was not used.
    #[cold]
    #[inline(never)]
    pub(super) fn put_back<S: Supply>(&self, sender: Option<View<'_>>, index: u32) {
        match sender {
            Some(view) => {
                let mut one = Claim::none();
                let _ = one.try_add(index);
                self.hand_on::<S>(view, one);
            }
            None => S::of_office(self).give_back(index),
        }
    }

    /// Gives back what a table has at hand.
    #[cfg(feature = "alloc")]
    pub(crate) fn empty_magazines(&self, table: &TableSlot) {
        self.nodes.give_back_all(core::iter::from_fn(|| table.nodes.take()));
        self.blocks.give_back_all(core::iter::from_fn(|| table.blocks.take()));
    }
}

impl Mailbox {
    /// Keeps one to be given back with others, where there may be others.
    #[inline(always)]
    pub(super) fn keep<S: Supply>(&mut self, index: u32) {
        if BATCH == 1 {
            return S::of_office(self.post_office()).give_back(index);
        }
        if let Some(some) = S::of_mailbox(self).keep(index) {
            self.post_office().hand_on::<S>(self.table.view(), some);
        }
    }

    /// Hands on all that is kept.
    #[cold]
    #[inline(never)]
    pub(super) fn flush_spare(&mut self) {
        if BATCH == 1 {
            return; // Nothing is kept.
        }
        self.flush::<Node>();
        #[cfg(feature = "alloc")]
        self.flush::<Block>();
    }

    fn flush<S: Supply>(&mut self) {
        while let Some(some) = S::of_mailbox(self).take() {
            self.post_office().hand_on::<S>(self.table.view(), some);
        }
    }

    /// Gives what is kept back to all, where others miss it.
    #[inline(always)]
    pub(super) fn share_spare(&mut self) {
        self.share::<Node>();
        #[cfg(feature = "alloc")]
        self.share::<Block>();
    }

    #[inline(always)]
    fn share<S: Supply>(&mut self) {
        if !S::of_mailbox(self).is_empty() && S::of_office(self.post_office()).is_scarce() {
            self.return_spare::<S>();
        }
    }

    #[cold]
    #[inline(never)]
    fn return_spare<S: Supply>(&mut self) {
        while let Some(some) = S::of_mailbox(self).take() {
            S::of_office(self.post_office()).give_back_claim(some);
        }
    }
}
