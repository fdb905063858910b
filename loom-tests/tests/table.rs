//! Models of tables: entries, and the index that finds them.
#![cfg(loom)]

use flue_core::internals::{Entry, Records};
use flue_core::{Handle, Limits, Permissions, PostOffice, SendError, Signal, Table, TableError};
use loom_tests::{model, office, room, thread};
use std::sync::Arc;

/// A host's table, and a capability.
fn table(office: &PostOffice) -> (flue_core::Mailbox, Table) {
    let table = office.create_table().unwrap();
    let group = office.create_group().unwrap();
    (group.create_mailbox_with(&table, room(2)).unwrap(), table)
}

model! {
    /// Rule P6, the entry alone: a reader sees the whole capability or none,
    /// while its slot is reused.
    fn copy_races_reuse() {
        let entry = Arc::new(Entry::new());
        let first = entry.fill(1);
        let other = thread::spawn({
            let entry = entry.clone();
            move || assert!(matches!(entry.copy(first), None | Some(1)), "not what was put there")
        });
        assert_eq!(entry.lower(first), Some(true));
        let second = entry.fill(2);
        assert_eq!(entry.copy(second), Some(2));
        other.join().unwrap();
    }
    /// A reader that does not look at the word once more.
    twin fails_unvalidated: EntryUnvalidated says "not what was put there";
}

model! {
    /// Rule P3, the entry alone: a handle that was guessed before it was given out finds
    /// nothing, or what it is the handle of.
    fn forged_handle_races_reuse() {
        let entry = Arc::new(Entry::new());
        let first = entry.fill(1);
        let other = thread::spawn({
            let entry = entry.clone();
            move || assert!(matches!(entry.copy(first + 1), None | Some(2)), "what it does not name")
        });
        assert_eq!(entry.lower(first), Some(true));
        assert_eq!(entry.fill(2), first + 1);
        other.join().unwrap();
    }
}

model! {
    /// Rule P5, the entry alone: a late release does not touch the next life.
    fn lower_races_reuse() {
        let entry = Arc::new(Entry::new());
        let first = entry.fill(1);
        let other = thread::spawn({
            let entry = entry.clone();
            move || entry.lower(first)
        });
        if entry.lower(first) == Some(true) {
            let second = entry.fill(2);
            assert_eq!(other.join().unwrap(), None);
            assert_eq!(entry.lower(second), Some(true), "the next life was released");
        } else {
            assert_eq!(other.join().unwrap(), Some(true));
        }
    }
}

model! {
    /// Rule P5, the entry alone: one reference, two releases.
    fn lower_races_lower() {
        let entry = Arc::new(Entry::new());
        let generation = entry.fill(1);
        let other = thread::spawn({
            let entry = entry.clone();
            move || entry.lower(generation)
        });
        let results = [entry.lower(generation), other.join().unwrap()];
        assert!(results.contains(&Some(true)) && results.contains(&None), "{results:?}");
    }
}

model! {
    /// Rule P4, the entry alone: a capability that is imported while its last
    /// reference is released is raised or found dead, never both.
    fn raise_races_lower() {
        let entry = Arc::new(Entry::new());
        let generation = entry.fill(1);
        let other = thread::spawn({
            let entry = entry.clone();
            move || entry.raise_key(1)
        });
        let was_last = entry.lower(generation) == Some(true);
        match other.join().unwrap() {
            Some(raised) => {
                assert!(!was_last, "raised, and released");
                assert_eq!(raised, generation);
                assert_eq!(entry.lower(generation), Some(true));
            }
            None => assert!(was_last, "dead, and not released"),
        }
    }
    twin fails_in_two_steps: RaiseInTwoSteps says "raised, and released";
}

