//! The rules that are easiest to get wrong, one test each, named after what they promise.

use core::task::Poll;
use std::collections::BTreeMap;

use flue_spec::*;

/// A process: a group, a table of it, a mailbox on it.
#[derive(Clone, Copy)]
struct Process {
    group: Group,
    table: Table,
    mailbox: Mailbox,
}

fn process(spec: &mut Spec) -> Process {
    process_with(spec, MailboxLimits::default())
}

fn process_with(spec: &mut Spec, limits: MailboxLimits) -> Process {
    let group = spec.create_group().unwrap();
    let table = spec.create_group_table(group).unwrap();
    let mailbox = spec.create_mailbox(group, table, limits).unwrap();
    Process { group, table, mailbox }
}

/// Gives `to` a capability to `of`.
fn grant(spec: &mut Spec, to: Process, of: Process, permissions: Permissions) -> Handle {
    let capability = spec.capability(of.mailbox, permissions);
    spec.insert(to.table, capability).unwrap()
}

fn send(
    spec: &mut Spec,
    from: Process,
    to: Handle,
    data: &[u8],
    attach: &[Handle],
) -> Result<(), SendError> {
    let message = spec.outgoing(from.table, to, data, attach);
    spec.send(&message)
}

fn kill(spec: &mut Spec, table: Table, handle: Handle) -> Result<(), TableError> {
    spec.look_up(table, handle).and_then(|capability| spec.kill(capability))
}

/// Receives and drops everything.
fn drain(spec: &mut Spec, mailbox: Mailbox) -> Vec<Signal> {
    let mut signals = Vec::new();
    while let Ok(guard) = spec.try_recv(mailbox) {
        signals.push(spec.received(guard).signal.clone());
        spec.drop_guard(guard);
    }
    signals
}

fn small_table(handles_per_table: u32) -> Spec {
    Spec::new(Limits { handles_per_table, ..Limits::default() }, 48)
}

const NO_LIMITS: MailboxLimits = MailboxLimits { messages: 9, bytes: 9999, handles: 9, waiters: 9 };

#[test]
fn o4_a_group_that_loses_its_last_owner_ends_without_dying() {
    let mut spec = Spec::default();
    let (a, b, c) = (process(&mut spec), process(&mut spec), process(&mut spec));
    let cap = spec.capability(b.mailbox, ALL);
    spec.link_groups(a.group, b.group).unwrap();
    spec.link_groups(b.group, c.group).unwrap();
    spec.drop_group(b.group);
    spec.drop_table(b.table);
    spec.kill_group(a.group);
    assert!(spec.is_dead(b.group), "its mailbox still owned it");
    assert!(spec.is_dead(c.group));

    let (a, b, c) = (process(&mut spec), process(&mut spec), process(&mut spec));
    let cap_b = spec.capability(b.mailbox, ALL);
    spec.link_groups(a.group, b.group).unwrap();
    spec.link_groups(b.group, c.group).unwrap();
    spec.close(b.mailbox);
    spec.drop_table(b.table);
    spec.drop_group(b.group);
    spec.kill_group(a.group);
    assert!(!spec.is_dead(b.group) && !spec.is_dead(c.group), "the links dissolved");
    assert_eq!(spec.kill(cap_b), Ok(()), "killing an ended group is nothing (rule K1)");
    assert_eq!(spec.kill(cap), Ok(()));
}

#[test]
fn o4_a_guard_keeps_its_table_and_so_its_group() {
    let mut spec = Spec::default();
    let (a, b) = (process(&mut spec), process(&mut spec));
    spec.link_groups(a.group, b.group).unwrap();
    let me = grant(&mut spec, a, a, SEND);
    send(&mut spec, a, me, b"x", &[me]).unwrap();
    let guard = spec.try_recv(a.mailbox).unwrap();
    spec.close(a.mailbox);
    spec.drop_table(a.table);
    spec.drop_group(a.group);
    assert!(spec.groups().any(|group| group == a.group));
    spec.drop_guard(guard);
    assert!(!spec.groups().any(|group| group == a.group));
    spec.kill_group(a.group);
    assert!(!spec.is_dead(b.group));
}

