//! Rule O2: the last life of a slot is followed by none.

use super::common::*;
use flue_core::{
    CreateError, DownReason, Handle, Mailbox, MailboxLimits, Permissions, PostOffice, RouteGroup,
    SendError, Signal, StaticPostOffice, Table, TableError,
};
use std::collections::HashSet;

/// Lives of a table entry in these builds.
const HANDLES: usize = 4;
/// Lives of everything else.
const LIVES: usize = 3;
/// More than everything here has in all.
const ENOUGH: usize = 10_000;

/// Slots of a table of the fixed office: those it has in itself, and 6.
const SLOTS: usize = 4 + 6;

/// An office of 4 groups, tables and mailboxes, 3 links, 6 entries in a table.
fn fixed() -> PostOffice {
    type Office = StaticPostOffice<4, 6, 64, 4, 4, 3, 3, 2>;
    let office: &'static Office = Box::leak(Box::new(Office::new()));
    office.office()
}

fn no_share() -> MailboxLimits {
    let mut limits = MailboxLimits::default();
    limits.handles = 0;
    limits
}

fn mailbox(office: &PostOffice) -> (RouteGroup, Table, Mailbox) {
    let group = office.create_group().unwrap();
    let table = office.create_table().unwrap();
    let mailbox = group.create_mailbox_with(&table, no_share()).unwrap();
    (group, table, mailbox)
}

/// Does `act` until it is refused; how often it was not, and why it was.
fn until_refused<E>(mut act: impl FnMut() -> Result<(), E>) -> (usize, E) {
    for count in 0..ENOUGH {
        if let Err(error) = act() {
            return (count, error);
        }
    }
    panic!("never refused");
}

/// Rules O2 and P3: no handle is the name of two capabilities, and a table whose
/// slots are spent is full.
#[test]
fn handles_of_a_fixed_table() {
    let office = fixed();
    let (_group, table, mailbox) = mailbox(&office);
    let capability = mailbox.capability(Permissions::SEND);
    let mut used = HashSet::new();
    let mut cycle = || {
        let handle = table.insert(&capability)?;
        assert!(used.insert(handle), "a handle again");
        assert_eq!(table.capability(handle).unwrap(), capability);
        table.release(handle)
    };
    let (count, error) = until_refused(&mut cycle);
    assert_eq!((count, error), (SLOTS * HANDLES, TableError::Full), "each has all its lives");
    assert!(used.iter().all(|handle| !table.contains(*handle)), "an old handle");
    let old = *used.iter().next().unwrap();
    assert_eq!(table.retain(old), Err(TableError::InvalidHandle));
    assert_eq!(table.release(old), Err(TableError::InvalidHandle));
    assert_eq!(table.send(old, b"", &[]), Err(SendError::InvalidHandle));
    assert_eq!((table.len(), table.handles().count()), (0, 0));
    assert_eq!(mailbox.export(Permissions::SEND), Err(TableError::Full));
    // The host's way is not through a table.
    capability.send(b"", &[]).unwrap();
    assert_eq!(mailbox.len(), 1);
}

/// Rule S2: a message with a capability finds no slot, and says so to its sender.
#[test]
fn no_slot_is_left_for_an_attached_capability() {
    let office = fixed();
    let (group, table, _other) = mailbox(&office);
    let mut limits = no_share();
    limits.handles = 2;
    let mut receiver = group.create_mailbox_with(&table, limits).unwrap();
    let to = receiver.capability(Permissions::SEND);
    let mut used = HashSet::new();
    let (count, error) = until_refused(|| {
        to.send(b"", &[&to])?;
        let Ok(Signal::Message(message)) = receiver.try_recv() else { panic!("nothing") };
        assert!(used.insert(message.handles()[0]), "a handle again");
        Ok::<_, SendError>(())
    });
    assert_eq!((count, error), (SLOTS * HANDLES, SendError::Full), "{:?}", office.stats());
    to.send(b"without", &[]).unwrap();
    assert_eq!(data(&mut receiver), b"without");
    assert_eq!(table.len(), 0);
}

