//! Disks for tests: one that fails on demand, over any other.
