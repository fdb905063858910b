//! Rules Q: limits and hostile processes. What is about memory is in `memory`.
#![cfg(feature = "std")]

mod common;

use common::*;
use flue_core::{
    CreateError, Handle, Limits, MAX_MESSAGE_HANDLES, MailboxLimits, Permissions, PostOffice,
    SendError, SendWait, Signal, TableError,
};
use std::task::{Context, Poll, Waker};

fn with(change: impl FnOnce(&mut Limits)) -> PostOffice {
    let mut all = Limits::default();
    change(&mut all);
    PostOffice::with_limits(all)
}

/// Rule Q1: each default is finite.
#[test]
fn every_default_is_finite() {
    let all = Limits::default();
    let numbers = [
        all.groups,
        all.tables,
        all.messages,
        all.routes_per_group,
        all.tables_per_group,
        all.monitors_per_group,
        all.links_per_group,
        all.handles_per_table,
        all.handles_per_message,
        all.bytes_per_message,
    ];
    let own = MailboxLimits::default();
    let own = [own.messages, own.bytes, own.handles, own.waiters];
    assert!(numbers.iter().chain(&own).all(|limit| (1..1 << 30).contains(limit)));
    assert_eq!(all.handles_per_message as usize, MAX_MESSAGE_HANDLES);
}

/// Rule Q1: a limit that nothing could reach leaves the room that can be counted.
#[test]
fn the_highest_limits() {
    let office = with(|all| {
        all.groups = u32::MAX;
        all.tables = u32::MAX;
        all.messages = u32::MAX;
        all.routes_per_group = u32::MAX;
        all.tables_per_group = u32::MAX;
        all.monitors_per_group = u32::MAX;
        all.links_per_group = u32::MAX;
        all.handles_per_table = u32::MAX;
        all.handles_per_message = u32::MAX;
        all.bytes_per_message = u32::MAX;
    });
    let mut process = process_with(&office, limits(u32::MAX, u32::MAX, 1 << 16));
    let to = process.mailbox.export(Permissions::all()).unwrap();
    process.table.send(to, &[1; 100], &[to; MAX_MESSAGE_HANDLES]).unwrap();
    assert_eq!(data(&mut process.mailbox), [1; 100]);
    let too_many = [to; MAX_MESSAGE_HANDLES + 1];
    assert_eq!(process.table.send(to, b"", &too_many), Err(SendError::TooManyHandles));
}

/// Rule Q1: the office's limits: groups, tables, messages.
#[test]
fn limits_of_an_office() {
    let office = with(|all| {
        all.groups = 2;
        all.tables = 3;
    });
    for _ in 0..100 {
        let groups = [office.create_group().unwrap(), office.create_group().unwrap()];
        assert_eq!(office.create_group().unwrap_err(), CreateError::LimitReached);
        let tables = [groups[0].create_table(), groups[1].create_table(), office.create_table()]
            .map(Result::unwrap);
        assert_eq!(office.create_table().unwrap_err(), CreateError::LimitReached);
        assert_eq!(groups[0].create_table().unwrap_err(), CreateError::LimitReached);
        groups[0].kill();
        assert_eq!(
            office.create_group().unwrap_err(),
            CreateError::LimitReached,
            "dead, and still owned"
        );
        drop((groups, tables));
    }
    // Buffers: every message of every mailbox counts, attachments take more.
    let office = with(|all| all.messages = 400);
    let mut one = process(&office);
    let mut two = process(&office);
    let (to_one, to_two) =
        (one.mailbox.capability(Permissions::SEND), two.mailbox.capability(Permissions::SEND));
    for _ in 0..20 {
        let mut sent = 0;
        while to_one.send(b"x", &[]).is_ok() && to_two.send(b"x", &[]).is_ok() {
            sent += 2;
            assert!(sent <= 400);
        }
        assert!(sent >= 400 - 2 * 16, "no more than a few are kept at hand: {sent}");
        assert_eq!(to_two.send(b"x", &[]), Err(SendError::Full));
        let mut cx = Context::from_waker(Waker::noop());
        let polled = to_two.poll_send(&mut cx, &mut SendWait::new(), b"x", &[]);
        assert_eq!(polled, Poll::Ready(Err(SendError::Full)), "nobody waits for the office");
        assert!(office.stats().buffers <= 400);
        for p in [&mut one, &mut two] {
            while p.mailbox.try_recv().is_ok() {}
            // What it held for its receiver goes back when that falls asleep.
            let _ = p.mailbox.poll_ready(&mut cx);
        }
    }
    let none = with(|all| {
        all.groups = 0;
        all.tables = 0;
    });
    assert_eq!(none.create_group().unwrap_err(), CreateError::LimitReached);
    assert_eq!(none.create_table().unwrap_err(), CreateError::LimitReached);
}

