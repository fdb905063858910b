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
//! observer of both sees them in that order (rule K8). Who links with a group that is dying
//! kills its own at once (rule L2), and leaves what follows from that to the other's killer,
//! as if the link had been there before: its *heirs* are on the killer's list next. A killer
//! that is past that has queued the downs.
//!
//! A group that another call has killed is that call's to walk, with all that it alone
//! reaches (rule K3).
//!
//! # Progress
//! Lock-free. A killer that stops for ever leaves undone what it had not
//! reached, and blocks nobody: each group and each monitor is claimed by one
//! step, and what is not claimed somebody else may claim.

use crate::cap::granted::{Granted, Kill as MayKill};
use crate::error::TableError;
use crate::group::Group;
use crate::life::{Address, Ended};
use crate::mailbox::channel::Channel;
use crate::monitor::{DownReason, Firer, Waking};
use crate::office::Office;
use crate::panics::Panics;
use crate::reclaim::Pin;
use crate::roster::Roster;
use crate::route::Route;
use crate::sync::MODEL;
use crate::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
    fence,
};
use crate::sync::const_fn;
use crate::twin::{self, Twin};

/// The groups of one cascade: a list through their slots, in the order of
/// their deaths. Each is held by a reference until the list is done.
struct Dying<'o> {
    office: &'o Office,
    first: u32,
    last: u32,
}

/// A route that was open when it was looked at, and what it consists of.
#[derive(Clone, Copy)]
struct Open<'p> {
    address: Address,
    route: &'p Route,
    channel: &'p Channel,
}

/// Routes that were closed while their downs were being queued: the second pass would
/// not find them. Beyond so many their observers are woken at once.
type Late<'p> = heapless::Vec<Open<'p>, LATE>;
/// None in the models of narrow words, so that models see both ways.
const LATE: usize = if MODEL && cfg!(flue_word = "32") { 0 } else { 8 };

/// Ends a list; no slot's index.
const NONE: u32 = u32::MAX;

/// The groups that a dead one takes along though they were not linked with it: a list through
/// their slots, which its killer takes once.
pub(crate) struct Heirs(AtomicU32);

/// Its killer has taken the list: who comes now walks by itself.
const TAKEN: u32 = NONE - 1;

impl Heirs {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self(AtomicU32::new(NONE))
        }
    }

    /// None so far. For the claimant of the slot.
    pub(crate) fn reset(&self) {
        self.0.store(NONE, Relaxed); // Released by the life that begins.
    }

    /// Adds a group that the caller has killed, with its reference. `false`: too late.
    fn add(&self, index: u32, heir: &Group) -> bool {
        // Acquire: if it is too late, the downs that were queued before.
        let mut first = self.0.load(Acquire);
        while first != TAKEN {
            heir.next_dead.store(first, Relaxed);
            // Release: for `take`, what was just stored.
            match self.0.compare_exchange_weak(first, index, Release, Acquire) {
                Ok(_) => return true,
                Err(now) => first = now,
            }
        }
        false
    }

    /// Takes the list, and closes it.
    fn take(&self) -> u32 {
        self.0.swap(TAKEN, AcqRel) // Partner: `add`.
    }
}

impl<'o> Dying<'o> {
    fn new(office: &'o Office) -> Self {
        Self { office, first: NONE, last: NONE }
    }

    /// Kills `group`, and if this call's step decided it, lists it.
    fn kill(&mut self, address: Address) {
        if self.office.end_group(address).is_some() {
            self.list(address.index);
        }
    }

    /// Lists a dead group, to which the list has a reference.
    fn list(&mut self, index: u32) {
        // SAFETY: listed, so we have a reference to it; its walk is ours.
        let group = |index| unsafe { self.office.groups.slot(index) };
        group(index).next_dead.store(NONE, Relaxed);
        if self.last == NONE {
            self.first = index;
        } else {
            group(self.last).next_dead.store(index, Relaxed);
        }
        self.last = index;
    }

