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
//! A group that another call has killed is that call's to walk, with all that it alone
//! reaches (rule K3). A mailbox that is being closed is walked as the others are until its
//! closer is done, who may have stopped: each down and each wake is one of the two's.
//!
//! # Progress
//! Lock-free. A killer that stops for ever leaves undone what it had not
//! reached, and blocks nobody: each group and each monitor is claimed by one
//! step, and what is not claimed somebody else may claim.

use crate::cap::granted::{Granted, Kill as MayKill};
use crate::error::TableError;
use crate::life::{Address, Ended, Generation};
use crate::mailbox::channel::Channel;
use crate::monitor::{DownReason, Firer, Waking};
use crate::office::Office;
use crate::panics::Panics;
use crate::reclaim::Pin;
use crate::roster::Roster;
use crate::route::Route;
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

/// A route that was open when it was looked at, or not done with by who closes it: that one
/// may have stopped. And what it consists of.
#[derive(Clone, Copy)]
struct Standing<'p> {
    address: Address,
    route: &'p Route,
    channel: &'p Channel,
    /// The channel's life.
    life: Generation,
}

/// Routes that were closed when their downs were queued: the second pass may not find
/// them. Beyond so many their observers are woken at once.
type Late<'p> = heapless::Vec<Standing<'p>, LATE>;
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
        Panics::after(|panics| self.kill_amid(group, panics));
    }

    /// The same, in the middle of something.
    pub(crate) fn kill_amid(&self, group: Address, panics: &mut Panics) {
        let mut dying = Dying::new(self);
        let mut is_awaited = false;
        dying.kill(group);
        {
            let pin = self.pin();
            let mut late = Late::new();
            let mut at = dying.first;
            while at != NONE {
                let (group, _) = dying.at(at);
                if !twin::is(Twin::KillUnfenced) {
                    fence(SeqCst); // Partner: whoever announces a monitor, a link or a wait, then looks.
                }
                self.each_route(&pin, group, |standing| {
                    let is_late = self.kill_route(&pin, standing);
                    // After it: what it fired, it holds, and so is still listed.
                    is_awaited |= self.is_awaited(standing);
                    if is_late && let Err(standing) = late.push(standing) {
                        self.wake_late(&pin, standing, panics);
                    }
                });
                // What is not in a roster any more somebody else has seen to, and that is before
                // what follows here. Partner: `Roster::remove`.
                fence(Acquire);
                self.cut_links(&pin, group, |other| dying.kill(other));
                at = dying.at(at).1;
            }
            for &standing in &late {
                self.wake_late(&pin, standing, panics);
            }
        }
        self.bury(dying.first, is_awaited, panics);
    }

    /// Queues the downs of one route of a dead group. Whether it is closed by now, and
    /// its closer may have come too early to wake the observers.
    fn kill_route(&self, pin: &Pin, standing: Standing<'_>) -> bool {
        let Standing { address, route, channel, life } = standing;
        if !self.may_list(&channel.observers) {
            return false;
        }
        let reason = channel.decide(life, DownReason::Killed);
        if !self.fire_monitors(pin, address, channel, reason, Firer::Killer) {
            return false;
        }
        // Either the closer sees what is held here, or we see that it is closed. Their steps
        // of the monitor's word say so already, but of one that was armed meanwhile.
        fence(SeqCst); // Partner: the closer, who ends the route, then looks.
        !route.life.is(address.generation) && !twin::is(Twin::KilledRouteUnchecked)
    }

    /// Wakes the observers of a route that was closed before all its downs were queued.
    fn wake_late(&self, pin: &Pin, of: Standing<'_>, panics: &mut Panics) {
        self.wake_observers(pin, of.address, of.channel, Waking::LateKiller, panics);
    }

    /// The second pass: wakes whoever waits for what happened in the first. Nobody
    /// does if nobody did then: who comes later sees the death.
    fn bury(&self, first: u32, is_awaited: bool, panics: &mut Panics) {
        let mut at = first;
        while at != NONE {
            let (group, next) = Dying { office: self, first, last: NONE }.at(at);
            if is_awaited {
                let pin = self.pin();
                self.each_route(&pin, group, |Standing { address, route, channel, .. }| {
                    if route.wake.is_present() {
                        self.call_receiver(address.index, route, panics);
                    }
                    self.wake_senders(&pin, address, channel, panics);
                    self.wake_observers(&pin, address, channel, Waking::Killer, panics);
                });
            }
            self.release(at);
            at = next;
        }
    }

    /// Whether somebody may wait for the end of a route of a dead group, or watch it. Who
    /// announces that after the kill's fence sees the death.
    fn is_awaited(&self, Standing { route, channel, .. }: Standing<'_>) -> bool {
        route.wake.is_present()
            || self.may_list(&channel.waiters)
            || self.may_list(&channel.observers)
    }

    /// Whether there is somebody to be walked; offices without rosters walk all there are.
    #[inline]
    fn may_list(&self, roster: &Roster) -> bool {
        self.is_fixed() || !roster.is_idle()
    }

    /// Calls `visit` with each route of the group that is open, or whose closer is not done.
    fn each_route<'p>(&'p self, pin: &'p Pin, group: Address, mut visit: impl FnMut(Standing<'p>)) {
        let mut visit = |index: u32| {
            // SAFETY: it was on the roster or is in a fixed arena, so it was
            // claimed once, and routes' slots are never retired.
            let route = unsafe { self.routes.slot(index) };
            let generation = route.life.latest();
            if twin::is(Twin::ClosedPassedOver) && !route.life.is(generation) {
                return;
            }
            let at = route.channel.load(Acquire);
            let Some(channel) = self.channels.peek(pin, at) else { return };
            // Who closes the route ends the channel's life when all is done.
            let Some(life) = channel.life.living() else { return };
            // Still the same: then the channel was this route's when it was read. One that is
            // closed gives its channel up before another mailbox has it; and it may be made
            // anew: then its credit is the next one's before it has a channel again.
            let is_same = channel.group.load() == group
                && channel.life.is(life)
                && route.channel.load(Acquire) == at
                && route.credit.is_of(generation)
                && route.life.latest() == generation;
            if is_same {
                visit(Standing { address: Address { index, generation }, route, channel, life });
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
