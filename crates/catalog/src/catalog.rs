//! The catalog as the rest of Landfall holds it: open, write, read, close.
//!
//! An operation is a plain function over `Tx`; `write` and `read` run it in one transaction and answer when that is
//! durable. Fails: `Error::Busy` (too many wait), `Error::Broken` (a commit did not reach the disk), what the operation says.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use oci::RepositoryName;

use crate::Error;
use crate::Guard;
use crate::engine::{
    Broken, Lane, PostgresEngine, PostgresOptions, Queue, SqliteEngine, SqliteOptions, cause, job,
};
use crate::sql::Tx;
use crate::stamps::{Aspect, Slot, Stamp};

/// A catalog, open. Cheap to clone; the last one to go closes it.
#[derive(Clone)]
pub struct Catalog {
    engine: Arc<Engine>,
    broken: Broken,
    guard: Arc<RwLock<Option<Arc<dyn Guard>>>>,
    asked: Arc<AtomicU64>,
}

enum Engine {
    Sqlite(SqliteEngine),
    Postgres(PostgresEngine),
}

/// A statement and how the engine finds its rows, step by step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The statement.
    pub statement: String,
    /// What the engine does for it.
    pub steps: Vec<String>,
}

impl Catalog {
    /// Opens the catalog in a file, or makes it; brings its schema up to date. Blocks.
    pub fn open_sqlite(path: &Path, options: SqliteOptions) -> Result<Self, Error> {
        let broken = Broken::default();
        let engine = SqliteEngine::open(path, options, &broken)?;
        Ok(Self {
            engine: Arc::new(Engine::Sqlite(engine)),
            broken,
            guard: Arc::default(),
            asked: Arc::default(),
        })
    }

    /// Opens the catalog in a PostgreSQL database; brings its schema up to date. Blocks.
    pub fn open_postgres(url: &str, options: PostgresOptions) -> Result<Self, Error> {
        let engine = PostgresEngine::open(url, options)?;
        Ok(Self {
            engine: Arc::new(Engine::Postgres(engine)),
            broken: Broken::default(),
            guard: Arc::default(),
            asked: Arc::default(),
        })
    }

    /// Runs `operation` in one transaction; the answer comes after the durable commit. An error of the operation
    /// undoes it, and it alone. It may be run more than once, each time as if the others never were.
    pub async fn write<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.enqueue(self.writes(), self.guarded(operation), Lane::Foreground)
            .await
    }

    /// The same for work that nobody waits for: while clients wait, it gets one turn in four.
    pub async fn maintain<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.enqueue(self.writes(), self.guarded(operation), Lane::Maintenance)
            .await
    }

    /// What writes must ask from now on, in place of what they asked before.
    pub fn set_guard(&self, guard: Arc<dyn Guard>) {
        *self.guard.write().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    }

    fn guarded<T>(
        &self,
        mut operation: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static {
        let guard = Arc::clone(&self.guard);
        move |tx| {
            // Asked when the turn comes: a rule that was made while this waited holds.
            tx.set_guard(guard.read().unwrap_or_else(PoisonError::into_inner).clone());
            operation(tx)
        }
    }

    /// Runs `operation` in one transaction that only reads.
    pub async fn read<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let queue = match &*self.engine {
            Engine::Sqlite(engine) => &engine.reads,
            Engine::Postgres(engine) => &engine.reads,
        };
        self.enqueue(queue, operation, Lane::Foreground).await
    }

    fn writes(&self) -> &Queue {
        match &*self.engine {
            Engine::Sqlite(engine) => &engine.writes,
            Engine::Postgres(engine) => &engine.writes,
        }
    }

    async fn enqueue<T: Send + 'static>(
        &self,
        queue: &Queue,
        operation: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
        lane: Lane,
    ) -> Result<T, Error> {
        let (job, answer) = job(operation);
        queue.push(job, lane)?;
        // Only a thread that died drops a job without an answer, and nobody knows how far it was.
        answer.await.unwrap_or_else(|_| {
            Err(Error::CommitUnknown {
                source: cause("the catalog's thread ended"),
            })
        })
    }

    /// The stamp of what a repository serves, to note before a read whose answer is kept. None where other processes
    /// write too: then nothing may be kept.
    #[must_use]
    pub fn stamp(&self, repository: &RepositoryName, aspect: Aspect) -> Option<Stamp> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match &*self.engine {
            Engine::Sqlite(engine) => Some(engine.stamps.now(Slot::of(repository), aspect)),
            Engine::Postgres(_) => None,
        }
    }

    /// The same for the manifests of all repositories together: what the list of repositories depends on.
    #[must_use]
    pub fn stamp_of_any(&self) -> Option<Stamp> {
        match &*self.engine {
            Engine::Sqlite(engine) => Some(engine.stamps.of_any()),
            Engine::Postgres(_) => None,
        }
    }

    /// How many stamps and writes of the foreground were asked for here so far: while it grows, somebody is served whom work that
    /// nobody waits for could hold up.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Whether a commit failed to reach the disk. Writes are refused from then on; reads go on.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.is_set()
    }

    /// Returns when a commit failed to reach the disk: time to end the process, so that a restart recovers.
    pub async fn broken(&self) {
        self.broken.wait().await;
    }

    /// Commits since the start that reached the disk; many operations may share one.
    #[must_use]
    pub fn commits(&self) -> u64 {
        let counter: &AtomicU64 = match &*self.engine {
            Engine::Sqlite(engine) => &engine.commits,
            Engine::Postgres(engine) => &engine.commits,
        };
        counter.load(Ordering::Relaxed)
    }

    /// Writes that wait for their turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.writes().len()
    }

    /// Steps that SQLite's machine took for all statements so far: what work costs, told without a clock. PostgreSQL does
    /// not count.
    #[must_use]
    pub fn steps(&self) -> Option<u64> {
        match &*self.engine {
            Engine::Sqlite(engine) => Some(engine.steps()),
            Engine::Postgres(_) => None,
        }
    }

    /// Every statement that was run so far and how it finds its rows. Only SQLite tells.
    pub async fn plans(&self) -> Result<Vec<Plan>, Error> {
        let engine = Arc::clone(&self.engine);
        let plans = blocking(move || match &*engine {
            Engine::Sqlite(engine) => engine.plans(),
            Engine::Postgres(_) => Ok(Vec::new()),
        });
        Ok(plans
            .await?
            .into_iter()
            .map(|(statement, steps)| Plan { statement, steps })
            .collect())
    }

    /// Copies the catalog, as it is when the last page was copied, into the new file `to`, while others read and write.
    /// The copy is not synced. Only for a catalog in a file.
    pub async fn copy_to(&self, to: &Path) -> Result<(), Error> {
        match &*self.engine {
            Engine::Sqlite(engine) => engine.copy(to).await,
            Engine::Postgres(_) => Err(Error::NotInFile),
        }
    }

    /// Takes nothing more in, does what waits, moves everything into its file, and ends the threads.
    pub async fn close(&self) {
        let engine = Arc::clone(&self.engine);
        let closed = blocking(move || {
            match &*engine {
                Engine::Sqlite(engine) => engine.close(),
                Engine::Postgres(engine) => engine.close(),
            }
            Ok(())
        });
        if let Err(error) = closed.await {
            tracing::error!(%error, "the catalog could not be closed");
        }
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let engine = match &*self.engine {
            Engine::Sqlite(_) => "SQLite",
            Engine::Postgres(_) => "PostgreSQL",
        };
        f.debug_struct("Catalog")
            .field("engine", &engine)
            .finish_non_exhaustive()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::Panicked(error.to_string())))
}
