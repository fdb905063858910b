//! Rules about memory: what allocates, what does not, what is given back. An
//! allocator counts, and fails when it is told to; so the tests take turns.
#![cfg(feature = "std")]

mod common;

use common::*;
use flue_core::{
    Capability, CreateError, Handle, Limits, MailboxLimits, OwnedSignal, Payload, Permissions,
    PostOffice, SendError, SendWait, Signal, StaticPostOffice, TableError,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

struct Counting;

/// Bytes allocated and not freed, by the threads that run tests.
static LIVE: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    /// Whether this thread runs a test. The harness's own allocate when they get to it.
    static RUNS_A_TEST: Cell<bool> = const { Cell::new(false) };
    /// Allocations of this thread.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// Which allocation of this thread, counted from now, fails; 0 for none.
    static FAILING: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: the system's allocator, or null.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        let failing = FAILING.get();
        if failing > 0 {
            FAILING.set(failing - 1);
            if failing == 1 {
                return std::ptr::null_mut();
            }
        }
        count(layout.size() as isize);
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(bytes: isize) {
    if RUNS_A_TEST.get() {
        LIVE.fetch_add(bytes, SeqCst);
    }
}

fn live() -> isize {
    LIVE.load(SeqCst)
}

/// Bytes that the collector may take or give back meanwhile.
const COLLECTOR: usize = 4096;

/// One test at a time, in a thread that has ended when the next begins: what it
/// retired is then everybody's to reclaim, and not given back in between.
fn alone(test: impl FnOnce() + Send + 'static) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let test = || {
        RUNS_A_TEST.set(true);
        test();
    };
    if let Err(panic) = std::thread::spawn(test).join() {
        std::panic::resume_unwind(panic);
    }
}

/// How many allocations this thread makes in `code`.
fn allocations<T>(code: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATIONS.get();
    let value = code();
    (ALLOCATIONS.get() - before, value)
}

#[track_caller]
fn without_allocating<T>(code: impl FnOnce() -> T) -> T {
    let (count, value) = allocations(code);
    assert_eq!(count, 0, "allocations");
    value
}

/// Rule Q4: in steady state a send and a receive of what is inline allocate nothing.
#[test]
fn inline_bytes_allocate_nothing() {
    alone(|| {
        let office = PostOffice::new();
        let Process { group: _group, table, mut mailbox } = process(&office);
        let to = mailbox.export(Permissions::SEND).unwrap();
        let mut both = |burst: usize| {
            for _ in 0..burst {
                table.send(to, &[1; 16], &[]).unwrap();
                table.send(to, &[2; 80], &[]).unwrap();
            }
            for _ in 0..burst {
                for bytes in [&[1; 16][..], &[2; 80]] {
                    assert!(
                        matches!(mailbox.try_recv(), Ok(Signal::Message(message)) if message.data() == bytes)
                    );
                }
            }
        };
        let mut rounds =
            |count: usize| (0..count).for_each(|_| (1..30).chain([300]).for_each(&mut both));
        rounds(200);
        without_allocating(|| rounds(1000));
        // With capabilities attached, too, and from a capability of the host.
        let route = mailbox.capability(Permissions::SEND);
        let mut attached = || {
            for _ in 0..50 {
                table.send(to, &[2; 48], &[to; 8]).unwrap();
                table.send(to, &[2; 96], &[to; 2]).unwrap();
                drop(mailbox.try_recv().unwrap());
                route.send(&[2; 16], &[&route]).unwrap();
                drop(mailbox.try_recv().unwrap());
                drop(mailbox.try_recv().unwrap());
            }
        };
        (0..20).for_each(|_| attached());
        without_allocating(attached);
    });
}

/// Rule Q4: nor does a receive, whatever came: into a table that is new, more capabilities than
/// its index has buckets for. Nor do downs.
#[test]
fn receiving_uses_no_memory() {
    alone(|| {
        let office = PostOffice::new();
        let crowd: Vec<_> = (0..300).map(|_| process(&office)).collect();
        let Process { group: _group, table, mut mailbox } = process(&office);
        let to = mailbox.capability(Permissions::SEND);
        for Process { mailbox: one, .. } in &crowd {
            to.send(b"", &[&one.capability(Permissions::SEND)]).unwrap();
        }
        let mut watched = Vec::with_capacity(crowd.len());
        for one in crowd {
            watched.push(one.mailbox.capability(Permissions::MONITOR).monitor(&mailbox).unwrap());
            drop(one);
        }
        let mut kept = Vec::with_capacity(2 * watched.len());
        without_allocating(|| {
            while let Ok(signal) = mailbox.try_recv() {
                match signal {
                    Signal::Message(mut message) => kept.extend(message.take_handles()),
                    Signal::Down(down) => kept.push(down.take_handle()),
                    _ => unreachable!(),
                }
            }
        });
        assert_eq!((kept.len(), table.len()), (2 * watched.len(), 2 * watched.len()));
    });
}

