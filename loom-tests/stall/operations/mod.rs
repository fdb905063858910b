//! Every public operation: what leads up to it, the operation, and what must be
//! so afterwards.
//!
//! A case is played by whoever is stopped or interrupted in the middle of its
//! act, and by the other meanwhile. It leaves the world as it found it, and
//! checks as exactly as its scene allows.

mod deaths;
mod groups;
mod links;
mod messages;
mod monitors;
mod offices;
mod rooms;
mod sending;
mod tables;
mod wakes;

use crate::scene::{Played, Scene};

/// Who may play a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Players {
    /// Both parties.
    All,
    /// Not from within an interrupt handler of an office that grows: it frees.
    NoHandler,
    /// The first party alone: it needs the world as it is in the beginning.
    First,
}

/// One operation.
pub struct Operation {
    pub name: &'static str,
    /// The public functions that are within the act.
    pub covers: &'static [&'static str],
    pub players: Players,
    pub case: fn(&Scene) -> Played,
}

const fn operation(
    name: &'static str,
    covers: &'static [&'static str],
    case: fn(&Scene) -> Played,
) -> Operation {
    Operation { name, covers, players: Players::All, case }
}

const fn by(players: Players, operation: Operation) -> Operation {
    Operation { players, ..operation }
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Operation> {
    let parts: [&'static [Operation]; 10] = [
        sending::OPERATIONS,
        rooms::OPERATIONS,
        messages::OPERATIONS,
        wakes::OPERATIONS,
        tables::OPERATIONS,
        groups::OPERATIONS,
        deaths::OPERATIONS,
        links::OPERATIONS,
        monitors::OPERATIONS,
        offices::OPERATIONS,
    ];
    parts.into_iter().flatten()
}