#[test]
fn o5_a_table_is_sealed_when_its_group_dies_and_guards_stay_readable() {
    let mut spec = Spec::default();
    let a = process(&mut spec);
    let me = grant(&mut spec, a, a, ALL);
    send(&mut spec, a, me, b"first", &[me]).unwrap();
    send(&mut spec, a, me, b"second", &[]).unwrap();
    let guard = spec.try_recv(a.mailbox).unwrap();
    kill(&mut spec, a.table, me).unwrap();
    assert_eq!(spec.look_up(a.table, me), Err(TableError::Dead));
    assert_eq!((spec.handles(a.table), spec.authority(a.table).len()), (vec![], 0));
    assert_eq!(send(&mut spec, a, me, b"", &[]), Err(SendError::Dead));
    assert_eq!(spec.try_recv(a.mailbox), Err(TryRecvError::Dead), "rule R3");
    assert_eq!(spec.received(guard).handles, [me]);
    spec.drop_guard(guard);
}

#[test]
fn p4_equal_handles_are_equal_capabilities() {
    let mut spec = Spec::default();
    let a = process(&mut spec);
    let all = spec.export(a.mailbox, ALL).unwrap();
    assert_eq!(spec.export(a.mailbox, ALL), Ok(all));
    assert_eq!(spec.demote(a.table, all, ALL), Ok(all));
    let less = spec.demote(a.table, all, SEND).unwrap();
    assert_ne!(less, all);
    assert_eq!(spec.same_route(a.table, less, all), Ok(true));
    assert_eq!(spec.demote(a.table, less, KILL), Err(TableError::PermissionDenied));
    assert_eq!(spec.export(a.mailbox, 1 << 31), Err(TableError::PermissionDenied), "rule P1");
    for _ in 0..3 {
        assert_eq!(spec.release(a.table, all), Ok(()));
    }
    assert_eq!(spec.release(a.table, all), Err(TableError::InvalidHandle));
    assert_ne!(
        spec.export(a.mailbox, ALL),
        Ok(all),
        "a handle names one capability for ever (rule P3)"
    );
}

#[test]
fn p5_release_takes_own_references_only() {
    let mut spec = Spec::default();
    let a = process(&mut spec);
    let me = spec.export(a.mailbox, SEND).unwrap();
    send(&mut spec, a, me, b"", &[me]).unwrap();
    let guard = spec.try_recv(a.mailbox).unwrap();
    assert_eq!(spec.release(a.table, me), Ok(()), "the exported reference");
    assert_eq!(spec.release(a.table, me), Err(TableError::InvalidHandle), "the guard's");
    assert!(spec.look_up(a.table, me).is_ok());
    spec.retain(a.table, me).unwrap();
    spec.drop_guard(guard);
    assert_eq!(spec.release(a.table, me), Ok(()), "the retained one outlives the guard");
    assert_eq!(spec.look_up(a.table, me), Err(TableError::InvalidHandle));
}

#[test]
fn s1_the_first_failed_check_decides() {
    let limits = Limits { handles_per_message: 1, bytes_per_message: 4, ..Limits::default() };
    let mut spec = Spec::new(limits, 48);
    let none = MailboxLimits { messages: 0, ..NO_LIMITS };
    let (a, b) = (process(&mut spec), process_with(&mut spec, none));
    let mute = grant(&mut spec, a, b, KILL);
    let to = grant(&mut spec, a, b, SEND);
    let forged = usize::MAX;
    assert_eq!(send(&mut spec, a, forged, b"12345", &[forged; 2]), Err(SendError::TooManyHandles));
    assert_eq!(send(&mut spec, a, forged, b"12345", &[forged]), Err(SendError::TooLarge));
    assert_eq!(send(&mut spec, a, forged, b"1234", &[forged]), Err(SendError::InvalidHandle));
    assert_eq!(send(&mut spec, a, mute, b"", &[forged]), Err(SendError::PermissionDenied));
    spec.close(b.mailbox);
    assert_eq!(
        send(&mut spec, a, to, b"", &[forged]),
        Err(SendError::InvalidAttachment { index: 0 })
    );
    assert_eq!(send(&mut spec, a, to, b"", &[]), Err(SendError::Closed), "before Full");
    spec.kill_group(a.group);
    assert_eq!(send(&mut spec, a, forged, b"12345", &[forged; 2]), Err(SendError::Dead));
}

