//! Signals as the receiver has them: guards that read in place, and what they
//! become when they are to outlive the next receive.

mod owned;

pub use self::owned::{OwnedDown, OwnedMessage, OwnedSignal};
use crate::cap::handle::Handle;
use crate::mailbox::Mailbox;
use crate::monitor::{DownReason, MonitorId, ReceivedDown};
use crate::payload::Payload;
use core::fmt;
use core::ptr::NonNull;

/// What is received: a message or a down.
///
/// It borrows the mailbox: one signal is received at a time. See
/// [`into_owned`](Self::into_owned) for more.
///
/// ```
/// use flue_core::{Permissions, PostOffice, Signal};
///
/// let group = PostOffice::new().create_group()?;
/// let mut mailbox = group.create_mailbox(&group.create_table()?)?;
/// mailbox.capability(Permissions::SEND).send(b"hello", &[])?;
/// while let Ok(signal) = mailbox.try_recv() {
///     match signal {
///         Signal::Message(message) => assert_eq!(message.data(), b"hello"),
///         Signal::Down(down) => println!("{:?} is over: {:?}", down.monitor(), down.reason()),
///         _ => {} // There may be more kinds one day.
///     }
/// }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[non_exhaustive]
pub enum Signal<'m> {
    /// Somebody sent a message.
    Message(Message<'m>),
    /// A monitored route is over.
    Down(Down<'m>),
}

impl Signal<'_> {
    /// The same signal, independent of the mailbox.
    ///
    /// ```
    /// # use flue_core::{OwnedSignal, Permissions, PostOffice};
    /// # let group = PostOffice::new().create_group()?;
    /// # let table = group.create_table()?;
    /// # let mut mailbox = group.create_mailbox(&table)?;
    /// let to = mailbox.export(Permissions::SEND)?;
    /// table.send(to, b"one", &[])?;
    /// table.send(to, b"two", &[])?;
    /// let one = mailbox.try_recv()?.into_owned();
    /// let two = mailbox.try_recv()?.into_owned();
    /// let OwnedSignal::Message(two) = two else { unreachable!() };
    /// assert_eq!(two.data(), b"two");
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Cost
    /// A copy of the bytes if they are inline, two steps to keep the table, and that of
    /// dropping the guard. No memory.
    #[must_use]
    pub fn into_owned(self) -> OwnedSignal {
        match self {
            Signal::Message(message) => OwnedSignal::Message(message.into_owned()),
            Signal::Down(down) => OwnedSignal::Down(down.into_owned()),
        }
    }
}

impl fmt::Debug for Signal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => message.fmt(f),
            Self::Down(down) => down.fmt(f),
        }
    }
}

/// A message being received: its bytes where they lie, its handles in the
/// mailbox's table.
///
/// The handles belong to this guard: those that are not taken are released
/// when it is dropped, even while unwinding (rule R2). A guard that is forgotten
/// is settled by the mailbox's next receive, or its drop.
///
/// ```
/// use flue_core::{Permissions, PostOffice, Signal};
///
/// let group = PostOffice::new().create_group()?;
/// let table = group.create_table()?;
/// let mut mailbox = group.create_mailbox(&table)?;
/// let to = mailbox.export(Permissions::SEND)?;
/// table.send(to, b"hello", &[to])?;
///
/// let Signal::Message(message) = mailbox.try_recv()? else { unreachable!() };
/// assert_eq!((message.data(), message.handles()), (&b"hello"[..], &[to][..]));
/// let to_me = message.mailbox().export(Permissions::SEND)?;
/// assert_eq!(to_me, to, "equal capabilities are equal handles");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Cost
/// Accessors are reads. Dropping it gives the message's buffer back, alone or with
/// others, and drops an owned payload; for each handle that was not taken it costs what
/// [`Table::release`](crate::Table::release) does. No memory.
///
/// # Progress
/// Lock-free.
pub struct Message<'m> {
    mailbox: &'m mut Mailbox,
    data: NonNull<u8>,
    length: usize,
}

// SAFETY: the pointer is to bytes that the borrowed mailbox's lent node holds,
// owns or has in its block, which are plain and read only.
unsafe impl Send for Message<'_> {}

impl<'m> Message<'m> {
    /// Makes the guard of the message that the mailbox has lent to it, whose
    /// bytes are at `data`.
    #[inline(always)]
    pub(crate) fn new(mailbox: &'m mut Mailbox, data: NonNull<u8>, length: usize) -> Self {
        Self { mailbox, data, length }
    }

    /// The bytes, in place. See [`Message`] for an example.
    #[inline]
    #[must_use]
    pub fn data(&self) -> &[u8] {
        // SAFETY: the bytes of the lent node, which stay as they are while this
        // guard does: its payload is taken only by consuming the guard.
        unsafe { core::slice::from_raw_parts(self.data.as_ptr(), self.length) }
    }

    /// The handles that came attached and were not taken, in the order they
    /// were attached. See [`Message`] for an example.
    #[must_use]
    pub fn handles(&self) -> &[Handle] {
        &self.mailbox.handles
    }

