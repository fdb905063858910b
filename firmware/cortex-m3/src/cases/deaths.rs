//! Monitors, links, kill, close.

use common::process::Process;
use flue_core::{DownReason, PostOffice, SendError};

use super::Stage;
use crate::handler;

pub(super) fn monitor(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, handle) = stage.target();
    let Stage { rig, process, .. } = stage;
    let mut id = None;
    let fired = rig.shot(delay, &mut || id = process.table.monitor(handle, &process.mailbox).ok());
    let id = id.unwrap();
    if stage.killed(fired) {
        let (monitor, reason) = stage.next_down().unwrap();
        assert_eq!(monitor, id);
        assert!(matches!(reason, DownReason::Killed | DownReason::Gone));
    } else {
        assert!(stage.process.mailbox.demonitor(id));
    }
    assert!(stage.next_down().is_none());
    stage.forget(target, handle);
    fired
}

pub(super) fn demonitor(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, handle) = stage.target();
    let Stage { rig, process, .. } = stage;
    let id = process.table.monitor(handle, &process.mailbox).unwrap();
    let mut removed = false;
    let fired = rig.shot(delay, &mut || removed = process.mailbox.demonitor(id));
    assert!(removed);
    assert!(stage.next_down().is_none(), "a down after demonitor");
    stage.forget(target, handle);
    fired
}

pub(super) fn link(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, handle) = stage.target();
    let group = stage.office.create_group().unwrap();
    let Stage { rig, process, .. } = stage;
    let fired = rig.shot(delay, &mut || process.table.link(handle, &group).unwrap());
    let killed = stage.killed(fired);
    assert_eq!(group.is_dead(), killed);
    assert_eq!(group.unlink(&target.group), Ok(!killed));
    stage.forget(target, handle);
    fired
}

pub(super) fn unlink(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, handle) = stage.target();
    let group = stage.office.create_group().unwrap();
    let Stage { rig, process, .. } = stage;
    process.table.link(handle, &group).unwrap();
    let mut removed = false;
    let fired = rig.shot(delay, &mut || removed = process.table.unlink(handle, &group).unwrap());
    let killed = stage.killed(fired);
    assert_eq!(group.is_dead(), !removed, "both sides agree");
    assert!(removed || killed);
    stage.forget(target, handle);
    fired
}

pub(super) fn kill(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, handle) = stage.target();
    let linked = stage.office.create_group().unwrap();
    let further = stage.office.create_group().unwrap();
    let Stage { rig, process, .. } = stage;
    process.table.link(handle, &linked).unwrap();
    linked.link(&further).unwrap();
    let id = process.table.monitor(handle, &process.mailbox).unwrap();
    process.table.send(handle, b"dies with the queue", &[handle]).unwrap();
    let fired = rig.shot(delay, &mut || process.table.kill(handle).unwrap());
    assert!(target.group.is_dead() && linked.is_dead() && further.is_dead());
    assert_eq!(stage.next_down(), Some((id, DownReason::Killed)));
    assert!(stage.next_down().is_none());
    stage.forget(target, handle);
    fired
}

pub(super) fn close(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, handle) = stage.target();
    let Process { group, table, mailbox } = target;
    let Stage { rig, process, .. } = stage;
    let id = process.table.monitor(handle, &process.mailbox).unwrap();
    let mut mailbox = Some(mailbox);
    let fired = rig.shot(delay, &mut || drop(mailbox.take()));
    let (monitor, reason) = stage.next_down().unwrap();
    assert_eq!(monitor, id);
    assert_eq!(reason, if group.is_dead() { DownReason::Killed } else { DownReason::Closed });
    assert!(stage.next_down().is_none());
    assert_eq!(stage.process.table.send(handle, b"", &[]), Err(SendError::Closed));
    drop(table);
    drop(group);
    stage.process.table.release(handle).unwrap();
    handler::with(|handler| handler.process.table.release(handler.target.take().unwrap()).unwrap());
    fired
}

pub(super) fn create_and_drop(stage: &mut Stage, delay: u32) -> Option<u32> {
    let Stage { rig, office, .. } = stage;
    let office: &PostOffice = office;
    rig.shot(delay, &mut || drop(Process::new(office, 2, 0).unwrap()))
}
