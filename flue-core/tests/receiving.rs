//! Rules R: receiving, guards, futures and wakers.
#![cfg(feature = "std")]

mod common;

use common::*;
use flue_core::{
    Capability, DownReason, Mailbox, OwnedSignal, Permissions, PostOffice, RecvError, SendError,
    Signal, TableError, TryRecvError,
};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};

fn poll<'m>(mailbox: &'m mut Mailbox, waker: &Waker) -> Poll<Result<Signal<'m>, RecvError>> {
    mailbox.poll_recv(&mut Context::from_waker(waker))
}

/// Rule R1: messages are received as they were sent, however receiving and
/// sending take turns.
#[test]
fn first_in_first_out() {
    let office = PostOffice::new();
    let mut receiver = process(&office);
    let to = receiver.mailbox.capability(Permissions::SEND);
    let (mut sent, mut received) = (0u32, 0u32);
    let mut dice = Dice::new(1);
    for _ in 0..20_000 {
        for _ in 0..dice.below(5) {
            to.send(&sent.to_le_bytes(), &[]).unwrap();
            sent += 1;
        }
        if dice.below(4) == 0 {
            // Falling asleep in between changes nothing.
            let _ = receiver.mailbox.poll_ready(&mut Context::from_waker(Waker::noop()));
        }
        for _ in 0..dice.below(5).min((sent - received) as usize) {
            assert_eq!(data(&mut receiver.mailbox), received.to_le_bytes());
            received += 1;
        }
        assert_eq!(receiver.mailbox.len(), (sent - received) as usize);
        assert_eq!(receiver.mailbox.is_ready(), sent > received);
    }
}

/// Sends as soon as there is room: the receiver may not be running.
fn send_when_possible(to: &Capability, text: &[u8]) {
    while let Err(error) = to.send(text, &[]) {
        assert_eq!(error, SendError::Full);
        std::thread::yield_now();
    }
}

/// Rule R1: several senders, each of whose messages come in order; and what was
/// sent after another send had returned, on another thread, comes after it.
#[test]
fn one_order_for_all_senders() {
    let office = PostOffice::new();
    let mut receiver = process(&office);
    let to = receiver.mailbox.capability(Permissions::SEND);
    let ticket = AtomicUsize::new(0);
    let each = times(20_000, 500_000);
    let senders = 3;
    std::thread::scope(|scope| {
        for sender in 0..senders {
            let (to, ticket) = (&to, &ticket);
            scope.spawn(move || {
                for at in 0..each {
                    // What this ticket says had returned before is received before.
                    let seen = ticket.load(SeqCst);
                    let mut text = [0; 24];
                    for (place, number) in text.chunks_mut(8).zip([sender, at, seen]) {
                        place.copy_from_slice(&number.to_le_bytes());
                    }
                    send_when_possible(to, &text);
                    ticket.fetch_add(1, SeqCst);
                }
            });
        }
        let mut next = vec![0; senders];
        let mut received = 0;
        while received < senders * each {
            let Ok(Signal::Message(message)) = receiver.mailbox.try_recv() else { continue };
            let number =
                |at: usize| usize::from_le_bytes(message.data()[at * 8..][..8].try_into().unwrap());
            let (sender, at, seen) = (number(0), number(1), number(2));
            assert_eq!(at, next[sender]);
            assert!(
                received >= seen,
                "{seen} had been sent before this one, {received} were received"
            );
            next[sender] += 1;
            received += 1;
        }
    });
    assert_empty(&mut receiver.mailbox);
}

