//! Monitors: setting and removing them.

use flue_core::{DownReason, MonitorId, Permissions, TableError};

use super::{Case, case};
use crate::MONITORS_PER_GROUP;
use crate::handler::Fate;
use crate::stage::{Stage, Target};

pub(super) const CASES: &[Case] = &[
    case("monitor", &["Table::monitor"], monitor),
    case("monitor, again", &["Table::monitor"], monitor_again),
    case("monitor, closed", &["Table::monitor"], monitor_closed),
    case("monitor, at its limit", &["Table::monitor"], monitor_limited),
    case("host: monitor", &["Capability::monitor"], monitor_by_host),
    case("demonitor", &["Mailbox::demonitor"], demonitor),
    case("demonitor, fired", &["Mailbox::demonitor"], demonitor_fired),
    case("demonitor, over", &["Mailbox::demonitor"], demonitor_over),
];

/// An armed monitor ends once: by a down if its route is over, else by removal.
fn settle(stage: &mut Stage, target: Target, id: Option<MonitorId>) {
    let expected = match stage.fate() {
        Fate::Killed => Some(DownReason::Killed),
        Fate::Closed => Some(DownReason::Closed),
        Fate::Untouched | Fate::Released => None,
    };
    if let Some(id) = id {
        if let Some(expected) = expected {
            let (monitor, reason) = stage.next_down().expect("no down");
            assert_eq!(monitor, id);
            assert!(reason == expected || reason == DownReason::Gone);
        } else {
            assert!(stage.process.mailbox.demonitor(id));
        }
        assert!(!stage.process.mailbox.demonitor(id), "a monitor ends once");
    }
    assert!(stage.next_down().is_none());
    stage.forget(target);
}

fn monitor(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let to = target.to;
    let (fired, id) = stage.act(delay, |main| main.table.monitor(to, &main.mailbox));
    // Of whatever route, a monitor can be set.
    assert!(id.is_ok() || stage.fate() == Fate::Released);
    let id = stage.expect(id);
    settle(stage, target, id);
    fired
}

fn monitor_again(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let to = target.to;
    let first = stage.process.table.monitor(to, &stage.process.mailbox).unwrap();
    let (fired, id) = stage.act(delay, |main| main.table.monitor(to, &main.mailbox));
    assert!(stage.expect(id).is_none_or(|id| id == first));
    settle(stage, target, Some(first));
    fired
}

fn monitor_closed(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    stage.take_mailbox().close();
    let to = target.to;
    let (fired, id) = stage.act(delay, |main| main.table.monitor(to, &main.mailbox));
    if let Some(id) = stage.expect(id) {
        assert_eq!(stage.next_down(), Some((id, DownReason::Gone)));
    }
    assert!(stage.next_down().is_none());
    stage.forget(target);
    fired
}

/// As many monitors as the observer's group may have.
fn monitor_limited(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let watched = [
        stage.process.mailbox.capability(Permissions::MONITOR),
        stage.process.table.capability(stage.to_handler).unwrap(),
    ];
    let ids: [MonitorId; MONITORS_PER_GROUP as usize] =
        core::array::from_fn(|at| watched[at].monitor(&stage.process.mailbox).unwrap());
    let to = target.to;
    let (fired, refused) = stage.act(delay, |main| main.table.monitor(to, &main.mailbox));
    let is_released = stage.fate() == Fate::Released && refused == Err(TableError::InvalidHandle);
    assert!(is_released || refused == Err(TableError::LimitReached));
    for id in ids {
        assert!(stage.process.mailbox.demonitor(id));
    }
    assert!(stage.next_down().is_none());
    stage.forget(target);
    fired
}

fn monitor_by_host(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let (fired, id) = stage.act(delay, |main| target.capability.monitor(&main.mailbox));
    settle(stage, target, Some(id.unwrap()));
    fired
}

fn demonitor(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let id = stage.process.table.monitor(target.to, &stage.process.mailbox).unwrap();
    let (fired, removed) = stage.act(delay, |main| main.mailbox.demonitor(id));
    assert!(removed, "nobody else ends it");
    assert!(stage.next_down().is_none(), "a down after demonitor");
    stage.forget(target);
    fired
}

/// Its down is in the queue already, and is never received.
fn demonitor_fired(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let id = stage.process.table.monitor(target.to, &stage.process.mailbox).unwrap();
    target.group.kill();
    let (fired, removed) = stage.act(delay, |main| main.mailbox.demonitor(id));
    assert!(removed, "nobody else ends it");
    assert!(stage.next_down().is_none(), "a down after demonitor");
    stage.forget(target);
    fired
}

fn demonitor_over(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let id = stage.process.table.monitor(target.to, &stage.process.mailbox).unwrap();
    target.group.kill();
    assert_eq!(stage.next_down(), Some((id, DownReason::Killed)));
    let (fired, removed) = stage.act(delay, |main| main.mailbox.demonitor(id));
    assert!(!removed, "it was received");
    assert!(stage.next_down().is_none());
    stage.forget(target);
    fired
}
