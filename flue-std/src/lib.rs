#![doc = include_str!("../README.md")]
//!
//! # What there is
//!
//! `flue-core` never blocks and knows no threads: a mailbox that is empty and a
//! mailbox that is full say so, or keep a [`Waker`](core::task::Waker). This
//! crate turns the calling thread into such a waker and adds what follows from
//! it, without a lock or a queue of its own:
//!
//! | to ... | use | rule |
//! |---|---|---|
//! | wait for a signal | [`MailboxExt`] | R4 |
//! | wait for room in another's mailbox | [`SendExt`], or [`CapabilityExt`] for the host | S6 |
//! | wait for the first of several mailboxes | [`Selector`] | R4 |
//! | run a process on a thread of its own | [`Process`], [`JoinHandle`] | K3, O4 |
//!
//! # What waiting costs
//!
//! A receive looks again for a few microseconds, and while others want the core whenever it gets
//! it back, some dozens of times at most; then it sleeps until it is woken. A send that waits sleeps
//! at once. Nothing polls. Each thread has one waker, made at its first wait and the same
//! in every mailbox it waits for, so that waiting again registers nothing anew.
//! No wake-up is lost, and one that comes late (for a wait that is over) costs
//! the thread's next wait one more look.
#![forbid(unsafe_code)]

pub use flue_core::*;

mod backpressure;
mod blocking;
mod select;
mod spawn;

pub use backpressure::{CapabilityExt, SendExt, SendPayloadTimeoutError, SendTimeoutError};
pub use blocking::{MailboxExt, RecvTimeoutError};
pub use select::Selector;
pub use spawn::{JoinHandle, Process};
