//! What a table does with handles.

use super::{Operation, Players, by, operation};
use crate::scene::{Played, Process, Scarce, Scene};
use crate::world::{GROWS, HANDLES};
use flue_core::{Handle, Permissions, SendError, TableError};
use std::sync::atomic::Ordering::Relaxed;

pub const OPERATIONS: &[Operation] = &[
    operation("look up", LOOKS, look_up),
    operation("table: capability", &["Table::capability", "Capability::drop"], capability),
    operation(
        "capability: looks",
        &[
            "Capability::permissions",
            "Capability::same_route",
            "Capability::demote",
            "Capability::is_closed",
            "Capability::clone",
            "Capability::eq",
            "Capability::hash",
        ],
        capability_looks,
    ),
    operation("retain, release", &["Table::retain", "Table::release"], retain_and_release),
    operation("release the last", &["Table::release"], release_last),
    operation("demote, new", &["Table::demote"], demote_new),
    operation("demote, present", &["Table::demote"], demote_present),
    operation("insert, new", &["Table::insert"], insert_new),
    operation("insert, present", &["Table::insert"], insert_present),
    operation("export, new", &["Mailbox::export"], export_new),
    operation("export, present", &["Mailbox::export"], export_present),
    operation(
        "table: snapshot",
        &["Table::handles", "Table::len", "Table::is_empty", "Table::capacity"],
        snapshot,
    ),
    operation("a sealed table", SEALED, sealed),
    by(Players::First, operation("insert, table full", &["Table::insert"], insert_full)),
    by(Players::First, operation("insert, the table grows", &["Table::insert"], insert_growing)),
];

const LOOKS: &[&str] = &["Table::contains", "Table::permissions", "Table::same_route"];

fn look_up(scene: &Scene) -> Played {
    let process = scene.subject(1)?;
    let (table, to) = (scene.table(), process.to);
    let (contains, permissions, same) =
        scene.act(|| (table.contains(to), table.permissions(to), table.same_route(to, to)));
    assert!(contains || scene.expect::<()>(Err(TableError::InvalidHandle)).is_none());
    assert!(scene.expect(permissions).is_none_or(|all| all == Permissions::all()));
    assert!(scene.expect(same).is_none_or(|same| same));
    scene.done(process);
    Ok(())
}

fn capability(scene: &Scene) -> Played {
    let process = scene.subject(1)?;
    let (table, to) = (scene.table(), process.to);
    let capability = scene.act(|| table.capability(to).map(|capability| capability.permissions()));
    assert!(scene.expect(capability).is_none_or(|all| all == Permissions::all()));
    scene.done(process);
    Ok(())
}

fn capability_looks(scene: &Scene) -> Played {
    let process = scene.subject(1)?;
    let capability = process.open().capability(Permissions::all());
    let (is_closed, is_as_it_should) = scene.act(|| {
        let copy = capability.clone();
        let less = copy.demote(Permissions::SEND).expect("a subset");
        let mut hasher = std::hash::DefaultHasher::new();
        std::hash::Hash::hash(&less, &mut hasher);
        let same = less.same_route(&copy) && less != copy && copy == capability;
        (copy.is_closed(), same && less.permissions() == Permissions::SEND)
    });
    assert!(is_as_it_should && (!is_closed || process.group.is_dead()));
    scene.done(process);
    Ok(())
}

fn retain_and_release(scene: &Scene) -> Played {
    let process = scene.subject(1)?;
    let (table, to) = (scene.table(), process.to);
    let done = scene.act(|| table.retain(to).and_then(|()| table.release(to)));
    scene.expect(done);
    scene.done(process);
    Ok(())
}

fn release_last(scene: &Scene) -> Played {
    let process = scene.subject(1)?;
    let (table, to) = (scene.table(), process.to);
    let released = scene.act(|| table.release(to));
    scene.expect(released);
    assert!(!table.contains(to), "there is still a reference");
    assert_eq!(table.release(to), Err(TableError::InvalidHandle));
    Ok(())
}

fn demote_new(scene: &Scene) -> Played {
    let process = scene.subject(1)?;
    let (table, to) = (scene.table(), process.to);
    let demoted = scene.act(|| table.demote(to, Permissions::SEND));
    if let Some(demoted) = scene.expect(demoted) {
        assert_eq!(table.permissions(demoted), Ok(Permissions::SEND));
        table.release(demoted).expect("it is there");
        assert!(!table.contains(demoted));
    }
    scene.done(process);
    Ok(())
}

/// The very permissions that the other asks for too, of the same route.
fn demote_present(scene: &Scene) -> Played {
    let (table, to) = (scene.table(), scene.common().to);
    let present = scene.room(table.demote(to, Permissions::MONITOR))?;
    let demoted = scene.act(|| table.demote(to, Permissions::MONITOR));
    assert_eq!(demoted, Ok(present), "equal capabilities are equal handles");
    table.release(present).expect("it is there");
    table.release(present).expect("twice");
    if scene.is_exact() {
        assert!(!table.contains(present));
    }
    Ok(())
}

