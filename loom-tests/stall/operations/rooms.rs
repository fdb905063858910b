//! Waiting for room.

use super::{Operation, operation};
use crate::scene::{Played, Scarce, Scene};
use crate::world::{OTHER, World};
use flue_core::{Payload, SendError, SendWait};
use std::task::{Context, Poll};

pub const OPERATIONS: &[Operation] = &[
    operation("poll_send, room", &["Table::poll_send"], poll_send),
    operation("poll_send, waits", &["Table::poll_send"], wait_to_send),
    operation("poll_send, waits again", &["Table::poll_send"], wait_again),
    operation("poll_send_payload, waits", &["Table::poll_send_payload"], wait_with_payload),
    operation("poll_send_payload, room", &["Table::poll_send_payload"], poll_send_payload),
    operation("capability: poll_send, waits", &["Capability::poll_send"], wait_as_host),
    operation(
        "capability: poll_send_payload",
        &["Capability::poll_send_payload"],
        poll_payload_as_host,
    ),
    operation("stop waiting", &["SendWait::drop"], stop_waiting),
    operation("stop waiting, woken", &["SendWait::drop"], stop_waiting_woken),
    operation("try_recv, wakes a sender", &["Mailbox::try_recv"], wake_a_sender),
];

/// Fills the other's mailbox.
fn fill(scene: &Scene) -> Played {
    let table = scene.table();
    loop {
        let mail = scene.world.mail(scene.me, OTHER);
        match table.send(scene.common().to, &mail, &[]) {
            Ok(()) => scene.sent(OTHER, Ok(())),
            Err(SendError::Full) if scene.is_scarce() => return Err(Scarce),
            Err(SendError::Full) => return Ok(()),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Settles a send to the other's mailbox that was polled once: if it waits, it
/// is woken when there is room, and then sends.
fn settle(
    scene: &Scene,
    first: Poll<Result<(), SendError>>,
    again: impl FnOnce(&mut Context<'_>) -> Poll<Result<(), SendError>>,
) {
    match first {
        Poll::Ready(sent) => scene.sent(OTHER, sent),
        Poll::Pending => {
            make_room(scene.world);
            let flag = scene.flag(1);
            assert!(flag.take(), "a lost wake-up");
            let waker = flag.waker();
            match again(&mut Context::from_waker(&waker)) {
                Poll::Ready(sent) => scene.sent(OTHER, sent),
                Poll::Pending => panic!("there is room"),
            }
        }
    }
    make_room(scene.world);
}

fn make_room(world: &World) {
    world.drain(OTHER);
}

fn poll_send(scene: &Scene) -> Played {
    make_room(scene.world);
    let (table, to, flag) = (scene.table(), scene.common().to, scene.flag(1));
    let (waker, mut wait) = (flag.waker(), SendWait::new());
    let mail = scene.world.mail(scene.me, OTHER);
    let mut context = Context::from_waker(&waker);
    let polled = scene.act(|| table.poll_send(&mut context, &mut wait, to, &mail, &[]));
    settle(scene, polled, |cx| table.poll_send(cx, &mut wait, to, &mail, &[]));
    Ok(())
}

fn wait_to_send(scene: &Scene) -> Played {
    fill(scene)?;
    let (table, to, flag) = (scene.table(), scene.common().to, scene.flag(1));
    flag.take();
    let (waker, mut wait) = (flag.waker(), SendWait::new());
    let mail = scene.world.mail(scene.me, OTHER);
    let mut context = Context::from_waker(&waker);
    let polled = scene.act(|| table.poll_send(&mut context, &mut wait, to, &mail, &[to]));
    settle(scene, polled, |cx| table.poll_send(cx, &mut wait, to, &mail, &[to]));
    Ok(())
}

/// Polled once more, with another waker, while there is no room yet.
fn wait_again(scene: &Scene) -> Played {
    fill(scene)?;
    let (table, to) = (scene.table(), scene.common().to);
    let (before, waker) = (scene.flag(0).waker(), scene.flag(1).waker());
    let mut wait = SendWait::default();
    let mail = scene.world.mail(scene.me, OTHER);
    let mut context = Context::from_waker(&before);
    let polled = table.poll_send(&mut context, &mut wait, to, &mail, &[]);
    assert!(polled.is_pending());
    scene.flag(1).take();
    let mut context = Context::from_waker(&waker);
    let polled = scene.act(|| table.poll_send(&mut context, &mut wait, to, &mail, &[]));
    settle(scene, polled, |cx| table.poll_send(cx, &mut wait, to, &mail, &[]));
    Ok(())
}

fn payload(scene: &Scene) -> Option<Payload> {
    let mail: &'static [u8] = Vec::leak(scene.world.mail(scene.me, OTHER).to_vec());
    Some(Payload::from(mail))
}

fn wait_with_payload(scene: &Scene) -> Played {
    fill(scene)?;
    let (table, to, flag) = (scene.table(), scene.common().to, scene.flag(1));
    flag.take();
    let (waker, mut wait, mut payload) = (flag.waker(), SendWait::new(), payload(scene));
    let mut context = Context::from_waker(&waker);
    let polled =
        scene.act(|| table.poll_send_payload(&mut context, &mut wait, to, &mut payload, &[]));
    assert_eq!(payload.is_some(), polled.is_pending());
    settle(scene, polled, |cx| table.poll_send_payload(cx, &mut wait, to, &mut payload, &[]));
    assert!(payload.is_none());
    Ok(())
}

fn poll_send_payload(scene: &Scene) -> Played {
    make_room(scene.world);
    let (table, to, flag) = (scene.table(), scene.common().to, scene.flag(1));
    let (waker, mut wait, mut payload) = (flag.waker(), SendWait::new(), payload(scene));
    let mut context = Context::from_waker(&waker);
    let polled =
        scene.act(|| table.poll_send_payload(&mut context, &mut wait, to, &mut payload, &[]));
    settle(scene, polled, |cx| table.poll_send_payload(cx, &mut wait, to, &mut payload, &[]));
    Ok(())
}

fn wait_as_host(scene: &Scene) -> Played {
    fill(scene)?;
    let (to, flag) = (&scene.common().capability, scene.flag(1));
    flag.take();
    let (waker, mut wait) = (flag.waker(), SendWait::new());
    let mail = scene.world.mail(scene.me, OTHER);
    let mut context = Context::from_waker(&waker);
    let polled = scene.act(|| to.poll_send(&mut context, &mut wait, &mail, &[to]));
    settle(scene, polled, |cx| to.poll_send(cx, &mut wait, &mail, &[to]));
    Ok(())
}

fn poll_payload_as_host(scene: &Scene) -> Played {
    fill(scene)?;
    let (to, flag) = (&scene.common().capability, scene.flag(1));
    flag.take();
    let (waker, mut wait, mut payload) = (flag.waker(), SendWait::new(), payload(scene));
    let mut context = Context::from_waker(&waker);
    let polled = scene.act(|| to.poll_send_payload(&mut context, &mut wait, &mut payload, &[]));
    settle(scene, polled, |cx| to.poll_send_payload(cx, &mut wait, &mut payload, &[]));
    Ok(())
}

/// A sender that waits in the line of the other's full mailbox, with a flag.
fn waiting(scene: &Scene, flag: usize) -> SendWait {
    let waker = scene.flag(flag).waker();
    let mut wait = SendWait::new();
    let mail = scene.world.mail(scene.me, OTHER);
    let mut context = Context::from_waker(&waker);
    let polled = scene.table().poll_send(&mut context, &mut wait, scene.common().to, &mail, &[]);
    assert!(polled.is_pending());
    wait
}

fn stop_waiting(scene: &Scene) -> Played {
    fill(scene)?;
    let mut wait = Some(waiting(scene, 0));
    scene.act(|| drop(wait.take()));
    make_room(scene.world);
    Ok(())
}

/// The first of two is woken, and goes away without having sent.
fn stop_waiting_woken(scene: &Scene) -> Played {
    fill(scene)?;
    let mut first = Some(waiting(scene, 0));
    let _second = waiting(scene, 1);
    scene.flag(1).take();
    {
        let mut mailbox = scene.common().mailbox().expect("nobody has it");
        let Ok(flue_core::Signal::Message(message)) = mailbox.try_recv() else {
            panic!("it is full");
        };
        scene.world.ledger.received(OTHER, message.data());
    }
    scene.act(|| drop(first.take()));
    make_room(scene.world);
    assert!(scene.flag(1).take(), "a lost wake-up");
    Ok(())
}

/// Receiving gives room, and the first in the line is told.
fn wake_a_sender(scene: &Scene) -> Played {
    let mut process = scene.subject(1)?;
    let (table, to, flag) = (scene.table(), process.to, scene.flag(1));
    let (waker, mut wait) = (flag.waker(), SendWait::new());
    scene.room(table.send(to, b"takes the room", &[]))?;
    let mut context = Context::from_waker(&waker);
    assert!(table.poll_send(&mut context, &mut wait, to, b"waits", &[]).is_pending());
    flag.take();
    let mailbox = process.open_mut();
    let received = scene.act(|| mailbox.try_recv().is_ok());
    assert!(flag.take(), "a lost wake-up");
    drop(wait);
    let mut count = u32::from(received);
    while process.open_mut().try_recv().is_ok() {
        count += 1;
    }
    if !process.group.is_dead() {
        assert!(received, "it was full");
        assert_eq!(count, 1 + scene.meddled(), "lost or doubled");
    }
    scene.done(process);
    Ok(())
}
