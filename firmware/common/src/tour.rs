//! Every public type of `flue-core`, used as a program would, every result checked: an image that only links proves
//! nothing. One CPU; leaves the office as it was.

use core::pin::pin;
use core::task::{Context, Poll};

use flue_core::{
    Capability, CreateError, DownReason, Handle, Limits, MonitorId, OwnedMessage, OwnedSignal,
    Payload, Permissions, PostOffice, RecvError, RejectedPayload, SendError, SendWait, Signal,
    StaticPostOffice, Stats, TableError, TryRecvError,
};

use crate::process::{EVERYTHING, Process, limits, own_handles};
use crate::wake::{Flag, block_on};

/// Storage that is just enough for the tour.
pub type Office = StaticPostOffice<4, 12, 12>;

/// Storage, for a `static`.
pub const fn storage() -> Office {
    StaticPostOffice::with_limits(own_handles(8))
}

/// What passed through the office in one tour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    pub messages: u32,
    pub downs: u32,
}

/// The totals of every tour.
pub const EXPECTED: Totals = Totals { messages: 9, downs: 3 };

/// Uses everything once and checks it.
pub fn run(office: &PostOffice) -> Totals {
    let before: Stats = office.stats();
    let mut totals = Totals { messages: 0, downs: 0 };
    capabilities(office);
    messages(office, &mut totals);
    payloads(office, &mut totals);
    waiting(office, &mut totals);
    deaths(office, &mut totals);
    links(office);
    limits_hold(office);
    office.reclaim();
    assert_eq!(office.stats(), before);
    assert_eq!(totals, EXPECTED);
    totals
}

fn capabilities(office: &PostOffice) {
    let server = Process::new(office, 2, 2).unwrap();
    let client = Process::new(office, 2, 2).unwrap();

    let own = server.mailbox.export(EVERYTHING).unwrap();
    let capability: Capability = server.table.capability(own).unwrap();
    let full = client.table.insert(&capability).unwrap();
    assert_eq!(client.table.insert(&capability), Ok(full));
    let send = client.table.demote(full, Permissions::SEND).unwrap();
    assert_ne!(full, send);
    assert_eq!(client.table.permissions(send), Ok(Permissions::SEND));
    assert_eq!(client.table.same_route(full, send), Ok(true));
    assert_eq!(client.table.demote(send, Permissions::LINK), Err(TableError::PermissionDenied));
    assert_eq!(client.table.kill(send), Err(TableError::PermissionDenied));
    assert!(capability.same_route(&capability.demote(Permissions::SEND).unwrap()));
    assert_eq!(capability.permissions(), EVERYTHING);
    assert!(!capability.is_closed());

    // Its count: twice inserted, once retained.
    client.table.retain(full).unwrap();
    assert_eq!(client.table.len(), 2);
    for _ in 0..3 {
        assert!(client.table.contains(full));
        client.table.release(full).unwrap();
    }
    assert!(!client.table.contains(full));
    assert_eq!(client.table.release(full), Err(TableError::InvalidHandle));
    assert_eq!(client.table.handles().into_iter().count(), 1);
    client.table.release(send).unwrap();

    // A handle is an allegation: any integer may be one.
    let invented = Handle::from_raw(full.to_raw() ^ 1).unwrap();
    assert_eq!(client.table.permissions(invented), Err(TableError::InvalidHandle));
    assert_eq!(client.table.send(invented, b"", &[]), Err(SendError::InvalidHandle));
    assert!(Handle::from_raw(0).is_none());

    assert_eq!(server.mailbox.capacity(), 2);
    assert!(server.mailbox.group() == &server.group);
    assert!(server.table.capacity() >= server.mailbox.table().len());
}

