//! Rules O: objects, their lives and their owners.
#![cfg(feature = "std")]

mod common;

use common::*;
use flue_core::{
    Capability, CreateError, DownReason, Handle, Limits, Mailbox, MailboxLimits, Permissions,
    PostOffice, RouteGroup, SendError, SendWait, Signal, Table, TableError, TryRecvError,
};
use std::collections::HashSet;
use std::task::{Context, Waker};

/// Rule O1: objects of two offices do not work together, and nothing happens.
#[test]
fn two_offices_do_not_mix() {
    let (here, there) = (PostOffice::new(), PostOffice::new());
    let mut ours = process(&here);
    let mut theirs = process(&there);
    let all = ours.mailbox.export(Permissions::all()).unwrap();
    let alien = theirs.mailbox.capability(Permissions::all());
    let local = ours.mailbox.capability(Permissions::all());
    let (before_here, before_there) = (here.stats(), there.stats());

    let mismatch = TableError::PostOfficeMismatch;
    assert_eq!(
        ours.group.create_mailbox(&theirs.table).unwrap_err(),
        CreateError::PostOfficeMismatch
    );
    assert_eq!(ours.table.insert(&alien), Err(mismatch));
    assert_eq!(ours.table.monitor(all, &theirs.mailbox), Err(mismatch));
    assert_eq!(ours.table.link(all, &theirs.group), Err(mismatch));
    assert_eq!(ours.table.unlink(all, &theirs.group), Err(mismatch));
    assert_eq!(ours.group.link(&theirs.group), Err(mismatch));
    assert_eq!(ours.group.unlink(&theirs.group), Err(mismatch));
    assert_eq!(alien.monitor(&ours.mailbox), Err(mismatch));
    assert_eq!(alien.link(&ours.group), Err(mismatch));
    assert_eq!(alien.unlink(&ours.group), Err(mismatch));
    assert_eq!(alien.send(b"", &[&local]), Err(SendError::PostOfficeMismatch));
    let rejected = alien.send_payload(vec![1].into(), &[&local]).unwrap_err();
    assert_eq!((rejected.error, &rejected.payload[..]), (SendError::PostOfficeMismatch, &[1][..]));
    let mut cx = Context::from_waker(Waker::noop());
    let polled = alien.poll_send(&mut cx, &mut SendWait::new(), b"", &[&local]);
    assert!(matches!(polled, std::task::Poll::Ready(Err(SendError::PostOfficeMismatch))));
    assert!(!alien.same_route(&local) && alien != local && ours.group != theirs.group);

    assert_eq!((here.stats(), there.stats()), (before_here, before_there));
    assert_eq!((ours.table.len(), theirs.table.len()), (1, 0));
    assert_empty(&mut ours.mailbox);
    assert_empty(&mut theirs.mailbox);
    ours.group.kill();
    assert!(!theirs.group.is_dead());
}

/// Rule O1: the mismatch is found before anything else that is wrong.
#[test]
fn a_mismatch_comes_first() {
    let (here, there) = (PostOffice::new(), PostOffice::new());
    let (ours, theirs) = (process(&here), process(&there));
    let forged = Handle::from_raw(77 << 32).unwrap();
    ours.group.kill();
    let mismatch = TableError::PostOfficeMismatch;
    assert_eq!(ours.table.insert(&theirs.mailbox.capability(Permissions::SEND)), Err(mismatch));
    assert_eq!(ours.table.monitor(forged, &theirs.mailbox), Err(mismatch));
    assert_eq!(ours.table.link(forged, &theirs.group), Err(mismatch));
    assert_eq!(ours.table.unlink(forged, &theirs.group), Err(mismatch));
    assert_eq!(
        ours.group.create_mailbox(&theirs.table).unwrap_err(),
        CreateError::PostOfficeMismatch
    );
    assert!(!theirs.group.is_dead(), "a dead group does not kill across offices");
    // The same with objects of one office: the next check decides.
    let sibling = process(&here);
    assert_eq!(ours.table.monitor(forged, &sibling.mailbox), Err(TableError::Dead));
}

