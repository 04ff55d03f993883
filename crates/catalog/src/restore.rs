//! Taking an operation back: a manifest out of the trash with what went with it, a blob into its repository, a tag to
//! where it pointed (P-RESTORE).
//!
//! Nothing is overwritten by it: a tag that has been set anew since stays, and is reported. Fails never by halves; an
//! operation whose manifests were purged is `Gone`.

use oci::{Digest, Tag};

use crate::Error;
use crate::history::{ChangeKind, EventKind, OpKind, record_change, record_op};
use crate::manifests::{find_live, keep_until};
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};
use crate::stamps::Slot;
use crate::tags::{Held, Setting, Target, find_tag, remove_tag, set_tag};
use crate::usage::{Usage, count};

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Restored {
    /// As it was before the operation, as far as nothing new stands in the way.
    Done {
        /// Manifests that are served again.
        manifests: Vec<Digest>,
        /// Tags that are as they were.
        tags: Vec<Tag>,
        /// Tags that were set or deleted by somebody since, and stay as they are.
        taken: Vec<Tag>,
    },
    /// There is no such operation, or it is none that can be taken back.
    Unknown,
    /// It was taken back before.
    AlreadyUndone,
    /// What it took away is gone for good, or is back already.
    Gone,
}

/// Who takes an operation back, and when.
struct Restore<'a> {
    repo: Repo,
    /// The operation that takes back.
    op: i64,
    actor: Option<&'a str>,
    now: i64,
    keep_ms: i64,
    manifests: Vec<Digest>,
    tags: Vec<Tag>,
    taken: Vec<Tag>,
}

/// One step of a tag that the operation made.
struct Step {
    tag: Tag,
    old: Option<Digest>,
    new: Option<Digest>,
}

/// Takes the operation `op` back.
pub fn restore(
    tx: &mut Tx<'_>,
    op: i64,
    now: i64,
    keep_ms: i64,
    actor: Option<&str>,
) -> Result<Restored, Error> {
    let found = tx.first(
        "SELECT o.kind, o.target, o.undone_by, r.id, r.namespace_id, r.name FROM ops o JOIN repos r ON r.id = o.repo_id
         WHERE o.id = ?1 AND r.deleted_at IS NULL @update OF o",
        values![op],
        |row: &Row<'_>| {
            let slot = Slot::of(&row.get::<String>(5)?);
            let repo = Repo { id: row.get(3)?, namespace_id: row.get(4)?, slot };
            Ok((row.get::<i64>(0)?, row.get::<Option<String>>(1)?, row.get::<Option<i64>>(2)?, repo))
        },
    )?;
    let Some((kind, target, undone_by, repo)) = found else {
        return Ok(Restored::Unknown);
    };
    let Some(kind) = OpKind::from_number(kind).filter(|&kind| kind != OpKind::Restore) else {
        return Ok(Restored::Unknown);
    };
    if undone_by.is_some() {
        return Ok(Restored::AlreadyUndone);
    }
    let undo = record_op(
        tx,
        OpKind::Restore,
        repo,
        target.as_deref().unwrap_or_default(),
        actor,
        now,
    )?;
    let mut restore = Restore {
        repo,
        op: undo,
        actor,
        now,
        keep_ms,
        manifests: Vec::new(),
        tags: Vec::new(),
        taken: Vec::new(),
    };
    let is_back = match kind {
        OpKind::Trash => restore.manifests(tx, op)?,
        OpKind::Unlink => restore.link(tx, target.as_deref())?,
        OpKind::Tag | OpKind::Untag | OpKind::Restore => true,
    };
    if !is_back {
        tx.give_up();
        return Ok(Restored::Gone);
    }
    restore.tags(tx, op)?;
    tx.execute("UPDATE ops SET undone_by = ?2 WHERE id = ?1", values![op, undo])?;
    let Restore {
        manifests,
        tags,
        taken,
        ..
    } = restore;
    Ok(Restored::Done {
        manifests,
        tags,
        taken,
    })
}

