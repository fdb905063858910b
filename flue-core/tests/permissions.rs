//! Rules P: permissions, capabilities and handles.
#![cfg(feature = "std")]

mod common;

use common::*;
use flue_core::{
    Capability, Handle, MAX_MESSAGE_HANDLES, Mailbox, Permissions, PostOffice, SendError, SendWait,
    Signal, Table, TableError,
};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

fn every_set() -> impl Iterator<Item = Permissions> {
    (0..8).map(|bits| Permissions::from_bits(bits).unwrap())
}

/// Rule P1: what each set of permissions allows, through handles and through
/// the host's capabilities.
#[test]
fn each_permission_allows_its_operation_alone() {
    for held in every_set() {
        let office = PostOffice::new();
        let mut user = process(&office);
        let denied =
            |needed| if held.contains(needed) { Ok(()) } else { Err(TableError::PermissionDenied) };
        let attempt = |through_host: bool| {
            let mut target = process(&office);
            let capability = target.mailbox.capability(held);
            let handle = user.table.insert(&capability).unwrap();
            let sent = if through_host {
                capability.send(b"x", &[])
            } else {
                user.table.send(handle, b"x", &[])
            };
            assert_eq!(sent.is_ok(), held.contains(Permissions::SEND));
            if sent.is_ok() {
                assert_eq!(data(&mut target.mailbox), b"x");
            } else {
                assert_eq!(sent, Err(SendError::PermissionDenied));
                assert_empty(&mut target.mailbox);
            }
            let mut cx = Context::from_waker(Waker::noop());
            let polled = if through_host {
                capability.poll_send(&mut cx, &mut SendWait::new(), b"x", &[])
            } else {
                user.table.poll_send(&mut cx, &mut SendWait::new(), handle, b"x", &[])
            };
            assert_eq!(matches!(polled, Poll::Ready(Ok(()))), held.contains(Permissions::SEND));

            let linked = if through_host {
                capability.link(&user.group)
            } else {
                user.table.link(handle, &user.group)
            };
            assert_eq!(linked, denied(Permissions::LINK));
            assert_eq!(office.stats().links, usize::from(linked.is_ok()));
            let unlinked = if through_host {
                capability.unlink(&user.group)
            } else {
                user.table.unlink(handle, &user.group)
            };
            assert_eq!(unlinked.map(|was| assert!(was)), denied(Permissions::LINK));

            let monitored = if through_host {
                capability.monitor(&user.mailbox)
            } else {
                user.table.monitor(handle, &user.mailbox)
            };
            assert_eq!(monitored.map(drop), denied(Permissions::MONITOR));
            let killed = if through_host { capability.kill() } else { user.table.kill(handle) };
            assert_eq!(killed, denied(Permissions::KILL));
            assert_eq!(target.group.is_dead(), killed.is_ok());
        };
        attempt(false);
        attempt(true);
        if held.contains(Permissions::LINK) {
            // Monitored and killed: a down of each target.
            down(&mut user.mailbox);
            down(&mut user.mailbox);
        }
        assert!(!user.group.is_dead());
    }
}

/// Rule P1: a holder of SEND and MONITOR, or of SEND and KILL, cannot link: a
/// link watches and kills.
#[test]
fn a_link_is_no_weaker_than_its_parts() {
    assert_eq!(Permissions::LINK, Permissions::MONITOR | Permissions::KILL);
    let office = PostOffice::new();
    let (user, target) = (process(&office), process(&office));
    for held in [
        Permissions::SEND | Permissions::MONITOR,
        Permissions::SEND | Permissions::KILL,
        Permissions::MONITOR,
        Permissions::KILL,
    ] {
        let handle = user.table.insert(&target.mailbox.capability(held)).unwrap();
        assert_eq!(user.table.link(handle, &user.group), Err(TableError::PermissionDenied));
        assert_eq!(user.table.unlink(handle, &user.group), Err(TableError::PermissionDenied));
    }
    user.group.kill();
    assert!(!target.group.is_dead(), "no link was made");
}

/// Rule P1: unknown bits are refused, and the host's are left out.
#[test]
fn unknown_bits_are_refused() {
    let office = PostOffice::new();
    let Process { group: _group, table, mailbox } = process(&office);
    let all = mailbox.export(Permissions::all()).unwrap();
    for bit in 3..32 {
        let odd = Permissions::from_bits_retain(1 << bit | 1);
        assert_eq!(Permissions::from_bits(odd.bits()), None);
        assert_eq!(mailbox.export(odd), Err(TableError::PermissionDenied));
        assert_eq!(table.demote(all, odd), Err(TableError::PermissionDenied));
        let capability = mailbox.capability(odd);
        assert_eq!(capability.permissions(), Permissions::SEND);
        assert_eq!(capability.demote(odd).unwrap_err(), TableError::PermissionDenied);
    }
    assert_eq!(table.len(), 1);
}

