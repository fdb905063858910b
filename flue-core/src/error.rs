//! Why an operation was refused. Nothing has happened where one of these is
//! returned, and each says whose fault it was.

use crate::payload::Payload;
use core::error::Error;
use core::fmt;

macro_rules! errors {
    ($($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)* })
            }
        }

        impl Error for $name {}
    )*};
}

errors! {
    /// Why a table, or a capability, would not do what was asked.
    ///
    /// ```
    /// use flue_core::{Handle, PostOffice, TableError};
    ///
    /// let office = PostOffice::new();
    /// let table = office.create_table()?;
    /// let forged = Handle::from_raw(0x1_0000_0000).unwrap();
    /// assert_eq!(table.release(forged), Err(TableError::InvalidHandle));
    /// # Ok::<(), flue_core::CreateError>(())
    /// ```
    #[non_exhaustive]
    TableError {
        /// The handle names nothing in this table. The caller's fault.
        InvalidHandle = "the handle names no capability of this table",
        /// The capability does not permit it. The caller's fault.
        PermissionDenied = "the capability does not permit this",
        /// Objects of two post offices were used together. The host's fault.
        PostOfficeMismatch = "the objects belong to different post offices",
        /// The group that this was asked for, or on behalf of, is dead.
        Dead = "the group is dead",
        /// The route is closed, though its group lives.
        Closed = "the route is closed",
        /// The table has no slot left of its own.
        Full = "the table is full",
        /// A count or a limit of the group is at its maximum.
        LimitReached = "a limit was reached",
        /// The allocator had nothing.
        OutOfMemory = "out of memory",
    }

    /// Why an object could not be made.
    ///
    /// ```
    /// use flue_core::{CreateError, PostOffice};
    ///
    /// let office = PostOffice::new();
    /// let group = office.create_group()?;
    /// group.kill();
    /// assert_eq!(group.create_table().unwrap_err(), CreateError::Dead);
    /// # Ok::<(), flue_core::CreateError>(())
    /// ```
    #[non_exhaustive]
    CreateError {
        /// The group is dead.
        Dead = "the group is dead",
        /// The office or the group has as many as it may have.
        LimitReached = "a limit was reached",
        /// The allocator had nothing.
        OutOfMemory = "out of memory",
        /// Objects of two post offices were used together. The host's fault.
        PostOfficeMismatch = "the objects belong to different post offices",
        /// The table is neither the office's nor the same group's. The host's fault.
        TableMismatch = "the table belongs to another group",
    }

    /// Why `try_recv` returned no signal.
    ///
    /// ```
    /// use flue_core::{PostOffice, TryRecvError};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let mut mailbox = group.create_mailbox(&group.create_table()?)?;
    /// assert_eq!(mailbox.try_recv().unwrap_err(), TryRecvError::Empty);
    /// group.kill();
    /// assert_eq!(mailbox.try_recv().unwrap_err(), TryRecvError::Dead);
    /// # Ok::<(), flue_core::CreateError>(())
    /// ```
    TryRecvError {
        /// Nothing is there yet.
        Empty = "the mailbox is empty",
        /// The mailbox's group is dead: nothing is ever received again.
        Dead = "the mailbox's group is dead",
    }
}

/// The mailbox's group is dead: nothing is ever received again.
///
/// ```
/// # use core::task::{Context, Poll, Waker};
/// # use flue_core::{PostOffice, RecvError};
/// # let group = PostOffice::new().create_group()?;
/// # let mut mailbox = group.create_mailbox(&group.create_table()?)?;
/// # let mut cx = Context::from_waker(Waker::noop());
/// group.kill();
/// assert!(matches!(mailbox.poll_recv(&mut cx), Poll::Ready(Err(RecvError))));
/// # Ok::<(), flue_core::CreateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RecvError;

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the mailbox's group is dead")
    }
}

impl Error for RecvError {}

/// The post office could not be made: the allocator had nothing. See
/// [`PostOffice::try_new`](crate::PostOffice) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

impl Error for OutOfMemory {}

/// Why a message was not accepted, in the order of the checks (rule S1).
///
/// ```
/// use flue_core::{Permissions, PostOffice, SendError};
///
/// let group = PostOffice::new().create_group()?;
/// let table = group.create_table()?;
/// let mailbox = group.create_mailbox(&table)?;
/// let mute = mailbox.export(Permissions::MONITOR)?;
/// assert_eq!(table.send(mute, b"hello", &[]), Err(SendError::PermissionDenied));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError {
    /// The sender's table is sealed: its group is dead.
    Dead,
    /// More capabilities are attached than a message may carry.
    TooManyHandles,
    /// More bytes than a message may carry.
    TooLarge,
    /// The target's handle names nothing in this table.
    InvalidHandle,
    /// The capability does not permit sending.
    PermissionDenied,
    /// An attached handle names nothing in this table.
    InvalidAttachment {
        /// Which of the attached handles: the first that does.
        index: usize,
    },
    /// The route is closed or its group is dead.
    Closed,
    /// The mailbox, or the office, has no room.
    Full,
    /// The allocator had nothing.
    OutOfMemory,
    /// Objects of two post offices were used together. The host's fault.
    PostOfficeMismatch,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Dead => "the sender's group is dead",
            Self::TooManyHandles => "too many handles attached",
            Self::TooLarge => "the message is too large",
            Self::InvalidHandle => "the handle names no capability of this table",
            Self::PermissionDenied => "the capability does not permit sending",
            Self::InvalidAttachment { index } => {
                return write!(f, "attached handle {index} names no capability of this table");
            }
            Self::Closed => "the route is closed",
            Self::Full => "the mailbox is full",
            Self::OutOfMemory => "out of memory",
            Self::PostOfficeMismatch => "the objects belong to different post offices",
        };
        f.write_str(text)
    }
}

impl Error for SendError {}

/// A payload that was not accepted, handed back whole, and why.
///
/// ```
/// use flue_core::{Permissions, PostOffice, SendError};
///
/// let group = PostOffice::new().create_group()?;
/// let table = group.create_table()?;
/// let mailbox = group.create_mailbox(&table)?;
/// let to = mailbox.export(Permissions::SEND)?;
/// mailbox.close();
/// let rejected = table.send_payload(to, vec![1, 2, 3].into(), &[]).unwrap_err();
/// assert_eq!(rejected.error, SendError::Closed);
/// assert_eq!(&rejected.payload[..], [1, 2, 3]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RejectedPayload {
    /// Why it was not accepted.
    pub error: SendError,
    /// What was to be sent.
    pub payload: Payload,
}

impl fmt::Display for RejectedPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for RejectedPayload {}
