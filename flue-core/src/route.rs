//! Route slots: all the foreign memory that a send touches.
//!
//! A route slot is one cache line, and stays where it is as long as its office,
//! so it is reached without a pin. What else a mailbox shares is in its
//! channel.
//!
//! # Who may read and write the fields
//! | field     | while open                      | while vacant             |
//! |-----------|---------------------------------|--------------------------|
//! | `life`    | anybody; ended by the mailbox   | begun by the claimant    |
//! | `channel` | anybody, then checks `life`     | the claimant             |
//! | `head`    | anybody, by its own steps       | nobody; kept, for its version |
//! | `credit`, `share` | anybody, for one generation | the claimant        |
//! | `bound`   | read by anybody, written by the mailbox | the claimant     |
//! | `wake`    | anybody, by its own steps       | callers that are still inside |
//!
//! # Progress
//! Lock-free; each word by itself.

use crate::arena::Slot;
use crate::bits::{Field, WORD};
use crate::life::{Generation, Life};
use crate::mailbox::head::Head;
use crate::mailbox::wake::WakeSlot;
use crate::sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::sync::const_fn;
use crate::twin::{self, Twin};

/// One route of the office.
#[repr(C)]
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub(crate) struct Route {
    pub(crate) life: Life,
    /// Index of the channel.
    pub(crate) channel: AtomicU32,
    pub(crate) head: Head,
    /// Messages accepted so far.
    pub(crate) credit: Credit,
    /// Attached capabilities waiting, or received and charged.
    pub(crate) share: Share,
    /// The count of accepted messages up to which there surely is room.
    pub(crate) bound: AtomicU32,
    pub(crate) wake: WakeSlot,
}

const _: () = assert!(crate::sync::MODEL || size_of::<Route>() <= 64);

impl Route {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self {
                life: Life::vacant(0),
                channel: AtomicU32::new(NO_CHANNEL),
                head: Head::new(),
                credit: Credit::new(),
                share: Share::new(),
                bound: AtomicU32::new(0),
                wake: WakeSlot::new(),
            }
        }
    }
}

impl Route {
    /// Whether the counts of `generation` may be stepped: where a word has no room for all of a
    /// generation they know it only for the time of an operation (rule O6), which begins here.
    #[inline(always)]
    pub(crate) fn counts(&self, generation: Generation) -> bool {
        VERSION.max() >= Generation::MAX as usize || self.life.is(generation)
    }
}

impl Slot for Route {
    const NEAR: usize = if crate::sync::MODEL { 1 } else { 4 };

    fn vacant() -> Self {
        Self::new()
    }
}

const COUNT: Field = Field::lowest(WORD / 2);
const VERSION: Field = Field::rest(COUNT);

/// No channel's index: of a route that nobody uses.
pub(crate) const NO_CHANNEL: u32 = u32::MAX;

/// The most that a credit counts at one time.
pub(crate) const MOST_CREDIT: u32 = (COUNT.max() / 2) as u32;

/// A count that belongs to one generation of a route: [version | count].
///
/// A step carries the generation it is meant for, or as much of it as there is room for
/// (`Route::counts`), so who was stopped between looking and stepping charges nobody else.
pub(crate) struct Credit(AtomicUsize);

/// Why a count could not be raised.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoCredit {
    /// It is another generation's.
    Stale,
    /// There is no room; what was counted then.
    Used(u32),
}

impl Credit {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    /// Starts counting at 0 for `generation`. The caller holds the slot's claim.
    pub(crate) fn open(&self, generation: Generation) {
        // A step, as late senders' are. Partner: `count`.
        self.0.swap(VERSION.set(0, generation as usize), Release);
    }

    /// Whether it counts for `generation`: the last one, until another mailbox is made.
    pub(crate) fn is_of(&self, generation: Generation) -> bool {
        VERSION.get(self.0.load(Relaxed)) == generation as usize & VERSION.max()
    }