impl Restore<'_> {
    /// Everything that went in one operation, and the children that it needs. False if nothing of it is in the trash.
    fn manifests(&mut self, tx: &mut Tx<'_>, op: i64) -> Result<bool, Error> {
        let mut next = tx.query(
            "SELECT id, digest FROM manifests WHERE trash_op = ?1 ORDER BY id @update",
            values![op],
            found,
        )?;
        // Children that would have followed stay.
        tx.execute(
            "UPDATE manifests SET trash_op = NULL WHERE trash_op = ?1 AND trashed_at IS NULL",
            values![op],
        )?;
        while let Some((id, digest)) = next.pop() {
            if self.revive(tx, id, &digest)? {
                next.extend(tx.query(
                    "SELECT m.id, m.digest FROM manifest_children c JOIN manifests m ON m.id = c.child_id
                     WHERE c.parent_id = ?1 AND m.trashed_at IS NOT NULL ORDER BY m.id @update OF m",
                    values![id],
                    found,
                )?);
            }
        }
        Ok(!self.manifests.is_empty())
    }

    /// One manifest, and the links that its edges need. False if it is back already.
    fn revive(&mut self, tx: &mut Tx<'_>, id: i64, digest: &Digest) -> Result<bool, Error> {
        let until = self.now.saturating_add(self.keep_ms);
        let revived = tx.execute(
            "UPDATE manifests SET trashed_at = NULL, purge_at = NULL, trash_op = NULL, review_at = ?2
             WHERE id = ?1 AND trashed_at IS NOT NULL",
            values![id, until],
        )?;
        if revived == 0 {
            return Ok(false);
        }
        tx.execute(
            "UPDATE repo_blobs SET hidden_at = NULL WHERE repo_id = ?1 AND hidden_at IS NOT NULL
               AND blob_id IN (SELECT e.blob_id FROM manifest_blobs e WHERE e.manifest_id = ?2)",
            values![self.repo.id, id],
        )?;
        count(
            tx,
            self.repo,
            Usage {
                manifests: 1,
                trashed: -1,
                ..Usage::default()
            },
        )?;
        record_change(tx, ChangeKind::Manifest, self.repo, &digest.to_string(), self.now)?;
        self.manifests.push(digest.clone());
        Ok(true)
    }

    /// A blob that was taken out of the repository. False if it is not hidden there.
    fn link(&mut self, tx: &mut Tx<'_>, target: Option<&str>) -> Result<bool, Error> {
        let Some(digest) = target.and_then(|target| target.parse::<Digest>().ok()) else {
            return Ok(false);
        };
        let shown = tx.execute(
            "UPDATE repo_blobs SET hidden_at = NULL,
               review_at = CASE WHEN review_at IS NULL THEN NULL WHEN review_at < ?3 THEN ?3 ELSE review_at END
             WHERE repo_id = ?1 AND hidden_at IS NOT NULL
               AND blob_id = (SELECT b.id FROM blobs b WHERE b.digest = ?2)",
            values![self.repo.id, &digest, self.now.saturating_add(self.keep_ms)],
        )?;
        record_change(tx, ChangeKind::Blob, self.repo, &digest.to_string(), self.now)?;
        Ok(shown > 0)
    }

    /// Every tag that the operation changed, unless somebody changed it since.
    fn tags(&mut self, tx: &mut Tx<'_>, op: i64) -> Result<(), Error> {
        let steps = tx.query(
            "SELECT name, old_digest, new_digest FROM tag_events WHERE op_id = ?1 ORDER BY name",
            values![op],
            |row: &Row<'_>| {
                Ok(Step {
                    tag: row.get(0)?,
                    old: row.get(1)?,
                    new: row.get(2)?,
                })
            },
        )?;
        for step in steps {
            let back = match &step.old {
                Some(old) => self.set_back(tx, &step, old)?,
                None => self.take_away(tx, &step)?,
            };
            let list = if back { &mut self.tags } else { &mut self.taken };
            list.push(step.tag);
        }
        Ok(())
    }

    fn set_back(&mut self, tx: &mut Tx<'_>, step: &Step, old: &Digest) -> Result<bool, Error> {
        let Some(id) = find_live(tx, self.repo, old)? else {
            return Ok(false);
        };
        let mut setting = Setting {
            repo: self.repo,
            kind: EventKind::Restored,
            actor: self.actor,
            now: self.now,
            keep_ms: self.keep_ms,
            op: Some(self.op),
        };
        let must_be = step.new.as_ref().map_or(Held::Nothing, Held::This);
        set_tag(tx, &mut setting, &step.tag, Target { id, digest: old }, &must_be)
    }

    fn take_away(&mut self, tx: &mut Tx<'_>, step: &Step) -> Result<bool, Error> {
        match find_tag(tx, self.repo, &step.tag)? {
            Some((id, digest)) if Some(&digest) == step.new.as_ref() => {
                remove_tag(
                    tx,
                    self.repo,
                    self.op,
                    EventKind::Restored,
                    &step.tag,
                    &digest,
                    self.now,
                )?;
                keep_until(tx, id, self.now.saturating_add(self.keep_ms))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

fn found(row: &Row<'_>) -> Result<(i64, Digest), Error> {
    Ok((row.get(0)?, row.get(1)?))
}
