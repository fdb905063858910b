//! A thread that is stopped for ever at any machine instruction of any operation
//! stops nobody (rules S4 and K3).
//!
//! For each operation and each of its instructions, in a process of its own: the
//! thread that is in the middle of it never runs again; a second one plays all
//! operations, on the same objects, and then ends everything. What the stopped
//! one had reserved stays reserved, which may be a limit reached: an error.

use crate::world::{FIRST, Fate, OTHER, World};
use crate::{complete, controls, machine, others, sweep};
use flue_core::{DownReason, SendError, Signal, TryRecvError};
use std::sync::atomic::Ordering::Relaxed;

/// How often each operation is played meanwhile, if it is not said.
const ROUNDS: u32 = 2;

/// Runs the test on the chosen operations, or on all.
pub fn test(chosen: &[String]) -> bool {
    complete::check();
    let is_alive = controls::test(stop_for_ever, controls::When::Stopped);
    sweep::run("freeze", chosen, stand_still, 1) && is_alive
}

/// The controls' others go on without it.
fn stop_for_ever(_variant: u32) {
    extern "C" fn go_on(_: *mut libc::c_void) -> *mut libc::c_void {
        controls::play_others();
        machine::well();
    }
    machine::leave_to_others(go_on);
}

/// Rules S4 and K3: who stands still for ever, wherever that is, lets a second
/// thread do everything else.
fn stand_still(_variant: u32) {
    extern "C" fn go_on(_: *mut libc::c_void) -> *mut libc::c_void {
        let world = sweep::world();
        world.office.prepare_thread();
        let before = world.holdings().0;
        let rounds = sweep::number("FLUE_STALL_ROUNDS").unwrap_or(ROUNDS);
        others::play(world, rounds, others::Place::Thread);
        let after = world.holdings().0;
        let is_left = [
            (before.groups, after.groups),
            (before.routes, after.routes),
            (before.tables, after.tables),
            (before.monitors, after.monitors),
            (before.links, after.links),
        ];
        // Fewer: what the stopped thread was taking apart, another has.
        let is_left = is_left.iter().any(|(before, after)| after > before);
        assert!(
            !is_left || world.is_scarce.load(Relaxed),
            "others left something: {before:?}, {after:?}"
        );
        end(world);
        machine::well();
    }
    machine::leave_to_others(go_on);
}

/// Everything ends, whatever the stopped party is in the middle of: its subject,
/// it itself, and who does this.
fn end(world: &'static World) {
    let [first, other] = &world.parties;
    others::undo(world, Fate::Released);
    others::undo(world, Fate::Killed);
    assert!(world.subject().is_none_or(|subject| subject.group.is_dead()));

    let mut mailbox = other.mailbox().expect("my own");
    world.drain_lent(OTHER, &mut mailbox);
    let is_scarce = world.is_scarce.load(Relaxed);
    let id = world.table.monitor(first.to, &mailbox);
    assert!(id.is_ok() || is_scarce, "{id:?}");
    world.table.kill(first.to).expect("permitted");
    assert!(first.group.is_dead());
    assert_eq!(world.table.send(first.to, b"late", &[]), Err(SendError::Closed));
    match mailbox.try_recv() {
        Ok(Signal::Down(down)) => {
            assert_eq!((Ok(down.monitor()), down.reason()), (id, DownReason::Killed));
        }
        _ => assert!(id.is_err(), "no down"),
    }
    if let Some(mut mailbox) = first.mailbox() {
        assert_eq!(mailbox.try_recv().map(drop), Err(TryRecvError::Dead));
    }
    other.group.kill();
    assert_eq!(mailbox.try_recv().map(drop), Err(TryRecvError::Dead));
    assert!(world.table.contains(world.parties[FIRST].to), "the host's table lives on");
}