/// Rule S5: bytes by reference are copied once, owned ones never.
#[test]
fn one_copy_at_most() {
    alone(|| {
        let office = PostOffice::new();
        let Process { group: _group, table, mut mailbox } = process(&office);
        let to = mailbox.export(Permissions::SEND).unwrap();
        for _ in 0..100 {
            table.send(to, &[0; 200], &[]).unwrap();
            drop(mailbox.try_recv().unwrap());
        }
        let big = vec![3; 100_000];
        let before = live();
        let (count, sent) = allocations(|| table.send(to, &big, &[]));
        assert_eq!((count, sent), (1, Ok(())));
        assert!((live() - before).abs_diff(100_000) <= COLLECTOR);
        let payload = without_allocating(|| match mailbox.try_recv() {
            Ok(Signal::Message(message)) => message.into_payload(),
            _ => panic!(),
        });
        assert_eq!(payload.len(), 100_000);
        without_allocating(|| table.send_payload(to, payload, &[]).unwrap());
        let vec = without_allocating(|| match mailbox.try_recv().map(Signal::into_owned) {
            Ok(OwnedSignal::Message(message)) => message.into_payload().try_into_vec().unwrap(),
            _ => panic!(),
        });
        assert_eq!(vec, big);
        without_allocating(|| table.send_payload(to, Payload::from(&b"static"[..]), &[]).unwrap());
        drop((vec, mailbox));
        assert!(live() - before <= COLLECTOR as isize, "the payloads are gone");
    });
}

/// A little world in which everything is in use, for what ends it.
struct Full {
    office: PostOffice,
    one: Process,
    two: Process,
    handles: Vec<Handle>,
    routes: Vec<Capability>,
    waits: Vec<SendWait>,
}

fn full() -> Full {
    let office = PostOffice::new();
    office.prepare_thread();
    let (mut one, two) = (process_with(&office, limits(200, 10_000, 100)), process(&office));
    let mut handles = Vec::new();
    let mut routes = Vec::new();
    one.group.link(&two.group).unwrap();
    for at in 0..100 {
        let third = process(&office);
        third.group.link(&one.group).unwrap();
        let route = third.mailbox.capability(Permissions::all());
        route.monitor(&one.mailbox).unwrap();
        two.mailbox.capability(Permissions::MONITOR).monitor(&third.mailbox).unwrap();
        handles.push(one.table.insert(&route).unwrap());
        route.send(&[1; 80], &[&route]).unwrap();
        if at % 2 == 0 {
            // Lives on without its own owner.
            std::mem::forget(third);
        }
        routes.push(route);
    }
    let to = one.mailbox.capability(Permissions::SEND);
    while to.send(&[2; 160], &[&to]).is_ok() {}
    drop(one.mailbox.try_recv());
    while to.send(b"", &[]).is_ok() {}
    let mut waits = Vec::new();
    for _ in 0..10 {
        let mut wait = SendWait::new();
        let polled = to.poll_send(&mut Context::from_waker(Waker::noop()), &mut wait, b"", &[]);
        assert!(polled.is_pending());
        waits.push(wait);
    }
    let _ = two.mailbox.table().insert(&to).unwrap();
    Full { office, one, two, handles, routes, waits }
}

