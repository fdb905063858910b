//! Models of the static post office: the same algorithms over given storage.
#![cfg(loom)]

use flue_core::{
    Mailbox, MailboxLimits, MonitorId, Permissions, PostOffice, SendError, SendWait, Signal,
    StaticPostOffice, TryRecvError,
};
use loom_tests::{model, room, thread};
use std::task::{Context, Waker};

type Small = StaticPostOffice<2, 3, 2, 1, 2, 1, 1, 1>;

/// An office for one mailbox, as a `static` would be: it stays.
fn fixed() -> PostOffice {
    let office: &'static Small = Box::leak(Box::new(Small::new()));
    office.office()
}

fn one() -> MailboxLimits {
    let mut limits = room(2);
    limits.handles = 1;
    limits.waiters = 1;
    limits
}

fn none() -> MailboxLimits {
    let mut limits = room(1);
    limits.handles = 0;
    limits
}

model! {
    /// Rule Q2: monitors are removed while what they watch is closed: their records go back with
    /// the next that is removed.
    fn demonitor_races_close() {
        type Office = StaticPostOffice<3, 4, 1, 3, 1, 2, 1, 1>;
        let office: &'static Office = Box::leak(Box::new(Office::new()));
        let office = office.office();
        let table = office.create_table().unwrap();
        let create = || office.create_group().unwrap().create_mailbox_with(&table, none()).unwrap();
        let mut observer = create();
        let watched = [create(), create()];
        let watches = watched.each_ref().map(|w| w.capability(Permissions::MONITOR));
        let ids = watches.each_ref().map(|w| w.monitor(&observer).unwrap());
        let closer = thread::spawn_once(move || drop(watched));
        thread::others_first();
        for id in ids {
            assert!(observer.demonitor(id), "removed");
        }
        closer.join().unwrap();
        assert!(watches[0].monitor(&observer).is_ok(), "both are left");
    }
    twin fails_uncounted: FiredUncounted says "both are left";
}

model! {
    /// Two ask for the office at once: it is made ready once.
    fn office_races_office() {
        let office: &'static Small = Box::leak(Box::new(Small::new()));
        let other = thread::spawn(move || office.office().create_group().unwrap());
        let mine = office.office().create_group().unwrap();
        let theirs = other.join().unwrap();
        assert!(mine != theirs);
    }
}

model! {
    /// Rules K2 and O2: a route's slot is used again while somebody sends to the
    /// old one: nothing of it is in the new mailbox.
    fn send_races_close_and_reuse() {
        let office = fixed();
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let mailbox = group.create_mailbox_with(&table, one()).unwrap();
        let old = mailbox.capability(Permissions::SEND);
        let sender = thread::spawn(move || old.send(b"old", &[]));
        mailbox.close();
        let mut next = match group.create_mailbox_with(&table, one()) {
            Ok(next) => next,
            // The sender was inside the waker, or still is: the slot is not vacant.
            Err(_) => {
                let sent = sender.join().unwrap();
                return assert!(matches!(sent, Ok(()) | Err(SendError::Closed)), "{sent:?}");
            }
        };
        let sent = sender.join().unwrap();
        assert!(matches!(sent, Ok(()) | Err(SendError::Closed)), "{sent:?}");
        assert!(next.try_recv().is_err(), "a message of an earlier life");
        assert_eq!(next.len(), 0, "a charge of an earlier life");
        assert_eq!(office.stats().buffers, 0, "a lost node");
    }
    twin fails_without_version: CloseKeepsVersion says "a message of an earlier life";
    twin fails_without_generation: CreditUnversioned says "an earlier life";
}

model! {
    /// The last buffer of the office: two senders, one gets it, and it comes back.
    fn send_races_send_to_the_last_buffer() {
        let office = fixed();
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let mut mailbox = group.create_mailbox_with(&table, room_of(3)).unwrap();
        let to = mailbox.capability(Permissions::SEND);
        to.send(b"0", &[]).unwrap();
        let other = thread::spawn({
            let to = to.clone();
            move || to.send(b"1", &[])
        });
        let mine = to.send(b"2", &[]);
        let theirs = other.join().unwrap();
        assert!(mine.is_ok() ^ theirs.is_ok(), "{mine:?} {theirs:?}");
        for _ in 0..2 {
            assert!(matches!(mailbox.try_recv(), Ok(Signal::Message(_))));
        }
        assert_eq!(mailbox.try_recv().unwrap_err(), TryRecvError::Empty);
    }
}

fn room_of(messages: u32) -> MailboxLimits {
    let mut limits = one();
    limits.messages = messages;
    limits
}

model! {
    /// Rules S4 and Q1: what a closing mailbox leaves in the table is the table's own before
    /// its share is free: no new mailbox is promised entries that are taken.
    fn share_races_close() {
        type Two = StaticPostOffice<1, 2, 2, 2, 1, 1, 1, 1>;
        let office: &'static Two = Box::leak(Box::new(Two::new()));
        let group = office.office().create_group().unwrap();
        let table = group.create_table().unwrap();
        let mut mailbox = group.create_mailbox_with(&table, one()).unwrap();
        let known = mailbox.capability(Permissions::SEND);
        let own = table.insert(&mailbox.capability(Permissions::MONITOR)).unwrap();
        known.send(b"", &[&known]).unwrap();
        let Ok(Signal::Message(mut message)) = mailbox.try_recv() else { panic!("a message") };
        let left = message.take_handles().next().unwrap();
        drop(message);
        let closer = thread::spawn_once(move || drop(mailbox));
        let next = group.create_mailbox_with(&table, one());
        assert!(next.is_err(), "a share of what is taken");
        closer.join().unwrap();
        assert_eq!((table.release(own), table.release(left)), (Ok(()), Ok(())));
    }
    twin fails_unasked: ShareUnasked says "a share of what is taken";
}

