//! Death: what follows from the end of a group or a route.
//!
//! A group is dead by one step on one word. Whose step it was walks what hangs
//! from the group, in two passes: first all downs and all deaths that links
//! pass on, then all wake-ups (rule K3). Groups to be walked are a list through
//! their own slots, so a chain of any length needs no memory and no stack.
//!
//! ```text
//!  kill ─► Dead ─► list ─► downs of its routes ─► links: other ends Dead ─► list ...
//!                    └──► (second pass) receivers, waiting senders, observers
//! ```
//!
//! Downs of a group are queued before the groups that it takes along die, so an
//! observer of both sees them in that order (rule K8).
//!
//! # Progress
//! Lock-free. A killer that stops for ever leaves undone what it had not
//! reached, and blocks nobody: each group and each monitor is claimed by one
//! step, and what is not claimed somebody else may claim.

use crate::cap::granted::{Granted, Kill as MayKill};
use crate::error::TableError;
use crate::life::{Address, Ended};
use crate::monitor::{DownReason, Firer, Waking};
use crate::office::Office;
use crate::panics::Panics;
use crate::reclaim::Pin;
use crate::sync::MODEL;
use crate::sync::atomic::{
    Ordering::{Acquire, Relaxed, SeqCst},
    fence,
};
use crate::twin::{self, Twin};

/// The groups of one cascade: a list through their slots, in the order of
/// their deaths. Each is held by a reference until the list is done.
struct Dying<'o> {
    office: &'o Office,
    first: u32,
    last: u32,
}

/// Routes, and their channels, that were closed while their downs were being queued: the
/// second pass would not find them. Beyond so many their observers are woken at once.
type Late = heapless::Vec<(Address, u32), LATE>;
/// None in the models of narrow words, so that models see both ways.
const LATE: usize = if MODEL && cfg!(flue_word = "32") { 0 } else { 8 };

/// Ends the list; no slot's index.
const NONE: u32 = u32::MAX;

impl<'o> Dying<'o> {
    fn new(office: &'o Office) -> Self {
        Self { office, first: NONE, last: NONE }
    }

    /// Kills `group`, and if this call's step decided it, lists it.
    fn kill(&mut self, address: Address) {
        let Some(group) = self.office.acquire(address) else { return };
        if group.life.end(address.generation) != Ended::Now {
            return self.office.release(address.index);
        }
        group.next_dead.store(NONE, Relaxed); // Ours: whose step it was.
        if self.last == NONE {
            self.first = address.index;
        } else {
            // SAFETY: listed, so we have a reference to it.
            unsafe { self.office.groups.slot(self.last) }.next_dead.store(address.index, Relaxed);
        }
        self.last = address.index;
    }

    /// The address that the listed group at `index` had, and the next one's index.
    fn at(&self, index: u32) -> (Address, u32) {
        // SAFETY: listed, so we have a reference to it.
        let group = unsafe { self.office.groups.slot(index) };
        let generation = group.life.count().wrapping_sub(1); // Dead by our step.
        (Address { index, generation }, group.next_dead.load(Relaxed))
    }
}

impl Office {
    /// Kills the group and every one that links pass its death on to.
    pub(crate) fn kill(&self, group: Address) {
        let mut dying = Dying::new(self);
        let (mut late, mut panics) = (Late::new(), Panics::new());
        dying.kill(group);
        let pin = self.pin();
        let mut at = dying.first;
        while at != NONE {
            let (group, _) = dying.at(at);
            if !twin::is(Twin::KillUnfenced) {
                fence(SeqCst); // Partner: whoever announces a monitor, a link or a wait, then looks.
            }
            self.each_route(&pin, group, |route, channel| {
                if self.kill_route(&pin, route, channel)
                    && let Err((route, channel)) = late.push((route, channel))
                {
                    self.wake_observers(&pin, route, channel, Waking::LateKiller, &mut panics);
                }
            });
            self.cut_links(&pin, group, |other| dying.kill(other));
            at = dying.at(at).1;
        }
        for (route, channel) in late {
            self.wake_observers(&pin, route, channel, Waking::LateKiller, &mut panics);
        }
        drop(pin);
        self.bury(dying.first, panics);
    }

    /// Queues the downs of one route of a dead group. Whether it is closed by now, and
    /// its closer may have come too early to wake the observers.
    fn kill_route(&self, pin: &Pin, route: Address, channel: u32) -> bool {
        if !self.fire_monitors(pin, route, channel, DownReason::Killed, Firer::Killer) {
            return false;
        }
        // Either the closer sees what is held here, or we see that it is closed.
        if !twin::is(Twin::KilledRouteUnfenced) {
            fence(SeqCst); // Partner: the closer, who ends the route, then looks.
        }
        let is_closed = self.route(route).is_none_or(|slot| !slot.life.is(route.generation));
        is_closed && !twin::is(Twin::KilledRouteUnchecked)
    }

    /// The second pass: wakes whoever waits for what happened in the first.
    fn bury(&self, first: u32, mut panics: Panics) {
        let mut at = first;
        while at != NONE {
            let (group, next) = Dying { office: self, first, last: NONE }.at(at);
            let pin = self.pin();
            self.each_route(&pin, group, |route, channel| {
                self.wake_receiver(route, &mut panics);
                self.wake_senders(&pin, route, channel, &mut panics);
                self.wake_observers(&pin, route, channel, Waking::Killer, &mut panics);
            });
            drop(pin);
            self.release(at);
            at = next;
        }
        panics.resume();
    }

    /// Calls `visit` with each route of the group that is open, and its channel.
    fn each_route(&self, pin: &Pin, group: Address, mut visit: impl FnMut(Address, u32)) {
        let mut visit = |index: u32| {
            // SAFETY: it was on the roster or is in a fixed arena, so it was
            // claimed once, and routes' slots are never retired.
            let route = unsafe { self.routes.slot(index) };
            let Some(generation) = route.life.living() else { return };
            let at = route.channel.load(Acquire);
            let of = self.channels.peek(pin, at).map(|channel| channel.group.load());
            // Still open: then the channel was this route's when it was read.
            if of == Some(group) && route.life.is(generation) {
                visit(Address { index, generation }, at);
            }
        };
        if self.is_fixed() {
            return self.routes.visit(pin, |index, _| visit(index));
        }
        if let Some(slot) = self.group(group) {
            slot.route_roster.visit(pin, visit);
        }
    }

    /// Kills the group of a capability's route (rule K1).
    pub(crate) fn kill_through(&self, granted: Granted<MayKill>) -> Result<(), TableError> {
        let reference = granted.reference();
        // The route first: if it is over and the group lives after that, the
        // authority had ended with the route.
        let is_open =
            self.route(reference.route).is_some_and(|r| r.life.is(reference.route.generation));
        if !is_open && self.is_living(reference.group) {
            return Err(TableError::Closed);
        }
        self.kill(reference.group);
        Ok(())
    }
}
