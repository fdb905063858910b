//! Flue beside its peers.
//!
//! A *workload* is one [`Row`]: the same work done by several *contenders*, of which Flue is one. The
//! measuring core ([`measure`]) runs the contenders of a row interleaved, in short windows; the
//! families of workloads ([`workload`]) only say what one turn of the work is. `README.md` says how to
//! read the result.

pub mod cores;
pub mod heap;
pub mod lone;
pub mod measure;
pub mod ours;
pub mod peers;
pub mod plot;
pub mod report;
pub mod stats;
pub mod theirs;
pub mod workload;

pub use measure::Row;
