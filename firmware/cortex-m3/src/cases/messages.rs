//! Sending, receiving, waiting.

use core::task::{Context, Poll};

use common::wake::Flag;
use flue_core::{DownReason, Payload, SendError, SendWait, Signal, TryRecvError};

use super::{MESSAGES, Stage};
use crate::handler::{self, FROM_MAIN, check, encode};

pub(super) fn send(stage: &mut Stage, delay: u32) -> Option<u32> {
    let Stage { rig, process, to_handler, sent_to_handler, .. } = stage;
    let data = encode(FROM_MAIN, *sent_to_handler);
    let fired = rig.shot(delay, &mut || process.table.send(*to_handler, &data, &[]).unwrap());
    *sent_to_handler += 1;
    fired
}

pub(super) fn send_capabilities(stage: &mut Stage, delay: u32) -> Option<u32> {
    let Stage { rig, process, to_handler, to_self, sent_to_handler, .. } = stage;
    let data = encode(FROM_MAIN, *sent_to_handler);
    let fired = rig.shot(delay, &mut || {
        process.table.send(*to_handler, &data, &[*to_self, *to_handler]).unwrap()
    });
    *sent_to_handler += 1;
    fired
}

pub(super) fn send_payload(stage: &mut Stage, delay: u32) -> Option<u32> {
    static DATA: [u8; 5] = [FROM_MAIN, 0, 0, 0, 0];
    let (target, handle) = stage.target();
    let fired = stage.rig.shot(delay, &mut || match stage.process.table.send_payload(
        handle,
        Payload::from(&DATA[..]),
        &[],
    ) {
        Ok(()) => {}
        Err(rejected) => assert_eq!(rejected.error, SendError::Closed),
    });
    handler::with(|handler| handler.sent_to_target += 1);
    let dead = stage.forget(target, handle);
    assert_eq!(dead, stage.killed(fired));
    fired
}

pub(super) fn receive(stage: &mut Stage, delay: u32) -> Option<u32> {
    stage.send_to_self(&[]);
    stage.send_to_self(&[stage.to_handler]);
    let Stage { rig, process, next, .. } = stage;
    let fired = rig.shot(delay, &mut || {
        for _ in 0..3 {
            match process.mailbox.try_recv() {
                Ok(Signal::Message(message)) => check(next, message.data()),
                Ok(_) => unreachable!(),
                Err(error) => assert_eq!(error, TryRecvError::Empty),
            }
        }
    });
    fired
}

pub(super) fn receive_and_take(stage: &mut Stage, delay: u32) -> Option<u32> {
    stage.send_to_self(&[stage.to_handler, stage.to_self]);
    let Stage { rig, process, next, to_handler, to_self, .. } = stage;
    let mut taken = [None; 2];
    let fired = rig.shot(delay, &mut || match process.mailbox.try_recv() {
        Ok(Signal::Message(mut message)) => {
            check(next, message.data());
            for (place, handle) in taken.iter_mut().zip(message.take_handles()) {
                *place = Some(handle);
            }
        }
        _ => unreachable!(),
    });
    assert_eq!(taken, [Some(*to_handler), Some(*to_self)]);
    for handle in taken.into_iter().flatten() {
        process.table.release(handle).unwrap();
    }
    fired
}

pub(super) fn receive_down(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, handle) = stage.target();
    let id = stage.process.table.monitor(handle, &stage.process.mailbox).unwrap();
    target.group.kill();
    let Stage { rig, process, .. } = stage;
    let fired = rig.shot(delay, &mut || match process.mailbox.try_recv() {
        Ok(Signal::Down(down)) => {
            assert_eq!((down.monitor(), down.reason()), (id, DownReason::Killed))
        }
        _ => unreachable!(),
    });
    assert!(stage.next_down().is_none());
    stage.forget(target, handle);
    fired
}

static FLAG: Flag = Flag::new();

pub(super) fn wait_to_receive(stage: &mut Stage, delay: u32) -> Option<u32> {
    FLAG.take();
    let waker = FLAG.waker();
    let mut context = Context::from_waker(&waker);
    let mut poll = Poll::Pending;
    let Stage { rig, process, .. } = stage;
    let fired = rig.shot(delay, &mut || poll = process.mailbox.poll_ready(&mut context));
    if process.mailbox.is_ready() {
        assert!(poll.is_ready() || FLAG.take(), "a lost wake-up");
    } else {
        assert!(poll.is_pending());
    }
    fired
}

pub(super) fn wait_to_send(stage: &mut Stage, delay: u32) -> Option<u32> {
    fill(stage);
    let waker = FLAG.waker();
    let mut context = Context::from_waker(&waker);
    let mut wait = SendWait::default();
    let mut poll = Poll::Pending;
    let data = encode(FROM_MAIN, stage.sent_to_handler);
    let Stage { rig, process, to_handler, .. } = stage;
    let fired = rig.shot(delay, &mut || {
        poll = process.table.poll_send(&mut context, &mut wait, *to_handler, &data, &[])
    });
    match poll {
        Poll::Ready(result) => {
            result.unwrap();
            stage.sent_to_handler += 1;
        }
        Poll::Pending => {
            // If there is room, somebody has said so; whoever was told finds it.
            let room = handler::with(|handler| (handler.process.mailbox.len() as u32) < MESSAGES);
            assert!(!room || FLAG.take(), "a lost wake-up");
            if room {
                assert_eq!(
                    stage.process.table.poll_send(
                        &mut context,
                        &mut wait,
                        stage.to_handler,
                        &data,
                        &[]
                    ),
                    Poll::Ready(Ok(()))
                );
                stage.sent_to_handler += 1;
            }
        }
    }
    fired
}

pub(super) fn stop_waiting(stage: &mut Stage, delay: u32) -> Option<u32> {
    fill(stage);
    let waker = FLAG.waker();
    let mut context = Context::from_waker(&waker);
    let data = encode(FROM_MAIN, stage.sent_to_handler);
    let mut first = Some(SendWait::default());
    let mut second = SendWait::default();
    let Stage { rig, process, to_handler, .. } = stage;
    let place = first.as_mut().unwrap();
    assert!(process.table.poll_send(&mut context, place, *to_handler, &data, &[]).is_pending());
    assert!(
        process.table.poll_send(&mut context, &mut second, *to_handler, &data, &[]).is_pending()
    );
    let fired = rig.shot(delay, &mut || drop(first.take()));
    // The one that stopped waiting has passed its wake on.
    let room = handler::with(|handler| (handler.process.mailbox.len() as u32) < MESSAGES);
    assert!(!room || FLAG.take(), "a lost wake-up");
    fired
}

/// Fills the handler's mailbox.
fn fill(stage: &mut Stage) {
    FLAG.take();
    for _ in 0..MESSAGES {
        stage
            .process
            .table
            .send(stage.to_handler, &encode(FROM_MAIN, stage.sent_to_handler), &[])
            .unwrap();
        stage.sent_to_handler += 1;
    }
}