/// Rule Q1: a group's limits: routes, tables, monitors, links. Each is one
/// group's own, and comes back with what used it.
#[test]
fn limits_of_a_group() {
    let office = with(|all| {
        all.routes_per_group = 2;
        all.tables_per_group = 2;
        all.monitors_per_group = 2;
        all.links_per_group = 2;
    });
    let (group, other) = (office.create_group().unwrap(), office.create_group().unwrap());
    let host = office.create_table().unwrap();
    for _ in 0..50 {
        let tables = [group.create_table().unwrap(), group.create_table().unwrap()];
        assert_eq!(group.create_table().unwrap_err(), CreateError::LimitReached);
        let mut routes =
            [group.create_mailbox(&tables[0]).unwrap(), group.create_mailbox(&host).unwrap()];
        assert_eq!(group.create_mailbox(&host).unwrap_err(), CreateError::LimitReached);
        let targets: Vec<_> = (0..3)
            .map(|at| {
                if at < 2 {
                    other.create_mailbox(&host)
                } else {
                    office.create_group().unwrap().create_mailbox(&host)
                }
                .unwrap()
            })
            .collect();
        let watch: Vec<_> = targets.iter().map(|t| t.capability(Permissions::MONITOR)).collect();
        let id = watch[0].monitor(&routes[0]).unwrap();
        watch[1].monitor(&routes[1]).unwrap();
        assert_eq!(watch[2].monitor(&routes[0]), Err(TableError::LimitReached));
        assert!(routes[0].demonitor(id));
        watch[2].monitor(&routes[0]).unwrap();
        drop(routes);
        let friends: Vec<_> = (0..3).map(|_| office.create_group().unwrap()).collect();
        group.link(&friends[0]).unwrap();
        group.link(&friends[1]).unwrap();
        assert_eq!(group.link(&friends[2]), Err(TableError::LimitReached));
        assert_eq!(group.link(&friends[0]), Ok(()), "there already");
        friends[2].link(&group).unwrap(); // Charged to who asks.
        assert_eq!(group.unlink(&friends[0]), Ok(true));
        drop(friends);
        assert_eq!(office.stats().links, 0);
    }
    assert!(!group.is_dead() && !other.is_dead());
}