fn messages(office: &PostOffice, totals: &mut Totals) {
    let mut server = Process::new(office, 2, 2).unwrap();
    let mut client = Process::new(office, 2, 2).unwrap();
    let to_server = client.meet(&server, Permissions::SEND);
    let reply_to = client.mailbox.export(Permissions::SEND).unwrap();

    assert!(matches!(server.mailbox.try_recv(), Err(TryRecvError::Empty)));
    client.table.send(to_server, b"ping", &[reply_to]).unwrap();
    client.table.send(to_server, b"again", &[]).unwrap();
    assert_eq!(client.table.send(to_server, b"", &[]), Err(SendError::Full));
    assert_eq!(
        client.table.send(reply_to, b"", &[to_server, invented(reply_to)]),
        Err(SendError::InvalidAttachment { index: 1 })
    );
    assert_eq!(server.mailbox.len(), 2);
    assert!(server.mailbox.is_ready());

    let reply = match server.mailbox.try_recv() {
        Ok(Signal::Message(mut message)) => {
            assert_eq!(message.data(), b"ping");
            assert_eq!(message.handles().len(), 1);
            assert_eq!(
                message.mailbox().table().permissions(message.handles()[0]),
                Ok(Permissions::SEND)
            );
            let mut taken = message.take_handles();
            let reply = taken.next().unwrap();
            assert!(taken.next().is_none());
            reply
        }
        _ => unreachable!(),
    };
    server.table.send(reply, b"pong", &[reply]).unwrap();
    server.table.release(reply).unwrap();
    let again: OwnedSignal = server.mailbox.try_recv().ok().unwrap().into_owned();
    assert!(matches!(&again, OwnedSignal::Message(message) if message.data() == b"again"));
    drop(again);

    // The guard is dropped, so the handle that nobody took is released: but it equals the client's own (P4).
    let pong: OwnedMessage = match client.mailbox.try_recv() {
        Ok(Signal::Message(message)) => message.into_owned(),
        _ => unreachable!(),
    };
    assert_eq!(pong.data(), b"pong");
    assert_eq!(pong.handles(), &[reply_to]);
    drop(pong);
    assert!(client.table.contains(reply_to));

    // The host sends too.
    let host = server.mailbox.capability(Permissions::SEND);
    host.send(b"from the host", &[&host]).unwrap();
    assert!(
        matches!(server.mailbox.try_recv(), Ok(Signal::Message(message)) if message.data() == b"from the host")
    );
    assert_eq!(server.table.len(), 0);
    totals.messages += 4;
}

fn payloads(office: &PostOffice, totals: &mut Totals) {
    static PAGE: [u8; 256] = [7; 256];
    let mut server = Process::new(office, 1, 0).unwrap();
    let to_server = server.mailbox.export(Permissions::SEND).unwrap();

    // The receiver reads the sender's very buffer.
    server.table.send_payload(to_server, Payload::from(&PAGE[..]), &[]).unwrap();
    let RejectedPayload { error, payload, .. } =
        server.table.send_payload(to_server, Payload::from(&PAGE[..9]), &[]).unwrap_err();
    assert_eq!(error, SendError::Full);
    assert_eq!(payload.len(), 9);
    let received: Payload = match server.mailbox.try_recv() {
        Ok(Signal::Message(message)) => message.into_payload(),
        _ => unreachable!(),
    };
    assert_eq!(received.as_ptr(), PAGE.as_ptr());
    assert_eq!(received.len(), PAGE.len());
    totals.messages += 1;
}

fn waiting(office: &PostOffice, totals: &mut Totals) {
    static FLAG: Flag = Flag::new();
    let mut server = Process::new(office, 1, 1).unwrap();
    let to_server = server.mailbox.export(Permissions::SEND).unwrap();
    let waker = FLAG.waker();
    let mut context = Context::from_waker(&waker);

    // A receiver waits for a message.
    assert!(server.mailbox.poll_ready(&mut context).is_pending());
    assert!(matches!(server.mailbox.poll_recv(&mut context), Poll::Pending));
    assert!(!FLAG.take());
    server.table.send(to_server, b"1", &[]).unwrap();
    assert!(FLAG.take());
    assert!(
        matches!(server.mailbox.poll_recv(&mut context), Poll::Ready(Ok(Signal::Message(message))) if message.data() == b"1")
    );

    // A sender waits for room.
    let mut wait = SendWait::default();
    assert_eq!(
        server.table.poll_send(&mut context, &mut wait, to_server, b"2", &[]),
        Poll::Ready(Ok(()))
    );
    assert!(server.table.poll_send(&mut context, &mut wait, to_server, b"3", &[]).is_pending());
    {
        let received = pin!(server.mailbox.recv_async());
        assert!(
            matches!(block_on(&FLAG, received), Ok(Signal::Message(message)) if message.data() == b"2")
        );
    }
    assert!(FLAG.take());
    assert_eq!(
        server.table.poll_send(&mut context, &mut wait, to_server, b"3", &[]),
        Poll::Ready(Ok(()))
    );
    drop(wait);
    assert!(
        matches!(server.mailbox.try_recv(), Ok(Signal::Message(message)) if message.data() == b"3")
    );

    // A kill wakes whoever waits.
    assert!(server.mailbox.poll_ready(&mut context).is_pending());
    server.group.kill();
    assert!(FLAG.take());
    assert!(server.mailbox.poll_ready(&mut context).is_ready());
    let dead: Result<Signal<'_>, RecvError> = block_on(&FLAG, server.mailbox.recv_async());
    assert!(dead.is_err());
    totals.messages += 3;
}

