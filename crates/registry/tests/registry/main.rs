//! The domain as its callers see it: a real store and a real catalog in a folder of their own, time that the test moves,
//! and a disk that fails when the test says so.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod adopt;
mod adopt_running;
mod damage;
mod export;
mod faults;
mod gc;
mod house;
mod leases;
mod memory;
mod orphans;
mod recall;
mod sessions;
