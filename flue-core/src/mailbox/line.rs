//! The line of senders that wait for room in a mailbox: who of them is woken (rule S6).
//!
//! - Room for a message wakes the first in the line that was not woken yet.
//! - A sender that goes away without having used a wake passes it on; one that was woken for
//!   too little and waits again does so at once, and one that sent bytes and left room for more.
//! - A receiver that finds nothing wakes the first for whom there is room; when it goes to sleep
//!   it wakes all of them, and so does who makes room while it sleeps.
//!
//! # Ordering
//! 1. A sender waits, says so in the word that counts receives (and, if it needs
//!    some, in the share), then tries once more. Whoever makes room steps the
//!    same word: either it sees that one waits, or the sender sees the room.
//! 2. The receiver falls asleep, then looks for room; who makes room looks then whether it
//!    sleeps. Between are fences: one of them sees the other.
//!
//! # Progress
//! Lock-free; each wake looks at every waiting sender of the mailbox (in static storage of the
//! office), of which there is a limit. A sender that never runs again delays the others by no
//! more than the wake it got.

use super::channel::Channel;
use super::waiters::{NOTIFIED, Needs, VACANT, WAITING, Waiter};
use super::wake::Left;
use crate::life::{Address, Ended, Generation};
use crate::office::Office;
use crate::panics::Panics;
use crate::reclaim::Pin;
use crate::route::Route;
use crate::sync::atomic::{
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
    fence,
};
use crate::twin::{self, Twin};

/// Who of a line is asked for.
#[derive(Clone, Copy)]
struct Among {
    /// Those whose tickets come after this one.
    behind: Option<usize>,
    /// Those who want no more than that.
    room: Needs,
}

impl Among {
    const ALL: Self = Self { behind: None, room: Needs { bytes: u32::MAX, handles: u32::MAX } };

    /// Those for whom there is room. `None`: for nobody.
    fn those_with_room(slot: &Route, channel: &Channel) -> Option<Self> {
        channel.has_room(slot).then(|| {
            let limits = channel.limits();
            let bytes = limits.bytes.saturating_sub(channel.bytes.count());
            Self { behind: None, room: Needs { bytes, handles: slot.share.left(limits.handles) } }
        })
    }

    /// Whether one that waits is among them.
    fn has(self, waiter: &Waiter) -> bool {
        // All this was released with the state.
        let is_passed = |last| !is_behind(waiter.ticket.load(Relaxed), last);
        !self.behind.is_some_and(is_passed)
            && waiter.bytes.load(Relaxed) <= self.room.bytes
            && waiter.handles.load(Relaxed) <= self.room.handles
    }
}

/// Whether a ticket comes after another.
fn is_behind(ticket: usize, other: usize) -> bool {
    ticket.wrapping_sub(other).cast_signed() > 0
}

impl Office {
    /// Visits the senders that may wait for the route whose channel is `channel`.
    fn visit_waiters<'p>(
        &'p self,
        pin: &'p Pin,
        channel: &'p Channel,
        mut visit: impl FnMut(u32, &'p Waiter),
    ) {
        if self.is_fixed() {
            return self.waiters.visit(pin, visit);
        }
        channel.waiters.visit(pin, |record| {
            if let Some(waiter) = self.waiters.peek(pin, record) {
                visit(record, waiter);
            }
        });
    }