/// Rule O2: what is gone stays gone, whatever takes its place.
#[test]
fn an_address_is_right_for_one_life() {
    let office = PostOffice::new();
    let mut observer = process(&office);
    let host = office.create_table().unwrap();
    let mut gone: Vec<(Capability, Handle)> = Vec::new();
    for round in 0..times(2_000, 200_000) {
        let victim = process(&office);
        let capability = victim.mailbox.capability(Permissions::all());
        let handle = host.insert(&capability).unwrap();
        if round % 2 == 0 {
            victim.group.kill();
        }
        drop(victim);
        if round % 100 == 0 {
            gone.push((capability, handle));
        } else {
            host.release(handle).unwrap();
        }
    }
    // Fresh ones are in the very slots now.
    let fresh: Vec<_> = (0..200).map(|_| process(&office)).collect();
    for (capability, handle) in &gone {
        assert!(capability.is_closed());
        assert_eq!(host.send(*handle, b"", &[]), Err(SendError::Closed));
        assert_eq!(capability.send(b"", &[]), Err(SendError::Closed));
        assert_eq!(capability.kill(), Ok(()), "killing an ended group does nothing");
        assert!(!capability.unlink(&observer.group).unwrap());
        let id = host.monitor(*handle, &observer.mailbox).unwrap();
        assert_eq!(down(&mut observer.mailbox), (id, DownReason::Gone));
        assert!(!observer.mailbox.demonitor(id));
    }
    assert!(fresh.iter().all(|p| !p.group.is_dead() && p.mailbox.is_empty()));
    // A link to what is gone kills (rule L2), and only the asker.
    let lonely = process(&office);
    assert_eq!(gone[0].0.link(&lonely.group), Ok(()));
    assert!(lonely.group.is_dead() && fresh.iter().all(|p| !p.group.is_dead()));
}

/// Rules O2, P3 and Q2: where memory was given back, what takes its place counts on: no
/// handle is given out twice, and what is gone is nobody else.
#[test]
fn names_outlive_the_memory_of_what_they_named() {
    let office = PostOffice::new();
    let host = office.create_table().unwrap();
    let (mut used, mut gone) = (HashSet::new(), Vec::new());
    for round in 0..6 {
        let processes: Vec<_> = (0..300).map(|_| process(&office)).collect();
        for (number, process) in processes.iter().enumerate() {
            let capability = process.mailbox.capability(Permissions::all());
            let handle = host.insert(&capability).unwrap();
            assert!(used.insert(handle), "round {round}, process {number}: a handle again");
            gone.push((handle, capability));
        }
        for (handle, _) in &gone[round * 300..] {
            host.release(*handle).unwrap();
        }
        drop(processes);
        office.reclaim();
        let fresh: Vec<_> = (0..20).map(|_| process(&office)).collect();
        for (handle, capability) in &gone {
            assert!(!host.contains(*handle) && capability.is_closed());
            assert_eq!(capability.send(b"", &[]), Err(SendError::Closed));
            assert_eq!(capability.kill(), Ok(()));
        }
        assert!(fresh.iter().all(|p| !p.group.is_dead() && p.mailbox.is_empty()));
    }
}

/// Rule O2: handles and monitor ids of earlier lives name nothing after
/// 10,000,000 reuses of their slots.
#[test]
fn stale_handles_after_ten_million_reuses() {
    let office = PostOffice::new();
    let Process { group: _group, table, mut mailbox } = process(&office);
    let mut stale = Vec::new();
    for round in 0..10_000_000 {
        let handle = mailbox.export(Permissions::SEND).unwrap();
        table.release(handle).unwrap();
        if round % 100_000 == 0 {
            stale.push(handle);
        }
    }
    let mut ids = Vec::new();
    let handle = mailbox.export(Permissions::MONITOR).unwrap();
    for round in 0..times(200_000, 10_000_000) {
        let id = table.monitor(handle, &mailbox).unwrap();
        assert!(mailbox.demonitor(id));
        if round % 10_000 == 0 {
            ids.push(id);
        }
    }
    let live = mailbox.export(Permissions::SEND).unwrap();
    let id = table.monitor(handle, &mailbox).unwrap();
    for handle in stale {
        assert_ne!(handle, live);
        assert!(!table.contains(handle));
        assert_eq!(table.send(handle, b"", &[]), Err(SendError::InvalidHandle));
        assert_eq!(table.release(handle), Err(TableError::InvalidHandle));
    }
    assert!(ids.into_iter().all(|stale| stale != id && !mailbox.demonitor(stale)));
    assert!(mailbox.demonitor(id));
}

