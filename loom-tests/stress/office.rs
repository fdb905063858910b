//! The post office of a run, and processes in it.

use flue_core::{
    Handle, Mailbox, MailboxLimits, Permissions, PostOffice, RouteGroup, Stats, Table,
};

/// Whether the office is one that grows; else it lies in a `static`.
pub const GROWS: bool = cfg!(feature = "alloc");
/// Which build of flue-core this is.
pub const KIND: &str = match (cfg!(feature = "std"), GROWS) {
    (true, _) => "std",
    (false, true) => "alloc",
    (false, false) => "static",
};

/// Handles of a table's own.
const HANDLES: u32 = 48;

#[cfg(not(feature = "alloc"))]
static STORAGE: flue_core::StaticPostOffice<32, 96, 512, 32, 32, 128, 64, 32> = {
    let mut limits = flue_core::Limits::DEFAULT;
    limits.handles_per_table = HANDLES;
    flue_core::StaticPostOffice::with_limits(limits)
};

/// An office with nothing in it.
pub fn empty() -> PostOffice {
    #[cfg(not(feature = "alloc"))]
    let office = STORAGE.office();
    #[cfg(feature = "alloc")]
    let office = {
        let mut limits = flue_core::Limits::default();
        limits.handles_per_table = HANDLES;
        PostOffice::with_limits(limits)
    };
    assert_eq!(office.stats(), Stats::default(), "something was left in it");
    office
}

/// Limits of a mailbox for so many messages.
pub fn limits(messages: u32) -> MailboxLimits {
    let mut limits = MailboxLimits::default();
    limits.messages = messages;
    limits.bytes = 1 << 20;
    limits.handles = 24;
    limits.waiters = 16;
    limits
}

/// Limits of a mailbox that is never sent to: it adds nothing to its table.
pub fn unused_limits() -> MailboxLimits {
    let mut limits = limits(0);
    limits.handles = 0;
    limits
}

/// A group, a table that dies with it, a mailbox.
pub struct Process {
    pub group: RouteGroup,
    pub table: Table,
    pub mailbox: Mailbox,
}

impl Process {
    pub fn new(office: &PostOffice, messages: u32) -> Self {
        Self::try_new(office, messages).expect("there is room for a process")
    }

    pub fn try_new(office: &PostOffice, messages: u32) -> Result<Self, flue_core::CreateError> {
        let group = office.create_group()?;
        let table = group.create_table()?;
        let mailbox = group.create_mailbox_with(&table, limits(messages))?;
        Ok(Self { group, table, mailbox })
    }

    /// A handle to this process in somebody's table.
    pub fn in_table(&self, table: &Table, permissions: Permissions) -> Handle {
        table.insert(&self.mailbox.capability(permissions)).expect("there is room in the table")
    }
}
