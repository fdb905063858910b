//! What a table does with handles.

use common::process::EVERYTHING;
use flue_core::{Permissions, TableError};

use super::{Case, case};
use crate::handler::{self, Fate};
use crate::stage::Stage;

pub(super) const CASES: &[Case] = &[
    case(
        "look up",
        &["Table::contains", "Table::permissions", "Table::same_route", "Table::capability"],
        look_up,
    ),
    case(
        "look up a target",
        &["Table::contains", "Table::permissions", "Table::same_route", "Table::capability"],
        look_up_target,
    ),
    case("retain, release", &["Table::retain", "Table::release"], retain_and_release),
    case("release the last", &["Table::release"], release_last),
    case("release the last, twice", &["Table::release"], release_twice),
    case("demote", &["Table::demote"], demote),
    case("demote a target", &["Table::demote"], demote_target),
    case("export", &["Mailbox::export"], export),
    case("insert", &["Table::insert"], insert),
    case(
        "insert what is there",
        &["Table::insert", "Table::demote", "Mailbox::export"],
        insert_present,
    ),
    case(
        "table: snapshot",
        &["Table::handles", "Table::len", "Table::is_empty", "Table::capacity"],
        snapshot,
    ),
];

fn look_up(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (to, own) = (stage.to_handler, stage.to_self);
    let (fired, ()) = stage.act(delay, |main| {
        assert!(main.table.contains(to));
        assert_eq!(main.table.permissions(to), Ok(EVERYTHING));
        assert_eq!(main.table.same_route(to, own), Ok(false));
        assert_eq!(main.table.capability(to).unwrap().permissions(), EVERYTHING);
    });
    fired
}

fn look_up_target(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let to = target.to;
    let (fired, (contains, permissions, same, capability)) = stage.act(delay, |main| {
        let capability = main.table.capability(to);
        (
            main.table.contains(to),
            main.table.permissions(to),
            main.table.same_route(to, to),
            capability,
        )
    });
    assert!(contains || stage.fate() == Fate::Released);
    assert!(stage.expect(permissions).is_none_or(|all| all == EVERYTHING));
    assert!(stage.expect(same).is_none_or(|same| same));
    assert!(stage.expect(capability).is_none_or(|found| found == target.capability));
    stage.forget(target);
    fired
}

fn retain_and_release(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let to = target.to;
    let (fired, done) =
        stage.act(delay, |main| main.table.retain(to).and_then(|()| main.table.release(to)));
    stage.expect(done);
    stage.forget(target);
    fired
}

fn release_last(stage: &mut Stage, delay: u32) -> Option<u32> {
    let handle = stage.process.table.demote(stage.to_handler, Permissions::SEND).unwrap();
    handler::with(|handler| handler.subject = handle);
    let (fired, released) = stage.act(delay, |main| main.table.release(handle));
    released.unwrap();
    assert_eq!(stage.process.table.permissions(handle), Err(TableError::InvalidHandle));
    fired
}

/// The handler may release the very reference that is being released.
fn release_twice(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let to = target.to;
    let (fired, released) = stage.act(delay, |main| main.table.release(to));
    assert_eq!(released.is_err(), stage.fate() == Fate::Released, "released once");
    assert!(!stage.process.table.contains(to));
    handler::with(|handler| handler.fate = Fate::Released);
    stage.forget(target);
    fired
}

fn demote(stage: &mut Stage, delay: u32) -> Option<u32> {
    let to = stage.to_handler;
    // The handler demotes to the same permissions: both must get the same handle.
    let (fired, handle) = stage.act(delay, |main| main.table.demote(to, Permissions::empty()));
    stage.process.table.release(handle.unwrap()).unwrap();
    assert!(!stage.process.table.contains(handle.unwrap()));
    fired
}

fn demote_target(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let to = target.to;
    let (fired, handle) = stage.act(delay, |main| main.table.demote(to, Permissions::SEND));
    if let Some(handle) = stage.expect(handle) {
        assert_eq!(stage.process.table.permissions(handle), Ok(Permissions::SEND));
        stage.process.table.release(handle).unwrap();
        assert!(!stage.process.table.contains(handle));
    }
    stage.forget(target);
    fired
}

fn export(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (fired, handle) = stage.act(delay, |main| main.mailbox.export(Permissions::MONITOR));
    assert_eq!(stage.process.table.permissions(handle.unwrap()), Ok(Permissions::MONITOR));
    stage.process.table.release(handle.unwrap()).unwrap();
    fired
}

fn insert(stage: &mut Stage, delay: u32) -> Option<u32> {
    // The handler demotes to exactly this while it is being inserted.
    let capability = stage.process.table.capability(stage.to_handler).unwrap();
    let capability = capability.demote(Permissions::empty()).unwrap();
    let (fired, handle) = stage.act(delay, |main| main.table.insert(&capability));
    assert_eq!(stage.process.table.permissions(handle.unwrap()), Ok(Permissions::empty()));
    stage.process.table.release(handle.unwrap()).unwrap();
    fired
}

/// Equal capabilities are equal handles.
fn insert_present(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (to, own) = (stage.to_handler, stage.to_self);
    let capability = stage.process.table.capability(to).unwrap();
    let (fired, handles) = stage.act(delay, |main| {
        [
            main.table.insert(&capability),
            main.table.demote(to, EVERYTHING),
            main.mailbox.export(Permissions::SEND),
        ]
    });
    assert_eq!(handles, [Ok(to), Ok(to), Ok(own)]);
    for handle in [to, to, own] {
        stage.process.table.release(handle).unwrap();
        assert!(stage.process.table.contains(handle));
    }
    fired
}

fn snapshot(stage: &mut Stage, delay: u32) -> Option<u32> {
    let (to, own) = (stage.to_handler, stage.to_self);
    let (fired, ()) = stage.act(delay, |main| {
        let (mut has_both, mut count) = ([false; 2], 0);
        for handle in main.table.handles() {
            count += 1;
            has_both[0] |= handle == to;
            has_both[1] |= handle == own;
        }
        assert!(has_both == [true; 2] && !main.table.is_empty());
        assert!((2..=main.table.capacity()).contains(&main.table.len()));
        assert!(count <= main.table.capacity());
    });
    fired
}