/// Rule P2: demotion yields a subset, or nothing at all happens.
#[test]
fn demotion_only_takes_away() {
    let office = PostOffice::new();
    for held in every_set() {
        let Process { group: _group, table, mailbox } = process(&office);
        let handle = mailbox.export(held).unwrap();
        let capability = mailbox.capability(held);
        for wanted in every_set() {
            let before = table.len();
            match table.demote(handle, wanted) {
                Ok(demoted) => {
                    assert!(held.contains(wanted));
                    assert_eq!(table.permissions(demoted), Ok(wanted));
                    assert_eq!(table.same_route(handle, demoted), Ok(true));
                    assert_eq!(
                        demoted == handle,
                        wanted == held,
                        "D9: the same set is the same handle"
                    );
                    assert_eq!(capability.demote(wanted).unwrap().permissions(), wanted);
                }
                Err(error) => {
                    assert!(!held.contains(wanted));
                    assert_eq!(error, TableError::PermissionDenied);
                    assert_eq!(capability.demote(wanted).unwrap_err(), error);
                    assert_eq!(table.len(), before);
                }
            }
        }
    }
}

/// Rule P2: whatever processes do with their handles and each other's
/// messages, none gets a permission to a route that it, or who sent to it, had
/// not been given.
#[test]
fn no_sequence_widens_a_capability() {
    const PROCESSES: usize = 4;
    for seed in 0..times(40, 2_000) as u64 {
        let mut dice = Dice::new(seed + 1);
        let office = PostOffice::new();
        let mut processes: Vec<Process> = (0..PROCESSES).map(|_| process(&office)).collect();
        let routes: Vec<_> =
            processes.iter().map(|p| p.mailbox.capability(Permissions::empty())).collect();
        // Nobody may do more to a route than the host ever handed out.
        let mut given = [Permissions::empty(); PROCESSES];
        let mut handles: Vec<Vec<Handle>> = vec![Vec::new(); PROCESSES];
        for (at, handles) in handles.iter_mut().enumerate() {
            for _ in 0..3 {
                let route = dice.below(PROCESSES);
                // Never KILL: the processes are to live on.
                let held = Permissions::from_bits_truncate(dice.below(4) as u32);
                given[route] |= held;
                handles.push(
                    processes[at].table.insert(&processes[route].mailbox.capability(held)).unwrap(),
                );
            }
        }
        for _ in 0..300 {
            let at = dice.below(PROCESSES);
            if handles[at].is_empty() {
                continue;
            }
            let pick = handles[at][dice.below(handles[at].len())];
            let other = handles[at][dice.below(handles[at].len())];
            let table = &processes[at].table;
            match dice.below(8) {
                0 => handles[at].extend(
                    table.demote(pick, Permissions::from_bits_retain(dice.below(16) as u32)),
                ),
                1 => drop(table.release(pick)),
                2 => drop(table.retain(pick)),
                3 | 4 => drop(table.send(pick, b"take this", &[other, pick])),
                5 => drop(table.monitor(pick, &processes[at].mailbox)),
                6 => drop((table.kill(pick), table.link(pick, &processes[at].group))),
                _ => {
                    let taken: Vec<Handle> = match processes[at].mailbox.try_recv() {
                        Ok(Signal::Message(mut message)) => message.take_handles().collect(),
                        Ok(Signal::Down(down)) => vec![down.take_handle()],
                        _ => Vec::new(),
                    };
                    handles[at].extend(taken);
                }
            }
        }
        for process in &processes {
            for handle in process.table.handles() {
                let capability = process.table.capability(handle).unwrap();
                let route = routes.iter().position(|route| route.same_route(&capability)).unwrap();
                assert!(given[route].contains(capability.permissions()), "seed {seed}");
            }
        }
        assert!(processes.iter().all(|p| !p.group.is_dead()));
        processes.clear();
    }
}

