//! Taking a delete back: a manifest out of the trash with what went with it, a repository, a blob into its repository, a
//! tag to where it pointed (P-RESTORE).
//!
//! Only what the trash lists can come back so; a push is none of it, and is taken back by moving its tag (`rollback`).
//! Nothing is overwritten unless that is wished: a tag that has been set anew since stays, and is reported. Fails never by
//! halves; an operation whose manifests were purged is `Gone`, one that is purged in part says which.

use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::history::{ChangeKind, EventKind, OpKind, record_change, record_op};
use crate::manifests::find_live;
use crate::repos::{Back, Repo, bring_back};
use crate::revive::Revival;
use crate::sql::{Row, Tx, values};
use crate::stamps::Slot;
use crate::tags::{Held, Setting, Target, find_tag, set_tag};
use crate::trash_views::TrashKind;

mod outcome;

pub use outcome::{RestoreWish, Restored, TakenTag};

/// Who takes an operation back, and when.
struct Restore<'a> {
    revival: Revival,
    wish: &'a RestoreWish,
    /// The operation that takes back.
    op: i64,
    actor: Option<&'a str>,
    tags: Vec<Tag>,
    taken: Vec<TakenTag>,
    gone: Vec<Digest>,
}

/// A tag that the operation took, and where it led.
struct Step {
    tag: Tag,
    old: Digest,
}

/// An operation that may be taken back.
struct Undoable {
    kind: OpKind,
    target: String,
    /// Until when; none: it took nothing away.
    until: Option<i64>,
    undone_by: Option<i64>,
    /// Whether its window was ended by hand, or was none.
    is_final: bool,
    repo: Repo,
    name: RepositoryName,
    is_deleted: bool,
}

/// Takes the operation `op` back, if it is in the trash.
pub fn restore(
    tx: &mut Tx<'_>,
    op: i64,
    wish: &RestoreWish,
    now: i64,
    keep_ms: i64,
    actor: Option<&str>,
) -> Result<Restored, Error> {
    let Some(found) = find(tx, op)? else {
        return Ok(Restored::Unknown);
    };
    let Some(until) = found.until else {
        return Ok(Restored::NotInTrash);
    };
    if found.undone_by.is_some() {
        return Ok(Restored::AlreadyUndone);
    }
    // Of a tag nothing but its window says how long it can come back; all else can until it is purged, so a hold prolongs it.
    // What was emptied is final though, whether or not the collector came.
    if found.is_final {
        return Ok(Restored::Gone);
    }
    let is_tag = TrashKind::of(found.kind, &found.target) == Some(TrashKind::Tag);
    if is_tag && until <= now && !holds_manifest(tx, op)? {
        return Ok(Restored::Gone);
    }
    if found.is_deleted && found.kind != OpKind::RepoDelete {
        return Ok(Restored::RepositoryDeleted(found.name));
    }
    let undo = record_op(tx, OpKind::Restore, found.repo, &found.target, actor, now)?;
    tx.execute("UPDATE ops SET undone_by = ?2 WHERE id = ?1", values![op, undo])?;
    let restored = if found.kind == OpKind::RepoDelete {
        match bring_back(tx, found.repo.id, op, wish.as_repository.as_ref(), now)? {
            Back::Done(name) => Restored::Repository(name),
            Back::NameTaken(name) => Restored::NameTaken(name),
            Back::Gone => Restored::Gone,
        }
    } else {
        let restore = Restore {
            revival: Revival::new(found.repo, now, keep_ms),
            wish,
            op: undo,
            actor,
            tags: Vec::new(),
            taken: Vec::new(),
            gone: Vec::new(),
        };
        restore.run(tx, op, &found)?
    };
    let is_done = matches!(restored, Restored::Done { .. } | Restored::Repository(_));
    if !is_done || wish.dry_run {
        tx.give_up();
    }
    Ok(restored)
}

