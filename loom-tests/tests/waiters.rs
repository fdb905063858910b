//! Models of senders that wait for room: first come, first woken, none forgotten.
#![cfg(loom)]

use flue_core::{
    Handle, Limits, Mailbox, Permissions, PostOffice, SendError, SendWait, Signal, Table,
};
use loom_tests::{Flag, Parker, block_on, model, office, room, thread};
use std::sync::Arc;
use std::task::{Context, Waker};

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
    /// Rule S6: two were woken, or are first in the line, and never run again: a receiver that
    /// goes to sleep wakes all the others.
    fn wait_behind_two_races_idle_receiver() {
        let office = office();
        let (mut mailbox, table, to) = full(&office);
        let mut cx = Context::from_waker(Waker::noop());
        let mut stopped = [SendWait::new(), SendWait::new()];
        for wait in &mut stopped {
            assert!(table.poll_send(&mut cx, wait, to, &[9], &[]).is_pending());
        }
        let sender = thread::spawn({
            let table = table.clone();
            move || send(&table, to, 1).unwrap()
        });
        thread::yield_now(); // It may wait before there is room.
        assert_eq!(next(&mut mailbox), 0);
        block_on(|cx| mailbox.poll_ready(cx));
        assert_eq!(next(&mut mailbox), 1);
        sender.join().unwrap();
    }
    twin fails_waking_one: IdleWakesOne says "deadlock";
}

