//! The stall tests: a context that is stopped for ever, or interrupted, at any
//! machine instruction of any operation.
//!
//! ```text
//!  stall freeze       a thread stops for ever, all others go on
//!  stall interrupt    a handler comes, and then the operation goes on
//! ```
//! Built with the feature `std` or `alloc` of this package the office grows, else
//! it is static. The allocator is the test's own. Further arguments: parts of the
//! names of operations to be tested alone. Environment:
//! - `FLUE_STALL_ROUNDS`: how often each operation is played meanwhile (2);
//! - `FLUE_STALL_POINTS`: at most about so many instructions of each operation,
//!   evenly spread (all);
//! - `FLUE_STALL_TABLE`: a file that the figures are appended to.

#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod complete;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod controls;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod freeze;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod heap;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod interrupt;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod ledger;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod machine;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod operations;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod others;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod scene;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod sweep;
#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
mod world;

/// A model build has no use for this.
#[cfg(any(loom, crossbeam_loom, shuttle))]
fn main() {}

#[cfg(not(any(loom, crossbeam_loom, shuttle)))]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let test = arguments.next().unwrap_or_default();
    let chosen: Vec<String> = arguments.collect();
    let is_good = match test.as_str() {
        "freeze" => freeze::test(&chosen),
        "interrupt" => interrupt::test(&chosen),
        _ => {
            eprintln!("stall: freeze or interrupt, and parts of operations' names");
            std::process::exit(2);
        }
    };
    std::process::exit(i32::from(!is_good));
}
