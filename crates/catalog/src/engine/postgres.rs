//! PostgreSQL: a pool of threads of our own, each with one connection, each operation one transaction.
//!
//! Writes are READ COMMITTED with the locks that their statements name, and are run again when the server asks for it
//! (deadlock, serialization). Reads see one snapshot. Fails: `Unreachable` before a commit was sent, `CommitUnknown`
//! after; `Unsafe` where the server is set up to lose what it acknowledged.
//! Source: PostgreSQL manual, "Transaction Isolation", "Explicit Locking", "Write Ahead Log" settings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use postgres::config::SslMode;
use postgres::{Config, NoTls};
use uuid::Uuid;

use super::job::cause;
use super::{Job, Queue, Workers};
use crate::Error;
use crate::schema;
use crate::sql::{Connection, PostgresSession, Tx};

/// How often an operation is run again before the conflict is reported.
const RETRIES: u32 = 3;
/// How long to wait for a connection, unless the address says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Stripes of the counters.
const STRIPES: usize = 16;
/// What every connection is set to.
const SETTINGS: &str = "SET statement_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s'; \
     SET default_transaction_isolation = 'read committed'; SET client_min_messages = 'warning'";

/// How PostgreSQL is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PostgresOptions {
    /// Connections that write, and as many that read.
    pub connections: usize,
    /// Refuse a server with `fsync = off`. Only a test may do without.
    pub fsync_required: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            connections: 8,
            fsync_required: true,
        }
    }
}

/// A catalog on a server.
pub(crate) struct PostgresEngine {
    pub(crate) writes: Arc<Queue>,
    pub(crate) reads: Arc<Queue>,
    pub(crate) commits: Arc<AtomicU64>,
    workers: Workers,
}

/// What a transaction is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    Write,
    Read,
}

impl PostgresEngine {
    /// Checks the server, brings the schema up to date, and starts the threads.
    pub(crate) fn open(url: &str, options: PostgresOptions) -> Result<Self, Error> {
        let mut config: Config = url.parse().map_err(|error: postgres::Error| Error::Address {
            source: Arc::new(error),
        })?;
        if config.get_ssl_mode() == SslMode::Require {
            let source =
                cause("sslmode=require: connections to PostgreSQL are not encrypted by this version");
            return Err(Error::Address { source });
        }
        if config.get_application_name().is_none() {
            config.application_name("landfall");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        let engine = Self {
            writes: Arc::default(),
            reads: Arc::default(),
            commits: Arc::default(),
            workers: Workers::default(),
        };
        prepare(&config, options)?;
        for (queue, purpose) in [(&engine.writes, Purpose::Write), (&engine.reads, Purpose::Read)] {
            for number in 0..options.connections.max(1) {
                let mut seat = Seat {
                    config: config.clone(),
                    stripe: i64::try_from(number % STRIPES).unwrap_or(0),
                    purpose,
                    session: None,
                    commits: Arc::clone(&engine.commits),
                };
                let queue = Arc::clone(queue);
                engine.workers.start("catalog-postgres", move || {
                    while let Some(jobs) = queue.take(1) {
                        for job in jobs {
                            seat.run(job);
                        }
                    }
                })?;
            }
        }
        Ok(engine)
    }

    /// Takes nothing more in and does what waits. Blocks.
    pub(crate) fn close(&self) {
        self.stop();
        self.workers.join();
    }

    fn stop(&self) {
        self.writes.close();
        self.reads.close();
    }
}

impl Drop for PostgresEngine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The first connection: on a thread of its own, because the client must not be used where a runtime is entered.
fn prepare(config: &Config, options: PostgresOptions) -> Result<(), Error> {
    let (sender, receiver) = mpsc::channel();
    let config = config.clone();
    let workers = Workers::default();
    workers.start("catalog-postgres", move || {
        let prepared = config.connect(NoTls).map_err(Error::from).and_then(|client| {
            let mut session = PostgresSession::new(client, 0);
            check_durability(&mut session, options)?;
            schema::migrate_postgres(&mut session)
        });
        // The receiver waits below.
        let _ = sender.send(prepared);
    })?;
    let prepared = receiver.recv().unwrap_or(Err(Error::Closed));
    workers.join();
    prepared
}

fn check_durability(session: &mut PostgresSession, options: PostgresOptions) -> Result<(), Error> {
    let mut show =
        |sql: &str| -> Result<String, Error> { Ok(session.client.query_one(sql, &[])?.try_get(0)?) };
    let value = show("SHOW synchronous_commit")?;
    if value == "off" {
        return Err(Error::Unsafe {
            setting: "synchronous_commit",
            value,
            wanted: "on",
        });
    }
    let value = show("SHOW fsync")?;
    if value == "off" && options.fsync_required {
        return Err(Error::Unsafe {
            setting: "fsync",
            value,
            wanted: "on",
        });
    }
    Ok(())
}

/// One thread's place in the pool.
struct Seat {
    config: Config,
    stripe: i64,
    purpose: Purpose,
    session: Option<PostgresSession>,
    commits: Arc<AtomicU64>,
}

/// How one attempt ended, where it did not end well.
enum Lost {
    /// Nothing was changed, and another attempt may do better.
    Again(Error),
    /// No other attempt is allowed or would help.
    Final(Error),
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        match error {
            Error::Conflict { .. } | Error::Unreachable { .. } => Self::Again(error),
            error => Self::Final(error),
        }
    }
}

