//! Rules K: kill, close, downs.
#![cfg(feature = "std")]

mod common;

use common::*;
use flue_core::{
    Capability, CreateError, DownReason, Limits, Mailbox, Permissions, PostOffice, RouteGroup,
    SendError, SendWait, Signal, TableError, TryRecvError,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

/// Rule K1: KILL on any route of a group kills all of it at once.
#[test]
fn a_kill_ends_the_whole_group() {
    let office = PostOffice::new();
    let user = process(&office);
    let group = office.create_group().unwrap();
    let (table, host) = (group.create_table().unwrap(), office.create_table().unwrap());
    let mut mailboxes: Vec<Mailbox> = (0..20)
        .map(|at| group.create_mailbox(if at % 2 == 0 { &table } else { &host }).unwrap())
        .collect();
    let routes: Vec<_> = mailboxes.iter().map(|m| m.capability(Permissions::SEND)).collect();
    for route in &routes {
        route.send(b"queued", &[]).unwrap();
    }
    let handle = user.table.insert(&mailboxes[7].capability(Permissions::KILL)).unwrap();
    user.table.kill(handle).unwrap();
    assert!(group.is_dead());
    for (route, mailbox) in routes.iter().zip(&mut mailboxes) {
        assert!(route.is_closed());
        assert_eq!(route.send(b"", &[]), Err(SendError::Closed));
        assert_dead(mailbox);
        assert_eq!(mailbox.export(Permissions::SEND), Err(TableError::Dead));
    }
    assert_eq!(group.create_mailbox(&host).unwrap_err(), CreateError::Dead);
    assert!(!user.group.is_dead());
}

/// Rule K1: killing what is dead or ended does nothing; through a closed route
/// of a living group there is no authority left.
#[test]
fn authority_ends_with_the_route() {
    let office = PostOffice::new();
    let user = process(&office);
    let Process { group, table, mailbox } = process(&office);
    let second = group.create_mailbox(&table).unwrap();
    let through_first = mailbox.capability(Permissions::all());
    let through_second = second.capability(Permissions::all());
    let handle = user.table.insert(&through_first).unwrap();
    mailbox.close();
    assert_eq!(through_first.kill(), Err(TableError::Closed));
    assert_eq!(user.table.kill(handle), Err(TableError::Closed));
    assert!(!group.is_dead() && !through_second.is_closed());
    assert_eq!(through_second.kill(), Ok(()));
    assert!(group.is_dead());
    for _ in 0..3 {
        assert_eq!(
            (through_second.kill(), through_first.kill(), user.table.kill(handle)),
            (Ok(()), Ok(()), Ok(()))
        );
    }
    drop((group, table, second));
    assert_eq!((through_second.kill(), user.table.kill(handle)), (Ok(()), Ok(())));
    // One that ended without dying, too, and whatever is in its slot now is spared.
    let Process { group, table, mailbox } = process(&office);
    let ended = mailbox.capability(Permissions::KILL);
    drop((mailbox, table, group));
    let next = process(&office);
    assert_eq!(ended.kill(), Ok(()));
    assert!(!next.group.is_dead());
}

/// Rule K2: what was queued is destroyed with the queue; a send that starts
/// after the kill returned is refused.
#[test]
fn a_kill_destroys_what_was_queued() {
    let office = PostOffice::new();
    let Process { group, table: _table, mut mailbox } = process(&office);
    let other = process(&office);
    let to = mailbox.capability(Permissions::SEND);
    let payload: Arc<[u8]> = Arc::from(vec![1; 100]);
    for _ in 0..10 {
        to.send_payload(payload.clone().into(), &[&other.mailbox.capability(Permissions::SEND)])
            .unwrap();
    }
    group.kill();
    assert_eq!(to.send_payload(payload.clone().into(), &[]).unwrap_err().error, SendError::Closed);
    assert_dead(&mut mailbox);
    drop(mailbox);
    assert_eq!(Arc::strong_count(&payload), 1);
}

/// Rule K2: a send that overlaps the kill is accepted or refused, one that
/// starts after it is refused.
#[test]
fn sends_race_a_kill() {
    let office = PostOffice::new();
    let sender = process(&office);
    let clock = Clock::start();
    while clock.is_running() {
        let small = limits(64, 0, 0);
        let Process { group, table: _table, mut mailbox } = process_with(&office, small);
        let to = sender.table.insert(&mailbox.capability(Permissions::SEND)).unwrap();
        std::thread::scope(|scope| {
            let (table, dead) = (&sender.table, &group);
            let thread = scope.spawn(move || {
                loop {
                    let was_dead = dead.is_dead();
                    match table.send(to, b"x", &[]) {
                        Err(SendError::Closed) => break,
                        // Who receives may be stopped for longer than 64 sends take.
                        answer => assert!(
                            !was_dead && matches!(answer, Ok(()) | Err(SendError::Full)),
                            "{answer:?}, and the kill was seen before: {was_dead}"
                        ),
                    }
                }
            });
            for _ in 0..20 {
                let _ = mailbox.try_recv();
            }
            group.kill();
            assert_eq!(sender.table.send(to, b"x", &[]), Err(SendError::Closed));
            thread.join().unwrap();
        });
        sender.table.release(to).unwrap();
        assert_dead(&mut mailbox);
    }
}

/// `count` groups, each linked to the next.
fn chain(office: &PostOffice, count: usize) -> Vec<RouteGroup> {
    let groups: Vec<_> = (0..count).map(|_| office.create_group().unwrap()).collect();
    for pair in groups.windows(2) {
        pair[0].link(&pair[1]).unwrap();
    }
    groups
}

/// Rule K3: a chain of a million linked groups, and a ring of them, die by one
/// kill, on a stack of 64 KiB.
#[test]
fn a_million_linked_groups_die_by_one_kill() {
    on_small_stack(|| {
        for ring in [false, true] {
            let office = PostOffice::new();
            let groups = chain(&office, 1_000_000);
            if ring {
                groups[999_999].link(&groups[0]).unwrap();
            }
            groups[if ring { 500_000 } else { 0 }].kill();
            assert!(groups.iter().all(RouteGroup::is_dead));
            assert_eq!(office.stats().links, 0);
        }
    });
}

/// Rule K3: when the kill returns, everything reachable is dead, every down is
/// queued, and every waiting party was woken.
#[test]
fn a_kill_is_complete_when_it_returns() {
    let office = PostOffice::new();
    let mut observer = process(&office);
    // A graph with a cycle, a star and a bystander.
    let processes: Vec<_> = (0..12).map(|_| process_with(&office, limits(1, 0, 0))).collect();
    let bystander = process(&office);
    for (a, b) in [
        (0, 1),
        (1, 2),
        (2, 0),
        (2, 3),
        (3, 4),
        (3, 5),
        (3, 6),
        (6, 7),
        (8, 7),
        (8, 9),
        (9, 10),
        (10, 11),
        (11, 9),
    ] {
        processes[a].group.link(&processes[b].group).unwrap();
    }
    let mut ids = Vec::new();
    let mut line = Vec::new();
    for process in &processes {
        let route = process.mailbox.capability(Permissions::all());
        ids.push(route.monitor(&observer.mailbox).unwrap());
        route.send(b"full", &[]).unwrap();
        let (count, waker) = counting();
        let mut wait = SendWait::new();
        assert!(
            route.poll_send(&mut Context::from_waker(&waker), &mut wait, b"x", &[]).is_pending()
        );
        line.push((count, wait));
    }
    let (count, waker) = counting();
    assert!(observer.mailbox.poll_ready(&mut Context::from_waker(&waker)).is_pending());
    processes[5].group.kill();
    assert!(processes.iter().all(|p| p.group.is_dead()));
    assert!(!bystander.group.is_dead() && !observer.group.is_dead());
    assert!(count.calls() >= 1, "woken; spurious calls are allowed");
    assert!(line.iter().all(|(count, _)| count.calls() == 1));
    let mut fired: Vec<_> = (0..12).map(|_| down(&mut observer.mailbox)).collect();
    fired.sort_by_key(|(id, _)| *id);
    assert!(fired.iter().all(|(_, reason)| *reason == DownReason::Killed));
    assert_eq!(fired.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), ids);
    assert_empty(&mut observer.mailbox);
}