model! {
    /// Rules P4 and P5, the entry alone: who remembers that a capability was here does not
    /// raise what is only staged, for its inserter may find it listed elsewhere.
    fn remembered_races_withdraw() {
        let entry = Arc::new(Entry::new());
        let first = entry.fill(1);
        assert_eq!(entry.lower(first), Some(true));
        let other = thread::spawn({
            let entry = entry.clone();
            move || entry.stage_in_vain(1)
        });
        assert_eq!(entry.raise_live(1), None, "a lost reference");
        other.join().unwrap();
    }
    twin fails_staged: StagedRemembered says "a lost reference";
}

model! {
    /// Rule P3, the entry alone: a late retain does not touch the next life.
    fn retain_races_reuse() {
        let entry = Arc::new(Entry::new());
        let first = entry.fill(1);
        let other = thread::spawn({
            let entry = entry.clone();
            move || entry.retain(first)
        });
        if entry.lower(first) == Some(true) {
            let second = entry.fill(2);
            assert!(!other.join().unwrap());
            assert_eq!(entry.lower(second), Some(true), "the next life was retained");
        } else {
            assert!(other.join().unwrap());
            assert_eq!(entry.lower(first), Some(true));
        }
    }
}

model! {
    /// The index alone: two insert one key, one is listed: the change compares the
    /// link with what was searched.
    fn insert_races_insert() {
        let records = Arc::new(Records::new());
        let other = thread::spawn({
            let records = records.clone();
            move || records.insert(0, 5)
        });
        let results = [records.insert(1, 5), other.join().unwrap()];
        match results {
            [Ok(()), Err(1)] => assert_eq!(records.find(5), Some(1)),
            [Err(0), Ok(())] => assert_eq!(records.find(5), Some(0)),
            results => panic!("one key, two records: {results:?}"),
        }
    }
    /// An insertion that was overtaken and does not search again.
    twin fails_without_another_look: InsertBlind says "one key, two records";
}

model! {
    /// The index alone: neighbours are inserted at once; none is lost.
    fn insert_races_neighbour() {
        let records = Arc::new(Records::new());
        let other = thread::spawn({
            let records = records.clone();
            move || records.insert(0, 1).unwrap()
        });
        records.insert(1, 2).unwrap();
        other.join().unwrap();
        assert_eq!((records.find(1), records.find(2)), (Some(0), Some(1)), "a lost record");
    }
}

model! {
    /// The index alone: a record is removed while another is inserted behind it.
    /// The one is unlinked once, the other is not lost: marked links do not change.
    fn insert_races_remove() {
        let records = Arc::new(Records::new());
        records.insert(0, 1).unwrap();
        let other = thread::spawn({
            let records = records.clone();
            move || assert!(records.remove(0, 1))
        });
        records.insert(1, 2).unwrap();
        records.insert(2, 3).unwrap();
        other.join().unwrap();
        assert_eq!((records.find(1), records.find(2), records.find(3)), (None, Some(1), Some(2)), "a lost record");
        assert_eq!(records.unlinked(0), 1, "unlinked");
    }
    /// An insertion behind a record that was marked after its key was read.
    twin fails_overlooking_the_mark: MarkOverlooked says "a lost record";
}

model! {
    /// The index alone: two neighbours are removed at once; both are unlinked, once.
    fn remove_races_remove() {
        let records = Arc::new(Records::new());
        records.insert(0, 1).unwrap();
        records.insert(1, 2).unwrap();
        let other = thread::spawn({
            let records = records.clone();
            move || assert!(records.remove(0, 1))
        });
        assert!(records.remove(1, 2));
        other.join().unwrap();
        assert_eq!((records.find(1), records.find(2)), (None, None));
        assert_eq!((records.unlinked(0), records.unlinked(1)), (1, 1), "a record unlinked twice");
    }
    twin fails_overlooking_the_mark: MarkOverlooked says "a record unlinked twice";
}