fn deaths(office: &PostOffice, totals: &mut Totals) {
    let mut watcher = Process::new(office, 2, 2).unwrap();
    let watched = Process::new(office, 2, 2).unwrap();
    let handle = watcher.meet(&watched, EVERYTHING);

    let first: MonitorId = watcher.table.monitor(handle, &watcher.mailbox).unwrap();
    assert_eq!(watcher.table.monitor(handle, &watcher.mailbox), Ok(first));
    assert!(watcher.mailbox.demonitor(first));
    assert!(!watcher.mailbox.demonitor(first));

    // Killed: the queue is destroyed, the table sealed, the down comes after the last words.
    let armed = watcher.table.monitor(handle, &watcher.mailbox).unwrap();
    assert!(armed > first);
    let last_words = watched.meet(&watcher, Permissions::SEND);
    watcher.table.send(handle, b"never read", &[]).unwrap();
    watched.table.send(last_words, b"last words", &[]).unwrap();
    watcher.table.kill(handle).unwrap();
    assert!(watched.group.is_dead());
    assert_eq!(watched.table.send(last_words, b"too late", &[]), Err(SendError::Dead));
    assert_eq!(watched.table.len(), 0);
    let Process { mailbox: mut dead, .. } = watched;
    assert!(matches!(dead.try_recv(), Err(TryRecvError::Dead)));
    assert_eq!(watcher.table.send(handle, b"", &[]), Err(SendError::Closed));
    assert!(
        matches!(watcher.mailbox.try_recv(), Ok(Signal::Message(message)) if message.data() == b"last words")
    );
    match watcher.mailbox.try_recv() {
        Ok(Signal::Down(down)) => {
            assert_eq!((down.monitor(), down.reason()), (armed, DownReason::Killed));
            assert_eq!(down.mailbox().table().permissions(down.handle()), Ok(Permissions::empty()));
            let name = down.take_handle();
            assert_eq!(watcher.table.same_route(name, handle), Ok(true));
            watcher.table.release(name).unwrap();
        }
        _ => unreachable!(),
    }
    watcher.table.release(handle).unwrap();
    drop(dead);

    // Closed, and then gone: the group lives on.
    let closing = Process::new(office, 1, 1).unwrap();
    let handle = watcher.meet(&closing, EVERYTHING);
    watcher.table.monitor(handle, &watcher.mailbox).unwrap();
    let Process { group, mailbox, .. } = closing;
    mailbox.close();
    assert!(!group.is_dead());
    assert_eq!(watcher.table.kill(handle), Err(TableError::Closed));
    assert!(
        matches!(watcher.mailbox.try_recv(), Ok(Signal::Down(down)) if down.reason() == DownReason::Closed)
    );
    watcher.table.monitor(handle, &watcher.mailbox).unwrap();
    assert!(
        matches!(watcher.mailbox.try_recv(), Ok(Signal::Down(down)) if down.reason() == DownReason::Gone)
    );
    watcher.table.release(handle).unwrap();
    assert_eq!(watcher.table.len(), 0);
    totals.messages += 1;
    totals.downs += 3;
}

fn links(office: &PostOffice) {
    let a = Process::new(office, 1, 1).unwrap();
    let b = Process::new(office, 1, 1).unwrap();
    let c = Process::new(office, 1, 1).unwrap();
    let to_b = a.meet(&b, Permissions::LINK);
    a.table.link(to_b, &a.group).unwrap();
    assert_eq!(a.table.unlink(to_b, &a.group), Ok(true));
    assert_eq!(a.group.unlink(&b.group), Ok(false));

    // A chain: the death of one end is the death of the other.
    a.group.link(&b.group).unwrap();
    b.mailbox.capability(Permissions::LINK).link(&c.group).unwrap();
    assert!(a.group.clone() == a.group);
    a.group.kill();
    assert!(b.group.is_dead() && c.group.is_dead());
    assert_eq!(a.table.link(to_b, &a.group), Err(TableError::Dead));
    assert!(matches!(a.group.create_table(), Err(CreateError::Dead)));
}

fn limits_hold(office: &PostOffice) {
    let narrow = Process::new(office, 0, 0).unwrap();
    let handle = narrow.mailbox.export(Permissions::SEND).unwrap();
    assert_eq!(narrow.table.send(handle, b"", &[]), Err(SendError::Full));
    assert_eq!(narrow.table.send(handle, b"", &[handle; 9]), Err(SendError::TooManyHandles));

    let defaults = Limits::default();
    assert_eq!(defaults.clone(), defaults);

    let host = office.create_table().unwrap();
    let other = office.create_group().unwrap();
    let foreign = other.create_mailbox_with(&narrow.table, limits(1, 0));
    assert!(matches!(foreign, Err(CreateError::TableMismatch)));
    let local = other.create_mailbox_with(&host, limits(1, 0)).unwrap();
    assert!(local.export(Permissions::MONITOR).is_ok());
}

/// An integer that names nothing.
fn invented(near: Handle) -> Handle {
    Handle::from_raw(near.to_raw() ^ (1 << 40)).unwrap()
}
