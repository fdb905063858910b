//! The workloads, one module a family.

pub mod actors;
pub mod churn;
pub mod death;
pub mod exchange;
pub mod fan_in;
pub mod fan_out;
pub mod growth;
pub mod memory;
pub mod send;
pub mod table;

use crate::cores::Cores;
use crate::measure::{Effort, Row};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The routes of a fan-out, the leaves of a star, the links of a chain.
pub const MANY: usize = 10_000;

/// Every row there is.
pub fn all(effort: &Effort, cores: &'static Cores) -> Vec<Row> {
    let mut rows = send::rows();
    rows.extend(exchange::rows(cores));
    rows.extend(fan_in::rows(cores));
    rows.extend(fan_out::rows());
    rows.extend(churn::rows());
    rows.extend(table::rows());
    rows.extend(death::rows(cores));
    rows.extend(growth::rows(effort));
    rows.extend(memory::rows(effort));
    rows.extend(actors::rows());
    rows
}

/// Turns taken before the clock starts: caches, magazines and free lists are warm.
const WARM: u64 = 256;

/// Takes `turns` turns, warm.
#[inline(always)]
pub fn warm_turns(turns: u64, mut turn: impl FnMut()) -> Duration {
    (0..WARM.min(turns)).for_each(|_| turn());
    timed(turns, turn)
}

/// Takes `turns` turns.
#[inline(always)]
pub fn timed(turns: u64, mut turn: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..turns {
        turn();
    }
    start.elapsed()
}

/// How long `work` takes, in nanoseconds.
#[inline(always)]
pub fn once(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64
}

/// Reads a message of 16 bytes, all of it.
#[inline(always)]
pub fn read_16(data: &[u8]) {
    if let Ok(bytes) = <[u8; 16]>::try_from(data) {
        black_box(u128::from_ne_bytes(bytes));
    }
}

/// Reads both ends of a message.
#[inline(always)]
pub fn read_ends(data: &[u8]) {
    black_box((data.first(), data.last()));
}