#[test]
fn s2_taken_handles_stay_charged_to_the_mailbox_until_released() {
    let mut spec = small_table(1);
    let a = process(&mut spec);
    let b = process_with(&mut spec, MailboxLimits { handles: 1, ..NO_LIMITS });
    let host = spec.create_table().unwrap();
    let send_to = |spec: &mut Spec, capability| {
        let to = Ok(spec.capability(b.mailbox, SEND));
        spec.send(&Outgoing { to, attach: vec![Ok(capability)], data: vec![], owned: false })
    };
    let (first, second) = (spec.capability(a.mailbox, SEND), spec.capability(a.mailbox, KILL));
    assert_eq!(spec.table_capacity(b.table), 2);
    send_to(&mut spec, first).unwrap();
    assert_eq!(send_to(&mut spec, first), Err(SendError::Full));
    let guard = spec.try_recv(b.mailbox).unwrap();
    let taken = spec.take_handle(guard).unwrap();
    spec.drop_guard(guard);
    assert_eq!(send_to(&mut spec, second), Err(SendError::Full), "a hoarder gets no more");
    // The share takes nothing from the table's own capacity, nor the other way round.
    let own = spec.insert(b.table, second).unwrap();
    assert_eq!(spec.insert(b.table, spec.capability(a.mailbox, ALL)), Err(TableError::Full));
    // What is there already is not charged.
    spec.release(b.table, taken).unwrap();
    send_to(&mut spec, second).unwrap();
    let guard = spec.try_recv(b.mailbox).unwrap();
    assert_eq!(spec.received(guard).handles, [own]);
    assert_eq!(spec.share_used(b.mailbox), 0);
    send_to(&mut spec, first).unwrap();
    assert_eq!(spec.insert(host, first).map(|_| ()), Ok(()));
}

#[test]
fn s6_first_come_first_woken() {
    let mut spec = Spec::default();
    let a = process_with(&mut spec, MailboxLimits { messages: 1, waiters: 2, ..NO_LIMITS });
    let me = grant(&mut spec, a, a, SEND);
    let message = spec.outgoing(a.table, me, b"", &[]);
    spec.send(&message).unwrap();
    let waits: Vec<Wait> = (0..3).map(|_| spec.create_wait()).collect();
    assert_eq!(spec.poll_send(waits[0], &message), Poll::Pending);
    assert_eq!(spec.poll_send(waits[1], &message), Poll::Pending);
    assert_eq!(
        spec.poll_send(waits[2], &message),
        Poll::Ready(Err(SendError::Full)),
        "the line is full"
    );
    assert_eq!(drain(&mut spec, a.mailbox).len(), 1);
    assert_eq!(spec.take_wakes(), [Wake::Sender(waits[0])]);
    // Room is not reserved: whoever sends first has it, and the woken one waits at the front.
    spec.send(&message).unwrap();
    assert_eq!(spec.poll_send(waits[0], &message), Poll::Pending);
    drain(&mut spec, a.mailbox);
    assert_eq!(spec.take_wakes(), [Wake::Sender(waits[0])]);
    // Dropping a wait passes its wake on.
    spec.drop_wait(waits[0]);
    assert_eq!(spec.take_wakes(), [Wake::Sender(waits[1])]);
    assert_eq!(spec.poll_send(waits[1], &message), Poll::Ready(Ok(())));
    assert_eq!(spec.poll_send(waits[2], &message), Poll::Pending);
    spec.kill_group(a.group);
    assert_eq!(spec.take_wakes(), [Wake::Sender(waits[2])]);
}

