//! Time comes in through a trait, so that tests can move it. Unit: milliseconds, of the wall clock since the Unix epoch.

use std::time::SystemTime;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch, as the wall clock has them: somebody may set it.
    fn now_ms(&self) -> i64;

    /// Milliseconds since some moment, of a clock that nobody sets and that runs while the machine sleeps. A clock that
    /// knows only one time never sees itself jump.
    fn boot_ms(&self) -> i64 {
        self.now_ms()
    }
}

/// The machine's own clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn boot_ms(&self) -> i64 {
        let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        since
            .tv_sec
            .saturating_mul(1000)
            .saturating_add(since.tv_nsec / 1_000_000)
    }
}
