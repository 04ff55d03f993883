//! Moving a manifest to the trash, with what hangs on it alone (P-TRASH). Edges stay, so coming back is a flag.
//!
//! With it go its tags, its referrers that nothing else holds, and its children that nothing else holds; all in one
//! operation, and so on down. A child that only its lease holds stays for now, and its `trash_op` names the operation
//! that it follows into when the lease ends (`gc::review_manifests`). A manifest that a live index lists is refused.
//! Source: distribution-spec "Deleting manifests".

use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::history::{ChangeKind, EventKind, OpKind, record_change, record_removal};
use crate::manifests::find_live;
use crate::repos::{Repo, undo_ms as undo_ms_of};
use crate::sql::{Row, Tx, values};
use crate::tags::remove_tag;
use crate::usage::{Usage, count};

/// Indexes named in a refusal.
const NAMED_MAX: i64 = 10;

/// What a delete did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trashed {
    /// It is in the trash.
    Done {
        /// The operation, to undo it by.
        op: i64,
        /// The tags that pointed to it, or to what went with it.
        tags: Vec<Tag>,
        /// Everything that went, itself first.
        manifests: Vec<Digest>,
    },
    /// There was no such manifest.
    Unknown,
    /// It must stay: live indexes list it.
    ListedBy(Vec<Digest>),
}

/// One run of P-TRASH.
pub(crate) struct Trashing {
    pub(crate) repo: Repo,
    pub(crate) op: i64,
    pub(crate) now: i64,
    /// When what goes now may be purged.
    pub(crate) purge_at: i64,
    pub(crate) tags: Vec<Tag>,
    pub(crate) manifests: Vec<Digest>,
}

/// Moves a manifest to the trash, where it can be brought back from for `undo_ms`, or for as long as its repository says.
pub fn trash_manifest(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    digest: &Digest,
    now: i64,
    undo_ms: i64,
    actor: Option<&str>,
) -> Result<Trashed, Error> {
    let Some(repo) = Repo::hold(tx, repo)? else {
        return Ok(Trashed::Unknown);
    };
    tx.lock(
        "SELECT 1 FROM manifests m JOIN tags t ON t.manifest_id = m.id
         WHERE m.repo_id = ?1 AND m.digest = ?2 ORDER BY t.name @update OF t",
        values![repo.id, digest],
    )?;
    let Some(id) = find_live(tx, repo, digest)? else {
        return Ok(Trashed::Unknown);
    };
    let parents = tx.query(
        "SELECT p.digest FROM manifest_children c JOIN manifests p ON p.id = c.parent_id
         WHERE c.child_id = ?1 AND p.trashed_at IS NULL LIMIT ?2",
        values![id, NAMED_MAX],
        |row: &Row<'_>| row.get(0),
    )?;
    if !parents.is_empty() {
        return Ok(Trashed::ListedBy(parents));
    }
    let purge_at = now.saturating_add(undo_ms_of(tx, repo, undo_ms)?);
    let target = digest.to_string();
    let op = record_removal(tx, OpKind::Trash, repo, &target, actor, now, Some(purge_at))?;
    let mut trashing = Trashing::new(repo, op, now, purge_at);
    trashing.run(tx, id, digest)?;
    let Trashing {
        mut tags, manifests, ..
    } = trashing;
    tags.sort();
    Ok(Trashed::Done { op, tags, manifests })
}

impl Trashing {
    pub(crate) fn new(repo: Repo, op: i64, now: i64, purge_at: i64) -> Self {
        Self {
            repo,
            op,
            now,
            purge_at,
            tags: Vec::new(),
            manifests: Vec::new(),
        }
    }

    /// A manifest whose row is locked, and what hangs on it alone.
    pub(crate) fn run(&mut self, tx: &mut Tx<'_>, id: i64, digest: &Digest) -> Result<(), Error> {
        let mut next = vec![(id, digest.clone())];
        while let Some((id, digest)) = next.pop() {
            if self.trash(tx, id, &digest)? {
                next.extend(self.referrers(tx, &digest)?);
                next.extend(self.children(tx, id)?);
            }
        }
        Ok(())
    }

