//! Making and dropping groups, tables, mailboxes.

use common::process::{EVERYTHING, Process, limits};
use flue_core::{CreateError, Mailbox, Permissions, RouteGroup, TableError};

use super::{Case, case};
use crate::handler::{self, Fate};
use crate::stage::Stage;

pub(super) const CASES: &[Case] = &[
    case(
        "create, drop",
        &[
            "PostOffice::create_group",
            "RouteGroup::create_table",
            "RouteGroup::create_mailbox",
            "RouteGroup::drop",
            "Table::drop",
            "Mailbox::drop",
        ],
        create_and_drop,
    ),
    case(
        "group: looks",
        &["RouteGroup::is_dead", "RouteGroup::clone", "RouteGroup::eq", "RouteGroup::drop"],
        group_looks,
    ),
    case("create_table, drop", &["RouteGroup::create_table", "Table::drop"], create_table),
    case(
        "host's table: insert, clone, drop",
        &["PostOffice::create_table", "Table::insert", "Table::clone", "Table::drop"],
        host_table,
    ),
    case(
        "create_mailbox, close",
        &["RouteGroup::create_mailbox_with", "Mailbox::close", "Mailbox::drop"],
        create_mailbox,
    ),
    case(
        "create, group dead",
        &["RouteGroup::create_table", "RouteGroup::create_mailbox", "Mailbox::export"],
        create_dead,
    ),
    case("create_group, none left", &["PostOffice::create_group"], create_scarce),
];

fn create_and_drop(stage: &mut Stage, delay: u32) -> Option<u32> {
    let office = stage.office.clone();
    let (fired, ()) = stage.act(delay, |_| {
        let group = office.create_group().unwrap();
        let table = group.create_table().unwrap();
        let mailbox = group.create_mailbox(&table).unwrap();
        drop((group, table, mailbox));
    });
    fired
}

fn group_looks(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let group = &target.group;
    let (fired, is_dead) = stage.act(delay, |main| {
        let another = group.clone();
        assert!(another == *group && another != main.group);
        another.is_dead()
    });
    assert!(!is_dead || stage.fate() == Fate::Killed);
    stage.forget(target);
    fired
}

/// What was made, or that the target's group was dead.
fn created<T>(stage: &Stage, result: Result<T, CreateError>) {
    if let Err(error) = result {
        assert_eq!((error, stage.fate()), (CreateError::Dead, Fate::Killed));
    }
}

fn create_table(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let (fired, table) = stage.act(delay, |_| target.group.create_table().map(drop));
    created(stage, table);
    stage.forget(target);
    fired
}

/// The last reference to a table that still names routes.
fn host_table(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let (office, capability) = (stage.office.clone(), &target.capability);
    let (fired, ()) = stage.act(delay, |_| {
        let table = office.create_table().unwrap();
        let handle = table.insert(capability).unwrap();
        let another = table.clone();
        drop(table);
        assert_eq!(another.permissions(handle), Ok(EVERYTHING));
    });
    stage.forget(target);
    fired
}

fn create_mailbox(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let (group, table) = (&target.group, &target.table);
    let (fired, mailbox) =
        stage.act(delay, |_| group.create_mailbox_with(table, limits(2, 2)).map(Mailbox::close));
    created(stage, mailbox);
    stage.forget(target);
    fired
}

fn create_dead(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let mailbox = stage.take_mailbox();
    target.group.kill();
    let (group, table) = (&target.group, &target.table);
    let (fired, (created, exported)) = stage.act(delay, |_| {
        let created = [group.create_table().map(drop), group.create_mailbox(table).map(drop)];
        (created, mailbox.export(Permissions::SEND))
    });
    assert_eq!(created, [Err(CreateError::Dead); 2]);
    assert_eq!(exported, Err(TableError::Dead));
    drop(mailbox);
    stage.forget(target);
    fired
}

fn create_scarce(stage: &mut Stage, delay: u32) -> Option<u32> {
    handler::with(|handler| handler.is_scarce = true);
    let office = stage.office.clone();
    let all: [Option<RouteGroup>; 16] = core::array::from_fn(|_| office.create_group().ok());
    assert!(all.iter().any(Option::is_none));
    let (fired, refused) = stage.act(delay, |_| Process::new(&office, 1, 1).map(drop));
    assert_eq!(refused, Err(CreateError::LimitReached));
    drop(all);
    fired
}