model! {
    /// Rule S6: the first in the line never runs again. Room that another makes while the receiver
    /// falls asleep is told to the second, too: by who makes it, or by the receiver.
    fn sleep_races_room_that_another_makes() {
        let office = office();
        let table = office.create_table().unwrap();
        let mut limits = room(2);
        limits.handles = 1;
        let group = office.create_group().unwrap();
        let mut mailbox = group.create_mailbox_with(&table, limits).unwrap();
        let to = mailbox.capability(Permissions::SEND);
        to.send(&[], &[&to]).unwrap();
        let Ok(Signal::Message(mut message)) = mailbox.try_recv() else { panic!() };
        let taken = message.take_handles().next().unwrap();
        drop(message);
        let mut line = [Flag::new(), Flag::new()].map(|woken| (woken, SendWait::new()));
        for (woken, wait) in &mut line {
            let waker = woken.waker();
            let mut cx = Context::from_waker(&waker);
            assert!(to.poll_send(&mut cx, wait, &[], &[&to]).is_pending());
        }
        let maker = thread::spawn(move || table.release(taken).unwrap());
        assert!(mailbox.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
        maker.join().unwrap();
        assert!(line[0].0.is_set(), "the first was not told");
        assert!(line[1].0.is_set(), "the second was not told");
    }
    twin fails_unasked: SleeperUnasked says "the second was not told";
    twin fails_unfenced: RoomUnfenced says "the second was not told";
    twin fails_looking_first: IdleLooksFirst says "the second was not told";
}

model! {
    /// Rule S6: one receive makes room for the bytes of two: who was woken for it wakes the
    /// other, who begins to wait.
    fn wait_races_send_that_leaves_room() {
        let office = office();
        let table = office.create_table().unwrap();
        let mut limits = room(3);
        limits.bytes = 240;
        let mut mailbox =
            office.create_group().unwrap().create_mailbox_with(&table, limits).unwrap();
        let to = mailbox.export(Permissions::SEND).unwrap();
        table.send(to, &[0; 240], &[]).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let mut first = SendWait::new();
        let half = [1; 120];
        assert!(table.poll_send(&mut cx, &mut first, to, &half, &[]).is_pending());
        let sender = thread::spawn({
            let table = table.clone();
            move || {
                let mut wait = SendWait::new();
                block_on(|cx| table.poll_send(cx, &mut wait, to, &[2; 120], &[])).unwrap();
            }
        });
        thread::yield_now(); // It may wait before there is room.
        assert_eq!(next(&mut mailbox), 0);
        assert!(table.poll_send(&mut cx, &mut first, to, &half, &[]).is_ready());
        sender.join().unwrap();
    }
    twin fails_leaving_it: RoomLeft says "deadlock";
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
    /// Rules K3 and S6: when a kill has returned who waits for room was woken, though who
    /// closes the mailbox may have stopped.
    fn wakes_of_a_kill_race_close() {
        let office = office();
        let (mailbox, table, to) = full(&office);
        let (woken, mut wait) = (Flag::new(), SendWait::new());
        let waker = woken.waker();
        let mut cx = Context::from_waker(&waker);
        assert!(table.poll_send(&mut cx, &mut wait, to, &[9], &[]).is_pending());
        let group = mailbox.group().clone();
        let closer = thread::spawn_once(move || mailbox.close());
        group.kill();
        assert!(woken.is_set(), "woken late");
        closer.join().unwrap();
    }
    /// A killer that leaves to the closer who waits for what is closed.
    twin fails_closed: ClosedPassedOver says "woken late";
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
        let woken = Flag::new();
        let (mut first, waker) = (SendWait::new(), woken.waker());
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
        assert!(woken.is_set(), "another was woken first");
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

type Few = flue_core::StaticPostOffice<2, 8, 6, 1, 1, 1, 1, 2>;
type Two = flue_core::StaticPostOffice<2, 8, 8, 2, 1, 1, 1, 2>;

fn narrow(waiters: u32) -> flue_core::MailboxLimits {
    let mut limits = room(1);
    limits.handles = 1;
    limits.waiters = waiters;
    limits
}

model! {
    /// Rule R4: who passes a wake on in a mailbox that closes says nothing of the next one in
    /// its channel.
    fn passing_races_close_and_reuse() {
        let office: &'static Few = Box::leak(Box::new(Few::new()));
        let office = office.office();
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let mut mailbox = group.create_mailbox_with(&table, narrow(1)).unwrap();
        let to = mailbox.export(Permissions::SEND).unwrap();
        table.send(to, &[0], &[]).unwrap();
        let mut first = SendWait::new();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(table.poll_send(&mut cx, &mut first, to, &[9], &[]).is_pending());
        assert_eq!(next(&mut mailbox), 0); // It is notified.
        let other = thread::spawn_once({
            let (table, group) = (table.clone(), group.clone());
            move || {
                mailbox.close();
                let mut mailbox = group.create_mailbox_with(&table, narrow(1)).ok()?;
                let to = mailbox.export(Permissions::SEND).unwrap();
                table.send(to, &[1], &[]).unwrap();
                let woken = Flag::new();
                let waker = woken.waker();
                let (mut cx, mut wait) = (Context::from_waker(&waker), SendWait::new());
                let polled = table.poll_send(&mut cx, &mut wait, to, &[2], &[]);
                if polled.is_ready() {
                    return None;
                }
                assert_eq!(next(&mut mailbox), 1);
                Some((mailbox, wait, woken))
            }
        });
        drop(first); // Passes its wake on.
        let made = other.join().unwrap();
        let is_woken = |(_, _, woken): &(Mailbox, SendWait, Arc<Flag>)| woken.is_set();
        assert!(made.as_ref().is_none_or(is_woken), "a lost wake");
    }
    twin fails_silenced: SilencedByAnother says "a lost wake";
}

model! {
    /// Rules R4 and S6: the first in the line leaves it while it is woken, and its record
    /// waits in another line: the wake is not for that.
    fn wake_races_reuse_of_a_waiter() {
        let office: &'static Two = Box::leak(Box::new(Two::new()));
        let office = office.office();
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let mut a = group.create_mailbox_with(&table, narrow(2)).unwrap();
        let b = group.create_mailbox_with(&table, narrow(2)).unwrap();
        let to_a = a.export(Permissions::SEND).unwrap();
        let to_b = b.export(Permissions::SEND).unwrap();
        table.send(to_a, &[0], &[]).unwrap();
        table.send(to_b, &[0], &[]).unwrap();
        let woken = Flag::new();
        let waker = woken.waker();
        let (mut first, mut second) = (SendWait::new(), SendWait::new());
        let mut none = Context::from_waker(Waker::noop());
        let mut cx = Context::from_waker(&waker);
        assert!(table.poll_send(&mut none, &mut first, to_a, &[1], &[]).is_pending());
        assert!(table.poll_send(&mut cx, &mut second, to_a, &[2], &[]).is_pending());
        let other = thread::spawn_once({
            let table = table.clone();
            move || {
                drop(first);
                let (mut cx, mut third) = (Context::from_waker(Waker::noop()), SendWait::new());
                let _ = table.poll_send(&mut cx, &mut third, to_b, &[3], &[]);
                third
            }
        });
        assert_eq!(next(&mut a), 0);
        let third = other.join().unwrap();
        assert!(woken.is_set(), "a lost wake");
        drop((second, third));
    }
    twin fails_for_another: WakeForAnother says "a lost wake";
}

model! {
    /// Rule S4: who stops between the choice of a sender and the call of its waker keeps the
    /// wake from nobody: who makes room next calls it.
    fn pass_races_receive() {
        let office = office();
        let (mut mailbox, table, to) = full(&office);
        let woken = Flag::new();
        let waker = woken.waker();
        let (mut none, mut cx) = (Context::from_waker(Waker::noop()), Context::from_waker(&waker));
        let (mut first, mut second) = (SendWait::new(), SendWait::new());
        assert!(table.poll_send(&mut none, &mut first, to, &[2], &[]).is_pending());
        assert!(table.poll_send(&mut cx, &mut second, to, &[3], &[]).is_pending());
        assert_eq!(next(&mut mailbox), 0); // The first is woken.
        table.send(to, &[1], &[]).unwrap();
        let other = thread::spawn_once(move || drop(first)); // Its wake is for the second.
        assert_eq!(next(&mut mailbox), 1);
        assert!(woken.is_set(), "kept by who stopped");
        other.join().unwrap();
        drop(second);
    }
    twin fails_called_by_one: CallLeftToOne says "kept by who stopped";
}

model! {
    /// Rule S6: the first in the line wants bytes, and is woken for a message's room; while it
    /// looks once more it is woken again, for them. It uses one wake, and passes on the other.
    fn a_second_look_races_a_receive() {
        let office = office();
        let (table, group) = (office.create_table().unwrap(), office.create_group().unwrap());
        let mut limits = room(2);
        limits.bytes = 60;
        let mut mailbox = group.create_mailbox_with(&table, limits).unwrap();
        let to = mailbox.export(Permissions::SEND).unwrap();
        table.send(to, &[0], &[]).unwrap();
        table.send_payload(to, vec![1; 60].into(), &[]).unwrap();
        let flags = [(); 2].map(|()| Flag::new());
        let wakers = flags.clone().map(Waker::from);
        let (mut first, mut second) = (SendWait::new(), SendWait::new());
        let mut payload = Some(vec![2; 60].into());
        let mut send = |first: &mut SendWait| {
            let mut cx = Context::from_waker(&wakers[0]);
            table.poll_send_payload(&mut cx, first, to, &mut payload, &[])
        };
        assert!(send(&mut first).is_pending());
        let mut cx = Context::from_waker(&wakers[1]);
        assert!(table.poll_send(&mut cx, &mut second, to, &[3], &[]).is_pending());
        assert_eq!(next(&mut mailbox), 0);
        let receiver = thread::spawn_once(move || {
            assert_eq!(next(&mut mailbox), 1);
            mailbox
        });
        let sent = send(&mut first);
        let _mailbox = receiver.join().unwrap();
        // Whoever of them is not done has room now, and was told so.
        assert!(sent.is_ready() || flags[0].is_set(), "the first was not told");
        assert!(sent.is_pending() || flags[1].is_set(), "the second was not told");
    }
    /// A wake that is kept by who has two.
    twin fails_keeping_one_of_two: WakeKept says "the second was not told";
}

model! {
    /// Rule S6: a sender that tries once more takes the room by itself, and is woken only then,
    /// for room that was made later: that wake is not used, and goes to the next in the line.
    fn a_late_wake_races_the_next_in_line() {
        let office = office();
        let (mut mailbox, table, to) = full(&office);
        let flag = Flag::new();
        let other = thread::spawn_once({
            let table = table.clone();
            move || {
                let mut wait = SendWait::new();
                let mut cx = Context::from_waker(Waker::noop());
                let sent = table.poll_send(&mut cx, &mut wait, to, &[1], &[]);
                (wait, sent)
            }
        });
        let mut received = usize::from(mailbox.try_recv().is_ok());
        loom::thread::yield_now();
        let mut wait = SendWait::new();
        let waker = flag.waker();
        let sent = table.poll_send(&mut Context::from_waker(&waker), &mut wait, to, &[2], &[]);
        received += usize::from(mailbox.try_recv().is_ok());
        let (first, first_sent) = other.join().unwrap();
        let has_room = mailbox.is_empty();
        // One that is woken, and pending, may be the other: it was first.
        let told = flag.is_set() || first_sent.is_pending();
        assert!(sent.is_ready() || !has_room || told, "room, and nobody was told: {received}");
        drop((first, wait));
    }
    twin fails_counting_a_late_wake: LateWakeUsed says "nobody was told";
}

model! {
    /// Rule Q1: of two senders to an empty mailbox one finds no buffer, for the other has the
    /// only one: that one is not refused for room that the first has taken for a moment.
    fn two_sends_race_for_one_buffer() {
        let mut limits = Limits::default();
        limits.messages = 1;
        let office = PostOffice::with_limits(limits);
        let (table, group) = (office.create_table().unwrap(), office.create_group().unwrap());
        let mailbox = group.create_mailbox_with(&table, room(1)).unwrap();
        let to = mailbox.export(Permissions::SEND).unwrap();
        let other = thread::spawn({
            let table = table.clone();
            move || table.send(to, &[1], &[])
        });
        let sent = [table.send(to, &[2], &[]), other.join().unwrap()];
        assert!(sent.contains(&Ok(())), "both refused, and nothing was ever there: {sent:?}");
        assert_eq!(mailbox.len(), 1);
    }
}
