//! Rules S: sending, reserving, waiting for room.
#![cfg(feature = "std")]

mod common;

use common::*;
use flue_core::{
    Capability, Handle, INLINE_BYTES, Limits, MAX_MESSAGE_HANDLES, MailboxLimits, Payload,
    Permissions, PostOffice, SendError, SendWait, Signal, TableError,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// Rule S1: the first failure decides. Everything is wrong at first, then one
/// thing after the other is put right.
#[test]
fn checks_come_in_order() {
    let mut few = Limits::default();
    few.bytes_per_message = 200;
    let office = PostOffice::with_limits(few);
    let user = process(&office);
    let victim = process_with(&office, limits(1, 100, 1));
    let forged = Handle::from_raw(9 << 32).unwrap();
    let mute = user.table.insert(&victim.mailbox.capability(Permissions::KILL)).unwrap();
    let to = user.table.insert(&victim.mailbox.capability(Permissions::SEND)).unwrap();
    let many = [forged; MAX_MESSAGE_HANDLES + 1];
    let big = [0; 201];

    let sealed = process(&office);
    sealed.group.kill();
    assert_eq!(sealed.table.send(forged, &big, &many), Err(SendError::Dead));
    let send = |to, bytes: &[u8], attach: &[Handle]| {
        let result = user.table.send(to, bytes, attach);
        // Owned payloads are refused alike, and handed back.
        let rejected = user.table.send_payload(to, bytes.to_vec().into(), attach).unwrap_err();
        assert_eq!((result, &rejected.payload[..]), (Err(rejected.error), bytes));
        let mut cx = Context::from_waker(Waker::noop());
        let mut owned = Some(Payload::from(bytes.to_vec()));
        if rejected.error != SendError::Full {
            let polled = user.table.poll_send(&mut cx, &mut SendWait::new(), to, bytes, attach);
            assert!(matches!(polled, Poll::Ready(Err(error)) if error == rejected.error));
            let polled =
                user.table.poll_send_payload(&mut cx, &mut SendWait::new(), to, &mut owned, attach);
            assert!(matches!(polled, Poll::Ready(Err(error)) if error == rejected.error));
            assert_eq!(owned.as_deref(), Some(bytes));
        }
        result
    };
    assert_eq!(send(forged, &big, &many), Err(SendError::TooManyHandles));
    assert_eq!(send(forged, &big, &many[1..]), Err(SendError::TooLarge));
    assert_eq!(send(forged, &big[1..], &many[1..]), Err(SendError::InvalidHandle));
    assert_eq!(send(mute, &big[1..], &many[1..]), Err(SendError::PermissionDenied));
    let attachment = |index| Err(SendError::InvalidAttachment { index });
    assert_eq!(send(to, &big[1..], &many[1..]), attachment(0));
    assert_eq!(send(to, &big[1..], &[to, mute, forged, forged]), attachment(2));
    // Closed comes before Full: the mailbox has room for none of it.
    assert_eq!(send(to, &big[1..], &[to, mute]), Err(SendError::Full));
    victim.mailbox.close();
    assert_eq!(send(to, &big[1..], &[to, forged]), attachment(1));
    assert_eq!(send(to, &big[1..], &[to, mute]), Err(SendError::Closed));
    assert_eq!(office.stats().messages, 0);
}

/// Rule S1: where a send fails nothing at all has happened.
#[test]
fn a_failure_leaves_nothing_behind() {
    let office = PostOffice::new();
    let user = process(&office);
    let mut receiver = process_with(&office, limits(2, 250, 2));
    let to = user.table.insert(&receiver.mailbox.capability(Permissions::SEND)).unwrap();
    user.table.send(to, &[1; 160], &[to]).unwrap();
    let before = (office.stats(), user.table.len(), receiver.table.len(), receiver.mailbox.len());
    for _ in 0..1000 {
        assert_eq!(user.table.send(to, &[2; 160], &[]), Err(SendError::Full), "bytes");
        assert_eq!(user.table.send(to, b"", &[to, to]), Err(SendError::Full), "handles");
        assert_eq!(
            user.table.send(to, &[2; 160], &[to]),
            Err(SendError::Full),
            "bytes, with handles"
        );
        assert_eq!(
            user.table.send_payload(to, vec![2; 160].into(), &[to]).unwrap_err().error,
            SendError::Full
        );
    }
    let mut after =
        (office.stats(), user.table.len(), receiver.table.len(), receiver.mailbox.len());
    after.0.buffers = before.0.buffers; // What a table keeps at hand.
    assert_eq!(after, before);
    // What the failed sends had reserved is there for others.
    user.table.send(to, &[3; 97], &[]).unwrap_err();
    user.table.send(to, b"small", &[to]).unwrap();
    assert_eq!(data(&mut receiver.mailbox), [1; 160]);
    assert_eq!(data(&mut receiver.mailbox), b"small");
    user.table.send(to, &[4; 250], &[to, to]).unwrap();
    assert_eq!(data(&mut receiver.mailbox), [4; 250]);
}

/// Rule S1: the host's capabilities are checked in the same order.
#[test]
fn capabilities_check_in_order_too() {
    let mut few = Limits::default();
    few.bytes_per_message = 10;
    few.handles_per_message = 1;
    let office = PostOffice::with_limits(few);
    let receiver = process_with(&office, limits(0, 0, 0));
    let mute = receiver.mailbox.capability(Permissions::MONITOR);
    let to = receiver.mailbox.capability(Permissions::SEND);
    assert_eq!(mute.send(&[0; 11], &[&to, &to]), Err(SendError::TooManyHandles));
    assert_eq!(mute.send(&[0; 11], &[&to]), Err(SendError::TooLarge));
    assert_eq!(mute.send(&[0; 10], &[&to]), Err(SendError::PermissionDenied));
    assert_eq!(to.send(&[0; 10], &[&to]), Err(SendError::Full));
    receiver.group.kill();
    assert_eq!(to.send(&[0; 10], &[&to]), Err(SendError::Closed));
}

/// Rule S2: an accepted message is received, though the receiver's table was
/// filled to the brim meanwhile; queues take no slot from the table's own.
#[test]
fn what_was_accepted_can_be_received() {
    let mut few = Limits::default();
    few.handles_per_table = 3;
    let office = PostOffice::with_limits(few);
    let mut receiver = process_with(&office, limits(10, 1000, 4));
    let others: Vec<_> = (0..8).map(|_| process_with(&office, limits(1, 0, 0))).collect();
    let capability = |at: usize| others[at].mailbox.capability(Permissions::SEND);
    let to = receiver.mailbox.capability(Permissions::SEND);
    assert_eq!(receiver.table.capacity(), 3 + 4, "the share is added");

    to.send(b"two", &[&capability(0), &capability(1)]).unwrap();
    to.send(b"two more", &[&capability(2), &capability(3)]).unwrap();
    for at in 4..7 {
        receiver.table.insert(&capability(at)).unwrap();
    }
    assert_eq!(receiver.table.insert(&capability(7)), Err(TableError::Full));
    assert_eq!(to.send(b"five", &[&capability(7)]), Err(SendError::Full));
    for text in [&b"two"[..], b"two more"] {
        let Ok(Signal::Message(message)) = receiver.mailbox.try_recv() else { panic!() };
        assert_eq!((message.data(), message.handles().len()), (text, 2));
        let sendable =
            message.handles().iter().filter(|h| receiver.table.send(**h, b"", &[]).is_ok());
        assert_eq!(sendable.count(), 2);
    }
    assert_eq!(receiver.table.len(), 3, "untaken handles are gone with their guard");
    to.send(b"again", &[&capability(7); 4]).unwrap();
}

/// Rule S2: who hoards the capabilities it took is refused more of them, not
/// data; releasing them makes room again.
#[test]
fn hoarding_refuses_capabilities_alone() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(10, 1000, 2));
    let others: Vec<_> = (0..3).map(|_| process(&office)).collect();
    let capability = |at: usize| others[at].mailbox.capability(Permissions::SEND);
    let to = receiver.mailbox.capability(Permissions::SEND);
    let mut taken = Vec::new();
    for at in 0..2 {
        to.send(b"", &[&capability(at)]).unwrap();
        taken.extend(owned(&mut receiver.mailbox).take_handles());
    }
    assert_eq!(taken.len(), 2);
    assert_eq!(to.send(b"", &[&capability(2)]), Err(SendError::Full));
    to.send(b"data", &[]).unwrap();
    assert_eq!(data(&mut receiver.mailbox), b"data");
    receiver.table.release(taken[0]).unwrap();
    to.send(b"", &[&capability(2)]).unwrap();
    assert_eq!(to.send(b"", &[&capability(0)]), Err(SendError::Full));
    // One that is present already returns its reservation when it is received.
    receiver.table.release(taken[1]).unwrap();
    to.send(b"", &[&capability(2)]).unwrap();
    taken = (0..2)
        .flat_map(|_| owned(&mut receiver.mailbox).take_handles().collect::<Vec<_>>())
        .collect();
    assert_eq!(taken[0], taken[1]);
    to.send(b"", &[&capability(0)]).unwrap();
}

