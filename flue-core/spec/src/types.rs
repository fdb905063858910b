//! The values that go into and come out of a [`Spec`](crate::Spec).

/// A route group.
pub type Group = usize;
/// A capability table.
pub type Table = usize;
/// A mailbox, and its one route (rule O3).
pub type Mailbox = usize;
/// A handle. Unlike Flue's it is never reused, in any table; every other number is forged.
pub type Handle = usize;
/// A received signal whose handles were not given back yet.
pub type Guard = usize;
/// A place in the lines of senders that wait for room.
pub type Wait = usize;

/// A set of permissions (rule P1); bits outside [`ALL`] are unknown.
pub type Permissions = u32;
/// May send.
pub const SEND: Permissions = 1 << 0;
/// May monitor.
pub const MONITOR: Permissions = 1 << 1;
/// May kill.
pub const KILL: Permissions = 1 << 2;
/// May link, which is to watch and to kill.
pub const LINK: Permissions = MONITOR | KILL;
/// Every permission.
pub const ALL: Permissions = SEND | MONITOR | KILL;

/// A route and what may be done to it (rule P2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "said above")]
pub struct Capability {
    pub route: Mailbox,
    pub permissions: Permissions,
}

impl Capability {
    /// The same route with fewer permissions, or as many; anything else is refused (rule P2).
    pub fn demote(self, permissions: Permissions) -> Result<Self, TableError> {
        if permissions & !self.permissions != 0 {
            return Err(TableError::PermissionDenied);
        }
        Ok(Self { permissions, ..self })
    }

    /// This capability, if it has the permissions that an operation needs.
    pub(crate) fn with(self, needed: Permissions) -> Result<Self, TableError> {
        self.demote(needed).map(|_| self)
    }
}

/// A message to be sent. [`Spec::outgoing`](crate::Spec::outgoing) looks up a process's handles;
/// the host, who has capabilities, writes them down as `Ok`.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The target.
    pub to: Result<Capability, TableError>,
    /// The attached capabilities.
    pub attach: Vec<Result<Capability, TableError>>,
    /// The bytes.
    pub data: Vec<u8>,
    /// Whether the bytes are an owned payload, as in `send_payload`: never inline (rule S3).
    pub owned: bool,
}

/// What a receiver is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A message with these bytes.
    Message(Vec<u8>),
    /// A monitored route is over: the monitor's number in its mailbox (rule K7), and why.
    Down(u64, DownReason),
}

/// A guard's content (rule R2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The mailbox it came through.
    pub mailbox: Mailbox,
    /// The signal.
    pub signal: Signal,
    /// The handles that were not taken; a down has one, without permissions (rule K5).
    pub handles: Vec<Handle>,
}

/// A waker that an operation had to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The one that `poll_ready` or `poll_recv` left at a mailbox.
    Receiver(Mailbox),
    /// The one that `poll_send` left in a line.
    Sender(Wait),
}

/// What an office holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after what it counts")]
pub struct Stats {
    pub groups: usize,
    pub tables: usize,
    pub routes: usize,
    pub messages: usize,
    pub monitors: usize,
    pub links: usize,
    pub bytes: usize,
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $default:expr,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is named after what it bounds")]
        pub struct $name { $(pub $field: u32),* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }
    )*};
}

limits! {
    /// Limits of a post office (rule Q1); zero is legal everywhere.
    Limits {
        groups: 1 << 22, tables: 1 << 22, messages: 1 << 22,
        routes_per_group: 1 << 20, tables_per_group: 1 << 16, monitors_per_group: 1 << 20, links_per_group: 1 << 20,
        handles_per_table: 1 << 20, handles_per_message: 8, bytes_per_message: 16 << 20,
    }
    /// Limits of a mailbox (rule S3); zero is legal everywhere.
    MailboxLimits { messages: 1 << 17, bytes: 64 << 20, handles: 1024, waiters: 64, }
}

macro_rules! verdicts {
    ($($(#[$doc:meta])* $name:ident { $($verdict:tt)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each means what flue-core says of it")]
        pub enum $name { $($verdict)* }
    )*};
}

verdicts! {
    /// Why an operation on a table, a group or a capability was refused.
    TableError { InvalidHandle, PermissionDenied, Dead, Closed, Full, LimitReached }
    /// Why a message was not accepted.
    SendError { InvalidHandle, InvalidAttachment { index: usize }, PermissionDenied, Dead, Closed, Full, TooLarge, TooManyHandles }
    /// Why a group, table or mailbox was not created.
    CreateError { Dead, LimitReached, TableMismatch }
    /// Why nothing was received.
    TryRecvError { Empty, Dead }
    /// Why a monitored route is over.
    DownReason { Closed, Killed, Gone }
}