/// Rule Q1: a table's handles, a message's handles and bytes.
#[test]
fn limits_of_tables_and_messages() {
    let office = with(|all| {
        all.handles_per_table = 3;
        all.handles_per_message = 2;
        all.bytes_per_message = 70;
    });
    let mut user = process_with(&office, limits(10, 1000, 5));
    assert_eq!(user.table.capacity(), 8);
    let sets = [Permissions::SEND, Permissions::MONITOR, Permissions::KILL, Permissions::LINK];
    for _ in 0..50 {
        let handles: Vec<_> =
            sets[..3].iter().map(|set| user.mailbox.export(*set).unwrap()).collect();
        assert_eq!(user.mailbox.export(sets[3]), Err(TableError::Full));
        assert_eq!(user.mailbox.export(sets[0]), Ok(handles[0]), "there already");
        assert_eq!(user.table.demote(handles[0], Permissions::empty()), Err(TableError::Full));
        user.table.release(handles[0]).unwrap();
        let to = handles[0];
        assert_eq!(user.table.send(to, b"", &[to, to, to]), Err(SendError::TooManyHandles));
        assert_eq!(user.table.send(to, &[0; 71], &[]), Err(SendError::TooLarge));
        user.table.send(to, &[0; 70], &[to, to]).unwrap();
        assert_eq!(data(&mut user.mailbox).len(), 70);
        handles.iter().for_each(|handle| user.table.release(*handle).unwrap());
        assert_eq!(user.table.len(), 0);
    }
    // Short messages are bounded too, and no message carries more than the hard bound.
    let office = with(|all| {
        all.bytes_per_message = 3;
        all.handles_per_message = 1000;
    });
    let mut user = process(&office);
    let to = user.mailbox.export(Permissions::SEND).unwrap();
    assert_eq!(user.table.send(to, b"four", &[]), Err(SendError::TooLarge));
    assert_eq!(
        user.table.send(to, b"", &[to; MAX_MESSAGE_HANDLES + 1]),
        Err(SendError::TooManyHandles)
    );
    user.table.send(to, b"3 b", &[to; MAX_MESSAGE_HANDLES]).unwrap();
    let Ok(Signal::Message(message)) = user.mailbox.try_recv() else { panic!() };
    assert_eq!(message.handles(), [to; MAX_MESSAGE_HANDLES]);
}

/// Rule Q1: a mailbox's waiters.
#[test]
fn limits_of_waiters() {
    let office = PostOffice::new();
    let mut few = MailboxLimits::default();
    few.messages = 1;
    few.waiters = 2;
    let receiver = process_with(&office, few);
    let to = receiver.mailbox.capability(Permissions::SEND);
    to.send(b"", &[]).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..50 {
        let mut waits = [SendWait::new(), SendWait::new(), SendWait::new()];
        let polled = waits.each_mut().map(|wait| to.poll_send(&mut cx, wait, b"", &[]));
        assert_eq!(polled, [Poll::Pending, Poll::Pending, Poll::Ready(Err(SendError::Full))]);
    }
}

/// Rule Q1: a limit is never refused spuriously: with two threads that use at
/// most as many as there may be, none is refused.
#[test]
fn no_limit_is_spurious() {
    let office = with(|all| {
        all.groups = 3;
        all.tables = 2;
    });
    let keep = office.create_group().unwrap();
    let host = office.create_table().unwrap();
    let clock = Clock::start();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (office, clock, keep, host) = (&office, &clock, &keep, &host);
            scope.spawn(move || {
                while clock.is_running() {
                    for _ in 0..100 {
                        let group = office.create_group().expect("two threads, two groups");
                        if thread == 0 {
                            office.create_table().expect("one thread, one table");
                        }
                        let mailbox = group.create_mailbox_with(host, limits(1, 0, 0)).unwrap();
                        keep.link(&group).unwrap();
                        let to = mailbox.capability(Permissions::SEND);
                        to.send(b"x", &[]).expect("room for one");
                    }
                }
            });
        }
    });
}

