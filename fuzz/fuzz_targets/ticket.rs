#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| topline::fuzzing::ticket(bytes));