model! {
    /// The index alone: a slot is reused under a walk. What was read of a record
    /// counts only if the link that led there is unchanged after: its tag says so.
    fn walk_races_reuse() {
        let records = Arc::new(Records::new());
        records.insert(0, 4).unwrap();
        records.insert(1, 2).unwrap();
        let other = thread::spawn({
            let records = records.clone();
            move || records.find(2)
        });
        assert!(records.remove(0, 4));
        records.insert(0, 3).unwrap();
        assert_eq!(other.join().unwrap(), Some(1), "a record not found");
        assert_eq!((records.find(4), records.find(3), records.find(2)), (None, Some(0), Some(1)));
    }
    twin fails_unvalidated: IndexUnvalidated says "a record not found";
}

model! {
    /// The index alone: an insertion beside the reuse of the record before it.
    fn insert_races_reuse() {
        let records = Arc::new(Records::new());
        records.insert(0, 1).unwrap();
        let other = thread::spawn({
            let records = records.clone();
            move || records.insert(1, 2).unwrap()
        });
        assert!(records.remove(0, 1));
        records.insert(0, 3).unwrap();
        other.join().unwrap();
        assert_eq!((records.find(1), records.find(2), records.find(3)), (None, Some(1), Some(0)), "a lost record");
    }
    twin fails_untagged: LinkUntagged says "a lost record";
}

model! {
    /// The index alone: buckets are added while somebody searches and inserts.
    fn spread_races_insert() {
        let records = Arc::new(Records::new());
        records.insert(0, 1).unwrap();
        let other = thread::spawn({
            let records = records.clone();
            move || {
                records.spread(2);
                assert_eq!(records.find(1), Some(0), "a lost record");
            }
        });
        records.insert(1, 2).unwrap();
        other.join().unwrap();
        assert_eq!((records.find(1), records.find(2)), (Some(0), Some(1)), "a lost record");
    }
}

model! {
    /// Rule P4: equal capabilities that are inserted at once get one handle: who
    /// lists an entry compares the list with what it searched, and else searches again.
    fn import_races_import() {
        let office = office();
        let (mailbox, table) = table(&office);
        let capability = mailbox.capability(Permissions::SEND);
        let other = table.insert(&mailbox.capability(Permissions::MONITOR)).unwrap();
        table.release(other).unwrap(); // So that there are entries.
        let other = thread::spawn({
            let (table, capability) = (table.clone(), capability.clone());
            move || table.insert(&capability).unwrap()
        });
        let mine = table.insert(&capability).unwrap();
        assert_eq!(mine, other.join().unwrap(), "two handles");
        assert_eq!((table.len(), table.release(mine), table.release(mine)), (1, Ok(()), Ok(())));
        assert_eq!(table.release(mine), Err(TableError::InvalidHandle));
        assert_eq!(table.len(), 0);
    }
    /// An import that was overtaken and does not search again.
    twin fails_without_another_look: InsertBlind says "two handles";
}

model! {
    /// Rules P4 and P5: a capability is inserted while its last reference is
    /// released. What insert returned is there: the count is raised by a
    /// compare-and-swap from what it was when it was looked at.
    fn import_races_release() {
        let office = office();
        let (mailbox, table) = table(&office);
        let capability = mailbox.capability(Permissions::SEND);
        let first = table.insert(&capability).unwrap();
        let other = thread::spawn({
            let table = table.clone();
            move || table.release(first).unwrap()
        });
        let mine = table.insert(&capability).unwrap();
        other.join().unwrap();
        assert!(table.contains(mine), "a lost entry");
        assert_eq!(table.len(), 1, "a lost entry");
        table.release(mine).unwrap();
        assert!(!table.contains(mine) && table.is_empty());
    }
    /// An import that looks at the count and then writes it.
    twin fails_in_two_steps: RaiseInTwoSteps says "a lost entry";
}

