//! Channels: what a mailbox shares besides its route's cache line.
//!
//! A channel belongs to one mailbox at a time, from its creation to its drop.
//! Others reach it through the route, pinned, and check afterwards that the
//! route is still open: then the channel was its mailbox's all the while.

use crate::arena::Slot;
use crate::bits::Field;
use crate::life::{Address, AddressCell, Generation, Life};
use crate::limits::MailboxLimits;
use crate::monitor::DownReason;
use crate::office::Office;
use crate::reclaim::Pin;
use crate::roster::Roster;
use crate::route::{Credit, MOST_CREDIT, MOST_SHARE, Route, has_room_ahead};
use crate::sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::sync::const_fn;
use crate::twin::{self, Twin};

/// What is reached through a route when more than its cache line is needed.
pub(crate) struct Channel {
    pub(crate) life: Life,
    /// The mailbox, and each member of the rosters: the slot is given back by
    /// whoever goes last.
    refs: AtomicU32,
    /// The group that the route lives in.
    pub(crate) group: AddressCell,
    pub(crate) received: Received,
    /// Bytes waiting that are not inline, counted for this channel's life.
    pub(crate) bytes: Credit,
    messages_limit: AtomicU32,
    bytes_limit: AtomicU32,
    handles_limit: AtomicU32,
    waiters_limit: AtomicU32,
    /// Index of the table that gets the attached capabilities.
    pub(crate) table: AtomicU32,
    /// Senders waiting.
    pub(crate) waiting: AtomicU32,
    /// Monitors that watch the route.
    pub(crate) observers: Roster,
    /// Senders that wait for room.
    pub(crate) waiters: Roster,
    /// Why the route is over, once that is decided: this life for closed, one more for killed.
    over: AtomicU32,
}

impl Channel {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self {
                life: Life::vacant(0),
                refs: AtomicU32::new(0),
                group: AddressCell::nowhere(),
                received: Received::new(),
                bytes: Credit::new(),
                messages_limit: AtomicU32::new(0),
                bytes_limit: AtomicU32::new(0),
                handles_limit: AtomicU32::new(0),
                waiters_limit: AtomicU32::new(0),
                table: AtomicU32::new(0),
                waiting: AtomicU32::new(0),
                observers: Roster::new(),
                waiters: Roster::new(),
                over: AtomicU32::new(0),
            }
        }
    }

    /// Readies the channel for a mailbox. The caller holds its claim.
    pub(crate) fn open(&self, group: Address, table: u32, limits: MailboxLimits) {
        self.group.store(group);
        self.messages_limit.store(limits.messages, Relaxed);
        self.bytes_limit.store(limits.bytes, Relaxed);
        self.handles_limit.store(limits.handles, Relaxed);
        self.waiters_limit.store(limits.waiters, Relaxed);
        self.table.store(table, Relaxed);
        self.received.open();
        self.refs.store(1, Release); // Partner: `acquire`, by who comes late.
        let generation = self.life.begin(); // Releases all of the above.
        self.bytes.open(generation);
    }

    /// Decides why the route of this life is over, and returns how it was decided: who closes
    /// it and who kills it while it is closed ask for the one and the other, and tell all its
    /// observers the same.
    pub(crate) fn decide(&self, life: Generation, reason: DownReason) -> DownReason {
        if twin::is(Twin::DecidedTwice) {
            return reason;
        }
        debug_assert!(!life.is_multiple_of(2), "no life");
        let killed = life + 1;
        let to = if reason == DownReason::Killed { killed } else { life };
        let mut seen = self.over.load(Relaxed);
        // A later life than this one: it was closed long ago.
        while seen < life {
            match self.over.compare_exchange_weak(seen, to, Relaxed, Relaxed) {
                Ok(_) => seen = to,
                Err(now) => seen = now,
            }
        }
        if seen == killed { DownReason::Killed } else { DownReason::Closed }
    }

    /// Takes a reference, if there is one left.
    pub(crate) fn acquire(&self) -> bool {
        let mut refs = self.refs.load(Relaxed);
        while refs != 0 {
            match self.refs.compare_exchange_weak(refs, refs + 1, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(now) => refs = now,
            }
        }
        false
    }

    /// Counts a sender that is going to wait, if there may be one more.
    pub(crate) fn count_waiter(&self) -> bool {
        let limit = self.waiters_limit.load(Relaxed);
        let mut waiting = self.waiting.load(Relaxed);
        while waiting < limit {
            // Partner: whoever leaves the line.
            match self.waiting.compare_exchange_weak(waiting, waiting + 1, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(now) => waiting = now,
            }
        }
        false
    }

    /// Whether there is room for a message in the mailbox of `route`: a look.
    pub(crate) fn has_room(&self, route: &Route) -> bool {
        let used = route.credit.count(); // First: what was received by then is not more.
        has_room_ahead(used, self.received.count(), self.messages_limit.load(Relaxed))
    }

    /// The mailbox's limits, as they were given.
    pub(crate) fn limits(&self) -> MailboxLimits {
        MailboxLimits {
            messages: self.messages_limit.load(Relaxed),
            bytes: self.bytes_limit.load(Relaxed),
            handles: self.handles_limit.load(Relaxed),
            waiters: self.waiters_limit.load(Relaxed),
        }
    }
}