/// Every operation that takes a handle refuses this one.
fn assert_refused(table: &Table, own: Handle, forged: Handle, mailbox: &Mailbox) {
    let invalid = TableError::InvalidHandle;
    assert!(!table.contains(forged));
    assert_eq!(table.capability(forged).map(drop), Err(invalid));
    assert_eq!(table.permissions(forged), Err(invalid));
    assert_eq!(table.same_route(own, forged), Err(invalid));
    assert_eq!(table.retain(forged), Err(invalid));
    assert_eq!(table.release(forged), Err(invalid));
    assert_eq!(table.demote(forged, Permissions::empty()), Err(invalid));
    assert_eq!(table.send(forged, b"", &[]), Err(SendError::InvalidHandle));
    assert_eq!(
        table.send(own, b"", &[own, forged]),
        Err(SendError::InvalidAttachment { index: 1 })
    );
    assert_eq!(table.kill(forged), Err(invalid));
    assert_eq!(table.monitor(forged, mailbox), Err(invalid));
    assert_eq!(table.link(forged, mailbox.group()), Err(invalid));
    assert_eq!(table.unlink(forged, mailbox.group()), Err(invalid));
}

/// Rule P3: every integer but those that were handed out is invalid.
#[test]
fn invented_handles_name_nothing() {
    let office = PostOffice::new();
    let (user, other) = (process(&office), process(&office));
    assert_eq!(Handle::from_raw(0), None);
    let own = user.mailbox.export(Permissions::all()).unwrap();
    assert_eq!(Handle::from_raw(own.to_raw()), Some(own));
    // The neighbours of a live one, bit by bit and by counting.
    let near = (0..64).map(|bit| own.to_raw() ^ 1 << bit);
    let near = near.chain(
        (1..200).flat_map(|by| [own.to_raw().wrapping_add(by), own.to_raw().wrapping_sub(by)]),
    );
    let mut dice = Dice::new(3);
    let far = (0..20_000).map(|_| dice.next()).chain([
        1,
        u64::MAX,
        u64::MAX - 1,
        1 << 32,
        u64::from(u32::MAX),
    ]);
    for raw in near.chain(far) {
        if let Some(forged) = Handle::from_raw(raw).filter(|forged| *forged != own) {
            assert_refused(&user.table, own, forged, &user.mailbox);
        }
    }
    // Another table's handles are no better than invented ones.
    for _ in 0..100 {
        other.mailbox.export(Permissions::SEND).map(|h| other.table.release(h)).unwrap().unwrap();
    }
    let theirs = other.mailbox.export(Permissions::SEND).unwrap();
    assert_ne!(theirs, own);
    assert_refused(&user.table, own, theirs, &user.mailbox);
    assert_eq!((user.table.len(), user.mailbox.len()), (1, 0));
    assert!(!user.group.is_dead() && user.table.contains(own));
}

/// Rule P3: a handle names one capability for ever, and slots are reused in
/// rotation.
#[test]
fn a_handle_is_never_used_twice() {
    let office = PostOffice::new();
    let Process { group: _group, table, mailbox } = process(&office);
    let (mut seen, mut last, mut in_a_row) = (HashMap::new(), 0, 0);
    let sets: Vec<_> = every_set().collect();
    for round in 0..50_000 {
        let permissions = sets[round % 8];
        let handle = mailbox.export(permissions).unwrap();
        assert_eq!(seen.insert(handle, round), None, "used twice");
        assert_eq!(table.permissions(handle), Ok(permissions));
        // The slot, as the lower half of the integer.
        let slot = handle.to_raw() as u32;
        in_a_row += usize::from(slot == last);
        last = slot;
        table.release(handle).unwrap();
        assert!(!table.contains(handle));
    }
    assert!(in_a_row < 50, "the slot just released was taken again {in_a_row} times");
}

/// Rule P4: equal capabilities are equal handles, however they came in.
#[test]
fn equal_capabilities_have_equal_handles() {
    let office = PostOffice::new();
    let Process { group: _group, table, mut mailbox } = process(&office);
    let mut other = process(&office);
    let foreign = other.mailbox.capability(Permissions::SEND | Permissions::MONITOR);
    let first = table.insert(&foreign).unwrap();
    let again =
        [table.insert(&foreign).unwrap(), table.demote(first, foreign.permissions()).unwrap(), {
            let to = mailbox.capability(Permissions::SEND);
            to.send(b"", &[&foreign]).unwrap();
            let mut message = owned(&mut mailbox);
            message.take_handles().next().unwrap()
        }];
    assert_eq!(again, [first; 3]);
    assert_eq!(table.len(), 1);
    // Four references, each to be released.
    for _ in 0..4 {
        assert!(table.contains(first));
        table.release(first).unwrap();
    }
    assert_eq!(table.release(first), Err(TableError::InvalidHandle));
    // Unequal ones have unequal handles: by permissions, by route.
    let mut handles = Vec::new();
    for set in every_set() {
        handles.push(mailbox.export(set).unwrap());
        handles.push(table.insert(&other.mailbox.capability(set)).unwrap());
    }
    for (i, a) in handles.iter().enumerate() {
        for (j, b) in handles.iter().enumerate() {
            assert_eq!(i == j, a == b);
            assert_eq!(
                table.same_route(*a, *b),
                Ok(i % 2 == j % 2),
                "same_route compares routes alone"
            );
        }
    }
    assert_eq!(table.len(), 16);
    assert!(!table.is_empty());
    assert_empty(&mut other.mailbox);
}

