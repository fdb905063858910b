//! Monitors: who is told when a route is over.
//!
//! A monitor is one record; its down is that same record, pushed on the
//! observer's queue like a message. So whatever a down needs is there from the
//! start (rule K6).
//!
//! # Progress
//! Lock-free; a fired monitor whose killer stops for ever stays held, no more.

mod fire;
mod record;

use crate::arena::Exhausted;
use crate::bits::Field;
use crate::cap::Reference;
use crate::cap::entry::By;
use crate::cap::granted::{Granted, Monitor as MayMonitor};
use crate::cap::handle::Handle;
use crate::cap::permissions::Permissions;
use crate::cap::view::View;
use crate::error::TableError;
use crate::index::{Family, LinkCell, mix};
use crate::mailbox::Mailbox;
use crate::mailbox::head::Queued;
use crate::office::Office;
use crate::panics::Panics;
use crate::reclaim::Pin;
use crate::sync::atomic::{
    Ordering::{Relaxed, SeqCst},
    fence,
};
use crate::twin::{self, Twin};
use core::fmt;

pub(crate) use fire::Waking;
use record::{FIRED, HELD, Key, LISTED, STAGE, Siblings, VACANT};
pub(crate) use record::{Firer, Monitor};

/// Why a route is over, as its observers are told.
///
/// ```
/// use flue_core::{DownReason, Permissions, PostOffice, Signal};
///
/// let office = PostOffice::new();
/// let (group, other) = (office.create_group()?, office.create_group()?);
/// let table = group.create_table()?;
/// let mut observer = group.create_mailbox(&table)?;
/// let watched = other.create_mailbox(&office.create_table()?)?;
/// let handle = table.insert(&watched.capability(Permissions::MONITOR))?;
/// table.monitor(handle, &observer)?;
/// other.kill();
/// let Signal::Down(down) = observer.try_recv()? else { unreachable!() };
/// assert_eq!(down.reason(), DownReason::Killed);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DownReason {
    /// Its mailbox was closed or dropped.
    Closed,
    /// Its group was killed.
    Killed,
    /// It was over before the monitor was set.
    Gone,
}

impl DownReason {
    const ALL: [Self; 3] = [Self::Closed, Self::Killed, Self::Gone];
}

/// Which of a mailbox's monitors: numbered for each mailbox from 1 on.
///
/// Whoever was given an id cannot tell from it what others do, and no number is
/// used twice for one mailbox.
///
/// ```
/// # use flue_core::{Permissions, PostOffice};
/// # let group = PostOffice::new().create_group()?;
/// # let table = group.create_table()?;
/// # let observer = group.create_mailbox(&table)?;
/// # let (one, two) = (group.create_mailbox(&table)?, group.create_mailbox(&table)?);
/// let first = one.capability(Permissions::MONITOR).monitor(&observer)?;
/// let second = two.capability(Permissions::MONITOR).monitor(&observer)?;
/// assert_eq!((first.number(), second.number()), (1, 2));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MonitorId {
    number: u64,
    record: u32,
}

impl MonitorId {
    /// The number: 1 for a mailbox's first monitor. See [`MonitorId`] for an example.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number
    }
}

impl fmt::Debug for MonitorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MonitorId").field(&self.number).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for MonitorId {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "MonitorId({=u64})", self.number);
    }
}

/// The office's monitors, as their index sees them.
struct Monitors<'o> {
    office: &'o Office,
    pin: &'o Pin,
}

impl Family for Monitors<'_> {
    type Record = Monitor;
    type Key = Key;

    fn record(&self, index: u32) -> Option<&Monitor> {
        self.office.monitors.peek(self.pin, index)
    }

    fn link(monitor: &Monitor) -> &LinkCell {
        &monitor.link
    }

    fn key(&self, monitor: &Monitor) -> Option<Key> {
        let key = monitor.key();
        monitor.load().is_pending().then_some(key)
    }

    fn hash(&self, key: Key) -> u32 {
        let (a, b) = (key.observer, key.observed);
        mix(self.office.seed(), &[a.index, a.generation, b.index, b.generation])
    }

    fn unlinked(&self, index: u32) {
        if let Some(monitor) = self.record(index)
            && monitor.let_go(LISTED)
        {
            self.office.free_monitor(index, monitor);
        }
    }
}

