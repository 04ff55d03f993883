//! The promises of the store, over the real disk and over disks that fail.
#![expect(
    clippy::unwrap_used,
    reason = "what fails in a test's own steps fails the test"
)]

mod faults;
mod lifecycle;
mod model;
mod power_cut;
mod reread;
mod support;
mod syncs;
mod uploads;
