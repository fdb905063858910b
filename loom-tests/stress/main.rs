//! Stress: scenarios over the public API, on threads as the system has them.
//!
//! ```text
//!  stress SECONDS [SEED]              all scenarios, again and again, for so long
//!  stress --once SCALE [NAME-PART]..  each once, at that scale
//!  stress --control NAME              one race (or none) for the sanitizer to report
//!  stress --controls                  their names, and whether they are races
//! ```
//! Built with the feature `std` or `alloc` of this package the office grows, else
//! it is static.

#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod controls;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod dice;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod mail;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod office;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod program;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod scenarios;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod threads;

/// A model build has no use for this.
#[cfg(any(loom, crossbeam_loom, shuttle))]
fn main() {}

#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
fn main() {
    program::main();
}