/// Rule Q4: kill, close, drop, release, unlink, demonitor, receive: no memory.
#[test]
fn ends_allocate_nothing() {
    alone(|| {
        let Full { office, mut one, two, handles, routes, waits } = full();
        without_allocating(|| assert_eq!(one.group.unlink(&two.group), Ok(true)));
        without_allocating(|| {
            handles.iter().for_each(|handle| one.table.release(*handle).unwrap())
        });
        without_allocating(|| {
            let id = loop {
                match one.mailbox.try_recv() {
                    Ok(Signal::Message(message)) => drop(message.into_payload()),
                    Ok(Signal::Down(down)) => break down.monitor(),
                    other => panic!("{other:?}"),
                }
            };
            assert!(!one.mailbox.demonitor(id), "it was received");
        });
        without_allocating(|| {
            for route in &routes {
                if !route.is_closed() {
                    route.kill().unwrap();
                }
            }
            assert!(one.group.is_dead() && !two.group.is_dead());
        });
        without_allocating(|| drop(one));
        without_allocating(|| drop(waits));
        without_allocating(|| two.mailbox.close());
        without_allocating(|| drop((two.group, two.table)));
        without_allocating(|| drop((routes, office)));

        let Full { office: _office, one, two, routes, waits, .. } = full();
        without_allocating(|| {
            let id = routes[0].monitor(&one.mailbox).unwrap();
            let mut mailbox = one.mailbox;
            assert!(mailbox.demonitor(id));
            mailbox.close();
        });
        without_allocating(|| two.group.kill());
        drop(waits);
        std::thread::spawn(move || {
            let office = PostOffice::new();
            let (count, ()) = allocations(|| office.prepare_thread());
            assert!(count > 0, "registering the thread is what allocates");
            without_allocating(|| {
                office.prepare_thread();
                routes[1].kill().unwrap();
                let _ = routes[1].unlink(&one.group);
            });
        })
        .join()
        .unwrap();
    });
}

/// Rule Q4: what ends only marks its memory: none is retired but by `reclaim`.
#[test]
fn ends_retire_nothing() {
    alone(|| {
        settle(&PostOffice::new());
        let Full { office, mut one, two, handles, routes, waits } = full();
        assert_eq!(one.group.unlink(&two.group), Ok(true));
        handles.iter().for_each(|handle| one.table.release(*handle).unwrap());
        while let Ok(signal) = one.mailbox.try_recv() {
            drop(signal);
        }
        one.group.kill();
        drop((one, two, routes, waits, handles));
        let before = live();
        settle(&PostOffice::new()); // The collector runs, for all offices.
        assert!(live().abs_diff(before) <= 4096, "{} bytes were retired", before - live());
        settle(&office);
        assert!(before - live() > 4096, "and by `reclaim` they are");
    });
}

/// Runs `cycle` many times; memory is as flat as the first hundredth left it.
#[track_caller]
fn assert_flat(cycles: usize, mut cycle: impl FnMut(usize)) {
    (0..cycles / 100).for_each(&mut cycle);
    let before = live();
    (0..cycles).for_each(cycle);
    let grown = live() - before;
    assert!(grown <= 4096, "{cycles} cycles left {grown} bytes");
}

const MANY: usize = 10_000_000;

/// Rule Q2: 10,000,000 links and unlinks.
#[test]
fn linking_and_unlinking_is_flat() {
    alone(|| {
        let office = PostOffice::new();
        let groups: Vec<_> = (0..5).map(|_| office.create_group().unwrap()).collect();
        assert_flat(MANY, |at| {
            let (a, b) = (&groups[at % 5], &groups[(at + 1) % 5]);
            a.link(b).unwrap();
            assert_eq!(b.unlink(a), Ok(true));
        });
    });
}

/// Rule Q2: 10,000,000 monitors and demonitors.
#[test]
fn monitoring_is_flat() {
    alone(|| {
        let office = PostOffice::new();
        let (mut observer, target) = (process(&office), process(&office));
        let route = target.mailbox.capability(Permissions::MONITOR);
        assert_flat(MANY, |_| {
            let id = route.monitor(&observer.mailbox).unwrap();
            assert!(observer.mailbox.demonitor(id));
        });
    });
}

/// Rule Q2: downs that were queued, and removed or received.
#[test]
fn downs_are_flat() {
    alone(|| {
        let office = PostOffice::new();
        let (mut observer, target) = (process(&office), process(&office));
        let route = target.mailbox.capability(Permissions::MONITOR);
        drop(target);
        assert_flat(MANY / 10, |at| {
            let id = route.monitor(&observer.mailbox).unwrap();
            if at % 3 == 0 {
                assert!(observer.mailbox.demonitor(id));
            } else {
                drop(observer.mailbox.try_recv().unwrap());
            }
        });
    });
}

