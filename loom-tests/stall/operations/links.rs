//! Links between groups.

use super::{Operation, operation};
use crate::scene::{Played, Process, Scarce, Scene};
use crate::world::{Fate, PER_GROUP};
use flue_core::{RouteGroup, TableError};

pub const OPERATIONS: &[Operation] = &[
    operation("group: link", &["RouteGroup::link"], link),
    operation("group: link, linked", &["RouteGroup::link"], link_again),
    operation("group: link, dead", &["RouteGroup::link"], link_dead),
    operation("group: link, at its limit", &["RouteGroup::link"], link_limited),
    operation("group: unlink", &["RouteGroup::unlink"], unlink),
    operation("group: unlink, not linked", &["RouteGroup::unlink"], unlink_nothing),
    operation("table: link", &["Table::link"], link_by_handle),
    operation("table: unlink", &["Table::unlink"], unlink_by_handle),
    operation("capability: link", &["Capability::link"], link_by_host),
    operation("capability: unlink", &["Capability::unlink"], unlink_by_host),
];

/// A process, and a group of its own to be linked with it.
fn pair(scene: &Scene) -> Result<(Process, RouteGroup), Scarce> {
    Ok((scene.subject(1)?, scene.group()?))
}

/// After a link both sides agree: linked and living, or both dead.
fn settle_linked(scene: &Scene, process: Process, group: RouteGroup, is_linked: bool) {
    let is_dead = process.group.is_dead();
    if is_linked {
        assert_eq!(group.is_dead(), is_dead, "one side only");
        assert_eq!(group.unlink(&process.group), Ok(!is_dead));
    } else {
        assert!(!group.is_dead(), "without a link");
    }
    assert_eq!(group.unlink(&process.group), Ok(false));
    scene.done(process);
}

fn link(scene: &Scene) -> Played {
    let (process, group) = pair(scene)?;
    scene.act(|| group.link(&process.group)).expect("there is room");
    settle_linked(scene, process, group, true);
    Ok(())
}

fn link_again(scene: &Scene) -> Played {
    let (process, group) = pair(scene)?;
    group.link(&process.group).expect("there is room");
    scene.act(|| process.group.link(&group)).expect("it is there");
    settle_linked(scene, process, group, true);
    Ok(())
}

fn link_dead(scene: &Scene) -> Played {
    let (process, group) = pair(scene)?;
    process.group.kill();
    scene.act(|| group.link(&process.group)).expect("dead is no error");
    settle_linked(scene, process, group, true);
    Ok(())
}

fn link_limited(scene: &Scene) -> Played {
    let (process, group) = pair(scene)?;
    let others = (0..PER_GROUP).map(|_| scene.group()).collect::<Result<Vec<_>, _>>()?;
    for other in &others {
        group.link(other).expect("there is room");
    }
    let linked = scene.act(|| group.link(&process.group));
    match linked {
        // Its death was passed on without a link.
        Ok(()) => assert!(process.group.is_dead() && group.is_dead()),
        Err(error) => assert_eq!(error, TableError::LimitReached),
    }
    for other in &others {
        assert_eq!(other.is_dead(), group.is_dead());
        assert_eq!(other.unlink(&group), Ok(!group.is_dead()));
    }
    assert_eq!(group.unlink(&process.group), Ok(false));
    scene.done(process);
    Ok(())
}

/// Both sides agree whether the link was removed, or killed.
fn settle_unlinked(scene: &Scene, process: Process, group: RouteGroup, removed: Option<bool>) {
    match removed {
        Some(removed) => {
            assert_eq!(group.is_dead(), !removed, "both sides agree");
            assert!(removed || process.group.is_dead());
        }
        // The handle was gone before: nothing has happened.
        None => assert_eq!(group.unlink(&process.group), Ok(true)),
    }
    assert_eq!(process.group.unlink(&group), Ok(false));
    scene.done(process);
}

fn unlink(scene: &Scene) -> Played {
    let (process, group) = pair(scene)?;
    group.link(&process.group).expect("there is room");
    let removed = scene.act(|| process.group.unlink(&group)).expect("one office");
    settle_unlinked(scene, process, group, Some(removed));
    Ok(())
}

fn unlink_nothing(scene: &Scene) -> Played {
    let (process, group) = pair(scene)?;
    let removed = scene.act(|| process.group.unlink(&group));
    assert_eq!(removed, Ok(false));
    settle_linked(scene, process, group, false);
    Ok(())
}

fn link_by_handle(scene: &Scene) -> Played {
    let (process, group) = pair(scene)?;
    let (table, to) = (scene.table(), process.to);
    let linked = scene.act(|| table.link(to, &group));
    let is_linked = scene.expect(linked).is_some();
    // Killed before it was linked, or not permitted any more: then it lives on.
    assert!(is_linked || scene.fate() != Fate::Untouched);
    settle_linked(scene, process, group, is_linked);
    Ok(())
}

fn unlink_by_handle(scene: &Scene) -> Played {
    let (process, group) = pair(scene)?;
    let (table, to) = (scene.table(), process.to);
    table.link(to, &group).expect("there is room");
    let removed = scene.act(|| table.unlink(to, &group));
    let removed = scene.expect(removed);
    settle_unlinked(scene, process, group, removed);
    Ok(())
}

fn link_by_host(scene: &Scene) -> Played {
    let (process, group) = pair(scene)?;
    let capability = process.open().capability(flue_core::Permissions::LINK);
    scene.act(|| capability.link(&group)).expect("there is room");
    settle_linked(scene, process, group, true);
    Ok(())
}

fn unlink_by_host(scene: &Scene) -> Played {
    let (process, group) = pair(scene)?;
    let capability = process.open().capability(flue_core::Permissions::LINK);
    capability.link(&group).expect("there is room");
    let removed = scene.act(|| capability.unlink(&group)).expect("permitted");
    settle_unlinked(scene, process, group, Some(removed));
    Ok(())
}
