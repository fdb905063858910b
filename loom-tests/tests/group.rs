//! Models of groups and death: one dies once, and takes along what belongs to it.
#![cfg(loom)]

use flue_core::{
    CreateError, Mailbox, Permissions, PostOffice, RouteGroup, SendError, TableError, TryRecvError,
};
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};
use loom_tests::{model, office, room, thread};
use std::sync::Arc;

model! {
    /// Rule K1: two kills, one death; both return when it is done.
    fn kill_races_kill() {
        let office = office();
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let mut mailbox = group.create_mailbox_with(&table, room(1)).unwrap();
        let other = thread::spawn({
            let group = group.clone();
            move || {
                group.kill();
                assert!(group.is_dead());
            }
        });
        group.kill();
        assert_eq!(mailbox.try_recv().unwrap_err(), TryRecvError::Dead);
        other.join().unwrap();
        drop((mailbox, group));
        assert_eq!(office.stats().groups, 0, "a group that is never given back");
    }
}

model! {
    /// Rule K1: who sees a death sees what its killer did before: the step that ends a
    /// group releases, and the look acquires.
    fn kill_races_is_dead() {
        let group = office().create_group().unwrap();
        let said = Arc::new(AtomicU32::new(0));
        let killer = thread::spawn({
            let (group, said) = (group.clone(), said.clone());
            move || {
                said.store(1, Relaxed);
                group.kill();
            }
        });
        assert!(!group.is_dead() || said.load(Relaxed) == 1, "dead, and not a word");
        killer.join().unwrap();
    }
}

model! {
    /// Rule K2: a mailbox that is created while its group dies is dead, or never was.
    fn kill_races_create_mailbox() {
        let office = office();
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let killer = thread::spawn({
            let group = group.clone();
            move || group.kill()
        });
        let created = group.create_mailbox_with(&table, room(1));
        killer.join().unwrap();
        match created {
            Ok(mut mailbox) => {
                let to = mailbox.capability(Permissions::SEND);
                assert_eq!(to.send(b"", &[]), Err(SendError::Closed), "alive in a dead group");
                assert_eq!(mailbox.try_recv().unwrap_err(), TryRecvError::Dead);
            }
            Err(error) => assert_eq!(error, CreateError::Dead),
        }
        drop(group);
        let stats = office.stats();
        assert_eq!((stats.groups, stats.routes), (0, 0), "left over");
    }
    twin fails_looking_at_the_route_alone: GroupUnchecked says "alive in a dead group";
}

model! {
    /// Rule K2: a mailbox whose slots are the first of a segment is created while its group
    /// dies: who finds it on the roster finds it made.
    fn kill_races_create_in_a_new_segment() {
        let office = office();
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let create = |group: &RouteGroup| group.create_mailbox_with(&table, room(1));
        let first: Vec<_> = (0..4).map(|_| create(&group).unwrap()).collect();
        let killer = thread::spawn({
            let group = group.clone();
            move || group.kill()
        });
        let created = create(&group);
        killer.join().unwrap();
        assert!(created.is_ok_and(|mut mailbox| mailbox.try_recv().is_err()) || group.is_dead());
        drop((first, group));
        assert_eq!(office.stats().groups, 0, "left over");
    }
}

model! {
    /// Rule O5: a table that is created while its group dies is sealed, or never was.
    fn kill_races_create_table() {
        let office = office();
        let group = office.create_group().unwrap();
        let killer = thread::spawn({
            let group = group.clone();
            move || group.kill()
        });
        let created = group.create_table();
        killer.join().unwrap();
        match created {
            Ok(table) => {
                let host = office.create_table().unwrap();
                let other = office.create_group().unwrap().create_mailbox_with(&host, room(1)).unwrap();
                let refused = table.insert(&other.capability(Permissions::SEND));
                assert_eq!(refused, Err(TableError::Dead), "not sealed");
            }
            Err(error) => assert_eq!(error, CreateError::Dead),
        }
        drop(group);
        assert_eq!((office.stats().groups, office.stats().tables), (0, 0), "left over");
    }
}

model! {
    /// Rule O4: the last owner goes while a kill comes through a capability. It
    /// ends or dies, once, and its slot is given back once.
    fn kill_races_last_drop() {
        let office = office();
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let mailbox = group.create_mailbox_with(&table, room(1)).unwrap();
        let kill = table.insert(&mailbox.capability(Permissions::KILL)).unwrap();
        drop(group);
        let killer = thread::spawn({
            let table = table.clone();
            move || table.kill(kill)
        });
        drop(mailbox);
        assert!(matches!(killer.join().unwrap(), Ok(()) | Err(TableError::Closed)));
        assert_eq!((office.stats().groups, office.stats().routes), (0, 0), "left over");
    }
}