impl Seat {
    fn run(&mut self, mut job: Box<dyn Job>) {
        let mut attempt = 0;
        loop {
            match self.attempt(job.as_mut()) {
                Ok(()) => return job.answer(None),
                Err(Lost::Again(_)) if attempt < RETRIES => {
                    attempt += 1;
                    let jitter = u64::from(Uuid::new_v4().as_bytes()[0] % 16);
                    std::thread::sleep(Duration::from_millis(jitter << attempt));
                }
                Err(Lost::Again(error) | Lost::Final(error)) => return job.answer(Some(&error)),
            }
        }
    }

    /// One transaction. Good where the job holds its outcome, be it an error of its own.
    fn attempt(&mut self, job: &mut dyn Job) -> Result<(), Lost> {
        let begin = match self.purpose {
            Purpose::Write => "BEGIN",
            Purpose::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        let session = self.session()?;
        let outcome = session.client.batch_execute(begin).map_err(Error::from);
        self.drop_if_gone(outcome)?;
        let session = self.session()?;
        let mut tx = Tx::new(Connection::Postgres(session));
        job.run(&mut tx);
        let undo = tx.is_given_up();
        if let Some(error @ (Error::Conflict { .. } | Error::Unreachable { .. })) = job.failure() {
            let error = error.clone();
            self.roll_back();
            return Err(Lost::Again(error));
        }
        if undo || job.failure().is_some() || self.purpose == Purpose::Read {
            self.roll_back();
            return Ok(());
        }
        self.commit()
    }

    fn commit(&mut self) -> Result<(), Lost> {
        let committed = self
            .session()?
            .client
            .batch_execute("COMMIT")
            .map_err(Error::from);
        match committed {
            Ok(()) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(Error::Unreachable { source }) => {
                self.session = None;
                // It was sent, and may have been done: the operation must not be run again.
                Err(Lost::Final(Error::CommitUnknown { source }))
            }
            Err(error) => {
                self.roll_back();
                Err(error.into())
            }
        }
    }

    fn session(&mut self) -> Result<&mut PostgresSession, Error> {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.client.is_closed())
        {
            self.session = None;
        }
        match &mut self.session {
            Some(session) => Ok(session),
            empty => {
                let mut client = self.config.connect(NoTls)?;
                client.batch_execute(SETTINGS)?;
                Ok(empty.insert(PostgresSession::new(client, self.stripe)))
            }
        }
    }

    fn drop_if_gone(&mut self, outcome: Result<(), Error>) -> Result<(), Error> {
        if matches!(outcome, Err(Error::Unreachable { .. })) {
            self.session = None;
        }
        outcome
    }

    /// A connection that cannot even do this is given up; the server then undoes the transaction.
    fn roll_back(&mut self) {
        if let Some(session) = &mut self.session
            && session.client.batch_execute("ROLLBACK").is_err()
        {
            self.session = None;
        }
    }
}