/// Rule Q3: whatever integers, bytes and bits a hostile process uses, in
/// whatever order, on several threads, nothing panics, and nobody else is harmed.
#[test]
fn hostile_processes_harm_themselves() {
    let mut all = Limits::default();
    all.handles_per_table = 64;
    all.bytes_per_message = 1000;
    all.messages = 4000;
    let office = PostOffice::with_limits(all);
    let mut victim = process_with(&office, limits(100, 1000, 4));
    let clock = Clock::start();
    let mut seed = 0;
    while clock.is_running() {
        seed += 1;
        let Process { group, table, mut mailbox } = process_with(&office, limits(8, 500, 8));
        let peer = process_with(&office, limits(4, 100, 2));
        let mut known = vec![
            table
                .insert(&victim.mailbox.capability(Permissions::SEND | Permissions::MONITOR))
                .unwrap(),
            table.insert(&peer.mailbox.capability(Permissions::all())).unwrap(),
            mailbox.export(Permissions::all()).unwrap(),
        ];
        let attack = |seed: u64, known: &mut Vec<Handle>| {
            let mut dice = Dice::new(seed);
            let sealed = group.is_dead();
            for _ in 0..400 {
                let mut handle = || {
                    let near = known[dice.below(known.len())];
                    match dice.below(6) {
                        0 => Handle::from_raw(dice.next() | 1).unwrap(),
                        1 => Handle::from_raw(near.to_raw() ^ 1 << dice.below(64)).unwrap_or(near),
                        _ => near,
                    }
                };
                let (a, b) = (handle(), handle());
                let bits = Permissions::from_bits_retain(
                    dice.next() as u32 & if dice.below(2) == 0 { 7 } else { u32::MAX },
                );
                let size = dice.below(1200);
                let made = match dice.below(12) {
                    0 => table.demote(a, bits).ok(),
                    1 => table.release(a).err().map(|_| b),
                    2 => table.retain(a).err().map(|_| b),
                    3 => table.send(a, &vec![0; size], &[b, a]).err().map(|_| a),
                    4 => table
                        .send_payload(a, vec![0; size].into(), &[a; 9][..dice.below(10)])
                        .err()
                        .map(|_| a),
                    5 => table.kill(a).err().map(|_| a).filter(|_| dice.below(50) == 0),
                    6 => table.link(a, &group).err().map(|_| a).filter(|_| sealed),
                    7 => table.unlink(a, &group).err().map(|_| a),
                    8 => (
                        table.contains(a),
                        table.same_route(a, b).is_ok(),
                        table.permissions(a).is_ok(),
                    )
                        .0
                        .then_some(a),
                    9 => Some(a).filter(|_| table.handles().count() > 70),
                    10 => table.capability(a).ok().map(|_| a),
                    _ => {
                        let mut cx = Context::from_waker(Waker::noop());
                        let _ = table.poll_send(&mut cx, &mut SendWait::new(), a, &[0; 160], &[b]);
                        None
                    }
                };
                if known.len() < 100 {
                    known.extend(made);
                }
            }
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(|| attack(seed, &mut known.clone()));
            attack(seed + 1_000_000, &mut known.clone());
            other.join().expect("a process made Flue panic");
        });
        // The receiving side of the hostile process.
        for _ in 0..50 {
            match mailbox.try_recv() {
                Ok(Signal::Message(mut message)) if seed % 2 == 0 => {
                    known.extend(message.take_handles())
                }
                Ok(signal) => std::mem::forget(signal),
                Err(_) => break,
            }
            for handle in known.clone() {
                let _ =
                    (table.monitor(handle, &mailbox), table.release(handle), table.release(handle));
            }
        }
        assert!(!victim.group.is_dead(), "no KILL was ever given");
        while victim.mailbox.try_recv().is_ok() {}
        assert!(victim.table.is_empty());
    }
    victim.mailbox.capability(Permissions::SEND).send(b"well", &[]).unwrap();
    assert_eq!(data(&mut victim.mailbox), b"well");
}

/// Rule Q3: nothing recurses: every operation of process code works on a stack
/// of 64 KiB, with long queues and many handles behind it.
#[test]
fn a_small_stack_is_enough() {
    on_small_stack(|| {
        let office = PostOffice::new();
        let Process { group, table, mut mailbox } = process(&office);
        let to = mailbox.export(Permissions::all()).unwrap();
        let mut ids = Vec::new();
        for _ in 0..20_000 {
            table.send(to, b"", &[to; MAX_MESSAGE_HANDLES][..1]).unwrap_or_default();
            table.send(to, &[0; 200], &[]).unwrap();
            let target = process_with(&office, limits(1, 0, 0));
            let handle = table.insert(&target.mailbox.capability(Permissions::MONITOR)).unwrap();
            ids.push(table.monitor(handle, &mailbox).unwrap());
        }
        for id in ids.into_iter().step_by(2) {
            assert!(mailbox.demonitor(id));
        }
        let mut received = 0;
        while mailbox.try_recv().is_ok() {
            received += 1;
        }
        assert_eq!(received, 20_000 + 1024 + 10_000);
        group.kill();
    });
}
