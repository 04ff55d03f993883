//! What is in the trash.
//!
//! The trash is a list of operations: each took something away that can come back until its undo window ends, or longer, if
//! the collector has to wait. Order: what can come back longest stands first. Units: Unix milliseconds, bytes. Shape: a page is one range of an index, and for
//! each entry work in proportion to what the operation took.

use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::history::OpKind;
use crate::space::freed_by_operation;
use crate::sql::{Row, Tx, values};

/// Blobs that are looked at to say what one entry would free.
const BLOBS_MAX: usize = 20_000;
/// Tags that one entry names.
const TAGS_MAX: i64 = 100;

/// What an operation took away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrashKind {
    /// A tag; its manifest stays.
    Tag,
    /// A manifest and what hung on it alone.
    Manifest,
    /// A blob.
    Blob,
    /// A repository.
    Repository,
}

impl TrashKind {
    /// What an operation of this kind puts into the trash; none: it takes nothing away. With the end of its window, which
    /// every operation that takes something away has, this is what can be taken back.
    pub(crate) fn of(kind: OpKind, target: &str) -> Option<Self> {
        match kind {
            OpKind::Trash => Some(Self::Manifest),
            OpKind::Retention if target.contains(':') => Some(Self::Manifest),
            OpKind::Untag | OpKind::Retention => Some(Self::Tag),
            OpKind::Unlink => Some(Self::Blob),
            OpKind::RepoDelete => Some(Self::Repository),
            OpKind::Tag | OpKind::Restore | OpKind::RepoRename => None,
        }
    }
}

/// One operation that can be taken back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrashEntry {
    /// Its number.
    pub op: i64,
    /// What it took.
    pub kind: TrashKind,
    /// Where.
    pub repository: RepositoryName,
    /// Whether that was deleted since, so that it must come back first.
    pub in_deleted_repository: bool,
    /// The tag, the digest or the repository's name.
    pub target: String,
    /// When.
    pub at: i64,
    /// Who.
    pub by: Option<String>,
    /// From which address.
    pub remote: Option<String>,
    /// Until when it can be taken back.
    pub until: i64,
    /// Why, where a rule took it.
    pub reason: Option<String>,
    /// Tags that went, some of them if they are many.
    pub tags: Vec<Tag>,
    /// Manifests that went.
    pub manifests: u64,
    /// Bytes that emptying it would free, with what was deleted before it; none: it has too many blobs to say it at once.
    pub frees: Option<u64>,
}

/// The end of a page: where the next one begins.
pub type TrashPlace = (i64, i64);

/// One page.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TrashPage {
    /// In order.
    pub items: Vec<TrashEntry>,
    /// Where the next one begins; none if this is the last.
    pub next: Option<TrashPlace>,
}

/// Operations of the trash that are so, after the place ?2, ?3, of which something can come back: what they took is in the
/// trash still, or a tag that they took may lead there again, and does not.
macro_rules! operations {
    ($which:literal) => {
        concat!(
            "SELECT o.id, o.kind, o.repo_id, r.name, r.deleted_at IS NOT NULL, o.target, o.at, u.name, o.remote, o.until,
               o.reason
             FROM ops o JOIN repos r ON r.id = o.repo_id LEFT JOIN users u ON u.id = o.actor
             WHERE o.until IS NOT NULL AND o.undone_by IS NULL AND (o.until, o.id) < (?2, ?3)
               AND (o.kind NOT IN (1, 2, 11)
                 OR EXISTS (SELECT 1 FROM manifests m WHERE m.trash_op = o.id AND m.trashed_at IS NOT NULL)
                 OR EXISTS (SELECT 1 FROM tag_events e
                   JOIN manifests m ON m.repo_id = e.repo_id AND m.digest = e.old_digest
                   LEFT JOIN ops d ON d.id = m.trash_op
                   LEFT JOIN tags t ON t.repo_id = e.repo_id AND t.name = e.name
                   WHERE e.op_id = o.id AND (m.trashed_at IS NULL OR d.until > d.at)
                     AND (t.manifest_id IS NULL OR t.manifest_id <> m.id))) AND ",
            $which,
            " ORDER BY o.until DESC, o.id DESC LIMIT ?4"
        )
    };
}

