//! Deleting a repository and bringing it back (P-DELETE-REPOSITORY): one row changes, whatever it holds. Its name is free
//! at once, and who pushes there again makes another repository, with a history of its own.
//!
//! Its contents stay as they are until the undo window ends; then `gc::purge_repositories` moves them to the trash in
//! batches, and from its first batch on the repository cannot come back. Units: Unix milliseconds.

use oci::RepositoryName;

use crate::Error;
use crate::guard::may_go;
use crate::history::{ChangeKind, OpKind, record_change, record_removal};
use crate::repos::{Repo, undo_ms as undo_ms_of};
use crate::sql::{Row, Tx, values};
use crate::stamps::Slot;
use crate::usage::{Usage, usage_of};

/// A repository that is in the trash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RepositoryDeleted {
    /// The operation, to undo it by.
    pub op: i64,
    /// The end of the undo window.
    pub until: i64,
    /// What it held.
    pub usage: Usage,
}

/// Deletes a repository; it can come back for `undo_ms`, or for as long as it says itself. None if there is none. Fails: it
/// has immutable tags.
pub fn delete_repository(
    tx: &mut Tx<'_>,
    name: &RepositoryName,
    now: i64,
    undo_ms: i64,
    actor: Option<&str>,
) -> Result<Option<RepositoryDeleted>, Error> {
    let Some(repo) = Repo::seize(tx, name)? else {
        return Ok(None);
    };
    may_go(tx, name, None)?;
    let until = now.saturating_add(undo_ms_of(tx, repo, undo_ms)?);
    let op = record_removal(tx, OpKind::RepoDelete, repo, name, actor, now, Some(until))?;
    tx.execute(
        "UPDATE repos SET deleted_at = ?2, delete_op = ?3, purge_at = ?4 WHERE id = ?1",
        values![repo.id, now, op, until],
    )?;
    record_change(tx, ChangeKind::Repository, repo, name, now)?;
    Ok(Some(RepositoryDeleted {
        op,
        until,
        usage: usage_of(tx, repo.id)?,
    }))
}

/// Whether there is no repository of that name because it is in the trash.
pub(crate) fn is_in_trash(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<bool, Error> {
    if Repo::find(tx, name)?.is_some() {
        return Ok(false);
    }
    tx.exists(
        "SELECT 1 FROM repos WHERE name = ?1 AND deleted_at IS NOT NULL AND purge_at IS NOT NULL LIMIT 1",
        values![name],
    )
}

/// What became of a deleted repository that somebody wants back.
pub(crate) enum Back {
    Done(RepositoryName),
    /// The name belongs to another one by now.
    NameTaken(RepositoryName),
    /// Its contents went, or began to.
    Gone,
}

/// Brings back the repository that `op` deleted, under its name or another.
pub(crate) fn bring_back(
    tx: &mut Tx<'_>,
    id: i64,
    op: i64,
    new_name: Option<&RepositoryName>,
    now: i64,
) -> Result<Back, Error> {
    let found = tx.first(
        "SELECT name, namespace_id FROM repos WHERE id = ?1 AND delete_op = ?2 AND purge_at IS NOT NULL @update",
        values![id, op],
        |row: &Row<'_>| {
            let name: RepositoryName = row.get(0)?;
            let slot = Slot::of(&name);
            Ok((
                name,
                Repo {
                    id,
                    namespace_id: row.get(1)?,
                    slot,
                },
            ))
        },
    )?;
    let Some((old_name, repo)) = found else {
        return Ok(Back::Gone);
    };
    let has_begun = tx.exists("SELECT 1 FROM ops WHERE id = ?1 AND state > 0", values![op])?;
    if has_begun {
        return Ok(Back::Gone);
    }
    let name = new_name.unwrap_or(&old_name);
    if Repo::find(tx, name)?.is_some() {
        return Ok(Back::NameTaken(name.clone()));
    }
    if *name != old_name {
        super::renamed::give_name(tx, repo, &old_name, name, now)?;
    }
    tx.execute(
        "UPDATE repos SET deleted_at = NULL, delete_op = NULL, purge_at = NULL WHERE id = ?1",
        values![repo.id],
    )?;
    let repo = Repo {
        slot: Slot::of(name),
        ..repo
    };
    record_change(tx, ChangeKind::Repository, repo, name, now)?;
    Ok(Back::Done(name.clone()))
}
