//! The time, passed in so that tests can move it.
//!
//! Shape: wall-clock time, because it is also compared with the times that a file system gives to files.

use std::time::SystemTime;

/// Tells the time. Any closure that returns a `SystemTime` is one.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> SystemTime;
}

impl<F: Fn() -> SystemTime + Send + Sync> Clock for F {
    fn now(&self) -> SystemTime {
        self()
    }
}
