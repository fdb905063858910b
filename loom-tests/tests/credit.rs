//! Models of credits: what a mailbox has room for, exactly.
#![cfg(loom)]

use flue_core::internals::{Credit, Share};
use flue_core::{
    MailboxLimits, Permissions, SendError, Signal, StaticPostOffice, TableError, TryRecvError,
};
use loom::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Release},
};
use loom_tests::{model, office, room, thread};
use std::sync::Arc;

model! {
    /// The word alone: two senders, room for one.
    fn charge_races_charge() {
        let credit = Arc::new(Credit::open(1));
        let other = thread::spawn({
            let credit = credit.clone();
            move || credit.raise(1, 1)
        });
        let mine = credit.raise(1, 1);
        assert!(mine ^ other.join().unwrap(), "more than there was room for");
        assert_eq!(credit.count(), 1);
    }
    /// A count that is read and then written.
    twin fails_in_two_steps: CreditInTwoSteps says "more than there was room for";
}

model! {
    /// Rule Q1, the word alone: what is never full is not said to be, though one comes and
    /// goes between the looks at what was counted and what was received.
    fn charge_races_charge_and_receive() {
        let credit = Arc::new(Credit::open(1));
        let received = Arc::new(AtomicU32::new(0));
        let other = thread::spawn({
            let (credit, received) = (credit.clone(), received.clone());
            move || {
                assert!(credit.raise_ahead(1, 2, || received.load(Acquire)), "full with one of two");
                received.fetch_add(1, Release);
            }
        });
        assert!(credit.raise_ahead(1, 2, || received.load(Acquire)), "full with one of two");
        other.join().unwrap();
        assert_eq!(credit.count(), 2);
    }
    twin fails_full_of_nothing: FullOfNothing says "full with one of two";
}

model! {
    /// The word alone: a sender that slept through the end of its route charges
    /// nobody else: the count carries the generation.
    fn charge_races_reopen() {
        let credit = Arc::new(Credit::open(1));
        let stale = thread::spawn({
            let credit = credit.clone();
            move || {
                if credit.raise(1, 4) {
                    credit.lower(1);
                }
            }
        });
        credit.reopen(3);
        assert!(credit.raise(3, 1), "somebody else's charge");
        stale.join().unwrap();
        assert_eq!(credit.count(), 1, "somebody else's charge");
    }
    twin fails_without_generation: CreditUnversioned says "somebody else's charge";
}

model! {
    /// The word alone: what is given back while the share closes is given back
    /// once, to the mailbox's share or to the table that takes it over.
    fn repay_races_close_of_share() {
        let share = Arc::new(Share::open(1));
        assert!(share.raise(1, 2) && share.raise(1, 2));
        let other = thread::spawn({
            let share = share.clone();
            move || u32::from(share.lower(1).is_none())
        });
        let taken_over = share.close(1);
        // Two were used; one is given back, to whom it is charged then.
        assert_eq!(taken_over - other.join().unwrap(), 1, "a slot paid twice, or never");
    }
    twin fails_without_generation: ShareUnversioned says "a slot paid twice, or never";
}

model! {
    /// The word alone: who waits for some of the share is seen, or sees it.
    fn repay_races_wait_for_share() {
        let share = Arc::new(Share::open(1));
        assert!(share.raise(1, 1));
        let other = thread::spawn({
            let share = share.clone();
            move || share.lower(1)
        });
        share.await_it(1);
        let has_room = share.raise(1, 1);
        assert!(other.join().unwrap() == Some(true) || has_room, "a lost wake");
    }
}

model! {
    /// Rule S3: two senders race for the last place. One is accepted, the other
    /// told that it is full.
    fn send_races_send_to_the_last_place() {
        let office = office();
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let mut mailbox = group.create_mailbox_with(&table, room(1)).unwrap();
        let to = mailbox.export(Permissions::SEND).unwrap();
        for _ in 0..2 {
            table.send(to, &[2], &[]).unwrap(); // So that there is a node at hand.
            drop(mailbox.try_recv().expect("a message"));
        }
        let other = thread::spawn({
            let table = table.clone();
            move || table.send(to, &[1], &[])
        });
        let results = [table.send(to, &[0], &[]), other.join().unwrap()];
        let accepted = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(accepted, 1, "not one place for one message: {results:?}");
        assert!(results.contains(&Err(SendError::Full)));
        let Ok(Signal::Message(message)) = mailbox.try_recv() else { panic!("nothing") };
        assert_eq!(results[usize::from(message.data()[0])], Ok(()));
        drop(message);
        assert_eq!(mailbox.try_recv().unwrap_err(), TryRecvError::Empty);
    }
    twin fails_in_two_steps: CreditInTwoSteps says "not one place for one message";
}