    /// Raises the count by `by` if `fits` says so of the count before.
    #[inline]
    pub(crate) fn raise(
        &self,
        generation: Generation,
        by: u32,
        fits: impl Fn(u32) -> bool,
    ) -> Result<(), NoCredit> {
        let mut seen = self.0.load(Relaxed);
        loop {
            let stale = VERSION.get(seen) != generation as usize & VERSION.max();
            if stale && !twin::is(Twin::CreditUnversioned) {
                return Err(NoCredit::Stale);
            }
            let used = COUNT.get(seen) as u32;
            if !fits(used) {
                return Err(NoCredit::Used(used));
            }
            let next = COUNT.set(seen, COUNT.get(seen).wrapping_add(by as usize));
            if twin::is(Twin::CreditInTwoSteps) {
                self.0.store(next, Release);
                return Ok(());
            }
            match self.0.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => seen = now,
            }
        }
    }

    /// Counts one more, if it is not `most` ahead of what `received` says.
    pub(crate) fn raise_ahead(
        &self,
        generation: Generation,
        most: u32,
        received: impl Fn() -> u32,
    ) -> Result<(), NoCredit> {
        self.raise(generation, 1, |used| has_room_ahead(used, received(), most))
    }

    /// Lowers the count by `by`. `false`: it is another generation's.
    pub(crate) fn lower(&self, generation: Generation, by: u32) -> bool {
        let mut seen = self.0.load(Relaxed);
        loop {
            if VERSION.get(seen) != generation as usize & VERSION.max() {
                return false;
            }
            let next = COUNT.set(seen, COUNT.get(seen).wrapping_sub(by as usize));
            match self.0.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }

    /// The count now.
    pub(crate) fn count(&self) -> u32 {
        COUNT.get(self.0.load(Acquire)) as u32
    }
}

const HELD: Field = Field::lowest(WORD / 2 - 1);
const WAITING: Field = Field::above(HELD, 1);

const _: () = assert!(VERSION.one() == Field::rest(WAITING).one());

/// The most capabilities that a mailbox's share may be.
pub(crate) const MOST_SHARE: u32 = HELD.max() as u32;

/// What a mailbox's share of its table is used for: [version | waiting | count].
///
/// As a [`Credit`]; besides, a flag that says a sender waits for some of it.
pub(crate) struct Share(AtomicUsize);

/// What giving back a part of a share was.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lowered {
    /// The generation is over: its share is its table's now.
    Stale,
    Done,
    /// Done, and a sender waits for it.
    Awaited,
}

impl Share {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    /// Starts counting at 0 for `generation`. The caller holds the slot's claim.
    pub(crate) fn open(&self, generation: Generation) {
        // A step, as late senders' are; released by the life that begins.
        self.0.swap(VERSION.set(0, generation as usize), Relaxed);
    }

    fn step(
        &self,
        generation: Generation,
        step: impl Fn(usize) -> Option<usize>,
    ) -> Result<usize, NoCredit> {
        let mut seen = self.0.load(Relaxed);
        loop {
            let stale = VERSION.get(seen) != generation as usize & VERSION.max();
            if stale && !twin::is(Twin::ShareUnversioned) {
                return Err(NoCredit::Stale);
            }
            let Some(next) = step(seen) else {
                return Err(NoCredit::Used(HELD.get(seen) as u32));
            };
            match self.0.compare_exchange_weak(seen, next, AcqRel, Relaxed) {
                Ok(_) => return Ok(seen),
                Err(now) => seen = now,
            }
        }
    }

    /// Raises the count by `by`, up to `limit`.
    pub(crate) fn raise(
        &self,
        generation: Generation,
        by: u32,
        limit: u32,
    ) -> Result<(), NoCredit> {
        let raised = |seen| {
            let count = HELD.get(seen) + by as usize;
            (count <= limit as usize).then(|| HELD.set(seen, count))
        };
        self.step(generation, raised).map(drop)
    }

    /// What is left of `limit` now.
    pub(crate) fn left(&self, limit: u32) -> u32 {
        limit.saturating_sub(HELD.get(self.0.load(Relaxed)) as u32)
    }

    /// Lowers the count by `by`.
    pub(crate) fn lower(&self, generation: Generation, by: u32) -> Lowered {
        let lowered = |seen| Some(HELD.set(seen, HELD.get(seen).wrapping_sub(by as usize)));
        match self.step(generation, lowered) {
            Err(_) => Lowered::Stale,
            Ok(seen) if WAITING.get(seen) == 1 => Lowered::Awaited,
            Ok(_) => Lowered::Done,
        }
    }

    /// Says whether senders wait.
    pub(crate) fn await_it(&self, generation: Generation, waiting: bool) {
        // A generation that is over has no senders to wake.
        let _ = self.step(generation, |seen| Some(WAITING.set(seen, usize::from(waiting))));
    }

