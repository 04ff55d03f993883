//! What became of something that is not there: who took it away, when, and until when it can come back. For the words of
//! a 404; asked for only then.

use oci::{Digest, Reference, RepositoryName, Tag};

use crate::Error;
use crate::repos::{Repo, new_name_of};
use crate::retention::rules_of_reason;
use crate::sql::{Row, Tx, values};

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// What happened.
    pub fate: Fate,
    /// When.
    pub at: i64,
    /// Who did it.
    pub by: Option<String>,
    /// Until when it can be taken back; none: it cannot, or could not be all along.
    pub until: Option<i64>,
    /// Whether what it took is still there, so that it can be taken back after that too, until the collector comes.
    pub is_there: bool,
    /// The retention rules that took it.
    pub rules: Option<String>,
}

/// What happened to something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It was deleted, itself or with what it hung on.
    Deleted,
    /// The whole repository was deleted.
    RepositoryDeleted,
    /// The repository has another name.
    RepositoryRenamed(RepositoryName),
}

/// What became of a manifest that a repository does not serve, by tag or digest.
pub fn trace_manifest(
    tx: &mut Tx<'_>,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Option<Trace>, Error> {
    let Some(repo) = Repo::find(tx, name)? else {
        return trace_repository(tx, name);
    };
    match reference {
        Reference::Tag(tag) => trace_tag(tx, repo, tag),
        Reference::Digest(digest) => tx.first(
            "SELECT o.at, u.name, CASE WHEN m.purge_at < o.until THEN m.purge_at WHEN m.id IS NULL THEN NULL ELSE o.until END,
               o.undone_by IS NOT NULL, o.reason,
               EXISTS (SELECT 1 FROM manifests h WHERE h.trash_op = o.id AND h.trashed_at IS NOT NULL AND o.until > o.at)
             FROM op_manifests d JOIN ops o ON o.id = d.op_id LEFT JOIN users u ON u.id = o.actor
             LEFT JOIN manifests m ON m.repo_id = o.repo_id AND m.digest = d.digest
             WHERE d.digest = ?2 AND o.repo_id = ?1 ORDER BY d.op_id DESC LIMIT 1",
            values![repo.id, digest],
            deleted,
        ),
    }
}

/// What became of a blob that a repository does not serve.
pub fn trace_blob(tx: &mut Tx<'_>, name: &RepositoryName, digest: &Digest) -> Result<Option<Trace>, Error> {
    let Some(repo) = Repo::find(tx, name)? else {
        return trace_repository(tx, name);
    };
    let hidden = tx.exists(
        "SELECT 1 FROM blobs b JOIN repo_blobs l ON l.blob_id = b.id
         WHERE b.digest = ?2 AND l.repo_id = ?1 AND l.hidden_at IS NOT NULL",
        values![repo.id, digest],
    )?;
    if !hidden {
        return Ok(None);
    }
    tx.first(
        "SELECT o.at, u.name, o.until, o.undone_by IS NOT NULL, o.reason, FALSE FROM ops o LEFT JOIN users u ON u.id = o.actor
         WHERE o.repo_id = ?1 AND o.until IS NOT NULL AND o.undone_by IS NULL AND o.target = ?2
         ORDER BY o.until DESC, o.id DESC LIMIT 1",
        values![repo.id, &digest.to_string()],
        deleted,
    )
}

/// What became of a repository that is not there.
pub fn trace_repository(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<Option<Trace>, Error> {
    let gone = tx.first(
        "SELECT o.at, u.name, r.purge_at, o.state > 0 OR o.until <= o.at FROM repos r JOIN ops o ON o.id = r.delete_op
         LEFT JOIN users u ON u.id = o.actor WHERE r.name = ?1 AND r.deleted_at IS NOT NULL ORDER BY r.id DESC LIMIT 1",
        values![name],
        |row: &Row<'_>| {
            let until = row.get::<Option<i64>>(2)?;
            Ok(Trace {
                fate: Fate::RepositoryDeleted,
                at: row.get(0)?,
                by: row.get(1)?,
                until: if row.get(3)? { None } else { until },
                is_there: true,
                rules: None,
            })
        },
    )?;
    if gone.as_ref().is_some_and(|trace: &Trace| trace.until.is_some()) {
        return Ok(gone);
    }
    let Some((new, op)) = new_name_of(tx, name)? else {
        return Ok(gone);
    };
    tx.first(
        "SELECT o.at, u.name FROM ops o LEFT JOIN users u ON u.id = o.actor WHERE o.id = ?1",
        values![op],
        |row: &Row<'_>| {
            Ok(Trace {
                fate: Fate::RepositoryRenamed(new.clone()),
                at: row.get(0)?,
                by: row.get(1)?,
                until: None,
                is_there: false,
                rules: None,
            })
        },
    )
}

/// Of a tag whose manifest went too: no longer than that can come back.
fn trace_tag(tx: &mut Tx<'_>, repo: Repo, tag: &Tag) -> Result<Option<Trace>, Error> {
    tx.first(
        "SELECT o.at, u.name, CASE WHEN m.purge_at < o.until THEN m.purge_at WHEN m.id IS NULL THEN NULL ELSE o.until END,
           o.undone_by IS NOT NULL, o.reason,
           EXISTS (SELECT 1 FROM manifests h WHERE h.trash_op = o.id AND h.trashed_at IS NOT NULL AND o.until > o.at)
         FROM tag_events e JOIN ops o ON o.id = e.op_id LEFT JOIN users u ON u.id = o.actor
         LEFT JOIN manifests m ON m.repo_id = e.repo_id AND m.digest = e.old_digest
         WHERE e.repo_id = ?1 AND e.name = ?2 ORDER BY e.seq DESC LIMIT 1",
        values![repo.id, tag],
        deleted,
    )
}

fn deleted(row: &Row<'_>) -> Result<Trace, Error> {
    let until = row.get::<Option<i64>>(2)?;
    let reason: Option<String> = row.get(4)?;
    Ok(Trace {
        fate: Fate::Deleted,
        at: row.get(0)?,
        by: row.get(1)?,
        until: if row.get(3)? { None } else { until },
        is_there: row.get(5)?,
        rules: reason.as_deref().and_then(rules_of_reason).map(str::to_owned),
    })
}
