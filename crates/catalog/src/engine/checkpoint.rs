//! Moves the write-ahead log into the database file, on a thread and connection of its own, so that no commit waits.
//!
//! Passive from `PASSIVE_BYTES` on; from `RESTART_BYTES` on the log is made to start over; when nothing was written
//! for `IDLE` it is emptied. A checkpoint that fails on the disk counts like a failed commit (I11).

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Broken;
use super::sqlite::is_disk_failure;

const PAGE_BYTES: u64 = 4096;
const PASSIVE_BYTES: u64 = 16 * 1024 * 1024;
const RESTART_BYTES: u64 = 128 * 1024 * 1024;
/// Without a commit for this long, the log is emptied.
const IDLE: Duration = Duration::from_secs(5);

/// What the writer tells the thread.
#[derive(Default)]
pub(crate) struct Checkpointer {
    log: Mutex<Log>,
    told: Condvar,
}

#[derive(Default)]
struct Log {
    /// Pages in the log after the last commit.
    pages: u64,
    /// Pages at the last checkpoint, and since when there are more.
    moved: u64,
    last_commit: Option<Instant>,
    closed: bool,
    /// A log that another connection starts over would make a copy of the catalog start over too.
    copying: bool,
}

/// How hard to try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// Moves what no reader needs, waits for nobody.
    Passive,
    /// Waits for readers, so that the next commit starts the log over.
    Restart,
    /// The same, and gives the log's space back.
    Truncate,
}

impl Log {
    /// What is to be done now, if anything.
    fn due(&self, idle: bool) -> Option<Mode> {
        let grown = self.pages.saturating_sub(self.moved) * PAGE_BYTES;
        match self.pages * PAGE_BYTES {
            0 => None,
            bytes if self.copying && !self.closed => {
                (bytes >= PASSIVE_BYTES && grown >= PASSIVE_BYTES).then_some(Mode::Passive)
            }
            _ if self.closed || idle => Some(Mode::Truncate),
            bytes if bytes >= RESTART_BYTES && grown >= PASSIVE_BYTES => Some(Mode::Restart),
            bytes if bytes >= PASSIVE_BYTES && grown >= PASSIVE_BYTES => Some(Mode::Passive),
            _ => None,
        }
    }
}

impl Checkpointer {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a commit: the log has this many pages now.
    pub(crate) fn grown(&self, pages: u64) {
        let mut log = self.lock();
        if pages < log.moved {
            log.moved = 0; // it started over
        }
        // The thread wakes by itself for the idle time; a first page must start that clock.
        let wake = log.pages == 0;
        log.pages = pages;
        log.last_commit = Some(Instant::now());
        if wake || log.due(false).is_some() {
            drop(log);
            self.told.notify_one();
        }
    }

    /// While a copy is made, the log is moved and never started over.
    pub(crate) fn set_copying(&self, copying: bool) {
        self.lock().copying = copying;
        self.told.notify_one();
    }

    /// One last checkpoint, then the thread ends.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.told.notify_one();
    }

    /// The thread.
    pub(crate) fn run(&self, raw: &Connection, broken: &Broken) {
        loop {
            let (mode, closed, pages) = self.wait();
            if let Some(mode) = mode
                && !broken.is_set()
            {
                self.checkpoint(raw, mode, pages, broken);
            }
            if closed || broken.is_set() {
                return;
            }
        }
    }

    /// Waits until there is something to do.
    fn wait(&self) -> (Option<Mode>, bool, u64) {
        let mut log = self.lock();
        loop {
            let quiet = log.last_commit.map(|at| at.elapsed());
            let idle = quiet.is_some_and(|quiet| quiet >= IDLE);
            let mode = log.due(idle);
            if mode.is_some() || log.closed {
                return (mode, log.closed, log.pages);
            }
            log = match quiet.filter(|_| log.pages > 0 && !log.copying) {
                Some(quiet) => {
                    let rest = IDLE.saturating_sub(quiet);
                    self.told
                        .wait_timeout(log, rest)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self.told.wait(log).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn checkpoint(&self, raw: &Connection, mode: Mode, pages: u64, broken: &Broken) {
        let sql = match mode {
            Mode::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
            Mode::Restart => "PRAGMA wal_checkpoint(RESTART)",
            Mode::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
        };
        let done = raw.query_row(sql, [], |row| row.get::<_, i64>(0));
        let mut log = self.lock();
        match done {
            Ok(0) if mode == Mode::Truncate && log.pages == pages => (log.pages, log.moved) = (0, 0),
            // A reader or the writer was in the way: tried again after the next stretch of log, or idle time.
            Ok(_) => {
                log.moved = pages;
                log.last_commit = Some(Instant::now());
            }
            Err(error) if is_disk_failure(&error) => {
                tracing::error!(%error, "the catalog's log could not be moved into its file: no more writes");
                broken.set();
            }
            Err(error) => {
                tracing::warn!(%error, "the catalog's log could not be moved into its file; trying again later");
                log.moved = pages;
                log.last_commit = Some(Instant::now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_moved_sooner_the_longer_it_gets() {
        const MIB: u64 = 1024 * 1024 / PAGE_BYTES;
        for (mib, moved_mib, idle, expected) in [
            (0, 0, true, None),
            (1, 0, false, None),
            (1, 0, true, Some(Mode::Truncate)),
            (16, 0, false, Some(Mode::Passive)),
            (20, 16, false, None), // not again for every commit
            (32, 16, false, Some(Mode::Passive)),
            (128, 100, false, Some(Mode::Restart)),
            (130, 128, false, None),
        ] {
            let log = Log {
                pages: mib * MIB,
                moved: moved_mib * MIB,
                ..Log::default()
            };
            assert_eq!(log.due(idle), expected, "{mib} MiB, {moved_mib} of them moved");
        }
        let last = Log {
            pages: 1,
            closed: true,
            ..Log::default()
        };
        assert_eq!(
            last.due(false),
            Some(Mode::Truncate),
            "nothing is left behind at the end"
        );
    }
}
