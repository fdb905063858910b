//! A stream of messages: sending, waiting for room, receiving, closing.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_fuzz::run(&flue_fuzz::targets::MAILBOX, bytes));
