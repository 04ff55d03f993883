//! The harness of the stories: a real server as a child process, and clients that show exactly what went over the wire.
//!
//! Shape: [`Landfall`] is a running server (it is also an anonymous [`Client`]); [`exchange::Request`] and [`Response`] are one exchange;
//! [`Connection`] is a socket for those stories that are about sockets; [`Image`] and [`Manifest`] are things to push.
//! Every answer under `/v2/` is held against the rules that hold for all answers (`rules.rs`), whatever the story is about.
//! Fails: by panicking, with the request, the whole answer and the server's log.

pub(crate) mod admin;
pub(crate) mod disk;
pub(crate) mod exchange;
pub(crate) mod h2;
pub(crate) mod images;
pub(crate) mod journal;
pub(crate) mod passwords;
mod process;
pub(crate) mod push;
pub(crate) mod rules;
pub(crate) mod server;
pub(crate) mod wire;

pub(crate) use exchange::{Client, Response};
pub(crate) use images::{Image, Manifest, descriptor, digest_of, index, noise, sha512_of, types};
pub(crate) use push::EMPTY_SHA256;
pub(crate) use server::Landfall;
pub(crate) use wire::Connection;

use std::time::{Duration, Instant};

/// How long a story waits for something that must happen: far more than any machine needs, so that only a real hang ends there.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `done` says so. What is awaited is named in the failure.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
