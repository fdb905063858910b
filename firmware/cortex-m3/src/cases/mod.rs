//! Every operation, set up, interrupted once, and checked.
//!
//! A case runs its operation in one shot of the rig (`Stage::act`) and says where the interrupt came. It leaves the
//! office as it found it; `Stage::settle` checks that, and that every accepted message arrived once and in order.

mod deaths;
mod ends;
mod groups;
mod hosts;
mod links;
mod monitors;
mod offices;
mod receiving;
mod refusals;
mod rooms;
mod sending;
mod signals;
mod tables;
mod wakes;

use common::wake::Flag;

use crate::stage::Stage;

/// One operation.
pub struct Case {
    pub name: &'static str,
    /// The public functions that are within the shot. That all are is checked where flue-core's source can be read:
    /// `loom-tests/stall/complete.rs`.
    #[expect(dead_code, reason = "read in the source")]
    covers: &'static [&'static str],
    pub run: fn(&mut Stage, u32) -> Option<u32>,
}

const fn case(
    name: &'static str,
    covers: &'static [&'static str],
    run: fn(&mut Stage, u32) -> Option<u32>,
) -> Case {
    Case { name, covers, run }
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Case> {
    const PARTS: [&[Case]; 14] = [
        sending::CASES,
        rooms::CASES,
        refusals::CASES,
        receiving::CASES,
        signals::CASES,
        wakes::CASES,
        tables::CASES,
        hosts::CASES,
        groups::CASES,
        links::CASES,
        monitors::CASES,
        deaths::CASES,
        ends::CASES,
        offices::CASES,
    ];
    PARTS.into_iter().flatten()
}

/// For wakers.
static FLAGS: [Flag; 2] = [Flag::new(), Flag::new()];
