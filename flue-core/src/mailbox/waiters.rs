//! Senders that wait for room, in a line.
//!
//! A waiting sender is a record with a ticket; tickets are numbered for each
//! mailbox, and the lowest that waits is woken first (rule S6). Room is not
//! reserved for the woken: whoever sends first has it, and who finds it gone
//! waits again with its old ticket, at the front.
//!
//! # States of a record
//! | state    | who may step it                                                |
//! |----------|----------------------------------------------------------------|
//! | Vacant   | the slot's claimant                                            |
//! | Waiting  | anybody who made room: to Notified, and then owes a wake       |
//! | Notified | its owner: to Waiting, having found no room; or away           |
//!
//! While its `life` lasts a record is in the line, and holds the mailbox's channel. Who
//! closes the mailbox takes those that wait out of it, so one that is never polled again
//! keeps nothing but its record.
//!
//! A sender that goes away without having used a wake passes it on; one that was woken for
//! too little and waits again does so at once, and one that sent bytes and left room for more.
//! A receiver that goes to sleep wakes all.
//!
//! # Ordering
//! 1. A sender waits, says so in the word that counts receives (and, if it needs
//!    some, in the share), then tries once more. Whoever makes room steps the
//!    same word: either it sees that one waits, or the sender sees the room.
//!
//! # Progress
//! Lock-free; waking looks at every waiting sender of the mailbox, of which
//! there is a limit. A sender that never runs again delays the others by no
//! more than the wake it got.

use super::channel::Channel;
use super::deliver::Undelivered;
use super::wake::{Left, WakeSlot};
use crate::arena::{Exhausted, Slot};
use crate::error::SendError;
use crate::life::{Address, AddressCell, Ended, Generation, Life};
use crate::office::{Office, PostOffice};
use crate::panics::Panics;
use crate::reclaim::Pin;
use crate::route::has_room_ahead;
use crate::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
    fence,
};
use crate::sync::const_fn;
use crate::twin::{self, Twin};
use core::fmt;
use core::task::{Context, Poll};

const VACANT: u32 = 0;
const WAITING: u32 = 1;
const NOTIFIED: u32 = 2;

/// One waiting sender.
pub(crate) struct Waiter {
    /// Whether it is in a line.
    life: Life,
    state: AtomicU32,
    route: AddressCell,
    ticket: AtomicU32,
    /// How much of the mailbox's share it wants.
    handles: AtomicU32,
    /// The channel of the mailbox that it waits for ...
    channel: AtomicU32,
    /// ... and where in that one's roster it is; none are in fixed storage.
    position: AtomicU32,
    wake: WakeSlot,
}

impl Waiter {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self {
                life: Life::vacant(0),
                state: AtomicU32::new(VACANT),
                route: AddressCell::nowhere(),
                ticket: AtomicU32::new(0),
                handles: AtomicU32::new(0),
                channel: AtomicU32::new(0),
                position: AtomicU32::new(0),
                wake: WakeSlot::new(),
            }
        }
    }
}

impl Slot for Waiter {
    fn vacant() -> Self {
        Self::new()
    }
}

/// A sender's place in the line for room in a mailbox.
///
/// It is taken when a send finds no room, and given up when the send is done.
/// Dropping it leaves the line, and passes on a wake that was not used (rule
/// S6). One value serves one send at a time, to whatever mailbox. See
/// [`Table::poll_send`](crate::Table::poll_send) for an example.
///
/// # Cost
/// Nothing until it is in a line; then a slot of the office. Giving the place up is a
/// few steps, and passing a wake on a look at all who wait; no memory.
///
/// # Cancel safety
/// Dropping it at any time loses nothing: what was to be sent is still the
/// caller's.
#[derive(Default)]
pub struct SendWait(Option<InLine>);

struct InLine {
    office: PostOffice,
    route: Address,
    record: u32,
    generation: Generation,
    /// Whether it was woken before it looked for the last time: kept, for that look may panic.
    was_woken: bool,
}