    /// Ends the generation's count, and returns what it was: its table's from now on.
    pub(crate) fn close(&self, generation: Generation) -> u32 {
        let closed = VERSION.set(0, generation as usize + 1);
        HELD.get(self.0.swap(closed, Relaxed)) as u32 // A number alone.
    }
}

/// How far `to` is ahead of `from` on a count that wraps in a credit's width.
#[inline(always)]
pub(crate) fn ahead(to: u32, from: u32) -> u32 {
    to.wrapping_sub(from) & COUNT.max() as u32
}

/// Whether fewer than `most` wait, if `used` were counted and after that `received`.
pub(crate) fn has_room_ahead(used: u32, received: u32, most: u32) -> bool {
    let waiting = ahead(used, received);
    // More received than used? Some came and went since that was read: so a step that is
    // built on it fails, and it is read again.
    waiting < most || (waiting > MOST_CREDIT && !twin::is(Twin::FullOfNothing))
}

/// Whether the wrapping count `used` has not reached `bound`.
#[inline(always)]
pub(crate) fn is_below(used: u32, bound: u32) -> bool {
    let distance = ahead(bound, used);
    distance != 0 && distance <= MOST_CREDIT
}

/// For owners that publish how far a count may go.
pub(crate) fn publish(bound: &AtomicU32, to: u32) {
    bound.store(to & COUNT.max() as u32, Relaxed); // Only a hint; see `Channel`.
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn bounds_wrap() {
        let most = COUNT.max() as u32;
        assert!(is_below(0, 1) && !is_below(1, 1) && !is_below(2, 1));
        assert!(is_below(most, 0) && !is_below(0, most));
        assert_eq!(ahead(1, most), 2);
    }

    /// Among `most` that wait there is room for those who were received meanwhile.
    #[test]
    fn room_is_counted_across_the_wrap() {
        let most = COUNT.max() as u32;
        assert!(has_room_ahead(4, 4, 1) && has_room_ahead(4, 3, 2) && !has_room_ahead(4, 3, 1));
        assert!(has_room_ahead(1, most, 3) && !has_room_ahead(1, most, 2));
        assert!(has_room_ahead(3, 4, 1), "more were received than this one has seen used");
        assert!(!has_room_ahead(MOST_CREDIT, 0, MOST_CREDIT));
        let bound = AtomicU32::new(0);
        publish(&bound, most);
        assert_eq!(bound.load(Relaxed), most);
        publish(&bound, most.wrapping_add(1));
        assert_eq!(bound.load(Relaxed), most.wrapping_add(1) & most);
    }

    /// Rule O6, and who waits for a share is seen by who gives some of it back, and by no other.
    #[test]
    fn a_share_knows_who_waits_and_whose_it_is() {
        let share = Share::new();
        share.open(1);
        assert_eq!(share.raise(1, 2, 3), Ok(()));
        assert_eq!(share.raise(1, 2, 3), Err(NoCredit::Used(2)));
        assert_eq!((share.left(3), share.left(1)), (1, 0));
        assert_eq!(share.lower(1, 1), Lowered::Done);
        share.await_it(1, true);
        assert_eq!(share.raise(1, 1, 3), Ok(()));
        assert_eq!(share.lower(1, 1), Lowered::Awaited);
        share.await_it(1, false);
        assert_eq!(share.raise(1, 1, 3), Ok(()));
        assert_eq!(share.lower(1, 1), Lowered::Done);
        assert_eq!(share.close(1), 1);
        assert_eq!(share.raise(1, 1, 3), Err(NoCredit::Stale));
        assert_eq!(share.lower(1, 1), Lowered::Stale);
    }

    /// Rule S3, and a sender that slept through a whole life of the route.
    #[test]
    fn a_stale_sender_charges_nobody() {
        let credit = Credit::new();
        credit.open(1);
        assert_eq!(credit.raise(1, 1, |used| used < 1), Ok(()));
        assert_eq!(credit.raise(1, 1, |used| used < 1), Err(NoCredit::Used(1)));
        assert!(credit.is_of(1) && !credit.is_of(3));
        credit.open(3);
        assert!(credit.is_of(3) && !credit.is_of(1));
        assert_eq!(credit.raise(1, 1, |_| true), Err(NoCredit::Stale));
        assert!(!credit.lower(1, 1));
        assert_eq!(credit.count(), 0);
    }
}