/// Rule O3: a mailbox's table is the office's or of its own group.
#[test]
fn a_table_of_another_group_is_refused() {
    let office = PostOffice::new();
    let (one, two) = (office.create_group().unwrap(), office.create_group().unwrap());
    let (of_one, of_two) = (one.create_table().unwrap(), two.create_table().unwrap());
    let host = office.create_table().unwrap();
    assert_eq!(one.create_mailbox(&of_two).unwrap_err(), CreateError::TableMismatch);
    assert_eq!(two.create_mailbox(&of_one).unwrap_err(), CreateError::TableMismatch);
    assert_eq!(office.stats().routes, 0);
    let mut mailboxes = [
        one.create_mailbox(&of_one),
        two.create_mailbox(&of_two),
        one.create_mailbox(&host),
        one.create_mailbox(&of_one),
    ]
    .map(Result::unwrap);
    assert_eq!(office.stats().routes, 4);
    // The table that it was made with gets its capabilities, and each has one route.
    let to = mailboxes[2].capability(Permissions::SEND);
    to.send(b"", &[&mailboxes[0].capability(Permissions::SEND)]).unwrap();
    let Ok(Signal::Message(mut message)) = mailboxes[2].try_recv() else { panic!() };
    let handle = message.take_handles().next().unwrap();
    drop(message);
    assert!(host.contains(handle) && of_one.is_empty());
    let a = mailboxes[0].export(Permissions::SEND).unwrap();
    let b = mailboxes[0].export(Permissions::KILL).unwrap();
    let c = mailboxes[3].export(Permissions::SEND).unwrap();
    assert_eq!(of_one.same_route(a, b), Ok(true));
    assert_eq!(of_one.same_route(a, c), Ok(false));
    assert_eq!(mailboxes[3].group(), &one);
}

/// Rule O3: a mailbox has one consumer, on any thread: Send, not Sync.
#[test]
fn a_mailbox_is_send_and_not_sync() {
    trait MaybeSync<A> {
        fn one_impl() {}
    }
    impl<T: ?Sized> MaybeSync<()> for T {}
    struct IsSync;
    impl<T: ?Sized + Sync> MaybeSync<IsSync> for T {}
    <Mailbox as MaybeSync<_>>::one_impl(); // Ambiguous, were it Sync.

    fn send<T: Send + 'static>() {}
    fn sync<T: Sync>() {}
    send::<Mailbox>();
    send::<SendWait>();
    send::<flue_core::OwnedSignal>();
    send::<PostOffice>();
    sync::<PostOffice>();
    send::<Table>();
    sync::<Table>();
    send::<RouteGroup>();
    sync::<RouteGroup>();
    send::<Capability>();
    sync::<Capability>();
    fn guards_are_send<'m>(mailbox: &'m mut Mailbox) -> impl Send + use<'m> {
        mailbox.recv_async()
    }
    let Process { group: _group, table: _table, mut mailbox } = process(&PostOffice::new());
    drop(guards_are_send(&mut mailbox));
}

/// Rule O4: a group that ends does not die: its links dissolve.
#[test]
fn an_ending_group_kills_nobody() {
    let office = PostOffice::new();
    let friend = process(&office);
    let mut observer = process(&office);
    let Process { group, table, mailbox } = process(&office);
    group.link(&friend.group).unwrap();
    let id = mailbox.capability(Permissions::MONITOR).monitor(&observer.mailbox).unwrap();
    let capability = mailbox.capability(Permissions::all());
    drop(group);
    drop(mailbox);
    assert_eq!(down(&mut observer.mailbox), (id, DownReason::Closed), "closed, not killed");
    assert_eq!(capability.kill(), Err(TableError::Closed), "the table still owns the group");
    assert_eq!(office.stats().links, 1);
    drop(table);
    assert!(!friend.group.is_dead());
    assert_eq!((office.stats().links, office.stats().groups), (0, 2));
    assert_eq!(capability.kill(), Ok(()), "it ended: nothing is left to kill");
    assert!(!friend.group.is_dead());
}

