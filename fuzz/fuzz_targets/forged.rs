//! A process that invents handles, permission bits and lengths.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_fuzz::run(&flue_fuzz::targets::FORGED, bytes));
