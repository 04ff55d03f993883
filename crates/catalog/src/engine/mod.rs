//! What runs operations: SQLite on one writer thread and a few readers, or PostgreSQL on a pool of threads.
//!
//! Shape: an operation becomes a `Job`, waits in a bounded `Queue`, runs in a transaction, and is answered after that
//! transaction is durable, or surely is not. Fails: `Error::Busy` where the queue is full, `Error::Closed` after it ended.

mod checkpoint;
mod copy;
mod job;
mod postgres;
mod queue;
mod sqlite;
mod worker;

pub(crate) use job::{Job, cause, job};
pub(crate) use postgres::PostgresEngine;
pub use postgres::PostgresOptions;
pub(crate) use queue::{Lane, Queue};
pub(crate) use sqlite::SqliteEngine;
pub use sqlite::SqliteOptions;
pub(crate) use worker::{Broken, Workers};

/// Operations that may wait; more are refused with `Error::Busy`.
const WAITING_MAX: usize = 4096;
