//! Sending, where nobody waits.

use super::{Operation, Players, by, operation};
use crate::scene::{Played, Scene};
use crate::world::{FIRST, GROWS, OTHER};
use flue_core::{Handle, Payload, Permissions, SendError};
use std::sync::atomic::Ordering::Relaxed;

pub const OPERATIONS: &[Operation] = &[
    operation("send", &["Table::send"], send),
    operation("send, from the other side", &["Table::send"], send_back),
    operation("send, 3 attached", &["Table::send"], send_attached),
    operation("send, own table", &["Table::send"], send_from_own_table),
    operation("send, in a block", &["Table::send"], send_in_block),
    operation("send, copied out of line", &["Table::send"], send_long),
    operation("send to a sleeper", &["Table::send"], send_to_sleeper),
    operation("send, full", &["Table::send"], send_full),
    operation("send, closed", &["Table::send", "Capability::send"], send_closed),
    operation("send, refused", &["Table::send", "Table::send_payload"], send_refused),
    operation("send_payload, static", &["Table::send_payload"], send_static),
    operation("send_payload, owned", &["Table::send_payload", "Payload::from"], send_owned),
    operation("capability: send, attached", &["Capability::send"], send_by_host),
    operation("capability: send_payload", &["Capability::send_payload"], send_payload_by_host),
    by(Players::First, operation("send, the office has no buffer", &["Table::send"], send_scarce)),
    by(Players::First, operation("send, the office grows", &["Capability::send"], send_growing)),
];

fn send(scene: &Scene) -> Played {
    let (table, to) = (scene.table(), scene.common().to);
    let mail = scene.world.mail(scene.me, OTHER);
    let sent = scene.act(|| table.send(to, &mail, &[]));
    scene.sent(OTHER, sent);
    settle(scene);
    Ok(())
}

/// The other receives; the first's mailbox is emptied if it can be had.
fn settle(scene: &Scene) {
    if scene.me == OTHER {
        scene.world.drain(OTHER);
        scene.world.drain(FIRST);
    }
}

fn send_back(scene: &Scene) -> Played {
    let (table, to) = (scene.table(), scene.world.parties[FIRST].to);
    let mail = scene.world.mail(scene.me, FIRST);
    let sent = scene.act(|| table.send(to, &mail, &[]));
    scene.sent(FIRST, sent);
    settle(scene);
    Ok(())
}

fn send_attached(scene: &Scene) -> Played {
    let (table, to) = (scene.table(), scene.common().to);
    let attach = [to, scene.world.parties[FIRST].to, to];
    let mail = scene.world.mail(scene.me, OTHER);
    let sent = scene.act(|| table.send(to, &mail, &attach));
    scene.sent(OTHER, sent);
    settle(scene);
    Ok(())
}

fn send_from_own_table(scene: &Scene) -> Played {
    let process = scene.subject(1)?;
    let capability = scene.common().capability.demote(Permissions::SEND).expect("a subset");
    let to = scene.room(process.table.insert(&capability))?;
    let mail = scene.world.mail(scene.me, OTHER);
    let sent = scene.act(|| process.table.send(to, &mail, &[to]));
    if scene.expect_sent(sent) {
        scene.sent(OTHER, Ok(()));
    }
    settle(scene);
    scene.done(process);
    Ok(())
}

fn send_in_block(scene: &Scene) -> Played {
    send_bytes::<80>(scene)
}

fn send_long(scene: &Scene) -> Played {
    send_bytes::<200>(scene)
}

fn send_bytes<const LENGTH: usize>(scene: &Scene) -> Played {
    let (table, to) = (scene.table(), scene.common().to);
    let mut data = [scene.me as u8; LENGTH];
    data[..16].copy_from_slice(&scene.world.mail(scene.me, OTHER));
    let attach = [to];
    let attach = if LENGTH > 100 { &attach[..] } else { &[] };
    let sent = scene.act(|| table.send(to, &data, attach));
    if GROWS {
        scene.sent(OTHER, sent);
    } else {
        assert_eq!(sent, Err(SendError::TooLarge), "there is no memory for a copy");
    }
    settle(scene);
    Ok(())
}

fn send_to_sleeper(scene: &Scene) -> Played {
    let (world, flag) = (scene.world, &scene.common().flags[0]);
    let is_asleep = scene.common().mailbox().is_some_and(|mut mailbox| {
        world.drain_lent(OTHER, &mut mailbox);
        flag.take();
        let waker = flag.waker();
        mailbox.poll_ready(&mut std::task::Context::from_waker(&waker)).is_pending()
    });
    world.is_asleep.store(is_asleep && scene.is_first(), Relaxed);
    let (table, to) = (scene.table(), scene.common().to);
    let mail = world.mail(scene.me, OTHER);
    let sent = scene.act(|| table.send(to, &mail, &[]));
    scene.sent(OTHER, sent);
    assert!(!is_asleep || sent.is_err() || flag.take(), "a lost wake-up");
    world.is_asleep.store(false, Relaxed);
    settle(scene);
    Ok(())
}