/// Rule Q1: while a table is above its limit, by what a closed mailbox left in it, it gets no
/// further mailbox, whatever that one's share is.
#[test]
fn a_table_above_its_limit_gets_no_mailbox() {
    let mut few = Limits::default();
    few.handles_per_table = 1;
    let office = PostOffice::with_limits(few);
    let Process { group, table, mut mailbox } = process_with(&office, limits(4, 0, 2));
    let others: Vec<_> = (0..2).map(|_| process(&office)).collect();
    let to = mailbox.capability(Permissions::SEND);
    for other in &others {
        to.send(b"", &[&other.mailbox.capability(Permissions::SEND)]).unwrap();
    }
    let kept: Vec<Handle> =
        (0..2).flat_map(|_| owned(&mut mailbox).take_handles().collect::<Vec<_>>()).collect();
    drop(mailbox);
    for share in [0, 1] {
        let refused = group.create_mailbox_with(&table, limits(1, 0, share)).unwrap_err();
        assert_eq!(refused, flue_core::CreateError::LimitReached, "with a share of {share}");
    }
    table.release(kept[0]).unwrap();
    group.create_mailbox_with(&table, limits(1, 0, 0)).unwrap();
}

/// Rule S2: the reservation returns when the message is destroyed and when the
/// mailbox goes; handles that were taken move to the table's own account.
#[test]
fn reservations_return() {
    let mut few = Limits::default();
    few.handles_per_table = 4;
    let office = PostOffice::with_limits(few);
    let group = office.create_group().unwrap();
    let table = group.create_table().unwrap();
    let others: Vec<_> = (0..6).map(|_| process_with(&office, limits(1, 0, 0))).collect();
    let capability = |at: usize| others[at].mailbox.capability(Permissions::SEND);
    for _ in 0..100 {
        let mut mailbox = group.create_mailbox_with(&table, limits(10, 100, 3)).unwrap();
        assert_eq!(table.capacity(), 7);
        let to = mailbox.capability(Permissions::SEND);
        to.send(b"", &[&capability(0), &capability(1)]).unwrap();
        let kept: Vec<_> = owned(&mut mailbox).take_handles().collect();
        to.send(b"queued", &[&capability(2)]).unwrap();
        drop(mailbox);
        assert_eq!((table.capacity(), table.len()), (4, 2));
        // Two of the four are used by what was taken.
        let more: Vec<_> = (3..5).map(|at| table.insert(&capability(at)).unwrap()).collect();
        assert_eq!(table.insert(&capability(5)), Err(TableError::Full));
        for handle in kept.into_iter().chain(more) {
            table.release(handle).unwrap();
        }
        assert_eq!(table.len(), 0);
    }
}

/// Rule S3: each of a mailbox's three limits holds by itself, and a mailbox
/// that is full loses, reorders and overwrites nothing.
#[test]
fn a_full_mailbox_keeps_what_it_has() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(3, 100, 2));
    let to = receiver.mailbox.capability(Permissions::SEND);
    for round in 0u8..200 {
        for at in 0..3 {
            to.send(&[round, at], &[]).unwrap();
        }
        for _ in 0..5 {
            assert_eq!(to.send(b"more", &[]), Err(SendError::Full));
        }
        assert_eq!((receiver.mailbox.len(), receiver.mailbox.capacity()), (3, 3));
        assert_eq!(data(&mut receiver.mailbox), [round, 0]);
        to.send(&[round, 3], &[]).unwrap();
        for at in 1..4 {
            assert_eq!(data(&mut receiver.mailbox), [round, at]);
        }
        assert_empty(&mut receiver.mailbox);
    }
    // Bytes: inline ones are free, owned and copied ones are not.
    let inline = office.inline_bytes();
    to.send_payload(vec![0; 60].into(), &[]).unwrap();
    assert_eq!(to.send(&vec![0; inline + 1], &[]), Err(SendError::Full));
    assert_eq!(to.send_payload(vec![0; 41].into(), &[]).unwrap_err().error, SendError::Full);
    to.send_payload(vec![0; 40].into(), &[]).unwrap();
    to.send(&vec![0; inline], &[]).unwrap();
    assert_eq!(office.stats().bytes, 100);
    for length in [60, 40, inline] {
        assert_eq!(data(&mut receiver.mailbox).len(), length);
    }
    assert_eq!(office.stats().bytes, 0);
    // Attached capabilities.
    to.send(b"", &[&to, &to]).unwrap();
    assert_eq!(to.send(b"", &[&to]), Err(SendError::Full));
    assert_eq!(data(&mut receiver.mailbox), b"");
    to.send(b"", &[&to]).unwrap();
}

