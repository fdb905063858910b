//! Models of monitors: each ends exactly once, and its down is never lost.
#![cfg(loom)]

use flue_core::{
    DownReason, Mailbox, MonitorId, Permissions, PostOffice, RouteGroup, Signal, Table,
    TryRecvError,
};
use loom::sync::atomic::{AtomicBool, Ordering::SeqCst};
use loom_tests::{Flag, Parker, block_on, model, office, room, thread};
use std::sync::Arc;
use std::task::Context;

/// An observer in a table of the host's, and a mailbox of another group.
fn pair(office: &PostOffice) -> (Mailbox, Mailbox, Table) {
    let table = office.create_table().unwrap();
    let of = |group: RouteGroup| group.create_mailbox_with(&table, room(2)).unwrap();
    let (observer, watched) =
        (of(office.create_group().unwrap()), of(office.create_group().unwrap()));
    (observer, watched, table)
}

fn monitor(watched: &Mailbox, observer: &Mailbox) -> MonitorId {
    watched.capability(Permissions::MONITOR).monitor(observer).unwrap()
}

/// Puts the observer's task to sleep. Whether it was woken.
fn asleep(observer: &mut Mailbox) -> Arc<Flag> {
    let woken = Flag::new();
    assert!(observer.poll_ready(&mut Context::from_waker(&woken.waker())).is_pending());
    woken
}

/// The next down, if there is one.
fn down(observer: &mut Mailbox) -> Option<(MonitorId, DownReason)> {
    match observer.try_recv() {
        Ok(Signal::Down(down)) => Some((down.monitor(), down.reason())),
        Ok(signal) => panic!("not a down: {signal:?}"),
        Err(TryRecvError::Empty) => None,
        Err(error) => panic!("{error:?}"),
    }
}

model! {
    /// Rules K6 and K7: a monitor is set while its route's group dies: exactly
    /// one down. The monitor is armed, then the route is looked at; the killer
    /// ends the group, then looks for monitors; a fence between each.
    fn monitor_races_kill() {
        let office = office();
        let (mut observer, watched, _table) = pair(&office);
        let killer = thread::spawn({
            let group = watched.group().clone();
            move || group.kill()
        });
        let id = monitor(&watched, &observer);
        killer.join().unwrap();
        let first = down(&mut observer);
        let (seen, reason) = first.expect("no down");
        assert!(seen == id && reason != DownReason::Closed, "{reason:?}");
        assert_eq!(down(&mut observer), None, "a second down");
        assert_eq!(office.stats().monitors, 0, "held by a killer that is done");
        drop((watched, observer));
    }
    twin fails_unfenced: MonitorUnfenced says "no down";
    twin fails_unfenced_killer: KillUnfenced says "no down";
    /// A monitor that does not look at the route once it is armed.
    twin fails_unchecked: MonitorUnchecked says "no down";
}

model! {
    /// Rule K7: a monitor is set while its route is closed.
    fn monitor_races_close() {
        let office = office();
        let (mut observer, watched, _table) = pair(&office);
        let watch = watched.capability(Permissions::MONITOR);
        let closer = thread::spawn_once(move || watched.close());
        let id = watch.monitor(&observer).unwrap();
        closer.join().unwrap();
        let (seen, reason) = down(&mut observer).expect("no down");
        assert!(seen == id && reason != DownReason::Killed, "{reason:?}");
        assert_eq!(down(&mut observer), None, "a second down");
        drop(observer);
        assert_eq!(office.stats().monitors, 0, "left over");
    }
    twin fails_unfenced: MonitorUnfenced says "no down";
    twin fails_unfenced_closer: CloseUnfenced says "no down";
}

model! {
    /// Rule K6: the route is closed and its group killed at once: one down.
    fn close_races_kill() {
        let office = office();
        let (mut observer, watched, _table) = pair(&office);
        let id = monitor(&watched, &observer);
        let killer = thread::spawn({
            let group = watched.group().clone();
            move || group.kill()
        });
        watched.close();
        let first = down(&mut observer);
        killer.join().unwrap();
        let (seen, _) = first.or_else(|| down(&mut observer)).expect("no down");
        assert_eq!(seen, id);
        assert_eq!(down(&mut observer), None, "a second down");
        drop(observer);
        assert_eq!(office.stats().monitors, 0, "left over");
    }
}