/// Rule K3: all deaths and downs come before the first wake-up, and a waker
/// that panics does not stop the others.
#[test]
fn wake_ups_come_last_and_all_of_them() {
    let office = PostOffice::new();
    let mut processes: Vec<_> = (0..10).map(|_| process(&office)).collect();
    let mut observer = process(&office);
    for pair in processes.windows(2) {
        pair[0].group.link(&pair[1].group).unwrap();
    }
    let groups: Vec<_> = processes.iter().map(|p| p.group.clone()).collect();
    let woken = Arc::new(AtomicUsize::new(0));
    for process in &processes {
        process.mailbox.capability(Permissions::MONITOR).monitor(&observer.mailbox).unwrap();
    }
    for (at, process) in processes.iter_mut().enumerate() {
        let (groups, woken) = (groups.clone(), woken.clone());
        let waker = calling(move || {
            assert!(groups.iter().all(RouteGroup::is_dead), "woken before all were dead");
            woken.fetch_add(1, SeqCst);
            assert!(at % 2 == 1, "on purpose");
        });
        assert!(process.mailbox.poll_ready(&mut Context::from_waker(&waker)).is_pending());
    }
    let (count, waker) = counting();
    assert!(observer.mailbox.poll_ready(&mut Context::from_waker(&waker)).is_pending());
    assert!(panics(|| groups[3].kill()), "the first panic goes on");
    assert_eq!(woken.load(SeqCst), 10);
    assert!(count.calls() >= 1);
    for _ in 0..10 {
        assert_eq!(down(&mut observer.mailbox).1, DownReason::Killed);
    }
    processes.iter_mut().for_each(|p| assert_dead(&mut p.mailbox));
}

