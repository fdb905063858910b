//! The office itself.

use super::{Case, case};
use crate::SWEPT;
use crate::stage::Stage;

pub(super) const CASES: &[Case] = &[
    case("stats", &["PostOffice::stats"], stats),
    case(
        "office: clone, drop",
        &["PostOffice::clone", "PostOffice::eq", "PostOffice::drop", "StaticPostOffice::office"],
        clone,
    ),
    case("prepare, reclaim", &["PostOffice::prepare_thread", "PostOffice::reclaim"], nothing_to_do),
];

fn stats(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    stage.fill_target(&target);
    let office = stage.office.clone();
    let (fired, stats) = stage.act(delay, |_| office.stats());
    // A picture: the handler may have been in it, in part.
    assert!((3..=4).contains(&stats.groups) && (3..=4).contains(&stats.tables));
    assert!((2..=4).contains(&stats.routes) && stats.links <= 1 && stats.monitors <= 1);
    stage.forget(target);
    fired
}

fn clone(stage: &mut Stage, delay: u32) -> Option<u32> {
    let office = stage.office.clone();
    let (fired, ()) = stage.act(delay, |_| {
        let another = office.clone();
        assert!(another == office && SWEPT.office() == another);
    });
    fired
}

/// An office in a static is prepared, and keeps its memory.
fn nothing_to_do(stage: &mut Stage, delay: u32) -> Option<u32> {
    let office = stage.office.clone();
    let (fired, ()) = stage.act(delay, |_| {
        office.prepare_thread();
        office.reclaim();
    });
    fired
}
