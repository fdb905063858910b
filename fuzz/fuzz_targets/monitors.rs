//! Monitors, and the downs that they become.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_fuzz::run(&flue_fuzz::targets::MONITORS, bytes));