fn find(tx: &mut Tx<'_>, op: i64) -> Result<Option<Undoable>, Error> {
    let found = tx.first(
        "SELECT o.kind, o.target, o.undone_by, r.id, r.namespace_id, r.name, r.deleted_at IS NOT NULL, o.until,
           o.until <= o.at
         FROM ops o JOIN repos r ON r.id = o.repo_id WHERE o.id = ?1 @update OF o @keyshare OF r",
        values![op],
        |row: &Row<'_>| {
            let name: RepositoryName = row.get(5)?;
            let repo = Repo {
                id: row.get(3)?,
                namespace_id: row.get(4)?,
                slot: Slot::of(&name),
            };
            let kind = OpKind::from_number(row.get(0)?);
            let target = row.get::<Option<String>>(1)?.unwrap_or_default();
            let is_trash = kind.is_some_and(|kind| TrashKind::of(kind, &target).is_some());
            let until = row.get::<Option<i64>>(7)?.filter(|_| is_trash);
            let (undone_by, is_deleted) = (row.get(2)?, row.get(6)?);
            let is_final = row.get::<Option<bool>>(8)?.unwrap_or(false);
            Ok(kind.map(|kind| Undoable {
                kind,
                target,
                until,
                undone_by,
                is_final,
                repo,
                name,
                is_deleted,
            }))
        },
    )?;
    Ok(found.flatten())
}

impl Restore<'_> {
    fn run(mut self, tx: &mut Tx<'_>, op: i64, found: &Undoable) -> Result<Restored, Error> {
        match found.kind {
            // The manifest of a tag may not have gone yet, or by the operation of another of its tags; or be back by a push.
            OpKind::Trash | OpKind::Retention => {
                self.revival.operation(tx, op)?;
                self.gone = gone(tx, op, self.revival.repo)?;
            }
            OpKind::Unlink if !self.link(tx, &found.target)? => return Ok(Restored::Gone),
            OpKind::Unlink
            | OpKind::Tag
            | OpKind::Untag
            | OpKind::Restore
            | OpKind::RepoDelete
            | OpKind::RepoRename => {}
        }
        self.tags(tx, op)?;
        let came =
            !self.revival.manifests.is_empty() || !self.tags.is_empty() || found.kind == OpKind::Unlink;
        if !came && !self.taken.is_empty() {
            return Ok(Restored::Taken(self.taken));
        }
        if !came {
            return Ok(Restored::Gone);
        }
        Ok(Restored::Done {
            manifests: self.revival.manifests,
            tags: self.tags,
            taken: self.taken,
            gone: self.gone,
        })
    }

    /// A blob that was taken out of the repository. False if it is not hidden there.
    fn link(&mut self, tx: &mut Tx<'_>, target: &str) -> Result<bool, Error> {
        let Ok(digest) = target.parse::<Digest>() else {
            return Ok(false);
        };
        let Revival {
            repo, now, keep_ms, ..
        } = self.revival;
        let shown = tx.execute(
            "UPDATE repo_blobs SET hidden_at = NULL,
               review_at = CASE WHEN review_at IS NULL THEN NULL WHEN review_at < ?3 THEN ?3 ELSE review_at END
             WHERE repo_id = ?1 AND hidden_at IS NOT NULL
               AND blob_id = (SELECT b.id FROM blobs b WHERE b.digest = ?2)",
            values![repo.id, &digest, now.saturating_add(keep_ms)],
        )?;
        record_change(tx, ChangeKind::Blob, repo, &digest.to_string(), now)?;
        Ok(shown > 0)
    }

    /// Every tag that the operation changed, unless somebody changed it since.
    fn tags(&mut self, tx: &mut Tx<'_>, op: i64) -> Result<(), Error> {
        let steps = tx.query(
            "SELECT name, old_digest FROM tag_events WHERE op_id = ?1 AND old_digest IS NOT NULL ORDER BY name",
            values![op],
            |row: &Row<'_>| {
                Ok(Step {
                    tag: row.get(0)?,
                    old: row.get(1)?,
                })
            },
        )?;
        let must_be = if self.wish.force {
            Held::Anything
        } else {
            Held::Nothing
        };
        for step in &steps {
            self.set(tx, &step.tag, &step.old, &must_be)?;
        }
        self.rename(tx, &steps)
    }

    /// The tag that is taken, under another name, where that is wished.
    fn rename(&mut self, tx: &mut Tx<'_>, steps: &[Step]) -> Result<(), Error> {
        let Some(new) = &self.wish.as_tag else {
            return Ok(());
        };
        let taken = std::mem::take(&mut self.taken);
        let old = match &taken[..] {
            [one] => steps.iter().find(|step| step.tag == one.tag),
            _ => None,
        };
        let Some(old) = old.map(|step| &step.old) else {
            self.taken = taken;
            return Ok(());
        };
        self.set(tx, &new.clone(), old, &Held::Nothing)
    }

    fn set(&mut self, tx: &mut Tx<'_>, tag: &Tag, digest: &Digest, must_be: &Held<'_>) -> Result<(), Error> {
        let Revival {
            repo, now, keep_ms, ..
        } = self.revival;
        let current = find_tag(tx, repo, tag)?.map(|(_, digest)| digest);
        if current.as_ref() == Some(digest) {
            return Ok(());
        }
        let is_free = match must_be {
            Held::Anything => true,
            Held::Nothing => current.is_none(),
            Held::This(wanted) => current.as_ref() == Some(*wanted),
        };
        if !is_free {
            self.taken.push(taken(tx, repo, tag, digest)?);
            return Ok(());
        }
        // A manifest that somebody else trashed since is brought back too: the tag is to lead somewhere.
        if !self.revival.manifest(tx, digest)? {
            if !self.gone.contains(digest) {
                self.gone.push(digest.clone());
            }
            return Ok(());
        }
        let id = find_live(tx, repo, digest)?
            .ok_or_else(|| Error::Impossible(format!("manifest {digest} went while it came back")))?;
        let mut setting = Setting {
            repo,
            kind: EventKind::Restored,
            actor: self.actor,
            now,
            keep_ms,
            op: Some(self.op),
        };
        if set_tag(tx, &mut setting, tag, Target { id, digest }, must_be)? {
            self.tags.push(tag.clone());
        } else {
            self.taken.push(taken(tx, repo, tag, digest)?);
        }
        Ok(())
    }
}

