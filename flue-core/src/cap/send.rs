//! Sending, as tables and capabilities offer it.

use super::Reference;
use super::capability::Capability;
use super::granted::{Granted, Send as MaySend};
use super::handle::Handle;
use super::table::Table;
use super::view::View;
use crate::error::{RejectedPayload, SendError};
use crate::mailbox::deliver::{Attached, Letter, Undelivered};
use crate::mailbox::waiters::{Needs, SendWait};
use crate::office::PostOffice;
use crate::payload::{INLINE_BYTES, Kind, Owned, Payload};
use core::task::{Context, Poll};

/// A message that was checked: what is left is to deliver it.
struct Checked<'c> {
    office: &'c PostOffice,
    sender: Option<View<'c>>,
    granted: Granted<MaySend>,
    attached: &'c [Reference],
}

impl Checked<'_> {
    #[inline(always)]
    fn deliver(&self, letter: Letter<'_>) -> Result<(), Undelivered> {
        self.office.deliver(self.sender, &self.granted, letter, self.attached)
    }

    fn needs(&self, bytes: u32) -> Needs {
        Needs { bytes, handles: self.attached.len() as u32 }
    }

    fn poll(
        &self,
        cx: &mut Context<'_>,
        wait: &mut SendWait,
        bytes: u32,
        attempt: impl FnMut() -> Result<(), Undelivered>,
    ) -> Poll<Result<(), SendError>> {
        let route = self.granted.reference().route;
        wait.poll(cx, self.office, route, self.needs(bytes), attempt)
    }

    fn poll_copied(
        &self,
        cx: &mut Context<'_>,
        wait: &mut SendWait,
        data: &[u8],
    ) -> Poll<Result<(), SendError>> {
        let weight = Letter::Copied(data).weight(self.office.most_inline());
        self.poll(cx, wait, weight, || self.deliver(Letter::Copied(data)))
    }
}

