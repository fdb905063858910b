//! The whole API, on an office that grows or one that does not.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_fuzz::run(&flue_fuzz::targets::OFFICE, bytes));
