//! Certificates from an authority: each way to prove a name, renewal under traffic, and what happens when none can be had.

#![expect(
    clippy::expect_used,
    reason = "a harness: what goes wrong here ends the test, with its reason"
)]

mod failures;
mod name_server;
mod preflight;
mod proofs;
mod renewal;
mod scene;