/// Rule R1: delivery is causal: an answer that was caused by a message never
/// overtakes it.
#[test]
fn causes_come_before_effects() {
    let office = PostOffice::new();
    let mut receiver = process(&office);
    let mut relay = process(&office);
    let (to, via) = (
        receiver.mailbox.capability(Permissions::SEND),
        relay.mailbox.capability(Permissions::SEND),
    );
    let each = times(10_000, 300_000) as u32;
    std::thread::scope(|scope| {
        let to_receiver = to.clone();
        scope.spawn(move || {
            for at in 0..each {
                send_when_possible(&to_receiver, &at.to_le_bytes());
                send_when_possible(&via, &at.to_le_bytes());
            }
        });
        scope.spawn(move || {
            let mut relayed = 0;
            while relayed < each {
                if let Ok(Signal::Message(message)) = relay.mailbox.try_recv() {
                    let mut text = message.data().to_vec();
                    text.push(b'!');
                    send_when_possible(&to, &text);
                    relayed += 1;
                }
            }
        });
        let mut causes = 0;
        for _ in 0..2 * each {
            let text = loop {
                if let Ok(Signal::Message(message)) = receiver.mailbox.try_recv() {
                    break message.data().to_vec();
                }
            };
            let number = u32::from_le_bytes(text[..4].try_into().unwrap());
            if text.len() == 4 {
                assert_eq!(number, causes);
                causes += 1;
            } else {
                assert!(number < causes, "the effect came before the cause");
            }
        }
    });
}

/// Rule R2: the guard reads in place, and releases what was not taken.
#[test]
fn a_guard_owns_the_untaken_handles() {
    let office = PostOffice::new();
    let Process { group: _group, table, mut mailbox } = process(&office);
    let others: Vec<_> = (0..5).map(|_| process(&office)).collect();
    let capabilities: Vec<_> =
        others.iter().map(|p| p.mailbox.capability(Permissions::SEND)).collect();
    let attach: Vec<_> = capabilities.iter().collect();
    let to = mailbox.capability(Permissions::SEND);
    to.send(b"five", &attach).unwrap();
    assert_eq!(table.len(), 0);
    let Ok(Signal::Message(mut message)) = mailbox.try_recv() else { panic!() };
    let all = message.handles().to_vec();
    assert_eq!(all.len(), 5);
    for (handle, capability) in all.iter().zip(&capabilities) {
        assert!(
            table.capability(*handle).unwrap() == *capability,
            "in the order they were attached"
        );
    }
    let taken: Vec<_> = message.take_handles().take(2).collect();
    assert_eq!((&taken[..], message.handles()), (&all[..2], &all[2..]));
    assert_eq!(message.data(), b"five");
    // The receiver may use its mailbox while it holds the guard.
    let id = capabilities[0].demote(Permissions::empty()).unwrap();
    assert_eq!(id.monitor(message.mailbox()).unwrap_err(), TableError::PermissionDenied);
    let mine = message.mailbox().export(Permissions::SEND).unwrap();
    drop(message);
    assert_eq!(all.iter().filter(|handle| table.contains(**handle)).count(), 2);
    for handle in taken.into_iter().chain([mine]) {
        table.release(handle).unwrap();
    }
    assert!(table.is_empty());
    // Into a payload: the same; into a value of its own: they go along.
    to.send(b"x", &attach).unwrap();
    let Ok(Signal::Message(message)) = mailbox.try_recv() else { panic!() };
    assert_eq!(&message.into_payload()[..], b"x");
    assert!(table.is_empty());
    to.send(b"x", &attach).unwrap();
    let message = owned(&mut mailbox);
    assert_empty(&mut mailbox);
    assert_eq!((table.len(), message.handles().len()), (5, 5));
    drop(mailbox);
    drop(message);
    assert!(table.is_empty());
}

/// Rule R2: even while unwinding.
#[test]
fn unwinding_releases() {
    let office = PostOffice::new();
    let Process { group: _group, table, mut mailbox } = process(&office);
    let to = mailbox.capability(Permissions::SEND);
    for own in [false, true] {
        to.send(b"", &[&to]).unwrap();
        let unwound = panics(|| {
            let guard = mailbox.try_recv().unwrap();
            if own {
                let _owned = guard.into_owned();
                panic!("on purpose");
            }
            assert_eq!(table.len(), 1);
            panic!("on purpose");
        });
        assert!(unwound);
        assert!(table.is_empty());
    }
    assert_empty(&mut mailbox);
}

