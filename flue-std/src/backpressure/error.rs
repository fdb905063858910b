//! Why a send with a time limit failed.

use core::error::Error;
use core::fmt;

use flue_core::{Payload, RejectedPayload, SendError};

/// Why a send with a time limit failed. Nothing was sent. See
/// [`SendExt::send_timeout`](crate::SendExt::send_timeout) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendTimeoutError {
    /// There was no room in time.
    Timeout,
    /// Waiting was over before the time was: see [`Table::send`](flue_core::Table::send).
    Failed(SendError),
}

impl fmt::Display for SendTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("the mailbox had no room in time"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl Error for SendTimeoutError {}

/// Why an owned payload was not sent in time, with the payload. See
/// [`SendExt::send_payload_timeout`](crate::SendExt::send_payload_timeout) for an example.
#[derive(Debug)]
pub enum SendPayloadTimeoutError {
    /// There was no room in time.
    Timeout(Payload),
    /// Waiting was over before the time was: see [`Table::send_payload`](flue_core::Table::send_payload).
    Failed(RejectedPayload),
}

impl SendPayloadTimeoutError {
    /// The payload, as it was given.
    ///
    /// ```
    /// use flue_std::{Payload, SendPayloadTimeoutError};
    ///
    /// let late = SendPayloadTimeoutError::Timeout(Payload::from(vec![1, 2, 3]));
    /// assert_eq!(*late.into_payload(), [1, 2, 3]);
    /// ```
    pub fn into_payload(self) -> Payload {
        match self {
            Self::Timeout(payload) => payload,
            Self::Failed(rejected) => rejected.payload,
        }
    }
}

impl fmt::Display for SendPayloadTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(_) => SendTimeoutError::Timeout.fmt(f),
            Self::Failed(rejected) => rejected.error.fmt(f),
        }
    }
}

impl Error for SendPayloadTimeoutError {}
