//! Rules S1 and Q1: message buffers that are in nobody's queue are there for everybody.
#![cfg(feature = "std")]

mod common;

use common::*;
use flue_core::{Limits, Permissions, PostOffice, SendError, StaticPostOffice};

fn with_buffers(messages: u32) -> PostOffice {
    let mut all = Limits::default();
    all.messages = messages;
    PostOffice::with_limits(all)
}

fn fixed() -> PostOffice {
    static OFFICE: StaticPostOffice<2, 4, 4> = StaticPostOffice::new();
    OFFICE.office()
}

/// Rule S1: where there are few, a receiver that never waits gives each back, so that no send
/// is `Full` but for messages that wait.
#[test]
fn few_come_back_at_once() {
    for office in [with_buffers(4), fixed()] {
        let mut both = [(); 2].map(|()| process_with(&office, limits(4, 0, 0)));
        let to = both.each_ref().map(|process| process.mailbox.export(Permissions::SEND).unwrap());
        for round in 0..1000_u32 {
            for (process, to) in both.iter_mut().zip(to) {
                process.table.send(to, &round.to_le_bytes(), &[]).unwrap();
                assert_eq!(data(&mut process.mailbox), round.to_le_bytes());
            }
        }
        // Each mailbox has the last message's buffer; two are left.
        both[0].table.send(to[0], b"1", &[]).unwrap();
        both[0].table.send(to[0], b"2", &[]).unwrap();
        assert_eq!(both[0].table.send(to[0], b"3", &[]), Err(SendError::Full));
        assert_eq!(both[1].table.send(to[1], b"3", &[]), Err(SendError::Full));
        assert_eq!(office.stats().buffers, 4);
        assert!(!both[0].mailbox.is_empty() && both[1].mailbox.is_empty());
    }
}

/// Rules S1 and Q1: nor is one `Full` for want of a block, as long as there is a buffer.
#[test]
fn blocks_come_back_at_once() {
    let office = with_buffers(4);
    let mut both = [(); 2].map(|()| process_with(&office, limits(4, 0, 1)));
    let to = both.each_ref().map(|process| process.mailbox.export(Permissions::SEND).unwrap());
    for round in 0..1000_u32 {
        for (process, to) in both.iter_mut().zip(to) {
            let bytes = round.to_le_bytes().repeat(20);
            process.table.send(to, &bytes, &[to][..(round % 2) as usize]).unwrap();
            assert_eq!(data(&mut process.mailbox), bytes);
            assert_eq!(office.stats().blocks, 0);
        }
    }
    both[0].table.send(to[0], &[1; 80], &[]).unwrap();
    both[0].table.send(to[0], &[2; 80], &[]).unwrap();
    assert_eq!(both[0].table.send(to[0], &[3; 80], &[]), Err(SendError::Full));
    assert_eq!((office.stats().buffers, office.stats().blocks), (4, 2));
    // A guard has the block as long as it has the message, and a queue that is dropped none.
    let guard = both[0].mailbox.try_recv().unwrap();
    assert_eq!(office.stats().blocks, 2);
    drop(guard);
    assert_eq!(office.stats().blocks, 1);
    drop(both);
    assert_eq!((office.stats().buffers, office.stats().blocks), (0, 0));
}

/// Rule Q1: where there are many, receivers keep some at hand; who finds nothing to receive
/// gives them back as soon as they are scarce.
#[test]
fn many_come_back_when_they_are_scarce() {
    const BUFFERS: u32 = 4096;
    let office = with_buffers(BUFFERS);
    let mut all: Vec<_> = (0..128).map(|_| process_with(&office, limits(100, 0, 0))).collect();
    for process in &mut all {
        let to = process.mailbox.capability(Permissions::SEND);
        for number in 0..31_u8 {
            to.send(&[number], &[]).unwrap();
        }
        for number in 0..31_u8 {
            assert_eq!(data(&mut process.mailbox), [number]);
        }
        assert_empty(&mut process.mailbox);
    }
    all.iter_mut().for_each(|process| assert_empty(&mut process.mailbox));
    let one = process_with(&office, limits(BUFFERS, 0, 0));
    let to = one.mailbox.capability(Permissions::SEND);
    // The others have no more than half of them, and theirs of the last message.
    let sent = (0..BUFFERS).take_while(|_| to.send(b"", &[]).is_ok()).count() as u32;
    assert!(sent >= BUFFERS / 2 - 128, "{sent}");
    // While they look for work they give back what they have.
    all.iter_mut().for_each(|process| assert_empty(&mut process.mailbox));
    let more = (0..BUFFERS).take_while(|_| to.send(b"", &[]).is_ok()).count() as u32;
    assert_eq!(sent + more, BUFFERS - 128);
}