/// Rule Q2: downs that are removed, and never reached by a receive.
#[test]
fn removed_downs_are_flat() {
    alone(|| {
        let office = PostOffice::new();
        let mut observer = process(&office);
        let route = process(&office).mailbox.capability(Permissions::MONITOR);
        for waiting in 0..3u8 {
            assert_flat(MANY / 100, |_| {
                let id = route.monitor(&observer.mailbox).unwrap();
                assert!(observer.mailbox.demonitor(id));
            });
            observer.mailbox.capability(Permissions::SEND).send(&[waiting], &[]).unwrap();
        }
        for waiting in 0..3 {
            assert_eq!(data(&mut observer.mailbox), [waiting]);
        }
    });
}

/// Rule Q2: 10,000,000 exports and releases, sends and receipts.
#[test]
fn exporting_and_sending_is_flat() {
    alone(|| {
        let office = PostOffice::new();
        let Process { group: _group, table, mut mailbox } = process(&office);
        let kept: Vec<_> = (0..7)
            .map(|bits| mailbox.export(Permissions::from_bits_truncate(bits)).unwrap())
            .collect();
        let other = process(&office).mailbox.capability(Permissions::SEND);
        assert_flat(MANY, |_| table.release(mailbox.export(Permissions::all()).unwrap()).unwrap());
        assert_flat(MANY / 10, |_| {
            let handle = table.insert(&other).unwrap();
            table.send(kept[1], &[0; 16], &[handle]).unwrap();
            table.release(handle).unwrap();
            drop(mailbox.try_recv().unwrap());
        });
        assert_flat(MANY, |_| {
            table.send(kept[1], &[0; 16], &[]).unwrap();
            drop(mailbox.try_recv().unwrap());
        });
    });
}

/// Rule Q2: 10,000,000 groups, and a million whole processes, made and dropped.
#[test]
fn creating_and_dropping_is_flat() {
    alone(|| {
        let office = PostOffice::new();
        let host = office.create_table().unwrap();
        assert_flat(MANY, |_| drop(office.create_group().unwrap()));
        assert_flat(times(MANY / 10, MANY), |at| {
            let Process { group, table, mailbox } = process_with(&office, limits(4, 100, 4));
            if at % 2 == 0 {
                mailbox.export(Permissions::SEND).unwrap();
                host.release(host.insert(&mailbox.capability(Permissions::SEND)).unwrap()).unwrap();
            }
            if at % 3 == 0 {
                group.kill();
            }
            drop(table);
        });
        assert_eq!((office.stats().routes, host.len()), (0, 0));
    });
}

/// Rule Q2: churn beside thousands of what lives long.
#[test]
fn churn_beside_a_crowd_is_flat() {
    alone(|| {
        let office = PostOffice::new();
        let Process { group, table, mut mailbox } = process(&office);
        let crowd: Vec<_> = (0..3_000).map(|_| process_with(&office, limits(1, 0, 0))).collect();
        let to = mailbox.capability(Permissions::all());
        for other in &crowd {
            table.insert(&other.mailbox.capability(Permissions::SEND)).unwrap();
            to.monitor(&other.mailbox).unwrap();
            other.group.link(&group).unwrap();
            to.send(b"waits", &[]).unwrap();
        }
        let quiet = process(&office);
        let watch = quiet.mailbox.capability(Permissions::MONITOR);
        assert_flat(MANY / 20, |_| {
            table.release(mailbox.export(Permissions::SEND).unwrap()).unwrap();
            let id = watch.monitor(&mailbox).unwrap();
            assert!(mailbox.demonitor(id));
            quiet.group.link(&group).unwrap();
            assert_eq!(group.unlink(&quiet.group), Ok(true));
            let short = process_with(&office, limits(1, 0, 0));
            short.mailbox.capability(Permissions::SEND).send(b"x", &[]).unwrap();
        });
    });
}

/// Rule Q2: observers that come and go at a route, and routes at an observer,
/// that live long.
#[test]
fn short_lived_monitors_are_flat() {
    alone(|| {
        let office = PostOffice::new();
        let (mut observer, target) = (process(&office), process(&office));
        let route = target.mailbox.capability(Permissions::all());
        assert_flat(MANY / 10, |_| {
            let short = process_with(&office, limits(1, 0, 0));
            route.monitor(&short.mailbox).unwrap();
            short.mailbox.capability(Permissions::MONITOR).monitor(&observer.mailbox).unwrap();
            route.link(&short.group).unwrap();
            drop(short);
            drop(observer.mailbox.try_recv().unwrap());
        });
        assert_eq!((office.stats().monitors, office.stats().links), (0, 0));
    });
}

