//! Models of the mailbox queue: the head, the commit rule, the owner's list.
#![cfg(loom)]

use flue_core::internals::{Head, Life};
use flue_core::{
    Handle, INLINE_BYTES, Limits, Mailbox, Permissions, PostOffice, RouteGroup, SendError, Signal,
    Table, TryRecvError,
};
use loom::sync::atomic::{AtomicBool, Ordering};
use loom_tests::{Parker, block_on, model, office, room, thread};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

/// A mailbox of a group of its own and a table of the host's, to which the
/// table may send.
fn mailbox(office: &PostOffice, messages: u32) -> (Mailbox, Table, Handle) {
    let table = office.create_table().unwrap();
    let group = office.create_group().unwrap();
    let mailbox = group.create_mailbox_with(&table, room(messages)).unwrap();
    let to = mailbox.export(Permissions::SEND).unwrap();
    (mailbox, table, to)
}

/// The same, with a node at hand: how the table gets it is no part of the race.
fn stocked(office: &PostOffice) -> (Mailbox, Table, Handle) {
    let (mut mailbox, table, to) = mailbox(office, 16);
    stock(&table, to, &mut mailbox);
    (mailbox, table, to)
}

/// Sends twice: the second refill is of two nodes, one of which stays.
fn stock(table: &Table, to: Handle, mailbox: &mut Mailbox) {
    for number in 0..2 {
        table.send(to, &[number], &[]).unwrap();
        assert_eq!(next(mailbox), Some(number));
    }
}

/// A process that may send to `mailbox`.
fn process(office: &PostOffice, mailbox: &Mailbox) -> (RouteGroup, Table, Handle) {
    let group = office.create_group().unwrap();
    let table = group.create_table().unwrap();
    let to = table.insert(&mailbox.capability(Permissions::SEND)).unwrap();
    (group, table, to)
}

