//! Sends that wait for room (rule S6).
//!
//! Every send here is the core's `poll_send` and one [`SendWait`]: the wait is
//! a place in the mailbox's line, and owning it is all there is to fairness and
//! to cancellation.
//!
//! | the send ... | its place in the line |
//! |---|---|
//! | finds room at once | never has one |
//! | finds the mailbox full | the last |
//! | is woken and finds room gone again | the first |
//! | returns, times out, or is dropped | given up; a wake it had not used goes to the next |
//!
//! # Progress
//!
//! Blocking (or pending), by purpose, until there is room or the mailbox is
//! closed. A waiting sender holds no room and no lock: one that never runs
//! again delays nobody for longer than one wake-up.

mod capability;
mod error;

use core::future::{Future, poll_fn};
use core::task::{Context, Poll};
use core::time::Duration;
use std::time::Instant;

use flue_core::{Handle, Payload, RejectedPayload, SendError, SendWait, Table};

pub use self::capability::CapabilityExt;
pub use self::error::{SendPayloadTimeoutError, SendTimeoutError};
use crate::blocking::{deadline_after, wait, wait_until};

/// Sends from a process's table that wait until the receiver has room.
///
/// A send that waits keeps its turn: senders that wait for one mailbox are
/// woken in the order in which they began to wait, and an error never costs the
/// message (rule S6).
///
/// # Example
///
/// ```
/// use flue_std::{MailboxExt, MailboxLimits, Permissions, PostOffice, SendExt, Signal};
///
/// let office = PostOffice::new();
/// let (sender, receiver) = (office.create_group()?, office.create_group()?);
/// let mut limits = MailboxLimits::default();
/// limits.messages = 1;
/// let mut mailbox = receiver.create_mailbox_with(&receiver.create_table()?, limits)?;
/// let table = sender.create_table()?;
/// let to = table.insert(&mailbox.capability(Permissions::SEND))?;
///
/// let sender = std::thread::spawn(move || {
///     for number in 0..100u8 {
///         table.send_blocking(to, &[number], &[])?; // never more than one of them waits
///     }
///     Ok::<_, flue_std::SendError>(())
/// });
/// for number in 0..100u8 {
///     let Signal::Message(message) = mailbox.recv()? else { unreachable!("nothing is monitored") };
///     assert_eq!(message.data(), [number]);
/// }
/// sender.join().unwrap()?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub trait SendExt: sealed::Table {
    /// Sends a copy of `data`, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// Those of [`Table::send`], before or during the wait: a mailbox that is
    /// closed or killed wakes whoever waits for it. (The death of the sender's own
    /// group does not: it is told when it is woken.) [`SendError::Full`] only
    /// when waiting is no way out: as many senders wait as the mailbox's
    /// [`waiters`](flue_core::MailboxLimits::waiters) allow, the message is more
    /// than the mailbox ever has room for, or the office has no buffer left.
    ///
    /// # Cost
    ///
    /// With room: one `send`. Else a place in the line, which is a slot of the
    /// office, one sleep per wake-up, one `send` per wake-up.
    ///
    /// # Progress
    ///
    /// Blocks until there is room or the mailbox is closed.
    ///
    /// ```
    /// use flue_std::{PostOffice, Permissions, SendError, SendExt};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let table = group.create_table()?;
    /// let mailbox = group.create_mailbox(&table)?;
    /// let to = mailbox.export(Permissions::SEND)?;
    /// table.send_blocking(to, b"there is room", &[])?;
    /// drop(mailbox);
    /// assert_eq!(table.send_blocking(to, b"there is nobody", &[]), Err(SendError::Closed));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_blocking(&self, to: Handle, data: &[u8], attach: &[Handle]) -> Result<(), SendError>;

    /// Sends a copy of `data`, waiting for room for `timeout` at most.
    ///
    /// A zero timeout tries, with a place in the line, and does not wait; one too large for the
    /// clock waits without end.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`] when there was no room in time, and
    /// nothing was sent; otherwise as [`send_blocking`](Self::send_blocking).
    ///
    /// # Cost
    ///
    /// As [`send_blocking`](Self::send_blocking), and one reading of the clock
    /// per try.
    ///
    /// # Progress
    ///
    /// Blocks until there is room, the mailbox is closed or the time is over.
    ///
    /// ```
    /// use core::time::Duration;
    /// use flue_std::{MailboxLimits, Permissions, PostOffice, SendExt, SendTimeoutError};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let table = group.create_table()?;
    /// let mut limits = MailboxLimits::default();
    /// limits.messages = 1;
    /// let mailbox = group.create_mailbox_with(&table, limits)?;
    /// let to = mailbox.export(Permissions::SEND)?;
    /// let patience = Duration::from_millis(1);
    /// table.send_timeout(to, b"fills it", &[], patience)?;
    /// let late = table.send_timeout(to, b"finds no room", &[], patience);
    /// assert_eq!(late, Err(SendTimeoutError::Timeout));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_timeout(
        &self,
        to: Handle,
        data: &[u8],
        attach: &[Handle],
        timeout: Duration,
    ) -> Result<(), SendTimeoutError>;

    /// Sends a copy of `data`, waiting for room until `deadline` at most. A
    /// deadline in the past is as a timeout of zero.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Self::send_timeout).
    ///
    /// # Cost
    ///
    /// As [`send_timeout`](Self::send_timeout).
    ///
    /// # Progress
    ///
    /// As [`send_timeout`](Self::send_timeout).
    ///
    /// ```
    /// use std::time::Instant;
    /// use flue_std::{Permissions, PostOffice, SendExt};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let table = group.create_table()?;
    /// let mailbox = group.create_mailbox(&table)?;
    /// let to = mailbox.export(Permissions::SEND)?;
    /// table.send_deadline(to, b"there is room", &[], Instant::now())?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_deadline(
        &self,
        to: Handle,
        data: &[u8],
        attach: &[Handle],
        deadline: Instant,
    ) -> Result<(), SendTimeoutError>;

    /// Sends a copy of `data` when there is room. Nothing happens before the
    /// first poll.
    ///
    /// # Errors
    ///
    /// As [`send_blocking`](Self::send_blocking).
    ///
    /// # Cost
    ///
    /// As [`send_blocking`](Self::send_blocking), with the task's waker for the
    /// thread's.
    ///
    /// # Progress
    ///
    /// Pending until there is room or the mailbox is closed.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop at any time: the message is sent in the poll that returns
    /// `Ready(Ok(()))` and in no other, so a dropped future has sent nothing.
    /// Its place in the line is lost.
    ///
    /// ```
    /// use flue_std::{Permissions, PostOffice, SendExt};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let table = group.create_table()?;
    /// let mailbox = group.create_mailbox(&table)?;
    /// let to = mailbox.export(Permissions::SEND)?;
    /// pollster::block_on(table.send_async(to, b"there is room", &[]))?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_async(
        &self,
        to: Handle,
        data: &[u8],
        attach: &[Handle],
    ) -> impl Future<Output = Result<(), SendError>> + Send;

    /// [`send_blocking`](Self::send_blocking) of an owned payload: no copy, and
    /// every error gives it back.
    ///
    /// # Errors
    ///
    /// Those of [`send_blocking`](Self::send_blocking), and the payload with them.
    ///
    /// # Cost
    ///
    /// As [`send_blocking`](Self::send_blocking), without the copy and its memory.
    ///
    /// # Progress
    ///
    /// As [`send_blocking`](Self::send_blocking).
    ///
    /// ```
    /// use flue_std::{Permissions, PostOffice, SendError, SendExt};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let table = group.create_table()?;
    /// let mailbox = group.create_mailbox(&table)?;
    /// let to = mailbox.export(Permissions::SEND)?;
    /// drop(mailbox);
    /// let rejected = table.send_payload_blocking(to, vec![0; 1 << 20].into(), &[]).unwrap_err();
    /// assert_eq!((rejected.error, rejected.payload.len()), (SendError::Closed, 1 << 20));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_payload_blocking(
        &self,
        to: Handle,
        payload: Payload,
        attach: &[Handle],
    ) -> Result<(), RejectedPayload>;

    /// [`send_timeout`](Self::send_timeout) of an owned payload: no copy, and
    /// every error gives it back.
    ///
    /// # Errors
    ///
    /// [`SendPayloadTimeoutError::Timeout`] when there was no room in time; otherwise as
    /// [`send_payload_blocking`](Self::send_payload_blocking).
    ///
    /// # Cost
    ///
    /// As [`send_timeout`](Self::send_timeout), without the copy and its memory.
    ///
    /// # Progress
    ///
    /// As [`send_timeout`](Self::send_timeout).
    ///
    /// ```
    /// use core::time::Duration;
    /// use flue_std::{MailboxLimits, Permissions, PostOffice, SendExt, SendPayloadTimeoutError};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let table = group.create_table()?;
    /// let mut limits = MailboxLimits::default();
    /// limits.messages = 1;
    /// let mailbox = group.create_mailbox_with(&table, limits)?;
    /// let to = mailbox.export(Permissions::SEND)?;
    /// table.send(to, b"fills it", &[])?;
    /// let late = table.send_payload_timeout(to, vec![1, 2, 3].into(), &[], Duration::from_millis(1));
    /// let Err(SendPayloadTimeoutError::Timeout(unsent)) = late else { unreachable!("it is full") };
    /// assert_eq!(*unsent, [1, 2, 3]);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_payload_timeout(
        &self,
        to: Handle,
        payload: Payload,
        attach: &[Handle],
        timeout: Duration,
    ) -> Result<(), SendPayloadTimeoutError>;

    /// [`send_deadline`](Self::send_deadline) of an owned payload: no copy, and
    /// every error gives it back.
    ///
    /// # Errors
    ///
    /// As [`send_payload_timeout`](Self::send_payload_timeout).
    ///
    /// # Cost
    ///
    /// As [`send_deadline`](Self::send_deadline), without the copy and its memory.
    ///
    /// # Progress
    ///
    /// As [`send_deadline`](Self::send_deadline).
    ///
    /// ```
    /// use std::time::Instant;
    /// use flue_std::{Permissions, PostOffice, SendExt};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let table = group.create_table()?;
    /// let mailbox = group.create_mailbox(&table)?;
    /// let to = mailbox.export(Permissions::SEND)?;
    /// table.send_payload_deadline(to, vec![1, 2, 3].into(), &[], Instant::now())?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_payload_deadline(
        &self,
        to: Handle,
        payload: Payload,
        attach: &[Handle],
        deadline: Instant,
    ) -> Result<(), SendPayloadTimeoutError>;

    /// [`send_async`](Self::send_async) of an owned payload: no copy, and every
    /// error gives it back.
    ///
    /// # Errors
    ///
    /// As [`send_payload_blocking`](Self::send_payload_blocking).
    ///
    /// # Cost
    ///
    /// As [`send_async`](Self::send_async), without the copy and its memory.
    ///
    /// # Progress
    ///
    /// As [`send_async`](Self::send_async).
    ///
    /// # Cancel safety
    ///
    /// As [`send_async`](Self::send_async); a future dropped before it is ready
    /// drops the payload.
    ///
    /// ```
    /// use flue_std::{Permissions, PostOffice, SendExt};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let table = group.create_table()?;
    /// let mailbox = group.create_mailbox(&table)?;
    /// let to = mailbox.export(Permissions::SEND)?;
    /// pollster::block_on(table.send_payload_async(to, vec![1, 2, 3].into(), &[]))?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_payload_async(
        &self,
        to: Handle,
        payload: Payload,
        attach: &[Handle],
    ) -> impl Future<Output = Result<(), RejectedPayload>> + Send;
}