/// Gives back what can be given back. What is retired is freed some pins later,
/// for which an office that is empty does as well.
fn settle(office: &PostOffice) {
    let empty = PostOffice::new();
    for _ in 0..2 {
        office.reclaim();
        let (mut last, mut quiet) = (live(), 0);
        while quiet < 50 {
            empty.reclaim();
            // The collector's own records come and go.
            quiet = if live().abs_diff(last) < 4096 { quiet + 1 } else { 0 };
            last = live();
        }
    }
}

/// What is left of a burst, and of how much of which: after it ended and the
/// office was told to give back.
#[track_caller]
fn assert_given_back(
    office: &PostOffice,
    what: &str,
    lines: usize,
    others: usize,
    burst: impl FnOnce(),
) {
    settle(office);
    let before = live();
    burst();
    office.reclaim(); // Nobody else is in an operation, so once is enough.
    let left = live() - before;
    // A cache line and its share of a segment's header; that share and an
    // index's shortcuts for the others; and a few segments that are kept whole.
    let allowed = 65 * lines + 5 * others / 2 + 8192;
    println!("{what}: {left} bytes are left, {allowed} allowed");
    assert!(left <= allowed as isize, "{what}: {left} bytes are left, {allowed} allowed");
}

const PEAK: usize = 50_000;

/// Rule Q2: memory goes back after a burst of processes.
#[test]
fn a_burst_of_processes_is_given_back() {
    alone(|| {
        let office = PostOffice::new();
        // Groups and routes: a cache line each; tables: a byte each.
        assert_given_back(&office, "processes", 2 * PEAK, PEAK, || {
            let all: Vec<_> = (0..PEAK).map(|_| process_with(&office, limits(4, 100, 0))).collect();
            all.iter().for_each(|p| assert!(p.mailbox.export(Permissions::SEND).is_ok()));
        });
        assert_given_back(&office, "the same again", 0, 0, || {
            drop((0..PEAK).map(|_| process_with(&office, limits(4, 100, 0))).collect::<Vec<_>>());
        });
    });
}

/// Rule Q2: after a burst of messages.
#[test]
fn a_burst_of_messages_is_given_back() {
    alone(|| {
        let office = PostOffice::new();
        let mut all = MailboxLimits::default();
        all.messages = u32::MAX;
        all.bytes = u32::MAX;
        let mut receiver = process_with(&office, all);
        let to = receiver.mailbox.capability(Permissions::SEND);
        assert_given_back(&office, "messages", 0, PEAK, || {
            for _ in 0..PEAK {
                to.send(&[0; 160], &[]).unwrap();
            }
            while receiver.mailbox.try_recv().is_ok() {}
        });
    });
}

/// Rule Q2: after a burst of handles in a table that lives on.
#[test]
fn a_burst_of_handles_is_given_back() {
    alone(|| {
        let office = PostOffice::new();
        let (table, host) = (office.create_table().unwrap(), office.create_table().unwrap());
        let group = office.create_group().unwrap();
        let routes: Vec<_> =
            (0..PEAK).map(|_| group.create_mailbox_with(&host, limits(0, 0, 0)).unwrap()).collect();
        assert_given_back(&office, "handles", 0, PEAK, || {
            let handles: Vec<_> = routes
                .iter()
                .map(|r| table.insert(&r.capability(Permissions::SEND)).unwrap())
                .collect();
            handles.into_iter().for_each(|handle| table.release(handle).unwrap());
        });
    });
}

/// Rule Q2: a large table that is gone leaves nothing in the slot that it was
/// in, whichever that was.
#[test]
fn a_large_table_leaves_no_shortcuts() {
    alone(|| {
        let office = PostOffice::new();
        let all: Vec<_> = (0..2000).map(|_| process_with(&office, limits(0, 0, 0))).collect();
        let fill = || {
            let table = office.create_table().unwrap();
            for process in &all {
                table.insert(&process.mailbox.capability(Permissions::SEND)).unwrap();
            }
            drop(table);
            office.reclaim();
        };
        fill();
        let before = live();
        (0..64).for_each(|_| fill());
        let grown = live() - before;
        assert!(grown <= 4096, "64 tables, one after the other, left {grown} bytes");
    });
}