/// How an owned payload is sent, and what is left of it if it is not.
fn with_payload(
    payload: Payload,
    send: impl FnOnce(Letter<'_>) -> Result<(), SendError>,
) -> Result<(), RejectedPayload> {
    match payload.into_kind() {
        Kind::Inline(data) => send(Letter::Copied(&data))
            .map_err(|error| RejectedPayload { error, payload: Payload::inline(&data) }),
        Kind::Owned(owned) => {
            let mut place = Some(owned);
            let sent = send(Letter::Moved(&mut place));
            sent.map_err(|error| RejectedPayload { error, payload: rest(place) })
        }
    }
}

fn rest(place: Option<Owned>) -> Payload {
    Payload::owned(place.unwrap_or(Owned::Static(&[])))
}

impl Table {
    /// The checks of rule S1 that come before the mailbox. `attached` is the
    /// place for what is attached.
    #[inline(always)]
    fn check<'c>(
        &'c self,
        to: Handle,
        bytes: usize,
        most: usize,
        attach: &[Handle],
        attached: &'c mut Attached,
    ) -> Result<Checked<'c>, SendError> {
        let view = self.view();
        if view.is_sealed() {
            return Err(SendError::Dead);
        }
        if attach.len() > view.office().most_attached() {
            return Err(SendError::TooManyHandles);
        }
        if bytes > most {
            return Err(SendError::TooLarge);
        }
        let target = view.lookup(to).ok_or(SendError::InvalidHandle)?;
        let granted = Granted::check(target).ok_or(SendError::PermissionDenied)?;
        for (index, handle) in attach.iter().enumerate() {
            let reference = view.lookup(*handle).ok_or(SendError::InvalidAttachment { index })?;
            let _ = attached.push(reference); // No more than a message may carry.
        }
        Ok(Checked { office: self.post_office(), sender: Some(view), granted, attached })
    }

    /// Sends bytes, copied, with capabilities attached.
    ///
    /// The path of a message: this table confirms the permission; the post
    /// office finds the mailbox; the message waits in its queue; the receiver
    /// takes it, and its table gets the capabilities. `Ok` means accepted: it
    /// can always be received (rule S2).
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice};
    /// # let group = PostOffice::new().create_group()?;
    /// # let table = group.create_table()?;
    /// # let mailbox = group.create_mailbox(&table)?;
    /// let to = mailbox.export(Permissions::SEND)?;
    /// table.send(to, b"hello", &[])?;
    /// assert_eq!(mailbox.len(), 1);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// In this order: `Dead`, `TooManyHandles`, `TooLarge`, `InvalidHandle`,
    /// `PermissionDenied`, `InvalidAttachment`, `Closed`, `Full`, `OutOfMemory`;
    /// [`SendError`] says what each means. In static storage `TooLarge` is what does
    /// not fit inline.
    ///
    /// # Cost
    /// [A look-up](crate#what-operations-cost) of each handle, a slot for the message,
    /// and two steps; with capabilities attached, more of each for every one. Bytes
    /// are copied once: into the message if they fit inline
    /// ([`PostOffice::inline_bytes`](crate::PostOffice::inline_bytes); beyond
    /// [`INLINE_BYTES`] that takes a slot more), else into an allocation of their own, and
    /// then are counted against the mailbox's limit. A receiver that sleeps is woken.
    ///
    /// # Progress
    /// Lock-free, whatever instruction another sender stops at (rule S4).
    #[inline]
    pub fn send(&self, to: Handle, data: &[u8], attach: &[Handle]) -> Result<(), SendError> {
        if attach.is_empty() && data.len() <= INLINE_BYTES {
            return self.send_inline::<false>(to, data);
        }
        self.send_slowly(to, data, attach)
    }

    /// That the table is not sealed is checked once, at the commit; what fails
    /// before is `Dead` all the same if it is.
    #[inline(always)]
    fn send_inline<const IN_BLOCK: bool>(&self, to: Handle, data: &[u8]) -> Result<(), SendError> {
        let view = self.view();
        let most = view.office().limits().bytes_per_message as usize;
        let sent = if data.len() > most {
            Err(SendError::TooLarge)
        } else if let Some(target) = view.lookup(to) {
            match Granted::check(target) {
                Some(granted) => {
                    let office = view.office();
                    let sent = office.deliver_inline::<IN_BLOCK>(Some(view), &granted, data);
                    sent.map_err(|refused| refused.error)
                }
                None => Err(SendError::PermissionDenied),
            }
        } else {
            Err(SendError::InvalidHandle)
        };
        match sent {
            Ok(()) => Ok(()),
            Err(error) => Err(view.refusal(error)),
        }
    }

    #[inline(never)]
    fn send_slowly(&self, to: Handle, data: &[u8], attach: &[Handle]) -> Result<(), SendError> {
        #[cfg(feature = "alloc")]
        if attach.is_empty() && data.len() <= self.post_office().most_inline() {
            return self.send_inline::<true>(to, data);
        }
        let most = self.post_office().most_bytes(true);
        let mut attached = Attached::new();
        let checked = self.check(to, data.len(), most, attach, &mut attached)?;
        checked.deliver(Letter::Copied(data)).map_err(|refused| refused.error)
    }

    /// Sends owned bytes, without copying them (rule S5).
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice, Signal};
    /// # let group = PostOffice::new().create_group()?;
    /// # let table = group.create_table()?;
    /// # let mut mailbox = group.create_mailbox(&table)?;
    /// let to = mailbox.export(Permissions::SEND)?;
    /// let bytes = vec![7; 1000];
    /// let place = bytes.as_ptr();
    /// table.send_payload(to, bytes.into(), &[])?;
    /// let Signal::Message(message) = mailbox.try_recv()? else { unreachable!() };
    /// assert_eq!(message.data().as_ptr(), place);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send); the payload is handed back.
    ///
    /// # Cost
    /// As [`send`](Self::send), without the copy and its memory.
    ///
    /// # Progress
    /// Lock-free.
    pub fn send_payload(
        &self,
        to: Handle,
        payload: Payload,
        attach: &[Handle],
    ) -> Result<(), RejectedPayload> {
        with_payload(payload, |letter| {
            let most = self.post_office().most_bytes(letter.is_copied());
            let mut attached = Attached::new();
            let checked = self.check(to, letter.len(), most, attach, &mut attached)?;
            checked.deliver(letter).map_err(|refused| refused.error)
        })
    }

    /// Sends bytes when there is room for them (rule S6).
    ///
    /// `wait` is the sender's place in the line; keep it until this is ready,
    /// and drop it to give up.
    ///
    /// ```
    /// # use core::task::{Context, Poll, Waker};
    /// # use flue_core::{MailboxLimits, Permissions, PostOffice, SendWait};
    /// # let group = PostOffice::new().create_group()?;
    /// # let table = group.create_table()?;
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let mut limits = MailboxLimits::default();
    /// limits.messages = 1;
    /// let mut mailbox = group.create_mailbox_with(&table, limits)?;
    /// let to = mailbox.export(Permissions::SEND)?;
    /// table.send(to, b"fills it", &[])?;
    ///
    /// let mut wait = SendWait::new();
    /// assert!(table.poll_send(&mut cx, &mut wait, to, b"waits", &[]).is_pending());
    /// drop(mailbox.try_recv()?); // Makes room, and wakes.
    /// let sent = table.poll_send(&mut cx, &mut wait, to, b"waits", &[]);
    /// assert_eq!(sent, Poll::Ready(Ok(())));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send). `Full` only if waiting cannot help: no room of
    /// that mailbox is ever enough, too many wait already, or the office has no
    /// buffer left.
    ///
    /// # Cost
    /// With room, that of [`send`](Self::send). Without, two tries, the registration of
    /// the waker, and the first time [a slot](crate#what-operations-cost) and a place on
    /// the roster of those who wait, which are kept until `wait` is done. Whoever makes
    /// room looks at all who wait for the mailbox.
    ///
    /// # Progress
    /// Lock-free: this does not wait, but says that one has to.
    ///
    /// # Cancel safety
    /// Nothing is sent unless this returns `Ok`; dropping `wait` passes its wake on.
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        wait: &mut SendWait,
        to: Handle,
        data: &[u8],
        attach: &[Handle],
    ) -> Poll<Result<(), SendError>> {
        let most = self.post_office().most_bytes(true);
        let mut attached = Attached::new();
        match self.check(to, data.len(), most, attach, &mut attached) {
            Err(error) => {
                *wait = SendWait::new();
                Poll::Ready(Err(error))
            }
            Ok(checked) => checked.poll_copied(cx, wait, data),
        }
    }

    /// Sends owned bytes when there is room for them. `payload` is taken when
    /// they are accepted; an empty place sends no bytes.
    ///
    /// ```
    /// # use core::task::{Context, Poll, Waker};
    /// # use flue_core::{Payload, Permissions, PostOffice, SendWait};
    /// # let group = PostOffice::new().create_group()?;
    /// # let table = group.create_table()?;
    /// # let mailbox = group.create_mailbox(&table)?;
    /// # let to = mailbox.export(Permissions::SEND)?;
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let mut payload = Some(Payload::from(vec![7; 1000]));
    /// let mut wait = SendWait::new();
    /// let sent = table.poll_send_payload(&mut cx, &mut wait, to, &mut payload, &[]);
    /// assert_eq!(sent, Poll::Ready(Ok(())));
    /// assert!(payload.is_none());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`poll_send`](Self::poll_send); the payload is then still in its place.
    ///
    /// # Cost
    /// As [`poll_send`](Self::poll_send), without the copy and its memory.
    ///
    /// # Progress
    /// As [`poll_send`](Self::poll_send).
    ///
    /// # Cancel safety
    /// As [`poll_send`](Self::poll_send).
    pub fn poll_send_payload(
        &self,
        cx: &mut Context<'_>,
        wait: &mut SendWait,
        to: Handle,
        payload: &mut Option<Payload>,
        attach: &[Handle],
    ) -> Poll<Result<(), SendError>> {
        let most = self.post_office().most_bytes(payload.as_ref().is_some_and(Payload::is_inline));
        let length = payload.as_ref().map_or(0, |payload| payload.len());
        let mut attached = Attached::new();
        match self.check(to, length, most, attach, &mut attached) {
            Err(error) => {
                *wait = SendWait::new();
                Poll::Ready(Err(error))
            }
            Ok(checked) => poll_payload(&checked, cx, wait, payload),
        }
    }
}

