//! Moving a manifest to the trash, with what hangs on it alone (P-TRASH). Edges stay, so coming back is a flag.
//!
//! With it go its tags, its referrers that nothing else holds, and its children that nothing else holds; all in one
//! operation, and so on down. A manifest that a live index lists is refused. Source: distribution-spec "Deleting manifests".

use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::history::{ChangeKind, EventKind, OpKind, record_change, record_op};
use crate::manifests::find_live;
use crate::repos::Repo;
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
struct Sweep {
    repo: Repo,
    op: i64,
    now: i64,
    purge_at: i64,
    tags: Vec<Tag>,
    manifests: Vec<Digest>,
}

/// Moves a manifest to the trash, where it can be brought back from for `undo_ms`.
pub fn trash_manifest(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    digest: &Digest,
    now: i64,
    undo_ms: i64,
    actor: Option<&str>,
) -> Result<Trashed, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(Trashed::Unknown);
    };
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
    let op = record_op(tx, OpKind::Trash, repo, &digest.to_string(), actor, now)?;
    let purge_at = now.saturating_add(undo_ms);
    let mut sweep = Sweep {
        repo,
        op,
        now,
        purge_at,
        tags: Vec::new(),
        manifests: Vec::new(),
    };
    let mut next = vec![(id, digest.clone())];
    while let Some((id, digest)) = next.pop() {
        if sweep.trash(tx, id, &digest)? {
            next.extend(sweep.referrers(tx, &digest)?);
            next.extend(sweep.children(tx, id)?);
        }
    }
    let mut tags = sweep.tags;
    tags.sort();
    Ok(Trashed::Done {
        op,
        tags,
        manifests: sweep.manifests,
    })
}

impl Sweep {
    /// One manifest and its tags. False if it went already.
    fn trash(&mut self, tx: &mut Tx<'_>, id: i64, digest: &Digest) -> Result<bool, Error> {
        let trashed = tx.execute(
            "UPDATE manifests SET trashed_at = ?2, purge_at = ?3, trash_op = ?4, review_at = NULL
             WHERE id = ?1 AND trashed_at IS NULL",
            values![id, self.now, self.purge_at, self.op],
        )?;
        if trashed == 0 {
            return Ok(false);
        }
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

    /// Live referrers of a manifest that no tag and no live index holds, locked.
    fn referrers(&self, tx: &mut Tx<'_>, subject: &Digest) -> Result<Vec<(i64, Digest)>, Error> {
        tx.query(
            "SELECT m.id, m.digest FROM manifests m
             WHERE m.repo_id = ?1 AND m.subject_digest = ?2 AND m.trashed_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)
               AND NOT EXISTS (SELECT 1 FROM manifest_children c JOIN manifests p ON p.id = c.parent_id
                               WHERE c.child_id = m.id AND p.trashed_at IS NULL)
             ORDER BY m.id @update OF m",
            values![self.repo.id, subject],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// Live children of an index that no tag, no other live index, no live subject and no lease holds, locked.
    fn children(&self, tx: &mut Tx<'_>, parent: i64) -> Result<Vec<(i64, Digest)>, Error> {
        tx.query(
            "SELECT m.id, m.digest FROM manifests m
             WHERE m.id IN (SELECT c.child_id FROM manifest_children c WHERE c.parent_id = ?1)
               AND m.trashed_at IS NULL AND (m.review_at IS NULL OR m.review_at <= ?2)
               AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)
               AND NOT EXISTS (SELECT 1 FROM manifest_children c JOIN manifests p ON p.id = c.parent_id
                               WHERE c.child_id = m.id AND p.trashed_at IS NULL)
               AND NOT EXISTS (SELECT 1 FROM manifests s WHERE s.repo_id = m.repo_id
                               AND s.digest = m.subject_digest AND s.trashed_at IS NULL)
             ORDER BY m.id @update OF m",
            values![parent, self.now],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
        )
    }
}