#[test]
fn s6_nobody_waits_for_room_that_never_comes() {
    let mut spec = Spec::default();
    let limits = MailboxLimits { messages: 1, bytes: 4, handles: 1, ..NO_LIMITS };
    let (a, none) = (
        process_with(&mut spec, limits),
        process_with(&mut spec, MailboxLimits { messages: 0, ..limits }),
    );
    let (me, to_none) = (grant(&mut spec, a, a, SEND), grant(&mut spec, a, none, SEND));
    let wait = spec.create_wait();
    for (to, data, attach) in
        [(me, &b"12345"[..], &[][..]), (me, b"", &[me, me]), (to_none, b"", &[])]
    {
        let message = spec.outgoing(a.table, to, data, attach);
        assert_eq!(spec.poll_send(wait, &message), Poll::Ready(Err(SendError::Full)));
    }
}

#[test]
fn s6_slots_of_the_share_are_room_for_those_who_attach() {
    let mut spec = Spec::default();
    let a = process_with(&mut spec, MailboxLimits { handles: 1, ..NO_LIMITS });
    let b = process(&mut spec);
    let (me, other) = (grant(&mut spec, a, a, SEND), grant(&mut spec, b, a, SEND));
    let also = grant(&mut spec, b, b, SEND);
    let message = spec.outgoing(b.table, other, b"", &[also]);
    spec.send(&message).unwrap();
    let guard = spec.try_recv(a.mailbox).unwrap();
    let taken = spec.take_handle(guard).unwrap();
    let wait = spec.create_wait();
    assert_eq!(spec.poll_send(wait, &message), Poll::Pending, "the hoarder has no room");
    spec.drop_guard(guard);
    assert_eq!(spec.take_wakes(), []);
    spec.release(a.table, taken).unwrap();
    assert_eq!(spec.take_wakes(), [Wake::Sender(wait)]);
    assert_eq!(spec.poll_send(wait, &message), Poll::Ready(Ok(())));
    assert!(spec.look_up(a.table, me).is_ok());
}

#[test]
fn r2_a_forgotten_guard_is_released_by_the_next_receive() {
    let mut spec = Spec::default();
    let a = process(&mut spec);
    let b = process(&mut spec);
    let me = grant(&mut spec, a, a, SEND);
    let other = grant(&mut spec, a, b, SEND);
    send(&mut spec, a, me, b"", &[other]).unwrap();
    spec.release(a.table, other).unwrap();
    let guard = spec.try_recv(a.mailbox).unwrap();
    let imported = spec.received(guard).handles[0];
    spec.forget_guard(guard);
    assert!(spec.look_up(a.table, imported).is_ok());
    assert_eq!(spec.try_recv(a.mailbox), Err(TryRecvError::Empty));
    assert_eq!(spec.look_up(a.table, imported), Err(TableError::InvalidHandle));
}

#[test]
fn k1_the_authority_to_kill_ends_with_the_route() {
    let mut spec = Spec::default();
    let a = process(&mut spec);
    let cap = spec.capability(a.mailbox, ALL);
    spec.close(a.mailbox);
    assert_eq!(spec.kill(cap), Err(TableError::Closed));
    assert!(!spec.is_dead(a.group), "rule K4");
    spec.kill_group(a.group);
    assert_eq!(spec.kill(cap), Ok(()));
}

