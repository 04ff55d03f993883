//! Parsers of what strangers send, each with what must hold whatever is sent.
//!
//! Shape: a target takes any bytes and panics if the parser, or what it promises, breaks. The fuzzer's programs
//! (`fuzz_targets/`) and the test that replays the corpus call the same functions, by the same names.
//! Run one for ten minutes:
//! `cargo +nightly fuzz run --features libfuzzer manifest -- -max_total_time=600 -max_len=65536`.
//! What it finds goes into `corpus/<target>/` under a name that says what it was, once it is mended.

mod authorization;
mod htpasswd;
mod manifest;
mod ranges;
mod request_target;

pub use authorization::authorization;
pub use htpasswd::htpasswd;
pub use manifest::manifest;
pub use ranges::ranges;
pub use request_target::request_target;

/// A target: any bytes in, a panic if something does not hold.
pub type Target = fn(&[u8]);

/// Every target, by the name of its program and its folder in `corpus/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("authorization", authorization),
    ("htpasswd", htpasswd),
    ("manifest", manifest),
    ("ranges", ranges),
    ("request_target", request_target),
];