fn insert_new(scene: &Scene) -> Played {
    let process = scene.subject(1)?;
    let (table, send) = (scene.table(), process.open().capability(Permissions::SEND));
    let handle = scene.room(scene.act(|| table.insert(&send)))?;
    assert_eq!(table.permissions(handle), Ok(Permissions::SEND));
    table.release(handle).expect("it is there");
    assert!(!table.contains(handle));
    scene.done(process);
    Ok(())
}

fn insert_present(scene: &Scene) -> Played {
    let process = scene.subject(1)?;
    let (table, all) = (scene.table(), process.open().capability(Permissions::all()));
    let handle = scene.room(scene.act(|| table.insert(&all)))?;
    // If the one that was present has been released, this is another one.
    assert!(handle == process.to || scene.expect::<()>(Err(TableError::InvalidHandle)).is_none());
    table.release(handle).expect("it is there");
    scene.done(process);
    Ok(())
}

fn export_new(scene: &Scene) -> Played {
    let mailbox = scene.mailbox();
    let permissions = Permissions::SEND | Permissions::MONITOR;
    let handle = scene.room(scene.act(|| mailbox.export(permissions)))?;
    assert_eq!(scene.table().permissions(handle), Ok(permissions));
    scene.table().release(handle).expect("it is there");
    Ok(())
}

fn export_present(scene: &Scene) -> Played {
    let mailbox = scene.mailbox();
    let handle = scene.act(|| mailbox.export(Permissions::all())).expect("it is there");
    assert_eq!(handle, scene.party().to, "equal capabilities are equal handles");
    scene.table().release(handle).expect("it is there");
    assert!(scene.table().contains(handle));
    Ok(())
}

fn snapshot(scene: &Scene) -> Played {
    let table = scene.table();
    let (count, has_both, is_empty, capacity) = scene.act(|| {
        let parties = &scene.world.parties;
        let (mut count, mut has) = (0, [false; 2]);
        for handle in table.handles() {
            count += 1;
            for (has, party) in has.iter_mut().zip(parties) {
                *has |= handle == party.to;
            }
        }
        (count, has == [true; 2], table.is_empty(), table.capacity())
    });
    assert!(has_both && !is_empty && count <= capacity);
    Ok(())
}

const SEALED: &[&str] = &[
    "Table::insert",
    "Table::capability",
    "Table::contains",
    "Table::permissions",
    "Table::retain",
    "Table::release",
    "Table::demote",
    "Table::kill",
    "Table::send",
    "Table::len",
];

/// Killed code has lost all authority at once.
fn sealed(scene: &Scene) -> Played {
    let process = scene.process(1)?;
    let (table, capability) = (&process.table, &scene.common().capability);
    let to = table.insert(capability).expect("room in the table");
    process.group.kill();
    let (found, results) = scene.act(|| {
        let results = [
            table.insert(capability).map(drop),
            table.capability(to).map(drop),
            table.permissions(to).map(drop),
            table.retain(to),
            table.demote(to, Permissions::SEND).map(drop),
            table.kill(to),
            table.link(to, &process.group),
            table.release(to),
        ];
        let sent = table.send(to, b"", &[]) == Err(SendError::Dead);
        ((table.contains(to), table.len(), sent), results)
    });
    assert_eq!(found, (false, 0, true));
    assert_eq!(results, [Err(TableError::Dead); 8]);
    scene.done(process);
    Ok(())
}

/// Fills the shared table up to `count` entries with capabilities to new routes.
fn fill(scene: &Scene, count: usize) -> Result<(Vec<Process>, Vec<Handle>), Scarce> {
    let (table, mut processes, mut handles) = (scene.table(), Vec::new(), Vec::new());
    'all: loop {
        let process = scene.process(0)?;
        let capabilities = (0..Permissions::all().bits())
            .map(|bits| process.open().capability(Permissions::from_bits_truncate(bits)));
        let capabilities: Vec<_> = capabilities.collect();
        processes.push(process);
        for capability in capabilities {
            if table.len() == count {
                break 'all;
            }
            handles.push(table.insert(&capability).expect("room in the table"));
        }
    }
    Ok((processes, handles))
}

fn empty(scene: &Scene, (processes, handles): (Vec<Process>, Vec<Handle>)) {
    for handle in handles {
        scene.table().release(handle).expect("it is there");
    }
    for process in processes {
        scene.done(process);
    }
}

fn insert_full(scene: &Scene) -> Played {
    scene.world.is_scarce.store(true, Relaxed);
    let filled = fill(scene, HANDLES as usize)?;
    let table = scene.table();
    let capability = scene.common().capability.demote(Permissions::KILL).expect("a subset");
    let handle = scene.act(|| table.insert(&capability));
    assert_eq!(handle, Err(TableError::Full));
    empty(scene, filled);
    scene.world.is_scarce.store(false, Relaxed);
    Ok(())
}

/// No slot is left in memory that is there.
fn insert_growing(scene: &Scene) -> Played {
    if !GROWS {
        scene.act(|| {});
        return Ok(());
    }
    const FIRST_SLOTS: usize = 4 + 32;
    let filled = fill(scene, FIRST_SLOTS)?;
    let table = scene.table();
    let capability = scene.common().capability.demote(Permissions::KILL).expect("a subset");
    let handle = scene.act(|| table.insert(&capability)).expect("room in the table");
    table.release(handle).expect("it is there");
    empty(scene, filled);
    Ok(())
}
