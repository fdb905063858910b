//! Making and dropping groups, tables, mailboxes.

use super::{Operation, Players, by, operation};
use crate::scene::{Played, Scene};
use crate::world::{GROWS, PER_GROUP, mailbox_limits};
use flue_core::{CreateError, Permissions};
use std::sync::atomic::Ordering::Relaxed;

pub const OPERATIONS: &[Operation] = &[
    operation("create_group, drop", &["PostOffice::create_group", "RouteGroup::drop"], group),
    operation(
        "group: looks",
        &["RouteGroup::is_dead", "RouteGroup::clone", "RouteGroup::eq", "RouteGroup::drop"],
        group_looks,
    ),
    operation("create_table, drop", &["RouteGroup::create_table", "Table::drop"], group_table),
    operation("host's table, drop", &["PostOffice::create_table", "Table::drop"], host_table),
    operation("table: clone, drop", &["Table::clone", "Table::drop"], clone_table),
    operation("drop a table with entries", &["Table::drop"], drop_full_table),
    operation(
        "create_mailbox, close",
        &["RouteGroup::create_mailbox_with", "Mailbox::close", "Mailbox::drop"],
        mailbox,
    ),
    operation(
        "create a process, drop",
        &["PostOffice::create_group", "RouteGroup::create_table", "RouteGroup::create_mailbox"],
        process,
    ),
    operation(
        "create, group at its limits",
        &["RouteGroup::create_table", "RouteGroup::create_mailbox_with"],
        limited,
    ),
    operation(
        "create, group dead",
        &["RouteGroup::create_table", "RouteGroup::create_mailbox", "Mailbox::export"],
        create_dead,
    ),
    by(
        Players::First,
        operation("create_group, none left", &["PostOffice::create_group"], group_scarce),
    ),
    by(
        Players::First,
        operation("create_group, the office grows", &["PostOffice::create_group"], group_growing),
    ),
];

fn group(scene: &Scene) -> Played {
    let office = &scene.world.office;
    let created = scene.act(|| office.create_group().map(drop));
    scene.room(created)?;
    Ok(())
}

fn group_looks(scene: &Scene) -> Played {
    let group = &scene.party().group;
    let (is_dead, is_same) = scene.act(|| {
        let another = group.clone();
        (another.is_dead(), another == *group)
    });
    assert!(is_same && !is_dead);
    Ok(())
}

fn group_table(scene: &Scene) -> Played {
    let process = scene.subject(1)?;
    let group = &process.group;
    match scene.act(|| group.create_table().map(drop)) {
        Err(CreateError::Dead) if group.is_dead() => {}
        created => created.expect("there is room"),
    }
    scene.done(process);
    Ok(())
}

fn host_table(scene: &Scene) -> Played {
    let office = &scene.world.office;
    scene.act(|| office.create_table().map(drop)).expect("there is room");
    Ok(())
}

fn clone_table(scene: &Scene) -> Played {
    let (table, to) = (scene.table(), scene.common().to);
    assert!(scene.act(|| table.clone().contains(to)));
    Ok(())
}

/// The last reference to a table that still names routes.
fn drop_full_table(scene: &Scene) -> Played {
    let table = scene.world.office.create_table().expect("there is room");
    for party in &scene.world.parties {
        let send = party.capability.demote(Permissions::SEND).expect("a subset");
        table.insert(&party.capability).expect("room in the table");
        table.insert(&send).expect("room in the table");
    }
    let mut table = Some(table);
    scene.act(|| drop(table.take()));
    Ok(())
}

fn mailbox(scene: &Scene) -> Played {
    let process = scene.subject(1)?;
    let (group, table) = (&process.group, &process.table);
    let limits = mailbox_limits(2, 2);
    let created =
        scene.act(|| group.create_mailbox_with(table, limits).map(flue_core::Mailbox::close));
    match created {
        Err(CreateError::Dead) if group.is_dead() => {}
        created => created.expect("there is room"),
    }
    scene.done(process);
    Ok(())
}

fn process(scene: &Scene) -> Played {
    let office = &scene.world.office;
    let created = scene.act(|| {
        let group = office.create_group()?;
        let table = group.create_table()?;
        // The default limits are more than static storage has.
        match group.create_mailbox(&table) {
            Err(CreateError::LimitReached) if !GROWS => {
                group.create_mailbox_with(&table, mailbox_limits(2, 2)).map(drop)
            }
            created => created.map(drop),
        }
    });
    scene.room(created)?;
    Ok(())
}

/// A group has as many tables and mailboxes as it may have.
fn limited(scene: &Scene) -> Played {
    let process = scene.subject(1)?;
    let (group, limits) = (&process.group, mailbox_limits(0, 0));
    let more = 1..PER_GROUP;
    let tables: Vec<_> = more.clone().map(|_| group.create_table().expect("room")).collect();
    let mailboxes: Vec<_> =
        more.map(|_| group.create_mailbox_with(&process.table, limits).expect("room")).collect();
    let refused = scene.act(|| {
        let table = group.create_table().map(drop);
        (table, group.create_mailbox_with(&process.table, limits).map(drop))
    });
    for refused in [refused.0, refused.1] {
        let error = refused.expect_err("more than its limit");
        let dead = error == CreateError::Dead && group.is_dead();
        assert!(dead || error == CreateError::LimitReached, "{error}");
    }
    drop((tables, mailboxes));
    scene.done(process);
    Ok(())
}

fn create_dead(scene: &Scene) -> Played {
    let process = scene.process(1)?;
    process.group.kill();
    let (group, table) = (&process.group, &process.table);
    let refused = scene.act(|| {
        [
            group.create_table().map(drop),
            group.create_mailbox(table).map(drop),
            process.open().export(Permissions::SEND).map(drop).map_err(|_| CreateError::Dead),
        ]
    });
    assert_eq!(refused, [Err(CreateError::Dead); 3]);
    scene.done(process);
    Ok(())
}

fn group_scarce(scene: &Scene) -> Played {
    let office = &scene.world.office;
    scene.world.is_scarce.store(true, Relaxed);
    let all: Vec<_> = std::iter::from_fn(|| office.create_group().ok()).collect();
    let created = scene.act(|| office.create_group().map(drop));
    assert_eq!(created, Err(CreateError::LimitReached));
    drop(all);
    scene.world.is_scarce.store(false, Relaxed);
    Ok(())
}

/// No group is left in memory that is there.
fn group_growing(scene: &Scene) -> Played {
    const NEAR: usize = 4 * 32;
    let office = &scene.world.office;
    let have = office.stats().groups;
    let most = if GROWS { NEAR - have } else { 0 };
    let all: Vec<_> = (0..most).map(|_| office.create_group().expect("room")).collect();
    let created = scene.act(|| office.create_group().map(drop));
    created.expect("room");
    drop(all);
    Ok(())
}