/// Rule R2: what a forgotten guard had is released by the next receive, or by
/// the drop of the mailbox.
#[test]
fn forgotten_guards_are_settled() {
    let office = PostOffice::new();
    let Process { group: _group, table, mut mailbox } = process(&office);
    let watched = process(&office);
    let to = mailbox.capability(Permissions::SEND);
    let shared: Arc<[u8]> = Arc::from(vec![1; 100]);
    for round in 0..100 {
        to.send_payload(shared.clone().into(), &[&to]).unwrap();
        std::mem::forget(mailbox.try_recv().unwrap());
        assert_eq!((table.len(), Arc::strong_count(&shared)), (1, 2));
        if round % 2 == 0 {
            assert_empty(&mut mailbox);
        } else {
            assert!(mailbox.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!((table.len(), Arc::strong_count(&shared)), (0, 1));
    }
    // Forgotten downs, and forgotten guards of taken handles.
    watched.mailbox.capability(Permissions::MONITOR).monitor(&mailbox).unwrap();
    watched.group.kill();
    std::mem::forget(mailbox.try_recv().unwrap());
    assert_eq!(table.len(), 1);
    to.send(b"", &[&to]).unwrap();
    let Ok(Signal::Message(mut message)) = mailbox.try_recv() else { panic!() };
    let taken = message.take_handles().next().unwrap();
    std::mem::forget(message);
    assert_empty(&mut mailbox);
    assert_eq!(table.handles().collect::<Vec<_>>(), [taken]);
    table.release(taken).unwrap();
    to.send_payload(shared.clone().into(), &[&to]).unwrap();
    to.send_payload(shared.clone().into(), &[&to]).unwrap();
    std::mem::forget(mailbox.try_recv().unwrap());
    drop(mailbox);
    assert_eq!((table.len(), Arc::strong_count(&shared)), (0, 1));
}

/// Rule R3: a killed mailbox receives nothing, queued or not; a guard that was
/// handed out before stays readable.
#[test]
fn a_killed_mailbox_receives_nothing() {
    let office = PostOffice::new();
    let Process { group, table: _table, mut mailbox } = process(&office);
    let watched = process(&office);
    let to = mailbox.capability(Permissions::SEND);
    watched.mailbox.capability(Permissions::MONITOR).monitor(&mailbox).unwrap();
    to.send(&[5; 100], &[&to]).unwrap();
    for _ in 0..3 {
        to.send(b"queued", &[&to]).unwrap();
    }
    watched.group.kill();
    let Ok(Signal::Message(message)) = mailbox.try_recv() else { panic!() };
    group.kill();
    assert_eq!((message.data(), message.handles().len()), (&[5; 100][..], 1));
    assert_eq!(&message.into_payload()[..], [5; 100]);
    assert_dead(&mut mailbox);
    assert_eq!(mailbox.len(), 0);
    assert!(mailbox.is_ready());
    let (_, waker) = counting();
    assert!(matches!(poll(&mut mailbox, &waker), Poll::Ready(Err(RecvError))));
    assert!(mailbox.poll_ready(&mut Context::from_waker(&waker)).is_ready());
    assert!(matches!(
        pin!(mailbox.recv_async()).poll(&mut Context::from_waker(&waker)),
        Poll::Ready(Err(RecvError))
    ));
    assert_eq!(to.send(b"", &[]), Err(SendError::Closed));
    assert_dead(&mut mailbox);
}

/// Rule R3: once somebody saw the kill, no receive returns a signal.
#[test]
fn no_receive_after_a_visible_kill() {
    let office = PostOffice::new();
    let clock = Clock::start();
    while clock.is_running() {
        let Process { group, table: _table, mut mailbox } = process(&office);
        let to = mailbox.capability(Permissions::SEND);
        for _ in 0..100 {
            to.send(b"x", &[]).unwrap();
        }
        std::thread::scope(|scope| {
            let dead = &group;
            let receiver = scope.spawn(move || {
                loop {
                    let was_dead = dead.is_dead();
                    match mailbox.try_recv().map(drop) {
                        Ok(()) => assert!(!was_dead, "received after the kill was seen"),
                        Err(TryRecvError::Empty) => assert!(!was_dead),
                        Err(TryRecvError::Dead) => break,
                    }
                }
            });
            group.kill();
            receiver.join().unwrap();
        });
    }
}

/// Rule R4: a future that is dropped takes no signal along.
#[test]
fn dropping_a_future_loses_nothing() {
    let office = PostOffice::new();
    let Process { group: _group, table: _table, mut mailbox } = process(&office);
    let to = mailbox.capability(Permissions::SEND);
    let (count, waker) = counting();
    let mut cx = Context::from_waker(&waker);
    for at in 0..100u8 {
        assert!(pin!(mailbox.recv_async()).poll(&mut cx).is_pending());
        {
            let mut future = pin!(mailbox.recv_async());
            assert!(future.as_mut().poll(&mut cx).is_pending());
            to.send(&[at], &[]).unwrap();
            // Woken, and dropped instead of being polled.
        }
        assert_eq!(count.calls(), usize::from(at) + 1);
        assert_eq!(mailbox.len(), 1);
        assert!(mailbox.poll_ready(&mut cx).is_ready());
        let Poll::Ready(Ok(Signal::Message(message))) = pin!(mailbox.recv_async()).poll(&mut cx)
        else {
            panic!()
        };
        assert_eq!(message.data(), [at]);
    }
    assert!(poll(&mut mailbox, &waker).is_pending());
}

/// Rule R4: messages, downs, kill: each wakes who waits, once it is there.
#[test]
fn everything_wakes_the_receiver() {
    let office = PostOffice::new();
    let Process { group, table: _table, mut mailbox } = process(&office);
    let watched = process(&office);
    let watched_too = process(&office);
    for p in [&watched, &watched_too] {
        p.mailbox.capability(Permissions::MONITOR).monitor(&mailbox).unwrap();
    }
    let to = mailbox.capability(Permissions::SEND);
    let (count, waker) = counting();
    let mut calls = 0;
    let mut woken = |mailbox: &mut Mailbox, what: &mut dyn FnMut()| {
        assert!(mailbox.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        what();
        calls += 1;
        assert_eq!(count.calls(), calls);
        assert!(mailbox.poll_ready(&mut Context::from_waker(&waker)).is_ready());
    };
    woken(&mut mailbox, &mut || to.send(b"", &[]).unwrap());
    assert_eq!(data(&mut mailbox), b"");
    woken(&mut mailbox, &mut || watched.group.kill());
    assert_eq!(down(&mut mailbox).1, DownReason::Killed);
    let mut place = Some(watched_too.mailbox);
    woken(&mut mailbox, &mut || place = None);
    assert_eq!(down(&mut mailbox).1, DownReason::Closed);
    woken(&mut mailbox, &mut || group.kill());
    assert_dead(&mut mailbox);
    // The latest waker is the one that is called.
    let Process { group: _group, table: _table, mut mailbox } = process(&office);
    let ((old, one), (new, two)) = (counting(), counting());
    assert!(poll(&mut mailbox, &one).is_pending() && poll(&mut mailbox, &two).is_pending());
    mailbox.capability(Permissions::SEND).send(b"", &[]).unwrap();
    assert_eq!((old.calls(), new.calls()), (0, 1));
}

/// Rule R4: no wake is lost: a receiver that only runs when it is woken gets
/// everything, and the end.
#[test]
fn no_wake_is_lost() {
    let office = PostOffice::new();
    for _ in 0..times(20, 200) {
        let Process { group, table: _table, mut mailbox } = process(&office);
        let to = mailbox.capability(Permissions::SEND);
        let each = 1_000u32;
        std::thread::scope(|scope| {
            let receiver = scope.spawn(move || {
                let waker = unparking();
                let mut received = 0u32;
                loop {
                    match poll(&mut mailbox, &waker) {
                        Poll::Ready(Ok(_)) => received += 1,
                        Poll::Ready(Err(RecvError)) => return received,
                        Poll::Pending => std::thread::park(),
                    }
                }
            });
            let senders: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        for at in 0..each {
                            to.send(b"x", &[]).unwrap();
                            if at % 16 == 0 {
                                std::thread::yield_now();
                            }
                        }
                    })
                })
                .collect();
            senders.into_iter().for_each(|sender| sender.join().unwrap());
            group.kill();
            assert!(receiver.join().unwrap() <= 2 * each);
        });
    }
    // And without a kill all of it, one at a time, so that each send finds a sleeper or not.
    let Process { group: _group, table: _table, mut mailbox } = process(&office);
    let to = mailbox.capability(Permissions::SEND);
    let (acknowledge, acknowledged) = mpsc::channel();
    let rounds = times(20_000, 500_000);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let waker = unparking();
            for _ in 0..rounds {
                while poll(&mut mailbox, &waker).is_pending() {
                    std::thread::park();
                }
                acknowledge.send(()).unwrap();
            }
        });
        for _ in 0..rounds {
            to.send(b"x", &[]).unwrap();
            acknowledged.recv_timeout(std::time::Duration::from_secs(20)).expect("a wake was lost");
        }
    });
}