/// Those whose window lasts.
const IN_TIME: &str = operations!("o.until > ?1");
const IN_TIME_OF_ONE: &str = operations!("o.until > ?1 AND o.repo_id = ?5");
/// Those whose window is over, and that nobody emptied by hand, while what they took is still there: the collector waits, as
/// after a jump of the clock, or something holds it. Only those since ?5 are looked at, which is when the oldest thing that is
/// still there was due.
const DUE: &str = operations!(
    "o.until <= ?1 AND o.until >= ?5 AND o.until > o.at AND (r.delete_op = o.id AND r.purge_at IS NOT NULL
       OR EXISTS (SELECT 1 FROM manifests m WHERE m.trash_op = o.id AND m.trashed_at IS NOT NULL))"
);
const DUE_OF_ONE: &str = operations!(
    "o.until <= ?1 AND o.until >= ?5 AND o.repo_id = ?6 AND o.until > o.at
       AND (r.delete_op = o.id AND r.purge_at IS NOT NULL
       OR EXISTS (SELECT 1 FROM manifests m WHERE m.trash_op = o.id AND m.trashed_at IS NOT NULL))"
);
/// A manifest that follows another one into the trash, when its lease ends, is due so much later than that, at most.
const FOLLOWS_MS: i64 = 8 * 24 * 3600 * 1000;

/// What is in the trash: of all, or of the repositories that have or had a name. What is due stands last, for as long as it
/// is still there.
pub fn list_trash(
    tx: &mut Tx<'_>,
    repo: Option<&RepositoryName>,
    now: i64,
    after: Option<TrashPlace>,
    limit: usize,
) -> Result<TrashPage, Error> {
    let ids = match repo {
        Some(name) => Some([ids_of(tx, name)?, renamed_from(tx, name)?].concat()),
        None => None,
    };
    let (found, more) = crate::repos::cut(
        operations_in(tx, ids.as_deref(), now, after, limit.saturating_add(1))?,
        limit,
    );
    let mut items = Vec::with_capacity(found.len());
    for (repo_id, entry) in found {
        items.push(with_contents(tx, repo_id, entry)?);
    }
    let last = items.last().map(|entry| (entry.until, entry.op));
    Ok(TrashPage {
        items,
        next: last.filter(|_| more),
    })
}

/// The first `wanted` operations of the trash after a place, or more; each with its repository's number, and without what
/// it holds.
pub(crate) fn operations_in(
    tx: &mut Tx<'_>,
    ids: Option<&[i64]>,
    now: i64,
    after: Option<TrashPlace>,
    wanted: usize,
) -> Result<Vec<(i64, TrashEntry)>, Error> {
    let (until, op) = after.unwrap_or((i64::MAX, i64::MAX));
    let mut found = Vec::new();
    match ids {
        None => found.extend(tx.query(IN_TIME, values![now, until, op, wanted], entry)?),
        Some(ids) => {
            for id in ids {
                found.extend(tx.query(IN_TIME_OF_ONE, values![now, until, op, wanted, *id], entry)?);
            }
        }
    }
    // What is due stands behind all of those.
    let oldest = if found.len() < wanted {
        oldest_due(tx, now)?
    } else {
        None
    };
    if let Some(oldest) = oldest {
        let since = oldest.saturating_sub(FOLLOWS_MS);
        match ids {
            None => found.extend(tx.query(DUE, values![now, until, op, wanted, since], entry)?),
            Some(ids) => {
                for id in ids {
                    let page = values![now, until, op, wanted, since, *id];
                    found.extend(tx.query(DUE_OF_ONE, page, entry)?);
                }
            }
        }
    }
    found.sort_by_key(|(_, entry)| std::cmp::Reverse((entry.until, entry.op)));
    Ok(found)
}

