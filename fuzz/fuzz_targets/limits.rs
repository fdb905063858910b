//! The whole API under any limits.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_fuzz::run(&flue_fuzz::targets::LIMITS, bytes));