/// Rules R1, R2, S3 and S5: whatever its length, a message is what was sent; what is inline
/// counts for nothing and can be kept and sent on without a charge.
#[test]
fn every_length_arrives() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(8, 4 * 256, 8));
    let to = receiver.mailbox.export(Permissions::SEND).unwrap();
    let capability = receiver.mailbox.capability(Permissions::SEND);
    let bytes: Vec<u8> = (1..=255).collect();
    let inline = office.inline_bytes();
    assert!(INLINE_BYTES < inline && inline < 255);
    for length in 0..=255 {
        let bytes = &bytes[..length];
        receiver.table.send(to, bytes, &[]).unwrap();
        receiver.table.send(to, bytes, &[to, to]).unwrap();
        capability.send(bytes, &[]).unwrap();
        capability.send(bytes, &[&capability]).unwrap();
        let charged = if length <= inline { 0 } else { 4 * length };
        assert_eq!(office.stats().bytes, charged, "{length}");
        assert_eq!(data(&mut receiver.mailbox), bytes);
        let Ok(Signal::Message(message)) = receiver.mailbox.try_recv() else { unreachable!() };
        assert_eq!((message.data(), message.handles()), (bytes, &[to, to][..]));
        std::mem::forget(message); // The next receive settles it.
        let kept = owned(&mut receiver.mailbox);
        assert_eq!(kept.data(), bytes);
        let kept = kept.into_payload();
        assert_eq!(data(&mut receiver.mailbox), bytes);
        let before = office.stats().bytes;
        receiver.table.send_payload(to, kept, &[]).unwrap();
        assert_eq!(office.stats().bytes - before, if length <= inline { 0 } else { length });
        assert_eq!(data(&mut receiver.mailbox), bytes);
    }
    for length in [inline, inline + 1] {
        capability.send(&bytes[..length], &[]).unwrap(); // Never received.
        let mut wait = SendWait::new();
        let mut cx = Context::from_waker(Waker::noop());
        let sent = capability.poll_send(&mut cx, &mut wait, &bytes[..length], &[]);
        assert_eq!(sent, Poll::Ready(Ok(())));
    }
    drop(receiver);
    assert_eq!((office.stats().buffers, office.stats().bytes), (0, 0));
    office.reclaim();
    assert_eq!(office.stats().blocks, 0);
}

/// Rule S1: a send that is refused after it has taken a block gives that back: of a full mailbox,
/// of a closed one, of a dead group's, and of a table that is sealed.
#[test]
fn refused_blocks_are_given_back() {
    let mut few = Limits::default();
    few.messages = 64; // So few that nobody keeps any.
    let office = PostOffice::with_limits(few);
    let user = process(&office);
    let receiver = process_with(&office, limits(1, 0, 1));
    let to = user.table.insert(&receiver.mailbox.capability(Permissions::SEND)).unwrap();
    let all = |expected| {
        for attach in [&[][..], &[to]] {
            assert_eq!(user.table.send(to, &[1; 80], attach), Err(expected));
            assert_eq!(office.stats().blocks, 0);
        }
    };
    user.table.send(to, b"fills it", &[]).unwrap();
    all(SendError::Full);
    receiver.group.kill();
    all(SendError::Closed);
    drop(receiver);
    all(SendError::Closed);
    user.group.kill();
    all(SendError::Dead);
}

/// Rule S3: limits are finite by default, and zero is one.
#[test]
fn default_limits_are_finite() {
    let all = MailboxLimits::default();
    for limit in [all.messages, all.bytes, all.handles, all.waiters] {
        assert!((1..u32::MAX / 2).contains(&limit));
    }
    let office = PostOffice::new();
    let mut receiver = process(&office);
    let to = receiver.mailbox.capability(Permissions::SEND);
    let mut accepted = 0u32;
    while to.send(&accepted.to_le_bytes(), &[]).is_ok() {
        accepted += 1;
    }
    assert_eq!(accepted, all.messages);
    for at in 0..accepted {
        assert_eq!(data(&mut receiver.mailbox), at.to_le_bytes());
    }
    let none = process_with(&office, limits(0, 0, 0));
    assert_eq!(none.mailbox.capability(Permissions::SEND).send(b"", &[]), Err(SendError::Full));
}

/// Rule S3: a flood by several senders is bounded, at every moment, by the
/// mailbox's limits.
#[test]
fn a_flood_is_bounded() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(50, 2000, 10));
    let to = receiver.mailbox.capability(Permissions::SEND);
    let done = AtomicBool::new(false);
    let (accepted, received) = std::thread::scope(|scope| {
        let flood = |size: usize, attach: bool| {
            let (to, done) = (&to, &done);
            move || {
                let mut accepted = 0;
                while !done.load(SeqCst) {
                    let attached: &[_] = if attach { &[to, to] } else { &[] };
                    match to.send(&vec![1; size], attached) {
                        Ok(()) => accepted += 1,
                        Err(error) => assert_eq!(error, SendError::Full),
                    }
                }
                accepted
            }
        };
        let senders = [
            scope.spawn(flood(8, false)),
            scope.spawn(flood(300, false)),
            scope.spawn(flood(100, true)),
        ];
        let clock = Clock::start();
        let mut received = 0;
        while clock.is_running() {
            assert!(receiver.mailbox.len() <= 50);
            let stats = office.stats();
            assert!(stats.bytes <= 2000 && stats.messages <= 50, "{stats:?}");
            while received % 64 != 63 && receiver.mailbox.try_recv().is_ok() {
                received += 1;
            }
            received += usize::from(receiver.mailbox.try_recv().is_ok());
        }
        done.store(true, SeqCst);
        (senders.map(|s| s.join().unwrap()).into_iter().sum::<usize>(), received)
    });
    let mut rest = 0;
    while receiver.mailbox.try_recv().is_ok() {
        rest += 1;
    }
    assert!(rest <= 50 && accepted == received + rest, "nothing was lost");
    assert!(receiver.table.len() <= 1);
}

thread_local! {
    /// Whether this thread is in the allocator.
    static ALLOCATES: AtomicBool = const { AtomicBool::new(false) };
}

/// The system's allocator, which locks: who is stopped in it stops others, and it is
/// not Flue that does. The collector frees in whichever thread is in an operation.
struct Marked;