/// Rule Q2: after a burst of links.
#[test]
fn a_burst_of_links_is_given_back() {
    alone(|| {
        let office = PostOffice::new();
        let groups: Vec<_> = (0..PEAK).map(|_| office.create_group().unwrap()).collect();
        assert_given_back(&office, "links", PEAK, PEAK, || {
            groups.windows(2).for_each(|pair| pair[0].link(&pair[1]).unwrap());
            groups.windows(2).for_each(|pair| assert_eq!(pair[1].unlink(&pair[0]), Ok(true)));
        });
    });
}

/// Rule Q2: after a burst of monitors.
#[test]
fn a_burst_of_monitors_is_given_back() {
    alone(|| {
        let office = PostOffice::new();
        let (group, host) = (office.create_group().unwrap(), office.create_table().unwrap());
        let mut observer = process(&office);
        let routes: Vec<_> =
            (0..PEAK).map(|_| group.create_mailbox_with(&host, limits(0, 0, 0)).unwrap()).collect();
        assert_given_back(&office, "monitors", PEAK, PEAK, || {
            let set = routes
                .iter()
                .map(|r| r.capability(Permissions::MONITOR).monitor(&observer.mailbox).unwrap());
            let ids: Vec<_> = set.collect();
            ids.into_iter().for_each(|id| assert!(observer.mailbox.demonitor(id)));
            assert_empty(&mut observer.mailbox);
        });
    });
}

/// Rule Q2: after a burst of senders that waited.
#[test]
fn a_burst_of_waiters_is_given_back() {
    alone(|| {
        let office = PostOffice::new();
        let mut all = limits(1, 0, 0);
        all.waiters = u32::MAX;
        let receiver = process_with(&office, all);
        let to = receiver.mailbox.capability(Permissions::SEND);
        to.send(b"", &[]).unwrap();
        assert_given_back(&office, "waiters", 0, PEAK, || {
            let mut waits: Vec<_> = (0..PEAK).map(|_| SendWait::new()).collect();
            for wait in &mut waits {
                assert!(
                    to.poll_send(&mut Context::from_waker(Waker::noop()), wait, b"", &[])
                        .is_pending()
                );
            }
        });
    });
}

/// Rule O4: nothing leaks, in whatever order things are dropped.
#[test]
fn nothing_leaks() {
    alone(|| {
        let mut dice = Dice::new(5);
        let mut world = |_| {
            let office = PostOffice::new();
            let Process { group, table, mut mailbox } = process_with(&office, limits(2, 200, 4));
            let peer = process(&office);
            let to = mailbox.export(Permissions::all()).unwrap();
            let watched = peer.mailbox.capability(Permissions::all());
            for bits in 0..8 {
                table
                    .insert(&watched.demote(Permissions::from_bits_truncate(bits)).unwrap())
                    .unwrap();
            }
            watched.monitor(&mailbox).unwrap();
            watched.link(&group).unwrap();
            table.send(to, &[7; 160], &[to]).unwrap();
            let owned = mailbox.try_recv().unwrap().into_owned();
            table.send(to, &[8; 160], &[to]).unwrap();
            table.send(to, b"", &[to]).unwrap();
            if dice.below(2) == 0 {
                std::mem::forget(mailbox.try_recv());
                table.send(to, b"", &[]).unwrap();
            }
            let mut wait = SendWait::new();
            assert!(
                table
                    .poll_send(&mut Context::from_waker(Waker::noop()), &mut wait, to, b"", &[])
                    .is_pending()
            );
            let mut things: Vec<Box<dyn std::any::Any>> = vec![
                Box::new(office),
                Box::new(group),
                Box::new(table),
                Box::new(mailbox),
                Box::new(peer.group),
                Box::new(peer.table),
                Box::new(peer.mailbox),
                Box::new(watched),
                Box::new(owned),
                Box::new(wait),
            ];
            if dice.below(3) == 0 {
                let group = things[1].downcast_ref::<flue_core::RouteGroup>().unwrap();
                group.kill();
            }
            while !things.is_empty() {
                drop(things.swap_remove(dice.below(things.len())));
            }
        };
        world(0);
        let before = live();
        (0..2_000).for_each(world);
        assert!(live() - before <= COLLECTOR as isize, "{} bytes", live() - before);
    });
}