model! {
    /// Rule K7: once `demonitor` returned `true` no down of it is received.
    fn demonitor_races_kill() {
        let office = office();
        let (mut observer, watched, table) = pair(&office);
        let id = monitor(&watched, &observer);
        let killer = thread::spawn(move || watched.group().kill());
        assert!(observer.demonitor(id), "neither removed nor received before");
        assert_eq!(down(&mut observer), None, "a down that was removed");
        killer.join().unwrap();
        assert_eq!(down(&mut observer), None, "a down that was removed");
        drop(observer);
        assert_eq!((office.stats().monitors, table.len()), (0, 0), "left over");
    }
}

model! {
    /// Rules Q2 and R4: a down that was removed is taken out of a queue whose owner's task
    /// sleeps, before its killer has woken it: that one is told, for messages tell it no more.
    fn demonitor_asleep_races_kill() {
        let office = office();
        let (mut observer, watched, table) = pair(&office);
        let to = observer.export(Permissions::SEND).unwrap();
        let id = monitor(&watched, &observer);
        let woken = asleep(&mut observer);
        let killer = thread::spawn(move || watched.group().kill());
        assert!(observer.demonitor(id), "neither removed nor received before");
        table.send(to, &[7], &[]).unwrap();
        assert!(woken.is_set(), "not told");
        killer.join().unwrap();
        assert!(matches!(observer.try_recv(), Ok(Signal::Message(m)) if m.data() == [7]));
        assert_eq!(down(&mut observer), None, "a down that was removed");
        drop(observer);
        assert_eq!(office.stats().monitors, 0, "left over");
    }
    twin fails_untold: RousedUntold says "not told";
}

model! {
    /// Rule R4: the same with a receive, of an owner whose task sleeps: the killer may have
    /// queued the down and not called that one yet.
    fn receive_asleep_races_kill() {
        let office = office();
        let (mut observer, watched, table) = pair(&office);
        let to = observer.export(Permissions::SEND).unwrap();
        monitor(&watched, &observer);
        let woken = asleep(&mut observer);
        let killer = thread::spawn(move || watched.group().kill());
        let _ = down(&mut observer);
        table.send(to, &[7], &[]).unwrap();
        assert!(woken.is_set(), "not told");
        killer.join().unwrap();
    }
    twin fails_untold: RousedUntold says "not told";
}

model! {
    /// Rule K6: the observer closes while what it watches dies.
    fn observer_close_races_kill() {
        let office = office();
        let (observer, watched, table) = pair(&office);
        monitor(&watched, &observer);
        let killer = thread::spawn(move || watched.group().kill());
        observer.close();
        killer.join().unwrap();
        let stats = office.stats();
        assert_eq!((stats.monitors, stats.routes, table.len()), (0, 0, 0), "left over");
    }
}

model! {
    /// Rule R4: a down wakes the observer that sleeps, or that falls asleep.
    fn kill_races_sleep_of_the_observer() {
        let office = office();
        let (mut observer, watched, _table) = pair(&office);
        let id = monitor(&watched, &observer);
        let killer = thread::spawn(move || watched.group().kill());
        block_on(|cx| observer.poll_ready(cx));
        assert_eq!(down(&mut observer), Some((id, DownReason::Killed)));
        killer.join().unwrap();
    }
}

model! {
    /// Rules K3 and R4: a route is closed while its group is killed, whose killer
    /// then does not find it any more: its observer, asleep, is woken all the same.
    fn close_races_kill_of_a_watched_route() {
        let office = office();
        let (mut observer, watched, _table) = pair(&office);
        let id = monitor(&watched, &observer);
        let parker = Parker::new();
        let asleep = observer.poll_ready(&mut Context::from_waker(&parker.waker()));
        assert!(asleep.is_pending());
        let killer = thread::spawn({
            let group = watched.group().clone();
            move || group.kill()
        });
        thread::others_first();
        watched.close();
        thread::park();
        killer.join().unwrap();
        assert_eq!(down(&mut observer).map(|(seen, _)| seen), Some(id));
    }
    twin fails_kept: CloserKeepsHold says "deadlock";
}