/// Rule R4: a waker may call back into Flue.
#[test]
fn wakers_may_call_back() {
    let office = PostOffice::new();
    let Process { group: _group, table: _table, mut mailbox } = process(&office);
    let other = process(&office);
    let to = mailbox.capability(Permissions::all());
    let calls = Arc::new(AtomicUsize::new(0));
    let waker = {
        let (to, calls, office, other) =
            (to.clone(), calls.clone(), office.clone(), other.group.clone());
        calling(move || {
            if calls.fetch_add(1, SeqCst) == 0 {
                to.send(b"from the waker", &[&to]).unwrap();
                let fresh = process(&office);
                fresh.group.link(&other).unwrap();
                to.monitor(&fresh.mailbox).unwrap();
                fresh.group.kill();
            }
        })
    };
    assert!(poll(&mut mailbox, &waker).is_pending());
    to.send(b"to the sleeper", &[]).unwrap();
    assert!(calls.load(SeqCst) >= 1);
    assert!(other.group.is_dead());
    assert_eq!(data(&mut mailbox), b"to the sleeper");
    assert_eq!(data(&mut mailbox), b"from the waker");
    // A waker that kills its own group.
    let Process { group, table: _table, mut mailbox } = process(&office);
    let to = mailbox.capability(Permissions::all());
    let waker = {
        let to = to.clone();
        calling(move || to.kill().unwrap())
    };
    assert!(poll(&mut mailbox, &waker).is_pending());
    to.send(b"", &[]).unwrap();
    assert!(group.is_dead());
    assert_dead(&mut mailbox);
}