/// Rule K3: kills that start everywhere at once leave nobody alive and every
/// down told once.
#[test]
fn kills_race_each_other() {
    let office = PostOffice::new();
    let mut observer = process(&office);
    let clock = Clock::start();
    while clock.is_running() {
        let groups = chain(&office, 64);
        let table = office.create_table().unwrap();
        let mailboxes: Vec<_> = groups.iter().map(|g| g.create_mailbox(&table).unwrap()).collect();
        let ids: Vec<_> = mailboxes
            .iter()
            .map(|m| m.capability(Permissions::MONITOR).monitor(&observer.mailbox).unwrap())
            .collect();
        std::thread::scope(|scope| {
            for start in [0, 31, 63] {
                let groups = &groups;
                scope.spawn(move || groups[start].kill());
            }
        });
        assert!(groups.iter().all(RouteGroup::is_dead));
        let mut told: Vec<_> = (0..64).map(|_| down(&mut observer.mailbox).0).collect();
        told.sort();
        assert_eq!(told, ids);
        assert_empty(&mut observer.mailbox);
    }
}

/// Rule K1: a mailbox that is made while its group is killed never lives in a
/// dead group. A million races: for each group the two wait for each other, unless
/// the other is not running, and then for a random moment.
#[test]
fn create_mailbox_races_kill() {
    const BATCH: usize = 500;
    /// Additions that a moment lasts at most: longer than what races.
    const MOMENT: usize = 2_000;
    /// Looks for the other, who may be out of its core: then there is no race.
    const LOOKS: usize = 200;
    let races = times(1_000_000, 4_000_000);
    let office = PostOffice::new();
    let host = office.create_table().unwrap();
    let (mut before, mut after) = (0, 0);
    for batch in 0..races / BATCH {
        let groups: Vec<_> = (0..BATCH).map(|_| office.create_group().unwrap()).collect();
        let arrived = [AtomicUsize::new(0), AtomicUsize::new(0)];
        // For each of the two: what it does with each group, at about the same time.
        let meet = |me: usize, dice: &mut Dice| {
            let reached = arrived[me].fetch_add(1, SeqCst) + 1;
            for _ in 0..LOOKS {
                if arrived[1 - me].load(SeqCst) >= reached {
                    break;
                }
                std::hint::spin_loop();
            }
            for at in 0..dice.below(MOMENT) {
                std::hint::black_box(at);
            }
        };
        // Where only one of them runs it is done before the other begins: they take turns.
        let begin_second = |me: usize| {
            while batch % 2 == me && arrived[1 - me].load(SeqCst) == 0 {
                std::thread::yield_now();
            }
        };
        std::thread::scope(|scope| {
            let creator = scope.spawn(|| {
                begin_second(0);
                let mut dice = Dice::new(2 * batch as u64 + 1);
                let made = groups.iter().map(|group| {
                    meet(0, &mut dice);
                    group.create_mailbox_with(&host, limits(1, 0, 0))
                });
                made.collect::<Vec<Result<Mailbox, CreateError>>>()
            });
            begin_second(1);
            let mut dice = Dice::new(2 * batch as u64 + 2);
            for group in &groups {
                meet(1, &mut dice);
                group.kill();
            }
            for made in creator.join().unwrap() {
                match made {
                    Ok(mut mailbox) => {
                        before += 1;
                        assert_dead(&mut mailbox);
                        let to = mailbox.capability(Permissions::SEND);
                        assert!(to.is_closed());
                        assert_eq!(to.send(b"", &[]), Err(SendError::Closed));
                    }
                    Err(error) => {
                        after += 1;
                        assert_eq!(error, CreateError::Dead);
                    }
                }
            }
        });
    }
    assert_eq!(office.stats().routes, 0);
    let few = races / 100;
    assert!(before > few && after > few, "hardly a race: {before} and {after}");
}