impl Office {
    /// Takes the record apart: no hold on it is left.
    fn free_monitor(&self, index: u32, monitor: &Monitor) {
        if let Some(position) = monitor.position.load(Relaxed).checked_sub(1) {
            let at = monitor.channel.load(Relaxed);
            // SAFETY: being on its roster is a reference to the channel.
            unsafe { self.channels.slot(at) }.observers.remove(position);
            self.release_channel(at);
        }
        let _ = monitor.step(|word| Some(word.set(STAGE, VACANT)));
        self.monitors.give_back(index);
    }

    fn let_go_of_monitor(&self, index: u32, monitor: &Monitor, hold: Field) {
        if monitor.let_go(hold) {
            self.free_monitor(index, monitor);
        }
    }
}

impl Mailbox {
    /// Watches the route that `granted` is a proof for; see `Table::monitor`.
    pub(crate) fn monitor(&self, granted: Granted<MayMonitor>) -> Result<MonitorId, TableError> {
        let office: &Office = self.post_office();
        if self.group().is_dead() {
            return Err(TableError::Dead);
        }
        let observed = granted.reference();
        let pin = office.pin();
        let monitors = Monitors { office, pin: &pin };
        let key = Key { observer: self.address(), observed: observed.route };
        if let Some(index) = office.monitor_index.find(&monitors, key)
            && let Some(monitor) = monitors.record(index)
        {
            // Only this owner ends its monitors, so it still is the one found.
            return Ok(MonitorId { number: monitor.number(), record: index });
        }
        let group = self.group().slot();
        if !group.monitors.charge(office.limits().monitors_per_group) {
            return Err(TableError::LimitReached);
        }
        let armed = self.arm(&pin, observed, key);
        armed.inspect_err(|_| group.monitors.repay())
    }

    /// Makes and arms the record; what it takes is charged already.
    fn arm(&self, pin: &Pin, observed: Reference, key: Key) -> Result<MonitorId, TableError> {
        let office: &Office = self.post_office();
        let view = self.table().view();
        let slot = view.reserve_own()?;
        let index = match office.monitors.claim() {
            Ok(index) => index,
            Err(refused) => {
                view.give_back_own(slot);
                return Err(match refused {
                    Exhausted::Limit => TableError::LimitReached,
                    Exhausted::Memory => TableError::OutOfMemory,
                });
            }
        };
        // SAFETY: claimed just now; not freed before it is over.
        let monitor = unsafe { office.monitors.slot(index) };
        let number = self.next_monitor_number();
        monitor.observed.store(observed.route);
        monitor.observed_group.store(observed.group);
        monitor.observer.store(key.observer);
        monitor.number[0].store((number >> u32::BITS) as u32, Relaxed); // Released by the step that arms it.
        monitor.number[1].store(number as u32, Relaxed);
        monitor.slot.store(slot, Relaxed);
        monitor.position.store(0, Relaxed);
        let channel = office.channel_of(pin, observed.route);
        if let Some((at, channel)) = channel
            && !office.is_fixed()
            && channel.acquire()
        {
            match channel.observers.add(index) {
                Ok(position) => {
                    monitor.channel.store(at, Relaxed);
                    monitor.position.store(position + 1, Relaxed);
                }
                Err(_) => {
                    office.release_channel(at);
                    office.monitors.give_back(index);
                    view.give_back_own(slot);
                    return Err(TableError::OutOfMemory);
                }
            }
        }
        self.adopt(index, monitor);
        // Over already: fired from the start, so that nobody else says why (rule K5).
        let was_over = !office.is_open(observed.route, observed.group);
        let _ = monitor.step(|word| {
            let armed = word.armed().set(LISTED, 1);
            Some(if was_over { armed.fired(DownReason::Gone, Firer::Closer) } else { armed })
        });
        office.spread(&office.monitor_index, office.monitors.live());
        let listed = office.monitor_index.insert(&Monitors { office, pin }, key, index, || {});
        debug_assert!(listed.is_ok(), "only the owner adds its monitors, and it looked");
        // Announced; now look whether it was too late. Partner: the fence of
        // whoever ends the route, before it walks the roster.
        if !twin::is(Twin::MonitorUnfenced) {
            fence(SeqCst);
        }
        let is_late =
            !office.is_open(observed.route, observed.group) && !twin::is(Twin::MonitorUnchecked);
        let by = Firer::Closer;
        let fires = was_over || (is_late && monitor.fire(observed.route, DownReason::Gone, by));
        // Fired by who closes the route, and may have stopped before the push: a killer that
        // has passed this monitor left it to us (rule K3).
        let leaves_it = !fires && is_late && !twin::is(Twin::LateFiredOnce);
        let again = leaves_it && monitor.fire_again(observed.route, by);
        if fires || again {
            office.queue_down(Queued { record: index, again }, monitor);
            if fires {
                office.let_go_of_monitor(index, monitor, HELD);
            }
            // The owner may have a task that waits to receive.
            let mut panics = Panics::new();
            office.wake_receiver(key.observer, &mut panics);
            panics.resume();
        }
        Ok(MonitorId { number, record: index })
    }