/// Rule R4: a waker that panics harms nobody: the message is there, and later
/// wakes come.
#[test]
fn wakers_may_panic() {
    let office = PostOffice::new();
    let Process { group: _group, table: _table, mut mailbox } = process(&office);
    let to = mailbox.capability(Permissions::SEND);
    for round in 0..10u8 {
        let waker = calling(|| panic!("on purpose"));
        assert!(poll(&mut mailbox, &waker).is_pending());
        assert!(panics(|| to.send(&[round], &[]).unwrap()));
        assert_eq!(mailbox.len(), 1, "it was accepted");
        assert_eq!(data(&mut mailbox), [round]);
        let (count, waker) = counting();
        assert!(poll(&mut mailbox, &waker).is_pending());
        to.send(&[round], &[]).unwrap();
        assert_eq!(count.calls(), 1);
        assert_eq!(data(&mut mailbox), [round]);
    }
    // Whoever makes room wakes a sender that panics: the message is not lost.
    let mut receiver = process_with(&office, limits(1, 0, 0));
    let to = receiver.mailbox.capability(Permissions::SEND);
    to.send(b"kept", &[]).unwrap();
    let waker = calling(|| panic!("on purpose"));
    let mut wait = flue_core::SendWait::new();
    assert!(to.poll_send(&mut Context::from_waker(&waker), &mut wait, b"x", &[]).is_pending());
    assert!(panics(|| drop(receiver.mailbox.try_recv())));
    assert_eq!(data(&mut receiver.mailbox), b"kept");
    assert_empty(&mut receiver.mailbox);
    to.send(b"room", &[]).unwrap();
    assert_eq!(to.send(b"no more", &[]), Err(SendError::Full), "its room was given back once");
}

