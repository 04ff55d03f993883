//! Feeds the fuzzer's bytes to `fuzz::htpasswd`: the text of a password file.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::htpasswd(data));
