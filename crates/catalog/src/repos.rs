//! Repositories: they come into being with their first blob or manifest, and are listed while they have a manifest.
//!
//! Order of the list: component by component, as if `/` were the lowest byte, so that `a/b` stands before `a-b`.
//! Source: the catalog list of the CNCF registry.

mod deleted;
mod renamed;
mod settings;
mod views;

pub(crate) use deleted::{Back, bring_back, is_in_trash};
pub use deleted::{RepositoryDeleted, delete_repository};
pub(crate) use renamed::new_name_of;
pub use renamed::{Renamed, may_rename, rename_repository};
pub(crate) use settings::undo_ms;
pub use settings::{RepositorySettings, set_repository};
pub use views::{RepositoryView, RepositoryViews, repository_view, repository_views};

use std::borrow::Cow;

use oci::RepositoryName;

use crate::Error;
use crate::sql::{Row, Tx, values};
use crate::stamps::Slot;

/// One page of the list of repositories.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RepositoriesPage {
    /// Names, in order.
    pub names: Vec<String>,
    /// Whether there is at least one after them.
    pub more: bool,
}

/// A repository's row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Repo {
    pub(crate) id: i64,
    pub(crate) namespace_id: i64,
    /// Where the stamps of its name are.
    pub(crate) slot: Slot,
}

impl Repo {
    pub(crate) fn find(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<Option<Self>, Error> {
        tx.first(
            "SELECT id, namespace_id FROM repos WHERE name = ?1 AND deleted_at IS NULL",
            values![name],
            |row: &Row<'_>| {
                Ok(Self {
                    id: row.get(0)?,
                    namespace_id: row.get(1)?,
                    slot: Slot::of(name),
                })
            },
        )
    }

    /// The same for who writes: until the end of the transaction it is neither deleted nor renamed.
    pub(crate) fn hold(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<Option<Self>, Error> {
        tx.first(
            "SELECT id, namespace_id FROM repos WHERE name = ?1 AND deleted_at IS NULL @keyshare",
            values![name],
            |row: &Row<'_>| {
                Ok(Self {
                    id: row.get(0)?,
                    namespace_id: row.get(1)?,
                    slot: Slot::of(name),
                })
            },
        )
    }

    /// The same for who deletes or renames it: nobody else writes to it until the end of the transaction.
    pub(crate) fn seize(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<Option<Self>, Error> {
        tx.first(
            "SELECT id, namespace_id FROM repos WHERE name = ?1 AND deleted_at IS NULL @update",
            values![name],
            |row: &Row<'_>| {
                Ok(Self {
                    id: row.get(0)?,
                    namespace_id: row.get(1)?,
                    slot: Slot::of(name),
                })
            },
        )
    }

    /// The repository of that name, made if it is not there; held.
    pub(crate) fn ensure(tx: &mut Tx<'_>, name: &RepositoryName, now: i64) -> Result<Self, Error> {
        let sort_name = sort_name(name);
        loop {
            if let Some(repo) = Self::hold(tx, name)? {
                return Ok(repo);
            }
            ensure_namespace(tx, name, now)?;
            // One that somebody else made meanwhile may be deleted or renamed before we hold it: then we make it.
            tx.execute(
                "INSERT INTO repos(namespace_id, name, sort_name, created_at)
                 SELECT n.id, CAST(?1 AS TEXT), CAST(?2 AS TEXT), CAST(?3 AS BIGINT) FROM namespaces n WHERE n.name = ?4
                 ON CONFLICT(name) WHERE deleted_at IS NULL DO NOTHING",
                values![name, &sort_name, now, name.namespace()],
            )?;
        }
    }
}

/// The number of the namespace of a name, made if it is not there.
fn ensure_namespace(tx: &mut Tx<'_>, name: &RepositoryName, now: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO namespaces(name, created_at) VALUES (?1, ?2) ON CONFLICT(name) DO NOTHING",
        values![name.namespace(), now],
    )?;
    Ok(())
}

/// A name as lists are sorted by it.
fn sort_name(name: &str) -> String {
    name.replace('/', "!")
}

/// Whether anything was ever pushed there.
pub fn repo_exists(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<bool, Error> {
    Ok(Repo::find(tx, name)?.is_some())
}

/// Names of repositories that have a manifest, after `last`, at most `limit`.
pub fn list_repositories(
    tx: &mut Tx<'_>,
    last: Option<&str>,
    limit: usize,
) -> Result<RepositoriesPage, Error> {
    let after = last
        .map(|last| without_nul(last).replace('/', "!"))
        .unwrap_or_default();
    let names = tx.query(
        "SELECT r.name FROM repos r WHERE r.deleted_at IS NULL AND r.sort_name > ?1
           AND EXISTS (SELECT 1 FROM manifests m WHERE m.repo_id = r.id AND m.trashed_at IS NULL)
         ORDER BY r.sort_name LIMIT ?2",
        values![&after, limit.saturating_add(1)],
        |row: &Row<'_>| row.get(0),
    )?;
    let (names, more) = cut(names, limit);
    Ok(RepositoriesPage { names, more })
}

/// The first `limit`, and whether there was more.
pub(crate) fn cut<T>(mut all: Vec<T>, limit: usize) -> (Vec<T>, bool) {
    let more = all.len() > limit;
    all.truncate(limit);
    (all, more)
}

/// The same place in any order of names, for an engine that stores no NUL: no name holds one, so what stands after
/// `ab\0c` is what stands after `ab`.
pub(crate) fn without_nul(text: &str) -> Cow<'_, str> {
    text.split_once('\0').map_or(text, |(before, _)| before).into()
}
