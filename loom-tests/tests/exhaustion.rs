//! Models of the end of what words can count: with `--cfg flue_word="16"`, where
//! a route has three lives, a table's slot four, and a word names a few slots.
#![cfg(all(loom, flue_word = "16"))]

use flue_core::internals::Life;
use flue_core::{
    Capability, CreateError, Handle, Limits, Mailbox, MailboxLimits, Permissions, PostOffice,
    RouteGroup, SendError, Signal, StaticPostOffice, Table, TableError,
};
use loom_tests::{model, room, thread};
use std::sync::Arc;
use std::task::{Context, Waker};

/// Lives of a route, a group or a link.
const LIVES: usize = 3;
/// Lives of an entry of a table.
const HANDLES: usize = 4;

/// One route, one message, and a table with one entry.
type Small = StaticPostOffice<1, 1, 1, 1, 1, 1, 1, 1>;

fn fixed() -> (PostOffice, RouteGroup, Table) {
    let office: &'static Small = Box::leak(Box::new(Small::new()));
    let office = office.office();
    let (group, table) = (office.create_group().unwrap(), office.create_table().unwrap());
    (office, group, table)
}

fn one() -> MailboxLimits {
    let mut limits = room(1);
    limits.handles = 0;
    limits.waiters = 0;
    limits
}

/// Opens a mailbox and closes it, until it is refused; how often it was not.
fn open_to_the_end(group: &RouteGroup, table: &Table) -> usize {
    for count in 0..=2 * LIVES {
        match group.create_mailbox_with(table, one()) {
            Ok(mailbox) => mailbox.close(),
            Err(error) => {
                assert_eq!(error, CreateError::LimitReached);
                return count;
            }
        }
    }
    panic!("a life after the last");
}

model! {
    /// Rule O2: the word alone: two end the last life. One of them does, and the
    /// count stays at its end.
    fn end_races_end_of_the_last_life() {
        let life = Arc::new(Life::vacant(0));
        for _ in 1..LIVES {
            let generation = life.begin();
            assert!(life.end(generation));
        }
        let last = life.begin();
        let other = thread::spawn({
            let life = life.clone();
            move || life.end(last)
        });
        let mine = life.end(last);
        assert!(mine ^ other.join().unwrap(), "ended twice");
        assert!(life.is_spent() && !life.is(last), "a life after the last");
    }
    twin fails_in_two_steps: EndInTwoSteps says "ended twice";
}

model! {
    /// Rules O2 and K2: a sender to an early life races the slot's last ones.
    /// Nothing of it is in a later life, and after the last there is none.
    fn send_races_the_last_lives() {
        let (office, group, table) = fixed();
        let first = group.create_mailbox_with(&table, one()).unwrap();
        let old = first.capability(Permissions::SEND);
        let sender = thread::spawn_once(move || (old.send(b"old", &[]), old));
        first.close();
        let mut lives = 1;
        // The sender may hold the slot for a moment: then it is not vacant.
        while let Ok(mut mailbox) = group.create_mailbox_with(&table, one()) {
            assert!(mailbox.try_recv().is_err(), "a message of an earlier life");
            mailbox.close();
            lives += 1;
            assert!(lives <= LIVES, "a life after the last");
        }
        let (sent, old) = sender.join().unwrap();
        assert!(matches!(sent, Ok(()) | Err(SendError::Closed)), "{sent:?}");
        lives += open_to_the_end(&group, &table);
        assert_eq!(lives, LIVES, "a slot was lost before its end");
        assert_eq!(old.send(b"late", &[]), Err(SendError::Closed));
        assert_eq!((office.stats().routes, office.stats().buffers), (0, 0), "left over");
    }
    twin fails_without_version: CloseKeepsVersion says "a message of an earlier life";
}

model! {
    /// Rule O2: two open mailboxes on the slot's last lives. They have them all
    /// between them, and one of them has the last.
    fn open_races_open_of_the_last_life() {
        let (office, group, table) = fixed();
        for _ in 1..LIVES {
            group.create_mailbox_with(&table, one()).unwrap().close();
        }
        let other = thread::spawn({
            let (group, table) = (group.clone(), table.clone());
            move || group.create_mailbox_with(&table, one()).map(Mailbox::close)
        });
        let mine = group.create_mailbox_with(&table, one()).map(Mailbox::close);
        let theirs = other.join().unwrap();
        assert!(mine.is_ok() ^ theirs.is_ok(), "the last life, and who had it");
        let refused = if mine.is_ok() { theirs } else { mine };
        assert_eq!(refused, Err(CreateError::LimitReached));
        assert_eq!(open_to_the_end(&group, &table), 0);
        assert_eq!(office.stats().routes, 0);
    }
}

