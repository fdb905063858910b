//! Firing: what a death does with the monitors of a route. The downs are queued
//! in a first pass, and who waits for them is woken in a second (rule K3).
//!
//! # Progress
//! Lock-free; linear in the monitors of the route.

use super::DownReason;
use super::record::{AGAIN, FIRED, Firer, HELD, Monitor, QUEUED, Word};
use crate::life::Address;
use crate::mailbox::channel::Channel;
use crate::mailbox::head::{Element, Pushed, Queued};
use crate::office::Office;
use crate::panics::Panics;
use crate::reclaim::Pin;
use crate::twin::{self, Twin};

impl Office {
    /// Visits the records that may watch the route whose channel is `channel`.
    fn visit_watchers<'p>(
        &'p self,
        pin: &'p Pin,
        channel: &'p Channel,
        mut visit: impl FnMut(u32, &'p Monitor),
    ) {
        if self.is_fixed() {
            return self.monitors.visit(pin, visit);
        }
        channel.observers.visit(pin, |index| {
            if let Some(monitor) = self.monitors.peek(pin, index) {
                visit(index, monitor);
            }
        });
    }

    /// Fires the monitors of a route and queues their downs. The wake-ups are
    /// still owed, if there were any: `wake_observers`.
    pub(crate) fn fire_monitors(
        &self,
        pin: &Pin,
        observed: Address,
        channel: &Channel,
        reason: DownReason,
        by: Firer,
    ) -> bool {
        let mut has_fired = false;
        self.visit_watchers(pin, channel, |index, monitor| {
            let fires = monitor.fire(observed, reason, by);
            let again = !fires
                && by == Firer::Killer
                && !twin::is(Twin::FiredOnce)
                && monitor.fire_again(observed, by);
            if fires || again {
                has_fired = true;
                self.queue_down(Queued { record: index, again }, monitor);
            }
        });
        has_fired
    }

    /// Pushes a fired monitor on its observer's queue, or lets go of it if that is gone.
    pub(super) fn queue_down(&self, down: Queued, monitor: &Monitor) {
        let observer = monitor.observer.load();
        if let Some(route) = self.route(observer) {
            loop {
                let seen = route.head.look(); // First, as the commit rule says.
                if !route.life.is(observer.generation) {
                    break;
                }
                // SAFETY: fired by the caller, not pushed yet.
                unsafe { monitor.set_next(down.again, seen.newest()) };
                if let Some(pushed) = route.head.push_down(seen, Element::down(down)) {
                    // A sleeper is woken in the second pass, by `wake_observers`.
                    let (Pushed::Seen | Pushed::Sleeping) = pushed;
                    return;
                }
            }
        }
        // The observer closed: its owner ends all of its monitors, this one too.
        self.unqueue(down, monitor);
    }

    /// Lets go of a down that is in no queue.
    pub(super) fn unqueue(&self, down: Queued, monitor: &Monitor) {
        self.let_go_of_monitor(down.record, monitor, if down.again { AGAIN } else { QUEUED });
    }

    /// Wakes the observers of this route that are `by`'s to wake, and lets go of
    /// what was fired.
    pub(crate) fn wake_observers(
        &self,
        pin: &Pin,
        observed: Address,
        channel: &Channel,
        by: Waking,
        panics: &mut Panics,
    ) {
        self.visit_watchers(pin, channel, |index, monitor| {
            // Its addresses can change once nobody holds it, with the version.
            let seen = monitor.load();
            if !by.wakes(seen) || monitor.observed.load() != observed {
                return;
            }
            let observer = monitor.observer.load();
            let is_same = |word: Word| word.same_version(seen) && by.wakes(word);
            if !is_same(monitor.load()) {
                return;
            }
            // First: who finds nobody's hold any more leaves the observer asleep.
            if !twin::is(Twin::HoldLeftFirst) {
                self.wake_receiver(observer, panics);
            }
            let let_go = |word: Word| if by.lets_go(word) { word.set(HELD, 0) } else { word };
            let step = monitor.step(|word| is_same(word).then(|| let_go(word)));
            if step.is_ok_and(|(before, after)| before.is_held() && after.is_free()) {
                self.free_monitor(index, monitor);
            }
            if twin::is(Twin::HoldLeftFirst) {
                self.wake_receiver(observer, panics);
            }
        });
    }
}

/// On what occasion the observers of a route are woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waking {
    /// The killer's second pass.
    Killer,
    /// The route is closed: for a killer too, who may not find it any more.
    Closer,
    /// A killer that finds the route closed after its first pass: the closer may
    /// have been here before the downs were queued.
    LateKiller,
}

impl Waking {
    fn wakes(self, word: Word) -> bool {
        match self {
            Self::Killer => word.is_held_by_killer(),
            Self::Closer => {
                word.is_held() && !(word.is_held_by_killer() && twin::is(Twin::CloserKeepsHold))
            }
            Self::LateKiller => word.is_held_by_killer() || word.stage() == FIRED,
        }
    }

    fn lets_go(self, word: Word) -> bool {
        word.is_held_by_killer() || (self == Self::Closer && word.is_held())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::monitor::record::{OVER, STAGE};

    /// Who fires holds the record until it has woken its observer; a closer lets go for a
    /// killer, too, who may not find the route any more.
    #[test]
    fn each_wakes_for_what_it_may_have_to() {
        use Waking::{Closer, Killer, LateKiller};
        let armed = Monitor::new().load().armed();
        let killed = armed.fired(DownReason::Killed, Firer::Killer);
        let closed = armed.fired(DownReason::Closed, Firer::Closer);
        let over = closed.set(STAGE, OVER);
        for (word, wakes, lets_go) in [
            (armed, [false, false, false], [false, false, false]),
            (killed, [true, true, true], [true, true, true]),
            (closed, [false, true, true], [false, true, false]),
            (closed.set(HELD, 0), [false, false, true], [false, false, false]),
            (over.set(HELD, 0), [false, false, false], [false, false, false]),
            (over, [false, true, false], [false, true, false]),
        ] {
            assert_eq!([Killer, Closer, LateKiller].map(|who| who.wakes(word)), wakes);
            assert_eq!([Killer, Closer, LateKiller].map(|who| who.lets_go(word)), lets_go);
        }
    }
}