/// Rule K4: closing or dropping a mailbox closes its route only.
#[test]
fn closing_ends_one_route() {
    let office = PostOffice::new();
    let mut observer = process(&office);
    let friend = process(&office);
    let Process { group, table, mailbox } = process(&office);
    let mut second = group.create_mailbox(&table).unwrap();
    group.link(&friend.group).unwrap();
    let (one, two) =
        (mailbox.capability(Permissions::all()), second.capability(Permissions::all()));
    let id = one.monitor(&observer.mailbox).unwrap();
    two.monitor(&observer.mailbox).unwrap();
    one.send(b"lost", &[]).unwrap();
    mailbox.close();
    assert!(one.is_closed() && !two.is_closed() && !group.is_dead() && !friend.group.is_dead());
    assert_eq!(one.send(b"", &[]), Err(SendError::Closed));
    assert_eq!(down(&mut observer.mailbox), (id, DownReason::Closed));
    assert_empty(&mut observer.mailbox);
    two.send(b"alive", &[]).unwrap();
    assert_eq!(data(&mut second), b"alive");
    let third = group.create_mailbox(&table).unwrap();
    let handle = third.export(Permissions::SEND).unwrap();
    table.send(handle, b"", &[]).unwrap();
    drop(third);
    assert!(!group.is_dead());
    assert_eq!(
        table.send(handle, b"", &[]),
        Err(SendError::Closed),
        "the handle stays, the route does not"
    );
    assert_eq!(table.permissions(handle), Ok(Permissions::SEND));
}

/// Rule K5: what a down says: which monitor, why, and a route, without permissions.
#[test]
fn what_a_down_says() {
    let office = PostOffice::new();
    let Process { group: _group, table, mut mailbox } = process(&office);
    let targets: Vec<_> = (0..3).map(|_| process(&office)).collect();
    let routes: Vec<_> = targets.iter().map(|p| p.mailbox.capability(Permissions::all())).collect();
    let mut targets = targets.into_iter();
    let (killed, closed, gone) =
        (targets.next().unwrap(), targets.next().unwrap(), targets.next().unwrap());
    let first = routes[0].monitor(&mailbox).unwrap();
    let second = routes[1].monitor(&mailbox).unwrap();
    killed.group.kill();
    closed.mailbox.close();
    drop(gone);
    let third = routes[2].monitor(&mailbox).unwrap();
    let expected =
        [(first, DownReason::Killed), (second, DownReason::Closed), (third, DownReason::Gone)];
    for (at, expected) in expected.into_iter().enumerate() {
        let Ok(Signal::Down(down)) = mailbox.try_recv() else { panic!() };
        assert_eq!((down.monitor(), down.reason()), expected);
        let capability = table.capability(down.handle()).unwrap();
        assert!(capability.permissions().is_empty() && capability.same_route(&routes[at]));
        assert_eq!(table.send(down.handle(), b"", &[]), Err(SendError::PermissionDenied));
        assert_eq!(table.kill(down.handle()), Err(TableError::PermissionDenied));
        if at == 0 {
            let taken = down.take_handle();
            assert!(table.contains(taken));
            table.release(taken).unwrap();
        } else if at == 1 {
            let kept = down.into_owned();
            assert_eq!((kept.monitor(), kept.reason()), (second, DownReason::Closed));
            assert!(table.contains(kept.handle()));
        }
    }
    assert_eq!(table.len(), 0);
    assert_eq!((first.number(), second.number(), third.number()), (1, 2, 3));
}