/// Equal capabilities have equal hashes, and others mostly have others.
#[test]
fn a_hash_is_of_route_and_permissions() {
    let office = PostOffice::new();
    let processes = [process(&office), process(&office)];
    let hash = |capability: &Capability| {
        let mut hasher = std::hash::DefaultHasher::new();
        capability.hash(&mut hasher);
        hasher.finish()
    };
    let mut hashes = std::collections::HashSet::new();
    for process in &processes {
        for set in every_set() {
            let capability = process.mailbox.capability(set);
            assert_eq!(hash(&capability), hash(&process.mailbox.capability(set)));
            hashes.insert(hash(&capability));
        }
    }
    assert_eq!(hashes.len(), 16);
}

/// Rule P4: two threads that bring the same capability in get one handle.
#[test]
fn racing_imports_meet_in_one_handle() {
    let office = PostOffice::new();
    let table = office.create_table().unwrap();
    let target = process(&office);
    let clock = Clock::start();
    while clock.is_running() {
        let sets: Vec<_> = every_set().map(|set| target.mailbox.capability(set)).collect();
        let import = || -> Vec<Handle> { sets.iter().map(|c| table.insert(c).unwrap()).collect() };
        let (one, two) = std::thread::scope(|scope| {
            let other = scope.spawn(import);
            (import(), other.join().unwrap())
        });
        assert_eq!(one, two);
        assert_eq!(table.len(), 8);
        for handle in one.into_iter().chain(two) {
            table.release(handle).unwrap();
        }
        assert_eq!(table.len(), 0);
    }
}

/// Rule P5: a process that releases a handle twice while a guard holds it hurts
/// nobody but itself.
#[test]
fn a_double_release_under_a_guard() {
    let office = PostOffice::new();
    let Process { group: _group, table, mut mailbox } = process(&office);
    let mut other = process(&office);
    let to = mailbox.capability(Permissions::SEND);
    to.send(b"look", &[&other.mailbox.capability(Permissions::SEND)]).unwrap();
    let Ok(Signal::Message(message)) = mailbox.try_recv() else { panic!() };
    let handle = message.handles()[0];
    // The guard's reference is not the process's to release.
    assert_eq!(table.release(handle), Err(TableError::InvalidHandle));
    assert_eq!(table.release(handle), Err(TableError::InvalidHandle));
    table.retain(handle).unwrap();
    table.release(handle).unwrap();
    assert_eq!(table.release(handle), Err(TableError::InvalidHandle));
    // The guard still works.
    assert!(table.contains(handle));
    assert_eq!((message.data(), message.handles()), (&b"look"[..], &[handle][..]));
    table.send(handle, b"through the guard", &[]).unwrap();
    drop(message);
    assert!(!table.contains(handle));
    assert_eq!(data(&mut other.mailbox), b"through the guard");
    assert_eq!(table.len(), 0);
}

/// Rule P5: the same with guards that own themselves, of which several hold one entry.
#[test]
fn owned_guards_hold_what_they_hold() {
    let office = PostOffice::new();
    let Process { group: _group, table, mut mailbox } = process(&office);
    let own = mailbox.export(Permissions::SEND).unwrap();
    for _ in 0..3 {
        table.send(own, b"", &[own]).unwrap();
    }
    let mut guards: Vec<_> = (0..3).map(|_| owned(&mut mailbox)).collect();
    table.release(own).unwrap();
    assert_eq!(table.release(own), Err(TableError::InvalidHandle));
    assert!(table.contains(own));
    let taken: Vec<_> = guards[0].take_handles().collect();
    assert_eq!(taken, [own]);
    guards.clear();
    assert!(table.contains(own), "what was taken is the process's");
    table.release(own).unwrap();
    assert_eq!(table.release(own), Err(TableError::InvalidHandle));
    assert!(table.is_empty());
}

