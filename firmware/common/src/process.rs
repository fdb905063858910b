//! A process of the images: what Flue supplies for it, in one value.

use flue_core::{
    CreateError, Handle, Limits, Mailbox, MailboxLimits, Permissions, PostOffice, RouteGroup, Table,
};

/// A group, a table that dies with it, and a mailbox.
pub struct Process {
    pub group: RouteGroup,
    pub table: Table,
    pub mailbox: Mailbox,
}

impl Process {
    /// A process whose mailbox holds `messages` messages and, in them, `handles` attached capabilities.
    pub fn new(office: &PostOffice, messages: u32, handles: u32) -> Result<Process, CreateError> {
        let group = office.create_group()?;
        let table = group.create_table()?;
        let mailbox = group.create_mailbox_with(&table, limits(messages, handles))?;
        Ok(Process { group, table, mailbox })
    }

    /// Gives this process a capability to `other`, as the host does with a process's first ones.
    pub fn meet(&self, other: &Process, permissions: Permissions) -> Handle {
        self.table.insert(&other.mailbox.capability(permissions)).unwrap()
    }
}

/// Small limits for a machine with little memory.
pub fn limits(messages: u32, handles: u32) -> MailboxLimits {
    let mut limits = MailboxLimits::default();
    limits.messages = messages;
    limits.bytes = 4096;
    limits.handles = handles;
    limits.waiters = 4;
    limits
}

/// Limits of a static office whose tables have `handles` slots of their own; the rest of the storage's is for what
/// comes in messages.
pub const fn own_handles(handles: u32) -> Limits {
    let mut limits = Limits::DEFAULT;
    limits.handles_per_table = handles;
    limits
}

/// Every permission there is.
pub const EVERYTHING: Permissions = Permissions::all();
