//! SQLite: one thread owns the only connection that writes, and commits what waits in one go.
//!
//! A batch is what is queued now, at most `BATCH_MAX` operations, each in a savepoint of its own, so that its error
//! undoes only itself; then one commit, synced to the disk, then all answers. Readers have connections of their own and
//! see the last commit. A commit that fails to reach the disk ends all writes (I11): what the page cache says after
//! a failed sync is no proof of anything. Source: sqlite.org "Write-Ahead Logging"; PRAGMA synchronous.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::checkpoint::Checkpointer;
use super::copy::Copies;
use super::{Broken, Job, Lane, Queue, Workers, cause, job};
use crate::Error;
use crate::schema;
use crate::sql::{Connection as Engine, Dialect, Seen, SqliteSession, Tx, expand};
use crate::stamps::{Stamps, Touched};

/// Operations of one commit, at most.
pub(super) const BATCH_MAX: usize = 256;

/// How long a checkpoint waits for readers before it is left for later.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(500);

/// How SQLite uses the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SqliteOptions {
    /// Threads that read, each with a connection.
    pub readers: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self { readers: 2 * cores }
    }
}

/// A catalog in a file.
pub(crate) struct SqliteEngine {
    pub(crate) writes: Arc<Queue>,
    pub(crate) reads: Arc<Queue>,
    pub(crate) commits: Arc<AtomicU64>,
    pub(crate) stamps: Arc<Stamps>,
    checkpointer: Arc<Checkpointer>,
    copies: Arc<Copies>,
    writers: Workers,
    others: Workers,
    path: PathBuf,
    seen: Arc<Seen>,
}

impl SqliteEngine {
    /// Opens or makes the file, brings its schema up to date, and starts the threads.
    pub(crate) fn open(path: &Path, options: SqliteOptions, broken: &Broken) -> Result<Self, Error> {
        make_folder(path).map_err(|error| cannot_open(path, error))?;
        let mut writer =
            connect(path, OpenFlags::SQLITE_OPEN_CREATE).map_err(|error| opening(path, error))?;
        schema::migrate_sqlite(&mut writer)?;
        // The names of new files are durable only with their folder.
        sync_folder(path).map_err(|error| cannot_open(path, error))?;
        let engine = Self {
            writes: Arc::default(),
            reads: Arc::default(),
            commits: Arc::default(),
            stamps: Arc::default(),
            checkpointer: Arc::default(),
            copies: Arc::default(),
            writers: Workers::default(),
            others: Workers::default(),
            path: path.to_owned(),
            seen: Arc::default(),
        };
        engine.start_writer(writer, broken)?;
        engine.start_checkpointer(broken)?;
        for _ in 0..options.readers.max(1) {
            engine.start_reader()?;
        }
        Ok(engine)
    }