// SAFETY: the system's allocator.
unsafe impl GlobalAlloc for Marked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATES.with(|inside| inside.store(true, SeqCst));
        // SAFETY: the caller's promises are the same.
        let memory = unsafe { System.alloc(layout) };
        ALLOCATES.with(|inside| inside.store(false, SeqCst));
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        ALLOCATES.with(|inside| inside.store(true, SeqCst));
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(memory, layout) };
        ALLOCATES.with(|inside| inside.store(false, SeqCst));
    }
}

#[global_allocator]
static MARKED: Marked = Marked;

/// Rules S4 and K8: a sender that is stopped at whatever instruction, but those of the
/// allocator, stops nobody. It is stopped by a signal handler, which sends too, as an
/// interrupt's would; and it is killed while it stands still.
#[cfg(unix)]
#[test]
fn a_stopped_sender_stops_nobody() {
    static STOPPED: AtomicUsize = AtomicUsize::new(0);
    static AWAY: AtomicUsize = AtomicUsize::new(0);
    static GO: AtomicUsize = AtomicUsize::new(0);
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static ALARM: RefCell<Option<Capability>> = const { RefCell::new(None) };
    }
    extern "C" fn stop(_signal: i32) {
        if ALLOCATES.with(|inside| inside.load(SeqCst)) {
            AWAY.fetch_add(1, SeqCst);
            return;
        }
        let go = GO.load(SeqCst);
        ALARM.with(|alarm| {
            if let Some(alarm) = &*alarm.borrow() {
                HEARD.fetch_add(usize::from(alarm.send(b"from the handler", &[]).is_ok()), SeqCst);
            }
        });
        STOPPED.fetch_add(1, SeqCst);
        while GO.load(SeqCst) == go {
            std::thread::yield_now();
        }
    }
    // SAFETY: the handler uses atomics, and sends, for which memory is there.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = stop as *const () as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
    }
    /// Returns when the thread stands still.
    fn interrupt(thread: &AtomicU64) {
        let before = STOPPED.load(SeqCst);
        while STOPPED.load(SeqCst) == before {
            let away = AWAY.load(SeqCst);
            // SAFETY: the thread runs until it is told to end, which is later.
            unsafe { libc::pthread_kill(thread.load(SeqCst) as libc::pthread_t, libc::SIGUSR1) };
            while STOPPED.load(SeqCst) == before && AWAY.load(SeqCst) == away {
                std::thread::yield_now();
            }
        }
    }

    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(512, 1 << 20, 64));
    let mut alarms = process_with(&office, limits(512, 0, 0));
    let to = receiver.mailbox.capability(Permissions::all());
    let alarm = alarms.mailbox.capability(Permissions::SEND);
    // The handler and who it stops find their memory there: no allocator's lock is held.
    while alarm.send(b"", &[]).is_ok() {}
    while to.send(b"", &[&to]).is_ok() {}
    while to.send(b"", &[]).is_ok() {}
    while alarms.mailbox.try_recv().is_ok() {}
    while receiver.mailbox.try_recv().is_ok() {}

    let mut stops = 0;
    let clock = Clock::start();
    while clock.is_running() {
        let (done, name) = (AtomicBool::new(false), AtomicU64::new(0));
        let sender = process(&office);
        sender.mailbox.capability(Permissions::MONITOR).monitor(&receiver.mailbox).unwrap();
        let handle = sender.table.insert(&to).unwrap();
        let table = sender.table.clone();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                office.prepare_thread();
                ALARM.with(|place| *place.borrow_mut() = Some(alarm.clone()));
                // SAFETY: it names the calling thread.
                name.store(unsafe { libc::pthread_self() } as u64, SeqCst);
                let mut at = 0u32;
                while !done.load(SeqCst) {
                    at += 1;
                    let _ = match at % 4 {
                        0 => table.send_payload(handle, Payload::from(&[2; 100][..]), &[]).is_ok(),
                        1 => table.send(handle, b"", &[handle]).is_ok(),
                        _ => table.send(handle, b"1", &[]).is_ok(),
                    };
                }
                ALARM.with(|place| *place.borrow_mut() = None);
            });
            while name.load(SeqCst) == 0 {
                std::thread::yield_now();
            }
            for _ in 0..20 {
                interrupt(&name);
                stops += 1;
                // It stands still now. Everybody else goes on.
                while receiver.mailbox.try_recv().is_ok() {}
                while alarms.mailbox.try_recv().is_ok() {}
                let other = process(&office);
                let handle = other.table.insert(&to).unwrap();
                for at in 0..20u8 {
                    other.table.send(handle, &[at], &[handle]).unwrap();
                }
                for at in 0..20u8 {
                    assert_eq!(data(&mut receiver.mailbox), [at]);
                }
                other.group.link(&office.create_group().unwrap()).unwrap();
                other.group.kill();
                GO.fetch_add(1, SeqCst);
            }
            interrupt(&name);
            sender.group.kill();
            while !matches!(receiver.mailbox.try_recv(), Ok(Signal::Down(_))) {
                assert!(receiver.mailbox.is_ready(), "the down is there");
            }
            done.store(true, SeqCst);
            GO.fetch_add(1, SeqCst);
        });
        // Whatever it had begun when it stopped: nothing comes after the down.
        assert_empty(&mut receiver.mailbox);
    }
    assert!(stops >= 20 && HEARD.load(SeqCst) > 0);
}

/// Rule S5: the receiver reads the sender's very buffer.
#[test]
fn owned_payloads_are_not_copied() {
    let office = PostOffice::new();
    let Process { group: _group, table, mut mailbox } = process(&office);
    let to = mailbox.export(Permissions::SEND).unwrap();
    static STATIC: [u8; 3] = *b"abc";
    let shared: Arc<[u8]> = Arc::from(vec![4u8; 1000]);
    #[allow(unused_mut, reason = "some features add to it")]
    let mut payloads: Vec<Payload> = vec![
        vec![1u8; 1000].into(),
        vec![2u8; 1].into(),
        vec![3u8; 1000].into_boxed_slice().into(),
        shared.clone().into(),
        Payload::from(&STATIC[..]),
    ];
    #[cfg(feature = "bytes")]
    payloads.push(bytes::Bytes::from(vec![5u8; 500]).into());
    for payload in payloads {
        let (address, length) = (payload.as_ptr(), payload.len());
        let mut cx = Context::from_waker(Waker::noop());
        let mut place = Some(payload);
        let polled = table.poll_send_payload(&mut cx, &mut SendWait::new(), to, &mut place, &[]);
        assert!(matches!(polled, Poll::Ready(Ok(()))) && place.is_none());
        let Ok(Signal::Message(message)) = mailbox.try_recv() else { panic!() };
        assert_eq!((message.data().as_ptr(), message.data().len()), (address, length));
        let payload = message.into_payload();
        assert_eq!(payload.as_ptr(), address, "taking it out is no copy either");
        // And on, and into a value of its own.
        table.send_payload(to, payload, &[]).unwrap();
        let message = owned(&mut mailbox);
        assert_eq!(message.data().as_ptr(), address);
        assert_eq!(message.into_payload().as_ptr(), address);
    }
    assert_eq!(Arc::strong_count(&shared), 1, "dropped once");
    let vec = vec![9u8; 64];
    let address = vec.as_ptr();
    table.send_payload(to, vec.into(), &[]).unwrap();
    let vec = owned(&mut mailbox).into_payload().try_into_vec().unwrap();
    assert_eq!((vec.as_ptr(), vec.len()), (address, 64));
}