    /// Puts a new monitor on the list of this mailbox's.
    fn adopt(&self, index: u32, monitor: &Monitor) {
        let first = self.first_monitor();
        // SAFETY: `siblings` is this owner's, who is here.
        monitor.siblings.with_mut(|s| unsafe { *s = Siblings { before: 0, after: first } });
        self.relate(first, |siblings| siblings.before = index + 1);
        self.set_first_monitor(index + 1);
    }

    /// Takes a monitor off that list, and repays its charge.
    fn disown(&self, monitor: &Monitor) {
        // SAFETY: `siblings` is this owner's, who is here.
        let Siblings { before, after } = monitor.siblings.with(|s| unsafe { *s });
        if before == 0 {
            self.set_first_monitor(after);
        } else {
            self.relate(before, |siblings| siblings.after = after);
        }
        self.relate(after, |siblings| siblings.before = before);
        self.group().slot().monitors.repay();
    }

    fn relate(&self, index: u32, change: impl FnOnce(&mut Siblings)) {
        if let Some(index) = index.checked_sub(1) {
            // SAFETY: on the list, so not over and its slot claimed.
            let monitor = unsafe { self.post_office().monitors.slot(index) };
            // SAFETY: `siblings` is this owner's, who is here.
            monitor.siblings.with_mut(|s| change(unsafe { &mut *s }));
        }
    }

