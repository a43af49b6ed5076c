#![no_main]

#[path = "../../tests/it/parsers.rs"]
#[allow(dead_code)] // it has what the other targets use
mod parsers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parsers::template(bytes));