/// Rule S5: payloads are dropped one at a time, when all is whole: what their
/// drop does, a call of Flue or a panic, harms nobody.
#[cfg(feature = "bytes")]
#[test]
fn dropping_a_payload_may_call_and_panic() {
    struct Loud<F: Fn()>(Vec<u8>, F);
    impl<F: Fn()> AsRef<[u8]> for Loud<F> {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl<F: Fn()> Drop for Loud<F> {
        fn drop(&mut self) {
            (self.1)();
        }
    }
    let loud = |code: Box<dyn Fn() + Send + Sync>| -> Payload {
        bytes::Bytes::from_owner(Loud(vec![7; 60], code)).into()
    };

    let office = PostOffice::new();
    let other = process(&office);
    let drops = Arc::new(AtomicUsize::new(0));
    // How a queued payload may meet its end.
    for way in 0..4 {
        drops.store(0, SeqCst);
        let Process { group, table, mut mailbox } = process(&office);
        let to = mailbox.capability(Permissions::all());
        let host = office.create_table().unwrap();
        for at in 0..3 {
            let (drops, to, other) =
                (drops.clone(), to.clone(), other.mailbox.capability(Permissions::SEND));
            let code = move || {
                drops.fetch_add(1, SeqCst);
                let _ = (to.send(b"call", &[]), to.is_closed(), other.send(b"call", &[&to]));
                assert!(at != 0, "on purpose");
            };
            let attached = mailbox.capability(Permissions::KILL);
            mailbox
                .capability(Permissions::SEND)
                .send_payload(loud(Box::new(code)), &[&attached])
                .unwrap();
        }
        let panicked = match way {
            0 => panics(|| drop(mailbox)),
            1 => {
                group.kill();
                panics(|| drop(mailbox))
            }
            2 => {
                let panicked = panics(|| drop(mailbox.try_recv()));
                assert_eq!(drops.load(SeqCst), 1);
                // Two are left, and what the drop of the first had sent.
                assert_eq!(data(&mut mailbox), [7; 60]);
                assert_eq!(data(&mut mailbox), [7; 60]);
                assert_eq!(data(&mut mailbox), b"call");
                drop(mailbox);
                panicked
            }
            _ => {
                std::mem::forget(mailbox.try_recv());
                panics(|| drop(mailbox))
            }
        };
        assert!(panicked);
        assert_eq!(drops.load(SeqCst), 3, "way {way}: each dropped, once");
        assert_eq!(table.len(), 0);
        drop((host, table, group));
    }
    assert_eq!(office.stats().routes, 1);
}

/// A sender that waits.
struct Waiting {
    wait: SendWait,
    count: Arc<Count>,
    waker: Waker,
    text: Vec<u8>,
}

impl Waiting {
    fn new(text: &[u8]) -> Self {
        let (count, waker) = counting();
        Self { wait: SendWait::new(), count, waker, text: text.to_vec() }
    }

    fn poll(&mut self, to: &Capability) -> Poll<Result<(), SendError>> {
        self.poll_attaching(to, 0)
    }

    /// Attaches the capability that it sends to, so many times.
    fn poll_attaching(&mut self, to: &Capability, times: usize) -> Poll<Result<(), SendError>> {
        let (mut cx, attached) = (Context::from_waker(&self.waker), vec![to; times]);
        to.poll_send(&mut cx, &mut self.wait, &self.text, &attached)
    }
}

fn calls(line: &[Waiting]) -> Vec<usize> {
    line.iter().map(|waiting| waiting.count.calls()).collect()
}

/// Rule S6: who waits first is woken first, one for each room.
#[test]
fn waiting_senders_are_woken_in_turn() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(2, 0, 0));
    let to = receiver.mailbox.capability(Permissions::SEND);
    to.send(b"0", &[]).unwrap();
    to.send(b"1", &[]).unwrap();
    let mut line: Vec<Waiting> = (2..8u8).map(|at| Waiting::new(&[b'0' + at])).collect();
    for waiting in &mut line {
        assert!(waiting.poll(&to).is_pending());
    }
    for at in 0..6usize {
        assert_eq!(data(&mut receiver.mailbox), [b'0' + at as u8]);
        assert_eq!(
            calls(&line),
            (0..6).map(|n| usize::from(n <= at)).collect::<Vec<_>>(),
            "the next, and no other"
        );
        assert_eq!(line[at].poll(&to), Poll::Ready(Ok(())));
    }
    assert_eq!(data(&mut receiver.mailbox), b"6");
    assert_eq!(data(&mut receiver.mailbox), b"7");
    assert_empty(&mut receiver.mailbox);
}

/// Rule S6: room is not reserved for the woken. Who finds it gone waits at the
/// front again.
#[test]
fn a_woken_sender_that_finds_nothing_is_first_again() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(1, 0, 0));
    let to = receiver.mailbox.capability(Permissions::SEND);
    to.send(b"full", &[]).unwrap();
    let (mut first, mut second) = (Waiting::new(b"first"), Waiting::new(b"second"));
    assert!(first.poll(&to).is_pending() && second.poll(&to).is_pending());
    assert_eq!(data(&mut receiver.mailbox), b"full");
    to.send(b"whoever comes first", &[]).unwrap();
    assert_eq!(first.count.calls(), 1);
    assert!(first.poll(&to).is_pending(), "gone");
    assert_eq!(data(&mut receiver.mailbox), b"whoever comes first");
    assert_eq!((first.count.calls(), second.count.calls()), (2, 0));
    assert_eq!(first.poll(&to), Poll::Ready(Ok(())));
    assert_eq!(data(&mut receiver.mailbox), b"first");
    assert_eq!(second.count.calls(), 1);
    assert_eq!(second.poll(&to), Poll::Ready(Ok(())));
}

