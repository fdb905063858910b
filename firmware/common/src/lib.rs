//! What the bare-metal images share.
//!
//! | module       | for                  | what                                                    |
//! |--------------|----------------------|---------------------------------------------------------|
//! | `machine`    | all                  | console, verdict, panic report                          |
//! | `process`    | all                  | a group, a table of it and a mailbox; small limits      |
//! | `tour`       | all                  | every public type of `flue-core`, used and checked      |
//! | `exchange`   | all                  | two processes: the smallest useful program              |
//! | `wake`       | all                  | wakers without an allocator, a loop that runs a future  |
//! | `steps`      | static images        | instructions of every operation                         |
//! | `figures`    | all                  | lines that `ci/bare-metal.sh` compares with the budgets |
//! | `sync`       | `smp`                | spin lock and barrier                                   |
//! | `smp`        | `smp`                | the work of the kernels                                 |
//! | `heap`       | `heap`               | the kernels' allocator                                  |
//! | `semihosting`| `semihosting`        | console and exit of the Cortex-M machines               |
//! | `libc_free`  | `libc-free`          | the five functions that `core` expects of a libc        |
#![no_std]

pub mod exchange;
pub mod figures;
pub mod machine;
pub mod process;
pub mod steps;
pub mod tour;
pub mod wake;

#[cfg(feature = "heap")]
pub mod heap;
#[cfg(feature = "libc-free")]
mod libc_free;
#[cfg(feature = "riscv-virt")]
mod riscv_virt;
#[cfg(feature = "semihosting")]
mod semihosting;
#[cfg(feature = "smp")]
pub mod smp;
#[cfg(any(feature = "smp", feature = "heap"))]
pub mod sync;