/// Rule K6: a monitor ends once: by one down, by `demonitor`, or with its
/// observer; and what the down needs is there from the start.
#[test]
fn each_monitor_ends_once() {
    let mut few = Limits::default();
    few.handles_per_table = 1;
    let office = PostOffice::with_limits(few);
    // Full in every way: no room for messages, bytes, handles.
    let Process { group: _group, table, mut mailbox } = process_with(&office, limits(1, 0, 0));
    let target = process_with(&office, limits(1, 0, 0));
    let route = target.mailbox.capability(Permissions::MONITOR);
    let id = route.monitor(&mailbox).unwrap();
    assert_eq!(
        mailbox.export(Permissions::SEND),
        Err(TableError::Full),
        "the down's slot is reserved"
    );
    mailbox.capability(Permissions::SEND).send(b"full", &[]).unwrap();
    target.group.kill();
    assert_eq!(data(&mut mailbox), b"full");
    let Ok(Signal::Down(down)) = mailbox.try_recv() else { panic!("refused or lost") };
    assert_eq!(down.monitor(), id);
    let handle = down.take_handle();
    assert_eq!(mailbox.export(Permissions::SEND), Err(TableError::Full), "it uses the slot");
    table.release(handle).unwrap();
    table.release(mailbox.export(Permissions::SEND).unwrap()).unwrap();
    assert_empty(&mut mailbox);
    assert!(!mailbox.demonitor(id));
    drop(target);
    assert_empty(&mut mailbox);

    // Removed: no down, and the slot is back.
    let target = process_with(&office, limits(1, 0, 0));
    let route = target.mailbox.capability(Permissions::MONITOR);
    let id = route.monitor(&mailbox).unwrap();
    assert!(mailbox.demonitor(id) && !mailbox.demonitor(id));
    table.release(mailbox.export(Permissions::SEND).unwrap()).unwrap();
    target.group.kill();
    assert_empty(&mut mailbox);

    // With its observer.
    let target = process_with(&office, limits(1, 0, 0));
    target.mailbox.capability(Permissions::MONITOR).monitor(&mailbox).unwrap();
    assert_eq!(office.stats().monitors, 1);
    drop(mailbox);
    assert_eq!(office.stats().monitors, 0);
    assert_eq!(table.len(), 0);
    target.group.kill();
}

/// Rule K6: the observer pays, by its limits, not the observed.
#[test]
fn the_observer_pays() {
    let mut few = Limits::default();
    few.monitors_per_group = 2;
    let office = PostOffice::with_limits(few);
    let mut one = process(&office);
    let two = process(&office);
    let targets: Vec<_> = (0..3).map(|_| process(&office)).collect();
    let routes: Vec<_> =
        targets.iter().map(|p| p.mailbox.capability(Permissions::MONITOR)).collect();
    let id = routes[0].monitor(&one.mailbox).unwrap();
    routes[1].monitor(&one.mailbox).unwrap();
    assert_eq!(routes[2].monitor(&one.mailbox), Err(TableError::LimitReached));
    assert_eq!(routes[0].monitor(&one.mailbox), Ok(id), "the same again costs nothing");
    let sibling = one.group.create_mailbox(&one.table).unwrap();
    assert_eq!(
        routes[0].monitor(&sibling),
        Err(TableError::LimitReached),
        "the limit is the group's"
    );
    // Any number of observers of one route.
    for route in &routes[..2] {
        route.monitor(&two.mailbox).unwrap();
    }
    assert!(one.mailbox.demonitor(id));
    routes[2].monitor(&one.mailbox).unwrap();
    targets.into_iter().for_each(drop);
    for _ in 0..2 {
        assert_eq!(down(&mut one.mailbox).1, DownReason::Closed);
    }
    routes[0].monitor(&one.mailbox).unwrap();
    assert_eq!(down(&mut one.mailbox).1, DownReason::Gone);
}