    /// The first in the line that is Waiting, with its ticket. One that is Notified and was
    /// not called, for who notified it may have stopped, is called.
    fn first_waiting<'p>(
        &'p self,
        pin: &'p Pin,
        route: Address,
        channel: &'p Channel,
        among: Among,
        panics: &mut Panics,
    ) -> Option<(usize, u32, &'p Waiter)> {
        let mut first: Option<(usize, u32, &Waiter)> = None;
        self.visit_waiters(pin, channel, |record, waiter| {
            let state = waiter.state.load(Acquire);
            if waiter.route.load() != route {
                return;
            }
            if state == NOTIFIED && !waiter.wake.is_notified() && !twin::is(Twin::CallLeftToOne) {
                self.call(record, waiter, panics);
            }
            if state == WAITING {
                let ticket = waiter.ticket.load(Relaxed); // Released with the state.
                // Compared with each other, for some may have come since the walk began.
                if among.has(waiter) && first.is_none_or(|(oldest, ..)| is_behind(oldest, ticket)) {
                    first = Some((ticket, record, waiter));
                }
            }
        });
        first
    }

    /// Wakes the first waiting sender of a route in whose mailbox room was made, or all for
    /// whom there is some if the receiver sleeps. For anybody but the mailbox's owner.
    pub(crate) fn wake_sender(&self, route: Address, panics: &mut Panics) {
        if twin::is(Twin::SilencedByAnother) {
            return self.wake_sender_as_owner(route, panics);
        }
        let pin = self.pin();
        let Some((_, channel)) = self.channel_of(&pin, route) else { return };
        let Some(slot) = self.route(route) else { return };
        // A step: who says after it that it waits sees the room, who said so before is seen.
        if !channel.received.is_awaited() {
            return;
        }
        let _ = self.wake_first(&pin, route, channel, Among::ALL, panics);
        if !twin::is(Twin::RoomUnfenced) {
            fence(SeqCst); // Ordering 2.
        }
        if slot.head.look().is_sleeping() && !twin::is(Twin::SleeperUnasked) {
            let _ = self.wake_those_with_room(&pin, route, slot, channel, true, panics);
        }
    }

    /// Wakes the first whose ticket comes after that, and for whom there is room.
    pub(super) fn wake_sender_behind(&self, route: Address, ticket: usize, panics: &mut Panics) {
        let pin = self.pin();
        let Some((_, channel)) = self.channel_of(&pin, route) else { return };
        let Some(slot) = self.route(route) else { return };
        // A step, as above.
        if channel.received.is_awaited()
            && let Some(among) = Among::those_with_room(slot, channel)
        {
            let among = Among { behind: Some(ticket), ..among };
            let _ = self.wake_first(&pin, route, channel, among, panics);
        }
    }

    /// Wakes the first, for the owner, who alone says that nobody waits: another's channel may
    /// be the next mailbox's by now. It does not sleep: who makes room while that is said tells
    /// nobody, and all who wait then must hear of it before it does.
    fn wake_sender_as_owner(&self, route: Address, panics: &mut Panics) {
        let pin = self.pin();
        let Some((_, channel)) = self.channel_of(&pin, route) else { return };
        let Some(slot) = self.route(route) else { return };
        while self.wake_first(&pin, route, channel, Among::ALL, panics).is_none() {
            // None: say so, and look once more for one that came meanwhile.
            channel.received.await_nothing();
            slot.share.await_it(route.generation, false);
            if self.first_waiting(&pin, route, channel, Among::ALL, panics).is_none() {
                break;
            }
            channel.received.await_room();
            slot.share.await_it(route.generation, true);
        }
    }

    /// The owner found nothing to receive: wakes the first for whom there is room, for who was
    /// woken for it before did not come (rule S6). Or all, each once, if it sleeps: who was woken
    /// may never run again.
    #[cold]
    #[inline(never)]
    pub(crate) fn wake_senders_of_empty(&self, route: Address, is_asleep: bool) {
        Panics::after(|panics| {
            let pin = self.pin();
            let Some((_, channel)) = self.channel_of(&pin, route) else { return };
            let Some(slot) = self.route(route) else { return };
            let all = is_asleep && !twin::is(Twin::IdleWakesOne);
            if !self.wake_those_with_room(&pin, route, slot, channel, all, panics)
                && !is_asleep
                && self.first_waiting(&pin, route, channel, Among::ALL, panics).is_none()
            {
                self.wake_sender_as_owner(route, panics); // Says so.
            }
        });
    }

    /// Wakes those for whom there is room, in turn, or the first of them. `false`: there was none.
    /// If there is no room for a message, who stands still with it, or gives it back, wakes who
    /// is first.
    fn wake_those_with_room(
        &self,
        pin: &Pin,
        route: Address,
        slot: &Route,
        channel: &Channel,
        all: bool,
        panics: &mut Panics,
    ) -> bool {
        let Some(mut among) = Among::those_with_room(slot, channel) else { return false };
        let next = self.tickets.load(Relaxed);
        while let Some(ticket) = self.wake_first(pin, route, channel, among, panics) {
            among.behind = Some(ticket);
            // Others may come, again and again.
            if !all || !is_behind(next, ticket) {
                break;
            }
        }
        among.behind.is_some()
    }

    /// Whether a message of some bytes may fit into a route's mailbox: a look.
    pub(super) fn has_room_for_bytes(&self, route: Address) -> bool {
        let pin = self.pin();
        let (Some((_, channel)), Some(slot)) = (self.channel_of(&pin, route), self.route(route))
        else {
            return false;
        };
        Among::those_with_room(slot, channel).is_some_and(|among| among.room.bytes > 0)
    }

    /// Wakes the first of these in the line, if there is one. Returns its ticket.
    fn wake_first(
        &self,
        pin: &Pin,
        route: Address,
        channel: &Channel,
        among: Among,
        panics: &mut Panics,
    ) -> Option<usize> {
        while let Some((ticket, record, waiter)) =
            self.first_waiting(pin, route, channel, among, panics)
        {
            let step = waiter.state.compare_exchange(WAITING, NOTIFIED, AcqRel, Relaxed);
            if step.is_err() {
                continue; // It left, or another woke it: look again.
            }
            // It may have left, and its record be in another's line by now: look again, too.
            let is_same = waiter.route.load() == route && waiter.ticket.load(Relaxed) == ticket;
            self.call(record, waiter, panics);
            if is_same || twin::is(Twin::WakeForAnother) {
                return Some(ticket);
            }
        }
        None
    }

    /// The same, at the end of the owner's operation.
    #[cold]
    #[inline(never)]
    pub(crate) fn wake_one_sender(&self, route: Address) {
        Panics::after(|panics| self.wake_sender_as_owner(route, panics));
    }

    /// Room was made without a receive: wakes a sender if one waits.
    pub(crate) fn room_made(&self, route: Address) {
        Panics::after(|panics| self.wake_sender(route, panics));
    }

    /// Takes a sender out of its line, unless it is out already: that is one step, of its
    /// own or of who closes the mailbox.
    pub(super) fn take_out(&self, waiter: &Waiter, generation: Generation) {
        let (at, position) = (waiter.channel.load(Relaxed), waiter.position.load(Relaxed));
        if waiter.life.end(generation) == Ended::Before {
            return;
        }
        // SAFETY: being in the line is a reference to the channel, which is ours now.
        let channel = unsafe { self.channels.slot(at) };
        if !self.is_fixed() {
            channel.waiters.remove(position);
        }
        channel.waiting.fetch_sub(1, Release);
        self.release_channel(at);
    }

    /// Takes all that wait for a route that is over out of the line. They are woken, too.
    pub(crate) fn take_senders_out(&self, pin: &Pin, route: Address, channel: &Channel) {
        self.visit_waiters(pin, channel, |_, waiter| {
            if let Some(generation) = waiter.life.living()
                && waiter.route.load() == route
            {
                self.take_out(waiter, generation);
            }
        });
    }

    /// Wakes every waiting sender of a route that is over.
    pub(crate) fn wake_senders(
        &self,
        pin: &Pin,
        route: Address,
        channel: &Channel,
        panics: &mut Panics,
    ) {
        self.visit_waiters(pin, channel, |record, waiter| {
            if waiter.route.load() == route && waiter.state.load(Acquire) != VACANT {
                // Notified or not: it must look. It may be somebody else by now,
                // who then looks for nothing.
                let _ = waiter.state.compare_exchange(WAITING, NOTIFIED, AcqRel, Relaxed);
                self.call(record, waiter, panics);
            }
        });
    }

    fn call(&self, record: u32, waiter: &Waiter, panics: &mut Panics) {
        if waiter.wake.wake(panics) == Left::Vacant {
            self.give_waiter_back(record, waiter);
        }
    }

    pub(super) fn give_waiter_back(&self, record: u32, waiter: &Waiter) {
        if !waiter.life.is_spent() {
            self.waiters.give_back(record);
        }
    }
}