/// Rules S3 and Q1: a flood takes no more memory than its mailbox's limits say.
#[test]
fn a_flood_takes_what_the_limits_say() {
    alone(|| {
        let office = PostOffice::new();
        let receiver = process_with(&office, limits(10_000, 100_000, 10));
        let to = receiver.mailbox.capability(Permissions::SEND);
        let before = live();
        let mut accepted = 0;
        for _ in 0..1_000_000 {
            accepted += u32::from(to.send(&[0; 200], &[&to]).is_ok())
                + u32::from(to.send(b"x", &[]).is_ok());
        }
        assert!((9_000..=10_000).contains(&accepted));
        let taken = live() - before;
        // A cache line for each message, as much again for segments, and the bytes.
        assert!(taken <= 2 * 64 * 10_000 + 100_000 + 16_384, "{taken}");

        // Two more for what is inline and in a block.
        let receiver = process_with(&office, limits(10_000, 0, 0));
        let to = receiver.mailbox.capability(Permissions::SEND);
        let before = live();
        let accepted = (0..1_000_000).filter(|_| to.send(&[0; 80], &[]).is_ok()).count();
        assert_eq!(accepted, 10_000);
        let taken = live() - before;
        assert!(taken <= 2 * 160 * 10_000 + 3 * 16_384, "{taken}");
    });
}

/// Runs `operation` with its first, second, ... allocation failing, until it
/// makes no more. Each failure is that of `is_refused`, and leaves `state` as it was.
#[track_caller]
fn each_allocation_fails<T, E: std::fmt::Debug, S: PartialEq + std::fmt::Debug>(
    state: impl Fn() -> S,
    is_refused: impl Fn(&E) -> bool,
    mut operation: impl FnMut() -> Result<T, E>,
) -> (usize, T) {
    let mut failures = 0;
    for n in 1.. {
        let before = state();
        FAILING.set(n);
        let result = operation();
        let unused = FAILING.replace(0);
        match result {
            Ok(value) => {
                return (failures, value); // Done, or done without the memory that failed.
            }
            Err(error) => {
                assert_eq!(unused, 0);
                assert!(is_refused(&error), "{error:?}");
                assert_eq!(state(), before, "a failure without effect");
                failures += 1;
            }
        }
        assert!(n < 1000);
    }
    unreachable!()
}