model! {
    /// Rule P5: the process releases its reference while a guard holds another.
    fn release_races_guard() {
        let office = office();
        let (mut mailbox, table) = table(&office);
        let to = mailbox.export(Permissions::SEND).unwrap();
        table.send(to, b"", &[to]).unwrap();
        let other = thread::spawn({
            let table = table.clone();
            move || table.release(to)
        });
        let Ok(Signal::Message(message)) = mailbox.try_recv() else { panic!("nothing") };
        let held = message.handles()[0];
        assert!(table.contains(held), "the guard's handle dangles");
        drop(message);
        other.join().unwrap().unwrap();
        assert!(table.is_empty());
    }
}

model! {
    /// Rule S1: a send through a handle that is being released is accepted or
    /// refused, and nothing in between.
    fn send_races_release() {
        let office = office();
        let (mut mailbox, table) = table(&office);
        let to = mailbox.export(Permissions::SEND).unwrap();
        let other = thread::spawn({
            let table = table.clone();
            move || table.send(to, b"m", &[])
        });
        table.release(to).unwrap();
        match other.join().unwrap() {
            Ok(()) => assert!(mailbox.try_recv().is_ok()),
            Err(error) => assert_eq!(error, SendError::InvalidHandle),
        }
    }
}

model! {
    /// Rule O5: an insertion races the death that seals the table.
    fn insert_races_seal() {
        let office = office();
        let (mailbox, _) = table(&office);
        let group = office.create_group().unwrap();
        let sealed = group.create_table().unwrap();
        let other = thread::spawn({
            let (sealed, capability) = (sealed.clone(), mailbox.capability(Permissions::SEND));
            move || sealed.insert(&capability).map(drop)
        });
        group.kill();
        assert!(sealed.is_empty() && sealed.handles().next().is_none());
        assert!(matches!(other.join().unwrap(), Ok(()) | Err(TableError::Dead)));
    }
}

model! {
    /// Rule S2: the receiver's table goes while a message with a capability is
    /// sent to it: nothing of it is left over.
    fn attach_races_close() {
        let office = office();
        let (mailbox, table) = table(&office);
        let to = mailbox.capability(Permissions::SEND);
        drop(table);
        let other = thread::spawn({
            let to = to.clone();
            move || {
                let sent = to.send(b"", &[&to]);
                assert!(matches!(sent, Ok(()) | Err(SendError::Closed)), "{sent:?}");
            }
        });
        mailbox.close();
        other.join().unwrap();
        let stats = office.stats();
        assert_eq!((stats.buffers, stats.tables, stats.routes), (0, 0, 0), "left over");
    }
}

model! {
    /// Rules S2 and Q1: a mailbox closes while a capability is sent to it, and its table
    /// stays: all of the table's own places are its own again.
    fn attach_races_close_of_a_table_that_stays() {
        let mut limits = Limits::default();
        limits.handles_per_table = 1;
        let office = PostOffice::with_limits(limits);
        let (mailbox, own) = table(&office);
        let (other, _table) = table(&office);
        let to = mailbox.capability(Permissions::SEND);
        let sender = thread::spawn({
            let to = to.clone();
            move || {
                let sent = to.send(b"", &[&to]);
                assert!(matches!(sent, Ok(()) | Err(SendError::Closed)), "{sent:?}");
            }
        });
        mailbox.close();
        sender.join().unwrap();
        let inserted = own.insert(&other.capability(Permissions::SEND));
        assert!(inserted.is_ok(), "a place is lost: {inserted:?}");
    }
    twin fails_left_charged: ShareLeftCharged says "a place is lost";
}

