//! Receiving messages, and what is done with the guard.

use flue_core::{Payload, Signal, TryRecvError};

use super::{Case, case};
use crate::handler::{self, check};
use crate::stage::Stage;

pub(super) const CASES: &[Case] = &[
    case(
        "receive",
        &[
            "Mailbox::try_recv",
            "Message::data",
            "Message::handles",
            "Message::mailbox",
            "Message::drop",
        ],
        receive,
    ),
    case("receive, dead", &["Mailbox::try_recv"], receive_dead),
    case("receive from a target", &["Mailbox::try_recv", "Message::drop"], receive_from_target),
    case("receive and take", &["Mailbox::try_recv", "Message::take_handles"], receive_and_take),
    case("receive after a forgotten guard", &["Mailbox::try_recv"], receive_after_forgotten),
    case("into_payload", &["Message::into_payload"], into_payload),
];

fn receive(stage: &mut Stage, delay: u32) -> Option<u32> {
    stage.send_to_self(&[]);
    stage.send_to_self(&[stage.to_handler]);
    let (to_handler, mut next) = (stage.to_handler, stage.next);
    let (fired, ()) = stage.act(delay, |main| {
        for attached in [0, 1, 0] {
            match main.mailbox.try_recv() {
                Ok(Signal::Message(message)) => {
                    check(&mut next, message.data());
                    assert!(attached == 0 || message.handles() == [to_handler]);
                    assert!(message.mailbox().len() <= message.mailbox().capacity());
                }
                Ok(_) => unreachable!(),
                Err(error) => assert_eq!(error, TryRecvError::Empty),
            }
        }
    });
    stage.next = next;
    fired
}

fn receive_dead(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    stage.fill_target(&target);
    let mut mailbox = stage.take_mailbox();
    target.group.kill();
    let (fired, received) = stage.act(delay, |_| mailbox.try_recv().map(drop));
    assert_eq!(received, Err(TryRecvError::Dead));
    drop(mailbox);
    stage.forget(target);
    fired
}

/// Nothing is received after a death; the guard of what was received before stays readable.
fn receive_from_target(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    stage.fill_target(&target);
    let mut mailbox = stage.take_mailbox();
    let (fired, received) = stage.act(delay, |_| match mailbox.try_recv() {
        Ok(Signal::Message(message)) => {
            assert_eq!((message.data(), message.handles().len()), (&b"takes the room"[..], 1));
            Ok(())
        }
        Ok(_) => unreachable!(),
        Err(error) => Err(error),
    });
    match received {
        Ok(()) => handler::with(|handler| handler.target.as_mut().unwrap().received += 1),
        Err(error) => assert!(error == TryRecvError::Dead && target.group.is_dead()),
    }
    stage.give_mailbox(mailbox);
    stage.forget(target);
    fired
}

fn receive_and_take(stage: &mut Stage, delay: u32) -> Option<u32> {
    let attached = [stage.to_handler, stage.to_self];
    stage.send_to_self(&attached);
    let mut next = stage.next;
    let (fired, taken) = stage.act(delay, |main| match main.mailbox.try_recv() {
        Ok(Signal::Message(mut message)) => {
            check(&mut next, message.data());
            let mut taken = message.take_handles();
            [taken.next(), taken.next(), taken.next()]
        }
        _ => unreachable!(),
    });
    stage.next = next;
    assert_eq!(taken, [Some(attached[0]), Some(attached[1]), None]);
    for handle in attached {
        stage.process.table.release(handle).unwrap();
    }
    fired
}

fn receive_after_forgotten(stage: &mut Stage, delay: u32) -> Option<u32> {
    stage.send_to_self(&[stage.to_handler]);
    match stage.process.mailbox.try_recv() {
        Ok(Signal::Message(message)) => {
            check(&mut stage.next, message.data());
            core::mem::forget(message);
        }
        _ => unreachable!(),
    }
    stage.send_to_self(&[]);
    let mut next = stage.next;
    let (fired, ()) = stage.act(delay, |main| match main.mailbox.try_recv() {
        Ok(Signal::Message(message)) => check(&mut next, message.data()),
        _ => unreachable!(),
    });
    stage.next = next;
    fired
}

fn into_payload(stage: &mut Stage, delay: u32) -> Option<u32> {
    static DATA: [u8; 100] = [7; 100];
    let target = stage.target();
    let (to, payload) = (target.to, Payload::from(&DATA[..]));
    let sent = stage.process.table.send_payload(to, payload, &[to]);
    stage.expect_sent(sent.map_err(|rejected| rejected.error));
    let mut mailbox = stage.take_mailbox();
    let (fired, payload) = stage.act(delay, |_| match mailbox.try_recv() {
        Ok(Signal::Message(message)) => Some(message.into_payload()),
        Ok(_) => unreachable!(),
        Err(error) => {
            assert_eq!(error, TryRecvError::Dead);
            None
        }
    });
    assert!(payload.is_some() || target.group.is_dead());
    if let Some(payload) = payload {
        assert_eq!((payload.as_ptr(), payload.len()), (DATA.as_ptr(), 100), "the very bytes");
        handler::with(|handler| handler.target.as_mut().unwrap().received += 1);
    }
    stage.give_mailbox(mailbox);
    stage.forget(target);
    fired
}
