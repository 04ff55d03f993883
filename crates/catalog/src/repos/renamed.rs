//! Renaming a repository: its row gets another name, and everything in it stays as it is.
//!
//! The old name is free; it is kept apart, so that whoever asks for it can be told the new one. An upload that is under
//! way ends under the name that it began with. Fails: the new name is another repository's, or a quota of it has no room.

use oci::RepositoryName;

use crate::Error;
use crate::guard::may_go;
use crate::history::{ChangeKind, OpKind, record_change, record_op};
use crate::quota;
use crate::repos::{Repo, ensure_namespace, sort_name};
use crate::sql::{Row, Tx, values};
use crate::stamps::Slot;
use crate::usage::move_usage;

/// What a rename did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Renamed {
    /// It has the new name.
    Done {
        /// The operation.
        op: i64,
    },
    /// There is no repository of the old name.
    Unknown,
    /// There is one of the new name.
    Taken,
}

/// Renames a repository.
pub fn rename_repository(
    tx: &mut Tx<'_>,
    old: &RepositoryName,
    new: &RepositoryName,
    now: i64,
    actor: Option<&str>,
) -> Result<Renamed, Error> {
    let Some(repo) = Repo::seize(tx, old)? else {
        return Ok(Renamed::Unknown);
    };
    if Repo::find(tx, new)?.is_some() {
        return Ok(Renamed::Taken);
    }
    may_go(tx, old, Some(new))?;
    let op = record_op(tx, OpKind::RepoRename, repo, old, actor, now)?;
    give_name(tx, repo, old, new, now)?;
    tx.execute(
        "INSERT INTO repo_names(name, repo_id, op_id) VALUES (?1, ?2, ?3)
         ON CONFLICT(name) DO UPDATE SET repo_id = excluded.repo_id, op_id = excluded.op_id",
        values![old, repo.id, op],
    )?;
    // The name that it has is none that it had.
    tx.execute("DELETE FROM repo_names WHERE name = ?1", values![new])?;
    let renamed = Repo {
        slot: Slot::of(new),
        ..repo
    };
    record_change(tx, ChangeKind::Repository, repo, old, now)?;
    record_change(tx, ChangeKind::Repository, renamed, new, now)?;
    Ok(Renamed::Done { op })
}

/// What [`rename_repository`] would do or be refused for; does nothing.
pub fn may_rename(
    tx: &mut Tx<'_>,
    old: &RepositoryName,
    new: &RepositoryName,
    now: i64,
) -> Result<Renamed, Error> {
    let renamed = rename_repository(tx, old, new, now, None)?;
    tx.give_up();
    Ok(renamed)
}

/// Gives a repository that is seized a name that is free. Two who want the same name at once: the second fails.
pub(super) fn give_name(
    tx: &mut Tx<'_>,
    repo: Repo,
    old: &RepositoryName,
    new: &RepositoryName,
    now: i64,
) -> Result<(), Error> {
    ensure_namespace(tx, new, now)?;
    let namespace: Option<i64> = tx.first(
        "SELECT id FROM namespaces WHERE name = ?1",
        values![new.namespace()],
        |row: &Row<'_>| row.get(0),
    )?;
    let namespace = namespace
        .ok_or_else(|| Error::Impossible(format!("the namespace of {new} vanished while it was made")))?;
    quota::admit(tx, repo, old, new, namespace)?;
    if namespace != repo.namespace_id {
        move_usage(tx, repo, namespace)?;
    }
    tx.execute(
        "UPDATE repos SET name = ?2, sort_name = ?3, namespace_id = ?4 WHERE id = ?1",
        values![repo.id, new, &sort_name(new), namespace],
    )?;
    Ok(())
}

/// The name that the repository which had this one has now, and the operation that gave it.
pub(crate) fn new_name_of(
    tx: &mut Tx<'_>,
    old: &RepositoryName,
) -> Result<Option<(RepositoryName, i64)>, Error> {
    tx.first(
        "SELECT r.name, n.op_id FROM repo_names n JOIN repos r ON r.id = n.repo_id
         WHERE n.name = ?1 AND r.deleted_at IS NULL",
        values![old],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
    )
}
