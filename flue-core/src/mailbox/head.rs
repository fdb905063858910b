//! The word that a mailbox's queue hangs from.
//!
//! ```text
//!  most significant                         least significant
//! ┌──────────────────┬──────────┬──────┬─────────────────────┐
//! │     version      │ sleeping │ kind │ newest element + 1  │
//! └──────────────────┴──────────┴──────┴─────────────────────┘
//! ```
//!
//! The queue is a list from the newest element back to the oldest; elements are
//! message nodes and monitor records (a down *is* its record). The receiver
//! takes nothing off the word while it is awake: it remembers the newest element
//! it has seen, its *marker*, and walks from the newest one back to that. So the
//! order of the pushes is the order of receiving (rule R1).
//!
//! # Transitions
//! | step  | from                  | to                        | owes                  |
//! |-------|-----------------------|---------------------------|-----------------------|
//! | push a message | what was seen | the message is newest    | if sleeping: wake     |
//! | push a down | what was seen    | newest, next version      | if sleeping: wake     |
//! | sleep | newest is the marker  | nothing, sleeping         | freeing the marker    |
//! | rouse | sleeping              | not sleeping              | taking what is there  |
//! | close | anything              | nothing, next version     | destroying what was there |
//!
//! # The commit rule
//! A sender sees the head, *then* checks that route and groups are living, then
//! pushes onto the very head it saw. The version advances on whatever those
//! checks must not miss: a close, and the push of a down. So a push that goes
//! through had no close (rule K2) and no down of its own process (rule K8)
//! between its look and itself.
//!
//! # Ordering
//! 1. A push releases; seeing the head acquires: the receiver sees the element
//!    filled, a sender sees the death whose down it builds upon.
//! 2. Sleep releases; a push has acquired what it saw: who pushes onto a
//!    sleeping head sees the waker that was registered before.
//!
//! # Progress
//! Lock-free: a push fails only because another step went through. Nobody
//! waits for anybody, whatever instruction another stops at (rule S4).

use crate::bits::{Field, WORD};
use crate::sync::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::sync::const_fn;
use crate::twin::{self, Twin};

const NEWEST: Field = Field::lowest(WORD / 2 - 2);
const KIND: Field = Field::above(NEWEST, 1);
const SLEEPING: Field = Field::above(KIND, 1);
const VERSION: Field = Field::rest(SLEEPING);

/// Of a down's name: its record's index + 1, and whether it is the record's second element.
const RECORD: Field = Field::lowest(WORD / 2 - 3);
const AGAIN: Field = Field::above(RECORD, 1);

/// The most messages that a head can name.
pub(crate) const MOST_ELEMENTS: usize = NEWEST.max();
/// The most downs that a head can name.
pub(crate) const MOST_DOWNS: usize = RECORD.max();

/// An element of a queue, or none: its kind and index + 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element(Name);

/// As wide as an element is in the head: it is in every message twice.
#[cfg(target_pointer_width = "64")]
type Name = u32;
#[cfg(not(target_pointer_width = "64"))]
type Name = u16;

const _: () = assert!(NEWEST.max() | KIND.one() <= Name::MAX as usize);

/// What an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Message(u32),
    Down(Queued),
}

/// A down in a queue, where it may be twice (`monitor::record`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) record: u32,
    /// Whether this is the second time.
    pub(crate) again: bool,
}

impl Element {
    pub(crate) const NONE: Self = Self(0);

    #[inline(always)]
    pub(crate) fn message(index: u32) -> Self {
        Self((index + 1) as Name)
    }

    pub(crate) fn down(Queued { record, again }: Queued) -> Self {
        Self(KIND.set(AGAIN.set(record as usize + 1, usize::from(again)), 1) as Name)
    }

    #[inline(always)]
    pub(crate) fn what(self) -> Option<What> {
        let name = self.0 as usize;
        if KIND.get(name) == 0 {
            return (NEWEST.get(name) as u32).checked_sub(1).map(What::Message);
        }
        let record = (RECORD.get(name) as u32).checked_sub(1)?;
        Some(What::Down(Queued { record, again: AGAIN.get(name) == 1 }))
    }

    /// The node's index, if the element is a message.
    #[inline(always)]
    pub(crate) fn as_message(self) -> Option<u32> {
        let index = (self.0 as usize as u32).wrapping_sub(1); // Of none: above every index.
        (index < NEWEST.max() as u32).then_some(index)
    }

    #[inline(always)]
    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// One observed value of the head. A plain value: stepping it is pure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(usize);

impl Word {
    #[inline(always)]
    pub(crate) fn newest(self) -> Element {
        let both = NEWEST.max() | KIND.one();
        Element((self.0 & both) as Name)
    }

    #[inline(always)]
    pub(crate) fn is_sleeping(self) -> bool {
        SLEEPING.get(self.0) == 1
    }

    /// Both fields of an element at once; its bits are those of the word.
    #[inline(always)]
    fn with(self, element: Element) -> Self {
        let both = NEWEST.max() | KIND.one();
        Self(self.0 & !both | element.0 as usize)
    }

    fn asleep(self) -> Self {
        Self(SLEEPING.set(self.with(Element::NONE).0, 1))
    }

