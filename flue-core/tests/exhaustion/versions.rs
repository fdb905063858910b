//! Rule O2: what is kept for so long that a version in a word of 32 bits comes round.

use super::common::*;
use flue_core::{MailboxLimits, Permissions, SendError, StaticPostOffice};

/// Lives of a route after which 16 bits of its generation are the same again.
const ROUND: usize = 1 << 15;

/// A handle that came to a mailbox which is long gone is released: the room for capabilities of
/// the mailbox in its place is that one's.
#[test]
fn shares_of_a_mailbox_long_gone() {
    type Office = StaticPostOffice<1, 4, 64>;
    let office: &'static Office = Box::leak(Box::new(Office::new()));
    let office = office.office();
    let group = office.create_group().unwrap();
    let table = office.create_table().unwrap();
    let mut limits = MailboxLimits::default();
    limits.handles = 1;
    let mut receive = |mailbox: &mut flue_core::Mailbox| {
        let to = mailbox.capability(Permissions::SEND);
        to.send(b"", &[&to]).unwrap();
        let handle = owned(mailbox).take_handles().next().unwrap();
        assert_eq!(to.send(b"", &[&to]), Err(SendError::Full), "it hoards");
        handle
    };
    let mut first = group.create_mailbox_with(&table, limits).unwrap();
    let kept = receive(&mut first);
    drop(first);
    for _ in 1..ROUND {
        drop(group.create_mailbox_with(&table, limits).unwrap());
    }
    let mut last = group.create_mailbox_with(&table, limits).unwrap();
    let _ = receive(&mut last);
    table.release(kept).unwrap();
    let to = last.capability(Permissions::SEND);
    assert_eq!(to.send(b"", &[&to]), Err(SendError::Full), "another's room was given back");
}
