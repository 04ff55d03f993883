//! What a bundle must know of the past of a name: which repositories had it, and which tags they ever had. For the other side,
//! which may have any state of it.
//!
//! Shape: lists are paged by key, and an empty page is the end. Units: Unix milliseconds.

use oci::{Digest, RepositoryName};

use crate::Error;
use crate::history::ChangeKind;
use crate::sql::{Row, Tx, values};

/// A repository that got a name, or that lost it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameMoved {
    /// The number of the change.
    pub seq: i64,
    /// The number of the repository.
    pub repository: i64,
    /// The name.
    pub name: String,
}

/// A repository that has a name now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    /// The number of the repository.
    pub repository: i64,
    /// When it came into being.
    pub created_at: i64,
}

/// Deletes, renames and restores of repositories after the change of number `after`. A first push tells of none.
pub fn names_moved(tx: &mut Tx<'_>, after: i64, limit: usize) -> Result<Vec<NameMoved>, Error> {
    tx.query(
        "SELECT seq, repo_id, key FROM changes WHERE seq > ?1 AND kind = ?2 ORDER BY seq LIMIT ?3",
        values![after, ChangeKind::Repository as i64, limit],
        |row: &Row<'_>| {
            Ok(NameMoved {
                seq: row.get(0)?,
                repository: row.get::<Option<i64>>(1)?.unwrap_or_default(),
                name: row.get::<Option<String>>(2)?.unwrap_or_default(),
            })
        },
    )
}

/// The repository of that name.
pub fn holder_of(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<Option<Holder>, Error> {
    tx.first(
        "SELECT id, created_at FROM repos WHERE name = ?1 AND deleted_at IS NULL",
        values![name],
        |row: &Row<'_>| {
            Ok(Holder {
                repository: row.get(0)?,
                created_at: row.get(1)?,
            })
        },
    )
}

/// When the last change of at most this number was made; none: there is none.
pub fn change_time(tx: &mut Tx<'_>, seq: i64) -> Result<Option<i64>, Error> {
    tx.first(
        "SELECT at FROM changes WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1",
        values![seq],
        |row: &Row<'_>| row.get(0),
    )
}

/// The names of all tags that this repository, deleted or not, ever had, after `after`.
pub fn tags_ever(tx: &mut Tx<'_>, repository: i64, after: &str, limit: usize) -> Result<Vec<String>, Error> {
    tx.query(
        "SELECT DISTINCT name FROM tag_events WHERE repo_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
        values![repository, after, limit],
        |row: &Row<'_>| row.get(0),
    )
}

/// Where a tag of this repository, deleted or not, ever led, the last first.
pub fn led_to(tx: &mut Tx<'_>, repository: i64, tag: &str, limit: usize) -> Result<Vec<Digest>, Error> {
    tx.query(
        "SELECT new_digest FROM tag_events WHERE repo_id = ?1 AND name = ?2 AND new_digest IS NOT NULL
         ORDER BY seq DESC LIMIT ?3",
        values![repository, tag, limit],
        |row: &Row<'_>| row.get(0),
    )
}
