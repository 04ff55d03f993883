//! The schema, as a list of migrations that are applied in order, each once.
//!
//! Every migration is one text for both engines; its checksum (SHA-256 of that text) is kept in the database. Fails:
//! `Error::Newer` (made by a newer Landfall), `Error::Altered` (made by something else).

use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::sql::{Dialect, PostgresSession, expand};

struct Migration {
    version: i64,
    name: &'static str,
    text: &'static str,
    /// The oldest Landfall that can use a database with it.
    min_binary: &'static str,
}

const MIGRATIONS: [Migration; 5] = [
    Migration {
        version: 1,
        name: "catalog",
        text: include_str!("../migrations/0001_catalog.sql"),
        min_binary: "0.1.0",
    },
    Migration {
        version: 2,
        name: "scrub",
        text: include_str!("../migrations/0002_scrub.sql"),
        min_binary: "0.1.0",
    },
    Migration {
        version: 3,
        name: "history",
        text: include_str!("../migrations/0003_history.sql"),
        min_binary: "0.1.0",
    },
    Migration {
        version: 4,
        name: "rules",
        text: include_str!("../migrations/0004_rules.sql"),
        min_binary: "0.1.0",
    },
    Migration {
        version: 5,
        name: "pushes",
        text: include_str!("../migrations/0005_pushes.sql"),
        min_binary: "0.1.0",
    },
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations(version BIGINT PRIMARY KEY, name TEXT NOT NULL, \
     checksum @bytes NOT NULL, applied_at BIGINT NOT NULL, min_binary TEXT NOT NULL)";
const APPLIED: &str = "SELECT version, checksum, min_binary FROM migrations ORDER BY version";
/// Any number will do, as long as it is always the same.
const POSTGRES_LOCK: &str = "SELECT pg_advisory_xact_lock(5577006791947779410)";

/// A migration that the database has.
struct Applied {
    version: i64,
    checksum: Vec<u8>,
    min_binary: String,
}

impl Migration {
    fn checksum(&self) -> Vec<u8> {
        Sha256::digest(self.text).to_vec()
    }
}

/// What is still to be applied to a database that has `applied`.
fn missing(applied: &[Applied]) -> Result<Vec<&'static Migration>, Error> {
    let known = MIGRATIONS.last().map_or(0, |last| last.version);
    if let Some(newest) = applied.last().filter(|newest| newest.version > known) {
        return Err(Error::Newer {
            found: newest.version,
            known,
            binary: newest.min_binary.clone(),
        });
    }
    for migration in &MIGRATIONS {
        let found = applied
            .iter()
            .find(|applied| applied.version == migration.version);
        if found.is_some_and(|found| found.checksum != migration.checksum()) {
            return Err(Error::Altered {
                version: migration.version,
            });
        }
    }
    Ok(MIGRATIONS
        .iter()
        .filter(|one| applied.iter().all(|has| has.version != one.version))
        .collect())
}

/// Whether a file is one that this Landfall can read: as old or as new as itself.
pub(crate) fn check_sqlite(connection: &rusqlite::Connection) -> Result<(), Error> {
    missing(&applied_sqlite(connection)?).map(drop)
}

fn applied_sqlite(connection: &rusqlite::Connection) -> Result<Vec<Applied>, Error> {
    Ok(connection
        .prepare(APPLIED)?
        .query_map([], |row| {
            Ok(Applied {
                version: row.get(0)?,
                checksum: row.get(1)?,
                min_binary: row.get(2)?,
            })
        })?
        .collect::<Result<Vec<_>, _>>()?)
}

/// Brings a file up to date, in one transaction.
pub(crate) fn migrate_sqlite(connection: &mut rusqlite::Connection) -> Result<(), Error> {
    let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    tx.execute_batch(&expand(TABLE, Dialect::Sqlite))?;
    for migration in missing(&applied_sqlite(&tx)?)? {
        tx.execute_batch(&expand(migration.text, Dialect::Sqlite))?;
        tx.execute(
            "INSERT INTO migrations VALUES (?1, ?2, ?3, CAST(unixepoch('subsec') * 1000 AS INTEGER), ?4)",
            rusqlite::params![
                migration.version,
                migration.name,
                migration.checksum(),
                migration.min_binary
            ],
        )?;
    }
    tx.commit()?;
    Ok(())
}

/// Brings a database up to date, in one transaction, one process at a time.
pub(crate) fn migrate_postgres(session: &mut PostgresSession) -> Result<(), Error> {
    let mut tx = session.client.transaction()?;
    tx.batch_execute(POSTGRES_LOCK)?;
    tx.batch_execute(&expand(TABLE, Dialect::Postgres))?;
    let applied = tx
        .query(APPLIED, &[])?
        .iter()
        .map(|row| {
            Ok(Applied {
                version: row.try_get(0)?,
                checksum: row.try_get(1)?,
                min_binary: row.try_get(2)?,
            })
        })
        .collect::<Result<Vec<_>, postgres::Error>>()?;
    for migration in missing(&applied)? {
        tx.batch_execute(&expand(migration.text, Dialect::Postgres))?;
        tx.execute(
            "INSERT INTO migrations VALUES ($1, $2, $3, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $4)",
            &[&migration.version, &migration.name, &migration.checksum(), &migration.min_binary],
        )?;
    }
    tx.commit()?;
    Ok(())
}