/// The number in the next message, or `None` if there is none.
fn next(mailbox: &mut Mailbox) -> Option<u8> {
    match mailbox.try_recv() {
        Ok(Signal::Message(message)) => Some(message.data()[0]),
        Ok(signal) => panic!("not a message: {signal:?}"),
        Err(TryRecvError::Empty) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// The number in the next message, when there is one.
fn wait(parker: &Parker, mailbox: &mut Mailbox) -> u8 {
    parker.block_on(|cx| mailbox.poll_ready(cx));
    next(mailbox).expect("ready, and empty")
}

/// Puts an empty mailbox to sleep.
fn sleep(mailbox: &mut Mailbox) {
    assert!(mailbox.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
}

model! {
    /// The word alone: a push races the receiver's sleep. The receiver does not
    /// sleep over the message: the sleep compares the head with what it saw.
    fn push_races_sleep() {
        let head = Arc::new(Head::new());
        let sender = thread::spawn({
            let head = head.clone();
            move || while !head.push_message(head.look(), 0) {}
        });
        head.sleep(head.look(), None);
        sender.join().unwrap();
        assert!(!head.look().is_empty(), "slept over a message");
    }
    /// A sleep that goes through whatever is there.
    twin fails_blind: SleepBlind says "slept over a message";
}

model! {
    /// The word alone: a push that checked the route's life races the close and
    /// the next opening. Nothing of the old life is in the new one's queue: a
    /// close advances the version.
    fn push_races_close_and_reuse() {
        let (head, life) = (Head::new(), Life::vacant(0));
        let generation = life.begin();
        let shared = Arc::new((head, life));
        let sender = thread::spawn({
            let shared = shared.clone();
            move || {
                let (head, life) = &*shared;
                let seen = head.look();
                life.is(generation) && head.push_message(seen, 0)
            }
        });
        let (head, life) = &*shared;
        assert!(life.end(generation));
        let taken = head.close();
        life.begin();
        assert_eq!(sender.join().unwrap(), taken || !head.look().is_empty());
        assert!(head.look().is_empty(), "a message of an earlier life");
    }
    twin fails_without_version: CloseKeepsVersion says "a message of an earlier life";
}

model! {
    /// Rule K8: nothing that a process sends comes after its down. The push of a
    /// down advances the version, and the sender checks its life *after* it saw
    /// the head that it pushes onto.
    fn send_races_kill_and_down() {
        let office = office();
        let (mut observer, host, _) = mailbox(&office, 4);
        let (group, table, to) = process(&office, &observer);
        let watched = group.create_mailbox_with(&table, room(1)).unwrap();
        let watch = host.insert(&watched.capability(Permissions::MONITOR)).unwrap();
        host.monitor(watch, &observer).unwrap();
        sleep(&mut observer);
        let sender = thread::spawn(move || table.send(to, b"m", &[]));
        group.kill();
        let mut messages = 0;
        loop {
            match observer.try_recv() {
                Ok(Signal::Message(_)) => messages += 1,
                Ok(_) => break,
                Err(error) => panic!("no down: {error:?}"),
            }
        }
        sleep(&mut observer);
        let sent = sender.join().unwrap();
        assert!(observer.try_recv().is_err(), "a message after its sender's down");
        assert_eq!(messages, usize::from(sent.is_ok()), "{sent:?}");
    }
    twin fails_without_version: DownKeepsVersion says "a message after its sender's down";
    twin fails_checking_first: ChecksBeforeLook says "a message after its sender's down";
}

model! {
    /// Rule K2: a send races the kill of its target, and one that starts after
    /// it is refused: the commit looks at the group's life, not only the route's.
    fn send_races_kill_of_target() {
        let office = office();
        let (mut target, host, to) = stocked(&office);
        let sender = thread::spawn({
            let host = host.clone();
            move || host.send(to, b"m", &[])
        });
        target.group().kill();
        assert_eq!(host.send(to, b"n", &[]), Err(SendError::Closed), "sent to the dead");
        assert_eq!(target.try_recv().unwrap_err(), TryRecvError::Dead);
        assert!(matches!(sender.join().unwrap(), Ok(()) | Err(SendError::Closed)));
        assert_eq!(target.try_recv().unwrap_err(), TryRecvError::Dead);
    }
    twin fails_looking_at_the_route_alone: GroupUnchecked says "sent to the dead";
}

model! {
    /// Rule O5 and K8 without an observer: a process that was killed sends no more.
    fn send_races_kill_of_sender() {
        let office = office();
        let (mut target, _host, _) = mailbox(&office, 16);
        let (group, table, to) = process(&office, &target);
        stock(&table, to, &mut target);
        let sender = thread::spawn({
            let table = table.clone();
            move || table.send(to, b"m", &[])
        });
        group.kill();
        assert_eq!(table.send(to, b"n", &[]), Err(SendError::Dead));
        let sent = sender.join().unwrap();
        assert_eq!(next(&mut target).is_some(), sent.is_ok());
        assert_eq!(next(&mut target), None);
    }
}

model! {
    /// A message is seen filled: the push releases, the look acquires.
    fn send_races_receive() {
        let office = office();
        let (mut target, host, to) = mailbox(&office, 4);
        host.send(to, b"l", &[]).unwrap(); // So that the nodes are there.
        assert_eq!(next(&mut target), Some(b'l'));
        let sender = thread::spawn(move || host.send(to, b"m", &[]));
        let first = next(&mut target);
        sender.join().unwrap().unwrap();
        assert_eq!(first.or_else(|| next(&mut target)), Some(b'm'));
        assert_eq!(next(&mut target), None);
    }
    twin fails_unreleased: PushUnreleased says "Causality violation";
    twin fails_unacquired: LookUnacquired says "Causality violation";
}

model! {
    /// Rule R1: of two senders, who sent after the other had sent is received
    /// after it. The order of the compare-and-swaps is the order of receiving.
    fn two_senders_are_first_in_first_out() {
        let office = office();
        let (mut target, host, to) = stocked(&office);
        let is_sent = Arc::new(AtomicBool::new(false));
        let first = thread::spawn({
            let (host, is_sent) = (host.clone(), is_sent.clone());
            move || {
                host.send(to, &[1], &[]).unwrap();
                is_sent.store(true, Ordering::Release);
            }
        });
        let is_later = is_sent.load(Ordering::Acquire);
        host.send(to, &[2], &[]).unwrap();
        first.join().unwrap();
        let got: Vec<u8> = std::iter::from_fn(|| next(&mut target)).collect();
        got.iter().for_each(|number| assert!([1, 2].contains(number)));
        assert_eq!(got.len(), 2, "lost or doubled: {got:?}");
        assert!(!is_later || got == [1, 2], "overtaken");
    }
    /// A push that looks and then writes.
    twin fails_in_two_steps: PushInTwoSteps says "lost or doubled";
}

model! {
    /// Rule R1: what one sender sends arrives in order, across batches, and the
    /// marker, which the head still names, is not sent again meanwhile.
    fn send_send_send_races_receive() {
        let office = office();
        let (mut target, host, to) = mailbox(&office, 4);
        let table = host.clone();
        // The marker is the newest received node; keep three more going round.
        table.send(to, &[0], &[]).unwrap();
        table.send(to, &[1], &[]).unwrap();
        assert_eq!((next(&mut target), next(&mut target), next(&mut target)), (Some(0), Some(1), None));
        let sender = thread::spawn(move || {
            for number in 2..5 {
                host.send(to, &[number], &[]).unwrap();
            }
        });
        let mut expected = 2;
        while let Some(number) = next(&mut target) {
            assert_eq!(number, expected, "out of order");
            expected += 1;
        }
        sender.join().unwrap();
        while let Some(number) = next(&mut target) {
            assert_eq!(number, expected, "out of order");
            expected += 1;
        }
        assert_eq!(expected, 5, "lost behind the marker");
    }
}

model! {
    /// The receiver's last node is not sent again while the head names it: it is
    /// given back only when the next batch was taken.
    fn send_races_return_of_the_marker() {
        let mut limits = Limits::default();
        limits.messages = 3;
        let office = PostOffice::with_limits(limits);
        let (mut target, host, to) = mailbox(&office, 4);
        for number in 0..3 {
            assert_eq!(host.send(to, &[number], &[]), Ok(()), "lost behind the marker");
            assert_eq!(next(&mut target), Some(number), "lost behind the marker");
        }
        let sender = thread::spawn(move || {
            let is_sent = |number: &u8| host.send(to, &[*number], &[]).is_ok();
            (3..6).filter(is_sent).collect::<Vec<u8>>()
        });
        let mut got: Vec<u8> = next(&mut target).into_iter().collect();
        got.extend(next(&mut target));
        let sent = sender.join().unwrap();
        while let Some(number) = next(&mut target) {
            got.push(number);
            assert!(got.len() < 4, "lost behind the marker, which comes again and again");
        }
        assert_eq!(got, sent, "lost behind the marker");
    }
    twin fails_freeing_the_marker: MarkerFreed says "lost behind the marker";
}

model! {
    /// Rule R4: a receiver that goes to sleep while a message comes is woken, or
    /// does not sleep.
    fn send_races_sleep() {
        let office = office();
        let (mut target, host, to) = mailbox(&office, 4);
        let sender = thread::spawn(move || host.send(to, &[7], &[]));
        assert_eq!(wait(&Parker::new(), &mut target), 7);
        sender.join().unwrap().unwrap();
    }
    twin fails_blind: SleepBlind says "deadlock";
}

model! {
    /// Rule R4: a sleeping receiver is woken by the first of two messages, and
    /// by the second although the first one's call may end only then.
    fn two_sends_race_sleep() {
        let office = office();
        let (mut target, host, to) = stocked(&office);
        let parker = Parker::new();
        assert!(target.poll_ready(&mut Context::from_waker(&parker.waker())).is_pending());
        let send = |number| {
            let host = host.clone();
            thread::spawn(move || host.send(to, &[number], &[]).unwrap())
        };
        let (one, two) = (send(1), send(2));
        let mut got = [wait(&parker, &mut target), wait(&parker, &mut target)];
        drop(parker);
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
        one.join().unwrap();
        two.join().unwrap();
    }
    /// A sender that trusts an old sight of the waker's word.
    twin fails_unfenced: RouseUnfenced says "deadlock";
}

/// Receives once, and sleeps again, within the call of its waker: when that has ended, the
/// mailbox sleeps and is told to look, though nothing is there.
struct Inside(Mutex<Option<Mailbox>>);

impl Wake for Inside {
    fn wake(self: Arc<Self>) {
        let Some(mut mailbox) = self.0.lock().unwrap().take() else { return };
        assert_eq!(next(&mut mailbox), Some(1));
        sleep(&mut mailbox);
        *self.0.lock().unwrap() = Some(mailbox);
    }
}

model! {
    /// Rule R4: a receiver that was told to look and sleeps still is polled, finds nothing and
    /// registers: a message from then on wakes it.
    fn send_races_poll_of_a_sleeper() {
        let office = office();
        let (mut target, host, to) = stocked(&office);
        let inside = Arc::new(Inside(Mutex::new(None)));
        let waker = inside.clone().into();
        assert!(target.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        *inside.0.lock().unwrap() = Some(target);
        host.send(to, &[1], &[]).unwrap();
        let mut target = inside.0.lock().unwrap().take().unwrap();
        let sender = thread::spawn(move || host.send(to, &[2], &[]).unwrap());
        assert_eq!(wait(&Parker::new(), &mut target), 2);
        sender.join().unwrap();
    }
    /// A receiver that may have looked before it registered.
    twin fails_unfenced: DozeUnfenced says "deadlock";
}

model! {
    /// Rules R3 and R4: a kill wakes the receiver, and from then on it receives
    /// nothing.
    fn kill_races_sleep() {
        let office = office();
        let (mut target, _host, _) = mailbox(&office, 4);
        let group = target.group().clone();
        let killer = thread::spawn(move || group.kill());
        let result = block_on(|cx| target.poll_recv(cx).map(|result| result.is_err()));
        assert!(result);
        killer.join().unwrap();
    }
    /// A killer that looks for a waker before its step is seen by who registers one.
    twin fails_unfenced: KillUnfenced says "deadlock";
}

model! {
    /// A receiver that was put to sleep takes what comes while it rouses itself.
    fn two_sends_race_rouse() {
        let office = office();
        let (mut target, host, to) = mailbox(&office, 4);
        sleep(&mut target);
        host.send(to, &[1], &[]).unwrap();
        let sender = thread::spawn(move || host.send(to, &[2], &[]));
        assert_eq!(next(&mut target), Some(1));
        let second = next(&mut target);
        sender.join().unwrap().unwrap();
        assert_eq!(second.or_else(|| next(&mut target)), Some(2));
    }
}

model! {
    /// Rules K2 and S2: what is sent to a mailbox that is being closed is
    /// refused or destroyed with it; no node is lost.
    fn send_races_close() {
        let office = office();
        let (target, host, to) = mailbox(&office, 4);
        let sender = thread::spawn(move || {
            let sent = host.send(to, b"m", &[]);
            assert!(matches!(sent, Ok(()) | Err(SendError::Closed)), "{sent:?}");
        });
        target.close();
        sender.join().unwrap();
        assert_eq!(office.stats().buffers, 0, "a lost node");
    }
}

/// A message that does not fit into its node, but into a block: all of one number.
const IN_BLOCK: usize = INLINE_BYTES + 8;

/// An office with so few nodes and blocks that nobody keeps any.
fn thrifty() -> PostOffice {
    let mut limits = Limits::default();
    limits.messages = 8;
    PostOffice::with_limits(limits)
}

model! {
    /// Rule S5: a block is its message's until the guard is gone. All others of the segment
    /// are in use: who fills one meanwhile would find this one first.
    fn send_races_the_guard_of_a_block() {
        let office = thrifty();
        let (mut target, host, to) = mailbox(&office, 8);
        for number in 0..4 {
            host.send(to, &[number; IN_BLOCK], &[]).unwrap();
        }
        let sender = thread::spawn(move || host.send(to, &[4; IN_BLOCK], &[]));
        let Ok(Signal::Message(message)) = target.try_recv() else { panic!("nothing") };
        sender.join().unwrap().unwrap();
        assert_eq!(message.data(), [0; IN_BLOCK], "a block that was lent was filled again");
        drop(message);
        for number in 1..5 {
            let Ok(Signal::Message(message)) = target.try_recv() else { panic!("lost") };
            assert_eq!(message.data(), [number; IN_BLOCK], "a block that was lent was filled again");
        }
        assert_eq!(office.stats().blocks, 0, "a lost block");
    }
    twin fails_keeping_a_lent_block: BlockKeptEarly says "filled again";
}

model! {
    /// Rules K2 and S2: what lies in a block and is sent to a mailbox that is being closed is
    /// refused or destroyed with it; no block is lost.
    fn send_in_a_block_races_close() {
        let office = thrifty();
        let (target, host, to) = mailbox(&office, 4);
        host.send(to, &[1; IN_BLOCK], &[]).unwrap();
        let sender = thread::spawn(move || {
            let sent = host.send(to, &[2; IN_BLOCK], &[]);
            assert!(matches!(sent, Ok(()) | Err(SendError::Closed)), "{sent:?}");
        });
        target.close();
        sender.join().unwrap();
        assert_eq!((office.stats().buffers, office.stats().blocks), (0, 0), "a lost block");
    }
    twin fails_leaving_a_block: BlockLeft says "a lost block";
}

model! {
    /// Rule R1: what a sender has filled is seen whole by the receiver.
    fn send_in_a_block_races_receive() {
        let office = thrifty();
        let (mut target, host, to) = mailbox(&office, 4);
        let sender = thread::spawn(move || {
            (1..3).for_each(|number| host.send(to, &[number; IN_BLOCK], &[]).unwrap());
        });
        let mut got = Vec::new();
        let mut take = |target: &mut Mailbox| {
            if let Ok(Signal::Message(message)) = target.try_recv() {
                got.push(message.data()[0]);
                assert_eq!(message.data(), [got.len() as u8; IN_BLOCK], "torn, or out of order");
            }
        };
        take(&mut target);
        sender.join().unwrap();
        (0..2).for_each(|_| take(&mut target));
        assert_eq!((got, office.stats().blocks), (vec![1, 2], 0));
    }
}
