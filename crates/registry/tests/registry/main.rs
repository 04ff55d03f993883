//! The domain as its callers see it: a real store and a real catalog in a folder of their own, time that the test moves,
//! and a disk that fails when the test says so.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod adopt;
mod adopt_running;
mod backup;
mod bundle;
mod bundle_chain;
mod bundle_random;
mod bundle_rules;
mod check;
mod crash_points;
mod damage;
mod export;
mod faults;
mod gc;
mod history;
mod house;
mod leases;
mod memory;
mod orphans;
mod recall;
mod rules;
mod scrub;
mod sessions;
mod space;