/// Rule S6: dropping a wait passes its wake on, and a waiter that never runs
/// again delays the others by one wake-up.
#[test]
fn a_wake_is_passed_on() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(1, 0, 0));
    let to = receiver.mailbox.capability(Permissions::SEND);
    to.send(b"", &[]).unwrap();
    let mut line: Vec<Waiting> = (0..3).map(|_| Waiting::new(b"x")).collect();
    for waiting in &mut line {
        assert!(waiting.poll(&to).is_pending());
    }
    assert_eq!(data(&mut receiver.mailbox), b"");
    let first = line.remove(0);
    assert_eq!((first.count.calls(), line[0].count.calls()), (1, 0));
    drop(first);
    assert_eq!((line[0].count.calls(), line[1].count.calls()), (1, 0), "passed on");
    // This one stands still with its wake; the next room wakes the next.
    to.send(b"", &[]).unwrap();
    assert_eq!(data(&mut receiver.mailbox), b"");
    assert_eq!(line[1].count.calls(), 1);
    assert_eq!(line[1].poll(&to), Poll::Ready(Ok(())));
    // Who never waited, or was not woken, passes nothing on.
    drop(SendWait::new());
    assert_eq!(line[0].count.calls(), 1);
    std::mem::forget(line.remove(0).wait);
}

/// Rule S6: kill and close wake every waiting sender.
#[test]
fn the_end_wakes_waiting_senders() {
    let office = PostOffice::new();
    for killed in [false, true] {
        let receiver = process_with(&office, limits(1, 0, 0));
        let to = receiver.mailbox.capability(Permissions::SEND);
        to.send(b"", &[]).unwrap();
        let mut line: Vec<Waiting> = (0..3).map(|_| Waiting::new(b"x")).collect();
        for waiting in &mut line {
            assert!(waiting.poll(&to).is_pending());
        }
        if killed {
            receiver.group.kill();
        } else {
            receiver.mailbox.close();
        }
        for waiting in &mut line {
            assert_eq!(waiting.count.calls(), 1);
            assert_eq!(waiting.poll(&to), Poll::Ready(Err(SendError::Closed)));
        }
    }
}

/// Rule S6: bytes and capabilities are room too: a waiter for them is woken by
/// a receive and by the release of what was taken.
#[test]
fn any_kind_of_room_wakes() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(10, 250, 1));
    let to = receiver.mailbox.capability(Permissions::SEND);
    to.send(&[1; 160], &[]).unwrap();
    let mut bytes = Waiting::new(&[2; 160]);
    assert!(bytes.poll(&to).is_pending());
    assert_eq!(data(&mut receiver.mailbox), [1; 160]);
    assert_eq!(bytes.count.calls(), 1);
    assert_eq!(bytes.poll(&to), Poll::Ready(Ok(())));
    assert_eq!(data(&mut receiver.mailbox), [2; 160]);

    to.send(b"", &[&to]).unwrap();
    let taken = owned(&mut receiver.mailbox).take_handles().next().unwrap();
    let (count, waker) = counting();
    let mut wait = SendWait::new();
    let mut cx = Context::from_waker(&waker);
    assert!(to.poll_send(&mut cx, &mut wait, b"", &[&to]).is_pending());
    receiver.table.release(taken).unwrap();
    assert_eq!(count.calls(), 1);
    assert_eq!(to.poll_send(&mut cx, &mut wait, b"", &[&to]), Poll::Ready(Ok(())));
    // What no room will ever do for is refused at once.
    let never = to.poll_send(&mut cx, &mut SendWait::new(), &[0; 251], &[]);
    assert_eq!(never, Poll::Ready(Err(SendError::Full)));
    let never = to.poll_send(&mut cx, &mut SendWait::new(), b"", &[&to, &to]);
    assert_eq!(never, Poll::Ready(Err(SendError::Full)));
}

/// Rule S6: one receive makes room for several: who was woken for it and left some wakes the
/// next in the line.
#[test]
fn room_for_several_wakes_several() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(10, 600, 1));
    let to = receiver.mailbox.capability(Permissions::SEND);
    to.send(&[0; 600], &[]).unwrap();
    let mut line: Vec<Waiting> = (1..5u8).map(|at| Waiting::new(&[at; 200])).collect();
    for waiting in &mut line {
        assert!(waiting.poll(&to).is_pending());
    }
    assert_eq!(data(&mut receiver.mailbox), [0; 600]);
    assert_eq!(calls(&line), [1, 0, 0, 0]);
    for at in 0..3 {
        assert_eq!(line[at].poll(&to), Poll::Ready(Ok(())));
        let woken = (0..4).map(|n| usize::from(n <= (at + 1).min(2))).collect::<Vec<_>>();
        assert_eq!(calls(&line), woken, "the next while there is room, and no other");
    }
    for at in 1..4 {
        assert_eq!(data(&mut receiver.mailbox), [at; 200]);
    }
    assert_eq!(line[3].poll(&to), Poll::Ready(Ok(())));
}

/// Rule S6: who was woken and never runs again delays nobody when the receiver goes to sleep.
#[test]
fn an_idle_receiver_wakes_all() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(1, 0, 0));
    let to = receiver.mailbox.capability(Permissions::SEND);
    to.send(b"0", &[]).unwrap();
    let mut line: Vec<Waiting> = (1..4u8).map(|at| Waiting::new(&[b'0' + at])).collect();
    for waiting in &mut line {
        assert!(waiting.poll(&to).is_pending());
    }
    assert_eq!(data(&mut receiver.mailbox), b"0");
    let (count, waker) = counting();
    assert!(receiver.mailbox.poll_ready(&mut Context::from_waker(&waker)).is_pending());
    for waiting in &line {
        assert_eq!(waiting.count.calls(), 1);
    }
    assert_eq!(line[2].poll(&to), Poll::Ready(Ok(())), "whoever comes first");
    assert_eq!(count.calls(), 1);
    assert!(line[1].poll(&to).is_pending());
    assert_eq!(data(&mut receiver.mailbox), b"3");
}

/// Rule S6: a receiver that goes to sleep and hoards capabilities wakes nobody who wants to send
/// some: the two would keep each other busy.
#[test]
fn an_idle_hoarder_wakes_nobody_in_vain() {
    let office = PostOffice::new();
    for share in 1..3 {
        let mut receiver = process_with(&office, limits(2, 0, share));
        let to = receiver.mailbox.capability(Permissions::SEND);
        to.send(b"", &[&to]).unwrap();
        let taken = owned(&mut receiver.mailbox).take_handles().next().unwrap();
        let (count, waker) = counting();
        let (mut wait, mut cx) = (SendWait::new(), Context::from_waker(&waker));
        let attached = vec![&to; share as usize]; // All of it.
        for _ in 0..3 {
            assert!(to.poll_send(&mut cx, &mut wait, b"", &attached).is_pending());
            let mut noop = Context::from_waker(Waker::noop());
            assert!(receiver.mailbox.poll_ready(&mut noop).is_pending());
        }
        assert_eq!(count.calls(), 0, "woken in vain");
        receiver.table.release(taken).unwrap();
        assert_eq!(count.calls(), 1);
        assert_eq!(to.poll_send(&mut cx, &mut wait, b"", &attached), Poll::Ready(Ok(())));
    }
}