/// Rule O2: in the heap another slot takes the place of one that is spent.
#[test]
fn handles_of_a_growing_table() {
    let office = PostOffice::new();
    let (_group, table, mailbox) = mailbox(&office);
    let capability = mailbox.capability(Permissions::SEND);
    let mut used = HashSet::new();
    // More than the slots that words of 16 bits have names for can live.
    let most = if cfg!(flue_word = "16") { ENOUGH } else { 516 * HANDLES };
    let refused = (0..most).find_map(|_| {
        let handle = match table.insert(&capability) {
            Ok(handle) => handle,
            Err(error) => return Some(error),
        };
        assert!(used.insert(handle), "a handle again");
        assert_eq!(table.capability(handle).unwrap(), capability);
        table.release(handle).unwrap();
        if used.len().is_multiple_of(50) {
            office.reclaim();
        }
        None
    });
    println!("{} handles, then {refused:?}", used.len());
    assert!(used.iter().all(|handle| !table.contains(*handle)), "an old handle");
    assert_eq!(refused, cfg!(flue_word = "16").then_some(TableError::Full));
    // Each that has a name has had all its lives.
    assert!(used.len() >= 13 * HANDLES);
}

/// Rule O2: what takes the place of memory that was given back counts on from it.
#[test]
fn generations_outlive_their_memory() {
    let office = PostOffice::new();
    let (group, table, _mailbox) = mailbox(&office);
    let mut used = HashSet::new();
    let mut refused = 0;
    for _ in 0..40 {
        let kept: Vec<_> =
            (0..12).filter_map(|_| group.create_mailbox_with(&table, no_share()).ok()).collect();
        let routes: Vec<_> =
            kept.iter().map(|mailbox| mailbox.capability(Permissions::SEND)).collect();
        let handles: Vec<Result<Handle, _>> =
            routes.iter().map(|route| table.insert(route)).collect();
        for (handle, route) in handles.iter().zip(&routes) {
            match handle {
                Ok(handle) => {
                    assert!(used.insert(*handle), "a handle again");
                    assert!(table.capability(*handle).unwrap() == *route, "another's");
                    table.release(*handle).unwrap();
                }
                Err(error) => {
                    assert_eq!(*error, TableError::Full);
                    refused += 1;
                }
            }
        }
        drop(kept);
        office.reclaim();
        assert!(routes.iter().all(|route| route.is_closed()));
    }
    assert!(used.iter().all(|handle| !table.contains(*handle)), "an old handle");
    assert!(refused == 0 || cfg!(flue_word = "16"), "{refused} refused");
}

/// Rule O2: no group is taken for an earlier one.
#[test]
fn groups() {
    let office = fixed();
    let mut old = Vec::new();
    let survivor = office.create_group().unwrap();
    let table = office.create_table().unwrap();
    let (count, error) = until_refused(|| {
        let group = office.create_group()?;
        assert!(!group.is_dead());
        // An address of it that outlives it.
        let mailbox = group.create_mailbox_with(&table, no_share());
        if let Ok(mailbox) = mailbox {
            old.push(mailbox.capability(Permissions::all()));
        }
        Ok::<_, CreateError>(())
    });
    assert_eq!(error, CreateError::LimitReached);
    assert_eq!(count, 3 * LIVES, "each slot but the survivor's has all its lives");
    assert!(old.iter().all(|capability| capability.is_closed()));
    assert!(old.iter().all(|capability| capability.kill() == Ok(())), "it has ended");
    assert!(!survivor.is_dead());
    // Rule L2: whoever links with a group that is gone dies.
    old[0].link(&survivor).unwrap();
    assert!(survivor.is_dead());
}