/// Rule K7: a route that is over is told before the call returns; monitoring
/// the same again changes nothing; after `demonitor` no down is received.
#[test]
fn monitoring_again_and_no_more() {
    let office = PostOffice::new();
    let Process { group: _group, table, mut mailbox } = process(&office);
    let sibling = mailbox.group().create_mailbox(&table).unwrap();
    for over in ["closed", "killed", "ended"] {
        let target = process(&office);
        let route = target.mailbox.capability(Permissions::all());
        let handle = table.insert(&route).unwrap();
        let keep = match over {
            "closed" => {
                target.mailbox.close();
                Some((target.group, target.table, None))
            }
            "killed" => {
                target.group.kill();
                Some((target.group, target.table, Some(target.mailbox)))
            }
            _ => {
                drop(target);
                None
            }
        };
        let id = table.monitor(handle, &mailbox).unwrap();
        assert!(mailbox.is_ready(), "{over}: queued before the call returned");
        assert_eq!(table.monitor(handle, &mailbox), Ok(id), "unreceived: the same");
        assert_eq!(down(&mut mailbox), (id, DownReason::Gone));
        assert_empty(&mut mailbox);
        let next = table.monitor(handle, &mailbox).unwrap();
        assert!(next > id && next.number() == id.number() + 1, "received: another one");
        assert!(mailbox.demonitor(next), "queued, and removed");
        assert_empty(&mut mailbox);
        assert!(!mailbox.demonitor(next));
        table.release(handle).unwrap();
        drop(keep);
    }
    // Armed: the same id; each mailbox has numbers of its own.
    let target = process(&office);
    let route = target.mailbox.capability(Permissions::MONITOR);
    let id = route.monitor(&mailbox).unwrap();
    assert_eq!((route.monitor(&mailbox), office.stats().monitors), (Ok(id), 1));
    assert_eq!(route.monitor(&sibling).unwrap().number(), 1);
    assert!(mailbox.demonitor(id));
    let again = route.monitor(&mailbox).unwrap();
    assert_ne!(again, id);
    target.group.kill();
    assert!(!mailbox.demonitor(id));
    assert_eq!(down(&mut mailbox), (again, DownReason::Killed));
    assert_empty(&mut mailbox);
}

/// Rule K7: an id is of one monitor of one mailbox, whoever uses its record later.
#[test]
fn an_id_ends_one_monitor() {
    let office = PostOffice::new();
    let target = process(&office);
    let route = target.mailbox.capability(Permissions::MONITOR);
    let mut observers = [process(&office), process(&office)];
    let mut old = Vec::new();
    for _ in 0..500 {
        for observer in &mut observers {
            let id = route.monitor(&observer.mailbox).unwrap();
            assert!(observer.mailbox.demonitor(id));
            old.push(id); // Its record is used again.
        }
    }
    let [one, other] = &mut observers;
    let kept = route.monitor(&one.mailbox).unwrap();
    let others = route.monitor(&other.mailbox).unwrap();
    assert_eq!(kept.number(), others.number());
    for id in old {
        assert!(!one.mailbox.demonitor(id) && !other.mailbox.demonitor(id));
    }
    assert!(!one.mailbox.demonitor(others) && !other.mailbox.demonitor(kept));
    target.group.kill();
    assert_eq!(down(&mut one.mailbox), (kept, DownReason::Killed));
    assert_eq!(down(&mut other.mailbox), (others, DownReason::Killed));
}