model! {
    /// Rule S3: while one message is received another is sent; `Full` is told
    /// only if it was full, and no more fit than may.
    fn send_races_receive_of_the_last_place() {
        let office = office();
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let mut mailbox = group.create_mailbox_with(&table, room(1)).unwrap();
        let to = mailbox.export(Permissions::SEND).unwrap();
        table.send(to, &[0], &[]).unwrap();
        let sender = thread::spawn({
            let table = table.clone();
            move || table.send(to, &[1], &[])
        });
        drop(mailbox.try_recv().expect("a message"));
        let sent = sender.join().unwrap();
        let last = table.send(to, &[2], &[]);
        assert_eq!(last.is_ok(), sent.is_err(), "{sent:?} {last:?}");
        assert_eq!(mailbox.len(), 1);
    }
}

model! {
    /// Rule S2: attached capabilities are charged to the mailbox's share, which
    /// two senders never exceed.
    fn attach_races_attach() {
        let office = office();
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let mut limits = room(4);
        limits.handles = 1;
        let mut mailbox = group.create_mailbox_with(&table, limits).unwrap();
        let to = mailbox.export(Permissions::SEND).unwrap();
        let send = {
            let table = table.clone();
            move || table.send(to, &[], &[to])
        };
        let other = thread::spawn(send.clone());
        let results = [send(), other.join().unwrap()];
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert!(results.contains(&Err(SendError::Full)));
        drop(mailbox.try_recv().expect("a message"));
        assert_eq!(send(), Ok(()), "the share was not given back");
    }
}

model! {
    /// Rule S2: a handle that was taken is charged to its mailbox until it is
    /// released; when both end at once the table is charged nothing.
    fn release_races_close() {
        let mut own = flue_core::Limits::default();
        own.handles_per_table = 1;
        let office = flue_core::PostOffice::with_limits(own);
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let mut limits: MailboxLimits = room(4);
        limits.handles = 1;
        let mut mailbox = group.create_mailbox_with(&table, limits).unwrap();
        let other = group.create_mailbox_with(&table, room(1)).unwrap();
        let all = mailbox.capability(Permissions::all());
        all.send(&[], &[&other.capability(Permissions::SEND)]).unwrap();
        let Ok(Signal::Message(mut message)) = mailbox.try_recv() else { panic!("nothing") };
        let taken = message.take_handles().next().unwrap();
        drop(message);
        let releaser = thread::spawn({
            let table = table.clone();
            move || table.release(taken).unwrap()
        });
        mailbox.close();
        releaser.join().unwrap();
        // The table's own one place is free, and there is no other.
        table.insert(&all).expect("a place too few");
        let more = table.insert(&other.capability(Permissions::KILL));
        assert_eq!(more, Err(TableError::Full), "a place too many");
    }
    twin fails_without_generation: ShareUnversioned says "a place too";
}

model! {
    /// Bytes that are not inline: two senders never have more waiting than may.
    fn bytes_race_bytes() {
        let office = office();
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let mut limits = room(4);
        limits.bytes = 250;
        let mut mailbox = group.create_mailbox_with(&table, limits).unwrap();
        let to = mailbox.export(Permissions::SEND).unwrap();
        let send = {
            let table = table.clone();
            move || table.send(to, &[7; 160], &[])
        };
        let other = thread::spawn(send.clone());
        let results = [send(), other.join().unwrap()];
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        drop(mailbox.try_recv().expect("a message"));
        assert_eq!(send(), Ok(()), "the bytes were not given back");
    }
}

model! {
    /// Statistics beside a send and its receive: one message waits, or none.
    fn statistics_race_receive() {
        let office = office();
        let group = office.create_group().unwrap();
        let mut mailbox = group.create_mailbox_with(&group.create_table().unwrap(), room(2)).unwrap();
        let other = thread::spawn_once(move || {
            mailbox.capability(Permissions::SEND).send(b"", &[]).unwrap();
            drop(mailbox.try_recv().unwrap());
            mailbox
        });
        let messages = office.stats().messages;
        drop(other.join().unwrap());
        assert!(messages <= 1, "{messages} messages");
    }
}

model! {
    /// Statistics beside a close: what two lives of a route had is not mixed.
    fn statistics_race_close_and_reuse() {
        type One = StaticPostOffice<1, 2, 2, 1, 1, 1, 1, 1>;
        let office: &'static One = Box::leak(Box::new(One::new()));
        let office = office.office();
        let group = office.create_group().unwrap();
        let table = group.create_table().unwrap();
        let mut limits = room(2);
        limits.handles = 1;
        let mut mailbox = group.create_mailbox_with(&table, limits).unwrap();
        mailbox.capability(Permissions::SEND).send(b"", &[]).unwrap();
        drop(mailbox.try_recv().unwrap());
        let other = thread::spawn_once(move || {
            drop(mailbox);
            group.create_mailbox_with(&table, limits).unwrap()
        });
        let messages = office.stats().messages;
        drop(other.join().unwrap());
        assert!(messages <= 1, "{messages} messages");
    }
}