/// Rules O2 and K2: no route is taken for an earlier one.
#[test]
fn routes() {
    let office = fixed();
    let (group, table) = (office.create_group().unwrap(), office.create_table().unwrap());
    let mut old = Vec::new();
    let (count, error) = until_refused(|| {
        let mut mailbox = group.create_mailbox_with(&table, no_share())?;
        let capability = mailbox.capability(Permissions::all());
        capability.send(b"mine", &[]).unwrap();
        assert_eq!(data(&mut mailbox), b"mine");
        for gone in &old {
            let gone: &flue_core::Capability = gone;
            assert_eq!(gone.send(b"late", &[]), Err(SendError::Closed));
            assert!(!gone.same_route(&capability));
        }
        assert_eq!(mailbox.len(), 0);
        old.push(capability);
        Ok::<_, CreateError>(())
    });
    assert_eq!((count, error), (4 * LIVES, CreateError::LimitReached));
    assert!(!group.is_dead());
    assert_eq!(office.stats().routes, 0);
    assert_eq!(old[0].kill(), Err(TableError::Closed));
}

/// Rule K7: a monitor of a route whose slot is spent tells that it is gone.
#[test]
fn a_spent_route_is_watched() {
    let office = fixed();
    let (group, table) = (office.create_group().unwrap(), office.create_table().unwrap());
    let mut observer = group.create_mailbox_with(&table, no_share()).unwrap();
    let mut last = None;
    let (count, _) = until_refused(|| {
        let watched = group.create_mailbox_with(&table, no_share())?;
        last = Some(watched.capability(Permissions::MONITOR));
        Ok::<_, CreateError>(())
    });
    assert_eq!(count, 3 * LIVES);
    let id = last.unwrap().monitor(&observer).unwrap();
    assert_eq!(down(&mut observer), (id, DownReason::Gone));
}

/// Rule L1: links come to an end, clearly, and kill nobody after.
#[test]
fn links() {
    let office = fixed();
    let (a, b) = (office.create_group().unwrap(), office.create_group().unwrap());
    let (count, error) = until_refused(|| {
        a.link(&b)?;
        assert_eq!(a.unlink(&b), Ok(true));
        Ok(())
    });
    assert_eq!((count, error), (3 * LIVES, TableError::LimitReached));
    assert_eq!(a.unlink(&b), Ok(false));
    a.kill();
    assert!(!b.is_dead(), "a link that was cut");
}

/// In the heap, too, and memory that was given back does not begin anew.
#[test]
fn links_in_the_heap() {
    let office = PostOffice::new();
    let (a, b) = (office.create_group().unwrap(), office.create_group().unwrap());
    let most = if cfg!(flue_word = "16") { ENOUGH } else { 300 };
    let mut count = 0;
    let refused = (0..most).find_map(|_| {
        if let Err(error) = a.link(&b) {
            return Some(error);
        }
        count += 1;
        assert_eq!(b.unlink(&a), Ok(true));
        office.reclaim();
        None
    });
    println!("{count} links, then {refused:?}");
    assert_eq!(refused, cfg!(flue_word = "16").then_some(TableError::LimitReached));
    if refused.is_none() {
        a.link(&b).unwrap();
    }
    a.kill();
    assert_eq!(b.is_dead(), refused.is_none());
}

/// What has no generation has no end.
#[test]
fn what_does_not_end() {
    let office = fixed();
    let (_group, table, mut mailbox) = mailbox(&office);
    let to = mailbox.export(Permissions::all()).unwrap();
    let other = office.create_group().unwrap();
    let watched = other.create_mailbox_with(&table, no_share()).unwrap();
    let watch = watched.capability(Permissions::MONITOR);
    let mut ids = HashSet::new();
    for number in 0..1000_u32 {
        table.send(to, &number.to_le_bytes(), &[]).unwrap();
        assert_eq!(data(&mut mailbox), number.to_le_bytes());
        let id = table.monitor(to, &mailbox).unwrap();
        assert!(ids.insert(id), "a monitor's id again");
        assert!(mailbox.demonitor(id));
        drop(office.create_table().unwrap());
    }
    // The slot that a down's capability would have had was never used.
    assert!(ids.insert(watch.monitor(&mailbox).unwrap()));
}
