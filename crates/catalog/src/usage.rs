//! Counters: what a repository, a namespace, and everything together use. Kept by the operations themselves.
//!
//! Units: bytes of distinct blobs; of a repository or namespace each linked blob once per repository, of everything
//! each stored blob once. Never an input to a deletion (I10). The column `pending_bytes` is out of use: what waits to be
//! collected is asked of the queues themselves (`gc_status`), which are as short as the garbage and cannot be wrong.

use oci::RepositoryName;

use crate::Error;
use crate::quota;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Usage {
    /// Bytes of blobs.
    pub bytes: i64,
    /// Blobs.
    pub blobs: i64,
    /// Manifests that are served.
    pub manifests: i64,
    /// Tags.
    pub tags: i64,
    /// Manifests in the trash.
    pub trashed: i64,
}

/// Whose usage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The whole catalog's.
    Everything,
    /// All repositories' whose name has this first component; the empty one for names without.
    Namespace(String),
    /// One repository's.
    Repository(RepositoryName),
}

const EVERYTHING: i64 = 0;
pub(crate) const NAMESPACE: i64 = 1;
pub(crate) const REPOSITORY: i64 = 2;

/// What a scope uses; zeros for one that is not known.
pub fn usage(tx: &mut Tx<'_>, scope: &Scope) -> Result<Usage, Error> {
    let (kind, id) = match scope {
        Scope::Everything => (EVERYTHING, Some(0)),
        Scope::Namespace(name) => (
            NAMESPACE,
            tx.first(
                "SELECT id FROM namespaces WHERE name = ?1",
                values![name],
                |row| row.get(0),
            )?,
        ),
        Scope::Repository(name) => (REPOSITORY, Repo::find(tx, name)?.map(|repo| repo.id)),
    };
    match id {
        Some(id) => sum(tx, kind, id),
        None => Ok(Usage::default()),
    }
}

/// What a repository uses, deleted or not.
pub(crate) fn usage_of(tx: &mut Tx<'_>, repo: i64) -> Result<Usage, Error> {
    sum(tx, REPOSITORY, repo)
}

/// Counts what a repository uses as another namespace's from now on. The repository is seized.
pub(crate) fn move_usage(tx: &mut Tx<'_>, repo: Repo, into: i64) -> Result<(), Error> {
    let of_repo = usage_of(tx, repo.id)?;
    let less = Usage {
        bytes: -of_repo.bytes,
        blobs: -of_repo.blobs,
        manifests: -of_repo.manifests,
        tags: -of_repo.tags,
        trashed: -of_repo.trashed,
    };
    add(tx, NAMESPACE, repo.namespace_id, less)?;
    add(tx, NAMESPACE, into, of_repo)
}

fn sum(tx: &mut Tx<'_>, kind: i64, id: i64) -> Result<Usage, Error> {
    let sum = tx.query(
        "SELECT bytes, blobs, manifests, tags, trashed FROM usage WHERE scope = ?1 AND scope_id = ?2",
        values![kind, id],
        |row: &Row<'_>| {
            Ok(Usage {
                bytes: row.get(0)?,
                blobs: row.get(1)?,
                manifests: row.get(2)?,
                tags: row.get(3)?,
                trashed: row.get(4)?,
            })
        },
    )?;
    Ok(sum.into_iter().fold(Usage::default(), |all, stripe| Usage {
        bytes: all.bytes + stripe.bytes,
        blobs: all.blobs + stripe.blobs,
        manifests: all.manifests + stripe.manifests,
        tags: all.tags + stripe.tags,
        trashed: all.trashed + stripe.trashed,
    }))
}

/// Adds to the counters of a repository and its namespace, and, but for blobs, of everything. Fails where that passes a
/// quota.
pub(crate) fn count(tx: &mut Tx<'_>, repo: Repo, more: Usage) -> Result<(), Error> {
    if more == Usage::default() {
        return Ok(());
    }
    let may_pass = more.bytes > 0 || more.tags > 0;
    if may_pass {
        quota::claim(tx, repo)?;
    }
    let whole = Usage {
        bytes: 0,
        blobs: 0,
        ..more
    };
    if whole != Usage::default() {
        add(tx, EVERYTHING, 0, whole)?;
    }
    add(tx, NAMESPACE, repo.namespace_id, more)?;
    add(tx, REPOSITORY, repo.id, more)?;
    if may_pass {
        quota::check(tx, repo, more)
    } else {
        Ok(())
    }
}

/// Counts blobs that are stored since now, or no more.
pub(crate) fn count_stored(tx: &mut Tx<'_>, blobs: i64, bytes: i64) -> Result<(), Error> {
    add(
        tx,
        EVERYTHING,
        0,
        Usage {
            bytes,
            blobs,
            ..Usage::default()
        },
    )
}

fn add(tx: &mut Tx<'_>, scope: i64, scope_id: i64, more: Usage) -> Result<(), Error> {
    let stripe = tx.stripe();
    tx.execute(
        "INSERT INTO usage(scope, scope_id, stripe, bytes, blobs, manifests, tags, trashed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT(scope, scope_id, stripe) DO UPDATE SET bytes = usage.bytes + excluded.bytes,
           blobs = usage.blobs + excluded.blobs, manifests = usage.manifests + excluded.manifests,
           tags = usage.tags + excluded.tags, trashed = usage.trashed + excluded.trashed",
        values![
            scope,
            scope_id,
            stripe,
            more.bytes,
            more.blobs,
            more.manifests,
            more.tags,
            more.trashed
        ],
    )?;
    Ok(())
}
