//! The limits of the office, and the most memory that they promise.

use flue_core::{Limits, MailboxLimits};

/// Honest processes.
pub const HONEST: usize = 63;

/// Limits of the office.
pub fn office() -> Limits {
    let mut limits = Limits::default();
    limits.groups = 192;
    limits.tables = 192;
    limits.messages = 1 << 14;
    limits.routes_per_group = 16;
    limits.tables_per_group = 12;
    limits.monitors_per_group = 40;
    limits.links_per_group = 8;
    limits.handles_per_table = 256;
    limits.handles_per_message = 4;
    limits.bytes_per_message = 4096;
    limits
}

fn mailbox(messages: u32, bytes: u32, handles: u32) -> MailboxLimits {
    let mut limits = MailboxLimits::default();
    (limits.messages, limits.bytes, limits.handles) = (messages, bytes, handles);
    limits.waiters = 4;
    limits
}

/// Limits of an honest process's own mailbox.
pub fn main_mailbox() -> MailboxLimits {
    mailbox(64, 0, 0)
}

/// Limits of the mailbox that a service has for the hostile process.
pub fn guest_mailbox() -> MailboxLimits {
    mailbox(32, 8192, 32)
}

/// Limits of the hostile process's inbox, and of the one that it fills by itself.
pub fn hostile_mailbox() -> MailboxLimits {
    mailbox(64, 8192, 128)
}

/// Limits of each of the many mailboxes that the hostile process makes.
pub fn small_mailbox() -> MailboxLimits {
    mailbox(4, 0, 4)
}

/// The bytes that the guide says one object has.
fn documented(guide: &str, name: &str) -> usize {
    let row = guide
        .split_once("<!-- heap -->")
        .and_then(|(_, table)| table.split_once("<!-- end -->"))
        .and_then(|(table, _)| table.lines().find(|row| row.contains(&format!("| {name} |"))));
    let cell = row.and_then(|row| row.split('|').nth(2));
    let bytes = cell.and_then(|cell| cell.trim().parse().ok());
    bytes.unwrap_or_else(|| panic!("the guide has no size of {name}"))
}

/// The most bytes that the office may ever have, by its limits: as many of each
/// kind of object as there may be, all at once, with all bytes that may wait.
pub fn bytes(guide: &str) -> usize {
    let each = |name: &str| documented(guide, name);
    let limits = office();
    let count = |limit: u32| limit as usize;
    let (groups, tables) = (count(limits.groups), count(limits.tables));
    // Who has how many mailboxes: each honest process its own and a guest's, whose
    // group, while it is dead, may lie beside the next one; the hostile process two
    // and as many as fit in the groups that are left.
    let small = (groups - HONEST) * count(limits.routes_per_group);
    let mailboxes = [
        (HONEST, main_mailbox()),
        (HONEST * 2, guest_mailbox()),
        (2, hostile_mailbox()),
        (small, small_mailbox()),
    ];
    let sum = |of: fn(&MailboxLimits) -> u32| -> usize {
        mailboxes.iter().map(|(number, limits)| number * of(limits) as usize).sum()
    };
    each("the office")
        + groups * each("a group")
        + tables * each("a table, with 4 handles")
        + (tables * count(limits.handles_per_table) + sum(|limits| limits.handles))
            * each("a handle beyond those")
        + sum(|_| 1) * each("a mailbox")
        + count(limits.messages) * each("a message in a block")
        + groups * count(limits.monitors_per_group) * each("a monitor")
        + groups * count(limits.links_per_group) * each("a link")
        + sum(|limits| limits.waiters) * each("a waiting sender")
        + sum(|limits| limits.bytes)
}
