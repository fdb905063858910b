//! What each target is made of: how its offices start, and which operations it draws from. One
//! that stands there more often is drawn more often.

use arbitrary::Result;
use flue_spec::Limits;

use crate::decode::{Bytes, Manners, Verb};
use crate::op::{SMALL, Setup};
use crate::verbs;

/// One target.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is named after what it is")]
pub struct Target {
    pub name: &'static str,
    pub setup: fn(&mut Bytes<'_>) -> Result<Setup>,
    pub manners: Manners,
    pub verbs: &'static [Verb],
}

/// All that compare with the specification, operation by operation.
pub const ALL: [&Target; 7] = [&TABLE, &OFFICE, &MAILBOX, &LINKS, &MONITORS, &FORGED, &LIMITS];

/// See `fuzz_targets/table.rs`.
pub const TABLE: Target = Target {
    name: "table",
    setup: |bytes| bytes.setup(Limits { handles_per_table: 8, ..SMALL }),
    manners: Manners::Usual,
    verbs: &[
        verbs::export,
        verbs::export,
        verbs::capability,
        verbs::copy,
        verbs::demote_capability,
        verbs::drop_capability,
        verbs::insert,
        verbs::insert,
        verbs::same_route,
        verbs::demote,
        verbs::demote,
        verbs::retain,
        verbs::release,
        verbs::release,
        verbs::release,
        verbs::send,
        verbs::receive,
        verbs::take_owned,
        verbs::drop_owned,
        verbs::create_table,
        verbs::create_group_table,
        verbs::clone_table,
        verbs::drop_table,
        verbs::create_mailbox,
        verbs::close_mailbox,
        verbs::kill_group,
        verbs::reclaim,
    ],
};

/// See `fuzz_targets/office.rs`.
pub const OFFICE: Target = Target {
    name: "office",
    setup: |bytes| bytes.setup(SMALL),
    manners: Manners::Usual,
    verbs: EVERY,
};

/// See `fuzz_targets/mailbox.rs`.
pub const MAILBOX: Target = Target {
    name: "mailbox",
    setup: |bytes| {
        bytes.setup(Limits { bytes_per_message: 1 << 10, handles_per_message: 8, ..SMALL })
    },
    manners: Manners::Usual,
    verbs: &[
        verbs::send,
        verbs::send,
        verbs::send,
        verbs::poll_send,
        verbs::poll_send,
        verbs::poll_send_again,
        verbs::drop_wait,
        verbs::poll_ready,
        verbs::receive,
        verbs::receive,
        verbs::receive,
        verbs::take_owned,
        verbs::drop_owned,
        verbs::release,
        verbs::insert,
        verbs::create_mailbox,
        verbs::close_mailbox,
        verbs::kill,
    ],
};

/// See `fuzz_targets/links.rs`.
pub const LINKS: Target = Target {
    name: "links",
    setup: |bytes| bytes.setup(Limits { groups: 12, tables: 12, links_per_group: 4, ..SMALL }),
    manners: Manners::Usual,
    verbs: &[
        verbs::link_groups,
        verbs::link_groups,
        verbs::link_groups,
        verbs::link,
        verbs::link,
        verbs::unlink,
        verbs::unlink_groups,
        verbs::kill,
        verbs::kill_group,
        verbs::create_group,
        verbs::create_group,
        verbs::create_group_table,
        verbs::create_mailbox,
        verbs::capability,
        verbs::insert,
        verbs::clone_group,
        verbs::drop_group,
        verbs::drop_table,
        verbs::close_mailbox,
        verbs::monitor,
        verbs::receive,
        verbs::reclaim,
    ],
};

/// See `fuzz_targets/monitors.rs`.
pub const MONITORS: Target = Target {
    name: "monitors",
    setup: |bytes| bytes.setup(Limits { monitors_per_group: 5, handles_per_table: 8, ..SMALL }),
    manners: Manners::Usual,
    verbs: &[
        verbs::monitor,
        verbs::monitor,
        verbs::monitor,
        verbs::monitor,
        verbs::demonitor,
        verbs::demonitor,
        verbs::receive,
        verbs::receive,
        verbs::poll_ready,
        verbs::take_owned,
        verbs::drop_owned,
        verbs::close_mailbox,
        verbs::kill,
        verbs::kill_group,
        verbs::link_groups,
        verbs::send,
        verbs::release,
        verbs::create_group,
        verbs::create_group_table,
        verbs::create_mailbox,
        verbs::capability,
        verbs::insert,
        verbs::drop_group,
        verbs::drop_table,
        verbs::reclaim,
    ],
};

/// See `fuzz_targets/forged.rs`.
pub const FORGED: Target = Target {
    name: "forged",
    setup: |bytes| bytes.setup(SMALL),
    manners: Manners::Hostile,
    verbs: EVERY,
};

/// See `fuzz_targets/limits.rs`.
pub const LIMITS: Target = Target {
    name: "limits",
    setup: |bytes| {
        let limits = bytes.limits()?;
        bytes.setup(limits)
    },
    manners: Manners::Usual,
    verbs: EVERY,
};

/// What may happen while a guard lives: anything but another receive.
pub const MEANWHILE: &[Verb] = EVERY.split_at(EVERY.len() - 4).0;

/// Every operation; the receives last.
const EVERY: &[Verb] = &[
    verbs::create_group,
    verbs::create_table,
    verbs::create_group_table,
    verbs::create_mailbox,
    verbs::create_mailbox,
    verbs::clone_group,
    verbs::drop_group,
    verbs::clone_table,
    verbs::drop_table,
    verbs::close_mailbox,
    verbs::export,
    verbs::capability,
    verbs::copy,
    verbs::demote_capability,
    verbs::drop_capability,
    verbs::insert,
    verbs::insert,
    verbs::same_route,
    verbs::demote,
    verbs::retain,
    verbs::release,
    verbs::release,
    verbs::send,
    verbs::send,
    verbs::send,
    verbs::send,
    verbs::poll_send,
    verbs::poll_send_again,
    verbs::drop_wait,
    verbs::poll_ready,
    verbs::take_owned,
    verbs::drop_owned,
    verbs::kill,
    verbs::kill_group,
    verbs::monitor,
    verbs::monitor,
    verbs::demonitor,
    verbs::link,
    verbs::link_groups,
    verbs::unlink,
    verbs::unlink_groups,
    verbs::mix,
    verbs::reclaim,
    verbs::receive,
    verbs::receive,
    verbs::receive,
    verbs::receive,
];