/// Rule P5: `retain` stops before the count overflows; an import beyond that
/// sticks for good, and nothing panics.
#[test]
fn counts_do_not_overflow() {
    let office = PostOffice::new();
    let Process { group: _group, table, mut mailbox } = process(&office);
    let handle = mailbox.export(Permissions::SEND).unwrap();
    let mut retained = 0u32;
    let refused = loop {
        match table.retain(handle) {
            Ok(()) => retained += 1,
            Err(error) => break error,
        }
        assert!(retained < 1 << 20, "the count has a limit");
    };
    assert_eq!(refused, TableError::LimitReached);
    for _ in 0..retained {
        table.release(handle).unwrap();
    }
    table.release(handle).unwrap();
    assert_eq!(
        table.release(handle),
        Err(TableError::InvalidHandle),
        "exactly as many as were taken"
    );

    let handle = mailbox.export(Permissions::SEND).unwrap();
    while table.retain(handle).is_ok() {}
    let capability = mailbox.capability(Permissions::SEND);
    for _ in 0..100_000u32 {
        assert_eq!(table.insert(&capability), Ok(handle), "an import cannot fail");
    }
    capability.send(b"", &[&capability]).unwrap();
    drop(owned(&mut mailbox));
    for _ in 0..1_000_000 {
        let _ = table.release(handle);
    }
    assert!(table.contains(handle), "a count that reached its maximum sticks");
    table.send(handle, b"still", &[]).unwrap();
    assert_eq!(data(&mut mailbox), b"still");
}

/// Rule P6: whoever reads an entry while it changes hands sees one capability
/// whole, or none; never one's route with another's permissions.
#[test]
fn readers_see_whole_capabilities() {
    let office = PostOffice::new();
    let (one, two) = (process(&office), process(&office));
    let table = office.create_table().unwrap();
    let odd = one.mailbox.capability(Permissions::SEND | Permissions::KILL);
    let even = two.mailbox.capability(Permissions::MONITOR);
    let (latest, done) = (AtomicU64::new(1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reader = || {
            let (mut whole, mut none) = (0u64, 0u64);
            while !done.load(SeqCst) {
                let handle = Handle::from_raw(latest.load(SeqCst)).unwrap();
                match table.capability(handle) {
                    Ok(seen) => {
                        let expected = if seen.same_route(&odd) { &odd } else { &even };
                        assert!(seen == *expected, "torn: {seen:?}");
                        whole += 1;
                    }
                    Err(error) => {
                        assert_eq!(error, TableError::InvalidHandle);
                        none += 1;
                    }
                }
            }
            (whole, none)
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        let clock = Clock::start();
        let mut round = 0u64;
        while clock.is_running() {
            for _ in 0..1000 {
                round += 1;
                let handle =
                    table.insert(if round.is_multiple_of(2) { &even } else { &odd }).unwrap();
                latest.store(handle.to_raw(), SeqCst);
                table.release(handle).unwrap();
            }
        }
        done.store(true, SeqCst);
        for reader in readers {
            let _ = reader.join().unwrap();
        }
    });
    assert!(!one.group.is_dead() && !two.group.is_dead());
}

/// Rule P2: a down's capability has no permissions, and an attached one comes whole.
#[test]
fn what_travels_is_copied_whole() {
    let office = PostOffice::new();
    let Process { group: _group, table, mut mailbox } = process(&office);
    let to = mailbox.capability(Permissions::SEND);
    let others: Vec<_> = (0..MAX_MESSAGE_HANDLES).map(|_| process(&office)).collect();
    let sent: Vec<_> =
        others.iter().zip(every_set()).map(|(p, set)| p.mailbox.capability(set)).collect();
    to.send(b"", &sent.iter().collect::<Vec<_>>()).unwrap();
    let Ok(Signal::Message(message)) = mailbox.try_recv() else { panic!() };
    for (handle, capability) in message.handles().iter().zip(&sent) {
        assert!(table.capability(*handle).unwrap() == *capability, "in order and whole");
    }
    assert_eq!(message.handles().len(), MAX_MESSAGE_HANDLES);
    drop(message);
    let watched = others[0].mailbox.capability(Permissions::MONITOR);
    watched.monitor(&mailbox).unwrap();
    others[0].group.kill();
    let Ok(Signal::Down(down)) = mailbox.try_recv() else { panic!() };
    let empty = table.capability(down.handle()).unwrap();
    assert!(empty.permissions().is_empty() && empty.same_route(&watched));
}
