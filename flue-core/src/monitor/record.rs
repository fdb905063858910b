//! One monitor: its word and its fields.
//!
//! # The word
//! ```text
//!  most significant                                      least significant
//! ┌───────────┬────────┬────────┬───────┬────────┬──────┬────────┬───────┐
//! │  version  │ reason │ listed │ again │ queued │ held │ closer │ stage │
//! └───────────┴────────┴────────┴───────┴────────┴──────┴────────┴───────┘
//! ```
//!
//! # States
//! | stage  | what is so                                   | may be freed |
//! |--------|----------------------------------------------|--------------|
//! | Vacant | nobody's                                     |              |
//! | Armed  | the route is watched                         | no           |
//! | Fired  | one thread's step; the down is, or will be, queued | no     |
//! | Over   | received, removed, or its observer is gone   | when no hold is left |
//!
//! Holds: *held* by whoever fired it, until the wake-ups are done; *queued* by
//! the observer's queue, and *again* if it is there twice; *listed* by the index.
//! Whose step lets go of the last one, with the stage Over, frees the record. A
//! killer does not find a route again whose closer is done meanwhile, so that one lets
//! go for it; and a killer that sees it closed when the downs are queued remembers
//! it and wakes, because the closer may have looked before (`Waking`).
//!
//! # Twice in a queue
//! The owner of a dying group's mailbox, who closes it, may have fired a monitor and not
//! pushed it yet when the killer comes there, who has to return with the down queued (rule
//! K3) and cannot know. So the killer pushes the record as an element of its own, with a
//! `next` of its own: what is first is received, and the other is then of a monitor that is
//! over. The observer's owner does so who arms the monitor when the killer has passed it.
//!
//! # Transitions
//! | step   | from           | to             | by                  | owes           |
//! |--------|----------------|----------------|---------------------|----------------|
//! | arm    | Vacant         | Armed, listed; Fired if the route is over | the observer's owner | as fire |
//! | fire   | Armed          | Fired, held, queued | a killer, the closing owner, the arming owner | the push, then letting go |
//! | fire again | Fired by a closer | again; a killer's is the hold, too | the killer, or the arming owner | as fire |
//! | end    | Armed, Fired   | Over           | the observer's owner | settling the index |
//! | let go | any hold       | one fewer      | who has it, or the closer | if last: freeing |
//!
//! # Who may read and write the fields
//! The addresses, the number and the reserved slot are written while Vacant and
//! read by whoever then finds the version unchanged. Each `next` belongs to whoever
//! pushes that element, then to the receiver; `siblings` to the observer's owner always.
//!
//! # Progress
//! Lock-free: steps of one word.

use super::DownReason;
use crate::arena::Slot;
use crate::bits::Field;
use crate::index::{LinkCell, MOST_RECORDS};
use crate::life::{Address, AddressCell};
use crate::mailbox::head::{Element, MOST_DOWNS};
use crate::sync::UnsafeCell;
use crate::sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use crate::sync::const_fn;

pub(super) const STAGE: Field = Field::lowest(2);
const CLOSER: Field = Field::above(STAGE, 1);
pub(super) const HELD: Field = Field::above(CLOSER, 1);
pub(super) const QUEUED: Field = Field::above(HELD, 1);
pub(super) const AGAIN: Field = Field::above(QUEUED, 1);
pub(super) const LISTED: Field = Field::above(AGAIN, 1);
const REASON: Field = Field::above(LISTED, 2);
const VERSION: Field = Field::rest(REASON);

pub(super) const VACANT: usize = 0;
const ARMED: usize = 1;
pub(super) const FIRED: usize = 2;
pub(super) const OVER: usize = 3;

/// Who fires a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Firer {
    /// The one killer of the route's group.
    Killer,
    /// The route's owner, or the observer's if it was over before.
    Closer,
}

/// One observed value of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(usize);

impl Word {
    pub(super) fn stage(self) -> usize {
        STAGE.get(self.0)
    }

    pub(super) fn set(self, field: Field, value: usize) -> Self {
        Self(field.set(self.0, value))
    }

    pub(super) fn armed(self) -> Self {
        let fresh = Self(VERSION.set(0, VERSION.get(VERSION.advance(self.0))));
        fresh.set(STAGE, ARMED)
    }

    pub(super) fn fired(self, reason: DownReason, by: Firer) -> Self {
        let reason = DownReason::ALL.iter().position(|r| *r == reason).unwrap_or(0);
        let fired = self.set(STAGE, FIRED).set(HELD, 1).set(QUEUED, 1).set(REASON, reason);
        fired.set(CLOSER, usize::from(by == Firer::Closer))
    }

