//! A program of several threads, and who runs when: the history must be linearizable.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_fuzz::interleave(bytes));