/// Rules Q3 and S1: where an allocation fails the operation is refused with
/// `OutOfMemory`, without effect, and works when there is memory again.
#[test]
fn every_allocation_may_fail() {
    alone(|| {
        settle(&PostOffice::new());
        let refused_table = |error: &TableError| *error == TableError::OutOfMemory;
        let refused_create = |error: &CreateError| *error == CreateError::OutOfMemory;
        let refused_send = |error: &SendError| *error == SendError::OutOfMemory;
        let start = live();
        {
            let (failed, office) = each_allocation_fails(
                || (),
                |_| true,
                || PostOffice::try_with_limits(Limits::default()),
            );
            assert!(failed > 0);
            let stats = || {
                let mut stats = office.stats();
                (stats.buffers, stats.blocks) = (0, 0); // What tables keep at hand.
                stats
            };
            let mut failures = 0;
            let mut count = |failed| failures += failed;
            let (failed, group) =
                each_allocation_fails(stats, refused_create, || office.create_group());
            count(failed);
            let (failed, table) =
                each_allocation_fails(stats, refused_create, || group.create_table());
            count(failed);
            let mut all = limits(1 << 20, 1 << 20, 2000);
            all.waiters = 1000;
            let (failed, mut mailbox) = each_allocation_fails(stats, refused_create, || {
                group.create_mailbox_with(&table, all)
            });
            count(failed);
            let (failed, own) =
                each_allocation_fails(stats, refused_table, || mailbox.export(Permissions::all()));
            count(failed);
            let mut processes = Vec::with_capacity(300);
            let mut ids = Vec::with_capacity(300);
            let mut sent = 0;
            for _ in 0..300 {
                let (failed, group) =
                    each_allocation_fails(stats, refused_create, || office.create_group());
                count(failed);
                let (failed, theirs) =
                    each_allocation_fails(stats, refused_create, || group.create_table());
                count(failed);
                let create = || group.create_mailbox_with(&theirs, limits(1, 0, 0));
                let (failed, route) = each_allocation_fails(stats, refused_create, create);
                count(failed);
                let capability = route.capability(Permissions::all());
                let insert = || table.insert(&capability);
                let (failed, handle) =
                    each_allocation_fails(|| (stats(), table.len()), refused_table, insert);
                count(failed);
                let demote = || table.demote(handle, Permissions::LINK);
                let (failed, link) =
                    each_allocation_fails(|| (stats(), table.len()), refused_table, demote);
                count(failed);
                let monitor = || table.monitor(link, &mailbox);
                let (failed, id) =
                    each_allocation_fails(|| (stats(), table.len()), refused_table, monitor);
                count(failed);
                ids.push(id);
                let hub = processes
                    .first()
                    .map_or(&group, |(group, _, _): &(flue_core::RouteGroup, _, _)| group);
                let (failed, ()) =
                    each_allocation_fails(stats, refused_table, || table.link(link, hub));
                count(failed);
                for (bytes, attach) in [
                    (16, &[][..]),
                    (80, &[]),
                    (200, &[]),
                    (16, &[handle, link, own]),
                    (80, &[own]),
                    (200, &[own]),
                ] {
                    let send = || table.send(own, &[7; 200][..bytes], attach);
                    let (failed, ()) =
                        each_allocation_fails(|| (stats(), table.len()), refused_send, send);
                    count(failed);
                    sent += 1;
                }
                let (failed, ()) = each_allocation_fails(stats, refused_send, || {
                    // The payload is made with the memory that is there.
                    let failing = FAILING.replace(0);
                    let payload = Payload::from(vec![1; 10]);
                    FAILING.set(failing);
                    table.send_payload(own, payload, &[own]).map_err(|rejected| {
                        assert_eq!(&rejected.payload[..], [1; 10]);
                        rejected.error
                    })
                });
                count(failed);
                sent += 1;
                // One waits for room there.
                each_allocation_fails(stats, refused_send, || table.send(handle, b"", &[]));
                let mut wait = SendWait::new();
                let (failed, ()) = each_allocation_fails(stats, refused_send, || {
                    match table.poll_send(
                        &mut Context::from_waker(Waker::noop()),
                        &mut wait,
                        handle,
                        b"",
                        &[],
                    ) {
                        std::task::Poll::Pending => Ok(()),
                        std::task::Poll::Ready(result) => result,
                    }
                });
                count(failed);
                processes.push((group, theirs, (route, wait)));
            }
            assert!(failures > 30, "only {failures} allocations were made to fail");
            // All of it works: nothing was half done.
            for _ in 0..sent {
                assert!(matches!(mailbox.try_recv(), Ok(Signal::Message(_))));
            }
            processes[150].0.kill();
            assert!(processes.iter().all(|(group, _, _)| group.is_dead()));
            let mut told: Vec<_> = (0..300).map(|_| down(&mut mailbox).0).collect();
            told.sort();
            assert_eq!(told, ids);
            assert_empty(&mut mailbox);
        }
        settle(&PostOffice::new());
        assert!(live() - start <= 4096, "{} bytes", live() - start);
    });
}

/// Rules Q1 and Q4: a post office in a `static` has what it has, also where there is an
/// allocator: neither arenas nor indices grow.
#[test]
fn fixed_storage_allocates_nothing() {
    const MANY: usize = 20;
    static OFFICE: StaticPostOffice<24, 256, 64> = StaticPostOffice::new();
    alone(|| {
        let office = OFFICE.office();
        office.prepare_thread();
        without_allocating(|| {
            let Process { table, mailbox: mut observer, .. } =
                process_with(&office, limits(4, 64, 2));
            let mut watched = [(); MANY].map(|()| process_with(&office, limits(1, 64, 1)));
            for other in &mut watched {
                let all = table.insert(&other.mailbox.capability(Permissions::all())).unwrap();
                table.monitor(all, &observer).unwrap();
                table.send(all, &[7; 8], &[all]).unwrap();
                assert!(other.mailbox.try_recv().is_ok());
            }
            for pair in watched.windows(2) {
                pair[0].group.link(&pair[1].group).unwrap();
            }
            watched[0].group.kill();
            for _ in 0..MANY {
                assert!(matches!(observer.try_recv(), Ok(Signal::Down(_))));
            }
        });
    });
}