/// An owned payload on its way; back in its place if it is not accepted, or a waker panics.
struct OnItsWay<'p> {
    place: &'p mut Option<Payload>,
    owned: Option<Owned>,
}

impl<'p> OnItsWay<'p> {
    /// Takes what is owned out of its place. What is inline stays.
    fn new(place: &'p mut Option<Payload>) -> Self {
        let owned = place.take_if(|payload| !payload.is_inline()).map(Payload::into_kind);
        let owned =
            owned.and_then(|kind| if let Kind::Owned(owned) = kind { Some(owned) } else { None });
        Self { place, owned }
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        if let Some(owned) = self.owned.take() {
            *self.place = Some(Payload::owned(owned));
        }
    }
}

fn poll_payload(
    checked: &Checked<'_>,
    cx: &mut Context<'_>,
    wait: &mut SendWait,
    payload: &mut Option<Payload>,
) -> Poll<Result<(), SendError>> {
    let weight = payload.as_ref().map_or(0, Payload::weight);
    checked.poll(cx, wait, weight, || {
        let mut way = OnItsWay::new(payload);
        let sent = match way.place.as_deref() {
            Some(data) => checked.deliver(Letter::Copied(data)),
            None => checked.deliver(Letter::Moved(&mut way.owned)),
        };
        if sent.is_ok() {
            *way.place = None;
        }
        sent
    })
}