#[test]
fn k6_the_observer_pays_for_its_monitors() {
    let mut spec =
        Spec::new(Limits { handles_per_table: 2, monitors_per_group: 3, ..Limits::default() }, 48);
    let a = process_with(&mut spec, MailboxLimits { messages: 0, handles: 0, ..NO_LIMITS });
    let others: Vec<Process> = (0..4).map(|_| process(&mut spec)).collect();
    let caps: Vec<Capability> =
        others.iter().map(|other| spec.capability(other.mailbox, MONITOR)).collect();
    assert_eq!(spec.monitor(caps[0], a.mailbox), Ok(1));
    assert_eq!(spec.monitor(caps[1], a.mailbox), Ok(2));
    assert_eq!(spec.monitor(caps[2], a.mailbox), Err(TableError::Full), "no slot for its down");
    assert_eq!(spec.handles(a.table), [], "reservations are not entries");
    others.iter().for_each(|other| spec.kill_group(other.group));
    // Neither the mailbox without room nor the full table delays a down.
    let guard = spec.try_recv(a.mailbox).unwrap();
    let bare = spec.look_up(a.table, spec.received(guard).handles[0]).unwrap();
    assert_eq!(bare, Capability { route: others[0].mailbox, permissions: 0 });
    assert_eq!(
        spec.monitor(caps[2], a.mailbox),
        Err(TableError::Full),
        "until its handle is released"
    );
    spec.drop_guard(guard);
    assert_eq!(spec.monitor(caps[2], a.mailbox), Ok(3));
    assert!(spec.demonitor(a.mailbox, 3) && !spec.demonitor(a.mailbox, 3));
}

#[test]
fn k7_monitoring_twice_is_monitoring_once_and_what_is_over_is_told_at_once() {
    let mut spec = Spec::default();
    let (a, b) = (process(&mut spec), process(&mut spec));
    let cap = spec.capability(b.mailbox, MONITOR);
    assert_eq!(spec.monitor(cap, a.mailbox), Ok(1));
    assert_eq!(spec.monitor(cap, a.mailbox), Ok(1), "armed");
    spec.close(b.mailbox);
    assert_eq!(spec.monitor(cap, a.mailbox), Ok(1), "its down is unreceived");
    assert_eq!(drain(&mut spec, a.mailbox), [Signal::Down(1, DownReason::Closed)]);
    assert_eq!(spec.monitor(cap, a.mailbox), Ok(2));
    assert!(spec.is_ready(a.mailbox) && spec.len(a.mailbox) == 0);
    assert!(spec.demonitor(a.mailbox, 2), "queued, and never received");
    assert_eq!(drain(&mut spec, a.mailbox), []);
    assert_eq!(spec.monitor(cap, a.mailbox), Ok(3));
    assert_eq!(drain(&mut spec, a.mailbox), [Signal::Down(3, DownReason::Gone)]);
    let own = spec.capability(a.mailbox, MONITOR);
    assert_eq!(spec.monitor(own, a.mailbox), Ok(4), "its own: nothing ever comes");
}

#[test]
fn r4_a_down_wakes_the_receiver_even_one_of_its_own_making() {
    let mut spec = Spec::default();
    let (a, b) = (process(&mut spec), process(&mut spec));
    let cap = spec.capability(b.mailbox, MONITOR);
    spec.close(b.mailbox);
    assert_eq!(spec.poll_ready(a.mailbox), Poll::Pending);
    spec.monitor(cap, a.mailbox).unwrap();
    assert_eq!(spec.take_wakes(), [Wake::Receiver(a.mailbox)]);
    assert_eq!(spec.poll_ready(a.mailbox), Poll::Ready(()));
}

#[test]
fn o3_a_table_is_the_hosts_or_of_the_same_group() {
    let mut spec = Spec::default().with_storage(1 << 21);
    let (a, b) = (process(&mut spec), process(&mut spec));
    let host = spec.create_table().unwrap();
    assert!(spec.create_mailbox(a.group, host, NO_LIMITS).is_ok());
    spec.kill_group(b.group);
    assert_eq!(spec.create_mailbox(a.group, b.table, NO_LIMITS), Err(CreateError::TableMismatch));
    assert_eq!(spec.create_mailbox(b.group, b.table, NO_LIMITS), Err(CreateError::Dead));
    let greedy = MailboxLimits { handles: 1 << 21, ..NO_LIMITS };
    assert_eq!(spec.create_mailbox(a.group, host, greedy), Err(CreateError::LimitReached));
}