impl SendExt for Table {
    fn send_blocking(&self, to: Handle, data: &[u8], attach: &[Handle]) -> Result<(), SendError> {
        wait_for_room(|cx, line| self.poll_send(cx, line, to, data, attach))
    }

    fn send_timeout(
        &self,
        to: Handle,
        data: &[u8],
        attach: &[Handle],
        timeout: Duration,
    ) -> Result<(), SendTimeoutError> {
        send_until(deadline_after(timeout), |cx, line| self.poll_send(cx, line, to, data, attach))
    }

    fn send_deadline(
        &self,
        to: Handle,
        data: &[u8],
        attach: &[Handle],
        deadline: Instant,
    ) -> Result<(), SendTimeoutError> {
        send_until(Some(deadline), |cx, line| self.poll_send(cx, line, to, data, attach))
    }

    fn send_async(
        &self,
        to: Handle,
        data: &[u8],
        attach: &[Handle],
    ) -> impl Future<Output = Result<(), SendError>> + Send {
        let mut line = SendWait::new();
        until_ready(move |cx| self.poll_send(cx, &mut line, to, data, attach))
    }

    fn send_payload_blocking(
        &self,
        to: Handle,
        payload: Payload,
        attach: &[Handle],
    ) -> Result<(), RejectedPayload> {
        let mut parcel = Parcel::new(payload);
        wait(|cx| {
            parcel
                .poll(cx, |cx, line, payload| self.poll_send_payload(cx, line, to, payload, attach))
        })
    }

