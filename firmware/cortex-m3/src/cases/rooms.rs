//! Waiting for room.

use core::task::{Context, Poll};

use flue_core::{Payload, SendError, SendWait};

use super::{Case, FLAGS, case};
use crate::handler;
use crate::stage::{MESSAGES, Stage, Target};

pub(super) const CASES: &[Case] = &[
    case("poll_send, room", &["Table::poll_send"], room),
    case("poll_send, waits", &["Table::poll_send"], wait),
    case("poll_send, waits again", &["Table::poll_send"], wait_again),
    case("poll_send_payload, waits", &["Table::poll_send_payload"], wait_with_payload),
    case("host: poll_send, waits", &["Capability::poll_send"], wait_as_host),
    case("host: poll_send_payload", &["Capability::poll_send_payload"], payload_as_host),
    case("wait to send", &["Table::poll_send"], wait_for_handler),
    case("stop waiting", &["SendWait::drop"], stop_waiting),
    case("stop waiting, woken", &["SendWait::drop"], stop_waiting_woken),
    case("receive, wake a sender", &["Mailbox::try_recv"], wake_a_sender),
];

/// Settles a send to the target that was polled once: who waits is woken, by room or the end, and then need not wait.
fn settle(
    stage: &mut Stage,
    target: Target,
    first: Poll<Result<(), SendError>>,
    again: impl FnOnce(&mut Stage, &Target, &mut Context<'_>) -> Poll<Result<(), SendError>>,
) {
    let sent = match first {
        Poll::Ready(sent) => sent,
        Poll::Pending => {
            handler::with(|handler| handler.receive());
            assert!(FLAGS[1].take(), "a lost wake-up");
            let waker = FLAGS[1].waker();
            let Poll::Ready(sent) = again(stage, &target, &mut Context::from_waker(&waker)) else {
                panic!("there is nothing to wait for");
            };
            sent
        }
    };
    stage.expect_sent(sent);
    stage.forget(target);
}

fn room(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let (to, mut wait, waker) = (target.to, SendWait::new(), FLAGS[1].waker());
    let mut context = Context::from_waker(&waker);
    let (fired, polled) =
        stage.act(delay, |main| main.table.poll_send(&mut context, &mut wait, to, b"waits", &[to]));
    settle(stage, target, polled, |stage, target, context| {
        stage.process.table.poll_send(context, &mut wait, target.to, b"waits", &[])
    });
    fired
}

fn wait(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    stage.fill_target(&target);
    FLAGS[1].take();
    let (to, mut wait, waker) = (target.to, SendWait::default(), FLAGS[1].waker());
    let mut context = Context::from_waker(&waker);
    let (fired, polled) =
        stage.act(delay, |main| main.table.poll_send(&mut context, &mut wait, to, b"waits", &[to]));
    settle(stage, target, polled, |stage, target, context| {
        stage.process.table.poll_send(context, &mut wait, target.to, b"waits", &[])
    });
    fired
}

/// Polled once more, with another waker, while there is no room yet.
fn wait_again(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    stage.fill_target(&target);
    let (to, mut wait) = (target.to, SendWait::new());
    let before = FLAGS[0].waker();
    let mut context = Context::from_waker(&before);
    let table = &stage.process.table;
    assert!(table.poll_send(&mut context, &mut wait, to, b"waits", &[]).is_pending());
    FLAGS[1].take();
    let waker = FLAGS[1].waker();
    let mut context = Context::from_waker(&waker);
    let (fired, polled) =
        stage.act(delay, |main| main.table.poll_send(&mut context, &mut wait, to, b"waits", &[]));
    settle(stage, target, polled, |stage, target, context| {
        stage.process.table.poll_send(context, &mut wait, target.to, b"waits", &[])
    });
    fired
}

fn wait_with_payload(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    stage.fill_target(&target);
    FLAGS[1].take();
    let (to, mut wait, waker) = (target.to, SendWait::new(), FLAGS[1].waker());
    let mut payload = Some(Payload::from(&b"more bytes than travel in a message"[..]));
    let mut context = Context::from_waker(&waker);
    let (fired, polled) = stage.act(delay, |main| {
        main.table.poll_send_payload(&mut context, &mut wait, to, &mut payload, &[])
    });
    assert_eq!(payload.is_none(), polled == Poll::Ready(Ok(())));
    settle(stage, target, polled, |stage, target, context| {
        stage.process.table.poll_send_payload(context, &mut wait, target.to, &mut payload, &[])
    });
    fired
}

fn wait_as_host(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    stage.fill_target(&target);
    FLAGS[1].take();
    let (mut wait, waker) = (SendWait::new(), FLAGS[1].waker());
    let mut context = Context::from_waker(&waker);
    let to = &target.capability;
    let (fired, polled) =
        stage.act(delay, |_| to.poll_send(&mut context, &mut wait, b"waits", &[to]));
    settle(stage, target, polled, |_, target, context| {
        target.capability.poll_send(context, &mut wait, b"waits", &[])
    });
    fired
}

fn payload_as_host(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    stage.fill_target(&target);
    FLAGS[1].take();
    let (mut wait, waker) = (SendWait::new(), FLAGS[1].waker());
    let mut payload = Some(Payload::from(&b"more bytes than travel in a message"[..]));
    let mut context = Context::from_waker(&waker);
    let to = &target.capability;
    let (fired, polled) =
        stage.act(delay, |_| to.poll_send_payload(&mut context, &mut wait, &mut payload, &[]));
    assert_eq!(payload.is_none(), polled == Poll::Ready(Ok(())));
    settle(stage, target, polled, |_, target, context| {
        target.capability.poll_send_payload(context, &mut wait, &mut payload, &[])
    });
    fired
}

/// Fills the handler's mailbox.
fn fill(stage: &mut Stage) {
    (0..MESSAGES).for_each(|_| stage.send_to_handler());
}

/// Whether there is room in the handler's mailbox.
fn has_room() -> bool {
    handler::with(|handler| (handler.process.mailbox.len() as u32) < MESSAGES)
}

/// In the mailbox that the handler itself receives from, and sends to.
fn wait_for_handler(stage: &mut Stage, delay: u32) -> Option<u32> {
    fill(stage);
    FLAGS[1].take();
    let (to, mut wait, waker) = (stage.to_handler, SendWait::new(), FLAGS[1].waker());
    let mut context = Context::from_waker(&waker);
    let data = stage.next_to_handler();
    let (fired, first) =
        stage.act(delay, |main| main.table.poll_send(&mut context, &mut wait, to, &data, &[]));
    let mut polled = first;
    if polled.is_pending() && has_room() {
        // If there is room, somebody has said so; whoever was told finds it.
        assert!(FLAGS[1].take(), "a lost wake-up");
        polled = stage.process.table.poll_send(&mut context, &mut wait, to, &data, &[]);
        assert!(polled.is_ready());
    }
    if let Poll::Ready(sent) = polled {
        sent.unwrap();
        stage.sent_to_handler += 1;
    }
    fired
}

/// A sender that waits in the line of the handler's full mailbox, with a flag.
fn waiting(stage: &mut Stage, flag: usize) -> SendWait {
    FLAGS[flag].take();
    let (waker, mut wait) = (FLAGS[flag].waker(), SendWait::new());
    let mut context = Context::from_waker(&waker);
    let (to, data) = (stage.to_handler, stage.next_to_handler());
    let polled = stage.process.table.poll_send(&mut context, &mut wait, to, &data, &[]);
    assert!(polled.is_pending());
    wait
}

fn stop_waiting(stage: &mut Stage, delay: u32) -> Option<u32> {
    fill(stage);
    let first = waiting(stage, 0);
    let second = waiting(stage, 1);
    let (fired, ()) = stage.act(delay, |_| drop(first));
    // The one that stopped waiting has passed its wake on.
    assert!(!has_room() || FLAGS[1].take(), "a lost wake-up");
    drop(second);
    fired
}

/// The first of two is woken, and goes away without having sent.
fn stop_waiting_woken(stage: &mut Stage, delay: u32) -> Option<u32> {
    fill(stage);
    let first = waiting(stage, 0);
    let second = waiting(stage, 1);
    handler::with(|handler| handler.receive());
    assert!(FLAGS[0].take());
    let (fired, ()) = stage.act(delay, |_| drop(first));
    assert!(FLAGS[1].take(), "a lost wake-up");
    drop(second);
    fired
}

/// Receiving gives room, and the first in the line is told.
fn wake_a_sender(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    stage.fill_target(&target);
    FLAGS[1].take();
    let (waker, mut wait) = (FLAGS[1].waker(), SendWait::new());
    let mut context = Context::from_waker(&waker);
    let table = &stage.process.table;
    assert!(table.poll_send(&mut context, &mut wait, target.to, b"waits", &[]).is_pending());
    let mut mailbox = stage.take_mailbox();
    let (fired, received) = stage.act(delay, |_| mailbox.try_recv().map(drop));
    assert!(FLAGS[1].take(), "a lost wake-up");
    drop(wait);
    assert!(received.is_ok() || target.group.is_dead());
    handler::with(|handler| handler.target.as_mut().unwrap().received += 1);
    stage.give_mailbox(mailbox);
    stage.forget(target);
    fired
}