/// What a message needs of its mailbox at most.
#[derive(Clone, Copy)]
pub(crate) struct Needs {
    pub(crate) bytes: u32,
    pub(crate) handles: u32,
}

impl SendWait {
    /// A place in no line yet. See [`Table::poll_send`](crate::Table::poll_send) for an
    /// example.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// Sends by `attempt`, waiting for room in `route`'s mailbox.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        office: &PostOffice,
        route: Address,
        needs: Needs,
        mut attempt: impl FnMut() -> Result<(), Undelivered>,
    ) -> Poll<Result<(), SendError>> {
        if self.0.as_ref().is_some_and(|line| line.route != route || line.office != *office) {
            self.leave(false);
        }
        for last in [false, true] {
            // A wake that comes after this is not for the room that the attempt takes.
            let has_wake = self.has_wake() || twin::is(Twin::LateWakeUsed);
            match attempt() {
                Err(Undelivered { error: SendError::Full, exhausted: false }) if last => {
                    self.pass_by(needs);
                    return Poll::Pending;
                }
                Err(Undelivered { error: SendError::Full, exhausted: false }) => {
                    if let Err(error) = self.wait(cx, office, route, needs) {
                        self.leave(false);
                        return Poll::Ready(Err(error));
                    }
                }
                result => {
                    // Room for bytes may do for several: what is left is the next one's.
                    let is_used = result.is_ok() && has_wake;
                    let asks = is_used && needs.bytes > 0 && !twin::is(Twin::RoomLeft);
                    self.leave(is_used && !(asks && office.has_room(route)));
                    return Poll::Ready(result.map_err(|refused| refused.error));
                }
            }
        }
        Poll::Pending
    }

    /// Whether it was woken since it last looked, or before.
    fn has_wake(&self) -> bool {
        self.0.as_ref().is_some_and(|line| {
            // SAFETY: ours from `join` to `leave`.
            let waiter = unsafe { line.office.waiters.slot(line.record) };
            line.was_woken || waiter.state.load(Acquire) == NOTIFIED
        })
    }

    /// Waits in the line, at the old place if there is one. The caller tries
    /// once more after this.
    fn wait(
        &mut self,
        cx: &Context<'_>,
        office: &PostOffice,
        route: Address,
        needs: Needs,
    ) -> Result<(), SendError> {
        let pin = office.pin();
        let Some((at, channel)) = office.channel_of(&pin, route) else { return Ok(()) };
        // Before it is looked at: else it may be the next mailbox's by then.
        let is_new = self.0.is_none();
        if is_new && !channel.acquire() {
            return Err(SendError::Closed);
        }
        let give_up = |what| {
            if is_new {
                office.release_channel(at);
            }
            what
        };
        if !office.route(route).is_some_and(|slot| slot.life.is(route.generation)) {
            return give_up(Ok(())); // The caller hears of it.
        }
        let limits = channel.limits();
        if limits.messages == 0 || needs.bytes > limits.bytes || needs.handles > limits.handles {
            return give_up(Err(SendError::Full)); // No room will ever do.
        }
        let line = match &mut self.0 {
            Some(line) => line,
            none => match InLine::join(office, at, channel, route) {
                Ok(line) => none.insert(line),
                Err(refused) => return give_up(Err(refused)),
            },
        };
        // SAFETY: ours from `join` to `leave`.
        let waiter = unsafe { office.waiters.slot(line.record) };
        waiter.wake.register(cx.waker());
        waiter.handles.store(needs.handles, Relaxed); // Released with the state.
        // Ours: others step only what is Waiting.
        line.was_woken |= waiter.state.swap(WAITING, AcqRel) == NOTIFIED;
        if !twin::is(Twin::WaitUnsaid) {
            channel.received.await_room(); // Ordering 1.
        }
        if needs.handles > 0
            && let Some(slot) = office.route(route)
        {
            slot.share.await_it(route.generation, true);
        }
        fence(SeqCst); // Partner: who ends the route or the group, before it walks the line.
        Ok(())
    }

    /// Was woken and waits again: if it wants more than a message's room, what was made may
    /// do for those behind, who are woken as if this one was not there.
    fn pass_by(&mut self, needs: Needs) {
        let Some(line) = &mut self.0 else { return };
        let was_woken = core::mem::take(&mut line.was_woken);
        if !was_woken || (needs.bytes == 0 && needs.handles == 0) {
            return; // Of a message's room there is none for anybody.
        }
        let office: &Office = &line.office;
        // SAFETY: ours from `join` to `leave`.
        let ticket = unsafe { office.waiters.slot(line.record) }.ticket.load(Relaxed);
        Panics::after(|panics| office.wake_sender_behind(line.route, Some(ticket), panics));
    }

    /// Leaves the line. A wake that was got and not used is passed on: of two, one is used.
    fn leave(&mut self, used: bool) {
        let Some(line) = self.0.take() else { return };
        let office: &Office = &line.office;
        // SAFETY: ours until it is given back below.
        let waiter = unsafe { office.waiters.slot(line.record) };
        // AcqRel: a waker that stepped it before is seen, and a later one sees us gone.
        let before = waiter.state.swap(VACANT, AcqRel);
        office.take_out(waiter, line.generation);
        let mut panics = Panics::new();
        if waiter.wake.close(&mut panics) == Left::Vacant {
            office.give_waiter_back(line.record, waiter);
        }
        // It may have been woken again while it looked once more.
        let wakes = u8::from(before == NOTIFIED) + u8::from(line.was_woken);
        if wakes > u8::from(used) && !twin::is(Twin::WakeKept) {
            office.wake_sender(line.route, &mut panics);
        }
        panics.resume();
    }
}

