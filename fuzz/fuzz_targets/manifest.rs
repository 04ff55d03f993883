//! Feeds the fuzzer's bytes to `fuzz::manifest`: the body of a manifest.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::manifest(data));