/// Rules R2 and Q2: a message whose guard was forgotten is not given back before its time when a
/// removed down is taken out of the queue behind it.
#[test]
fn removed_downs_leave_what_was_forgotten() {
    let office = PostOffice::new();
    let Process { group: _group, table, mut mailbox } = process(&office);
    let route = process(&office).mailbox.capability(Permissions::MONITOR);
    let to = mailbox.capability(Permissions::SEND);
    for round in 0..100u8 {
        to.send(&[round; 500], &[&to]).unwrap();
        let Ok(Signal::Message(message)) = mailbox.try_recv() else { unreachable!() };
        let handle = message.handles()[0];
        std::mem::forget(message);
        for _ in 0..20 {
            let id = route.monitor(&mailbox).unwrap();
            assert!(mailbox.demonitor(id));
            assert!(table.contains(handle), "released early");
        }
        assert_empty(&mut mailbox);
        assert!(!table.contains(handle));
    }
}

/// Rule K7: removed downs anywhere in the queue are not received, and the rest is.
#[test]
fn removed_downs_leave_the_others() {
    let office = PostOffice::new();
    for seed in 0..200 {
        let mut dice = Dice::new(seed + 1);
        let Process { group: _group, table, mut mailbox } = process(&office);
        let to = mailbox.capability(Permissions::SEND);
        let mut expected = Vec::new();
        for at in 0..120u8 {
            if dice.below(4) == 0 {
                to.send(&[at], &[]).unwrap();
                expected.push(Err(at));
            } else {
                let target = process(&office);
                let id = target.mailbox.capability(Permissions::MONITOR).monitor(&mailbox).unwrap();
                expected.push(Ok(id));
            }
            if dice.below(3) > 0 && !expected.is_empty() {
                let at = dice.below(expected.len());
                if let Ok(id) = expected[at] {
                    assert!(mailbox.demonitor(id));
                    let _ = expected.remove(at);
                }
            }
            if dice.below(20) == 0 {
                assert_eq!(mailbox.is_ready(), !expected.is_empty());
                let _ = mailbox.poll_ready(&mut Context::from_waker(Waker::noop()));
            }
            if dice.below(8) == 0 && !expected.is_empty() {
                match expected.remove(0) {
                    Ok(id) => assert_eq!(down(&mut mailbox).0, id),
                    Err(at) => assert_eq!(data(&mut mailbox), [at]),
                }
            }
        }
        for signal in expected {
            match signal {
                Ok(id) => assert_eq!(down(&mut mailbox).0, id),
                Err(at) => assert_eq!(data(&mut mailbox), [at]),
            }
        }
        assert_empty(&mut mailbox);
        assert_eq!((table.len(), office.stats().monitors), (0, 0));
    }
}

/// Rule K7: `demonitor` races the kill: `true` means that nothing is received,
/// `false` never comes while the down is not received.
#[test]
fn demonitor_races_kill() {
    let office = PostOffice::new();
    let Process { group: _group, table: _table, mut mailbox } = process(&office);
    let clock = Clock::start();
    while clock.is_running() {
        let target = process(&office);
        let id = target.mailbox.capability(Permissions::MONITOR).monitor(&mailbox).unwrap();
        std::thread::scope(|scope| {
            let group = &target.group;
            let killer = scope.spawn(move || group.kill());
            assert!(mailbox.demonitor(id));
            assert_empty(&mut mailbox);
            killer.join().unwrap();
        });
        assert_empty(&mut mailbox);
    }
    assert_eq!(office.stats().monitors, 0);
}

