//! The graph of links: who dies with whom.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_fuzz::run(&flue_fuzz::targets::LINKS, bytes));
