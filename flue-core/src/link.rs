//! Links: which groups die together.
//!
//! A link is one record, in the index under its pair of groups, and in the
//! roster of each. Its life (one word) is ended by exactly one thread: a killer
//! of either group, an `unlink`, the end of either group, or a `link` that found
//! another one in its place (rule L4). Who ended it takes it apart.
//!
//! # States
//! | state     | life | in the rosters | in the index | who may act                 |
//! |-----------|------|----------------|--------------|-----------------------------|
//! | Vacant    | even | no             | no           | who holds the slot's claim  |
//! | Tied      | odd  | yes            | soon, or yes | who finds it: by ending it  |
//! | Cut       | even | until removed  | until settled | who cut it                 |
//!
//! It is tied before it is listed, so a link that `link` has returned for is
//! found by every killer, and before that a killer may find it too: then the
//! link was made before the kill. It is listed only if both groups are seen alive
//! while it is tied: what `unlink` finds has been a link. `holds` counts who still
//! needs the record; the last to let go gives it back.
//!
//! # Ordering
//! 1. A link is tied, a fence, then both groups are looked at; a killer ends the
//!    group's life, a fence, then walks the roster: one sees the other (rule L2).
//!
//! # Progress
//! Lock-free.

use crate::arena::{Exhausted, Slot};
use crate::cap::granted::{Granted, Link as MayLink};
use crate::error::TableError;
use crate::index::{Family, LinkCell, mix};
use crate::life::{Address, AddressCell, Ended, Generation, Life};
use crate::office::Office;
use crate::panics::Panics;
use crate::reclaim::Pin;
use crate::roster::Roster;
use crate::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Relaxed, SeqCst},
    fence,
};
use crate::sync::const_fn;
use crate::twin::{self, Twin};

/// One link.
pub(crate) struct Link {
    life: Life,
    holds: AtomicU32,
    pub(crate) index_link: LinkCell,
    ends: [AddressCell; 2],
    /// Where it stands in each end's roster.
    positions: [AtomicU32; 2],
    /// Which end asked for it.
    asker: AtomicU32,
}

impl Link {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self {
                life: Life::vacant(0),
                holds: AtomicU32::new(0),
                index_link: LinkCell::new(),
                ends: [AddressCell::nowhere(), AddressCell::nowhere()],
                positions: [AtomicU32::new(0), AtomicU32::new(0)],
                asker: AtomicU32::new(0),
            }
        }
    }

    /// The pair of a tied link, and its generation.
    fn pair(&self) -> Option<(Pair, Generation)> {
        let generation = self.life.living()?;
        let pair = Pair { ends: [self.ends[0].load(), self.ends[1].load()] };
        self.life.is(generation).then_some((pair, generation))
    }
}

impl Slot for Link {
    const NAMES: usize = crate::index::MOST_RECORDS;

    fn vacant() -> Self {
        Self::new()
    }

    fn floor(&self) -> u32 {
        self.life.count()
    }

    fn raise(&self, floor: u32) {
        self.life.raise(floor);
    }
}

/// Two different groups, in the order of their slots.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    ends: [Address; 2],
}

impl Pair {
    fn of(a: Address, b: Address) -> Self {
        let ends = if (a.index, a.generation) <= (b.index, b.generation) { [a, b] } else { [b, a] };
        Self { ends }
    }

    /// The other end, if `group` is one.
    fn other(self, group: Address) -> Option<Address> {
        match self.ends {
            [a, b] if a == group => Some(b),
            [a, b] if b == group => Some(a),
            _ => None,
        }
    }
}

/// The office's links, as their index sees them.
struct Links<'o> {
    office: &'o Office,
    pin: &'o Pin,
}

impl Family for Links<'_> {
    type Record = Link;
    type Key = Pair;

    fn record(&self, index: u32) -> Option<&Link> {
        self.office.links.peek(self.pin, index)
    }

    fn link(link: &Link) -> &LinkCell {
        &link.index_link
    }

    fn key(&self, link: &Link) -> Option<Pair> {
        link.pair().map(|(pair, _)| pair)
    }

    fn hash(&self, key: Pair) -> u32 {
        let [a, b] = key.ends;
        mix(self.office.seed(), &[a.index, a.generation, b.index, b.generation])
    }

    fn unlinked(&self, index: u32) {
        if let Some(link) = self.record(index) {
            self.office.let_go_of_link(index, link);
        }
    }
}

/// The two rosters a link is in: what takes it apart.
const TAKING_APART: u32 = 1;
const LISTED: u32 = 1;

impl Office {
    /// Lets go of the record; the last to do so gives it back.
    fn let_go_of_link(&self, index: u32, link: &Link) {
        // AcqRel: what each did with it is before the slot is given back.
        if link.holds.fetch_sub(1, AcqRel) == 1 && !link.life.is_spent() {
            self.links.give_back(index);
        }
    }