    /// Lists the heirs of a listed group, of which the downs are queued.
    fn list_heirs(&mut self, of: Address) {
        let Some(group) = self.office.group(of) else { return };
        let mut heir = group.heirs.take();
        while heir != NONE {
            // SAFETY: an heir, with a reference, which is the list's now.
            let next = unsafe { self.office.groups.slot(heir) }.next_dead.load(Relaxed);
            self.list(heir);
            heir = next;
        }
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
    /// Ends a group's life, if it lives: then the caller has a reference to it, and owes
    /// what follows.
    fn end_group(&self, address: Address) -> Option<&Group> {
        let group = self.acquire(address)?;
        if group.life.end(address.generation) != Ended::Now {
            self.release(address.index);
            return None;
        }
        Some(group)
    }

    /// Kills the group and every one that links pass its death on to.
    pub(crate) fn kill(&self, group: Address) {
        let mut dying = Dying::new(self);
        dying.kill(group);
        self.walk(dying);
    }

    /// Kills a group that is to be linked with a dead one, to which the caller has a
    /// reference.
    pub(crate) fn kill_with(&self, group: Address, dead: &Group) {
        let Some(heir) = self.end_group(group) else { return };
        if !twin::is(Twin::HeirWalked) && dead.heirs.add(group.index, heir) {
            return;
        }
        let mut dying = Dying::new(self);
        dying.list(group.index);
        self.walk(dying);
    }

    /// Does what follows from the deaths of the groups that are listed.
    fn walk(&self, mut dying: Dying<'_>) {
        let (mut panics, mut is_awaited) = (Panics::new(), false);
        {
            let pin = self.pin();
            let mut late = Late::new();
            let mut at = dying.first;
            while at != NONE {
                let (group, _) = dying.at(at);
                if !twin::is(Twin::KillUnfenced) {
                    fence(SeqCst); // Partner: whoever announces a monitor, a link or a wait, then looks.
                }
                self.each_route(&pin, group, |open| {
                    let is_late = self.kill_route(&pin, open);
                    // After it: what it fired, it holds, and so is still listed.
                    is_awaited |= self.is_awaited(open);
                    if is_late && let Err(open) = late.push(open) {
                        self.wake_late(&pin, open, &mut panics);
                    }
                });
                // What is not in a roster any more somebody else has seen to, and that is before
                // what follows here. Partner: `Roster::remove`.
                fence(Acquire);
                self.cut_links(&pin, group, |other| dying.kill(other));
                dying.list_heirs(group);
                at = dying.at(at).1;
            }
            for &open in &late {
                self.wake_late(&pin, open, &mut panics);
            }
        }
        self.bury(dying.first, is_awaited, panics);
    }

    /// Queues the downs of one route of a dead group. Whether it is closed by now, and
    /// its closer may have come too early to wake the observers.
    fn kill_route(&self, pin: &Pin, Open { address, route, channel }: Open<'_>) -> bool {
        let has_fired = self.may_list(&channel.observers)
            && self.fire_monitors(pin, address, channel, DownReason::Killed, Firer::Killer);
        if !has_fired {
            return false;
        }
        // Either the closer sees what is held here, or we see that it is closed.
        if !twin::is(Twin::KilledRouteUnfenced) {
            fence(SeqCst); // Partner: the closer, who ends the route, then looks.
        }
        !route.life.is(address.generation) && !twin::is(Twin::KilledRouteUnchecked)
    }

    /// Wakes the observers of a route that was closed before all its downs were queued.
    fn wake_late(&self, pin: &Pin, open: Open<'_>, panics: &mut Panics) {
        self.wake_observers(pin, open.address, open.channel, Waking::LateKiller, panics);
    }

    /// The second pass: wakes whoever waits for what happened in the first. Nobody
    /// does if nobody did then: who comes later sees the death.
    fn bury(&self, first: u32, is_awaited: bool, mut panics: Panics) {
        let mut at = first;
        while at != NONE {
            let (group, next) = Dying { office: self, first, last: NONE }.at(at);
            if is_awaited {
                let pin = self.pin();
                self.each_route(&pin, group, |Open { address, route, channel }| {
                    if route.wake.is_present() {
                        self.call_receiver(address.index, route, &mut panics);
                    }
                    self.wake_senders(&pin, address, channel, &mut panics);
                    self.wake_observers(&pin, address, channel, Waking::Killer, &mut panics);
                });
            }
            self.release(at);
            at = next;
        }
        panics.resume();
    }

    /// Whether somebody may wait for the end of a route of a dead group, or watch it. Who
    /// announces that after the kill's fence sees the death.
    fn is_awaited(&self, Open { route, channel, .. }: Open<'_>) -> bool {
        route.wake.is_present()
            || self.may_list(&channel.waiters)
            || self.may_list(&channel.observers)
    }

    /// Whether there is somebody to be walked; offices without rosters walk all there are.
    #[inline]
    fn may_list(&self, roster: &Roster) -> bool {
        self.is_fixed() || !roster.is_idle()
    }

    /// Calls `visit` with each route of the group that is open.
    fn each_route<'p>(&'p self, pin: &'p Pin, group: Address, mut visit: impl FnMut(Open<'p>)) {
        let mut visit = |index: u32| {
            // SAFETY: it was on the roster or is in a fixed arena, so it was
            // claimed once, and routes' slots are never retired.
            let route = unsafe { self.routes.slot(index) };
            let Some(generation) = route.life.living() else { return };
            let Some(channel) = self.channels.peek(pin, route.channel.load(Acquire)) else {
                return;
            };
            // Still open: then the channel was this route's when it was read.
            if channel.group.load() == group && route.life.is(generation) {
                visit(Open { address: Address { index, generation }, route, channel });
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
