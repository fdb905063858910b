//! What everybody else does while one stands still, or is interrupted.

use crate::operations::{self, Players};
use crate::scene::Scene;
use crate::world::{Fate, GROWS, OTHER, World};
use flue_core::{CreateError, Permissions, SendError, TableError};
use std::sync::atomic::Ordering::Relaxed;

/// Where they do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a thread of their own.
    Thread,
    /// In an interrupt handler.
    Handler,
}

/// Plays every case, each so many times, and meddles with what the first party
/// is about.
pub fn play(world: &'static World, rounds: u32, place: Place) {
    wake_the_sleeper(world);
    world.drain(OTHER);
    for operation in operations::all() {
        let is_played = match operation.players {
            Players::All => true,
            Players::NoHandler => place == Place::Thread || !GROWS,
            Players::First => false,
        };
        for _ in 0..if is_played { rounds } else { 0 } {
            let played = (operation.case)(&Scene::meanwhile(world));
            // Else the case has seen to it.
            assert!(played.is_ok() || world.is_scarce.load(Relaxed));
        }
    }
    (0..rounds).for_each(|_| meddle(world));
    if !world.is_scarce.load(Relaxed) {
        world.drain(OTHER);
        world.ledger.is_settled_from_to(OTHER, OTHER);
    }
}

/// Whoever pushes onto a sleeping queue and stops before it has woken the
/// receiver keeps nobody else from waking it (rules R4 and S4).
fn wake_the_sleeper(world: &'static World) {
    if world.is_asleep.swap(false, Relaxed) {
        let mail = world.mail(OTHER, OTHER);
        world.table.send(world.parties[OTHER].to, &mail, &[]).expect("room");
        world.ledger.sent(OTHER, OTHER);
        assert!(world.parties[OTHER].flags[0].is_up(), "nobody wakes the receiver");
    }
}

/// Does everything with the subject that it survives. It may be gone, or going:
/// then each operation says so, and none half happens.
fn meddle(world: &'static World) {
    let Some(subject) = world.subject() else { return };
    let (table, to, capability) = (&world.table, subject.to, &subject.capability);
    if let Ok(permissions) = table.permissions(to) {
        assert_eq!(permissions, Permissions::all(), "torn");
    }
    if table.retain(to).is_ok() {
        assert_eq!(table.same_route(to, to), Ok(true));
        table.release(to).expect("retained just now");
    }
    match table.demote(to, Permissions::MONITOR) {
        Ok(demoted) => table.release(demoted).expect("demoted just now"),
        Err(TableError::InvalidHandle) => {}
        Err(error) => panic!("{error}"),
    }
    let accepted = [table.send(to, b"meddles", &[]), capability.send(b"meddles", &[])];
    for sent in accepted {
        match sent {
            Ok(()) => drop(subject.accepted.fetch_add(1, Relaxed)),
            Err(SendError::Full | SendError::Closed | SendError::InvalidHandle) => {}
            Err(error) => panic!("{error}"),
        }
    }
    if let Some(mut mailbox) = world.parties[OTHER].mailbox() {
        let id = capability.monitor(&mailbox).expect("there is room");
        assert!(mailbox.demonitor(id), "nobody else ends it");
        world.drain_lent(OTHER, &mut mailbox);
    }
    let group = world.office.create_group().expect("there is room");
    match capability.link(&group) {
        Ok(()) if !group.is_dead() => assert_eq!(capability.unlink(&group), Ok(true)),
        Ok(()) => assert!(subject.group.is_dead(), "killed by the living"),
        Err(TableError::Closed) => assert!(!group.is_dead()),
        Err(error) => panic!("{error}"),
    }
    match subject.group.clone().create_table() {
        Ok(table) => drop(table.insert(capability).expect("there is room")),
        Err(CreateError::Dead | CreateError::LimitReached) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Does to the subject what it does not survive.
pub fn undo(world: &'static World, fate: Fate) {
    let Some(subject) = world.subject() else { return };
    match fate {
        Fate::Untouched => return,
        Fate::Killed => subject.group.kill(),
        // The operation may have released it itself.
        Fate::Released if world.table.release(subject.to).is_err() => return,
        Fate::Released => {}
    }
    world.set_fate(fate);
}
