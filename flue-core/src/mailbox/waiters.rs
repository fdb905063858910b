//! Senders that wait for room, in a line.
//!
//! A waiting sender is a record with a ticket, a number that the office counts; the lowest that
//! waits for a mailbox is woken first (rule S6). Room is not reserved for the woken: whoever
//! sends first has it, and who finds it gone waits again with its old ticket, at the front.
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
//! Who is woken, and when, is in [`line`](super::line), with the orderings.

use super::channel::Channel;
use super::deliver::Undelivered;
use super::wake::{Left, WakeSlot};
use crate::arena::{Exhausted, Slot};
use crate::error::SendError;
use crate::life::{Address, AddressCell, Generation, Life};
use crate::office::{Office, PostOffice};
use crate::panics::Panics;
use crate::sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
    fence,
};
use crate::sync::const_fn;
use crate::twin::{self, Twin};
use core::fmt;
use core::task::{Context, Poll};

pub(super) const VACANT: u32 = 0;
pub(super) const WAITING: u32 = 1;
pub(super) const NOTIFIED: u32 = 2;

/// One waiting sender.
pub(crate) struct Waiter {
    /// Whether it is in a line.
    pub(super) life: Life,
    pub(super) state: AtomicU32,
    pub(super) route: AddressCell,
    pub(super) ticket: AtomicUsize,
    /// How many bytes it wants to be charged for, and how much of the mailbox's share.
    pub(super) bytes: AtomicU32,
    pub(super) handles: AtomicU32,
    /// The channel of the mailbox that it waits for ...
    pub(super) channel: AtomicU32,
    /// ... and where in that one's roster it is; none are in fixed storage.
    pub(super) position: AtomicU32,
    pub(super) wake: WakeSlot,
}

impl Waiter {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self {
                life: Life::vacant(0),
                state: AtomicU32::new(VACANT),
                route: AddressCell::nowhere(),
                ticket: AtomicUsize::new(0),
                bytes: AtomicU32::new(0),
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
/// few steps, and passing a wake on a look at all who wait for each that is woken; no memory.
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
                    self.leave(is_used && !(asks && office.has_room_for_bytes(route)));
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
        waiter.bytes.store(needs.bytes, Relaxed); // Released with the state, both.
        waiter.handles.store(needs.handles, Relaxed);
        // Ours: others step only what is Waiting.
        line.was_woken |= waiter.state.swap(WAITING, AcqRel) == NOTIFIED;
        if !twin::is(Twin::WaitUnsaid) {
            channel.received.await_room(); // `line`, ordering 1.
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
    /// do for one behind.
    fn pass_by(&mut self, needs: Needs) {
        let Some(line) = &mut self.0 else { return };
        let was_woken = core::mem::take(&mut line.was_woken);
        if !was_woken || (needs.bytes == 0 && needs.handles == 0) {
            return; // Of a message's room there is none for anybody.
        }
        let office: &Office = &line.office;
        // SAFETY: ours from `join` to `leave`.
        let ticket = unsafe { office.waiters.slot(line.record) }.ticket.load(Relaxed);
        Panics::after(|panics| office.wake_sender_behind(line.route, ticket, panics));
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
        waiter.ticket.store(office.tickets.fetch_add(1, Relaxed), Relaxed);
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
