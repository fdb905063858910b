//! A table's own operations.

use common::process::EVERYTHING;
use flue_core::{Permissions, TableError};

use super::Stage;
use crate::handler;

pub(super) fn look_up(stage: &mut Stage, delay: u32) -> Option<u32> {
    let Stage { rig, process, to_handler, to_self, .. } = stage;
    rig.shot(delay, &mut || {
        assert!(process.table.contains(*to_handler));
        assert_eq!(process.table.permissions(*to_handler), Ok(EVERYTHING));
        assert_eq!(process.table.same_route(*to_handler, *to_self), Ok(false));
        drop(process.table.capability(*to_handler).unwrap());
    })
}

pub(super) fn retain_and_release(stage: &mut Stage, delay: u32) -> Option<u32> {
    let Stage { rig, process, to_handler, .. } = stage;
    rig.shot(delay, &mut || {
        process.table.retain(*to_handler).unwrap();
        process.table.release(*to_handler).unwrap();
    })
}

pub(super) fn release_last(stage: &mut Stage, delay: u32) -> Option<u32> {
    let Stage { rig, process, to_handler, .. } = stage;
    let handle = process.table.demote(*to_handler, Permissions::SEND).unwrap();
    handler::with(|handler| handler.subject = handle);
    let fired = rig.shot(delay, &mut || process.table.release(handle).unwrap());
    assert_eq!(process.table.permissions(handle), Err(TableError::InvalidHandle));
    fired
}

pub(super) fn demote(stage: &mut Stage, delay: u32) -> Option<u32> {
    let Stage { rig, process, to_handler, .. } = stage;
    let mut handle = None;
    // The handler demotes to the same permissions: both must get the same handle.
    let fired = rig
        .shot(delay, &mut || handle = process.table.demote(*to_handler, Permissions::empty()).ok());
    process.table.release(handle.unwrap()).unwrap();
    assert!(!process.table.contains(handle.unwrap()));
    fired
}

pub(super) fn export(stage: &mut Stage, delay: u32) -> Option<u32> {
    let Stage { rig, process, .. } = stage;
    let mut handle = None;
    let fired = rig.shot(delay, &mut || handle = process.mailbox.export(Permissions::MONITOR).ok());
    assert_eq!(process.table.permissions(handle.unwrap()), Ok(Permissions::MONITOR));
    process.table.release(handle.unwrap()).unwrap();
    fired
}

pub(super) fn insert(stage: &mut Stage, delay: u32) -> Option<u32> {
    let Stage { rig, process, to_handler, .. } = stage;
    // The handler demotes to exactly this while it is being inserted.
    let capability =
        process.table.capability(*to_handler).unwrap().demote(Permissions::empty()).unwrap();
    let mut handle = None;
    let fired = rig.shot(delay, &mut || handle = process.table.insert(&capability).ok());
    assert_eq!(process.table.permissions(handle.unwrap()), Ok(Permissions::empty()));
    process.table.release(handle.unwrap()).unwrap();
    fired
}