    /// Fired by who closes the route, and perhaps not pushed yet: for a killer, whose the
    /// hold is then, or for the observer's owner.
    fn fired_again(self, by: Firer) -> Option<Self> {
        let is_closers = self.stage() == FIRED && CLOSER.get(self.0) == 1;
        let again = is_closers && self.reason() != DownReason::Gone && AGAIN.get(self.0) == 0;
        again.then(|| match by {
            Firer::Killer => self.set(AGAIN, 1).set(HELD, 1).set(CLOSER, 0),
            Firer::Closer => self.set(AGAIN, 1),
        })
    }

    pub(super) fn reason(self) -> DownReason {
        DownReason::ALL.get(REASON.get(self.0)).copied().unwrap_or(DownReason::Gone)
    }

    /// Neither vacant nor over.
    pub(super) fn is_pending(self) -> bool {
        matches!(self.stage(), ARMED | FIRED)
    }

    pub(super) fn same_version(self, other: Self) -> bool {
        VERSION.get(self.0) == VERSION.get(other.0)
    }

    pub(super) fn is_held(self) -> bool {
        HELD.get(self.0) == 1
    }

    pub(super) fn is_held_by_killer(self) -> bool {
        self.is_held() && CLOSER.get(self.0) == 0
    }

    pub(super) fn is_free(self) -> bool {
        let holds = HELD.get(self.0) | QUEUED.get(self.0) | AGAIN.get(self.0) | LISTED.get(self.0);
        self.stage() == OVER && holds == 0
    }
}

/// One monitor.
pub(crate) struct Monitor {
    pub(super) word: AtomicUsize,
    pub(super) link: LinkCell,
    pub(super) observed: AddressCell,
    pub(super) observed_group: AddressCell,
    pub(super) observer: AddressCell,
    pub(super) number: [AtomicU32; 2],
    /// The slot reserved in the observer's table for the down's capability.
    pub(super) slot: AtomicU32,
    /// Where it stands in the observed route's roster, + 1; 0 for nowhere.
    pub(super) position: AtomicU32,
    /// The channel that roster is in.
    pub(super) channel: AtomicU32,
    next: [UnsafeCell<Element>; 2],
    pub(super) siblings: UnsafeCell<Siblings>,
}

/// The observer's other monitors, by index + 1: a list that only its owner sees.
#[derive(Clone, Copy)]
pub(super) struct Siblings {
    pub(super) before: u32,
    pub(super) after: u32,
}

// SAFETY: `next` and `siblings` have one user at a time ("Who may read and write
// the fields"); `next` is handed over by the push and the receive of the head.
unsafe impl Sync for Monitor {}
// SAFETY: as above; nothing here belongs to a thread.
unsafe impl Send for Monitor {}

