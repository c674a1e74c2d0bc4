#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| topline::fuzzing::configuration(text));
