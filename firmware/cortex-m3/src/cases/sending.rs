//! Sending, where nobody waits for room.

use core::task::Context;

use flue_core::{Payload, SendError};

use super::{Case, FLAGS, case};
use crate::handler::Fate;
use crate::stage::Stage;

pub(super) const CASES: &[Case] = &[
    case("send", &["Table::send"], send),
    case("send capabilities", &["Table::send"], send_capabilities),
    case("send to a target", &["Table::send"], send_to_target),
    case("send from a target's table", &["Table::send"], send_from_target),
    case("send to a sleeper", &["Table::send"], send_to_sleeper),
    case("send a payload", &["Table::send_payload", "Payload::from"], send_payload),
    case("host: send capabilities", &["Capability::send"], send_by_host),
    case("host: send a payload", &["Capability::send_payload"], send_payload_by_host),
];

fn send(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (to, data) = (stage.to_handler, stage.next_to_handler());
    let (fired, sent) = stage.act(delay, |main| main.table.send(to, &data, &[]));
    sent.unwrap();
    stage.sent_to_handler += 1;
    fired
}

fn send_capabilities(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (to, data) = (stage.to_handler, stage.next_to_handler());
    let attach = [stage.to_self, to];
    let (fired, sent) = stage.act(delay, |main| main.table.send(to, &data, &attach));
    sent.unwrap();
    stage.sent_to_handler += 1;
    fired
}

fn send_to_target(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let to = target.to;
    let (fired, sent) = stage.act(delay, |main| main.table.send(to, b"", &[to]));
    stage.expect_sent(sent);
    stage.forget(target);
    fired
}

/// What a table's group sent before it died arrives; nothing after that.
fn send_from_target(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let capability = stage.process.table.capability(stage.to_handler).unwrap();
    let to = target.table.insert(&capability).unwrap();
    let data = stage.next_to_handler();
    let (fired, sent) = stage.act(delay, |_| target.table.send(to, &data, &[to]));
    match sent {
        Ok(()) => stage.sent_to_handler += 1,
        Err(error) => assert_eq!((error, stage.fate()), (SendError::Dead, Fate::Killed)),
    }
    stage.forget(target);
    fired
}

fn send_to_sleeper(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let mut mailbox = stage.take_mailbox();
    FLAGS[0].take();
    let waker = FLAGS[0].waker();
    assert!(mailbox.poll_ready(&mut Context::from_waker(&waker)).is_pending());
    stage.give_mailbox(mailbox);
    let to = target.to;
    let (fired, sent) = stage.act(delay, |main| main.table.send(to, b"", &[]));
    let is_excused = match stage.fate() {
        Fate::Untouched | Fate::Killed => false,
        Fate::Closed => true, // Who closes it is its receiver, and knows.
        Fate::Released => sent.is_err(),
    };
    assert!(FLAGS[0].take() || is_excused, "a lost wake-up");
    stage.expect_sent(sent);
    stage.forget(target);
    fired
}

fn send_payload(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let to = target.to;
    let (fired, sent) = stage.act(delay, |main| {
        let payload = Payload::from(&b"more bytes than travel in the message itself"[..]);
        main.table.send_payload(to, payload, &[to]).map_err(|rejected| rejected.error)
    });
    stage.expect_sent(sent);
    stage.forget(target);
    fired
}

fn send_by_host(stage: &mut Stage, delay: u32) -> Option<u32> {
    let data = stage.next_to_handler();
    let to = stage.process.table.capability(stage.to_handler).unwrap();
    let own = stage.process.table.capability(stage.to_self).unwrap();
    let (fired, sent) = stage.act(delay, |_| to.send(&data, &[&own, &to]));
    sent.unwrap();
    stage.sent_to_handler += 1;
    fired
}

fn send_payload_by_host(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let to = &target.capability;
    let (fired, sent) = stage.act(delay, |_| {
        let payload = Payload::from(&b"more bytes than travel in the message itself"[..]);
        to.send_payload(payload, &[to]).map_err(|rejected| rejected.error)
    });
    stage.expect_sent(sent);
    stage.forget(target);
    fired
}