model! {
    /// Rules K3 and L2 where there are no rosters: a link races a kill.
    fn link_races_kill() {
        let office = fixed();
        let (a, b) = (office.create_group().unwrap(), office.create_group().unwrap());
        let killer = thread::spawn({
            let b = b.clone();
            move || b.kill()
        });
        a.link(&b).unwrap();
        killer.join().unwrap();
        assert!(a.is_dead() && b.is_dead(), "one survives");
        drop((a, b));
        assert_eq!((office.stats().links, office.stats().groups), (0, 0), "left over");
    }
    twin fails_unfenced: LinkUnfenced says "one survives";
    twin fails_unconfirmed: LinkUnconfirmed says "left over";
}

model! {
    /// Rules K6 and K7 where there are no rosters: a mailbox watches a route of
    /// the group that is being killed.
    fn monitor_races_kill() {
        type Two = StaticPostOffice<2, 3, 2, 2, 1, 1, 1, 1>;
        let office: &'static Two = Box::leak(Box::new(Two::new()));
        let office = office.office();
        let table = office.create_table().unwrap();
        let (group, other) = (office.create_group().unwrap(), office.create_group().unwrap());
        let mut observer = group.create_mailbox_with(&table, one()).unwrap();
        let mut limits = one();
        limits.handles = 0;
        let watched = other.create_mailbox_with(&table, limits).unwrap();
        let killer = thread::spawn(move || other.kill());
        watched.capability(Permissions::MONITOR).monitor(&observer).unwrap();
        killer.join().unwrap();
        assert!(matches!(observer.try_recv(), Ok(Signal::Down(_))), "no down");
        assert_eq!(observer.try_recv().unwrap_err(), TryRecvError::Empty, "a second down");
    }
    twin fails_unfenced: MonitorUnfenced says "no down";
}

model! {
    /// Rules S6 and Q1: a sender gives its place in the line up while the mailbox is closed:
    /// one of the two lets go of the channel, of which there is one.
    fn leaving_races_close() {
        type One = StaticPostOffice<1, 8, 2, 1, 1, 1, 1, 1>;
        let office: &'static One = Box::leak(Box::new(One::new()));
        let office = office.office();
        let (table, group) = (office.create_table().unwrap(), office.create_group().unwrap());
        let mut narrow = one();
        narrow.messages = 1;
        let mailbox = group.create_mailbox_with(&table, narrow).unwrap();
        let to = mailbox.export(Permissions::SEND).unwrap();
        table.send(to, b"", &[]).unwrap();
        let mut wait = SendWait::new();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(table.poll_send(&mut cx, &mut wait, to, b"", &[]).is_pending());
        let leaver = thread::spawn_once(move || drop(wait));
        drop(mailbox);
        leaver.join().unwrap();
        let next = group.create_mailbox_with(&table, narrow);
        let (mut wait, mut next) = (SendWait::new(), next.expect("no channel is left"));
        let to = next.export(Permissions::SEND).unwrap();
        table.send(to, b"", &[]).unwrap();
        let waits = table.poll_send(&mut cx, &mut wait, to, b"", &[]);
        assert!(waits.is_pending(), "the line is not as it was: {waits:?}");
        assert!(next.try_recv().is_ok());
    }
}

/// A monitor whose route is closed while its group is killed, and whose observer ends it by
/// `how`, if it has been told by then: its record, of which there is one, is free after that.
fn the_record_comes_back(how: fn(Mailbox, MonitorId)) {
    type Two = StaticPostOffice<3, 8, 2, 3, 1, 1, 1, 1>;
    let office: &'static Two = Box::leak(Box::new(Two::new()));
    let office = office.office();
    let table = office.create_table().unwrap();
    let (group, other) = (office.create_group().unwrap(), office.create_group().unwrap());
    let mut none = one();
    none.handles = 0;
    let observe = |watched: &Mailbox| {
        let observer = group.create_mailbox_with(&table, one()).unwrap();
        let id = watched.capability(Permissions::MONITOR).monitor(&observer);
        (observer, id.expect("the record is lost"))
    };
    let watched = other.create_mailbox_with(&table, none).unwrap();
    let (observer, id) = observe(&watched);
    let killer = thread::spawn(move || other.kill());
    drop(watched);
    how(observer, id);
    killer.join().unwrap();
    assert_eq!(office.stats().monitors, 0, "pending");
    let watched = office.create_group().unwrap().create_mailbox_with(&table, none).unwrap();
    let (mut observer, id) = observe(&watched);
    drop(watched);
    let Ok(Signal::Down(down)) = observer.try_recv() else { panic!("no down") };
    assert_eq!(down.monitor(), id);
    drop(down);
    assert_eq!(observer.try_recv().unwrap_err(), TryRecvError::Empty, "a second down");
}

model! {
    /// Rule K6: the down is received.
    fn receive_races_close_and_kill() {
        the_record_comes_back(|mut observer, _| {
            let received = [(); 2].map(|()| observer.try_recv().is_ok());
            assert!(received != [true; 2], "a second down");
        });
    }
}

model! {
    /// Rule K7: the monitor is removed.
    fn demonitor_races_close_and_kill() {
        the_record_comes_back(|mut observer, id| {
            assert!(observer.demonitor(id), "not received, and not there");
            assert_eq!(observer.try_recv().unwrap_err(), TryRecvError::Empty, "removed");
        });
    }
}

model! {
    /// Rule K6: the observer is closed.
    fn observer_close_races_close_and_kill() {
        the_record_comes_back(|observer, _| drop(observer));
    }
}
