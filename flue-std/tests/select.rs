//! Waiting for the first of several mailboxes.

mod common;

use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use common::{FOREVER, Wakes, process, take};
use flue_std::{CapabilityExt, Mailbox, MailboxLimits, Permissions, PostOffice, Process, Selector};

const SHORT: Duration = Duration::from_millis(20);

/// A process, and mailboxes of its group besides its own.
fn mailboxes(count: usize) -> (Process, Vec<Mailbox>) {
    let process = process(&PostOffice::new(), 1);
    let mut limits = MailboxLimits::default();
    limits.messages = 2;
    let create = |_| process.group().create_mailbox_with(process.table(), limits).unwrap();
    let mailboxes = (0..count).map(create).collect();
    (process, mailboxes)
}

fn all(mailboxes: &mut [Mailbox]) -> Vec<&mut Mailbox> {
    mailboxes.iter_mut().collect()
}

fn send(mailbox: &Mailbox) {
    let capability = mailbox.capability(Permissions::SEND);
    capability.send(b"signal", &[]).unwrap();
}

/// Mailboxes that are always ready are returned in rotation.
#[test]
fn in_rotation() {
    let (_process, mut mailboxes) = mailboxes(3);
    mailboxes.iter().for_each(send);
    let mut selector = Selector::new();
    let mut order = Vec::new();
    for _ in 0..7 {
        order.push(selector.wait(&mut all(&mut mailboxes)));
    }
    assert_eq!(order, [0, 1, 2, 0, 1, 2, 0]);
    // One that has nothing is passed over, and the others still take turns.
    take(&mut mailboxes[1]);
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(selector.wait(&mut all(&mut mailboxes)));
    }
    assert_eq!(order, [2, 0, 2, 0]);
    // The slice may shrink between waits.
    assert_eq!(selector.wait(&mut [&mut mailboxes[0]]), 0);
}

/// Nothing is taken: whoever was returned is ready, and is returned again until
/// it is emptied.
#[test]
fn nothing_is_taken() {
    let (_process, mut mailboxes) = mailboxes(2);
    send(&mailboxes[1]);
    let mut selector = Selector::new();
    for _ in 0..3 {
        assert_eq!(selector.wait(&mut all(&mut mailboxes)), 1);
    }
    assert!(mailboxes[1].is_ready());
    take(&mut mailboxes[1]);
    assert_eq!(selector.wait_timeout(&mut all(&mut mailboxes), Duration::ZERO), None);
}

/// Rule R4: any of the mailboxes wakes, by a message and by its death.
#[test]
fn each_wakes() {
    let (process, mut mailboxes) = mailboxes(4);
    let mut selector = Selector::new();
    for index in [2, 0, 3, 1] {
        let capability = mailboxes[index].capability(Permissions::SEND);
        let sender = thread::spawn(move || {
            thread::sleep(SHORT);
            capability.send(b"signal", &[])
        });
        assert_eq!(selector.wait(&mut all(&mut mailboxes)), index);
        take(&mut mailboxes[index]);
        sender.join().unwrap().unwrap();
    }
    let killer = thread::spawn(move || {
        thread::sleep(SHORT);
        process.group().kill();
    });
    selector.wait(&mut all(&mut mailboxes));
    killer.join().unwrap();
    assert!(mailboxes.iter().all(Mailbox::is_ready), "death is there to be received");
}

#[test]
fn timeouts() {
    let (_process, mut mailboxes) = mailboxes(2);
    let mut selector = Selector::new();
    let begin = Instant::now();
    assert_eq!(selector.wait_timeout(&mut all(&mut mailboxes), SHORT), None);
    assert!(begin.elapsed() >= SHORT);
    let past = Instant::now();
    assert_eq!(selector.wait_deadline(&mut all(&mut mailboxes), past), None);
    send(&mailboxes[1]);
    assert_eq!(selector.wait_deadline(&mut all(&mut mailboxes), past), Some(1));
    assert_eq!(selector.wait_timeout(&mut all(&mut mailboxes), Duration::MAX), Some(1));
}

#[test]
#[should_panic = "without mailboxes"]
fn none_to_wait_for() {
    Selector::new().wait(&mut []);
}