impl Capability {
    fn check<'c>(
        &'c self,
        bytes: usize,
        most: usize,
        attach: &[&Capability],
        attached: &'c mut Attached,
    ) -> Result<Checked<'c>, SendError> {
        let office = self.post_office();
        if attach.iter().any(|capability| capability.post_office() != office) {
            return Err(SendError::PostOfficeMismatch);
        }
        if attach.len() > office.most_attached() {
            return Err(SendError::TooManyHandles);
        }
        if bytes > most {
            return Err(SendError::TooLarge);
        }
        let granted = Granted::check(self.reference()).ok_or(SendError::PermissionDenied)?;
        attached.extend(attach.iter().map(|capability| capability.reference()));
        Ok(Checked { office, sender: None, granted, attached })
    }

    /// Sends bytes, copied, with capabilities attached; see [`Table::send`], and
    /// [`Capability`] for an example.
    ///
    /// # Errors
    /// As there, but for handles, and never `Dead`; `PostOfficeMismatch`: one that is
    /// attached is of another office.
    ///
    /// # Cost
    /// As there, without the look-ups.
    pub fn send(&self, data: &[u8], attach: &[&Capability]) -> Result<(), SendError> {
        let most = self.post_office().most_bytes(true);
        let mut attached = Attached::new();
        let checked = self.check(data.len(), most, attach, &mut attached)?;
        checked.deliver(Letter::Copied(data)).map_err(|refused| refused.error)
    }

    /// Sends owned bytes, without copying them; see [`Table::send_payload`].
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice, SendError};
    /// # let group = PostOffice::new().create_group()?;
    /// # let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// let capability = mailbox.capability(Permissions::SEND);
    /// capability.send_payload(vec![1, 2, 3].into(), &[])?;
    /// drop(mailbox);
    /// let rejected = capability.send_payload(vec![4].into(), &[]).unwrap_err();
    /// assert_eq!((rejected.error, &rejected.payload[..]), (SendError::Closed, &[4][..]));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send); the payload is handed back.
    ///
    /// # Cost
    /// As there, without the look-ups.
    pub fn send_payload(
        &self,
        payload: Payload,
        attach: &[&Capability],
    ) -> Result<(), RejectedPayload> {
        with_payload(payload, |letter| {
            let most = self.post_office().most_bytes(letter.is_copied());
            let mut attached = Attached::new();
            let checked = self.check(letter.len(), most, attach, &mut attached)?;
            checked.deliver(letter).map_err(|refused| refused.error)
        })
    }

    /// Sends bytes when there is room for them; see [`Table::poll_send`].
    ///
    /// ```
    /// # use core::task::{Context, Poll, Waker};
    /// # use flue_core::{Permissions, PostOffice, SendWait};
    /// # let group = PostOffice::new().create_group()?;
    /// # let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let capability = mailbox.capability(Permissions::SEND);
    /// let mut wait = SendWait::new();
    /// let sent = capability.poll_send(&mut cx, &mut wait, b"there is room", &[]);
    /// assert_eq!(sent, Poll::Ready(Ok(())));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, but for handles, and never `Dead`; `PostOfficeMismatch`.
    ///
    /// # Cost
    /// As there, without the look-ups.
    ///
    /// # Cancel safety
    /// As there.
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        wait: &mut SendWait,
        data: &[u8],
        attach: &[&Capability],
    ) -> Poll<Result<(), SendError>> {
        let most = self.post_office().most_bytes(true);
        let mut attached = Attached::new();
        match self.check(data.len(), most, attach, &mut attached) {
            Err(error) => {
                *wait = SendWait::new();
                Poll::Ready(Err(error))
            }
            Ok(checked) => checked.poll_copied(cx, wait, data),
        }
    }

    /// Sends owned bytes when there is room for them; see
    /// [`Table::poll_send_payload`].
    ///
    /// ```
    /// # use core::task::{Context, Poll, Waker};
    /// # use flue_core::{Payload, Permissions, PostOffice, SendError, SendWait};
    /// # let group = PostOffice::new().create_group()?;
    /// # let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let capability = mailbox.capability(Permissions::SEND);
    /// mailbox.close();
    /// let (mut wait, mut payload) = (SendWait::new(), Some(Payload::from(vec![7])));
    /// let sent = capability.poll_send_payload(&mut cx, &mut wait, &mut payload, &[]);
    /// assert_eq!(sent, Poll::Ready(Err(SendError::Closed)));
    /// assert!(payload.is_some());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, but for handles, and never `Dead`; `PostOfficeMismatch`.
    ///
    /// # Cost
    /// As there, without the look-ups.
    ///
    /// # Cancel safety
    /// As there.
    pub fn poll_send_payload(
        &self,
        cx: &mut Context<'_>,
        wait: &mut SendWait,
        payload: &mut Option<Payload>,
        attach: &[&Capability],
    ) -> Poll<Result<(), SendError>> {
        let most = self.post_office().most_bytes(payload.as_ref().is_some_and(Payload::is_inline));
        let length = payload.as_ref().map_or(0, |payload| payload.len());
        let mut attached = Attached::new();
        match self.check(length, most, attach, &mut attached) {
            Err(error) => {
                *wait = SendWait::new();
                Poll::Ready(Err(error))
            }
            Ok(checked) => poll_payload(&checked, cx, wait, payload),
        }
    }
}
