//! The soak: two threads on one growing post office, round after round of
//! everything that begins and ends, and after each round the totals that the
//! specification gives:
//!
//! ```text
//! soak [MINUTES] [SENDS]
//! ```
//!
//! It ends when the minutes are over, or before, when so many messages were sent.
//! `FLUE_SEED` is the seed of the first round; they count up.

#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
#[path = "../stress/dice.rs"]
mod dice;
#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
mod heap;
#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
mod mortal;
#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
mod residents;
#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
mod rounds;
#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
mod totals;
#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
mod worker;

/// A model build has no use for this.
#[cfg(any(loom, shuttle, crossbeam_loom))]
fn main() {}

#[cfg(not(any(loom, shuttle, crossbeam_loom)))]
fn main() {
    let number = |text: String| text.parse::<f64>().expect("a number");
    let mut arguments = std::env::args().skip(1).map(number);
    let minutes = arguments.next().unwrap_or(1.0);
    let sends = arguments.next().map_or(u64::MAX, |sends| sends as u64);
    rounds::run(minutes * 60.0, sends);
}