#[test]
fn k8_messages_come_before_the_down_and_causes_before_effects() {
    let mut spec = Spec::default();
    let observer = process(&mut spec);
    let chain: Vec<Process> = (0..3).map(|_| process(&mut spec)).collect();
    for pair in chain.windows(2) {
        spec.link_groups(pair[1].group, pair[0].group).unwrap();
    }
    let to = grant(&mut spec, chain[0], observer, SEND);
    // Monitors 1, 2, 3 watch the end, the middle and the head of the chain.
    for process in chain.iter().rev() {
        let cap = spec.capability(process.mailbox, MONITOR);
        spec.monitor(cap, observer.mailbox).unwrap();
    }
    send(&mut spec, chain[0], to, b"last words", &[]).unwrap();
    spec.kill_group(chain[0].group);
    let allowed = |spec: &Spec| -> Vec<u64> {
        let is_allowed = |&number: &u64| spec.clone().prefer_down(observer.mailbox, number);
        (1..=3).filter(is_allowed).collect()
    };
    assert_eq!(allowed(&spec), [], "a message is first");
    let guard = spec.try_recv(observer.mailbox).unwrap();
    assert_eq!(spec.received(guard).signal, Signal::Message(b"last words".to_vec()));
    for number in [3, 2, 1] {
        assert_eq!(allowed(&spec), [number]);
        assert!(spec.prefer_down(observer.mailbox, number));
        let guard = spec.try_recv(observer.mailbox).unwrap();
        assert_eq!(spec.received(guard).signal, Signal::Down(number, DownReason::Killed));
    }
}

#[test]
fn k8_downs_without_cause_and_effect_come_in_any_order() {
    let mut spec = Spec::default();
    let (observer, hub) = (process(&mut spec), process(&mut spec));
    let second_route = spec.create_mailbox(hub.group, hub.table, NO_LIMITS).unwrap();
    let leaf = process(&mut spec);
    spec.link_groups(hub.group, leaf.group).unwrap();
    for route in [leaf.mailbox, hub.mailbox, second_route] {
        let cap = spec.capability(route, MONITOR);
        spec.monitor(cap, observer.mailbox).unwrap();
    }
    spec.kill_group(hub.group);
    for order in [[2, 3, 1], [3, 2, 1]] {
        let mut spec = spec.clone();
        for number in order {
            assert!(spec.prefer_down(observer.mailbox, number));
            spec.try_recv(observer.mailbox).unwrap();
        }
    }
    assert!(!spec.prefer_down(observer.mailbox, 1), "the leaf before the hub that killed it");
}

#[test]
fn l2_a_link_to_the_dead_kills() {
    let mut spec = Spec::default();
    let (a, b, c) = (process(&mut spec), process(&mut spec), process(&mut spec));
    let (cap_a, cap_b) = (spec.capability(a.mailbox, LINK), spec.capability(b.mailbox, LINK));
    spec.kill_group(a.group);
    assert_eq!(spec.link(cap_a, b.group), Ok(()));
    assert!(spec.is_dead(b.group), "it asked for a dead one");
    assert_eq!(spec.link_groups(c.group, b.group), Ok(()));
    assert!(spec.is_dead(c.group));
    let d = process(&mut spec);
    let cap_d = spec.capability(d.mailbox, LINK);
    assert_eq!(spec.link(cap_d, a.group), Ok(()));
    assert!(spec.is_dead(d.group), "the dead one asked");
    assert_eq!(spec.link(cap_b, a.group), Ok(()), "both dead: nothing");

    let (e, f) = (process(&mut spec), process(&mut spec));
    let cap_e = spec.capability(e.mailbox, LINK);
    spec.close(e.mailbox);
    assert_eq!(spec.link(cap_e, f.group), Err(TableError::Closed));
    assert!(!spec.is_dead(e.group) && !spec.is_dead(f.group));
    assert_eq!(spec.link(cap_e, e.group), Ok(()), "to itself: a no-op");
}

