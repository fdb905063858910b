//! The host's side of back-pressure: [`SendExt`](crate::SendExt) for
//! capabilities.

use core::future::Future;
use core::time::Duration;
use std::time::Instant;

use flue_core::{Capability, Payload, RejectedPayload, SendError, SendWait};

use super::{Parcel, send_payload_until, send_until, until_ready, wait_for_room};
use super::{SendPayloadTimeoutError, SendTimeoutError, sealed};
use crate::blocking::{deadline_after, wait};

/// The sends of [`SendExt`](crate::SendExt) through a capability of the host's,
/// which needs no handle to say whom to.
///
/// A trait of its own because the arguments differ. What the method of the same
/// name in [`SendExt`](crate::SendExt) says about cost, progress and cancelling
/// holds here.
///
/// # Errors
///
/// Those of [`Capability::send`], where the method of the same name in
/// [`SendExt`](crate::SendExt) has those of [`Table::send`](flue_core::Table::send):
/// no handle is looked up, so none is invalid, and no table is sealed.
///
/// # Example
///
/// ```
/// use core::time::Duration;
/// use flue_std::{CapabilityExt, Permissions, PostOffice, SendTimeoutError, SendError};
///
/// let group = PostOffice::new().create_group()?;
/// let table = group.create_table()?;
/// let mailbox = group.create_mailbox(&table)?;
/// let capability = mailbox.capability(Permissions::SEND);
/// capability.send_blocking(b"there is room", &[])?;
/// group.kill();
/// let late = capability.send_timeout(b"there is nobody", &[], Duration::from_secs(60));
/// assert_eq!(late, Err(SendTimeoutError::Failed(SendError::Closed)));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub trait CapabilityExt: sealed::Capability {
    /// Sends a copy of `data`, waiting for room as long as it takes:
    /// [`SendExt::send_blocking`](crate::SendExt::send_blocking).
    ///
    /// # Errors
    ///
    /// Those of [`Capability::send`], before or during the wait; `Full` only where waiting
    /// is no way out.
    ///
    /// ```
    /// use flue_std::{CapabilityExt, Permissions, PostOffice};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// mailbox.capability(Permissions::SEND).send_blocking(b"there is room", &[])?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_blocking(&self, data: &[u8], attach: &[&Capability]) -> Result<(), SendError>;

    /// Sends a copy of `data`, waiting for room for `timeout` at most:
    /// [`SendExt::send_timeout`](crate::SendExt::send_timeout).
    ///
    /// # Errors
    ///
    /// `Timeout` when there was no room in time; otherwise as
    /// [`send_blocking`](Self::send_blocking).
    ///
    /// ```
    /// use core::time::Duration;
    /// use flue_std::{CapabilityExt, Permissions, PostOffice};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// mailbox.capability(Permissions::SEND).send_timeout(b"there is room", &[], Duration::ZERO)?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_timeout(
        &self,
        data: &[u8],
        attach: &[&Capability],
        timeout: Duration,
    ) -> Result<(), SendTimeoutError>;

    /// Sends a copy of `data`, waiting for room until `deadline` at most:
    /// [`SendExt::send_deadline`](crate::SendExt::send_deadline).
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Self::send_timeout).
    ///
    /// ```
    /// use std::time::Instant;
    /// use flue_std::{CapabilityExt, Permissions, PostOffice};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// mailbox.capability(Permissions::SEND).send_deadline(b"there is room", &[], Instant::now())?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_deadline(
        &self,
        data: &[u8],
        attach: &[&Capability],
        deadline: Instant,
    ) -> Result<(), SendTimeoutError>;

    /// Sends a copy of `data` when there is room:
    /// [`SendExt::send_async`](crate::SendExt::send_async).
    ///
    /// # Errors
    ///
    /// As [`send_blocking`](Self::send_blocking).
    ///
    /// # Cancel safety
    ///
    /// As [`SendExt::send_async`](crate::SendExt::send_async).
    ///
    /// ```
    /// use flue_std::{CapabilityExt, Permissions, PostOffice};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// let capability = mailbox.capability(Permissions::SEND);
    /// pollster::block_on(capability.send_async(b"there is room", &[]))?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_async(
        &self,
        data: &[u8],
        attach: &[&Capability],
    ) -> impl Future<Output = Result<(), SendError>> + Send;

    /// Sends an owned payload, waiting as long as it takes:
    /// [`SendExt::send_payload_blocking`](crate::SendExt::send_payload_blocking).
    ///
    /// # Errors
    ///
    /// As [`send_blocking`](Self::send_blocking), and the payload with them.
    ///
    /// ```
    /// use flue_std::{CapabilityExt, Permissions, PostOffice};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// mailbox.capability(Permissions::SEND).send_payload_blocking(vec![1, 2, 3].into(), &[])?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_payload_blocking(
        &self,
        payload: Payload,
        attach: &[&Capability],
    ) -> Result<(), RejectedPayload>;

    /// Sends an owned payload, waiting for `timeout` at most:
    /// [`SendExt::send_payload_timeout`](crate::SendExt::send_payload_timeout).
    ///
    /// # Errors
    ///
    /// `Timeout` when there was no room in time; otherwise as
    /// [`send_payload_blocking`](Self::send_payload_blocking).
    ///
    /// ```
    /// use core::time::Duration;
    /// use flue_std::{CapabilityExt, Permissions, PostOffice};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// let capability = mailbox.capability(Permissions::SEND);
    /// capability.send_payload_timeout(vec![1, 2, 3].into(), &[], Duration::ZERO)?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_payload_timeout(
        &self,
        payload: Payload,
        attach: &[&Capability],
        timeout: Duration,
    ) -> Result<(), SendPayloadTimeoutError>;

    /// Sends an owned payload, waiting until `deadline` at most:
    /// [`SendExt::send_payload_deadline`](crate::SendExt::send_payload_deadline).
    ///
    /// # Errors
    ///
    /// As [`send_payload_timeout`](Self::send_payload_timeout).
    ///
    /// ```
    /// use std::time::Instant;
    /// use flue_std::{CapabilityExt, Permissions, PostOffice};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// let capability = mailbox.capability(Permissions::SEND);
    /// capability.send_payload_deadline(vec![1, 2, 3].into(), &[], Instant::now())?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_payload_deadline(
        &self,
        payload: Payload,
        attach: &[&Capability],
        deadline: Instant,
    ) -> Result<(), SendPayloadTimeoutError>;

    /// Sends an owned payload when there is room:
    /// [`SendExt::send_payload_async`](crate::SendExt::send_payload_async).
    ///
    /// # Errors
    ///
    /// As [`send_payload_blocking`](Self::send_payload_blocking).
    ///
    /// # Cancel safety
    ///
    /// As [`SendExt::send_payload_async`](crate::SendExt::send_payload_async).
    ///
    /// ```
    /// use flue_std::{CapabilityExt, Permissions, PostOffice};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// let capability = mailbox.capability(Permissions::SEND);
    /// pollster::block_on(capability.send_payload_async(vec![1, 2, 3].into(), &[]))?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn send_payload_async(
        &self,
        payload: Payload,
        attach: &[&Capability],
    ) -> impl Future<Output = Result<(), RejectedPayload>> + Send;
}

