//! Receives that wait: no signal lost, no wake-up lost, no time limit missed.

mod common;

use core::mem;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use common::{FOREVER, Wakes, message, process, take};
use flue_std::{
    CapabilityExt, DownReason, MailboxExt, Permissions, PostOffice, Process, RecvTimeoutError,
    SendExt, Signal, TryRecvError,
};

const SHORT: Duration = Duration::from_millis(20);

/// Rule R4: a receive that sleeps is woken by a message.
#[test]
fn a_message_wakes() {
    let mut process = process(&PostOffice::new(), 1);
    let capability = process.capability(Permissions::SEND);
    let sender = thread::spawn(move || {
        thread::sleep(SHORT);
        capability.send(b"late", &[])
    });
    assert_eq!(message(process.mailbox().recv().unwrap()).data(), b"late");
    sender.join().unwrap().unwrap();
}

/// Rule R4, rule R3: a kill wakes, and what was received last was the last.
#[test]
fn a_kill_wakes() {
    let process = Process::new(&PostOffice::new()).unwrap();
    let process = process.spawn(|process| process.mailbox().recv().is_err()).unwrap();
    thread::sleep(SHORT);
    process.kill();
    assert!(process.join().unwrap());
}

/// Rule R3: a killed mailbox receives nothing, queued or not.
#[test]
fn nothing_is_received_after_a_kill() {
    let mut process = process(&PostOffice::new(), 4);
    let capability = process.capability(Permissions::SEND);
    capability.send(b"queued", &[]).unwrap();
    process.group().kill();
    assert!(process.mailbox().recv().is_err());
    let late = process.mailbox().recv_timeout(FOREVER);
    assert_eq!(late.unwrap_err(), RecvTimeoutError::Dead);
}

/// Rule R4, rule K7: a down wakes as a message does.
#[test]
fn a_down_wakes() {
    let office = PostOffice::new();
    let mut observer = Process::new(&office).unwrap();
    let observed = Process::new(&office).unwrap();
    let observed_capability = observed.capability(Permissions::MONITOR);
    observed_capability.monitor(observer.mailbox()).unwrap();
    let closer = thread::spawn(move || {
        thread::sleep(SHORT);
        drop(observed);
    });
    match observer.mailbox().recv().unwrap() {
        Signal::Down(down) => assert_eq!(down.reason(), DownReason::Closed),
        other => panic!("not a down: {other:?}"),
    };
    closer.join().unwrap();
}

/// Rule R4: many senders, a receiver that sleeps as often as it can, and no
/// wake-up lost.
#[test]
fn no_wake_up_is_lost() {
    const SENDERS: u32 = 4;
    const EACH: u32 = 5_000;
    let office = PostOffice::new();
    let mut receiver = process(&office, 2);
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let process = Process::new(&office).unwrap();
            let to = process.grant(&receiver.capability(Permissions::SEND)).unwrap();
            let run = move |process: &mut Process| {
                for number in 0..EACH {
                    let data = [sender.to_le_bytes(), number.to_le_bytes()].concat();
                    process.table().send_blocking(to, &data, &[]).unwrap();
                }
            };
            process.spawn(run).unwrap()
        })
        .collect();
    let mut next = [0; SENDERS as usize];
    for _ in 0..SENDERS * EACH {
        let signal = receiver.mailbox().recv_timeout(FOREVER);
        let message = message(signal.expect("no wake-up is lost"));
        let ([sender, number], []) = message.data().as_chunks() else {
            panic!("two numbers were sent");
        };
        // Rule R1: what one sender sends arrives in order.
        let next = &mut next[u32::from_le_bytes(*sender) as usize];
        assert_eq!(u32::from_le_bytes(*number), *next);
        *next += 1;
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    assert_eq!(receiver.mailbox().try_recv().unwrap_err(), TryRecvError::Empty);
}

/// Rule R4: whenever a kill comes, whoever waits or is about to is told.
#[test]
fn a_kill_races_a_receive() {
    let office = PostOffice::new();
    for round in 0..2_000 {
        let process = Process::new(&office).unwrap();
        let process = process.spawn(|process| process.mailbox().recv_timeout(FOREVER).map(drop));
        let process = process.unwrap();
        for _ in 0..round % 64 {
            thread::yield_now();
        }
        process.kill();
        assert_eq!(process.join().unwrap(), Err(RecvTimeoutError::Dead));
    }
}