model! {
    /// The same, but the observer falls asleep when its route was closed, before
    /// the killer has queued the down: the closer came too early to wake it.
    fn close_and_sleep_race_kill() {
        let office = office();
        let (mut observer, watched, _table) = pair(&office);
        let id = monitor(&watched, &observer);
        let killer = thread::spawn({
            let group = watched.group().clone();
            move || group.kill()
        });
        thread::others_first();
        watched.close();
        block_on(|cx| observer.poll_ready(cx));
        assert_eq!(down(&mut observer).map(|(seen, _)| seen), Some(id));
        killer.join().unwrap();
    }
    twin fails_unchecked: KilledRouteUnchecked says "deadlock";
}

model! {
    /// The same by three: whom the closer has woken sees what the killer had queued
    /// before it looked whether the route is closed.
    fn close_and_kill_race_sleep_of_the_observer() {
        let office = office();
        let (mut observer, watched, _table) = pair(&office);
        let id = monitor(&watched, &observer);
        let killer = thread::spawn({
            let group = watched.group().clone();
            move || group.kill()
        });
        let closer = thread::spawn_once(move || watched.close());
        block_on(|cx| observer.poll_ready(cx));
        assert_eq!(down(&mut observer).map(|(seen, _)| seen), Some(id));
        killer.join().unwrap();
        closer.join().unwrap();
    }
}

model! {
    /// Two observers of one route: each has its own down.
    fn kill_races_receive_of_two() {
        let office = office();
        let (mut one, watched, table) = pair(&office);
        let group = office.create_group().unwrap();
        let mut two = group.create_mailbox_with(&table, room(1)).unwrap();
        let ids = [monitor(&watched, &one), monitor(&watched, &two)];
        let killer = thread::spawn(move || watched.group().kill());
        let early = [down(&mut one), down(&mut two)];
        killer.join().unwrap();
        let got = [early[0].or_else(|| down(&mut one)), early[1].or_else(|| down(&mut two))];
        assert_eq!(got, ids.map(|id| Some((id, DownReason::Killed))));
    }
}

model! {
    /// Rule K8: the death of one group passes to another: its down comes first.
    fn linked_deaths_race_receive() {
        let office = office();
        let (mut observer, first, table) = pair(&office);
        let group = office.create_group().unwrap();
        let second = group.create_mailbox_with(&table, room(1)).unwrap();
        first.group().link(&group).unwrap();
        let ids = [monitor(&second, &observer), monitor(&first, &observer)];
        let killer = thread::spawn({
            let group = first.group().clone();
            move || group.kill()
        });
        let mut got: Vec<MonitorId> = down(&mut observer).map(|(id, _)| id).into_iter().collect();
        killer.join().unwrap();
        while let Some((id, _)) = down(&mut observer) {
            got.push(id);
        }
        assert_eq!(got, [ids[1], ids[0]], "the second death was seen first");
    }
}

model! {
    /// A monitor set too late is let go of by its own observer, and by the closer
    /// that finds it: a record that is used again meanwhile is not taken for the
    /// old one, and the next observer's wake is not lost.
    fn late_monitor_races_close_and_reuse() {
        let office = office();
        let (mut observer, watched, table) = pair(&office);
        let watch = watched.capability(Permissions::MONITOR);
        let group = office.create_group().unwrap();
        let next = group.create_mailbox_with(&table, room(1)).unwrap();
        let parker = Parker::new();
        let closer = thread::spawn_once(move || watched.close());
        watch.monitor(&observer).unwrap();
        parker.block_on(|cx| observer.poll_ready(cx));
        assert!(down(&mut observer).is_some());
        monitor(&next, &observer);
        next.close();
        parker.block_on(|cx| observer.poll_ready(cx));
        assert!(down(&mut observer).is_some());
        drop(parker);
        closer.join().unwrap();
        drop(observer);
        assert_eq!(office.stats().monitors, 0, "left over");
    }
}

model! {
    /// Rules K6 and R3: a mailbox that watches itself receives while its group is
    /// killed. It is not told of its own death: it looks whether it lives after it
    /// found the down, which its killer queued after its step.
    fn receive_races_kill_of_the_observer() {
        let office = office();
        let (mut observer, watched, _table) = pair(&office);
        monitor(&observer, &observer);
        let killer = thread::spawn({
            let group = observer.group().clone();
            move || group.kill()
        });
        match observer.try_recv() {
            Ok(_) => panic!("told of its own death"),
            Err(refused) => assert!(matches!(refused, TryRecvError::Empty | TryRecvError::Dead)),
        }
        killer.join().unwrap();
        assert_eq!(observer.try_recv().unwrap_err(), TryRecvError::Dead);
        drop((watched, observer));
        assert_eq!(office.stats().monitors, 0, "left over");
    }
    twin fails_unconfirmed: DownUnconfirmed says "told of its own death";
}

