//! What is refused, and has no effect.

use core::task::{Context, Poll};

use common::process::{EVERYTHING, Process};
use flue_core::{Handle, Payload, Permissions, SendError, SendWait, TableError};

use super::{Case, FLAGS, case};
use crate::handler::{self, Fate};
use crate::stage::Stage;

pub(super) const CASES: &[Case] = &[
    case("send, full", &["Table::send", "Capability::send"], full),
    case("send, closed", &["Table::send", "Table::poll_send", "Capability::send"], closed),
    case("send, not permitted", &["Table::send", "Table::send_payload"], not_permitted),
    case("send, no buffer", &["Table::send"], no_buffer),
    case("handles, refused", &["Table::retain", "Table::demote", "Table::insert"], handles),
    case("a sealed table", SEALED, sealed),
];

fn full(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    stage.fill_target(&target);
    let (to, capability) = (target.to, &target.capability);
    let (fired, sent) =
        stage.act(delay, |main| [main.table.send(to, b"", &[]), capability.send(b"", &[])]);
    for sent in sent {
        // The handler may have received, and made room.
        if sent != Err(SendError::Full) {
            stage.expect_sent(sent);
        }
    }
    assert!(fired.is_some() || sent == [Err(SendError::Full); 2]);
    stage.forget(target);
    fired
}

fn closed(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    stage.take_mailbox().close();
    let (to, capability) = (target.to, &target.capability);
    let waker = FLAGS[0].waker();
    let (fired, (sent, polled)) = stage.act(delay, |main| {
        let mut wait = SendWait::new();
        let mut context = Context::from_waker(&waker);
        let polled = main.table.poll_send(&mut context, &mut wait, to, b"", &[]);
        ([main.table.send(to, b"", &[]), capability.send(b"", &[])], polled)
    });
    assert_eq!(sent[1], Err(SendError::Closed));
    let Poll::Ready(polled) = polled else { panic!("there is nothing to wait for") };
    for sent in [sent[0], polled] {
        let is_released = stage.fate() == Fate::Released && sent == Err(SendError::InvalidHandle);
        assert!(is_released || sent == Err(SendError::Closed));
    }
    stage.forget(target);
    fired
}

/// A handle that names nothing.
fn forged(handle: Handle) -> Handle {
    Handle::from_raw(handle.to_raw() ^ (1 << 40)).unwrap()
}

fn not_permitted(stage: &mut Stage, delay: u32) -> Option<u32> {
    let to = stage.to_handler;
    let mute = stage.process.table.demote(to, Permissions::MONITOR).unwrap();
    let (fired, refused) = stage.act(delay, |main| {
        let payload = main.table.send_payload(mute, Payload::from(&b"owned"[..]), &[]);
        [
            main.table.send(forged(to), b"", &[]),
            main.table.send(mute, b"", &[]),
            main.table.send(to, b"", &[to, forged(to)]),
            main.table.send(to, b"", &[to; 9]),
            main.table.send(to, b"more bytes than travel in a message", &[]),
            payload.map_err(|rejected| rejected.error),
        ]
    });
    assert_eq!(
        refused.map(Result::unwrap_err),
        [
            SendError::InvalidHandle,
            SendError::PermissionDenied,
            SendError::InvalidAttachment { index: 1 },
            SendError::TooManyHandles,
            SendError::TooLarge,
            SendError::PermissionDenied,
        ]
    );
    stage.process.table.release(mute).unwrap();
    fired
}

/// All buffers of the office are in one mailbox.
fn no_buffer(stage: &mut Stage, delay: u32) -> Option<u32> {
    handler::with(|handler| handler.is_scarce = true);
    let hoard = Process::new(&stage.office, 64, 0).unwrap();
    let capability = hoard.mailbox.capability(Permissions::SEND);
    while capability.send(b"one of many", &[]).is_ok() {}
    let (to, data) = (stage.to_handler, stage.next_to_handler());
    let (fired, sent) = stage.act(delay, |main| main.table.send(to, &data, &[]));
    match sent {
        // Who receives gives its last buffer back.
        Ok(()) => stage.sent_to_handler += 1,
        Err(error) => assert_eq!(error, SendError::Full),
    }
    assert!(sent.is_err() || fired.is_some());
    fired
}

fn handles(stage: &mut Stage, delay: u32) -> Option<u32> {
    let to = stage.to_handler;
    let table = &stage.process.table;
    let mute = table.demote(to, Permissions::empty()).unwrap();
    let all = table.capability(to).unwrap();
    // Fills the table, with others' capabilities too if need be.
    let mut own = [None; 16];
    let bits = (1..EVERYTHING.bits()).map(Permissions::from_bits_truncate);
    for (place, permissions) in own.iter_mut().zip(bits) {
        *place = table.insert(&all.demote(permissions).unwrap()).ok();
    }
    let further = stage.process.mailbox.capability(Permissions::MONITOR);
    let (fired, refused) = stage.act(delay, |main| {
        [
            main.table.insert(&further).map(drop),
            main.table.retain(forged(to)),
            main.table.release(forged(to)),
            main.table.demote(mute, Permissions::SEND).map(drop),
            main.table.demote(forged(to), Permissions::SEND).map(drop),
            main.table.kill(mute),
            main.table.monitor(mute, &main.mailbox).map(drop),
            main.table.link(mute, &main.group),
            main.table.unlink(mute, &main.group).map(drop),
        ]
    });
    use TableError::{Full, InvalidHandle, PermissionDenied};
    let expected = [
        Full,
        InvalidHandle,
        InvalidHandle,
        PermissionDenied,
        InvalidHandle,
        PermissionDenied,
        PermissionDenied,
        PermissionDenied,
        PermissionDenied,
    ];
    assert_eq!(refused.map(Result::unwrap_err), expected);
    for handle in own.into_iter().flatten().chain([mute]) {
        stage.process.table.release(handle).unwrap();
    }
    fired
}

const SEALED: &[&str] = &[
    "Table::insert",
    "Table::capability",
    "Table::contains",
    "Table::permissions",
    "Table::same_route",
    "Table::retain",
    "Table::release",
    "Table::demote",
    "Table::kill",
    "Table::link",
    "Table::unlink",
    "Table::monitor",
    "Table::send",
    "Table::len",
];

/// Killed code has lost all authority at once.
fn sealed(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let capability = stage.process.table.capability(stage.to_handler).unwrap();
    let to = target.table.insert(&capability).unwrap();
    target.group.kill();
    let table = &target.table;
    let (fired, (found, refused)) = stage.act(delay, |main| {
        let refused = [
            table.insert(&capability).map(drop),
            table.capability(to).map(drop),
            table.permissions(to).map(drop),
            table.same_route(to, to).map(drop),
            table.retain(to),
            table.demote(to, Permissions::SEND).map(drop),
            table.kill(to),
            table.link(to, &main.group),
            table.unlink(to, &main.group).map(drop),
            table.monitor(to, &main.mailbox).map(drop),
            table.release(to),
        ];
        let is_refused = table.send(to, b"", &[]) == Err(SendError::Dead);
        ((table.contains(to), table.len(), is_refused), refused)
    });
    assert_eq!(found, (false, 0, true));
    assert_eq!(refused, [Err(TableError::Dead); 11]);
    stage.forget(target);
    fired
}