    /// One manifest and its tags. False if it went already.
    pub(crate) fn trash(&mut self, tx: &mut Tx<'_>, id: i64, digest: &Digest) -> Result<bool, Error> {
        let trashed = tx.execute(
            "UPDATE manifests SET trashed_at = ?2, purge_at = ?3, trash_op = ?4, review_at = NULL, loose_at = NULL
             WHERE id = ?1 AND trashed_at IS NULL",
            values![id, self.now, self.purge_at, self.op],
        )?;
        if trashed == 0 {
            return Ok(false);
        }
        tx.execute(
            "INSERT INTO op_manifests(op_id, digest) VALUES (?1, ?2) ON CONFLICT(op_id, digest) DO NOTHING",
            values![self.op, digest],
        )?;
        let tags: Vec<Tag> = tx.query(
            "SELECT name FROM tags WHERE manifest_id = ?1 @update",
            values![id],
            |row: &Row<'_>| row.get(0),
        )?;
        for tag in tags {
            remove_tag(tx, self.repo, self.op, EventKind::Trashed, &tag, digest, self.now)?;
            self.tags.push(tag);
        }
        count(
            tx,
            self.repo,
            Usage {
                manifests: -1,
                trashed: 1,
                ..Usage::default()
            },
        )?;
        record_change(tx, ChangeKind::Manifest, self.repo, &digest.to_string(), self.now)?;
        self.manifests.push(digest.clone());
        Ok(true)
    }

    /// Live referrers of a manifest that no tag and no live index holds.
    fn referrers(&self, tx: &mut Tx<'_>, subject: &Digest) -> Result<Vec<Found>, Error> {
        let locked = tx.query(
            "SELECT m.id, m.digest FROM manifests m
             WHERE m.repo_id = ?1 AND m.subject_digest = ?2 AND m.trashed_at IS NULL ORDER BY m.id @update",
            values![self.repo.id, subject],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
        )?;
        // What holds a row is asked only after the row was locked, in a statement of its own: one that began before
        // the lock was granted does not see what the other transaction did.
        let mut free = Vec::new();
        for (id, digest) in locked {
            if !is_listed_or_tagged(tx, id)? {
                free.push((id, digest));
            }
        }
        Ok(free)
    }

    /// Live children of an index that no lease, no tag, no other live index and no live subject holds. One that only
    /// its lease holds is told to follow.
    fn children(&self, tx: &mut Tx<'_>, parent: i64) -> Result<Vec<Found>, Error> {
        let locked: Vec<(i64, Digest, Option<i64>)> = tx.query(
            "SELECT m.id, m.digest, m.review_at FROM manifests m
             WHERE m.id IN (SELECT c.child_id FROM manifest_children c WHERE c.parent_id = ?1)
               AND m.trashed_at IS NULL ORDER BY m.id @update",
            values![parent],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let mut free = Vec::new();
        for (id, digest, review_at) in locked {
            if is_rooted(tx, id)? {
                continue;
            }
            if review_at.is_some_and(|review_at| review_at > self.now) {
                tx.execute(
                    "UPDATE manifests SET trash_op = ?2 WHERE id = ?1",
                    values![id, self.op],
                )?;
            } else {
                free.push((id, digest));
            }
        }
        Ok(free)
    }
}

/// A manifest's row and digest.
type Found = (i64, Digest);

/// Whether a tag, a live index or a live subject holds a manifest.
pub(crate) fn is_rooted(tx: &mut Tx<'_>, id: i64) -> Result<bool, Error> {
    Ok(is_listed_or_tagged(tx, id)? || refers_to_live(tx, id)?)
}

fn is_listed_or_tagged(tx: &mut Tx<'_>, id: i64) -> Result<bool, Error> {
    tx.exists(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = ?1)
           OR EXISTS (SELECT 1 FROM manifest_children c JOIN manifests p ON p.id = c.parent_id
                      WHERE c.child_id = ?1 AND p.trashed_at IS NULL)",
        values![id],
    )
}

fn refers_to_live(tx: &mut Tx<'_>, id: i64) -> Result<bool, Error> {
    tx.exists(
        "SELECT 1 FROM manifests m JOIN manifests s ON s.repo_id = m.repo_id AND s.digest = m.subject_digest
         WHERE m.id = ?1 AND s.trashed_at IS NULL",
        values![id],
    )
}