/// Rule R4: a waker that stays inside its call for long keeps no other wake
/// from the receiver.
#[test]
fn a_stuck_waker_loses_no_wake() {
    let office = PostOffice::new();
    let Process { group: _group, table: _table, mut mailbox } = process(&office);
    let to = mailbox.capability(Permissions::SEND);
    let (inside, go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let count = Arc::new(AtomicUsize::new(0));
    let waker = {
        let (inside, go, count) = (inside.clone(), go.clone(), count.clone());
        calling(move || {
            // The first caller stays inside.
            if count.fetch_add(1, SeqCst) == 0 {
                inside.store(true, SeqCst);
                while !go.load(SeqCst) {
                    std::thread::yield_now();
                }
            }
        })
    };
    assert!(poll(&mut mailbox, &waker).is_pending());
    std::thread::scope(|scope| {
        scope.spawn(|| to.send(b"1", &[]).unwrap());
        while !inside.load(SeqCst) {
            std::thread::yield_now();
        }
        assert_eq!(data(&mut mailbox), b"1");
        assert!(poll(&mut mailbox, &waker).is_pending());
        let before = count.load(SeqCst);
        to.send(b"2", &[]).unwrap();
        assert!(count.load(SeqCst) > before, "the second sender called it too");
        assert_eq!(data(&mut mailbox), b"2");
        go.store(true, SeqCst);
    });
}

/// Rule R4: demonitoring may take the only signal away; who waits is then not
/// told that something is there.
#[test]
fn a_removed_down_is_not_ready() {
    let office = PostOffice::new();
    let Process { group: _group, table: _table, mut mailbox } = process(&office);
    let to = mailbox.capability(Permissions::SEND);
    for with_message in [false, true] {
        let watched = process(&office);
        let id = watched.mailbox.capability(Permissions::MONITOR).monitor(&mailbox).unwrap();
        drop(watched);
        assert!(mailbox.is_ready());
        if with_message {
            to.send(b"after the down", &[]).unwrap();
        }
        assert!(mailbox.demonitor(id));
        assert_eq!(mailbox.is_ready(), with_message);
        let (count, waker) = counting();
        match poll(&mut mailbox, &waker).map(|signal| signal.map(Signal::into_owned)) {
            Poll::Pending => assert!(!with_message),
            Poll::Ready(Ok(OwnedSignal::Message(message))) => {
                assert_eq!(message.data(), b"after the down")
            }
            other => panic!("{other:?}"),
        }
        assert!(poll(&mut mailbox, &waker).is_pending());
        to.send(b"x", &[]).unwrap();
        assert_eq!(count.calls(), 1);
        assert_eq!(data(&mut mailbox), b"x");
    }
}

/// Rule R4: a future of a dead mailbox, polled again, does no harm.
#[test]
fn a_future_that_is_done_stays_done() {
    let office = PostOffice::new();
    let Process { group, table: _table, mut mailbox } = process(&office);
    group.kill();
    let mut cx = Context::from_waker(Waker::noop());
    let mut future: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(mailbox.recv_async());
    assert!(matches!(future.as_mut().poll(&mut cx), Poll::Ready(Err(RecvError))));
    assert!(future.as_mut().poll(&mut cx).is_pending());
}