    /// Takes a link out of the rosters, having cut it.
    fn take_apart(&self, pin: &Pin, index: u32, link: &Link, pair: Pair) {
        for (end, position) in pair.ends.iter().zip(&link.positions) {
            if let Some(position) = position.load(Relaxed).checked_sub(1)
                && let Some(group) = self.group(*end)
            {
                group.link_roster.remove(position);
            }
        }
        self.let_go_of_link(index, link);
        self.link_index.settle(&Links { office: self, pin }, pair);
    }

    /// Gives back what the asker was charged, if its group is still there.
    fn repay_link(&self, asker: Address) {
        if let Some(group) = self.acquire(asker) {
            group.links.repay();
            self.release(asker.index);
        }
    }

    /// Cuts and takes apart every link of `group` that it finds tied, and tells
    /// of each other end.
    pub(crate) fn cut_links(&self, pin: &Pin, group: Address, mut cut: impl FnMut(Address)) {
        let Some(slot) = self.group(group) else { return };
        let mut visit = |index: u32, link: &Link| {
            let Some((pair, generation)) = link.pair() else { return };
            let Some(other) = pair.other(group) else { return };
            let asker = pair.ends[link.asker.load(Relaxed) as usize % 2];
            if link.life.end(generation) == Ended::Now {
                self.take_apart(pin, index, link, pair);
                if asker == group {
                    slot.links.repay();
                } else {
                    self.repay_link(asker);
                }
                cut(other);
            }
        };
        if self.is_fixed() {
            return self.links.visit(pin, visit);
        }
        slot.link_roster.visit(pin, |index| {
            if let Some(link) = self.links.peek(pin, index) {
                visit(index, link);
            }
        });
    }

    /// Cuts the links of a group that has ended.
    pub(crate) fn dissolve_links(&self, group: Address) {
        fence(SeqCst); // Ordering 1.
        let pin = self.pin();
        self.cut_links(&pin, group, |_| {});
    }

    /// Links the group of a capability with `group`, which asks for it.
    pub(crate) fn link_through(
        &self,
        granted: Granted<MayLink>,
        group: Address,
    ) -> Result<(), TableError> {
        let reference = granted.reference();
        if reference.group != group
            && self.is_living(reference.group)
            && !self.is_open(reference.route, reference.group)
        {
            // Once more: it may have died between the two looks.
            if self.is_living(reference.group) {
                return Err(TableError::Closed);
            }
        }
        self.link(group, reference.group)
    }

    /// Links two groups, of which the first asks for it. If one is dead or gone,
    /// the other is dead when this returns (rule L2).
    pub(crate) fn link(&self, asker: Address, other: Address) -> Result<(), TableError> {
        Panics::after(|panics| self.link_amid(asker, other, panics))
    }

    fn link_amid(
        &self,
        asker: Address,
        other: Address,
        panics: &mut Panics,
    ) -> Result<(), TableError> {
        if asker == other {
            return Ok(());
        }
        let Some(asking) = self.acquire(asker) else {
            self.kill_amid(other, panics);
            return Ok(());
        };
        let result = match self.acquire(other) {
            None => {
                self.kill_amid(asker, panics);
                Ok(())
            }
            Some(_) => {
                let result = self.link_acquired(asker, asking, other, panics);
                self.release(other.index);
                result
            }
        };
        self.release(asker.index);
        result
    }

    /// If one of the two is dead, kills the other and says so.
    fn share_fate(&self, a: Address, b: Address, panics: &mut Panics) -> bool {
        let (a_lives, b_lives) = (self.is_living(a), self.is_living(b));
        if a_lives && b_lives {
            return false;
        }
        self.kill_amid(if a_lives { a } else { b }, panics);
        true
    }

    fn link_acquired(
        &self,
        asker: Address,
        asking: &crate::group::Group,
        other: Address,
        panics: &mut Panics,
    ) -> Result<(), TableError> {
        if self.share_fate(asker, other, panics) {
            return Ok(());
        }
        let pin = self.pin();
        let family = Links { office: self, pin: &pin };
        let pair = Pair::of(asker, other);
        if self.link_index.find(&family, pair).is_some() {
            self.share_fate(asker, other, panics);
            return Ok(());
        }
        if !asking.links.charge(self.limits().links_per_group) {
            return Err(TableError::LimitReached);
        }
        self.tie(&pin, pair, asker, panics).inspect_err(|_| asking.links.repay())
    }

