//! Rules O4, R2, R4, S6 and Q3: user code panics wherever Flue calls it, or while it
//! holds something of Flue's: afterwards all is whole, and nothing is lost.
//!
//! Payloads whose drop panics are among the tests of sending.
#![cfg(feature = "std")]

#[path = "../common/mod.rs"]
mod common;

mod guards;
mod wakers;
