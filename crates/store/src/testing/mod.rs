//! Disks for tests: `FaultyFiles` fails on demand over any other disk; `SimDisk` forgets at a power cut whatever was
//! not made durable. Only with the feature `testing`.

mod faulty;
mod sim;
mod sim_state;

pub use faulty::{Failure, FaultyFiles, Op};
pub use sim::SimDisk;
pub use sim_state::Fate;