model! {
    /// Rule K3: when a kill has returned the downs of its routes are queued, though a
    /// mailbox of it is being closed, by whom nothing more may come.
    fn downs_of_a_kill_race_close() {
        let office = office();
        let (mut observer, watched, _table) = pair(&office);
        let id = monitor(&watched, &observer);
        let group = watched.group().clone();
        let closer = thread::spawn_once(move || drop(watched));
        thread::others_first();
        group.kill();
        let (seen, _) = down(&mut observer).expect("queued late");
        closer.join().unwrap();
        assert!(seen == id && down(&mut observer).is_none(), "a second down");
        drop(observer);
        assert_eq!(office.stats().monitors, 0, "left over");
    }
    /// A killer that leaves to the closer what that one has fired.
    twin fails_fired_once: FiredOnce says "queued late";
    /// A killer that leaves to the closer what is closed.
    twin fails_closed: ClosedPassedOver says "queued late";
    /// A closer that does not say any more that it is there.
    twin fails_delisted: DelistedEarly says "queued late";
}

model! {
    /// Rules K3 and R4: when a kill has returned who waits for its downs was woken, though
    /// who closes a mailbox of it may have stopped.
    fn wakes_of_a_kill_race_close() {
        let office = office();
        let (mut observer, watched, _table) = pair(&office);
        monitor(&watched, &observer);
        let woken = asleep(&mut observer);
        let group = watched.group().clone();
        let closer = thread::spawn_once(move || drop(watched));
        group.kill();
        assert!(woken.is_set(), "woken late");
        closer.join().unwrap();
    }
    twin fails_closed: ClosedPassedOver says "woken late";
    twin fails_delisted: DelistedEarly says "woken late";
    twin fails_left_first: HoldLeftFirst says "woken late";
}

model! {
    /// Rule K3: a monitor is armed when the killer has passed it, and fired by who closes its
    /// route, who stops: when it is set and the kill has returned, its down is queued.
    fn monitor_races_kill_and_close() {
        let office = office();
        let (mut observer, watched, _table) = pair(&office);
        let watch = watched.capability(Permissions::MONITOR);
        let is_killed = Arc::new(AtomicBool::new(false));
        let closer = thread::spawn_once({
            let is_killed = is_killed.clone();
            move || {
                watched.group().kill();
                is_killed.store(true, SeqCst);
                thread::yield_now();
                drop(watched);
            }
        });
        let id = watch.monitor(&observer).unwrap();
        let (is_killed, seen) = (is_killed.load(SeqCst), down(&mut observer));
        assert!(!is_killed || seen.is_some(), "queued late");
        closer.join().unwrap();
        let (seen, _) = seen.or_else(|| down(&mut observer)).expect("no down");
        assert!(seen == id && down(&mut observer).is_none(), "a second down");
        drop(observer);
        assert_eq!(office.stats().monitors, 0, "left over");
    }
    twin fails_fired_once: LateFiredOnce says "queued late";
}

/// Two mailboxes that watch a third one.
fn two_watch(office: &PostOffice) -> ([Mailbox; 2], Mailbox, Table) {
    let (one, watched, table) = pair(office);
    let two = office.create_group().unwrap().create_mailbox_with(&table, room(1)).unwrap();
    let observers = [one, two];
    for observer in &observers {
        monitor(&watched, observer);
    }
    (observers, watched, table)
}

model! {
    /// Rules K3 and K5: a route is closed while its group is killed: when the kill returns all
    /// who watch it have been told, and the same.
    fn kill_races_close_of_what_two_watch() {
        let office = office();
        let (mut observers, watched, _table) = two_watch(&office);
        let group = watched.group().clone();
        let closer = thread::spawn_once(move || drop(watched));
        thread::yield_now(); // It may have decided first.
        group.kill();
        let [one, two] = &mut observers;
        let told = [down(one), down(two)].map(|down| down.expect("one is late").1);
        assert_eq!(told[0], told[1], "told differently");
        closer.join().unwrap();
    }
    twin fails_undecided: DecidedTwice says "told differently";
}