/// Rule S6: who sleeps wakes in turn, wherever the office keeps who waits, and all of them though
/// the first one's waker panics.
#[test]
fn a_sleeper_wakes_in_turn() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(1, 0, 0));
    let to = receiver.mailbox.capability(Permissions::SEND);
    let order = Arc::new(Mutex::new(Vec::new()));
    let wait = |number| {
        let order = order.clone();
        let waker = calling(move || {
            order.lock().unwrap().push(number);
            assert!(number != 3, "on purpose");
        });
        let mut wait = SendWait::new();
        assert!(to.poll_send(&mut Context::from_waker(&waker), &mut wait, b"", &[]).is_pending());
        wait
    };
    to.send(b"", &[]).unwrap();
    let mut line: Vec<_> = (0..12).map(wait).collect();
    drop(line.drain(..9)); // Others are given their places.
    line.extend((12..20).map(wait));
    assert_eq!(data(&mut receiver.mailbox), b"");
    let mut noop = Context::from_waker(Waker::noop());
    assert!(receiver.mailbox.poll_ready(&mut noop).is_pending());
    assert_eq!(*order.lock().unwrap(), (9..20).collect::<Vec<_>>());
    order.lock().unwrap().clear();
    line.clear();
    // The first whom the receiver wakes has a waker that panics.
    to.send(b"", &[]).unwrap();
    line = (0..5).map(wait).collect();
    drop(line.drain(..2));
    assert_eq!(data(&mut receiver.mailbox), b"", "wakes the first");
    let polled = catch_unwind(AssertUnwindSafe(|| receiver.mailbox.poll_ready(&mut noop)));
    assert!(polled.is_err(), "the panic is passed on");
    assert_eq!(*order.lock().unwrap(), [2, 3, 4]);
}

/// Rule S6: room that is not enough for one is told to the next for whom it is: by one that was
/// woken for it, and by a receiver that finds nothing.
#[test]
fn room_that_does_not_do_is_the_next_ones() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(4, 0, 2));
    let to = receiver.mailbox.capability(Permissions::SEND);
    let other = receiver.mailbox.capability(Permissions::SEND | Permissions::MONITOR);
    to.send(b"", &[&to, &other]).unwrap();
    let taken: Vec<_> = owned(&mut receiver.mailbox).take_handles().collect();
    let mut line = [2, 2, 1, 1].map(|times| {
        let mut waiting = Waiting::new(b"");
        assert!(waiting.poll_attaching(&to, times).is_pending());
        waiting
    });
    receiver.table.release(taken[0]).unwrap();
    assert_eq!(calls(&line), [1, 0, 0, 0], "the first in the line");
    assert!(line[0].poll_attaching(&to, 2).is_pending());
    assert_eq!(calls(&line), [1, 0, 1, 0], "two are too many for the second, too");
    assert!(receiver.mailbox.try_recv().is_err());
    assert_eq!(calls(&line), [1, 0, 1, 1]);
}

/// Rule S6: room that another makes while the receiver sleeps is told to all whom it will do
/// for: who is first may never run again.
#[test]
fn room_made_for_a_sleeper_wakes_all() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(2, 0, 2));
    let to = receiver.mailbox.capability(Permissions::SEND);
    let other = receiver.mailbox.capability(Permissions::SEND | Permissions::MONITOR);
    to.send(b"", &[&to, &other]).unwrap();
    let taken: Vec<_> = owned(&mut receiver.mailbox).take_handles().collect();
    let line = [1, 2, 1].map(|times| {
        let mut waiting = Waiting::new(b"");
        assert!(waiting.poll_attaching(&to, times).is_pending());
        waiting
    });
    let mut noop = Context::from_waker(Waker::noop());
    assert!(receiver.mailbox.poll_ready(&mut noop).is_pending());
    assert_eq!(calls(&line), [0, 0, 0], "no room yet");
    receiver.table.release(taken[0]).unwrap();
    assert_eq!(calls(&line), [1, 0, 1], "two slots are too many");
    receiver.table.release(taken[1]).unwrap();
    assert_eq!(calls(&line), [1, 1, 1]);
}

/// Rule S6: no wake is lost between senders that wait and a receiver, on
/// threads that only run when they are woken.
#[test]
fn no_waiting_sender_is_forgotten() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(1, 0, 0));
    let to = receiver.mailbox.capability(Permissions::SEND);
    let each = times(20_000, 500_000);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let waker = unparking();
                let (mut cx, mut wait) = (Context::from_waker(&waker), SendWait::new());
                for _ in 0..each {
                    while to
                        .poll_send(&mut cx, &mut wait, b"x", &[])
                        .map(Result::unwrap)
                        .is_pending()
                    {
                        std::thread::park();
                    }
                }
            });
        }
        let waker = unparking();
        let mut cx = Context::from_waker(&waker);
        for _ in 0..3 * each {
            while receiver.mailbox.poll_recv(&mut cx).is_pending() {
                std::thread::park();
            }
        }
    });
    assert_empty(&mut receiver.mailbox);
}

/// Rules S3 and S6: a payload that travelled inline is charged no bytes, so it waits for room
/// where no byte more may be waiting.
#[test]
fn an_inline_payload_waits_for_room() {
    let office = PostOffice::new();
    let mut process = process_with(&office, limits(1, 0, 0));
    let to = process.mailbox.capability(Permissions::SEND);
    to.send(b"inline", &[]).unwrap();
    let Ok(Signal::Message(message)) = process.mailbox.try_recv() else { panic!("a message") };
    let mut payload = Some(message.into_payload());
    to.send(b"full now", &[]).unwrap();
    let (mut cx, mut wait) = (Context::from_waker(Waker::noop()), SendWait::new());
    assert_eq!(to.poll_send_payload(&mut cx, &mut wait, &mut payload, &[]), Poll::Pending);
    assert_eq!(data(&mut process.mailbox), b"full now");
    assert_eq!(to.poll_send_payload(&mut cx, &mut wait, &mut payload, &[]), Poll::Ready(Ok(())));
    assert_eq!(data(&mut process.mailbox), b"inline");
    // An empty place sends no bytes, and stays empty if they are refused.
    assert_eq!(to.poll_send_payload(&mut cx, &mut wait, &mut payload, &[]), Poll::Ready(Ok(())));
    assert_eq!(to.poll_send_payload(&mut cx, &mut wait, &mut payload, &[]), Poll::Pending);
    assert!(payload.is_none(), "a payload from nowhere");
}