impl CapabilityExt for Capability {
    fn send_blocking(&self, data: &[u8], attach: &[&Capability]) -> Result<(), SendError> {
        wait_for_room(|cx, line| self.poll_send(cx, line, data, attach))
    }

    fn send_timeout(
        &self,
        data: &[u8],
        attach: &[&Capability],
        timeout: Duration,
    ) -> Result<(), SendTimeoutError> {
        send_until(deadline_after(timeout), |cx, line| self.poll_send(cx, line, data, attach))
    }

    fn send_deadline(
        &self,
        data: &[u8],
        attach: &[&Capability],
        deadline: Instant,
    ) -> Result<(), SendTimeoutError> {
        send_until(Some(deadline), |cx, line| self.poll_send(cx, line, data, attach))
    }

    fn send_async(
        &self,
        data: &[u8],
        attach: &[&Capability],
    ) -> impl Future<Output = Result<(), SendError>> + Send {
        let mut line = SendWait::new();
        until_ready(move |cx| self.poll_send(cx, &mut line, data, attach))
    }

    fn send_payload_blocking(
        &self,
        payload: Payload,
        attach: &[&Capability],
    ) -> Result<(), RejectedPayload> {
        let mut parcel = Parcel::new(payload);
        wait(|cx| {
            parcel.poll(cx, |cx, line, payload| self.poll_send_payload(cx, line, payload, attach))
        })
    }

    fn send_payload_timeout(
        &self,
        payload: Payload,
        attach: &[&Capability],
        timeout: Duration,
    ) -> Result<(), SendPayloadTimeoutError> {
        send_payload_until(deadline_after(timeout), payload, |cx, line, payload| {
            self.poll_send_payload(cx, line, payload, attach)
        })
    }

    fn send_payload_deadline(
        &self,
        payload: Payload,
        attach: &[&Capability],
        deadline: Instant,
    ) -> Result<(), SendPayloadTimeoutError> {
        send_payload_until(Some(deadline), payload, |cx, line, payload| {
            self.poll_send_payload(cx, line, payload, attach)
        })
    }

    fn send_payload_async(
        &self,
        payload: Payload,
        attach: &[&Capability],
    ) -> impl Future<Output = Result<(), RejectedPayload>> + Send {
        let mut parcel = Parcel::new(payload);
        until_ready(move |cx| {
            parcel.poll(cx, |cx, line, payload| self.poll_send_payload(cx, line, payload, attach))
        })
    }
}