/// Rule R4: two threads that wait for each other, round after round.
#[test]
fn ping_pong() {
    const ROUNDS: u32 = 20_000;
    let office = PostOffice::new();
    let (mut ping, mut pong) = (process(&office, 1), process(&office, 1));
    let to_ping = ping.capability(Permissions::SEND);
    let to_pong = pong.capability(Permissions::SEND);
    let pong = thread::spawn(move || {
        for round in 0..ROUNDS {
            let message = message(pong.mailbox().recv_timeout(FOREVER).unwrap());
            assert_eq!(message.data(), round.to_le_bytes());
            drop(message);
            to_ping.send_blocking(&round.to_le_bytes(), &[]).unwrap();
        }
    });
    for round in 0..ROUNDS {
        to_pong.send_blocking(&round.to_le_bytes(), &[]).unwrap();
        let message = message(ping.mailbox().recv_timeout(FOREVER).unwrap());
        assert_eq!(message.data(), round.to_le_bytes());
    }
    pong.join().unwrap();
}

/// A time limit is kept, neither early nor without end, whatever stale wake-ups
/// there are.
#[test]
fn timeouts() {
    let mut process = process(&PostOffice::new(), 4);
    let capability = process.capability(Permissions::SEND);
    for _ in 0..3 {
        let begin = Instant::now();
        let late = process.mailbox().recv_timeout(SHORT);
        assert_eq!(late.unwrap_err(), RecvTimeoutError::Timeout);
        assert!(begin.elapsed() >= SHORT);
        assert!(begin.elapsed() < FOREVER);
        // Wakes nobody, but leaves a token with this thread's parker.
        capability.send(b"stale", &[]).unwrap();
        take(process.mailbox());
    }
    let past = Instant::now();
    assert!(process.mailbox().recv_deadline(past).is_err());
    assert!(process.mailbox().recv_timeout(Duration::ZERO).is_err());
    // What is there is received, however late it is, and too far is without
    // end.
    capability.send(b"there", &[]).unwrap();
    assert!(process.mailbox().recv_deadline(past).is_ok());
    capability.send(b"there", &[]).unwrap();
    assert!(process.mailbox().recv_timeout(Duration::MAX).is_ok());
}

/// Rule R4: receive futures that are dropped, polled or not, lose nothing.
#[test]
fn dropped_receives_lose_nothing() {
    const MESSAGES: u32 = 10_000;
    let mut process = process(&PostOffice::new(), 16);
    let capability = process.capability(Permissions::SEND);
    let sender = thread::spawn(move || {
        for number in 0..MESSAGES {
            capability.send_blocking(&number.to_le_bytes(), &[]).unwrap();
        }
    });
    let wakes = Wakes::new();
    let mut latest = Instant::now();
    let mut next = 0u32;
    while next < MESSAGES {
        drop(process.mailbox().recv_async()); // never polled
        let received = pin!(process.mailbox().recv_async());
        if let Poll::Ready(signal) = wakes.poll(received) {
            assert_eq!(message(signal.unwrap()).data(), next.to_le_bytes());
            next += 1;
            latest = Instant::now();
        }
        assert!(latest.elapsed() < FOREVER);
    }
    sender.join().unwrap();
}

/// Rule R4: a wake-up that a dropped future was registered for is not missed by
/// the next.
#[test]
fn a_future_and_a_thread_take_turns() {
    let mut process = process(&PostOffice::new(), 4);
    let capability = process.capability(Permissions::SEND);
    let wakes = Wakes::new();
    assert!(wakes.poll(pin!(process.mailbox().recv_async())).is_pending());
    let sender = thread::spawn(move || {
        thread::sleep(SHORT);
        capability.send(b"for the thread", &[])
    });
    let signal = process.mailbox().recv_timeout(FOREVER).unwrap();
    assert_eq!(message(signal).data(), b"for the thread");
    sender.join().unwrap().unwrap();
}

/// Rule R2: a guard that was forgotten keeps its message until the next
/// receive, and no longer.
#[test]
fn a_forgotten_guard() {
    let mut process = process(&PostOffice::new(), 4);
    let (_, table, mailbox) = process.parts();
    let to = mailbox.export(Permissions::SEND).unwrap();
    let attached = mailbox.export(Permissions::MONITOR).unwrap();
    table.send(to, &[1; 1000], &[attached]).unwrap();
    table.send(to, b"next", &[]).unwrap();
    let forgotten = message(mailbox.recv().unwrap());
    assert_eq!(forgotten.handles(), [attached]);
    mem::forget(forgotten);
    table.release(attached).unwrap();
    assert!(table.contains(attached), "the guard holds it");
    assert_eq!(message(mailbox.recv().unwrap()).data(), b"next");
    assert!(!table.contains(attached));
    let timeout = mailbox.recv_timeout(Duration::ZERO).unwrap_err();
    assert_eq!(timeout, RecvTimeoutError::Timeout);
}

/// Rule R2: a guard that outlives the kill of its group is readable.
#[test]
fn a_guard_outlives_a_kill() {
    let mut process = process(&PostOffice::new(), 4);
    let (group, table, mailbox) = process.parts();
    let to = mailbox.export(Permissions::SEND).unwrap();
    table.send(to, &[7; 1000], &[]).unwrap();
    let message = message(mailbox.recv().unwrap());
    group.kill();
    assert_eq!(message.data(), [7; 1000]);
}