/// Rule S6: who was woken for room that was not enough, and then gives up, was in the way of
/// those behind, for whom it was.
#[test]
fn a_wait_that_was_woken_for_too_little_passes_it_on() {
    let office = PostOffice::new();
    let user = process(&office);
    let mut receiver = process_with(&office, limits(10, 100, 2));
    let other = process(&office);
    let to = user.table.insert(&receiver.mailbox.capability(Permissions::SEND)).unwrap();
    let more = user.table.insert(&other.mailbox.capability(Permissions::SEND)).unwrap();
    // The share is used up by what the receiver took.
    user.table.send(to, b"", &[to, more]).unwrap();
    let taken: Vec<Handle> = match receiver.mailbox.try_recv() {
        Ok(Signal::Message(mut message)) => message.take_handles().collect(),
        other => panic!("{other:?}"),
    };
    let ((two, first), (one, second)) = (counting(), counting());
    let (mut wait_two, mut wait_one) = (SendWait::new(), SendWait::new());
    let poll = |waker: &Waker, wait: &mut SendWait, attach: &[Handle]| {
        user.table.poll_send(&mut Context::from_waker(waker), wait, to, b"", attach)
    };
    assert!(poll(&first, &mut wait_two, &[to, more]).is_pending());
    assert!(poll(&second, &mut wait_one, &[to]).is_pending());
    // The receiver neither looks nor sleeps: nothing else will wake anybody.
    receiver.table.release(taken[0]).unwrap();
    assert_eq!((two.calls(), one.calls()), (1, 0), "the first in the line");
    assert!(poll(&first, &mut wait_two, &[to, more]).is_pending(), "one place is not two");
    drop(wait_two);
    assert_eq!(one.calls(), 1, "there is room for the next");
    assert_eq!(poll(&second, &mut wait_one, &[to]), Poll::Ready(Ok(())));
}

/// Rule S1: a send that fails, and on its way out wakes somebody whose waker panics, has not
/// happened either: the payload is back in its place.
#[test]
fn a_panicking_waker_does_not_lose_a_payload() {
    let mut few = Limits::default();
    few.messages = 2;
    let office = PostOffice::with_limits(few);
    let mut receiver = process_with(&office, limits(4, 100, 1));
    let hoard = process(&office);
    let to = receiver.mailbox.capability(Permissions::SEND);
    to.send(b"", &[&to]).unwrap();
    let _kept: Vec<Handle> = owned(&mut receiver.mailbox).take_handles().collect();
    let loud = calling(|| panic!("woken"));
    let mut waits = SendWait::new();
    let sent = to.poll_send(&mut Context::from_waker(&loud), &mut waits, b"", &[&to]);
    assert!(sent.is_pending());
    // One buffer is the receiver's last message's, and now the other is in use.
    hoard.mailbox.capability(Permissions::SEND).send(b"", &[]).unwrap();
    let mut payload = Some(Payload::from(vec![1, 2, 3]));
    let mut cx = Context::from_waker(Waker::noop());
    let mut wait = SendWait::new();
    assert!(panics(|| {
        let _ = to.poll_send_payload(&mut cx, &mut wait, &mut payload, &[]);
    }));
    assert_eq!(payload.as_deref(), Some(&[1, 2, 3][..]));
    drop(hoard);
    let sent = to.poll_send_payload(&mut cx, &mut wait, &mut payload, &[]);
    assert_eq!((sent, payload.is_none()), (Poll::Ready(Ok(())), true));
    assert_eq!(data(&mut receiver.mailbox), [1, 2, 3]);
}

/// Rule S6: a wake is for the room there was when it came. One whose room others took is used
/// up: whatever its sender wants next, it wakes nobody behind for it. (Found by fuzzing.)
#[test]
fn a_wake_whose_room_was_taken_is_used_up() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(1, 100, 0));
    let to = receiver.mailbox.capability(Permissions::SEND);
    to.send(b"fills it", &[]).unwrap();
    let (mut first, mut second) = (Waiting::new(b"inline"), Waiting::new(b"behind"));
    assert!(first.poll(&to).is_pending());
    assert_eq!(data(&mut receiver.mailbox), b"fills it");
    assert_eq!(first.count.calls(), 1);
    to.send(b"came first", &[]).unwrap();
    assert!(first.poll(&to).is_pending() && second.poll(&to).is_pending());
    let mut bytes = Some(Payload::from(vec![1; 10]));
    let mut cx = Context::from_waker(&first.waker);
    let sent = to.poll_send_payload(&mut cx, &mut first.wait, &mut bytes, &[]);
    assert!(sent.is_pending() && bytes.is_some());
    assert_eq!((first.count.calls(), second.count.calls()), (1, 0), "nothing has happened");
    assert_eq!(data(&mut receiver.mailbox), b"came first");
    assert_eq!((first.count.calls(), second.count.calls()), (2, 0));
}

/// Rules S2 and S6: who hoards is refused capabilities, not data. A sender whose capabilities
/// find no room is first in the line, and is woken, and waits again: those behind it, who
/// send data for which there is room, are woken too.
#[test]
fn a_wait_for_capabilities_does_not_keep_data_waiting() {
    let office = PostOffice::new();
    let mut receiver = process_with(&office, limits(1, 100, 1));
    let to = receiver.mailbox.capability(Permissions::SEND);
    to.send(b"", &[&to]).unwrap();
    let _hoarded: Vec<Handle> = owned(&mut receiver.mailbox).take_handles().collect();
    let ((hostile, first), (honest, second)) = (counting(), counting());
    let (mut wait_first, mut wait_second) = (SendWait::new(), SendWait::new());
    let mut greedy = || {
        let mut cx = Context::from_waker(&first);
        assert!(to.poll_send(&mut cx, &mut wait_first, b"", &[&to]).is_pending());
    };
    greedy();
    for _ in 0..3 {
        to.send(b"fills it", &[]).unwrap();
        let mut cx = Context::from_waker(&second);
        assert!(to.poll_send(&mut cx, &mut wait_second, b"data", &[]).is_pending());
        let before = (hostile.calls(), honest.calls());
        assert_eq!(data(&mut receiver.mailbox), b"fills it");
        assert_eq!(hostile.calls(), before.0 + 1, "it is the first in the line");
        greedy(); // Runs at once, every time.
        assert_empty(&mut receiver.mailbox);
        greedy();
        let (_, sleeper) = counting();
        assert!(receiver.mailbox.poll_ready(&mut Context::from_waker(&sleeper)).is_pending());
        greedy();
        assert!(honest.calls() > before.1, "there is room, all sleep, and nobody says so");
        let mut cx = Context::from_waker(&second);
        assert!(to.poll_send(&mut cx, &mut wait_second, b"data", &[]).is_ready());
        assert_eq!(data(&mut receiver.mailbox), b"data");
        greedy();
    }
}