    /// Removes a monitor. `true`: it was armed, or its down not yet received;
    /// now none of it is ever received.
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice, TryRecvError};
    /// # let office = PostOffice::new();
    /// # let group = office.create_group()?;
    /// # let table = group.create_table()?;
    /// # let mut observer = group.create_mailbox(&table)?;
    /// # let watched = group.create_mailbox(&table)?;
    /// let id = table.monitor(watched.export(Permissions::MONITOR)?, &observer)?;
    /// watched.close();
    /// assert!(observer.demonitor(id));
    /// assert_eq!(observer.try_recv().unwrap_err(), TryRecvError::Empty);
    /// assert!(!observer.demonitor(id));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Cost
    /// [A search](crate#what-operations-cost) of the office's monitors; no memory. If its
    /// down was queued, also a share of a walk over what waits: constant on average, but in
    /// static storage each such call walks.
    ///
    /// # Progress
    /// Lock-free.
    pub fn demonitor(&mut self, id: MonitorId) -> bool {
        let office: &Office = self.post_office();
        let pin = office.pin();
        let Some(monitor) = office.monitors.peek(&pin, id.record) else { return false };
        let before = monitor.load();
        let ours = monitor.observer.load() == self.address() && monitor.number() == id.number;
        let after = monitor.load();
        // Only this owner ends its monitors: if it is ours and not over, it stays so.
        if !ours || !after.is_pending() || !after.same_version(before) {
            return false;
        }
        let had_fired = self.end_monitor(&pin, monitor);
        drop(pin);
        let is_queued = had_fired && (after.stage() == FIRED || !twin::is(Twin::FiredUncounted));
        if is_queued {
            self.count_removed();
        }
        true
    }

    /// Ends one of this mailbox's monitors that is not over. Whether it had fired.
    fn end_monitor(&self, pin: &Pin, monitor: &Monitor) -> bool {
        let office: &Office = self.post_office();
        let key = monitor.key();
        self.disown(monitor);
        self.table().view().give_back_own(monitor.slot.load(Relaxed));
        let had_fired = monitor.end(); // Perhaps freed from here on, by who passes it in the index.
        office.monitor_index.settle(&Monitors { office, pin }, key);
        had_fired
    }

    /// Ends all of this mailbox's monitors: it is closed.
    pub(crate) fn end_monitors(&self, pin: &Pin) {
        while let Some(index) = self.first_monitor().checked_sub(1) {
            // SAFETY: on the list, so not over and its slot claimed.
            let monitor = unsafe { self.post_office().monitors.slot(index) };
            let _ = self.end_monitor(pin, monitor);
        }
    }

    /// Whether the down at `index` of the queue is still to be received.
    pub(crate) fn is_down_current(&self, index: u32) -> bool {
        // SAFETY: queued, and so held, until `unqueue`.
        unsafe { self.post_office().monitors.slot(index) }.load().stage() == FIRED
    }

    /// Receives the down at `index` of the queue, unless it was removed.
    pub(crate) fn receive_down(&self, index: u32, panics: &mut Panics) -> Option<ReceivedDown> {
        let office: &Office = self.post_office();
        // SAFETY: queued, and so held, until `unqueue`.
        let monitor = unsafe { office.monitors.slot(index) };
        let word = monitor.load();
        if word.stage() != FIRED {
            return None;
        }
        let pin = office.pin();
        let key = monitor.key();
        let reference = Reference {
            route: key.observed,
            group: monitor.observed_group.load(),
            permissions: Permissions::empty(),
        };
        let (view, slot): (View<'_>, u32) = (self.table().view(), monitor.slot.load(Relaxed));
        let down = ReceivedDown {
            id: MonitorId { number: monitor.number(), record: index },
            reason: word.reason(),
            handle: view.admit_own(slot, reference, By::Guard, panics),
        };
        self.disown(monitor);
        let _ = monitor.end();
        office.monitor_index.settle(&Monitors { office, pin: &pin }, key);
        Some(down)
    }

    /// Lets go of a down that was taken off the queue.
    pub(crate) fn unqueue_down(&self, down: Queued) {
        let office: &Office = self.post_office();
        // SAFETY: queued, and so held, until the step that follows.
        office.unqueue(down, unsafe { office.monitors.slot(down.record) });
    }
}

/// A down, as it was received.
#[derive(Clone, Copy)]
pub(crate) struct ReceivedDown {
    pub(crate) id: MonitorId,
    pub(crate) reason: DownReason,
    pub(crate) handle: Handle,
}

impl ReceivedDown {
    /// Stands where no down was received yet.
    pub(crate) const NONE: Self = Self {
        id: MonitorId { number: 0, record: 0 },
        reason: DownReason::Gone,
        handle: Handle::new(0, 1),
    };
}