    fn start_writer(&self, mut raw: Connection, broken: &Broken) -> Result<(), Error> {
        let (queue, seen, commits) = (
            Arc::clone(&self.writes),
            Arc::clone(&self.seen),
            Arc::clone(&self.commits),
        );
        let (checkpointer, broken) = (Arc::clone(&self.checkpointer), broken.clone());
        let (stamps, copies) = (Arc::clone(&self.stamps), Arc::clone(&self.copies));
        raw.pragma_update(None, "cache_size", -8_000)?; // KiB
        let told = Arc::clone(&checkpointer);
        raw.wal_hook(Some(
            move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
                told.grown(u64::try_from(pages).unwrap_or(0));
                Ok(())
            },
        ))?;
        self.writers.start("catalog-writer", move || {
            let writer = Writer {
                session: SqliteSession::new(raw, seen),
                commits,
                stamps,
                broken,
            };
            while let Some(batch) = queue.take(BATCH_MAX) {
                writer.run(batch);
                copies.make_if_asked(&writer.session.raw, &checkpointer, &queue, |batch| {
                    writer.run(batch);
                });
            }
        })
    }

    fn start_checkpointer(&self, broken: &Broken) -> Result<(), Error> {
        let raw = connect(&self.path, OpenFlags::empty())?;
        // While it waits for a reader it keeps the writer waiting too.
        raw.busy_timeout(CHECKPOINT_PATIENCE)?;
        let (checkpointer, broken) = (Arc::clone(&self.checkpointer), broken.clone());
        self.others
            .start("catalog-checkpoint", move || checkpointer.run(&raw, &broken))
    }

    fn start_reader(&self) -> Result<(), Error> {
        let raw = connect(&self.path, OpenFlags::empty())?;
        raw.pragma_update(None, "query_only", true)?;
        let (queue, seen) = (Arc::clone(&self.reads), Arc::clone(&self.seen));
        self.others.start("catalog-reader", move || {
            let session = SqliteSession::new(raw, seen);
            while let Some(jobs) = queue.take(1) {
                for job in jobs {
                    read(&session, job);
                }
            }
        })
    }

    /// Takes nothing more in, does what waits, and moves the log into the file. Blocks.
    pub(crate) fn close(&self) {
        self.stop();
        self.writers.join();
        // The checkpointer ends last, so that its final checkpoint sees every commit.
        self.checkpointer.close();
        self.others.join();
    }

    /// Takes nothing more in.
    pub(crate) fn stop(&self) {
        self.writes.close();
        self.reads.close();
    }

    /// Steps of SQLite's machine so far.
    pub(crate) fn steps(&self) -> u64 {
        self.seen.steps.load(Ordering::Relaxed)
    }

    /// Copies the catalog as it is at the end into the new file `to`, while others write.
    pub(crate) async fn copy(&self, to: &Path) -> Result<(), Error> {
        let answer = self.copies.ask(to)?;
        // Something to do wakes the writer, which then sees what is asked of it.
        let (nothing, _) = job(|_: &mut Tx<'_>| Ok(()));
        if let Err(error) = self.writes.push(nothing, Lane::Foreground) {
            self.copies.take();
            return Err(error);
        }
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Every statement run so far, and how SQLite finds its rows.
    pub(crate) fn plans(&self) -> Result<Vec<(String, Vec<String>)>, Error> {
        let raw = connect(&self.path, OpenFlags::empty())?;
        let seen = self.seen.statements.lock();
        let seen = seen.unwrap_or_else(PoisonError::into_inner).clone();
        let plan = |sql: &&'static str| {
            let text = format!("EXPLAIN QUERY PLAN {}", expand(sql, Dialect::Sqlite));
            let mut statement = raw.prepare(&text)?;
            // A plan needs no parameters.
            let steps = statement
                .raw_query()
                .mapped(|row| row.get(3))
                .collect::<Result<_, _>>()?;
            Ok(((*sql).to_owned(), steps))
        };
        seen.iter().map(plan).collect()
    }
}

impl Drop for SqliteEngine {
    fn drop(&mut self) {
        self.stop();
        // Without this the thread would wait for ever; with a writer still at work its log is left for the next start.
        self.checkpointer.close();
    }
}

/// Opens a connection as every one of ours must be.
fn connect(path: &Path, more: OpenFlags) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let raw = Connection::open_with_flags(path, flags)?;
    raw.busy_timeout(Duration::from_secs(5))?;
    let journal: String = raw.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if journal != "wal" {
        let words =
            format!("its file system allows no write-ahead log (journal mode {journal}): use a local disk");
        return Err(Error::Open {
            path: path.to_owned(),
            source: cause(&words),
        });
    }
    raw.pragma_update(None, "synchronous", "FULL")?;
    raw.pragma_update(None, "foreign_keys", true)?;
    raw.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    raw.pragma_update_and_check(None, "journal_size_limit", 64 * 1024 * 1024, |_| Ok(()))?;
    // A plan is made once for a statement, not anew for every value that is bound to it.
    raw.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    raw.pragma_update(None, "temp_store", "MEMORY")?;
    raw.pragma_update(None, "cell_size_check", true)?;
    // The checkpointer moves the log; a connection that ends must not, least of all after a failed commit.
    raw.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(raw)
}

fn make_folder(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    if !folder.is_dir() {
        fs::create_dir_all(folder)?;
        sync_folder(folder)?;
    }
    Ok(())
}

