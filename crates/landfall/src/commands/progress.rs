//! How long work goes on: a bar that is drawn over and over on a terminal, a plain line each ten seconds elsewhere.
//!
//! All of it is talk, so it goes to standard error. Units: bytes, in powers of ten as disks are sold.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

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
        }
    }

    /// `done` of `total` repositories, and these bytes.
    pub(crate) fn show(&mut self, done: u64, total: u64, blobs: u64, bytes: u64) {
        let pause = if self.is_terminal { REDRAW } else { LINE_EVERY };
        let since = self.last.unwrap_or(self.began).elapsed();
        if self.is_quiet || since < pause {
            return;
        }
        self.last = Some(Instant::now());
        let speed = bytes / self.began.elapsed().as_secs().max(1);
        let facts = format!(
            "{done}/{total} repositories, {blobs} blobs, {}, {}/s",
            size(bytes),
            size(speed)
        );
        if self.is_terminal {
            let share = usize::try_from(done * BAR as u64 / total.max(1))
                .unwrap_or(BAR)
                .min(BAR);
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
    use super::size;

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_000), "1.0 kB");
        assert_eq!(size(63_049_000_000), "63.0 GB");
        assert_eq!(size(1_999_999), "1.9 MB");
    }
}
