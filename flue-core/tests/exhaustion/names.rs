//! Rules Q1 and O2: every slot that the words of this build can name, in use at once.

use super::common::*;
use flue_core::{
    Capability, CreateError, Limits, Mailbox, MailboxLimits, Permissions, PostOffice, SendError,
    TableError,
};

/// Half of what a word has names for.
const MESSAGES: usize = if cfg!(flue_word = "16") { 31 } else { (1 << 13) - 1 };
const RECORDS: usize = if cfg!(flue_word = "16") { 15 } else { (1 << 12) - 1 };

/// No limits but those of the words.
fn office() -> PostOffice {
    let mut limits = Limits::default();
    limits.messages = u32::MAX;
    limits.handles_per_table = u32::MAX;
    limits.links_per_group = u32::MAX;
    limits.monitors_per_group = u32::MAX;
    PostOffice::with_limits(limits)
}

fn boundless(handles: u32) -> MailboxLimits {
    limits(u32::MAX, u32::MAX, handles)
}

/// So many mailboxes, and a capability to each.
fn routes(office: &PostOffice, count: usize) -> Vec<(Mailbox, Capability)> {
    let (group, table) = (office.create_group().unwrap(), office.create_table().unwrap());
    let mailbox = |_| {
        let mailbox = group.create_mailbox_with(&table, boundless(0)).unwrap();
        let capability = mailbox.capability(Permissions::all());
        (mailbox, capability)
    };
    (0..count).map(mailbox).collect()
}

#[test]
fn messages() {
    let office = office();
    let (group, table) = (office.create_group().unwrap(), office.create_table().unwrap());
    let mut ways: Vec<_> = (0..3)
        .map(|_| {
            let mailbox = group.create_mailbox_with(&table, boundless(0)).unwrap();
            let capability = mailbox.capability(Permissions::SEND);
            (mailbox, capability, 0_u32, 0_u32)
        })
        .collect();
    for round in 0..4 {
        let mut waiting = 0;
        'full: loop {
            for (_, to, sent, _) in &mut ways {
                match to.send(&sent.to_le_bytes(), &[]) {
                    Ok(()) => (*sent, waiting) = (*sent + 1, waiting + 1),
                    Err(error) => {
                        assert_eq!(error, SendError::Full);
                        break 'full;
                    }
                }
            }
            assert!(waiting <= MESSAGES, "more than there are names for");
        }
        // The receivers have a few in hand to give back.
        assert!(waiting + 200 > MESSAGES || cfg!(flue_word = "16"), "{waiting} in round {round}");
        for (mailbox, _, sent, received) in &mut ways {
            while received < sent {
                assert_eq!(data(mailbox), received.to_le_bytes(), "another's message");
                *received += 1;
            }
            assert_empty(mailbox);
        }
    }
}

#[test]
fn monitors() {
    let office = office();
    let watched = routes(&office, RECORDS + 1);
    let mut observers: Vec<_> = (0..4).map(|_| process_with(&office, boundless(0))).collect();
    for _ in 0..2 {
        let mut armed = 0;
        let refused = watched.iter().enumerate().find_map(|(at, (_, watch))| {
            let set = watch.monitor(&observers[at % 4].mailbox);
            armed += usize::from(set.is_ok());
            set.err()
        });
        let most = if cfg!(flue_word = "16") { armed } else { RECORDS };
        assert_eq!((armed, refused.is_some()), (most, true));
        assert!(armed > 0);
        assert!(matches!(refused, Some(TableError::LimitReached | TableError::Full)));
        for observer in &mut observers {
            let group = observer.group.clone();
            *observer = process_with(&office, boundless(0));
            assert!(!group.is_dead());
        }
        assert_eq!(office.stats().monitors, 0);
    }
}

#[test]
fn links() {
    let office = office();
    let hubs = [office.create_group().unwrap(), office.create_group().unwrap()];
    let groups: Vec<_> = (0..=RECORDS).map(|_| office.create_group().unwrap()).collect();
    let refused = groups.iter().enumerate().map(|(at, group)| hubs[at % 2].link(group));
    let refused: Vec<_> = refused.collect();
    let linked = refused.iter().filter(|linked| linked.is_ok()).count();
    assert_eq!(linked, RECORDS);
    assert_eq!(refused[RECORDS], Err(TableError::LimitReached));
    hubs[0].kill();
    for (at, group) in groups.iter().enumerate() {
        assert_eq!(group.is_dead(), at % 2 == 0 && refused[at].is_ok(), "{at}");
    }
}

#[test]
fn handles() {
    let office = office();
    let routes = routes(&office, RECORDS + 1);
    let table = office.create_table().unwrap();
    for _ in 0..3 {
        let mut handles = Vec::new();
        let refused = routes.iter().find_map(|(_, capability)| {
            table.insert(capability).map(|handle| handles.push(handle)).err()
        });
        assert_eq!(refused, Some(TableError::Full));
        assert_eq!(handles.len(), table.capacity(), "what the table says it has");
        for (handle, (_, capability)) in handles.iter().zip(&routes) {
            assert!(table.capability(*handle).unwrap() == *capability, "another's");
        }
        // In another order than they came.
        for handle in handles.iter().step_by(2).chain(handles.iter().skip(1).step_by(2)) {
            table.release(*handle).unwrap();
        }
        assert!(table.is_empty());
    }
}

/// The shares of mailboxes are a part of what a table can name.
#[test]
fn shares() {
    let office = office();
    let (group, table) = (office.create_group().unwrap(), office.create_table().unwrap());
    let before = table.capacity();
    let greedy = group.create_mailbox_with(&table, boundless(u32::MAX));
    assert!(matches!(greedy, Err(CreateError::LimitReached)), "{greedy:?}");
    let share = (RECORDS - before) as u32;
    let mut mailbox = group.create_mailbox_with(&table, boundless(share)).unwrap();
    assert_eq!(table.capacity(), RECORDS);
    let one_more = group.create_mailbox_with(&table, boundless(1));
    assert!(matches!(one_more, Err(CreateError::LimitReached)), "{one_more:?}");
    // All of it is there: what was accepted is received.
    let to = mailbox.capability(Permissions::SEND);
    let routes = routes(&office, RECORDS + 1);
    let mut kept = Vec::new();
    let refused = routes.iter().find_map(|(_, attached)| {
        if let Err(error) = to.send(b"", &[attached]) {
            return Some(error);
        }
        let message = owned(&mut mailbox);
        assert!(table.capability(message.handles()[0]).unwrap() == *attached, "another's");
        kept.push(message);
        None
    });
    assert_eq!((kept.len(), refused), (share as usize, Some(SendError::Full)));
}