/// Syncs the folder that holds `path`.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn cannot_open(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::NoRoom {
            source: Arc::new(error),
        },
        _ => Error::Open {
            path: path.to_owned(),
            source: Arc::new(error),
        },
    }
}

fn opening(path: &Path, error: Error) -> Error {
    match error {
        Error::Database { source } => Error::Open {
            path: path.to_owned(),
            source,
        },
        other => other,
    }
}

/// The thread that writes.
struct Writer {
    session: SqliteSession,
    commits: Arc<AtomicU64>,
    stamps: Arc<Stamps>,
    broken: Broken,
}

impl Writer {
    /// One batch, one commit, all answers.
    fn run(&self, mut batch: Vec<Box<dyn Job>>) {
        let lost = if self.broken.is_set() {
            Some(Error::Broken)
        } else {
            self.transact(&mut batch).err()
        };
        for job in batch {
            job.answer(lost.as_ref());
        }
    }

    fn transact(&self, batch: &mut [Box<dyn Job>]) -> Result<(), Error> {
        self.statement("BEGIN IMMEDIATE")?;
        let mut touched = Vec::new();
        for job in batch.iter_mut() {
            if let Err(error) = self.alone(job.as_mut(), &mut touched) {
                self.roll_back();
                return Err(error);
            }
        }
        let committed = self
            .session
            .raw
            .prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute([]));
        // Before any answer, and also if nobody knows whether it is on the disk.
        self.stamps.move_on(&touched);
        match committed {
            Ok(_) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                self.roll_back();
                Err(self.commit_failed(error))
            }
        }
    }

    /// One operation in its savepoint. Fails only where the whole transaction is lost.
    fn alone(&self, job: &mut dyn Job, touched: &mut Vec<Touched>) -> Result<(), Error> {
        self.statement("SAVEPOINT operation")?;
        let mut tx = Tx::new(Engine::Sqlite(&self.session));
        job.run(&mut tx);
        let undo = tx.is_given_up() || job.failure().is_some();
        if !undo {
            touched.extend_from_slice(tx.touched());
        }
        if self.session.raw.is_autocommit() {
            // A full disk, or a failing one, makes SQLite undo everything.
            return Err(job.failure().cloned().unwrap_or(Error::Closed));
        }
        if undo {
            self.statement("ROLLBACK TO operation")?;
        }
        self.statement("RELEASE operation")
    }

    fn statement(&self, sql: &'static str) -> Result<(), Error> {
        self.session.raw.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    fn roll_back(&self) {
        if !self.session.raw.is_autocommit()
            && let Err(error) = self.statement("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    fn commit_failed(&self, error: rusqlite::Error) -> Error {
        if !is_disk_failure(&error) {
            return error.into();
        }
        tracing::error!(%error, "a commit did not reach the disk: the catalog takes no more writes");
        self.broken.set();
        Error::CommitUnknown {
            source: Arc::new(error),
        }
    }
}

/// Whether the disk failed in a way that leaves it open what is on it. The shared memory beside the log is no
/// part of what is durable, and a full disk has an error of its own.
pub(super) fn is_disk_failure(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi;
    let memory = [
        ffi::SQLITE_IOERR_SHMOPEN,
        ffi::SQLITE_IOERR_SHMSIZE,
        ffi::SQLITE_IOERR_SHMLOCK,
        ffi::SQLITE_IOERR_SHMMAP,
        ffi::SQLITE_IOERR_NOMEM,
    ];
    error.sqlite_error().is_some_and(|error| {
        error.code == rusqlite::ErrorCode::SystemIoFailure && !memory.contains(&error.extended_code)
    })
}

/// One operation in a transaction that only reads.
fn read(session: &SqliteSession, mut job: Box<dyn Job>) {
    let statement = |sql| {
        session
            .raw
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
    };
    let lost = statement("BEGIN").err().map(Error::from);
    if lost.is_none() {
        job.run(&mut Tx::new(Engine::Sqlite(session)));
        // Nothing was written, so nothing can be lost by ending it.
        if let Err(error) = statement("ROLLBACK") {
            tracing::warn!(%error, "a read could not be ended");
        }
    }
    job.answer(lost.as_ref());
}

#[cfg(test)]
mod tests;
