//! Waiting to receive, and looking whether there is something.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll};

use flue_core::{Permissions, RecvError, Signal};

use super::{Case, FLAGS, case};
use crate::handler::check;
use crate::stage::Stage;

pub(super) const CASES: &[Case] = &[
    case("poll_ready, waits", &["Mailbox::poll_ready"], wait),
    case("poll_ready, waits again", &["Mailbox::poll_ready"], wait_again),
    case("poll_ready, another waker", &["Mailbox::poll_ready"], replace_waker),
    case("poll_ready, target", &["Mailbox::poll_ready"], wait_as_target),
    case("poll_recv, waits", &["Mailbox::poll_recv"], poll_recv_waits),
    case("poll_recv, after a sleep", &["Mailbox::poll_recv"], poll_recv_ready),
    case("recv_async, dropped", &["Mailbox::recv_async"], recv_async),
    case(
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
fn settle(stage: &mut Stage, is_pending: bool, flag: usize) {
    if is_pending {
        if !stage.process.mailbox.is_ready() {
            assert!(!FLAGS[flag].take(), "woken for nothing");
            stage.send_to_self(&[]);
        }
        assert!(FLAGS[flag].take(), "a lost wake-up");
    } else {
        assert!(stage.process.mailbox.is_ready(), "ready, and there is nothing");
    }
}

/// Puts the mailbox to sleep.
fn sleep(stage: &mut Stage, flag: usize) {
    let waker = FLAGS[flag].waker();
    assert!(stage.process.mailbox.poll_ready(&mut Context::from_waker(&waker)).is_pending());
}

fn wait(stage: &mut Stage, delay: u32) -> Option<u32> {
    FLAGS[0].take();
    let waker = FLAGS[0].waker();
    let mut context = Context::from_waker(&waker);
    let (fired, polled) = stage.act(delay, |main| main.mailbox.poll_ready(&mut context));
    settle(stage, polled.is_pending(), 0);
    fired
}

/// The same waker, in a mailbox that sleeps already.
fn wait_again(stage: &mut Stage, delay: u32) -> Option<u32> {
    sleep(stage, 0);
    wait(stage, delay)
}

fn replace_waker(stage: &mut Stage, delay: u32) -> Option<u32> {
    sleep(stage, 1);
    wait(stage, delay)
}

/// The end of its group wakes it, too.
fn wait_as_target(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let mut mailbox = stage.take_mailbox();
    FLAGS[0].take();
    let waker = FLAGS[0].waker();
    let mut context = Context::from_waker(&waker);
    let (fired, polled) = stage.act(delay, |_| mailbox.poll_ready(&mut context));
    if polled.is_pending() {
        assert_eq!(mailbox.is_ready(), FLAGS[0].take(), "a lost wake-up");
        target.group.kill();
        assert!(mailbox.is_ready());
    } else {
        assert!(mailbox.is_ready(), "ready, and there is nothing");
    }
    stage.give_mailbox(mailbox);
    stage.forget(target);
    fired
}

/// What a poll to receive brought, if something: only messages come here.
fn brought(next: &mut [u32; 2], polled: Poll<Result<Signal<'_>, RecvError>>) -> bool {
    match polled {
        Poll::Pending => false,
        Poll::Ready(Ok(Signal::Message(message))) => {
            check(next, message.data());
            true
        }
        Poll::Ready(_) => panic!("neither dead nor down"),
    }
}

fn poll_recv_waits(stage: &mut Stage, delay: u32) -> Option<u32> {
    FLAGS[0].take();
    let (waker, mut next) = (FLAGS[0].waker(), stage.next);
    let mut context = Context::from_waker(&waker);
    let (fired, came) =
        stage.act(delay, |main| brought(&mut next, main.mailbox.poll_recv(&mut context)));
    stage.next = next;
    if !came {
        settle(stage, true, 0);
    }
    fired
}

fn poll_recv_ready(stage: &mut Stage, delay: u32) -> Option<u32> {
    sleep(stage, 0);
    stage.send_to_self(&[]);
    let (waker, mut next) = (FLAGS[0].waker(), stage.next);
    let mut context = Context::from_waker(&waker);
    let (fired, came) =
        stage.act(delay, |main| brought(&mut next, main.mailbox.poll_recv(&mut context)));
    assert!(came, "it was sent");
    stage.next = next;
    fired
}

/// A future that is given up loses nothing.
fn recv_async(stage: &mut Stage, delay: u32) -> Option<u32> {
    FLAGS[0].take();
    let (waker, mut next) = (FLAGS[0].waker(), stage.next);
    let mut context = Context::from_waker(&waker);
    let (fired, came) = stage.act(delay, |main| {
        let future = pin!(main.mailbox.recv_async());
        brought(&mut next, future.poll(&mut context))
    });
    stage.next = next;
    if !came {
        settle(stage, true, 0);
    }
    fired
}

fn looks(stage: &mut Stage, delay: u32) -> Option<u32> {
    stage.send_to_self(&[]);
    let (fired, ()) = stage.act(delay, |main| {
        let mailbox = &main.mailbox;
        assert!(mailbox.is_ready() && !mailbox.is_empty());
        assert!((1..=mailbox.capacity()).contains(&mailbox.len()));
        assert!(*mailbox.group() == main.group && !mailbox.table().is_empty());
        assert!(!mailbox.capability(Permissions::empty()).is_closed());
    });
    fired
}