    /// Makes a link, ties it, and lists it unless there is one, or one end is dead.
    fn tie(
        &self,
        pin: &Pin,
        pair: Pair,
        asker: Address,
        panics: &mut Panics,
    ) -> Result<(), TableError> {
        let refused = |refused| match refused {
            Exhausted::Limit => TableError::LimitReached,
            Exhausted::Memory => TableError::OutOfMemory,
        };
        let index = self.links.claim().map_err(refused)?;
        // SAFETY: claimed just now.
        let link = unsafe { self.links.slot(index) };
        for (cell, end) in link.ends.iter().zip(pair.ends) {
            cell.store(end);
        }
        link.asker.store(u32::from(pair.ends[1] == asker), Relaxed); // This too is released ...
        if let Err(full) = self.enroll(link, index, pair) {
            self.links.give_back(index);
            return Err(refused(full));
        }
        link.holds.store(TAKING_APART + LISTED, Relaxed); // ... by the life that begins.
        let is_tied_last = twin::is(Twin::ListedFirst);
        let generation = if is_tied_last { link.life.next() } else { link.life.begin() };
        if !twin::is(Twin::LinkUnfenced) {
            fence(SeqCst); // Ordering 1.
        }
        let [a, b] = pair.ends;
        if !twin::is(Twin::LinkUnchecked) && self.share_fate(a, b, panics) {
            // Its killer found the link, or did not: then we take it apart. It was
            // not listed, so nobody believes that it was there and is removed.
            self.let_go_of_link(index, link);
            self.cut_own(pin, index, link, generation, pair, asker);
            return Ok(());
        }
        self.spread(&self.link_index, self.links.live());
        let family = Links { office: self, pin };
        while let Err(found) = self.link_index.insert(&family, pair, index, || {}) {
            // Another one is there: this one is not needed, unless that one is
            // cut before this one is.
            let other = self.links.peek(pin, found).and_then(Link::pair);
            if other.is_some_and(|(other, _)| other == pair) {
                self.let_go_of_link(index, link); // It was never listed.
                self.cut_own(pin, index, link, generation, pair, asker);
                return Ok(());
            }
        }
        if is_tied_last {
            let _ = link.life.begin();
        }
        let stands = if twin::is(Twin::LinkUnconfirmed) {
            link.life.is(generation)
        } else {
            link.life.confirm(generation)
        };
        if !stands {
            self.link_index.settle(&family, pair); // Who ended it may have looked too early.
        }
        Ok(())
    }

    /// Puts the record into both rosters, or into none.
    fn enroll(&self, link: &Link, index: u32, pair: Pair) -> Result<(), Exhausted> {
        if self.is_fixed() {
            return Ok(());
        }
        let mut rosters = pair.ends.iter().filter_map(|end| Some(&self.group(*end)?.link_roster));
        let (Some(first), Some(second)): (Option<&Roster>, Option<&Roster>) =
            (rosters.next(), rosters.next())
        else {
            return Ok(());
        };
        let at = first.add(index)?;
        match second.add(index) {
            Ok(position) => {
                link.positions[0].store(at + 1, Relaxed);
                link.positions[1].store(position + 1, Relaxed);
                Ok(())
            }
            Err(refused) => {
                first.remove(at);
                Err(refused)
            }
        }
    }

    /// Cuts the link that this call tied, unless another has.
    fn cut_own(
        &self,
        pin: &Pin,
        index: u32,
        link: &Link,
        generation: Generation,
        pair: Pair,
        asker: Address,
    ) {
        if link.pair().is_some_and(|(now, _)| now == pair)
            && link.life.end(generation) == Ended::Now
        {
            self.take_apart(pin, index, link, pair);
            self.repay_link(asker);
        }
    }

    /// Removes the link between the group of a capability and `group`.
    pub(crate) fn unlink_through(&self, granted: Granted<MayLink>, group: Address) -> bool {
        self.unlink(granted.reference().group, group)
    }

    /// Removes the link between two groups. `true`: there was one.
    pub(crate) fn unlink(&self, a: Address, b: Address) -> bool {
        if a == b {
            return false;
        }
        let pin = self.pin();
        let family = Links { office: self, pin: &pin };
        let pair = Pair::of(a, b);
        loop {
            let Some(index) = self.link_index.find(&family, pair) else { return false };
            let Some(link) = family.record(index) else { continue };
            let Some((found, generation)) = link.pair() else { continue };
            if found != pair {
                continue;
            }
            if !self.is_living(a) || !self.is_living(b) {
                // Too late, though it is still tied: the killer is on its way, or has
                // found another record of these two, which a `link` then withdrew.
                return false;
            }
            let asker = pair.ends[link.asker.load(Relaxed) as usize % 2];
            if link.life.end(generation) == Ended::Now {
                self.take_apart(&pin, index, link, pair);
                self.repay_link(asker);
                return true;
            }
        }
    }
}
