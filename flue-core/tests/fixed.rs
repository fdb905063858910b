//! The rules again, where no allocator is: post offices in a `static`. Builds
//! and runs without any feature of the crate.

use flue_core::{
    CreateError, DownReason, INLINE_BYTES, Limits, Mailbox, MailboxLimits, Payload, Permissions,
    PostOffice, RouteGroup, SendError, SendWait, Signal, StaticPostOffice, Table, TableError,
    TryRecvError,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

struct Process {
    group: RouteGroup,
    table: Table,
    mailbox: Mailbox,
}

fn limits(messages: u32, handles: u32) -> MailboxLimits {
    let mut limits = MailboxLimits::default();
    limits.messages = messages;
    limits.handles = handles;
    limits
}

fn process(office: &PostOffice) -> Process {
    let group = office.create_group().unwrap();
    let table = group.create_table().unwrap();
    let mailbox = group.create_mailbox_with(&table, limits(4, 2)).unwrap();
    Process { group, table, mailbox }
}

#[track_caller]
fn data(mailbox: &mut Mailbox) -> Vec<u8> {
    match mailbox.try_recv() {
        Ok(Signal::Message(message)) => message.data().to_vec(),
        other => panic!("a message was expected, not {other:?}"),
    }
}

#[track_caller]
fn down(mailbox: &mut Mailbox) -> DownReason {
    match mailbox.try_recv() {
        Ok(Signal::Down(down)) => down.reason(),
        other => panic!("a down was expected, not {other:?}"),
    }
}

#[track_caller]
fn assert_empty(mailbox: &mut Mailbox) {
    assert_eq!(mailbox.try_recv().map(drop), Err(TryRecvError::Empty));
}

/// Rules P1, P2 and S1: permissions, demotion and the order of the checks.
#[test]
fn permissions_hold() {
    static OFFICE: StaticPostOffice<4, 16, 32> = StaticPostOffice::new();
    let office = OFFICE.office();
    let (user, mut target) = (process(&office), process(&office));
    let weak = user
        .table
        .insert(&target.mailbox.capability(Permissions::SEND | Permissions::MONITOR))
        .unwrap();
    assert_eq!(user.table.link(weak, &user.group), Err(TableError::PermissionDenied));
    assert_eq!(user.table.kill(weak), Err(TableError::PermissionDenied));
    assert_eq!(user.table.demote(weak, Permissions::all()), Err(TableError::PermissionDenied));
    let mute = user.table.demote(weak, Permissions::MONITOR).unwrap();
    assert_eq!(user.table.send(mute, b"", &[]), Err(SendError::PermissionDenied));
    assert_eq!(user.table.send(mute, b"", &[mute; 9]), Err(SendError::TooManyHandles));
    assert_eq!(
        user.table.send(mute, &[0; INLINE_BYTES + 1], &[]),
        Err(SendError::TooLarge),
        "no memory for more"
    );
    user.table.send(weak, &[1; INLINE_BYTES], &[mute]).unwrap();
    assert_eq!(data(&mut target.mailbox), [1; INLINE_BYTES]);
    static BIG: [u8; 1000] = [7; 1000];
    user.table.send_payload(weak, Payload::from(&BIG[..]), &[]).unwrap();
    let Ok(Signal::Message(message)) = target.mailbox.try_recv() else { panic!() };
    assert_eq!(message.data().as_ptr(), BIG.as_ptr());
}

/// Rules S1 and S3: what came inline out of a message of a growing office may be too large here,
/// and is handed back.
#[cfg(feature = "alloc")]
#[test]
fn what_is_inline_elsewhere_may_be_too_large() {
    static OFFICE: StaticPostOffice<2, 4, 4, 1, 1> = StaticPostOffice::new();
    let office = OFFICE.office();
    let here = process(&office);
    let to = here.mailbox.export(Permissions::SEND).unwrap();
    let mut there = process(&PostOffice::new());
    let bytes = [7; INLINE_BYTES + 1];
    there.mailbox.capability(Permissions::SEND).send(&bytes, &[]).unwrap();
    let Ok(Signal::Message(message)) = there.mailbox.try_recv() else { panic!() };
    let mut payload = message.into_payload();
    assert_eq!((office.inline_bytes(), &payload[..]), (INLINE_BYTES, &bytes[..]));
    let forged = flue_core::Handle::from_raw(to.to_raw() ^ 1).unwrap();
    for handle in [to, forged] {
        let rejected = here.table.send_payload(handle, payload, &[]).unwrap_err();
        assert_eq!((rejected.error, &rejected.payload[..]), (SendError::TooLarge, &bytes[..]));
        let mut cx = Context::from_waker(Waker::noop());
        let mut place = Some(rejected.payload);
        let sent =
            here.table.poll_send_payload(&mut cx, &mut SendWait::new(), handle, &mut place, &[]);
        assert_eq!(sent, Poll::Ready(Err(SendError::TooLarge)));
        payload = place.expect("still here");
    }
    let capability = here.mailbox.capability(Permissions::SEND);
    let rejected = capability.send_payload(payload, &[]).unwrap_err();
    assert_eq!((rejected.error, rejected.payload.len()), (SendError::TooLarge, bytes.len()));
}

/// Rules S2, S3 and Q1: a static office is bounded by its storage, whatever the
/// order in which it is used up, and gets all of it back.
#[test]
fn storage_is_the_limit() {
    static OFFICE: StaticPostOffice<3, 6, 8, 2, 2, 2, 2> = StaticPostOffice::new();
    let office = OFFICE.office();
    for _ in 0..1_000 {
        let groups = [office.create_group(), office.create_group(), office.create_group()]
            .map(Result::unwrap);
        assert_eq!(office.create_group().unwrap_err(), CreateError::LimitReached);
        let tables = [groups[0].create_table().unwrap(), office.create_table().unwrap()];
        assert_eq!(office.create_table().unwrap_err(), CreateError::LimitReached);
        assert_eq!(
            groups[0].create_mailbox_with(&tables[0], limits(4, 4)).unwrap_err(),
            CreateError::LimitReached
        );
        let mut one = groups[0].create_mailbox_with(&tables[0], limits(5, 3)).unwrap();
        let mut two = groups[1].create_mailbox_with(&tables[1], limits(9, 0)).unwrap();
        assert_eq!(
            groups[2].create_mailbox_with(&tables[1], limits(1, 0)).unwrap_err(),
            CreateError::LimitReached
        );
        assert_eq!(tables[0].capacity(), 6);
        let (to_one, to_two) =
            (one.capability(Permissions::SEND), two.capability(Permissions::SEND));
        for at in 0..5u8 {
            to_one.send(&[at], &[]).unwrap();
        }
        assert_eq!(to_one.send(b"", &[]), Err(SendError::Full), "the mailbox's limit");
        for at in 0..3u8 {
            to_two.send(&[at], &[]).unwrap();
        }
        assert_eq!(to_two.send(b"", &[]), Err(SendError::Full), "the office's");
        for at in 0..5u8 {
            assert_eq!(data(&mut one), [at]);
        }
        for at in 0..3u8 {
            assert_eq!(data(&mut two), [at]);
        }
        assert_empty(&mut one);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(one.poll_ready(&mut cx).is_pending() && two.poll_ready(&mut cx).is_pending());
    }
}

/// Rules O2, P3 and Q2: slots are used again, and what was in them is gone.
#[test]
fn slots_are_used_again() {
    static OFFICE: StaticPostOffice<3, 8, 16> = StaticPostOffice::new();
    let office = OFFICE.office();
    let Process { group, table, mut mailbox } = process(&office);
    let mut stale = Vec::new();
    for round in 0..20_000 {
        let handle = mailbox.export(Permissions::SEND).unwrap();
        table.release(handle).unwrap();
        let short = process(&office);
        let id = short.mailbox.capability(Permissions::MONITOR).monitor(&mailbox).unwrap();
        group.link(&short.group).unwrap();
        if round % 2 == 0 {
            assert!(mailbox.demonitor(id));
            assert_eq!(short.group.unlink(&group), Ok(true));
        } else {
            drop(short);
            assert_eq!(down(&mut mailbox), DownReason::Closed);
        }
        if round % 1_000 == 0 {
            stale.push((handle, id));
        }
    }
    for (handle, id) in stale {
        assert_eq!(table.send(handle, b"", &[]), Err(SendError::InvalidHandle));
        assert!(!mailbox.demonitor(id));
    }
    let stats = office.stats();
    assert_eq!(
        (stats.groups, stats.routes, stats.tables, stats.monitors, stats.links),
        (1, 1, 1, 0, 0)
    );
}

/// Rule Q2: who removes downs and never receives leaves the records to others.
#[test]
fn removed_downs_leave_the_queue() {
    static OFFICE: StaticPostOffice<3, 8, 16> = StaticPostOffice::new();
    let office = OFFICE.office();
    let Process { group: _group, table: _table, mut mailbox } = process(&office);
    let route = process(&office).mailbox.capability(Permissions::MONITOR);
    let to = mailbox.capability(Permissions::SEND);
    for waiting in 0..4u8 {
        to.send(&[waiting], &[]).unwrap();
        for _ in 0..100 {
            let id = route.monitor(&mailbox).unwrap();
            assert!(mailbox.demonitor(id));
        }
    }
    for waiting in 0..4u8 {
        assert_eq!(data(&mut mailbox), [waiting]);
    }
    assert_empty(&mut mailbox);
}

/// Rules K1, K3, K5, K8, L1, L2 and L3: kills, downs and links.
#[test]
fn deaths_are_passed_on_and_told() {
    static OFFICE: StaticPostOffice<6, 16, 32, 6, 6, 12, 8> = StaticPostOffice::new();
    let office = OFFICE.office();
    for _ in 0..1_000 {
        let mut observer = process(&office);
        let all: Vec<_> = (0..4).map(|_| process(&office)).collect();
        for pair in all.windows(2) {
            pair[0].group.link(&pair[1].group).unwrap();
            pair[1].group.link(&pair[0].group).unwrap();
        }
        assert_eq!(office.stats().links, 3);
        assert_eq!(all[2].group.unlink(&all[3].group), Ok(true));
        let routes: Vec<_> = all.iter().map(|p| p.mailbox.capability(Permissions::all())).collect();
        let to = observer.mailbox.capability(Permissions::SEND);
        for route in &routes {
            route.monitor(&observer.mailbox).unwrap();
        }
        let handle = all[0].table.insert(&to).unwrap();
        all[0].table.send(handle, b"last words", &[]).unwrap();
        routes[2].kill().unwrap();
        let dead: Vec<_> = all.iter().map(|p| p.group.is_dead()).collect();
        assert_eq!(dead, [true, true, true, false]);
        assert_eq!(all[0].table.send(handle, b"", &[]), Err(SendError::Dead));
        assert_eq!(routes[0].send(b"", &[]), Err(SendError::Closed));
        assert_eq!(data(&mut observer.mailbox), b"last words");
        for at in [2, 1, 0] {
            let Ok(Signal::Down(down)) = observer.mailbox.try_recv() else { panic!() };
            let capability = observer.table.capability(down.handle()).unwrap();
            assert!(capability.same_route(&routes[at]) && capability.permissions().is_empty());
            assert_eq!(down.reason(), DownReason::Killed);
        }
        assert_empty(&mut observer.mailbox);
        all[3].group.link(&all[0].group).unwrap();
        assert!(all[3].group.is_dead());
        assert_eq!(down(&mut observer.mailbox), DownReason::Killed);
    }
}

/// Rules S6 and R4: waiting for room, and for signals.
#[test]
fn waiting_works() {
    static OFFICE: StaticPostOffice<2, 8, 16> = StaticPostOffice::new();
    let office = OFFICE.office();
    let group = office.create_group().unwrap();
    let table = group.create_table().unwrap();
    let mut mailbox = group.create_mailbox_with(&table, limits(1, 0)).unwrap();
    let to = mailbox.capability(Permissions::SEND);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..100 {
        assert!(mailbox.poll_recv(&mut cx).is_pending());
        to.send(b"1", &[]).unwrap();
        let (mut first, mut second, mut third) =
            (SendWait::new(), SendWait::new(), SendWait::new());
        assert!(to.poll_send(&mut cx, &mut first, b"2", &[]).is_pending());
        assert!(to.poll_send(&mut cx, &mut second, b"3", &[]).is_pending());
        assert_eq!(
            to.poll_send(&mut cx, &mut third, b"", &[]),
            Poll::Ready(Err(SendError::Full)),
            "two places"
        );
        assert_eq!(data(&mut mailbox), b"1");
        assert_eq!(to.poll_send(&mut cx, &mut first, b"2", &[]), Poll::Ready(Ok(())));
        assert!(to.poll_send(&mut cx, &mut second, b"3", &[]).is_pending());
        assert_eq!(data(&mut mailbox), b"2");
        drop(second);
        assert!(mailbox.poll_ready(&mut cx).is_pending());
    }
}

/// Rules S6 and Q1: who waited for room in a mailbox that is closed, and does nothing
/// about it, costs nobody a mailbox.
#[test]
fn a_wait_for_a_closed_mailbox_costs_no_other() {
    static OFFICE: StaticPostOffice<2, 8, 4, 2, 2, 1, 1, 2> = StaticPostOffice::new();
    let office = OFFICE.office();
    let (table, group) = (office.create_table().unwrap(), office.create_group().unwrap());
    let mut cx = Context::from_waker(Waker::noop());
    let mut waits = [SendWait::new(), SendWait::new()];
    for wait in &mut waits {
        let mailbox = group.create_mailbox_with(&table, limits(1, 1)).unwrap();
        let to = mailbox.export(Permissions::SEND).unwrap();
        table.send(to, b"", &[]).unwrap();
        assert!(table.poll_send(&mut cx, wait, to, b"", &[]).is_pending());
        drop(mailbox);
        table.release(to).unwrap();
    }
    let both = [(); 2].map(|()| group.create_mailbox_with(&table, limits(1, 1)));
    assert!(both.iter().all(Result::is_ok), "there is no mailbox, and yet: {both:?}");
    drop(waits);
}

/// Rules R4, S6 and K2: without the standard library, too, wakers are called, once, and dropped.
#[test]
fn wakers_are_called_and_dropped() {
    #[derive(Default)]
    struct Count(AtomicU32);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    static OFFICE: StaticPostOffice<4, 16, 32> = StaticPostOffice::new();
    let office = OFFICE.office();
    let mut receiver = process(&office);
    let route = receiver.mailbox.capability(Permissions::SEND);
    let [receives, sends] = [(); 2].map(|()| Arc::new(Count::default()));
    let called = || [&receives, &sends].map(|count| count.0.swap(0, SeqCst));
    let [receiver_waker, sender_waker] =
        [&receives, &sends].map(|count| Waker::from(count.clone()));
    let mut receives_cx = Context::from_waker(&receiver_waker);
    let mut sends_cx = Context::from_waker(&sender_waker);
    let mut wait = SendWait::new();

    assert!(receiver.mailbox.poll_ready(&mut receives_cx).is_pending());
    for _ in 0..4 {
        route.send(b"", &[]).unwrap();
    }
    assert_eq!(called(), [1, 0], "for the first message");
    assert!(route.poll_send(&mut sends_cx, &mut wait, b"", &[]).is_pending());
    assert_eq!(data(&mut receiver.mailbox), []);
    assert_eq!(called(), [0, 1], "there is room");
    assert_eq!(route.poll_send(&mut sends_cx, &mut wait, b"", &[]), Poll::Ready(Ok(())));
    (0..4).for_each(|_| assert_eq!(data(&mut receiver.mailbox), []));
    assert!(receiver.mailbox.poll_ready(&mut receives_cx).is_pending());
    receiver.group.kill();
    assert_eq!(called(), [1, 0], "for the death");
    drop((receiver, wait, receiver_waker, sender_waker));
    assert_eq!([&receives, &sends].map(Arc::strong_count), [1, 1], "nothing is kept");
}

/// Rules R1, R2 and K2: threads share a static office as any other.
#[test]
fn threads_share_it() {
    static OFFICE: StaticPostOffice<4, 16, 64> = StaticPostOffice::new();
    let office = OFFICE.office();
    let mut receiver = process(&office);
    let to = receiver.mailbox.capability(Permissions::SEND);
    std::thread::scope(|scope| {
        for sender in 0..2u8 {
            let to = to.clone();
            scope.spawn(move || {
                for at in 0..4_000u32 {
                    let mut text = [sender; 5];
                    text[1..].copy_from_slice(&at.to_le_bytes());
                    while to.send(&text, &[&to]) != Ok(()) {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let mut next = [0u32; 2];
        while next != [4_000; 2] {
            let Ok(Signal::Message(message)) = receiver.mailbox.try_recv() else {
                std::thread::yield_now();
                continue;
            };
            assert_eq!(message.handles().len(), 1);
            let at = u32::from_le_bytes(message.data()[1..].try_into().unwrap());
            let expected = &mut next[usize::from(message.data()[0])];
            assert_eq!(at, *expected);
            *expected += 1;
        }
    });
    assert!(receiver.table.is_empty());
    to.send(b"lost", &[]).unwrap();
    receiver.group.kill();
    assert_eq!(receiver.mailbox.try_recv().map(drop), Err(TryRecvError::Dead));
    assert_eq!(to.send(b"", &[]), Err(SendError::Closed));
}

/// Rule O4: everything dropped, the storage is all there again.
#[test]
fn all_of_it_comes_back() {
    static OFFICE: StaticPostOffice<2, 8, 8> = StaticPostOffice::with_limits({
        let mut limits = Limits::DEFAULT;
        limits.handles_per_table = 4;
        limits
    });
    for round in 0..1_000 {
        let office = OFFICE.office();
        let (one, two) = (process(&office), process(&office));
        let (to, via) = (
            one.mailbox.capability(Permissions::all()),
            two.mailbox.capability(Permissions::all()),
        );
        for _ in 0..2 {
            to.send(b"x", &[&via]).unwrap();
        }
        via.monitor(&one.mailbox).unwrap();
        to.link(&two.group).unwrap();
        if round % 2 == 0 {
            std::mem::forget(office);
            drop((to, one, via, two));
        } else {
            drop((two, via, one, office, to));
        }
    }
    let stats = OFFICE.office().stats();
    assert_eq!(
        (stats.groups, stats.routes, stats.tables, stats.monitors, stats.links),
        (0, 0, 0, 0, 0)
    );
}