model! {
    /// Rules P3 and P4: a capability is inserted while the slot that it was found in is used
    /// for it again. What is only staged there may be withdrawn: who found the earlier entry
    /// listed does not take it for that one.
    fn import_races_restaging() {
        let office = office();
        let (mailbox, table) = table(&office);
        let capability = mailbox.capability(Permissions::SEND);
        let first = table.insert(&capability).unwrap();
        let other = thread::spawn({
            let (table, capability) = (table.clone(), capability.clone());
            move || {
                table.release(first).unwrap();
                table.insert(&capability).unwrap()
            }
        });
        let mine = table.insert(&capability).unwrap();
        let again = table.insert(&capability).unwrap();
        assert_eq!(mine, again, "two handles");
        assert_eq!(mine, other.join().unwrap(), "two handles");
        assert!(table.contains(mine), "a lost entry");
        assert_eq!(table.len(), 1, "a lost entry");
    }
    /// An insertion that raises what is staged where it found an entry before.
    twin fails_found_once: StagedFoundOnce says "two handles";
}

model! {
    /// Rules P3 and Q1: a handle that was guessed before it was given out is released while
    /// it is. An entry that so ends leaves the index, and does not stay behind for the next
    /// table in the same slot, which it would have owe a place.
    fn forged_release_races_insert() {
        let mut limits = Limits::default();
        limits.handles_per_table = 1;
        let office = PostOffice::with_limits(limits);
        let (mailbox, _own) = table(&office);
        let capability = mailbox.capability(Permissions::SEND);
        let hostile = office.create_table().unwrap();
        let first = hostile.insert(&capability).unwrap();
        hostile.release(first).unwrap();
        let forged = Handle::from_raw(first.to_raw() + (1 << u32::BITS)).unwrap();
        let other = thread::spawn({
            let hostile = hostile.clone();
            move || hostile.release(forged)
        });
        let given = hostile.insert(&capability).unwrap();
        let released = other.join().unwrap();
        assert_eq!(given, forged);
        assert_eq!(released.is_ok(), !hostile.contains(given));
        assert_eq!(hostile.len(), usize::from(released.is_err()), "a lost entry");
    }
}

model! {
    /// Rules P3 and P4: what was listed and not published yet is found by another, who releases
    /// all of it and stages the slot again: who listed it publishes its own and nothing else.
    fn publication_races_reuse() {
        let entry = Arc::new(Entry::new());
        let first = entry.stage(1);
        let publisher = thread::spawn({
            let entry = entry.clone();
            move || entry.publish(first)
        });
        assert_eq!(entry.raise_key(1), Some(first));
        assert_eq!(entry.lower(first), Some(false));
        assert_eq!(entry.lower(first), Some(true));
        let second = entry.stage(2);
        publisher.join().unwrap();
        assert_eq!(entry.copy(second), None, "published by somebody else");
    }
    twin fails_publishing_blindly: PublishBlind says "published by somebody else";
}

model! {
    /// Rule Q1: a mailbox closes while a capability that came with a message is released:
    /// its table, which has a place then, is not said to be full.
    fn insert_races_close() {
        let mut limits = Limits::default();
        limits.handles_per_table = 1;
        let office = PostOffice::with_limits(limits);
        let (own, other) = (office.create_table().unwrap(), office.create_table().unwrap());
        let mailbox = |table| office.create_group().unwrap().create_mailbox_with(table, room(1));
        let (mut closing, some) = (mailbox(&own).unwrap(), mailbox(&other).unwrap());
        let capability = some.capability(Permissions::SEND);
        closing.capability(Permissions::SEND).send(b"", &[&capability]).unwrap();
        let Ok(Signal::Message(mut message)) = closing.try_recv() else { panic!("one message") };
        let handle = message.take_handles().next().unwrap();
        drop(message);
        let closer = thread::spawn_once(move || drop(closing));
        own.release(handle).unwrap();
        let inserted = own.insert(&capability).map(drop);
        closer.join().unwrap();
        assert_eq!(inserted, Ok(()), "full of nothing");
        assert_eq!(own.insert(&other_of(&some)), Err(TableError::Full), "more than one");
    }
    twin fails_unsigned: BelowZeroIsMuch says "full of nothing";
}

/// Another capability to the same route.
fn other_of(mailbox: &flue_core::Mailbox) -> flue_core::Capability {
    mailbox.capability(Permissions::all())
}