impl InLine {
    /// Joins the line of a channel that the caller has acquired.
    fn join(
        office: &PostOffice,
        at: u32,
        channel: &Channel,
        route: Address,
    ) -> Result<Self, SendError> {
        if !channel.count_waiter() {
            return Err(SendError::Full);
        }
        let uncount = |refused| {
            channel.waiting.fetch_sub(1, Release);
            match refused {
                Exhausted::Limit => SendError::Full,
                Exhausted::Memory => SendError::OutOfMemory,
            }
        };
        let record = office.waiters.claim().map_err(uncount)?;
        // SAFETY: claimed just now.
        let waiter = unsafe { office.waiters.slot(record) };
        if !office.is_fixed() {
            let added = channel.waiters.add(record);
            let added = added.inspect_err(|_| office.waiters.give_back(record));
            waiter.position.store(added.map_err(uncount)?, Relaxed); // All this ...
        }
        waiter.wake.open();
        waiter.route.store(route);
        waiter.ticket.store(channel.tickets.fetch_add(1, Relaxed), Relaxed);
        waiter.channel.store(at, Relaxed);
        let generation = waiter.life.begin(); // ... is released here.
        Ok(Self { office: office.clone(), route, record, generation, was_woken: false })
    }
}

impl Drop for SendWait {
    fn drop(&mut self) {
        self.leave(false);
    }
}

impl fmt::Debug for SendWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendWait").field("in_line", &self.0.is_some()).finish_non_exhaustive()
    }
}

/// Who of a line is asked for.
#[derive(Clone, Copy)]
struct Among {
    /// Those whose tickets come after this one.
    behind: Option<u32>,
    /// Those, too, who want some of the share.
    attaching: bool,
}

impl Among {
    const ALL: Self = Self { behind: None, attaching: true };
}