/// The tag that stands in the way: where it leads, and who set it.
fn taken(tx: &mut Tx<'_>, repo: Repo, tag: &Tag, wanted: &Digest) -> Result<TakenTag, Error> {
    let Some((_, now)) = find_tag(tx, repo, tag)? else {
        return Err(Error::Impossible(format!(
            "tag {tag} is in the way, but is not there"
        )));
    };
    let last = tx.first(
        "SELECT e.at, u.name FROM tag_events e JOIN ops o ON o.id = e.op_id
         LEFT JOIN users u ON u.id = o.actor WHERE e.repo_id = ?1 AND e.name = ?2 ORDER BY e.seq DESC LIMIT 1",
        values![repo.id, tag],
        |row: &Row<'_>| {
            Ok(TakenTag {
                tag: tag.clone(),
                wanted: wanted.clone(),
                now: now.clone(),
                at: row.get(0)?,
                by: row.get(1)?,
            })
        },
    )?;
    last.ok_or_else(|| Error::Impossible(format!("tag {tag} has changed, but has no history")))
}

/// Whether a manifest that went with the operation is still there.
fn holds_manifest(tx: &mut Tx<'_>, op: i64) -> Result<bool, Error> {
    tx.exists(
        "SELECT 1 FROM manifests WHERE trash_op = ?1 AND trashed_at IS NOT NULL",
        values![op],
    )
}

/// The manifests of an operation that are purged.
fn gone(tx: &mut Tx<'_>, op: i64, repo: Repo) -> Result<Vec<Digest>, Error> {
    tx.query(
        "SELECT o.digest FROM op_manifests o WHERE o.op_id = ?1 AND NOT EXISTS
           (SELECT 1 FROM manifests m WHERE m.repo_id = ?2 AND m.digest = o.digest)",
        values![op, repo.id],
        |row: &Row<'_>| row.get(0),
    )
}