#[test]
fn l3_a_link_outlives_its_route_and_is_charged_to_who_asked() {
    let mut spec = Spec::new(Limits { links_per_group: 1, ..Limits::default() }, 48);
    let (a, b, c) = (process(&mut spec), process(&mut spec), process(&mut spec));
    let cap_b = spec.capability(b.mailbox, LINK);
    spec.link(cap_b, a.group).unwrap();
    assert_eq!(spec.link_groups(a.group, b.group), Ok(()), "already there, at the limit");
    assert_eq!(spec.link_groups(a.group, c.group), Err(TableError::LimitReached));
    assert_eq!(spec.link_groups(b.group, c.group), Ok(()));
    spec.close(b.mailbox);
    assert_eq!(spec.unlink(cap_b, a.group), Ok(true));
    assert_eq!(spec.unlink(cap_b, a.group), Ok(false));
    spec.kill_group(c.group);
    assert!(spec.is_dead(b.group) && !spec.is_dead(a.group));
}

/// Rule P2: whatever processes do, a permission to a route is held only where it, or the same
/// message queue's end, was before: authority moves along sends, and never grows on the way.
#[test]
fn p2_no_sequence_of_operations_yields_more_authority() {
    for seed in 1..=200_u64 {
        let mut random = seed;
        let mut below = |bound: usize| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % bound
        };
        let mut spec = small_table(6);
        let processes: Vec<Process> = (0..4).map(|_| process(&mut spec)).collect();
        for (index, &from) in processes.iter().enumerate() {
            let to = processes[(index + 1) % 4];
            grant(&mut spec, from, to, below(8) as u32 | SEND);
        }
        // What each process and queue holds, as permissions by route.
        let holdings = |spec: &Spec| -> Vec<BTreeMap<Mailbox, Permissions>> {
            let union = |authority: std::collections::BTreeSet<Capability>| {
                let mut held = BTreeMap::new();
                for Capability { route, permissions } in authority {
                    *held.entry(route).or_default() |= permissions;
                }
                held
            };
            let table = |p: &Process| union(spec.authority(p.table));
            let queue = |p: &Process| union(spec.authority_queued(p.mailbox));
            processes.iter().map(table).chain(processes.iter().map(queue)).collect()
        };
        let mut before = holdings(&spec);
        for _ in 0..200 {
            let actor = processes[below(4)];
            let handles = spec.handles(actor.table);
            let pick = |below: &mut dyn FnMut(usize) -> usize| match handles.len() {
                0 => usize::MAX,
                count => handles[below(count)],
            };
            let (a, b) = (pick(&mut below), pick(&mut below));
            let mut sent_to = None;
            match below(6) {
                0 | 1 => {
                    let to = spec.look_up(actor.table, a);
                    if send(&mut spec, actor, a, b"", &[b]).is_ok() {
                        sent_to = to.ok().map(|capability| capability.route);
                    }
                }
                2 | 3 => {
                    if let Ok(guard) = spec.try_recv(actor.mailbox) {
                        while spec.take_handle(guard).is_some() {}
                        spec.drop_guard(guard);
                    }
                }
                4 => drop(spec.demote(actor.table, a, below(16) as u32)),
                _ => drop(spec.release(actor.table, a)),
            }
            let after = holdings(&spec);
            for (holder, held) in after.iter().enumerate() {
                // A table gains only from its own queue, a queue only from the sender's table.
                let source = match holder < 4 {
                    true => &before[holder + 4],
                    false if sent_to == Some(processes[holder - 4].mailbox) => {
                        &before[processes.iter().position(|p| p.table == actor.table).unwrap()]
                    }
                    false => &before[holder],
                };
                for (route, &permissions) in held {
                    let could =
                        |held: &BTreeMap<Mailbox, u32>| held.get(route).copied().unwrap_or(0);
                    assert_eq!(
                        permissions & !(could(&before[holder]) | could(source)),
                        0,
                        "seed {seed}"
                    );
                }
            }
            before = after;
        }
    }
}
