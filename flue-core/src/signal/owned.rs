//! Signals of their own: they have their bytes, keep the table, and release what
//! was not taken when they are dropped.

use super::{Down, Message};
use crate::cap::entry::By;
use crate::cap::handle::Handle;
use crate::cap::table::Table;
use crate::limits::MAX_MESSAGE_HANDLES;
use crate::monitor::{DownReason, MonitorId, ReceivedDown};
use crate::panics::Panics;
use crate::payload::Payload;
use core::fmt;

/// A signal of its own: `'static` and `Send`. See [`Signal::into_owned`](crate::Signal::into_owned)
/// for an example.
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

impl Message<'_> {
    /// The same message, independent of the mailbox. See [`OwnedMessage`] for an example.
    ///
    /// # Cost
    /// That of [`Signal::into_owned`](crate::Signal::into_owned).
    #[must_use]
    pub fn into_owned(self) -> OwnedMessage {
        let handles = core::mem::take(&mut self.mailbox.handles);
        let handles = Handles { table: self.mailbox.table().clone(), handles };
        OwnedMessage { handles, payload: self.into_payload() }
    }
}

impl Down<'_> {
    /// The same down, independent of the mailbox. See [`OwnedDown`] for an example.
    ///
    /// # Cost
    /// Two steps to keep the table; no memory.
    #[must_use]
    pub fn into_owned(self) -> OwnedDown {
        let handles = core::mem::take(&mut self.mailbox.handles);
        let handles = Handles { table: self.mailbox.table().clone(), handles };
        let ReceivedDown { id, reason, handle } = *self.received();
        OwnedDown { handles, handle, id, reason }
    }
}

/// A message of its own; its untaken handles are released when it is dropped.
///
/// ```
/// use flue_core::{Permissions, PostOffice, Signal};
///
/// let group = PostOffice::new().create_group()?;
/// let table = group.create_table()?;
/// let mut mailbox = group.create_mailbox(&table)?;
/// let to = mailbox.export(Permissions::SEND)?;
/// table.send(to, b"keep me", &[to, to])?;
///
/// let Signal::Message(message) = mailbox.try_recv()? else { unreachable!() };
/// let mut message = message.into_owned();
/// assert_eq!(message.data(), b"keep me");
/// let taken = message.take_handles().next();
/// assert_eq!(taken, Some(to));
/// assert_eq!(message.handles(), [to], "the other one");
/// let payload = message.into_payload();
/// assert_eq!(&payload[..], b"keep me");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Cost
/// As that of [`Message`]; it keeps the table and has its bytes for its own.
pub struct OwnedMessage {
    handles: Handles,
    payload: Payload,
}

impl OwnedMessage {
    /// The bytes. See [`OwnedMessage`] for an example.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.payload
    }

    /// The handles that were not taken. See [`OwnedMessage`] for an example.
    #[must_use]
    pub fn handles(&self) -> &[Handle] {
        &self.handles.handles
    }

    /// Takes the handles: each becomes the caller's to release. See [`OwnedMessage`]
    /// for an example, and [`Message::take_handles`] for the cost.
    pub fn take_handles(&mut self) -> impl Iterator<Item = Handle> {
        core::iter::from_fn(|| self.handles.take())
    }

    /// The bytes, to keep or to send on. The untaken handles are released. See
    /// [`OwnedMessage`] for an example.
    ///
    /// # Cost
    /// That of [`Table::release`] for each untaken handle.
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
///
/// ```
/// use flue_core::{DownReason, Permissions, PostOffice, Signal};
///
/// let group = PostOffice::new().create_group()?;
/// let table = group.create_table()?;
/// let mut observer = group.create_mailbox(&table)?;
/// let watched = group.create_mailbox(&table)?;
/// let id = watched.capability(Permissions::MONITOR).monitor(&observer)?;
/// watched.close();
///
/// let Signal::Down(down) = observer.try_recv()? else { unreachable!() };
/// let down = down.into_owned();
/// assert_eq!((down.monitor(), down.reason()), (id, DownReason::Closed));
/// assert!(table.permissions(down.handle())?.is_empty());
/// table.release(down.take_handle())?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Cost
/// As that of [`Down`]; it keeps the table.
pub struct OwnedDown {
    handles: Handles,
    handle: Handle,
    id: MonitorId,
    reason: DownReason,
}

impl OwnedDown {
    /// A capability to the route, without permissions: to know it by. See [`OwnedDown`]
    /// for an example.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Takes that handle: it is the caller's to release. See [`OwnedDown`] for an
    /// example, and [`Down::take_handle`] for the cost.
    #[must_use]
    pub fn take_handle(mut self) -> Handle {
        let _ = self.handles.take();
        self.handle
    }

    /// Which monitor it is of. See [`OwnedDown`] for an example.
    #[must_use]
    pub fn monitor(&self) -> MonitorId {
        self.id
    }

    /// Why the route is over. See [`OwnedDown`] for an example.
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
