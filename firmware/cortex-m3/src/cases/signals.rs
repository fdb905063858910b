//! Downs, and signals that are independent of the mailbox.

use common::process::Process;
use flue_core::{DownReason, Handle, MonitorId, OwnedSignal, Signal};

use super::{Case, case};
use crate::handler::check;
use crate::stage::Stage;

pub(super) const CASES: &[Case] = &[
    case(
        "into_owned",
        &[
            "Signal::into_owned",
            "Message::into_owned",
            "OwnedMessage::data",
            "OwnedMessage::handles",
            "OwnedMessage::take_handles",
            "OwnedMessage::into_payload",
            "OwnedMessage::drop",
        ],
        into_owned,
    ),
    case(
        "receive a down",
        &[
            "Mailbox::try_recv",
            "Down::handle",
            "Down::monitor",
            "Down::reason",
            "Down::mailbox",
            "Down::drop",
        ],
        receive_down,
    ),
    case("down: take_handle", &["Down::take_handle"], take_handle),
    case(
        "down: into_owned",
        &[
            "Down::into_owned",
            "OwnedDown::handle",
            "OwnedDown::monitor",
            "OwnedDown::reason",
            "OwnedDown::take_handle",
        ],
        down_into_owned,
    ),
    case("down: into_owned, dropped", &["Down::into_owned", "OwnedDown::drop"], down_dropped),
];

fn into_owned(stage: &mut Stage, delay: u32) -> Option<u32> {
    let to = stage.to_handler;
    stage.send_to_self(&[to, to]);
    stage.send_to_self(&[to]);
    let mut next = stage.next;
    let (fired, (taken, rest)) = stage.act(delay, |main| {
        let OwnedSignal::Message(mut first) = main.mailbox.try_recv().unwrap().into_owned() else {
            unreachable!()
        };
        let Ok(Signal::Message(second)) = main.mailbox.try_recv() else { unreachable!() };
        let second = second.into_owned();
        check(&mut next, first.data());
        check(&mut next, second.data());
        let taken = first.take_handles().next();
        let rest = [first.handles().len(), second.handles().len()];
        drop(second);
        assert_eq!(first.into_payload().len(), 5);
        (taken, rest)
    });
    stage.next = next;
    assert_eq!((taken, rest), (Some(to), [1, 1]));
    stage.process.table.release(to).unwrap();
    assert!(stage.process.table.contains(to));
    fired
}

/// A down in the main program's mailbox, of a target that is dead already.
fn with_down(
    stage: &mut Stage,
    delay: u32,
    is_taken: bool,
    operation: impl FnOnce(&mut Process) -> (MonitorId, DownReason, Handle),
) -> Option<u32> {
    let target = stage.target();
    let id = stage.process.table.monitor(target.to, &stage.process.mailbox).unwrap();
    target.group.kill();
    let (fired, (monitor, reason, handle)) = stage.act(delay, operation);
    assert_eq!((monitor, reason), (id, DownReason::Killed));
    if is_taken {
        let same = stage.process.table.same_route(handle, target.to);
        assert!(stage.expect(same).is_none_or(|same| same));
        stage.process.table.release(handle).unwrap();
    }
    assert!(!stage.process.table.contains(handle), "its handle is released");
    assert!(!stage.process.mailbox.demonitor(id), "a monitor ends once");
    assert!(stage.next_down().is_none());
    stage.forget(target);
    fired
}

fn receive_down(stage: &mut Stage, delay: u32) -> Option<u32> {
    with_down(stage, delay, false, |main| match main.mailbox.try_recv() {
        Ok(Signal::Down(down)) => {
            assert!(down.mailbox().capacity() > 0);
            (down.monitor(), down.reason(), down.handle())
        }
        _ => unreachable!(),
    })
}

fn take_handle(stage: &mut Stage, delay: u32) -> Option<u32> {
    with_down(stage, delay, true, |main| match main.mailbox.try_recv() {
        Ok(Signal::Down(down)) => (down.monitor(), down.reason(), down.take_handle()),
        _ => unreachable!(),
    })
}

fn down_into_owned(stage: &mut Stage, delay: u32) -> Option<u32> {
    with_down(stage, delay, true, |main| match main.mailbox.try_recv() {
        Ok(Signal::Down(down)) => {
            let down = down.into_owned();
            let (monitor, reason, handle) = (down.monitor(), down.reason(), down.handle());
            assert_eq!(down.take_handle(), handle);
            (monitor, reason, handle)
        }
        _ => unreachable!(),
    })
}

fn down_dropped(stage: &mut Stage, delay: u32) -> Option<u32> {
    with_down(stage, delay, false, |main| match main.mailbox.try_recv() {
        Ok(signal) => match signal.into_owned() {
            OwnedSignal::Down(down) => (down.monitor(), down.reason(), down.handle()),
            _ => unreachable!(),
        },
        _ => unreachable!(),
    })
}