/// Rule K8: what a process sent before it died comes before its down, and
/// nothing that it sent comes after.
#[test]
fn no_message_after_the_down_of_its_sender() {
    let office = PostOffice::new();
    let Process { group: _group, table: _table, mut mailbox } = process(&office);
    let to = mailbox.capability(Permissions::SEND);
    let noise = process(&office);
    let clock = Clock::start();
    while clock.is_running() {
        let sender = process(&office);
        sender.mailbox.capability(Permissions::MONITOR).monitor(&mailbox).unwrap();
        let handle = sender.table.insert(&to).unwrap();
        let noise_handle = noise.table.insert(&to).unwrap();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2)
                .map(|kind| {
                    let table = &sender.table;
                    scope.spawn(move || {
                        let mut accepted = 0u32;
                        loop {
                            let sent = if kind == 0 {
                                table.send(handle, b"x", &[])
                            } else {
                                table.send(handle, &[0; 160], &[handle])
                            };
                            match sent {
                                Ok(()) => accepted += 1,
                                Err(SendError::Full) => {}
                                Err(error) => {
                                    assert_eq!(error, SendError::Dead);
                                    break accepted;
                                }
                            }
                        }
                    })
                })
                .collect();
            let group = &sender.group;
            let killer = scope.spawn(move || {
                for _ in 0..50 {
                    std::thread::yield_now();
                }
                group.kill();
            });
            let mut received = 0;
            loop {
                match mailbox.try_recv() {
                    Ok(Signal::Message(message)) => {
                        received += u32::from(message.data() != b"noise")
                    }
                    Ok(Signal::Down(down)) => {
                        assert_eq!(down.reason(), DownReason::Killed);
                        break;
                    }
                    _ => {}
                }
                let _ = noise.table.send(noise_handle, b"noise", &[]);
            }
            killer.join().unwrap();
            let accepted: u32 = threads.into_iter().map(|t| t.join().unwrap()).sum();
            assert_eq!(received, accepted, "every accepted message came before the down");
        });
        while let Ok(signal) = mailbox.try_recv() {
            let Signal::Message(message) = signal else { panic!("a second down") };
            assert_eq!(message.data(), b"noise");
        }
        noise.table.release(noise_handle).unwrap();
    }
}

/// Rule K8: whose death kills another is told first.
#[test]
fn causes_of_death_come_first() {
    let office = PostOffice::new();
    let mut observer = process(&office);
    for start in 0..8 {
        let groups: Vec<RouteGroup> = (0..8).map(|_| office.create_group().unwrap()).collect();
        let host = office.create_table().unwrap();
        let mailboxes: Vec<_> = groups.iter().map(|g| g.create_mailbox(&host).unwrap()).collect();
        // A tree: the parent of n is n / 2.
        for at in 1..8 {
            groups[at].link(&groups[at / 2]).unwrap();
        }
        let routes: Vec<Capability> =
            mailboxes.iter().map(|m| m.capability(Permissions::MONITOR)).collect();
        for route in routes.iter().rev() {
            route.monitor(&observer.mailbox).unwrap();
        }
        groups[start].kill();
        let mut told = Vec::new();
        for _ in 0..8 {
            let Ok(Signal::Down(down)) = observer.mailbox.try_recv() else { panic!() };
            let seen = observer.table.capability(down.handle()).unwrap();
            let at = routes.iter().position(|route| route.same_route(&seen)).unwrap();
            let is_linked = |other: &usize| at / 2 == *other || other / 2 == at;
            assert!(at == start || told.iter().any(is_linked), "{at} came before what killed it");
            told.push(at);
        }
        assert_eq!(told[0], start);
    }
}

/// Rule K3: killing allocates no stack for what it kills, and needs no
/// executor: wide fan-outs too.
#[test]
fn a_wide_group_dies_on_a_small_stack() {
    on_small_stack(|| {
        let office = PostOffice::new();
        let hub = office.create_group().unwrap();
        let host = office.create_table().unwrap();
        let mailboxes: Vec<_> =
            (0..20_000).map(|_| hub.create_mailbox_with(&host, limits(1, 0, 0)).unwrap()).collect();
        let spokes: Vec<_> = (0..20_000).map(|_| office.create_group().unwrap()).collect();
        spokes.iter().for_each(|spoke| spoke.link(&hub).unwrap());
        spokes[7].kill();
        assert!(hub.is_dead() && spokes.iter().all(RouteGroup::is_dead));
        assert!(
            mailboxes.into_iter().all(|mut m| m.try_recv().map(drop) == Err(TryRecvError::Dead))
        );
    });
}

/// Rule K2: a waiting sender is told of the kill.
#[test]
fn waiting_sends_end_with_the_kill() {
    let office = PostOffice::new();
    let receiver = process_with(&office, limits(1, 0, 0));
    let to = receiver.mailbox.capability(Permissions::SEND);
    to.send(b"", &[]).unwrap();
    let mut wait = SendWait::new();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(to.poll_send(&mut cx, &mut wait, b"", &[]).is_pending());
    receiver.group.kill();
    assert_eq!(to.poll_send(&mut cx, &mut wait, b"", &[]), Poll::Ready(Err(SendError::Closed)));
}