fn send_full(scene: &Scene) -> Played {
    let process = scene.subject(1)?;
    let table = scene.table();
    scene.room(table.send(process.to, b"takes the room", &[]))?;
    let sent = scene.act(|| table.send(process.to, b"", &[]));
    if sent != Err(SendError::Full) {
        assert!(!scene.expect_sent(sent), "more than its capacity");
    }
    scene.done(process);
    Ok(())
}

fn send_closed(scene: &Scene) -> Played {
    let mut process = scene.subject(1)?;
    let (table, capability) = (scene.table(), process.open().capability(Permissions::SEND));
    process.mailbox = None;
    let sent =
        scene.act(|| [table.send(process.to, b"", &[process.to]), capability.send(b"", &[])]);
    assert_eq!(sent[1], Err(SendError::Closed));
    if sent[0] != Err(SendError::Closed) {
        assert!(!scene.expect_sent(sent[0]), "to a closed route");
    }
    scene.done(process);
    Ok(())
}

fn send_refused(scene: &Scene) -> Played {
    let (table, to) = (scene.table(), scene.common().to);
    let mute = scene.room(table.demote(to, Permissions::MONITOR))?;
    let forged = Handle::from_raw(to.to_raw() ^ (1 << 40)).expect("not zero");
    let refused = scene.act(|| {
        let payload = table.send_payload(mute, Payload::from(&b"owned"[..]), &[]);
        [
            table.send(forged, b"", &[]),
            table.send(mute, b"", &[]),
            table.send(to, b"", &[to, forged]),
            table.send(to, b"", &[to; 9]),
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
            SendError::PermissionDenied,
        ]
    );
    table.release(mute).expect("it was there");
    Ok(())
}

/// A mail that lives as long as a `static`.
fn forever(scene: &Scene) -> &'static [u8] {
    Vec::leak(scene.world.mail(scene.me, OTHER).to_vec())
}

fn send_static(scene: &Scene) -> Played {
    let (table, to) = (scene.table(), scene.common().to);
    let mut payload = Some(Payload::from(forever(scene)));
    let sent = scene.act(|| {
        let payload = payload.take().expect("one act");
        table.send_payload(to, payload, &[to]).map_err(|rejected| rejected.error)
    });
    scene.sent(OTHER, sent);
    settle(scene);
    Ok(())
}

#[cfg(feature = "alloc")]
fn owned(scene: &Scene) -> Payload {
    Payload::from(scene.world.mail(scene.me, OTHER).to_vec())
}

/// Without an allocator nothing is owned but what is static.
#[cfg(not(feature = "alloc"))]
fn owned(scene: &Scene) -> Payload {
    Payload::from(forever(scene))
}

fn send_owned(scene: &Scene) -> Played {
    let (table, to) = (scene.table(), scene.common().to);
    let mut payload = Some(owned(scene));
    let sent = scene.act(|| {
        let payload = payload.take().expect("one act");
        table.send_payload(to, payload, &[]).map_err(|rejected| rejected.error)
    });
    scene.sent(OTHER, sent);
    settle(scene);
    Ok(())
}

fn send_by_host(scene: &Scene) -> Played {
    let to = &scene.common().capability;
    let attach = [to, &scene.world.parties[FIRST].capability];
    let mail = scene.world.mail(scene.me, OTHER);
    let sent = scene.act(|| to.send(&mail, &attach));
    scene.sent(OTHER, sent);
    settle(scene);
    Ok(())
}

fn send_payload_by_host(scene: &Scene) -> Played {
    let to = &scene.common().capability;
    let mut payload = Some(owned(scene));
    let sent = scene.act(|| {
        let payload = payload.take().expect("one act");
        to.send_payload(payload, &[to]).map_err(|rejected| rejected.error)
    });
    scene.sent(OTHER, sent);
    settle(scene);
    Ok(())
}

/// The office's limit of messages is reached before the mailbox's.
fn send_scarce(scene: &Scene) -> Played {
    let table = scene.table();
    let mut process = scene.process(4096)?;
    scene.world.is_scarce.store(true, Relaxed);
    let mut count = 0;
    while table.send(process.to, b"one of many", &[]).is_ok() {
        count += 1;
    }
    assert!(count < 4096, "the office's limit was not reached");
    let to = scene.common().to;
    let sent = scene.act(|| table.send(to, b"", &[]));
    assert_eq!(sent, Err(SendError::Full));
    while process.open_mut().try_recv().is_ok() {
        count -= 1;
    }
    assert_eq!(count, 0, "lost");
    scene.world.is_scarce.store(false, Relaxed);
    scene.done(process);
    Ok(())
}

/// No buffer is left in memory that is there.
fn send_growing(scene: &Scene) -> Played {
    const SEGMENT: usize = 32;
    if !GROWS {
        scene.act(|| {});
        return Ok(());
    }
    let mut process = scene.process(4096)?;
    let capability = process.open().capability(Permissions::SEND);
    let mut count = 0;
    while count == 0 || !scene.world.office.stats().buffers.is_multiple_of(4 * SEGMENT) {
        capability.send(b"one of many", &[]).expect("room");
        count += 1;
    }
    let sent = scene.act(|| capability.send(b"the last of many", &[]));
    sent.expect("room");
    while process.open_mut().try_recv().is_ok() {
        count -= 1;
    }
    assert_eq!(count, -1, "lost");
    scene.done(process);
    Ok(())
}
