//! Waiting to receive, and looking whether there is something.

use super::{Operation, operation};
use crate::scene::{Played, Scene};
use crate::world::Lease;
use flue_core::{RecvError, Signal};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};

pub const OPERATIONS: &[Operation] = &[
    operation("poll_ready, waits", &["Mailbox::poll_ready"], wait_to_receive),
    operation("poll_ready, waits again", &["Mailbox::poll_ready"], wait_again),
    operation("poll_ready, another waker", &["Mailbox::poll_ready"], replace_waker),
    operation("poll_recv, waits", &["Mailbox::poll_recv"], poll_recv_waits),
    operation("poll_recv, after a sleep", &["Mailbox::poll_recv"], poll_recv_ready),
    operation("recv_async, dropped", &["Mailbox::recv_async"], recv_async),
    operation(
        "mailbox: looks",
        &[
            "Mailbox::is_ready",
            "Mailbox::len",
            "Mailbox::is_empty",
            "Mailbox::capacity",
            "Mailbox::table",
            "Mailbox::group",
            "Mailbox::capability",
        ],
        looks,
    ),
];

/// Who waits is woken by what comes, whenever it comes.
fn settle(scene: &Scene, mut mailbox: Lease<'_>, is_pending: bool, flag: usize) -> Played {
    let flag = scene.flag(flag);
    if is_pending {
        if !mailbox.is_ready() {
            let mail = scene.world.mail(scene.me, scene.me);
            scene.room(scene.table().send(scene.party().to, &mail, &[]))?;
            scene.sent(scene.me, Ok(()));
        }
        assert!(flag.take(), "a lost wake-up");
    } else {
        assert!(mailbox.is_ready(), "ready, and there is nothing");
    }
    scene.world.drain_lent(scene.me, &mut mailbox);
    Ok(())
}

fn wait_to_receive(scene: &Scene) -> Played {
    let (mut mailbox, flag) = (scene.mailbox(), scene.flag(0));
    flag.take();
    let waker = flag.waker();
    let mut context = Context::from_waker(&waker);
    let polled = scene.act(|| mailbox.poll_ready(&mut context));
    settle(scene, mailbox, polled.is_pending(), 0)
}

/// The same waker, in a mailbox that sleeps already.
fn wait_again(scene: &Scene) -> Played {
    let (mut mailbox, flag) = (scene.mailbox(), scene.flag(0));
    let waker = flag.waker();
    let mut context = Context::from_waker(&waker);
    let _ = mailbox.poll_ready(&mut context);
    flag.take();
    let polled = scene.act(|| mailbox.poll_ready(&mut context));
    settle(scene, mailbox, polled.is_pending(), 0)
}

fn replace_waker(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    let (before, waker) = (scene.flag(0).waker(), scene.flag(1).waker());
    let _ = mailbox.poll_ready(&mut Context::from_waker(&before));
    scene.flag(1).take();
    let mut context = Context::from_waker(&waker);
    let polled = scene.act(|| mailbox.poll_ready(&mut context));
    settle(scene, mailbox, polled.is_pending(), 1)
}

/// What a poll to receive brought: only messages come here.
fn brought(polled: Poll<Result<Signal<'_>, RecvError>>) -> Option<[u8; 16]> {
    match polled {
        Poll::Pending => None,
        Poll::Ready(Ok(Signal::Message(message))) => Some(message.data().try_into().expect("torn")),
        Poll::Ready(_) => panic!("neither dead nor down"),
    }
}

/// What came is counted; who waits is woken.
fn count_or_settle(scene: &Scene, mut mailbox: Lease<'_>, came: Option<[u8; 16]>) -> Played {
    let Some(mail) = came else { return settle(scene, mailbox, true, 0) };
    scene.world.ledger.received(scene.me, &mail);
    scene.world.drain_lent(scene.me, &mut mailbox);
    Ok(())
}

fn poll_recv_waits(scene: &Scene) -> Played {
    let (mut mailbox, flag) = (scene.mailbox(), scene.flag(0));
    flag.take();
    let waker = flag.waker();
    let mut context = Context::from_waker(&waker);
    let came = scene.act(|| brought(mailbox.poll_recv(&mut context)));
    count_or_settle(scene, mailbox, came)
}

fn poll_recv_ready(scene: &Scene) -> Played {
    let (mut mailbox, flag) = (scene.mailbox(), scene.flag(0));
    let waker = flag.waker();
    let mut context = Context::from_waker(&waker);
    let _ = mailbox.poll_ready(&mut context);
    let mail = scene.world.mail(scene.me, scene.me);
    scene.room(scene.table().send(scene.party().to, &mail, &[]))?;
    scene.sent(scene.me, Ok(()));
    let came = scene.act(|| brought(mailbox.poll_recv(&mut context)));
    assert!(came.is_some(), "it was sent");
    count_or_settle(scene, mailbox, came)
}

/// A future that is given up loses nothing.
fn recv_async(scene: &Scene) -> Played {
    let (mut mailbox, flag) = (scene.mailbox(), scene.flag(0));
    flag.take();
    let waker = flag.waker();
    let mut context = Context::from_waker(&waker);
    let came = scene.act(|| {
        let future = pin!(mailbox.recv_async());
        brought(future.poll(&mut context))
    });
    count_or_settle(scene, mailbox, came)
}

fn looks(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    let (len, capacity, is_same, is_closed) = scene.act(|| {
        // A message is counted before it can be received: they need not agree.
        let (len, _, _) = (mailbox.len(), mailbox.is_empty(), mailbox.is_ready());
        let is_same = *mailbox.group() == scene.party().group && !mailbox.table().is_empty();
        let capability = mailbox.capability(flue_core::Permissions::empty());
        (len, mailbox.capacity(), is_same, capability.is_closed())
    });
    assert!(len <= capacity && is_same && !is_closed);
    scene.world.drain_lent(scene.me, &mut mailbox);
    Ok(())
}