    fn send_payload_timeout(
        &self,
        to: Handle,
        payload: Payload,
        attach: &[Handle],
        timeout: Duration,
    ) -> Result<(), SendPayloadTimeoutError> {
        send_payload_until(deadline_after(timeout), payload, |cx, line, payload| {
            self.poll_send_payload(cx, line, to, payload, attach)
        })
    }

    fn send_payload_deadline(
        &self,
        to: Handle,
        payload: Payload,
        attach: &[Handle],
        deadline: Instant,
    ) -> Result<(), SendPayloadTimeoutError> {
        send_payload_until(Some(deadline), payload, |cx, line, payload| {
            self.poll_send_payload(cx, line, to, payload, attach)
        })
    }

    fn send_payload_async(
        &self,
        to: Handle,
        payload: Payload,
        attach: &[Handle],
    ) -> impl Future<Output = Result<(), RejectedPayload>> + Send {
        let mut parcel = Parcel::new(payload);
        until_ready(move |cx| {
            parcel
                .poll(cx, |cx, line, payload| self.poll_send_payload(cx, line, to, payload, attach))
        })
    }
}

mod sealed {
    pub trait Table {}
    impl Table for flue_core::Table {}
    pub trait Capability {}
    impl Capability for flue_core::Capability {}
}

/// What `poll` is ready with; polled after that, it is as any future that is done, and sends
/// nothing again.
fn until_ready<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> impl Future<Output = T> {
    let mut is_done = false;
    poll_fn(move |cx| {
        if is_done {
            return Poll::Pending;
        }
        is_done = true; // If this panics, too: it may have sent.
        let polled = poll(cx);
        is_done = polled.is_ready();
        polled
    })
}