/// A wait in a task: dropped, it takes nothing; woken, it finds what woke it.
#[test]
fn async_waits() {
    let (_process, mut mailboxes) = mailboxes(3);
    let mut selector = Selector::new();
    let wakes = Wakes::new();
    let mut slice = all(&mut mailboxes);
    assert_eq!(wakes.poll(pin!(selector.wait_async(&mut slice))), Poll::Pending);
    send(slice[2]);
    assert_eq!(wakes.take(), 1);
    send(slice[0]);
    assert_eq!(wakes.poll(pin!(selector.wait_async(&mut slice))), Poll::Ready(0));
    assert_eq!(wakes.poll(pin!(selector.wait_async(&mut slice))), Poll::Ready(2));
}

/// Rule R4: many senders to many mailboxes, one thread that waits for all, and
/// no wake-up lost.
#[test]
fn no_wake_up_is_lost() {
    const EACH: usize = 4_000;
    let (_process, mut mailboxes) = mailboxes(4);
    let senders: Vec<_> = mailboxes
        .iter()
        .map(|mailbox| {
            let capability = mailbox.capability(Permissions::SEND);
            thread::spawn(move || {
                for number in 0..EACH {
                    capability.send_blocking(&number.to_le_bytes(), &[]).unwrap();
                }
            })
        })
        .collect();
    let mut selector = Selector::new();
    let mut next = [0usize; 4];
    for _ in 0..4 * EACH {
        let ready = selector.wait_timeout(&mut all(&mut mailboxes), FOREVER);
        let index = ready.expect("no wake-up is lost");
        assert_eq!(take(&mut mailboxes[index]).data(), next[index].to_le_bytes());
        next[index] += 1;
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
}

/// A thread that waits sleeps: it takes no time and does not look now and then.
#[cfg(target_os = "linux")]
#[test]
fn a_wait_sleeps() {
    use std::fs;

    fn on_cpu() -> Duration {
        let times = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        let first = times.split_whitespace().next().unwrap();
        Duration::from_nanos(first.parse().unwrap())
    }
    fn sleeps() -> u64 {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    }

    let (_process, mut mailboxes) = mailboxes(8);
    let capability = mailboxes[5].capability(Permissions::SEND);
    let sender = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        capability.send(b"signal", &[])
    });
    let (time, times) = (on_cpu(), sleeps());
    assert_eq!(Selector::new().wait(&mut all(&mut mailboxes)), 5);
    assert!(sleeps() - times <= 5, "it slept {} times", sleeps() - times);
    assert!(on_cpu() - time < Duration::from_millis(50), "it took {:?}", on_cpu() - time);
    sender.join().unwrap().unwrap();
}

/// Rule S6: a selector that finds nothing in a mailbox asks the next sender in its line, as a
/// receive does, when those before do not come: when the time is over, and while another mailbox
/// is ready.
#[test]
fn senders_that_do_not_come_are_passed_over() {
    type Wait = fn(&mut Selector, &mut [&mut Mailbox]) -> Option<usize>;
    let waits: [Wait; 2] = [
        |selector, mailboxes| selector.wait_timeout(mailboxes, Duration::ZERO),
        |selector, mailboxes| Some(selector.wait(mailboxes)),
    ];
    for (others, wait) in [(0, waits[0]), (1, waits[0]), (1, waits[1]), (2, waits[1])] {
        let (_process, mut mailboxes) = mailboxes(1 + others);
        mailboxes[1..].iter().for_each(send);
        let to = mailboxes[0].capability(Permissions::SEND);
        (0..2).for_each(|_| send(&mailboxes[0]));
        let wakes = [0; 3].map(|_| Wakes::new());
        let mut line = [0; 3].map(|_| Box::pin(to.send_async(b"late", &[])));
        for (send, wakes) in line.iter_mut().zip(&wakes) {
            assert_eq!(wakes.poll(send.as_mut()), Poll::Pending);
        }
        (0..2).for_each(|_| drop(take(&mut mailboxes[0])));
        let woken = || wakes.each_ref().map(|wakes| wakes.count());
        assert_eq!(woken(), [1, 1, 0], "who do not come");
        let mut selector = Selector::new();
        for _ in 0..=others {
            let ready = wait(&mut selector, &mut all(&mut mailboxes));
            assert_eq!(ready.is_some(), others > 0);
        }
        assert_eq!(woken(), [1, 1, 1], "{others} others");
    }
}