/// Rule Q1: tables that sent and stopped keep some at hand, but no more than half of all; and
/// `reclaim` empties their magazines.
#[test]
fn tables_leave_some_to_others() {
    const BUFFERS: u32 = 4096;
    let office = with_buffers(BUFFERS);
    let mut sink = process_with(&office, limits(100, 0, 0));
    let to = sink.mailbox.capability(Permissions::SEND);
    let senders: Vec<_> = (0..300).map(|_| process_with(&office, limits(1, 0, 0))).collect();
    for Process { table, .. } in &senders {
        let to = table.insert(&to).unwrap();
        for number in 0..64_u8 {
            table.send(to, &[number], &[]).unwrap();
        }
        for number in 0..64_u8 {
            assert_eq!(data(&mut sink.mailbox), [number]);
        }
    }
    let one = process_with(&office, limits(BUFFERS, 0, 0));
    let to = one.mailbox.export(Permissions::SEND).unwrap();
    let fill = || (0..BUFFERS).take_while(|_| one.table.send(to, b"", &[]).is_ok()).count() as u32;
    let sent = fill();
    assert!(sent >= BUFFERS / 2 - 64, "{sent}");
    assert_empty(&mut sink.mailbox);
    office.reclaim();
    // The last message's buffer is the sink's.
    assert_eq!(sent + fill(), BUFFERS - 1);
}

/// Rule Q1: as both of the above, of blocks.
#[test]
fn kept_blocks_come_back_when_they_are_scarce() {
    const BUFFERS: u32 = 4096;
    let office = with_buffers(BUFFERS);
    let mut all: Vec<_> = (0..128).map(|_| process_with(&office, limits(100, 0, 0))).collect();
    for Process { table, mailbox, .. } in &mut all {
        let to = mailbox.export(Permissions::SEND).unwrap();
        for number in 0..31_u8 {
            table.send(to, &[number; 80], &[]).unwrap();
        }
        for number in 0..31_u8 {
            assert_eq!(data(mailbox), [number; 80]);
        }
        assert_empty(mailbox);
    }
    let kept = office.stats().blocks as u32;
    assert!((1000..=BUFFERS / 2 + 128).contains(&kept), "{kept}");
    let one = process_with(&office, limits(BUFFERS, 0, 0));
    let to = one.mailbox.capability(Permissions::SEND);
    let fill = || (0..BUFFERS).take_while(|_| to.send(&[7; 80], &[]).is_ok()).count() as u32;
    let sent = fill();
    assert!(sent >= BUFFERS / 2 - 128, "{sent}");
    all.iter_mut().for_each(|process| assert_empty(&mut process.mailbox));
    office.reclaim();
    // Of the nodes each mailbox has the last message's.
    assert_eq!(sent + fill(), BUFFERS - 128);
    assert_eq!(office.stats().blocks as u32, BUFFERS - 128);
    drop((all, one));
    office.reclaim();
    assert_eq!((office.stats().buffers, office.stats().blocks), (0, 0));
}

/// Rule O1: a static post office has no memory to give back.
#[test]
fn reclaiming_a_static_office_changes_nothing() {
    static OFFICE: StaticPostOffice<2, 0, 4> = StaticPostOffice::new();
    let office = OFFICE.office();
    let group = office.create_group().unwrap();
    let table = office.create_table().unwrap();
    let mut small = limits(4, 0, 0);
    small.waiters = 0;
    let mut mailbox = group.create_mailbox_with(&table, small).unwrap();
    office.reclaim();
    mailbox.capability(Permissions::SEND).send(b"still here", &[]).unwrap();
    assert_eq!(data(&mut mailbox), b"still here");
    office.reclaim();
    drop((mailbox, table, group));
    office.reclaim();
    assert_eq!(office.stats(), flue_core::Stats::default());
}