/// Rule O4: the last owner of whatever kind ends the group, no other does.
#[test]
fn every_kind_of_owner_keeps_its_group() {
    let office = PostOffice::new();
    let friend = process(&office);
    for last in 0..3 {
        let Process { group, table, mailbox } = process(&office);
        let again = group.clone();
        group.link(&friend.group).unwrap();
        let mut owners: Vec<Box<dyn std::any::Any>> =
            vec![Box::new((group, again)), Box::new(table), Box::new(mailbox)];
        let keep = owners.remove(last);
        drop(owners);
        // A mailbox keeps its table too, which is an owner like it.
        assert_eq!((office.stats().groups, office.stats().links), (2, 1));
        drop(keep);
        assert_eq!((office.stats().groups, office.stats().links, office.stats().tables), (1, 0, 1));
    }
    // Killed once is dead for good, through every owner.
    let Process { group, table: _table, mut mailbox } = process(&office);
    let again = group.clone();
    group.kill();
    again.kill();
    assert!(again.is_dead() && group == again);
    assert_dead(&mut mailbox);
    assert_eq!(
        group.create_mailbox(&office.create_table().unwrap()).unwrap_err(),
        CreateError::Dead
    );
    assert_eq!(again.create_table().unwrap_err(), CreateError::Dead);
}

/// What a little world consists of, each to be dropped by itself.
fn things() -> Vec<Box<dyn std::any::Any + Send>> {
    let office = PostOffice::new();
    let Process { group, table, mut mailbox } = process_with(&office, limits(2, 200, 4));
    let peer = process(&office);
    let to = mailbox.export(Permissions::all()).unwrap();
    let watched = peer.mailbox.capability(Permissions::all());
    table.insert(&watched).unwrap();
    watched.monitor(&mailbox).unwrap();
    watched.link(&group).unwrap();
    table.send(to, &[7; 160], &[to]).unwrap();
    let owned = owned(&mut mailbox);
    table.send(to, b"queued", &[to]).unwrap();
    table.send(to, b"queued", &[]).unwrap();
    let mut wait = SendWait::new();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(table.poll_send(&mut cx, &mut wait, to, b"waiting", &[]).is_pending());
    assert!(mailbox.poll_ready(&mut cx).is_ready());
    vec![
        Box::new(office),
        Box::new((group, peer.group)),
        Box::new((table, peer.table)),
        Box::new(mailbox),
        Box::new(peer.mailbox),
        Box::new((owned, watched)),
        Box::new(wait),
    ]
}

/// Every order of `count` things, by Heap's algorithm.
fn each_order(count: usize, mut visit: impl FnMut(&[usize])) {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = vec![0; count];
    visit(&order);
    let mut at = 0;
    while at < count {
        if state[at] < at {
            order.swap(if at % 2 == 0 { 0 } else { state[at] }, at);
            visit(&order);
            state[at] += 1;
            at = 0;
        } else {
            state[at] = 0;
            at += 1;
        }
    }
}

/// Rule O4: dropped in any order, outside of any executor.
#[test]
fn dropped_in_every_order() {
    let mut orders = 0;
    each_order(7, |order| {
        orders += 1;
        let mut things: Vec<_> = things().into_iter().map(Some).collect();
        for at in order {
            things[*at] = None;
        }
    });
    assert_eq!(orders, 5040);
}

/// Rule O4: dropped from any thread, at the same time.
#[test]
fn dropped_on_many_threads() {
    for _ in 0..times(100, 2_000) {
        std::thread::scope(|scope| {
            for thing in things() {
                scope.spawn(move || drop(thing));
            }
        });
    }
}