fn wait_for_room<T>(mut poll: impl FnMut(&mut Context<'_>, &mut SendWait) -> Poll<T>) -> T {
    let mut line = SendWait::new();
    wait(|cx| poll(cx, &mut line))
}

fn send_until(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&mut Context<'_>, &mut SendWait) -> Poll<Result<(), SendError>>,
) -> Result<(), SendTimeoutError> {
    let mut line = SendWait::new();
    match wait_until(deadline, |cx| poll(cx, &mut line)) {
        Some(sent) => sent.map_err(SendTimeoutError::Failed),
        None => Err(SendTimeoutError::Timeout),
    }
}

/// A payload on its way, and its place in the line.
struct Parcel {
    line: SendWait,
    payload: Option<Payload>,
}

impl Parcel {
    fn new(payload: Payload) -> Self {
        Self { line: SendWait::new(), payload: Some(payload) }
    }

    /// What a send that did not take the payload has left.
    fn unsent(&mut self) -> Payload {
        self.payload.take().expect("a send that fails keeps its payload")
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(
            &mut Context<'_>,
            &mut SendWait,
            &mut Option<Payload>,
        ) -> Poll<Result<(), SendError>>,
    ) -> Poll<Result<(), RejectedPayload>> {
        poll(cx, &mut self.line, &mut self.payload)
            .map_err(|error| RejectedPayload { error, payload: self.unsent() })
    }
}

fn send_payload_until(
    deadline: Option<Instant>,
    payload: Payload,
    mut poll: impl FnMut(
        &mut Context<'_>,
        &mut SendWait,
        &mut Option<Payload>,
    ) -> Poll<Result<(), SendError>>,
) -> Result<(), SendPayloadTimeoutError> {
    let mut parcel = Parcel::new(payload);
    match wait_until(deadline, |cx| parcel.poll(cx, &mut poll)) {
        Some(sent) => sent.map_err(SendPayloadTimeoutError::Failed),
        None => Err(SendPayloadTimeoutError::Timeout(parcel.unsent())),
    }
}
