//! Holds: while one lasts, what it is on is not taken, however long it has been garbage.
//!
//! A hold on the sweep keeps all bytes (a backup copies them by a list that it made before); one on a repository or a
//! manifest keeps what is in its trash. Holds are few, so they are read whole. Units: Unix milliseconds.

use oci::{Digest, RepositoryName};

use crate::Error;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};

/// Kept in the database.
const SWEEP: i64 = 1;
/// Kept in the database: what is in the trash.
pub(super) const KEEP: i64 = 2;

/// What is held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hold {
    /// Every stored byte.
    Sweep,
    /// Everything in the trash of a repository.
    Repository(RepositoryName),
    /// One manifest, should it be in the trash, and with it what it names.
    Manifest(RepositoryName, Digest),
}

/// Holds something until `expires_at`, or until it is released; the number of the hold. None if it is not there.
pub fn place_hold(
    tx: &mut Tx<'_>,
    what: &Hold,
    reason: &str,
    expires_at: Option<i64>,
) -> Result<Option<i64>, Error> {
    let (kind, repo, manifest) = match what {
        Hold::Sweep => (SWEEP, None, None),
        Hold::Repository(name) => match Repo::find(tx, name)? {
            Some(repo) => (KEEP, Some(repo.id), None),
            None => return Ok(None),
        },
        Hold::Manifest(name, digest) => {
            let found: Option<(i64, i64)> = tx.first(
                "SELECT r.id, m.id FROM repos r JOIN manifests m ON m.repo_id = r.id
                 WHERE r.name = ?1 AND r.deleted_at IS NULL AND m.digest = ?2 @update OF m",
                values![name, digest],
                |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
            )?;
            match found {
                Some((repo, manifest)) => (KEEP, Some(repo), Some(manifest)),
                None => return Ok(None),
            }
        }
    };
    tx.first(
        "INSERT INTO holds(kind, repo_id, manifest_id, expires_at, reason) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
        values![kind, repo, manifest, expires_at, reason],
        |row: &Row<'_>| row.get(0),
    )
}

/// Lets a hold last until `expires_at`. False if it was released.
pub fn renew_hold(tx: &mut Tx<'_>, id: i64, expires_at: i64) -> Result<bool, Error> {
    let renewed = tx.execute(
        "UPDATE holds SET expires_at = ?2 WHERE id = ?1",
        values![id, expires_at],
    )?;
    Ok(renewed > 0)
}

/// Ends a hold. False if it was released before.
pub fn release_hold(tx: &mut Tx<'_>, id: i64) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM holds WHERE id = ?1", values![id])? > 0)
}

/// Whether all bytes must stay for now.
pub(crate) fn is_sweep_held(tx: &mut Tx<'_>, now: i64) -> Result<bool, Error> {
    tx.exists(
        "SELECT 1 FROM holds WHERE id > 0 AND kind = ?1 AND (expires_at IS NULL OR expires_at > ?2) LIMIT 1",
        values![SWEEP, now],
    )
}
