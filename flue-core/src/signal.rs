//! Signals as the receiver has them: guards that read in place, and what they
//! become when they are to outlive the next receive.

use crate::cap::entry::By;
use crate::cap::handle::Handle;
use crate::cap::table::Table;
use crate::limits::MAX_MESSAGE_HANDLES;
use crate::mailbox::Mailbox;
use crate::monitor::{DownReason, MonitorId, ReceivedDown};
use crate::panics::Panics;
use crate::payload::Payload;
use core::fmt;
use core::ptr::NonNull;

/// What is received: a message or a down.
///
/// It borrows the mailbox: one signal is received at a time. See
/// [`into_owned`](Self::into_owned) for more.
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
pub struct Message<'m> {
    mailbox: &'m mut Mailbox,
    data: NonNull<u8>,
    length: usize,
}

// SAFETY: the pointer is to bytes that the borrowed mailbox's lent node holds
// or owns, which are plain and read only.
unsafe impl Send for Message<'_> {}

impl<'m> Message<'m> {
    /// Makes the guard of the message that the mailbox has lent to it, whose
    /// bytes are at `data`.
    #[inline(always)]
    pub(crate) fn new(mailbox: &'m mut Mailbox, data: NonNull<u8>, length: usize) -> Self {
        Self { mailbox, data, length }
    }

    /// The bytes, in place.
    #[inline]
    #[must_use]
    pub fn data(&self) -> &[u8] {
        // SAFETY: `bytes` of the lent node, which stays as it is while this
        // guard does: its payload is taken only by consuming the guard.
        unsafe { core::slice::from_raw_parts(self.data.as_ptr(), self.length) }
    }

    /// The handles that came attached and were not taken, in the order they
    /// were attached.
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
    #[must_use]
    pub fn into_payload(self) -> Payload {
        match self.mailbox.take_lent() {
            Some(owned) => Payload::owned(owned),
            None => Payload::inline(self.data()),
        }
    }

    /// The same message, independent of the mailbox.
    #[must_use]
    pub fn into_owned(self) -> OwnedMessage {
        let handles = core::mem::take(&mut self.mailbox.handles);
        let handles = Handles { table: self.mailbox.table().clone(), handles };
        OwnedMessage { handles, payload: self.into_payload() }
    }

    /// The mailbox, to export from or to monitor with.
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

    /// A capability to the route, without permissions: to know it by.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.received().handle
    }

    /// Takes that handle: it is the caller's to release.
    #[must_use]
    pub fn take_handle(self) -> Handle {
        let handle = self.handle();
        self.mailbox.handles.clear();
        self.mailbox.table().view().take(handle);
        handle
    }

    /// Which monitor it is of.
    #[must_use]
    pub fn monitor(&self) -> MonitorId {
        self.received().id
    }

    /// Why the route is over.
    #[must_use]
    pub fn reason(&self) -> DownReason {
        self.received().reason
    }

    /// The mailbox, to export from or to monitor with.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox {
        self.mailbox
    }

    /// The same down, independent of the mailbox.
    #[must_use]
    pub fn into_owned(self) -> OwnedDown {
        let handles = core::mem::take(&mut self.mailbox.handles);
        let handles = Handles { table: self.mailbox.table().clone(), handles };
        let ReceivedDown { id, reason, handle } = *self.received();
        OwnedDown { handles, handle, id, reason }
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

/// A signal of its own: `'static` and `Send`.
#[derive(Debug)]
#[non_exhaustive]
pub enum OwnedSignal {
    /// Somebody sent a message.
    Message(OwnedMessage),
    /// A monitored route is over.
    Down(OwnedDown),
}

/// Handles that a signal of its own has, released when it is dropped.
struct Handles {
    table: Table,
    handles: heapless::Vec<Handle, MAX_MESSAGE_HANDLES>,
}

impl Handles {
    fn take(&mut self) -> Option<Handle> {
        if self.handles.is_empty() {
            return None;
        }
        let handle = self.handles.remove(0);
        self.table.view().take(handle);
        Some(handle)
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        Panics::after(|panics| {
            for handle in &self.handles {
                self.table.view().lower_amid(*handle, By::Guard, panics);
            }
        });
    }
}

/// A message of its own; its untaken handles are released when it is dropped.
pub struct OwnedMessage {
    handles: Handles,
    payload: Payload,
}

impl OwnedMessage {
    /// The bytes.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.payload
    }

    /// The handles that were not taken.
    #[must_use]
    pub fn handles(&self) -> &[Handle] {
        &self.handles.handles
    }

    /// Takes the handles: each becomes the caller's to release.
    pub fn take_handles(&mut self) -> impl Iterator<Item = Handle> {
        core::iter::from_fn(|| self.handles.take())
    }

    /// The bytes, to keep or to send on. The untaken handles are released.
    #[must_use]
    pub fn into_payload(self) -> Payload {
        self.payload
    }
}

impl fmt::Debug for OwnedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("OwnedMessage");
        f.field("len", &self.payload.len()).field("handles", &self.handles().len());
        f.finish_non_exhaustive()
    }
}

/// A down of its own; its handle is released when it is dropped.
pub struct OwnedDown {
    handles: Handles,
    handle: Handle,
    id: MonitorId,
    reason: DownReason,
}

impl OwnedDown {
    /// A capability to the route, without permissions: to know it by.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Takes that handle: it is the caller's to release.
    #[must_use]
    pub fn take_handle(mut self) -> Handle {
        let _ = self.handles.take();
        self.handle
    }

    /// Which monitor it is of.
    #[must_use]
    pub fn monitor(&self) -> MonitorId {
        self.id
    }

    /// Why the route is over.
    #[must_use]
    pub fn reason(&self) -> DownReason {
        self.reason
    }
}

impl fmt::Debug for OwnedDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("OwnedDown");
        f.field("monitor", &self.id).field("reason", &self.reason).finish_non_exhaustive()
    }
}