/// The limits that the words can count to.
pub(crate) fn clamp(limits: MailboxLimits) -> MailboxLimits {
    MailboxLimits {
        messages: limits.messages.min(MOST_CREDIT),
        bytes: limits.bytes.min(MOST_CREDIT),
        handles: limits.handles.min(MOST_SHARE),
        waiters: limits.waiters,
    }
}

impl Office {
    /// Gives a reference to the channel at `index` back; the last one frees it.
    pub(crate) fn release_channel(&self, index: u32) {
        // SAFETY: the caller has a reference, so the slot is claimed.
        let channel = unsafe { self.channels.slot(index) };
        // AcqRel: what each did with it is before the slot is given back.
        if channel.refs.fetch_sub(1, AcqRel) == 1 && !channel.life.is_spent() {
            self.channels.give_back(index);
        }
    }
}

impl Slot for Channel {
    fn vacant() -> Self {
        Self::new()
    }

    fn floor(&self) -> u32 {
        self.life.count()
    }

    fn raise(&self, floor: u32) {
        self.life.raise(floor);
    }

    const HOLDS_MEMORY: bool = true;

    fn reclaim(&self, pin: &Pin) {
        self.observers.clear(pin);
        self.waiters.clear(pin);
    }
}

const WAITING: Field = Field::lowest(1);
const COUNT: Field = Field::rest(WAITING);

/// Messages received so far, and whether a sender waits: [count | waiting].
///
/// One word, so that of a receive and a sender's decision to wait one is first:
/// either the receiver sees the flag, or the sender sees the room.
pub(crate) struct Received(AtomicUsize);

impl Received {
    const_fn! {
        const fn new() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    fn open(&self) {
        // A step, as those of who comes late. Partner: `count`.
        self.0.swap(0, Release);
    }

    /// Counts one more. Returns the count after it, and whether a sender waits.
    #[inline]
    pub(crate) fn one_more(&self) -> (u32, bool) {
        let before = self.0.fetch_add(COUNT.one(), AcqRel);
        (COUNT.get(before).wrapping_add(1) as u32, WAITING.get(before) == 1)
    }

    /// Counts one more where no sender may wait, so that only the owner writes:
    /// nobody's wait has to come before or after this. Returns the count.
    #[inline]
    pub(crate) fn one_more_unawaited(&self) -> u32 {
        let after = self.0.load(Relaxed).wrapping_add(COUNT.one());
        self.0.store(after, Release); // Partner: `count`.
        COUNT.get(after) as u32
    }

    /// Says that a sender waits, before it looks for room for the last time.
    pub(crate) fn await_room(&self) {
        self.0.fetch_or(WAITING.set(0, 1), AcqRel);
    }

    /// Says that none waits; who finds one after this says so again.
    pub(crate) fn await_nothing(&self) {
        self.0.fetch_and(!WAITING.set(0, 1), AcqRel);
    }

    /// Whether a sender waits, after a step that made room elsewhere. A step
    /// itself, so that of it and the waiting sender's one is first.
    pub(crate) fn is_awaited(&self) -> bool {
        WAITING.get(self.0.fetch_or(0, AcqRel)) == 1
    }

    /// Whether a sender waits, for the receiver, who will look again.
    #[inline(always)]
    pub(crate) fn has_waiting(&self) -> bool {
        WAITING.get(self.0.load(Relaxed)) == 1
    }

    pub(crate) fn count(&self) -> u32 {
        COUNT.get(self.0.load(Acquire)) as u32
    }
}
