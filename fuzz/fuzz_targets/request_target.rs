//! Feeds the fuzzer's bytes to `fuzz::request_target`: a method and a request target.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::request_target(data));
