//! How fast bytes are read that nobody waits for: at a rate, and never with more than half of the disk's time, so that a
//! disk that others keep busy makes us slower instead of them.
//!
//! Units: bytes a second.

use std::time::Duration;

use tokio::time::Instant;

/// The longest wait after one step, however small the rate is.
const SHARE_MAX: Duration = Duration::from_mins(10);

/// See the file. Whoever reads waits, and says afterwards what was read.
#[derive(Debug)]
pub(crate) struct Pace {
    next: Instant,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { next: Instant::now() }
    }

    /// Until more may be read.
    pub(crate) async fn wait(&self) {
        tokio::time::sleep_until(self.next).await;
    }

    /// `bytes` were read since `began`, at `rate`; none is as fast as the disk gives them.
    pub(crate) fn spent(&mut self, bytes: u64, began: Instant, rate: Option<u64>) {
        if let Some(rate) = rate {
            self.next = next(began, Instant::now(), bytes, rate);
        }
    }
}

/// When more may be read, after `bytes` were from `began` to `now`.
fn next(began: Instant, now: Instant, bytes: u64, rate: u64) -> Instant {
    let share = Duration::from_micros(bytes.saturating_mul(1_000_000) / rate.max(1)).min(SHARE_MAX);
    let rest = now.saturating_duration_since(began);
    (began + share).max(now + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_and_a_slow_disk_rests_as_long_as_it_worked() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        // A fast disk: the rate decides.
        assert_eq!(next(began, after(0), 10_000_000, 1_000_000), after(10));
        assert_eq!(next(began, after(4), 10_000_000, 1_000_000), after(10));
        // A slow one: it has as much time for others.
        assert_eq!(next(began, after(7), 1, u64::MAX), after(14));
        assert_eq!(next(began, after(9), 10_000_000, 1_000_000), after(18));
        // And a rate of nearly nothing is no sleep for ever.
        assert_eq!(next(began, after(0), u64::MAX, 0), began + SHARE_MAX);
    }
}