#[cfg(all(test, not(loom), feature = "std"))]
mod tests {
    use super::*;
    use crate::sync::atomic::AtomicUsize;
    use crate::{MailboxLimits, Permissions, PostOffice, SendWait};
    use alloc::sync::Arc;
    use alloc::task::Wake;
    use core::task::{Context, Waker};

    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// Rule S6: a sender stands still with bytes of an empty mailbox. Those who want fewer than
    /// it left are woken by a receiver that sleeps, the others when it gives them back.
    #[test]
    fn bytes_of_who_stands_still_are_no_room() {
        let limits = MailboxLimits { bytes: 300, ..MailboxLimits::default() };
        let group = PostOffice::new().create_group().unwrap();
        let table = group.create_table().unwrap();
        let mut mailbox = group.create_mailbox_with(&table, limits).unwrap();
        let to = mailbox.capability(Permissions::SEND);
        let (life, all) = (mailbox.channel().life.count(), |_| true);
        mailbox.channel().bytes.raise(life, 300, all).unwrap();
        let wait = |length| {
            let (calls, mut wait) = (Arc::new(Calls::default()), SendWait::new());
            let waker = Waker::from(calls.clone());
            let mut cx = Context::from_waker(&waker);
            assert!(to.poll_send(&mut cx, &mut wait, &[0; 200][..length], &[]).is_pending());
            (calls, wait)
        };
        let [more, most] = [150, 200].map(wait);
        let calls = || [&more, &most].map(|(calls, _)| calls.0.load(Relaxed));
        mailbox.channel().bytes.lower(life, 150);
        let _ = mailbox.try_recv().map(drop);
        assert_eq!(calls(), [1, 0], "the first for whom there is room");
        for _ in 0..3 {
            let _ = mailbox.try_recv().map(drop);
            assert!(mailbox.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(calls(), [1, 0], "woken in vain");
        mailbox.channel().bytes.lower(life, 150);
        mailbox.post_office().room_made(mailbox.address());
        assert_eq!(calls(), [1, 1]);
    }

    /// Who joins a line later is behind, wherever the count of tickets is.
    #[test]
    fn tickets_wrap() {
        for first in [0, 7, usize::MAX - 1, usize::MAX / 2] {
            for later in 1..4 {
                assert!(is_behind(first.wrapping_add(later), first));
                assert!(!is_behind(first, first.wrapping_add(later)));
            }
            assert!(!is_behind(first, first));
        }
    }
}