/// Two groups, and a mailbox of a third one, linked with both, which it alone owns, with
/// a table of that group's.
fn between(office: &PostOffice) -> ([RouteGroup; 2], Mailbox) {
    let ends = [office.create_group().unwrap(), office.create_group().unwrap()];
    let group = office.create_group().unwrap();
    for end in &ends {
        group.link(end).unwrap();
    }
    let mailbox = group.create_mailbox_with(&group.create_table().unwrap(), room(1)).unwrap();
    (ends, mailbox)
}

model! {
    /// Rule O4: the last owner goes while another is linking with its group, and may have
    /// stopped: it has ended, and passes no death on.
    fn last_drop_races_link() {
        let office = office();
        let ([one, two], mailbox) = between(&office);
        let link = mailbox.capability(Permissions::LINK);
        let linker = thread::spawn_once({
            let group = office.create_group().unwrap();
            move || link.link(&group)
        });
        drop(mailbox);
        one.kill();
        assert!(!two.is_dead(), "passed on");
        assert!(matches!(linker.join().unwrap(), Ok(()) | Err(TableError::Closed)));
        drop(two);
        drop(one);
        assert_eq!(office.stats().groups, 0, "left over");
    }
    twin fails_owning: HoldsOwn says "passed on";
}

model! {
    /// The same beside a sender of capabilities, which holds the mailbox's table.
    fn last_drop_races_send_of_capabilities() {
        let office = office();
        let ([one, two], mailbox) = between(&office);
        let to = mailbox.capability(Permissions::SEND);
        let sender = thread::spawn_once(move || to.send(b"", &[&to]));
        drop(mailbox);
        one.kill();
        assert!(!two.is_dead(), "passed on");
        assert!(matches!(sender.join().unwrap(), Ok(()) | Err(SendError::Closed)));
        drop((one, two));
        assert_eq!((office.stats().groups, office.stats().tables), (0, 0), "left over");
    }
    twin fails_owning: HoldsOwn says "passed on";
}

model! {
    /// Rule K1: KILL through a route that is being closed kills, or says `Closed`
    /// and does nothing.
    fn kill_races_close_of_its_route() {
        let office = office();
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let mailbox = group.create_mailbox_with(&table, room(1)).unwrap();
        let kill = mailbox.capability(Permissions::KILL);
        let killer = thread::spawn(move || kill.kill());
        mailbox.close();
        match killer.join().unwrap() {
            Ok(()) => assert!(group.is_dead(), "killed, and alive"),
            Err(error) => {
                assert_eq!(error, TableError::Closed);
                assert!(!group.is_dead(), "refused, and dead");
            }
        }
    }
}

model! {
    /// Rule O4: two owners go at once: the group ends once.
    fn drop_races_drop() {
        let office = office();
        let group = office.create_group().unwrap();
        let other = thread::spawn_once({
            let group = group.clone();
            move || drop(group)
        });
        drop(group);
        other.join().unwrap();
        assert_eq!(office.stats().groups, 0);
        // Its slot can be used again.
        let next = office.create_group().unwrap();
        assert!(!next.is_dead());
    }
}

model! {
    /// Rule O4: the office goes with the last of what counts on it.
    fn last_of_the_office_races_last() {
        let office = office();
        let (one, two) = (office.create_group().unwrap(), office.create_group().unwrap());
        drop(office);
        let other = thread::spawn_once(move || drop(one));
        drop(two);
        other.join().unwrap();
    }
}

model! {
    /// Rule Q1: the limit of a group's routes is exact.
    fn create_races_create_at_the_limit() {
        let mut limits = flue_core::Limits::default();
        limits.routes_per_group = 1;
        let office = flue_core::PostOffice::with_limits(limits);
        let table = office.create_table().unwrap();
        let group = office.create_group().unwrap();
        let create = {
            let (group, table) = (group.clone(), table.clone());
            move || group.create_mailbox_with(&table, room(1))
        };
        let other = thread::spawn(create.clone());
        let mine = create();
        let theirs = other.join().unwrap();
        assert!(mine.is_ok() ^ theirs.is_ok(), "the limit is not exact");
        let refused = if mine.is_ok() { theirs } else { mine };
        assert_eq!(refused.unwrap_err(), CreateError::LimitReached);
    }
}
