//! Every operation of the public interface that could want memory, or lose some.

use super::allocator::unfailing;
use super::world::{Kept, World, small};
use flue_core::{
    CreateError, Limits, OutOfMemory, Payload, Permissions, PostOffice, RejectedPayload, SendError,
    SendWait, Signal, TableError,
};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    OutOfMemory,
    Otherwise(String),
}

macro_rules! refused {
    ($($error:ty)*) => {$(
        impl From<$error> for Refused {
            fn from(error: $error) -> Self {
                match error {
                    <$error>::OutOfMemory => Self::OutOfMemory,
                    other => Self::Otherwise(unfailing(|| format!("{other:?}"))),
                }
            }
        }
    )*};
}
refused!(TableError SendError CreateError);

impl From<OutOfMemory> for Refused {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

pub type Done = Result<(), Refused>;

/// A payload made with all the memory there is.
fn payload<T: Into<Payload>>(make: impl FnOnce() -> T) -> Payload {
    unfailing(|| make().into())
}

fn rejected(result: Result<(), RejectedPayload>, length: usize) -> Done {
    result.map_err(|rejected| {
        assert_eq!(rejected.payload.len(), length, "the payload comes back");
        unfailing(|| drop(rejected.payload));
        rejected.error.into()
    })
}

/// Waiting is done, too.
fn pending(result: Poll<Result<(), SendError>>) -> Done {
    match result {
        Poll::Ready(result) => Ok(result?),
        Poll::Pending => Ok(()),
    }
}

pub type Operation = fn(&mut World) -> Done;

macro_rules! operations {
    ($($name:literal: |$w:ident| $body:expr,)*) => {
        /// Every operation of the public interface that could want memory, or lose some.
        pub const OPERATIONS: &[(&str, Operation)] = &[$(($name, |$w: &mut World| -> Done { $body; Ok(()) }),)*];
    };
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

operations! {
    "PostOffice::try_new": |w| { let _office = PostOffice::try_new()?; w.keep(Kept::Office { _office }) },
    "PostOffice::try_with_limits": |w| { let _office = PostOffice::try_with_limits(Limits::default())?; w.keep(Kept::Office { _office }) },
    "PostOffice::create_group": |w| { let _group = w.office.create_group()?; w.keep(Kept::Group { _group }) },
    "PostOffice::create_table": |w| { let _table = w.office.create_table()?; w.keep(Kept::Table { _table }) },
    "PostOffice::clone": |w| drop(w.office.clone()),
    "PostOffice::stats": |w| assert!(w.office.stats().routes > 0),
    "RouteGroup::create_table": |w| { let _table = w.other.group.create_table()?; w.keep(Kept::Table { _table }) },
    "RouteGroup::create_mailbox": |w| { let mailbox = w.other.group.create_mailbox(&w.other.table)?; let _mailbox = unfailing(|| Box::new(mailbox)); w.keep(Kept::Mailbox { _mailbox }) },
    "RouteGroup::create_mailbox_with": |w| { let mailbox = w.other.group.create_mailbox_with(&w.other.table, small())?; let _mailbox = unfailing(|| Box::new(mailbox)); w.keep(Kept::Mailbox { _mailbox }) },
    "RouteGroup::link": |w| w.other.group.link(&w.me.group)?,
    "RouteGroup::link with the dead": |w| { w.crowd.iter().for_each(|one| one.group.kill()); w.other.group.kill(); w.me.group.link(&w.other.group)? },
    "RouteGroup::unlink": |w| assert_eq!(w.me.group.unlink(&w.other.group), Ok(false)),
    "RouteGroup::kill": |w| w.other.group.kill(),
    "RouteGroup::clone": |w| drop(w.me.group.clone()),
    "Mailbox::export": |w| _ = w.me.mailbox.export(Permissions::KILL)?,
    "Mailbox::export of what is there": |w| assert_eq!(w.me.mailbox.export(Permissions::all())?, w.to_me),
    "Mailbox::capability": |w| { let _capability = w.me.mailbox.capability(Permissions::SEND); w.keep(Kept::Capability { _capability }) },
    "Mailbox::try_recv": |w| for _ in 0..3 { assert!(w.me.mailbox.try_recv().is_ok()) },
    "Mailbox::poll_ready": |w| assert!(w.other.mailbox.poll_ready(&mut context()).is_pending() || w.other.mailbox.is_ready()),
    "Mailbox::poll_recv": |w| for _ in 0..4 { let _ = w.me.mailbox.poll_recv(&mut context()); },
    "Mailbox::recv_async": |w| assert!(pin!(w.me.mailbox.recv_async()).poll(&mut context()).is_ready()),
    "Mailbox::demonitor": |w| assert!(w.me.mailbox.demonitor(w.armed)),
    "Mailbox::close": |w| w.spare.take().unwrap().close(),
    "Message::take_handles": |w| {
        drop(w.me.mailbox.try_recv());
        drop(w.me.mailbox.try_recv());
        let Ok(Signal::Message(mut message)) = w.me.mailbox.try_recv() else { unreachable!() };
        assert_eq!(message.take_handles().count(), 2);
    },
    "Message::into_payload": |w| {
        drop(w.me.mailbox.try_recv());
        drop(w.me.mailbox.try_recv());
        let Ok(Signal::Message(message)) = w.me.mailbox.try_recv() else { unreachable!() };
        assert_eq!(message.into_payload().len(), 100);
    },
    "Signal::into_owned": |w| for _ in 0..3 { drop(w.me.mailbox.try_recv().map(Signal::into_owned)) },
    "Table::insert": |w| _ = w.me.table.insert(&w.full.capability(Permissions::KILL))?,
    "Table::insert of what is there": |w| assert_eq!(w.me.table.insert(&w.capability)?, w.to_other),
    "Table::capability": |w| { let _capability = w.me.table.capability(w.to_other)?; w.keep(Kept::Capability { _capability }) },
    "Table::contains": |w| assert!(w.me.table.contains(w.to_other)),
    "Table::permissions": |w| assert_eq!(w.me.table.permissions(w.to_other), Ok(Permissions::all())),
    "Table::same_route": |w| assert_eq!(w.me.table.same_route(w.to_other, w.to_me), Ok(false)),
    "Table::retain": |w| w.me.table.retain(w.to_other)?,
    "Table::release": |w| w.me.table.release(w.to_full)?,
    "Table::demote": |w| _ = w.me.table.demote(w.to_other, Permissions::MONITOR)?,
    "Table::kill": |w| w.me.table.kill(w.to_other)?,
    "Table::monitor": |w| _ = w.me.table.monitor(w.to_me, &w.other.mailbox)?,
    "Table::monitor of what is watched": |w| assert_eq!(w.me.table.monitor(w.to_other, &w.me.mailbox)?, w.armed),
    "Table::link": |w| w.me.table.link(w.to_me, &w.other.group)?,
    "Table::unlink": |w| assert_eq!(w.me.table.unlink(w.to_other, &w.me.group), Ok(false)),
    "Table::send": |w| w.me.table.send(w.to_other, b"inline", &[])?,
    "Table::send in a block": |w| w.me.table.send(w.to_other, &[9; 80], &[])?,
    "Table::send in a block, with capabilities": |w| w.me.table.send(w.to_other, &[9; 80], &[w.to_me, w.to_other])?,
    "Table::send of many bytes": |w| w.me.table.send(w.to_other, &[9; 200], &[])?,
    "Table::send with capabilities": |w| w.me.table.send(w.to_other, b"", &[w.to_me, w.to_other, w.to_full])?,
    "Table::send with all there may be": |w| w.me.table.send(w.to_other, &[9; 300], &[w.to_me; 8])?,
    "Table::send to a full mailbox": |w| assert_eq!(w.me.table.send(w.to_full, b"", &[]), Err(SendError::Full)),
    "Table::send_payload of a Vec": |w| rejected(w.me.table.send_payload(w.to_other, payload(|| vec![1; 10]), &[w.to_me]), 10)?,
    "Table::send_payload of a Box": |w| rejected(w.me.table.send_payload(w.to_other, payload(|| vec![1; 10].into_boxed_slice()), &[]), 10)?,
    "Table::send_payload of an Arc": |w| rejected(w.me.table.send_payload(w.to_other, payload(|| Arc::<[u8]>::from([1; 10])), &[]), 10)?,
    "Table::send_payload of static bytes": |w| rejected(w.me.table.send_payload(w.to_other, payload(|| &b"0123456789"[..]), &[w.to_me]), 10)?,
    "Table::poll_send": |w| { let mut wait = SendWait::new(); pending(w.me.table.poll_send(&mut context(), &mut wait, w.to_other, &[2; 80], &[w.to_me]))? },
    "Table::poll_send without room": |w| {
        let mut wait = SendWait::new();
        pending(w.me.table.poll_send(&mut context(), &mut wait, w.to_full, b"", &[]))?;
        w.keep(Kept::Wait { _wait: wait })
    },
    "Table::poll_send_payload": |w| {
        let (mut wait, mut payload) = (SendWait::new(), Some(payload(|| vec![1; 10])));
        let polled = w.me.table.poll_send_payload(&mut context(), &mut wait, w.to_full, &mut payload, &[]);
        unfailing(|| drop(payload));
        pending(polled)?;
        w.keep(Kept::Wait { _wait: wait })
    },
    "Table::handles": |w| assert!(w.me.table.handles().count() >= 3),
    "Table::clone": |w| drop(w.me.table.clone()),
    "Capability::clone": |w| drop(w.capability.clone()),
    "Capability::demote": |w| drop(w.capability.demote(Permissions::SEND)?),
    "Capability::send": |w| w.capability.send(&[4; 90], &[&w.capability])?,
    "Capability::send_payload": |w| rejected(w.capability.send_payload(payload(|| vec![1; 90]), &[&w.capability]), 90)?,
    "Capability::poll_send": |w| { let mut wait = SendWait::new(); pending(w.capability.poll_send(&mut context(), &mut wait, b"", &[&w.capability]))? },
    "Capability::kill": |w| w.capability.kill()?,
    "Capability::monitor": |w| _ = w.me.mailbox.capability(Permissions::MONITOR).monitor(&w.other.mailbox)?,
    "Capability::link": |w| w.me.mailbox.capability(Permissions::LINK).link(&w.other.group)?,
    "Capability::unlink": |w| assert_eq!(w.capability.unlink(&w.me.group), Ok(false)),
    "dropping the crowd": |w| w.crowd.clear(),
}