    fn roused(self) -> Self {
        Self(SLEEPING.set(self.0, 0))
    }

    fn next_version(self) -> Self {
        Self(VERSION.advance(self.0))
    }
}

/// What the thread that pushed an element must do next.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// The receiver is awake.
    Seen,
    /// The receiver sleeps: wake it.
    Sleeping,
}

/// A head, shared.
pub(crate) struct Head(AtomicUsize);

impl Head {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    /// The head now, for a push or a receive that follows from it.
    #[inline(always)]
    pub(crate) fn look(&self) -> Word {
        Word(self.0.load(twin::unless(Twin::LookUnacquired, Acquire))) // Ordering 1.
    }

    /// Pushes a message onto the head that was seen.
    #[inline(always)]
    pub(crate) fn push_message(&self, seen: Word, element: Element) -> Option<Pushed> {
        self.push(seen, seen.with(element))
    }

    /// Pushes a down onto the head that was seen.
    pub(crate) fn push_down(&self, seen: Word, element: Element) -> Option<Pushed> {
        let next = seen.with(element);
        self.push(seen, if twin::is(Twin::DownKeepsVersion) { next } else { next.next_version() })
    }

    #[inline(always)]
    fn push(&self, seen: Word, next: Word) -> Option<Pushed> {
        if twin::is(Twin::PushInTwoSteps) && self.look() == seen {
            self.0.store(next.0, Release);
            return Some(Pushed::Seen);
        }
        // Release: Ordering 1. What Ordering 2 needs, `look` has acquired.
        match self.0.compare_exchange(
            seen.0,
            next.0,
            twin::unless(Twin::PushUnreleased, Release),
            Relaxed,
        ) {
            Ok(_) if seen.is_sleeping() => Some(Pushed::Sleeping),
            Ok(_) => Some(Pushed::Seen),
            Err(_) => None,
        }
    }

    /// Falls asleep if nothing came since `marker`, which is then the caller's
    /// to free. Only the receiver calls this, after registering its waker.
    pub(crate) fn sleep(&self, seen: Word, marker: Element) -> bool {
        // Ordering 2; `seen` was acquired.
        (seen.newest() == marker || twin::is(Twin::SleepBlind))
            && self.0.compare_exchange(seen.0, seen.asleep().0, Release, Relaxed).is_ok()
    }

    /// Wakes up. Only the receiver calls this; what it returns is to be taken.
    pub(crate) fn rouse(&self) -> Word {
        let mut seen = self.look();
        while let Err(now) = self.0.compare_exchange_weak(seen.0, seen.roused().0, Acquire, Relaxed)
        {
            seen = Word(now);
        }
        seen.roused()
    }

    /// Takes everything and refuses pushes that looked before. Only the
    /// receiver calls this, having ended the route's life.
    pub(crate) fn close(&self) -> Element {
        let mut seen = self.look();
        loop {
            let closed = seen.with(Element::NONE).roused();
            let closed =
                if twin::is(Twin::CloseKeepsVersion) { closed } else { closed.next_version() };
            match self.0.compare_exchange_weak(seen.0, closed.0, AcqRel, Relaxed) {
                Ok(_) => return seen.newest(),
                Err(now) => seen = Word(now),
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_its_kind_and_index() {
        assert_eq!(Element::NONE.what(), None);
        assert_eq!(Element::message(0).what(), Some(What::Message(0)));
        assert_eq!(Element::message(0).as_message(), Some(0));
        let down = |record, again| Queued { record, again };
        assert_eq!(Element::down(down(0, false)).as_message(), None);
        assert_eq!(Element::NONE.as_message(), None);
        let last = (MOST_ELEMENTS - 1) as u32;
        assert_eq!(Element::message(last).as_message(), Some(last));
        for again in [false, true] {
            let last = down((MOST_DOWNS - 1) as u32, again);
            assert_eq!(Element::down(last).what(), Some(What::Down(last)));
            assert_eq!(Element::down(last).as_message(), None);
            assert_eq!(Word(0).with(Element::down(last)).newest(), Element::down(last));
        }
    }

    /// Rule K8's half that is the head's: a sender that looked before a down
    /// was pushed does not get through; one that looked before a message does
    /// not either, but may look again.
    #[test]
    fn a_down_changes_the_version() {
        let head = Head::new();
        let before = head.look();
        assert!(
            head.push_down(before, Element::down(Queued { record: 7, again: false })).is_some()
        );
        assert!(head.push_message(before, Element::message(1)).is_none());
        assert!(VERSION.get(head.look().0) != VERSION.get(before.0));
    }

    #[test]
    fn who_pushes_onto_a_sleeper_owes_a_wake() {
        let head = Head::new();
        assert!(head.sleep(head.look(), Element::NONE));
        assert_eq!(head.push_message(head.look(), Element::message(1)), Some(Pushed::Sleeping));
        assert_eq!(head.push_message(head.look(), Element::message(2)), Some(Pushed::Sleeping));
        assert!(!head.sleep(head.look(), Element::NONE), "something came");
        assert_eq!(head.rouse().newest(), Element::message(2));
        assert_eq!(head.push_message(head.look(), Element::message(3)), Some(Pushed::Seen));
    }
}