/// Whether a ticket comes after another.
fn is_behind(ticket: u32, other: u32) -> bool {
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
    ) -> Option<(u32, u32, &'p Waiter)> {
        let mut first: Option<(u32, u32, &Waiter)> = None;
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
                let is_passed = among.behind.is_some_and(|last| !is_behind(ticket, last));
                if is_passed || (waiter.handles.load(Relaxed) > 0 && !among.attaching) {
                    return;
                }
                // Compared with each other, for some may have come since the walk began.
                if first.is_none_or(|(oldest, ..)| is_behind(oldest, ticket)) {
                    first = Some((ticket, record, waiter));
                }
            }
        });
        first
    }

    /// Wakes the first waiting sender of a route in whose mailbox there is room. For
    /// anybody but the mailbox's owner.
    pub(crate) fn wake_sender(&self, route: Address, panics: &mut Panics) {
        if twin::is(Twin::SilencedByAnother) {
            return self.wake_sender_as_owner(route, panics);
        }
        self.wake_sender_behind(route, None, panics);
    }

    /// The same for those whose tickets come after one.
    fn wake_sender_behind(&self, route: Address, behind: Option<u32>, panics: &mut Panics) {
        let pin = self.pin();
        let Some((_, channel)) = self.channel_of(&pin, route) else { return };
        // A step: who says after it that it waits sees the room, who said so before is seen.
        if channel.received.is_awaited() {
            let among = Among { behind, ..Among::ALL };
            let _ = self.wake_first(&pin, route, channel, among, panics);
        }
    }

    /// The same for the owner, who alone says that nobody waits: another's channel may be
    /// the next mailbox's by now.
    fn wake_sender_as_owner(&self, route: Address, panics: &mut Panics) {
        let pin = self.pin();
        let Some((_, channel)) = self.channel_of(&pin, route) else { return };
        while self.wake_first(&pin, route, channel, Among::ALL, panics).is_none() {
            // None: say so, and look once more for one that came meanwhile.
            channel.received.await_nothing();
            let slot = self.route(route);
            if let Some(slot) = slot {
                slot.share.await_it(route.generation, false);
            }
            if self.first_waiting(&pin, route, channel, Among::ALL, panics).is_none() {
                break;
            }
            channel.received.await_room();
            if let Some(slot) = slot {
                slot.share.await_it(route.generation, true);
            }
        }
    }

    /// The receiver has no work, and goes to sleep: wakes all for whom there is room, each once,
    /// for who was woken for it may never run again (rule S6).
    #[cold]
    #[inline(never)]
    pub(crate) fn wake_senders_of_idle(&self, route: Address) {
        Panics::after(|panics| {
            let pin = self.pin();
            let (Some((_, channel)), Some(slot)) =
                (self.channel_of(&pin, route), self.route(route))
            else {
                return;
            };
            let (limits, used) = (channel.limits(), slot.credit.count());
            if !has_room_ahead(used, channel.received.count(), limits.messages) {
                return; // Who stands still with it, or gives it back, wakes who is first.
            }
            let attaching = slot.share.has_room(1, limits.handles);
            let mut among = Among { behind: None, attaching };
            let next = channel.tickets.load(Relaxed);
            while let Some(ticket) = self.wake_first(&pin, route, channel, among, panics) {
                among.behind = Some(ticket);
                // Others may come, again and again.
                if is_behind(ticket, next.wrapping_sub(1)) || twin::is(Twin::IdleWakesOne) {
                    break;
                }
            }
            if among.behind.is_none() && attaching {
                self.wake_sender_as_owner(route, panics); // None waits: says so.
            }
        });
    }

    /// Whether a message of some bytes may fit into a route's mailbox: a look.
    fn has_room(&self, route: Address) -> bool {
        let pin = self.pin();
        let (Some((_, channel)), Some(slot)) = (self.channel_of(&pin, route), self.route(route))
        else {
            return false;
        };
        let limits = channel.limits();
        let used = slot.credit.count(); // First: what was received by then is not more.
        has_room_ahead(used, channel.received.count(), limits.messages)
            && channel.bytes.count() < limits.bytes
    }

    /// Wakes the first of these in the line, if there is one. Returns its ticket.
    fn wake_first(
        &self,
        pin: &Pin,
        route: Address,
        channel: &Channel,
        among: Among,
        panics: &mut Panics,
    ) -> Option<u32> {
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
    fn take_out(&self, waiter: &Waiter, generation: Generation) {
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

    fn give_waiter_back(&self, record: u32, waiter: &Waiter) {
        if !waiter.life.is_spent() {
            self.waiters.give_back(record);
        }
    }
}
