//! One hostile process beside 63 honest ones, in windows that alternate with ones
//! in which it only computes:
//!
//! ```text
//! hostile SECONDS GUIDE
//! ```
//!
//! `GUIDE` is the file with the documented sizes of objects, of which the bound of
//! memory is computed. `FLUE_SEED` is the seed.

#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
mod bound;
#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
#[path = "../stress/dice.rs"]
mod dice;
#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
mod forge;
#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
#[path = "../soak/heap.rs"]
mod heap;
#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
mod honest;
#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
mod limits;
#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
mod villain;
#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
mod windows;

/// A model build has no use for this.
#[cfg(any(loom, shuttle, crossbeam_loom))]
fn main() {}

#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map(|text| text.parse().expect("seconds"));
    let guide = arguments.next().and_then(|path| std::fs::read_to_string(path).ok());
    let (Some(seconds), Some(guide)) = (seconds, guide) else {
        eprintln!("hostile SECONDS GUIDE");
        std::process::exit(2);
    };
    windows::run(seconds, &guide);
}
