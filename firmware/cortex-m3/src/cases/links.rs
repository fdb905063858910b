//! Links between groups.

use flue_core::{RouteGroup, TableError};

use super::{Case, case};
use crate::LINKS_PER_GROUP;
use crate::handler::Fate;
use crate::stage::{Stage, Target};

pub(super) const CASES: &[Case] = &[
    case("group: link", &["RouteGroup::link"], link),
    case("group: link, linked", &["RouteGroup::link"], link_again),
    case("group: link, dead", &["RouteGroup::link"], link_dead),
    case("group: link, at its limit", &["RouteGroup::link"], link_limited),
    case("group: unlink", &["RouteGroup::unlink"], unlink),
    case("group: unlink, not linked", &["RouteGroup::unlink"], unlink_nothing),
    case("link", &["Table::link"], link_by_handle),
    case("unlink", &["Table::unlink"], unlink_by_handle),
    case("host: link", &["Capability::link"], link_by_host),
    case("host: unlink", &["Capability::unlink"], unlink_by_host),
];

/// A target, and a group to be linked with it.
fn pair(stage: &mut Stage) -> (Target, RouteGroup) {
    (stage.target(), stage.office.create_group().unwrap())
}

/// After a link both sides agree: linked and living, or both dead.
fn settle_linked(stage: &mut Stage, target: Target, group: RouteGroup, is_linked: bool) {
    let is_dead = target.group.is_dead();
    if is_linked {
        assert_eq!(group.is_dead(), is_dead, "one side only");
        assert_eq!(group.unlink(&target.group), Ok(!is_dead));
    } else {
        assert!(!group.is_dead(), "without a link");
    }
    assert_eq!(group.unlink(&target.group), Ok(false));
    stage.forget(target);
}

fn link(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, group) = pair(stage);
    let (fired, linked) = stage.act(delay, |_| group.link(&target.group));
    linked.unwrap();
    settle_linked(stage, target, group, true);
    fired
}

fn link_again(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, group) = pair(stage);
    group.link(&target.group).unwrap();
    let (fired, linked) = stage.act(delay, |_| target.group.link(&group));
    linked.unwrap();
    settle_linked(stage, target, group, true);
    fired
}

fn link_dead(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, group) = pair(stage);
    target.group.kill();
    let (fired, linked) = stage.act(delay, |_| group.link(&target.group));
    linked.unwrap();
    settle_linked(stage, target, group, true);
    fired
}

fn link_limited(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, group) = pair(stage);
    let others: [RouteGroup; LINKS_PER_GROUP as usize] =
        core::array::from_fn(|_| stage.office.create_group().unwrap());
    for other in &others {
        group.link(other).unwrap();
    }
    let (fired, linked) = stage.act(delay, |_| group.link(&target.group));
    match linked {
        // Its death was passed on without a link.
        Ok(()) => assert!(target.group.is_dead() && group.is_dead()),
        Err(error) => assert_eq!(error, TableError::LimitReached),
    }
    for other in &others {
        assert_eq!(other.is_dead(), group.is_dead());
        assert_eq!(other.unlink(&group), Ok(!group.is_dead()));
    }
    assert_eq!(group.unlink(&target.group), Ok(false));
    stage.forget(target);
    fired
}

/// Both sides agree whether the link was removed, or killed.
fn settle_unlinked(stage: &mut Stage, target: Target, group: RouteGroup, removed: Option<bool>) {
    match removed {
        Some(removed) => {
            assert_eq!(group.is_dead(), !removed, "both sides agree");
            assert!(removed || target.group.is_dead());
        }
        // The handle was gone before: nothing has happened.
        None => {
            assert_eq!(stage.fate(), Fate::Released);
            assert_eq!(group.unlink(&target.group), Ok(true));
        }
    }
    assert_eq!(target.group.unlink(&group), Ok(false));
    stage.forget(target);
}

fn unlink(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, group) = pair(stage);
    group.link(&target.group).unwrap();
    let (fired, removed) = stage.act(delay, |_| target.group.unlink(&group));
    settle_unlinked(stage, target, group, Some(removed.unwrap()));
    fired
}

fn unlink_nothing(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, group) = pair(stage);
    let (fired, removed) = stage.act(delay, |_| target.group.unlink(&group));
    assert_eq!(removed, Ok(false));
    settle_linked(stage, target, group, false);
    fired
}

fn link_by_handle(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, group) = pair(stage);
    let to = target.to;
    let (fired, linked) = stage.act(delay, |main| main.table.link(to, &group));
    let is_linked = stage.expect(linked).is_some();
    settle_linked(stage, target, group, is_linked);
    fired
}

fn unlink_by_handle(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, group) = pair(stage);
    let to = target.to;
    stage.process.table.link(to, &group).unwrap();
    let (fired, removed) = stage.act(delay, |main| main.table.unlink(to, &group));
    let removed = stage.expect(removed);
    settle_unlinked(stage, target, group, removed);
    fired
}

fn link_by_host(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, group) = pair(stage);
    let (fired, linked) = stage.act(delay, |_| target.capability.link(&group));
    let is_linked = stage.expect(linked).is_some();
    settle_linked(stage, target, group, is_linked);
    fired
}

fn unlink_by_host(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (target, group) = pair(stage);
    target.capability.link(&group).unwrap();
    let (fired, removed) = stage.act(delay, |_| target.capability.unlink(&group));
    settle_unlinked(stage, target, group, Some(removed.unwrap()));
    fired
}
