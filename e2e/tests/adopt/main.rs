//! Coming from another registry, and going back: with the registry that Debian ships, filled by real pushes.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

mod damage;
mod docker;
mod documents;
mod dry_run;
mod folder;
mod interrupted;
mod running;
mod terminal;
mod there_and_back;
