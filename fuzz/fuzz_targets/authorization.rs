//! Feeds the fuzzer's bytes to `fuzz::authorization`: the value of an `Authorization` header.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::authorization(data));