impl Monitor {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self {
                word: AtomicUsize::new(0),
                link: LinkCell::new(),
                observed: AddressCell::nowhere(),
                observed_group: AddressCell::nowhere(),
                observer: AddressCell::nowhere(),
                number: [const_zero(), const_zero()],
                slot: AtomicU32::new(0),
                position: AtomicU32::new(0),
                channel: AtomicU32::new(0),
                next: [UnsafeCell::new(Element::NONE), UnsafeCell::new(Element::NONE)],
                siblings: UnsafeCell::new(Siblings { before: 0, after: 0 }),
            }
        }
    }

    pub(super) fn load(&self) -> Word {
        Word(self.word.load(Acquire))
    }

    pub(super) fn step(&self, step: impl Fn(Word) -> Option<Word>) -> Result<(Word, Word), Word> {
        let mut seen = self.load();
        loop {
            let Some(next) = step(seen) else { return Err(seen) };
            match self.word.compare_exchange_weak(seen.0, next.0, AcqRel, Acquire) {
                Ok(_) => return Ok((seen, next)),
                Err(now) => seen = Word(now),
            }
        }
    }

    /// Whether it is armed, or fired and not yet received.
    pub(crate) fn is_pending(&self) -> bool {
        self.load().is_pending()
    }

    /// Fires it if it is armed and watches `observed`.
    pub(super) fn fire(&self, observed: Address, reason: DownReason, by: Firer) -> bool {
        let fired = |word: Word| {
            // A later life has another version, so the exchange would fail.
            let ours = word.stage() == ARMED && self.observed.load() == observed;
            ours.then(|| word.fired(reason, by))
        };
        self.step(fired).is_ok()
    }

    /// For who has found it fired: whether it is to be queued again.
    pub(super) fn fire_again(&self, observed: Address, by: Firer) -> bool {
        let ours = |_: &Word| self.observed.load() == observed; // As in `fire`.
        self.step(|word| word.fired_again(by).filter(ours)).is_ok()
    }

    /// Only the observer's owner calls this, once. Whether it had fired: then its down is
    /// queued, or will be.
    pub(super) fn end(&self) -> bool {
        self.step(|word| Some(word.set(STAGE, OVER))).is_ok_and(|(from, _)| from.stage() == FIRED)
    }

    /// Lets go of a hold. `true`: it was the last, and the record is the caller's to free.
    #[must_use]
    pub(super) fn let_go(&self, hold: Field) -> bool {
        match self.step(|word| Some(word.set(hold, 0))) {
            Ok((_, after)) => after.is_free(),
            Err(_) => false,
        }
    }

    pub(super) fn key(&self) -> Key {
        Key { observer: self.observer.load(), observed: self.observed.load() }
    }

    pub(super) fn number(&self) -> u64 {
        let half = |at: usize| u64::from(self.number[at].load(Relaxed));
        half(0) << u32::BITS | half(1)
    }

    /// What the queue's element before this one was; then the one after it.
    ///
    /// # Safety
    /// - The caller is the receiver that found this element in its queue.
    pub(crate) unsafe fn next(&self, again: bool) -> Element {
        // SAFETY: the receiver's alone, per the caller.
        self.next[usize::from(again)].with(|next| unsafe { *next })
    }

    /// # Safety
    /// - The caller fired the record, or did again, and has not pushed it yet, or is the
    ///   receiver that found this element in its queue.
    pub(crate) unsafe fn set_next(&self, again: bool, to: Element) {
        // SAFETY: the pusher's, or the receiver's, alone, per the caller.
        self.next[usize::from(again)].with_mut(|next| unsafe { *next = to });
    }
}

const_fn! {
    const fn const_zero() -> AtomicU32 {
        AtomicU32::new(0)
    }
}

impl Slot for Monitor {
    // It is named by an index, and as a down by a head.
    const NAMES: usize = if MOST_RECORDS < MOST_DOWNS { MOST_RECORDS } else { MOST_DOWNS };

    fn vacant() -> Self {
        Self::new()
    }
}

/// What makes two monitors one (rule K7).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) observer: Address,
    pub(super) observed: Address,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn armed() -> Word {
        Word(VACANT).armed().set(LISTED, 1)
    }

    /// Rule K3: a killer queues again what a closer may not have pushed yet, once, and holds it
    /// then; a closer does not, nor anybody what was over from the start.
    #[test]
    fn a_down_is_queued_again_once() {
        use Firer::{Closer, Killer};
        assert!(armed().fired_again(Killer).is_none(), "not fired");
        for (reason, by) in
            [(DownReason::Killed, Killer), (DownReason::Gone, Killer), (DownReason::Gone, Closer)]
        {
            assert!(armed().fired(reason, by).fired_again(Killer).is_none());
        }
        let closed = armed().fired(DownReason::Closed, Closer);
        assert!(!closed.is_held_by_killer() && closed.is_held());
        let again = closed.fired_again(Killer).unwrap();
        assert!(again.is_held_by_killer() && again.fired_again(Killer).is_none());
        let late = closed.set(HELD, 0).fired_again(Closer).unwrap();
        assert!(!late.is_held() && late.reason() == DownReason::Closed);
        assert!(closed.set(STAGE, OVER).fired_again(Killer).is_none());
        let killers = closed.fired_again(Killer).unwrap().set(AGAIN, 0);
        assert!(killers.fired_again(Killer).is_none(), "its own");
    }

    /// A record is free when it is over and nobody holds it any more.
    #[test]
    fn what_is_held_is_not_free() {
        let over = armed().fired(DownReason::Killed, Firer::Killer).set(STAGE, OVER);
        let bare = [HELD, QUEUED, LISTED].into_iter().fold(over, |word, hold| word.set(hold, 0));
        assert!(bare.is_free() && !bare.set(STAGE, FIRED).is_free());
        let holds = [HELD, QUEUED, AGAIN, LISTED];
        for (at, one) in holds.into_iter().enumerate() {
            assert!(!bare.set(one, 1).is_free());
            for other in holds.into_iter().skip(at + 1) {
                assert!(!bare.set(one, 1).set(other, 1).is_free());
            }
        }
        assert!(bare.same_version(over) && !bare.same_version(bare.armed()));
        assert!(!bare.is_held() && !bare.is_held_by_killer());
    }
}
