//! The end of what words can count: generations and indices. In builds that come
//! there: `ci/exhaustion.sh` runs them.
//!
//! | cfg | lives of a slot | names |
//! |-----|-----------------|-------|
//! | `flue_aged` | as they ship; slots are near their end | as they ship |
//! | `flue_word="16"` | few | few |
//! | `flue_word="32"` | as they ship | those of 32-bit words |
#![cfg(any(flue_aged, flue_word = "32", flue_word = "16"))]

#[path = "../common/mod.rs"]
mod common;
#[cfg(any(flue_aged, flue_word = "16"))]
mod generations;
#[cfg(all(not(flue_aged), any(flue_word = "32", flue_word = "16")))]
mod names;
#[cfg(all(not(flue_aged), flue_word = "32"))]
mod versions;
