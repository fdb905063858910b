//! A handler that comes at any machine instruction of any operation may do
//! everything (rule S4).
//!
//! For each operation and each of its instructions, in a process of its own: the
//! operation is interrupted there, by a handler that plays all operations on the
//! same objects; then it goes on. Nothing may be lost, doubled, reordered or
//! stuck; afterwards everything can be had to its limit, and when it is dropped
//! nothing is left. Where the operation is about a process of its own the handler
//! comes three times: once it lets it live, once it kills its group, once it
//! releases its handle.
//!
//! There is no such test with `std`: a thread's own participant of the collector
//! is not for its interrupts.

use crate::{complete, controls, others, scene, sweep, world};

/// Runs the test on the chosen operations, or on all.
pub fn test(chosen: &[String]) -> bool {
    assert_ne!(world::KIND, "std", "interrupts would share the thread's participant");
    complete::check();
    let is_alive = controls::test(|_| controls::play_others(), controls::When::Interrupted);
    sweep::run("interrupt", chosen, handle, scene::FATES.len() as u32) && is_alive
}

/// The interrupt handler.
fn handle(variant: u32) {
    let world = sweep::world();
    others::play(world, 1, others::Place::Handler);
    others::undo(world, scene::FATES[variant as usize]);
}
