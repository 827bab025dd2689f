//! See `tests/src/fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| zonecast_fuzz::run("table_manifest", data));