/// Rule O4: dropped while unwinding, guards included.
#[test]
fn dropped_while_unwinding() {
    for skip in 0..7 {
        let unwound = panics(move || {
            let mut things = things();
            things.rotate_left(skip);
            let office = PostOffice::new();
            let Process { group: _group, table, mut mailbox } = process(&office);
            let to = mailbox.export(Permissions::all()).unwrap();
            table.send(to, b"", &[to]).unwrap();
            let _guard = mailbox.try_recv().unwrap();
            panic!("on purpose");
        });
        assert!(unwound);
    }
}

/// Rule O5: the death of the group seals its tables; every operation fails.
#[test]
fn a_sealed_table_does_nothing() {
    let office = PostOffice::new();
    let mut server = process(&office);
    let bystander = process(&office);
    let Process { group, table, mut mailbox } = process(&office);
    let own = mailbox.export(Permissions::all()).unwrap();
    let to = table.insert(&server.mailbox.capability(Permissions::all())).unwrap();
    table.send(own, b"", &[to]).unwrap();
    let message = owned(&mut mailbox);
    assert_eq!((table.len(), table.handles().count()), (2, 2));
    let capability = table.capability(to).unwrap();

    group.kill();
    assert_eq!((table.len(), table.handles().count(), table.is_empty()), (0, 0, true));
    assert!(!table.contains(to) && !table.contains(own));
    let dead = TableError::Dead;
    assert_eq!(table.insert(&capability), Err(dead));
    assert_eq!(table.capability(to).map(drop), Err(dead));
    assert_eq!(table.permissions(to), Err(dead));
    assert_eq!(table.same_route(to, to), Err(dead));
    assert_eq!(table.retain(to), Err(dead));
    assert_eq!(table.release(to), Err(dead));
    assert_eq!(table.demote(to, Permissions::SEND), Err(dead));
    assert_eq!(table.send(to, b"", &[]), Err(SendError::Dead));
    assert_eq!(table.send(to, &[0; 200], &[to]), Err(SendError::Dead));
    assert_eq!(table.send_payload(to, vec![1].into(), &[]).unwrap_err().error, SendError::Dead);
    let mut cx = Context::from_waker(Waker::noop());
    let polled = table.poll_send(&mut cx, &mut SendWait::new(), to, b"", &[]);
    assert!(matches!(polled, std::task::Poll::Ready(Err(SendError::Dead))));
    assert_eq!(table.kill(to), Err(dead));
    assert_eq!(table.monitor(to, &bystander.mailbox), Err(dead));
    assert_eq!(table.link(to, &bystander.group), Err(dead));
    assert_eq!(table.unlink(to, &bystander.group), Err(dead));
    assert_eq!(mailbox.export(Permissions::SEND), Err(dead));
    // Guards still give back, silently, and nobody else was touched.
    assert_eq!((message.data(), message.handles()), (&b""[..], &[to][..]));
    drop(message);
    assert!(!server.group.is_dead() && !bystander.group.is_dead());
    assert_empty(&mut server.mailbox);
}

/// Rule O5: a table of the office is the host's, and no death seals it.
#[test]
fn a_host_table_is_never_sealed() {
    let office = PostOffice::new();
    let host = office.create_table().unwrap();
    let group = office.create_group().unwrap();
    let mut mailbox = group.create_mailbox(&host).unwrap();
    let mut other = process(&office);
    let own = mailbox.export(Permissions::all()).unwrap();
    let to = host.insert(&other.mailbox.capability(Permissions::SEND)).unwrap();
    group.kill();
    assert_eq!((host.len(), host.permissions(own)), (2, Ok(Permissions::all())));
    assert_eq!(host.send(to, b"alive", &[own]), Ok(()));
    assert_eq!(data(&mut other.mailbox), b"alive");
    assert_eq!(host.send(own, b"", &[]), Err(SendError::Closed));
    assert_eq!(mailbox.try_recv().map(drop), Err(TryRecvError::Dead));
    assert_eq!(mailbox.export(Permissions::SEND), Err(TableError::Dead));
    host.release(own).unwrap();
    assert_eq!(host.len(), 1);
}