/// When the oldest thing was due that is still in the trash; none if nothing is due.
fn oldest_due(tx: &mut Tx<'_>, now: i64) -> Result<Option<i64>, Error> {
    let mut oldest: Option<i64> = None;
    for sql in [
        "SELECT purge_at FROM manifests WHERE purge_at <= ?1 ORDER BY purge_at LIMIT 1",
        "SELECT purge_at FROM repos WHERE purge_at <= ?1 ORDER BY purge_at LIMIT 1",
    ] {
        let first = tx.first(sql, values![now], |row: &Row<'_>| row.get(0))?;
        oldest = oldest.into_iter().chain(first).min();
    }
    Ok(oldest)
}

/// One entry; none if the operation cannot be taken back, or was.
pub fn trash_entry(tx: &mut Tx<'_>, op: i64) -> Result<Option<TrashEntry>, Error> {
    let found = tx.first(
        "SELECT o.id, o.kind, o.repo_id, r.name, r.deleted_at IS NOT NULL, o.target, o.at, u.name, o.remote, o.until,
           o.reason
         FROM ops o JOIN repos r ON r.id = o.repo_id LEFT JOIN users u ON u.id = o.actor
         WHERE o.id = ?1 AND o.until IS NOT NULL AND o.undone_by IS NULL",
        values![op],
        entry,
    )?;
    match found {
        Some((repo_id, entry)) => with_contents(tx, repo_id, entry).map(Some),
        None => Ok(None),
    }
}

/// The repository that an operation was done in, by the name that it has now.
pub fn repository_of(tx: &mut Tx<'_>, op: i64) -> Result<Option<RepositoryName>, Error> {
    tx.first(
        "SELECT r.name FROM ops o JOIN repos r ON r.id = o.repo_id WHERE o.id = ?1",
        values![op],
        |row: &Row<'_>| row.get(0),
    )
}

fn entry(row: &Row<'_>) -> Result<(i64, TrashEntry), Error> {
    let number: i64 = row.get(1)?;
    let target = row.get::<Option<String>>(5)?.unwrap_or_default();
    let kind = OpKind::from_number(number).and_then(|kind| TrashKind::of(kind, &target));
    let kind =
        kind.ok_or_else(|| Error::Impossible(format!("an operation of kind {number} is in the trash")))?;
    let entry = TrashEntry {
        op: row.get(0)?,
        kind,
        repository: row.get(3)?,
        in_deleted_repository: row.get::<bool>(4)? && kind != TrashKind::Repository,
        target,
        at: row.get(6)?,
        by: row.get(7)?,
        remote: row.get(8)?,
        until: row.get(9)?,
        reason: row.get(10)?,
        tags: Vec::new(),
        manifests: 0,
        frees: Some(0),
    };
    Ok((row.get(2)?, entry))
}

/// Whether a repository has this name, or had it when it was deleted or before it was renamed.
pub fn has_or_had_name(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<bool, Error> {
    Ok(has_name(tx, name)? || !renamed_from(tx, name)?.is_empty())
}

/// Whether a repository has this name, or had it when it was deleted. Who may do something by a name may do it to those.
pub fn has_name(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<bool, Error> {
    Ok(!ids_of(tx, name)?.is_empty())
}

/// The repository that had a name before it was renamed, if there is one.
fn renamed_from(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<Vec<i64>, Error> {
    tx.query(
        "SELECT repo_id FROM repo_names WHERE name = ?1",
        values![name],
        |row: &Row<'_>| row.get(0),
    )
}

/// Repositories that have a name or had it when they were deleted.
pub(crate) fn ids_of(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<Vec<i64>, Error> {
    tx.query(
        "SELECT id FROM repos WHERE name = ?1 AND deleted_at IS NULL
         UNION ALL SELECT id FROM repos WHERE name = ?1 AND deleted_at IS NOT NULL",
        values![name],
        |row: &Row<'_>| row.get(0),
    )
}

fn with_contents(tx: &mut Tx<'_>, repo: i64, mut entry: TrashEntry) -> Result<TrashEntry, Error> {
    match entry.kind {
        TrashKind::Tag | TrashKind::Manifest => {
            if entry.kind == TrashKind::Manifest {
                entry.tags = tx.query(
                    "SELECT name FROM tag_events WHERE op_id = ?1 AND new_digest IS NULL LIMIT ?2",
                    values![entry.op, TAGS_MAX],
                    |row: &Row<'_>| row.get(0),
                )?;
                entry.tags.sort();
            }
            let count = tx.first(
                "SELECT COUNT(*) FROM manifests WHERE trash_op = ?1 AND trashed_at IS NOT NULL",
                values![entry.op],
                |row: &Row<'_>| row.get(0),
            )?;
            entry.manifests = count.unwrap_or(0);
            entry.frees = freed_by_operation(tx, entry.op)?;
        }
        TrashKind::Blob => entry.frees = freed_by_blob(tx, repo, &entry.target)?,
        TrashKind::Repository => {
            let usage = crate::usage::usage_of(tx, repo)?;
            entry.manifests = u64::try_from(usage.manifests + usage.trashed).unwrap_or(0);
            entry.frees = freed_by_repository(tx, repo)?;
        }
    }
    Ok(entry)
}

/// The bytes of a hidden blob, if nothing else has it.
fn freed_by_blob(tx: &mut Tx<'_>, repo: i64, target: &str) -> Result<Option<u64>, Error> {
    let Ok(digest) = target.parse::<Digest>() else {
        return Ok(Some(0));
    };
    let size = tx.first(
        "SELECT b.size FROM blobs b JOIN repo_blobs l ON l.blob_id = b.id
         WHERE b.digest = ?2 AND l.repo_id = ?1 AND l.hidden_at IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM repo_blobs o WHERE o.blob_id = b.id AND o.repo_id <> ?1)
           AND NOT EXISTS (SELECT 1 FROM manifest_blobs e WHERE e.repo_id = ?1 AND e.blob_id = b.id)",
        values![repo, &digest],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(Some(size.unwrap_or(0)))
}

/// Bytes of the blobs that only this repository has.
fn freed_by_repository(tx: &mut Tx<'_>, repo: i64) -> Result<Option<u64>, Error> {
    let sizes: Vec<(i64, u64)> = tx.query(
        "SELECT b.id, b.size FROM repo_blobs l JOIN blobs b ON b.id = l.blob_id WHERE l.repo_id = ?1
           AND NOT EXISTS (SELECT 1 FROM repo_blobs o WHERE o.blob_id = l.blob_id AND o.repo_id <> ?1) LIMIT ?2",
        values![repo, BLOBS_MAX],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(sum(sizes))
}

/// Each blob once; none where there may be more.
fn sum(mut sizes: Vec<(i64, u64)>) -> Option<u64> {
    if sizes.len() >= BLOBS_MAX {
        return None;
    }
    sizes.sort_unstable();
    sizes.dedup();
    Some(sizes.into_iter().map(|(_, size)| size).sum())
}

/// The operation that took away what is named so; none if nothing of that name is in the trash.
pub fn find_in_trash(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    what: Option<&oci::Reference>,
    now: i64,
) -> Result<Option<i64>, Error> {
    let newest = |row: &Row<'_>| row.get::<i64>(0);
    match what {
        None => tx.first(
            "SELECT r.delete_op FROM repos r JOIN ops o ON o.id = r.delete_op
             WHERE r.name = ?1 AND r.deleted_at IS NOT NULL AND r.purge_at IS NOT NULL AND o.until > o.at ORDER BY r.id DESC LIMIT 1",
            values![repo],
            newest,
        ),
        Some(oci::Reference::Tag(tag)) => tx.first(
            "SELECT o.id FROM repos r JOIN tag_events e ON e.repo_id = r.id JOIN ops o ON o.id = e.op_id
             WHERE r.name = ?1 AND r.deleted_at IS NULL AND e.name = ?2 AND e.new_digest IS NULL
               AND o.undone_by IS NULL AND (o.until > ?3 OR o.until > o.at AND EXISTS
                 (SELECT 1 FROM manifests m WHERE m.trash_op = o.id AND m.trashed_at IS NOT NULL))
             ORDER BY e.seq DESC LIMIT 1",
            values![repo, tag, now],
            newest,
        ),
        Some(oci::Reference::Digest(digest)) => {
            let manifest = tx.first(
                "SELECT m.trash_op FROM repos r JOIN manifests m ON m.repo_id = r.id
                 JOIN ops o ON o.id = m.trash_op WHERE r.name = ?1 AND r.deleted_at IS NULL AND m.digest = ?2
                   AND m.trashed_at IS NOT NULL AND o.until > o.at",
                values![repo, digest],
                newest,
            )?;
            match manifest {
                Some(op) => Ok(Some(op)),
                None => find_blob(tx, repo, digest, now),
            }
        }
    }
}

/// Digests from `low` to `high` that are in the trash of a repository, as manifests or as blobs; in order, at most `limit`.
pub fn in_trash_between(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    (low, high): (&Digest, &Digest),
    limit: usize,
) -> Result<Vec<Digest>, Error> {
    let one = |row: &Row<'_>| row.get(0);
    let mut found: Vec<Digest> = tx.query(
        "SELECT m.digest FROM repos r JOIN manifests m ON m.repo_id = r.id JOIN ops o ON o.id = m.trash_op
         WHERE r.name = ?1 AND r.deleted_at IS NULL AND m.digest >= ?2 AND m.digest <= ?3
           AND m.trashed_at IS NOT NULL AND o.until > o.at ORDER BY m.digest LIMIT ?4",
        values![repo, low, high, limit],
        one,
    )?;
    found.extend(tx.query(
        "SELECT b.digest FROM repos r JOIN repo_blobs l ON l.repo_id = r.id JOIN blobs b ON b.id = l.blob_id
         WHERE r.name = ?1 AND r.deleted_at IS NULL AND b.digest >= ?2 AND b.digest <= ?3 AND l.hidden_at IS NOT NULL
         ORDER BY b.digest LIMIT ?4",
        values![repo, low, high, limit],
        one,
    )?);
    found.sort();
    found.dedup();
    found.truncate(limit);
    Ok(found)
}

fn find_blob(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    digest: &Digest,
    now: i64,
) -> Result<Option<i64>, Error> {
    tx.first(
        "SELECT o.id FROM repos r JOIN ops o ON o.repo_id = r.id
         WHERE r.name = ?1 AND r.deleted_at IS NULL AND o.until > ?3 AND o.undone_by IS NULL AND o.kind = ?4
           AND o.target = ?2 ORDER BY o.until DESC, o.id DESC LIMIT 1",
        values![repo, &digest.to_string(), now, OpKind::Unlink as i64],
        |row: &Row<'_>| row.get(0),
    )
}