/// Inserts and releases, until it is refused or `most` times.
fn use_up(table: &Table, route: &Capability, used: &mut Vec<Handle>, most: usize) -> bool {
    for _ in 0..most {
        match table.insert(route) {
            Ok(handle) => {
                if used.last() != Some(&handle) {
                    assert!(!used.contains(&handle), "a handle again");
                    used.push(handle);
                }
                table.release(handle).unwrap();
            }
            Err(error) => {
                assert_eq!(error, TableError::Full);
                return true;
            }
        }
    }
    false
}

model! {
    /// Rules O2 and P3: a table's slots come to their end while an old handle is
    /// used: it is refused, or means what it meant.
    fn retain_races_the_last_handles() {
        let (_office, group, table) = fixed();
        let mailbox = group.create_mailbox_with(&table, one()).unwrap();
        let route = mailbox.capability(Permissions::SEND);
        let old = table.insert(&route).unwrap();
        let mut used = vec![old];
        let other = thread::spawn({
            let table = table.clone();
            move || table.retain(old).map(|()| table.release(old).unwrap())
        });
        table.release(old).unwrap();
        // While the other has it, releasing is not the end of it.
        use_up(&table, &route, &mut used, HANDLES);
        let retained = other.join().unwrap();
        assert!(matches!(retained, Ok(()) | Err(TableError::InvalidHandle)), "{retained:?}");
        assert!(use_up(&table, &route, &mut used, 4 * HANDLES), "a handle after the last");
        assert!(!used.iter().any(|handle| table.contains(*handle)), "an old handle");
        assert_eq!(table.len(), 0);
    }
}

model! {
    /// The pool comes to its end and back: two senders, a receiver, and one buffer
    /// besides that of the last message. Who is refused is told so.
    fn sends_race_receive_for_the_last_buffer() {
        type Two = StaticPostOffice<1, 1, 2, 1, 1, 1, 1, 1>;
        let office: &'static Two = Box::leak(Box::new(Two::new()));
        let office = office.office();
        let (group, table) = (office.create_group().unwrap(), office.create_table().unwrap());
        let mut limits = one();
        limits.messages = 3;
        let mut mailbox = group.create_mailbox_with(&table, limits).unwrap();
        let to = mailbox.capability(Permissions::SEND);
        to.send(b"0", &[]).unwrap();
        let other = thread::spawn({
            let to = to.clone();
            move || to.send(b"1", &[])
        });
        assert!(matches!(mailbox.try_recv(), Ok(Signal::Message(_))), "lost");
        let sends = [to.send(b"2", &[]), other.join().unwrap()];
        let mut sent = 0;
        for result in sends {
            assert!(matches!(result, Ok(()) | Err(SendError::Full)), "{result:?}");
            sent += usize::from(result.is_ok());
        }
        // Two, if the first message's buffer was given back between them.
        assert!(sent > 0, "a buffer was free");
        assert_eq!(mailbox.len(), sent);
        for _ in 0..sent {
            assert!(matches!(mailbox.try_recv(), Ok(Signal::Message(_))), "lost");
        }
        // Asleep, it has none.
        assert!(mailbox.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
        for message in [b"3", b"4"] {
            to.send(message, &[]).expect("the buffers came back");
        }
        assert_eq!(to.send(b"5", &[]), Err(SendError::Full));
        drop(mailbox);
        assert_eq!(office.stats().buffers, 0, "left over");
    }
}

model! {
    /// Words of 16 bits have names for a few messages, whatever the limit is: a
    /// receive gives one back while a sender looks for one.
    fn send_races_receive_of_the_last_name() {
        let office = PostOffice::with_limits(boundless());
        let (group, table) = (office.create_group().unwrap(), office.create_table().unwrap());
        let mut limits = one();
        limits.messages = u32::MAX;
        let mut mailbox = group.create_mailbox_with(&table, limits).unwrap();
        let to = mailbox.export(Permissions::SEND).unwrap();
        let mut sent = 0_u8;
        while table.send(to, &[sent], &[]).is_ok() {
            sent += 1;
            assert!(sent < 64, "more than there are names for");
        }
        let other = thread::spawn({
            let table = table.clone();
            move || table.send(to, &[sent], &[])
        });
        for number in 0..sent {
            let Ok(Signal::Message(message)) = mailbox.try_recv() else { panic!("lost") };
            assert_eq!(message.data(), [number], "another's message");
        }
        let late = other.join().unwrap();
        let Err(error) = late else {
            let Ok(Signal::Message(message)) = mailbox.try_recv() else { panic!("lost") };
            return assert_eq!(message.data(), [sent], "another's message");
        };
        assert_eq!(error, SendError::Full);
        assert!(mailbox.try_recv().is_err(), "a message of nobody");
    }
}

fn boundless() -> Limits {
    let mut limits = Limits::default();
    limits.messages = u32::MAX;
    limits
}