/// Rule O5: no operation that starts after the death takes effect.
#[test]
fn nothing_starts_after_the_death() {
    let office = PostOffice::new();
    let clock = Clock::start();
    while clock.is_running() {
        let Process { group, table, mailbox } = process(&office);
        let all = mailbox.export(Permissions::all()).unwrap();
        std::thread::scope(|scope| {
            let (group, table) = (&group, &table);
            let worker = scope.spawn(move || {
                loop {
                    let was_dead = group.is_dead();
                    let results = [
                        table.retain(all),
                        table.release(all),
                        table.demote(all, Permissions::SEND).map(drop),
                        table.permissions(all).map(drop),
                    ];
                    if was_dead {
                        assert_eq!(results, [Err(TableError::Dead); 4]);
                        break;
                    }
                }
            });
            group.kill();
            worker.join().unwrap();
        });
    }
}

/// Rule O6: versions are at least 32 bits wide where words have 64 bits, and at
/// least 15 where they have 32. Read off the layouts as the source states them.
#[test]
fn versions_are_wide_enough() {
    let mut found = 0;
    for (file, text) in sources() {
        for (width, least) in [(64, 32), (32, 15)] {
            let mut ends = std::collections::HashMap::new();
            for (name, constructor, arguments) in fields(&text) {
                let (below, bits) = match constructor.as_str() {
                    "lowest" => (0, Some(arguments[0].clone())),
                    "above" => (ends[&arguments[0]], Some(arguments[1].clone())),
                    _ => (ends[&arguments[0]], None),
                };
                let end = bits.map_or(width, |bits| below + evaluate(&bits, width));
                assert!(end <= width, "{file}: {name} does not fit");
                if ["VERSION", "TAG", "REGISTRATION"].contains(&name.as_str()) {
                    // The waker's word is 32 bits wide on every target.
                    let least = if name == "REGISTRATION" { 15 } else { least };
                    assert!(
                        end - below >= least,
                        "{file}: {name} has {} of {width} bits",
                        end - below
                    );
                    found += 1;
                }
                ends.insert(name, end);
            }
        }
    }
    assert!(found >= 2 * 6, "the layouts were not found: {found}");
}

/// The crate's sources.
fn sources() -> Vec<(String, String)> {
    fn walk(dir: &std::path::Path, into: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else {
                into.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut all = Vec::new();
    walk(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    all
}

/// Name, constructor and arguments of each field at the top level of a file, in order.
fn fields(text: &str) -> Vec<(String, String, Vec<String>)> {
    let mut all = Vec::new();
    for line in text.lines() {
        let Some((name, made)) = line
            .trim()
            .trim_start_matches("pub(super) ")
            .strip_prefix("const ")
            .and_then(|l| l.split_once(": Field = Field::"))
        else {
            continue;
        };
        let Some((constructor, arguments)) = made.trim_end_matches(';').split_once('(') else {
            continue;
        };
        let arguments =
            arguments.trim_end_matches(')').split(',').map(|a| a.trim().to_owned()).collect();
        all.push((name.to_owned(), constructor.to_owned(), arguments));
    }
    all
}

/// The value of `12`, or of `WORD / 2 - 3` and the like.
fn evaluate(expression: &str, bits: i64) -> i64 {
    let expression = expression
        .replace("WORD", &bits.to_string())
        .replace("SLOTS as u32", &(bits / 2).to_string());
    let mut words = expression.split_whitespace();
    let mut value: i64 = words.next().unwrap().parse().unwrap();
    while let (Some(operator), Some(operand)) = (words.next(), words.next()) {
        let operand: i64 = operand.parse().unwrap();
        value = match operator {
            "/" => value / operand,
            "-" => value - operand,
            "+" => value + operand,
            other => panic!("{other}"),
        };
    }
    value
}

/// Rule O4: the office goes with the last of the values that count on it.
#[test]
fn anything_keeps_its_office() {
    let mut few = Limits::default();
    few.groups = 2;
    let office = PostOffice::with_limits(few);
    let Process { group, table, mailbox } = process_with(&office, MailboxLimits::default());
    let capability = mailbox.capability(Permissions::SEND);
    drop((office, group, table, mailbox));
    assert!(capability.is_closed());
    let again = capability.clone();
    drop(capability);
    assert_eq!(again.send(b"", &[]), Err(SendError::Closed));
}
