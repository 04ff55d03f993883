//! A copy of the catalog's file, made while others write: some pages, then what waits, then some pages more.
//!
//! It is made on the connection that writes. SQLite carries what is written through that connection into the copy, so the
//! copy ends as of its last step, never starts over because of writes, and holds no commit up for longer than one step.
//! Units: pages of the database. Fails: `Error::Copy` (the target), `Error::Closed`; the catalog itself takes no harm.
//! Source: sqlite.org "Online Backup API".

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use super::checkpoint::Checkpointer;
use super::sqlite::BATCH_MAX;
use super::{Job, Queue};
use crate::Error;

/// Pages of one step: 1 MiB, some milliseconds.
const STEP_PAGES: std::ffi::c_int = 256;
/// How long to wait where the file is in use.
const BUSY: Duration = Duration::from_millis(10);

/// The copy that is wanted, if one is.
#[derive(Default)]
pub(crate) struct Copies(Mutex<Option<Asked>>);

/// A wish for a copy.
pub(crate) struct Asked {
    to: PathBuf,
    waiting: oneshot::Sender<Result<(), Error>>,
}

impl Copies {
    /// Asks for a copy into the new file `to`; where its answer will be. The writer must be woken.
    pub(crate) fn ask(&self, to: &Path) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        let (waiting, answer) = oneshot::channel();
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_some() {
            return Err(Error::Busy);
        }
        *asked = Some(Asked {
            to: to.to_owned(),
            waiting,
        });
        Ok(answer)
    }

    /// The wish, which is none any more.
    pub(crate) fn take(&self) -> Option<Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Makes the copy, on the thread that writes, and has `run` do what waits in `queue` between two steps.
    pub(crate) fn make_if_asked(
        &self,
        from: &Connection,
        checkpointer: &Checkpointer,
        queue: &Queue,
        mut run: impl FnMut(Vec<Box<dyn Job>>),
    ) {
        let Some(asked) = self.take() else { return };
        checkpointer.set_copying(true);
        let made = copy(from, &asked.to, || {
            if let Some(batch) = queue.take_now(BATCH_MAX) {
                run(batch);
            }
            !queue.is_closed()
        });
        checkpointer.set_copying(false);
        // Nobody waits any more: then nobody takes the copy for one either.
        let _ = asked.waiting.send(made);
    }
}

fn copy(from: &Connection, to: &Path, mut between: impl FnMut() -> bool) -> Result<(), Error> {
    let refused = |error: rusqlite::Error| Error::Copy {
        path: to.to_owned(),
        is_full: error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
        source: Arc::new(error),
    };
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(to, flags).map_err(refused)?;
    // Whoever asked for it makes it durable, or throws it away.
    target
        .pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))
        .map_err(refused)?;
    target
        .pragma_update(None, "synchronous", "OFF")
        .map_err(refused)?;
    let backup = Backup::new(from, &mut target).map_err(refused)?;
    loop {
        match backup.step(STEP_PAGES).map_err(refused)? {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked => std::thread::sleep(BUSY),
            _ => {}
        }
        if !between() {
            return Err(Error::Closed);
        }
    }
}