    /// Takes the handles: each becomes the caller's to release. What the
    /// iterator has not given when it is dropped stays the guard's.
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice, Signal};
    /// # let group = PostOffice::new().create_group()?;
    /// # let table = group.create_table()?;
    /// # let mut mailbox = group.create_mailbox(&table)?;
    /// let to = mailbox.export(Permissions::SEND)?;
    /// table.send(to, b"", &[to])?;
    /// let Signal::Message(mut message) = mailbox.try_recv()? else { unreachable!() };
    /// let taken = message.take_handles().next();
    /// drop(message);
    /// assert_eq!(taken, Some(to));
    /// assert!(table.contains(to));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Cost
    /// One step for each, and [a look-up](crate#what-operations-cost).
    pub fn take_handles(&mut self) -> impl Iterator<Item = Handle> {
        core::iter::from_fn(|| {
            let mut handle = self.mailbox.handles.pop()?;
            // Each moves one place ahead, and the first is left: in order, and there are few.
            for place in self.mailbox.handles.iter_mut().rev() {
                core::mem::swap(place, &mut handle);
            }
            self.mailbox.table().view().take(handle);
            Some(handle)
        })
    }

    /// The bytes as a payload, to keep or to send on: the sender's very buffer
    /// if it was owned. The handles that were not taken are released.
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice, Signal};
    /// # let group = PostOffice::new().create_group()?;
    /// # let mut mailbox = group.create_mailbox(&group.create_table()?)?;
    /// let capability = mailbox.capability(Permissions::SEND);
    /// capability.send_payload(vec![7; 1000].into(), &[])?;
    /// let Signal::Message(message) = mailbox.try_recv()? else { unreachable!() };
    /// let payload = message.into_payload();
    /// capability.send_payload(payload, &[])?; // Forwarded, and never copied.
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Cost
    /// A copy if the bytes are inline, else none; and that of dropping the guard.
    #[must_use]
    pub fn into_payload(self) -> Payload {
        match self.mailbox.take_lent() {
            Some(owned) => Payload::owned(owned),
            None => Payload::inline(self.data()),
        }
    }

    /// The mailbox, to export from or to monitor with. See [`Message`] for an example.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox {
        self.mailbox
    }
}

impl Drop for Message<'_> {
    #[inline]
    fn drop(&mut self) {
        self.mailbox.settle_lent();
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Message");
        f.field("len", &self.length).field("handles", &self.handles().len()).finish_non_exhaustive()
    }
}

/// A down being received: a monitored route is over (rule K5).
///
/// ```
/// use flue_core::{DownReason, Permissions, PostOffice, Signal};
///
/// let office = PostOffice::new();
/// let (group, other) = (office.create_group()?, office.create_group()?);
/// let table = group.create_table()?;
/// let mut observer = group.create_mailbox(&table)?;
/// let watched = other.create_mailbox(&other.create_table()?)?;
/// let handle = table.insert(&watched.capability(Permissions::MONITOR))?;
/// let id = table.monitor(handle, &observer)?;
/// other.kill();
///
/// let Signal::Down(down) = observer.try_recv()? else { unreachable!() };
/// assert_eq!((down.monitor(), down.reason()), (id, DownReason::Killed));
/// assert!(table.same_route(down.handle(), handle)?);
/// assert_eq!(down.mailbox().len(), 0);
/// let mine = down.take_handle();
/// table.release(mine)?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Cost
/// Accessors are reads. Dropping it releases the handle, if that was not taken.
pub struct Down<'m> {
    mailbox: &'m mut Mailbox,
}

impl<'m> Down<'m> {
    /// Makes the guard of the down that the mailbox has just received.
    pub(crate) fn new(mailbox: &'m mut Mailbox) -> Self {
        Self { mailbox }
    }

    fn received(&self) -> &ReceivedDown {
        self.mailbox.received_down()
    }

    /// A capability to the route, without permissions: to know it by. See [`Down`] for
    /// an example.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.received().handle
    }

    /// Takes that handle: it is the caller's to release. See [`Down`] for an example.
    ///
    /// # Cost
    /// One step and [a look-up](crate#what-operations-cost).
    #[must_use]
    pub fn take_handle(self) -> Handle {
        let handle = self.handle();
        self.mailbox.handles.clear();
        self.mailbox.table().view().take(handle);
        handle
    }

    /// Which monitor it is of. See [`Down`] for an example.
    #[must_use]
    pub fn monitor(&self) -> MonitorId {
        self.received().id
    }

    /// Why the route is over. See [`Down`] for an example.
    #[must_use]
    pub fn reason(&self) -> DownReason {
        self.received().reason
    }

    /// The mailbox, to export from or to monitor with. See [`Down`] for an example.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox {
        self.mailbox
    }
}

impl Drop for Down<'_> {
    fn drop(&mut self) {
        self.mailbox.settle_lent();
    }
}

impl fmt::Debug for Down<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Down");
        f.field("monitor", &self.monitor()).field("reason", &self.reason()).finish_non_exhaustive()
    }
}
