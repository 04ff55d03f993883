//! How long work goes on: a bar that is drawn over and over on a terminal, a plain line each ten seconds elsewhere.
//!
//! All of it is talk, so it goes to standard error. Units: bytes, in powers of ten as disks are sold.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use oci::{counted, either};

const REDRAW: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(10);
const BAR: usize = 30;

/// Something that takes its time.
pub(crate) struct Meter {
    what: &'static str,
    is_terminal: bool,
    is_quiet: bool,
    columns: usize,
    began: Instant,
    last: Option<Instant>,
    is_drawn: bool,
    now: Reached,
}

/// How far it is.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reached {
    /// Repositories that are done, and that there are.
    pub(crate) repositories: (u64, u64),
    /// Blobs that are done.
    pub(crate) blobs: u64,
    /// Their bytes, and those that there are where that is known: then it is what the bar shows.
    pub(crate) bytes: (u64, Option<u64>),
}

impl Reached {
    /// In so many steps of the whole.
    fn share(&self, steps: usize) -> usize {
        let (done, total) = match self.bytes {
            (done, Some(total)) if total > 0 => (done, total),
            _ => self.repositories,
        };
        let share = u128::from(done) * steps as u128 / u128::from(total.max(1));
        usize::try_from(share).unwrap_or(steps).min(steps)
    }

    fn bytes(&self) -> String {
        match self.bytes {
            (done, Some(total)) => format!("{} of {}", size(done), size(total)),
            (done, None) => size(done),
        }
    }
}

impl Meter {
    /// For `what`, a word. Quiet where a program reads the result.
    pub(crate) fn new(what: &'static str, is_quiet: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let columns = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok());
        Self {
            what,
            is_terminal: !dumb && std::io::stderr().is_terminal(),
            is_quiet,
            columns: columns.unwrap_or(80),
            began: Instant::now(),
            last: None,
            is_drawn: false,
            now: Reached::default(),
        }
    }

    /// What was done, for whoever ends it.
    pub(crate) fn so_far(&self) -> String {
        let (done, total) = self.now.repositories;
        format!(
            "{done} of {} {} done ({}, {})",
            counted(total, "repository"),
            either(done, "was", "were"),
            counted(self.now.blobs, "blob"),
            self.now.bytes()
        )
    }

    /// It has come so far.
    pub(crate) fn show(&mut self, now: Reached) {
        self.now = now;
        let pause = if self.is_terminal { REDRAW } else { LINE_EVERY };
        let since = self.last.unwrap_or(self.began).elapsed();
        if self.is_quiet || since < pause {
            return;
        }
        self.last = Some(Instant::now());
        let speed = now.bytes.0 / self.began.elapsed().as_secs().max(1);
        let (done, total) = now.repositories;
        let repositories = match total {
            0 => String::new(), // where they are not counted
            total => format!("{done}/{}, ", counted(total, "repository")),
        };
        let facts = format!(
            "{repositories}{}, {}, {}/s",
            counted(now.blobs, "blob"),
            now.bytes(),
            size(speed)
        );
        if self.is_terminal {
            let share = now.share(BAR);
            let line = format!(
                "{} {}{} {facts}",
                self.what,
                "━".repeat(share),
                "─".repeat(BAR - share)
            );
            let line: String = line.chars().take(self.columns.saturating_sub(1)).collect();
            eprint!("\r\x1b[K{line}");
            let _ = std::io::stderr().flush(); // talk that cannot be said is no failure
            self.is_drawn = true;
        } else {
            eprintln!("{}: {facts}", self.what);
        }
    }

    /// A line that stays.
    pub(crate) fn say(&mut self, text: &str) {
        self.clear();
        if !self.is_quiet {
            eprintln!("{text}");
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            eprint!("\r\x1b[K");
        }
    }
}

/// `63.0 GB`.
pub(crate) fn size(bytes: u64) -> String {
    let units = [
        (1_000_000_000_000, "TB"),
        (1_000_000_000, "GB"),
        (1_000_000, "MB"),
        (1_000, "kB"),
    ];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Reached, size};

    #[test]
    fn the_bar_follows_the_bytes_where_their_sum_is_known_and_else_the_repositories() {
        let one_large = Reached {
            repositories: (0, 1),
            blobs: 3,
            bytes: (50, Some(200)),
        };
        assert_eq!(one_large.share(20), 5);
        let unknown = Reached {
            repositories: (3, 4),
            bytes: (50, None),
            ..one_large
        };
        assert_eq!(unknown.share(20), 15);
        let more_than_said = Reached {
            bytes: (300, Some(200)),
            ..one_large
        };
        assert_eq!(more_than_said.share(20), 20);
        assert_eq!(Reached::default().share(20), 0);
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_000), "1.0 kB");
        assert_eq!(size(63_049_000_000), "63.0 GB");
        assert_eq!(size(1_999_999), "1.9 MB");
    }
}
