//! Feeds the fuzzer's bytes to `fuzz::ranges`: a size and a `Range` or `Content-Range`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::ranges(data));
