//! Models of senders that wait for room: first come, first woken, none forgotten.
#![cfg(loom)]

use flue_core::{Handle, Mailbox, Permissions, PostOffice, SendError, SendWait, Signal, Table};
use loom_tests::{Parker, block_on, model, office, room, thread};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};

/// A mailbox with room for one message, which it has.
fn full(office: &PostOffice) -> (Mailbox, Table, Handle) {
    let table = office.create_table().unwrap();
    let group = office.create_group().unwrap();
    let mailbox = group.create_mailbox_with(&table, room(1)).unwrap();
    let to = mailbox.export(Permissions::SEND).unwrap();
    table.send(to, &[0], &[]).unwrap();
    (mailbox, table, to)
}

/// Sends when there is room.
fn send(table: &Table, to: Handle, number: u8) -> Result<(), SendError> {
    let mut wait = SendWait::new();
    block_on(|cx| table.poll_send(cx, &mut wait, to, &[number], &[]))
}

/// Whether it was woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

fn next(mailbox: &mut Mailbox) -> u8 {
    match mailbox.try_recv() {
        Ok(Signal::Message(message)) => message.data()[0],
        other => panic!("{other:?}"),
    }
}

model! {
    /// Rule S6: a sender that begins to wait while room is made sees the room,
    /// or is seen by who makes it: it says that it waits, then tries once more.
    fn wait_races_receive() {
        let office = office();
        let (mut mailbox, table, to) = full(&office);
        let sender = thread::spawn({
            let table = table.clone();
            move || send(&table, to, 1).unwrap()
        });
        assert_eq!(next(&mut mailbox), 0);
        sender.join().unwrap();
        assert_eq!(next(&mut mailbox), 1);
    }
    /// A sender that waits and does not say so.
    twin fails_unsaid: WaitUnsaid says "deadlock";
}

model! {
    /// Rule S6: a kill wakes who waits for room.
    fn wait_races_kill() {
        let office = office();
        let (mailbox, table, to) = full(&office);
        let sender = thread::spawn(move || assert_eq!(send(&table, to, 1), Err(SendError::Closed)));
        mailbox.group().kill();
        sender.join().unwrap();
    }
}

model! {
    /// Rule S6: a close wakes who waits for room.
    fn wait_races_close() {
        let office = office();
        let (mailbox, table, to) = full(&office);
        let sender = thread::spawn(move || assert_eq!(send(&table, to, 1), Err(SendError::Closed)));
        mailbox.close();
        sender.join().unwrap();
        assert_eq!(office.stats().buffers, 0, "left over");
    }
}

model! {
    /// Rule S6: one who was woken gives up: its wake goes to the next in line.
    fn cancel_races_wait() {
        let office = office();
        let (mut mailbox, table, to) = full(&office);
        let mut first = SendWait::new();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(table.poll_send(&mut cx, &mut first, to, &[9], &[]).is_pending());
        let receiver = thread::spawn_once(move || {
            assert_eq!(next(&mut mailbox), 0);
            drop(first);
            mailbox
        });
        send(&table, to, 1).unwrap();
        assert_eq!(next(&mut receiver.join().unwrap()), 1);
    }
    /// A wake that is kept by who does not use it.
    twin fails_keeping_the_wake: WakeKept says "deadlock";
}

model! {
    /// Rule S6: room is made while nobody waits, taken by one who does not, and
    /// another begins to wait: who says that nobody waits looks once more.
    fn send_and_wait_race_two_receives() {
        let office = office();
        let (mut mailbox, table, to) = full(&office);
        let mut first = SendWait::new();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(table.poll_send(&mut cx, &mut first, to, &[9], &[]).is_pending());
        drop(first); // The word still says that somebody waits.
        let sender = thread::spawn({
            let table = table.clone();
            move || {
                if table.send(to, &[1], &[]).is_ok() {
                    let _ = send(&table, to, 2); // Sent or closed, but not forgotten.
                }
            }
        });
        assert_eq!(next(&mut mailbox), 0);
        let is_taken = mailbox.try_recv().is_ok();
        if !is_taken {
            drop(mailbox);
        }
        sender.join().unwrap();
    }
}

model! {
    /// Rule S6: two come to wait while the first in the line is looked for: it still is the first.
    fn joins_race_wake() {
        let office = office();
        let (mut mailbox, table, to) = full(&office);
        let woken = Arc::new(Flag::default());
        let (mut first, waker) = (SendWait::new(), Waker::from(woken.clone()));
        let mut cx = Context::from_waker(&waker);
        assert!(table.poll_send(&mut cx, &mut first, to, &[9], &[]).is_pending());
        let others = thread::spawn_once({
            let table = table.clone();
            move || {
                let (mut cx, mut waits) = (Context::from_waker(Waker::noop()), [SendWait::new(), SendWait::new()]);
                for wait in &mut waits {
                    let _ = table.poll_send(&mut cx, wait, to, &[1], &[]);
                }
                waits
            }
        });
        assert_eq!(next(&mut mailbox), 0);
        let others = others.join().unwrap();
        assert!(woken.0.load(SeqCst), "another was woken first");
        drop(others);
    }
}

model! {
    /// Rule S6: two wait for one place after the other: both are woken in the end.
    fn two_wait_race_receive() {
        let office = office();
        let (mut mailbox, table, to) = full(&office);
        let wait = |number| {
            let table = table.clone();
            thread::spawn(move || send(&table, to, number).unwrap())
        };
        let (one, two) = (wait(1), wait(2));
        let mut got = Vec::new();
        // One waker: to replace one that is being called is to come again until
        // the caller has left, which an unfair schedule may put off for ever.
        let parker = Parker::new();
        for _ in 0..3 {
            parker.block_on(|cx| mailbox.poll_ready(cx));
            got.push(next(&mut mailbox));
        }
        drop(parker);
        one.join().unwrap();
        two.join().unwrap();
        assert!(got == [0, 1, 2] || got == [0, 2, 1], "{got:?}");
    }
}
