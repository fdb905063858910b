//! How much of everything there may be (rule Q1).

/// Limits of a post office. Every one is finite; at a limit an operation is
/// refused before it has any effect. What a call on another thread is ending counts until
/// that call's last steps.
///
/// ```
/// use flue_core::{CreateError, Limits, PostOffice};
///
/// let mut limits = Limits::default();
/// limits.groups = 1;
/// let office = PostOffice::with_limits(limits);
/// let _only = office.create_group()?;
/// assert_eq!(office.create_group().unwrap_err(), CreateError::LimitReached);
/// # Ok::<(), CreateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Groups in the office.
    pub groups: u32,
    /// Tables in the office.
    pub tables: u32,
    /// Message buffers in the office: queued, being received, or kept at hand. A
    /// mailbox keeps the last message's until the next. Of 4,096 and more, tables
    /// that send and mailboxes that receive keep a few, up to 32 each (16 where words
    /// have 32 bits), as long as less than half of all are in use; a mailbox gives its
    /// own back when it finds nothing to receive and there are more, and `reclaim`
    /// empties tables. Where storage grows, one whose message does not fit has a block
    /// besides, which is kept in the same way: of 64-bit words a buffer is 64 bytes, and
    /// a block 96.
    pub messages: u32,
    /// Routes of one group.
    pub routes_per_group: u32,
    /// Tables of one group.
    pub tables_per_group: u32,
    /// Monitors that the mailboxes of one group have set.
    pub monitors_per_group: u32,
    /// Links that one group has asked for.
    pub links_per_group: u32,
    /// Handles of one table, besides what its mailboxes add.
    pub handles_per_table: u32,
    /// Capabilities attached to one message, at most [`MAX_MESSAGE_HANDLES`].
    pub handles_per_message: u32,
    /// Bytes of one message.
    pub bytes_per_message: u32,
}

/// The most capabilities that any message may carry.
///
/// ```
/// # use flue_core::{MAX_MESSAGE_HANDLES, Permissions, PostOffice, SendError};
/// # let group = PostOffice::new().create_group()?;
/// # let table = group.create_table()?;
/// # let mailbox = group.create_mailbox(&table)?;
/// # let to = mailbox.export(Permissions::SEND)?;
/// let refused = table.send(to, b"", &[to; MAX_MESSAGE_HANDLES + 1]);
/// assert_eq!(refused, Err(SendError::TooManyHandles));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub const MAX_MESSAGE_HANDLES: usize = 8;

const WIDE: bool = usize::BITS >= 64;

impl Limits {
    /// The default limits, for a `static`. See
    /// [`StaticPostOffice::with_limits`](crate::StaticPostOffice::with_limits) for an
    /// example.
    pub const DEFAULT: Self = Self {
        groups: if WIDE { 1 << 22 } else { 1 << 10 },
        tables: if WIDE { 1 << 22 } else { 1 << 10 },
        messages: if WIDE { 1 << 22 } else { 1 << 12 },
        routes_per_group: if WIDE { 1 << 20 } else { 1 << 10 },
        tables_per_group: if WIDE { 1 << 16 } else { 1 << 10 },
        monitors_per_group: if WIDE { 1 << 20 } else { 1 << 10 },
        links_per_group: if WIDE { 1 << 20 } else { 1 << 10 },
        handles_per_table: if WIDE { 1 << 20 } else { 1 << 10 },
        handles_per_message: MAX_MESSAGE_HANDLES as u32,
        bytes_per_message: if WIDE { 16 << 20 } else { 1 << 14 },
    };
}

impl Limits {
    /// In how far these are not the default limits; of that, these again.
    pub(crate) const fn difference(self) -> Self {
        let default = Self::DEFAULT;
        Self {
            groups: self.groups ^ default.groups,
            tables: self.tables ^ default.tables,
            messages: self.messages ^ default.messages,
            routes_per_group: self.routes_per_group ^ default.routes_per_group,
            tables_per_group: self.tables_per_group ^ default.tables_per_group,
            monitors_per_group: self.monitors_per_group ^ default.monitors_per_group,
            links_per_group: self.links_per_group ^ default.links_per_group,
            handles_per_table: self.handles_per_table ^ default.handles_per_table,
            handles_per_message: self.handles_per_message ^ default.handles_per_message,
            bytes_per_message: self.bytes_per_message ^ default.bytes_per_message,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Limits of one mailbox (rule S3).
///
/// ```
/// use flue_core::{MailboxLimits, Permissions, PostOffice, SendError};
///
/// let group = PostOffice::new().create_group()?;
/// let table = group.create_table()?;
/// let mut limits = MailboxLimits::default();
/// limits.messages = 1;
/// let mailbox = group.create_mailbox_with(&table, limits)?;
/// let to = mailbox.export(Permissions::SEND)?;
/// table.send(to, b"one", &[])?;
/// assert_eq!(table.send(to, b"two", &[]), Err(SendError::Full));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailboxLimits {
    /// Messages waiting.
    pub messages: u32,
    /// Bytes waiting that are not inline.
    pub bytes: u32,
    /// Capabilities attached to waiting messages, or received and not released.
    /// So many slots are added to the capacity of the mailbox's table.
    pub handles: u32,
    /// Senders waiting for room. With 0 nobody can wait, and a receive is one
    /// locked step cheaper.
    pub waiters: u32,
}

impl MailboxLimits {
    /// The default limits, as [`default`](Self::default) returns them, for a `static`.
    /// See [`MailboxLimits`] for an example of those.
    pub const DEFAULT: Self = Self {
        messages: if WIDE { 1 << 17 } else { 1 << 8 },
        bytes: if WIDE { 64 << 20 } else { 1 << 14 },
        handles: if WIDE { 1 << 10 } else { 4 },
        waiters: if WIDE { 64 } else { 8 },
    };
}

impl Default for MailboxLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a post office holds, each figure counted by itself while others change:
/// a picture for people, not a promise. See
/// [`PostOffice::stats`](crate::PostOffice::stats) for an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Groups living, or dead and still owned.
    pub groups: usize,
    /// Open routes.
    pub routes: usize,
    /// Tables.
    pub tables: usize,
    /// Messages waiting in mailboxes.
    pub messages: usize,
    /// Message buffers taken from the office; see [`Limits::messages`].
    pub buffers: usize,
    /// Blocks taken from the office: those of messages that do not fit into a buffer, or kept at
    /// hand; see [`Limits::messages`].
    pub blocks: usize,
    /// Monitors armed, or fired and not yet received.
    pub monitors: usize,
    /// Links.
    pub links: usize,
    /// Bytes waiting in mailboxes that are not inline.
    pub bytes: usize,
}
