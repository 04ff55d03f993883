//! The removal of what rules let go, a batch in a transaction: each is looked at once more before it goes.
//!
//! Nothing is done by who is no longer the one that runs retention, and a batch is done whole or not at all.

use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::guard::immutable_by;
use crate::history::{EventKind, record_retention};
use crate::leases::{Turn, holds_turn};
use crate::manifests::{find_live, keep_until};
use crate::repos::{Repo, undo_ms};
use crate::retention::facts::described;
use crate::sql::{Row, Tx, values};
use crate::tags::{find_tag, remove_tag};
use crate::trash::{Trashing, is_rooted};

/// Something that rules let go, as it was when that was decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Removal {
    /// A tag.
    Tag {
        /// Its name.
        tag: Tag,
        /// The event that set it.
        event: i64,
        /// Its place, which a push moves that changes nothing else.
        ranked_at: i64,
        /// When it was last pulled.
        pulled_at: Option<i64>,
        /// Why it goes, for the history.
        reason: String,
    },
    /// A manifest that nothing holds.
    Untagged {
        /// Its digest.
        digest: Digest,
        /// When its last lease ended.
        loose_at: i64,
        /// Why it goes, for the history.
        reason: String,
    },
}

/// Who removes, and when.
#[derive(Clone, Debug)]
pub struct Retaining {
    /// Whose tags.
    pub repo: RepositoryName,
    /// The turn that must still be ours.
    pub turn: Turn,
    /// The time.
    pub now: i64,
    /// How long a manifest stays that lost its last tag.
    pub keep_ms: i64,
    /// How long what goes can be brought back, unless the repository says otherwise.
    pub undo_ms: i64,
    /// Who asked for it; none: the schedule.
    pub actor: Option<String>,
}

impl Retaining {
    /// Until when what goes now can be brought back.
    fn until(&self, tx: &mut Tx<'_>, repo: Repo) -> Result<i64, Error> {
        Ok(self.now.saturating_add(undo_ms(tx, repo, self.undo_ms)?))
    }
}

/// What went.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Removed {
    /// Tags.
    pub tags: usize,
    /// Untagged manifests that went, with what hung on them.
    pub manifests: usize,
    /// Manifests that lost their last tag and follow it when the lease ends: number and repository.
    pub untagged: Vec<(i64, i64)>,
    /// What had changed meanwhile, and stays.
    pub changed: usize,
    /// The operations, one for each that went: to bring it back by.
    pub ops: Vec<i64>,
}

/// Removes a batch. None if the turn is no longer ours: then nothing was done.
pub fn retain(tx: &mut Tx<'_>, with: &Retaining, batch: &[Removal]) -> Result<Option<Removed>, Error> {
    if !holds_turn(tx, &with.turn, with.now)? {
        return Ok(None);
    }
    let mut removed = Removed::default();
    let Some(repo) = Repo::hold(tx, &with.repo)? else {
        removed.changed = batch.len();
        return Ok(Some(removed));
    };
    for one in batch {
        let went = match one {
            Removal::Tag {
                tag,
                event,
                ranked_at,
                pulled_at,
                reason,
            } => remove_one_tag(tx, repo, with, (tag, (*event, *ranked_at, *pulled_at)), reason)?,
            Removal::Untagged {
                digest,
                loose_at,
                reason,
            } => trash_untagged(tx, repo, with, (digest, *loose_at), reason)?,
        };
        let Some(Went {
            op,
            manifests,
            untagged,
        }) = went
        else {
            removed.changed += 1;
            continue;
        };
        removed.ops.push(op);
        removed.manifests += manifests;
        removed
            .untagged
            .extend(untagged.map(|manifest| (manifest, repo.id)));
        removed.tags += usize::from(matches!(one, Removal::Tag { .. }));
    }
    Ok(Some(removed))
}

/// One that went: by which operation, how many manifests with it, and which one follows later.
struct Went {
    op: i64,
    manifests: usize,
    untagged: Option<i64>,
}

/// Removes a tag; nothing if it is not as it was.
fn remove_one_tag(
    tx: &mut Tx<'_>,
    repo: Repo,
    with: &Retaining,
    (tag, was): (&Tag, (i64, i64, Option<i64>)),
    reason: &str,
) -> Result<Option<Went>, Error> {
    let Some((manifest, digest)) = find_tag(tx, repo, tag)? else {
        return Ok(None);
    };
    let is: (i64, i64, Option<i64>) = tx
        .first(
            "SELECT t.event_seq, t.ranked_at, (SELECT max(p.last_at) FROM pulls p
               WHERE p.manifest_id = t.manifest_id AND p.tag IN (t.name, ''))
             FROM tags t WHERE t.repo_id = ?1 AND t.name = ?2",
            values![repo.id, tag],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?
        .unwrap_or_default();
    if is != was || immutable_by(tx, repo, tag)?.is_some() || described(tx, repo, tag)?.is_some() {
        return Ok(None);
    }
    let by = (with.actor.as_deref(), reason);
    let until = with.until(tx, repo)?;
    let op = record_retention(tx, repo, tag, by, with.now, until)?;
    remove_tag(tx, repo, op, EventKind::Deleted, tag, &digest, with.now)?;
    keep_until(tx, manifest, with.now.saturating_add(with.keep_ms))?;
    if is_rooted(tx, manifest)? {
        return Ok(Some(Went {
            op,
            manifests: 0,
            untagged: None,
        }));
    }
    let follows = tx.execute(
        "UPDATE manifests SET trash_op = ?2 WHERE id = ?1 AND trashed_at IS NULL",
        values![manifest, op],
    )?;
    Ok(Some(Went {
        op,
        manifests: 0,
        untagged: (follows > 0).then_some(manifest),
    }))
}

/// Moves an untagged manifest to the trash, with what hangs on it; nothing if it is not as it was.
fn trash_untagged(
    tx: &mut Tx<'_>,
    repo: Repo,
    with: &Retaining,
    (digest, loose_at): (&Digest, i64),
    reason: &str,
) -> Result<Option<Went>, Error> {
    let Some(id) = find_live(tx, repo, digest)? else {
        return Ok(None);
    };
    let is_same = tx.exists(
        "SELECT 1 FROM manifests WHERE id = ?1 AND COALESCE(loose_at, review_at) = ?2 AND trash_op IS NULL",
        values![id, loose_at],
    )?;
    if !is_same || loose_at > with.now || is_rooted(tx, id)? {
        return Ok(None);
    }
    let target = digest.to_string();
    let by = (with.actor.as_deref(), reason);
    let until = with.until(tx, repo)?;
    let op = record_retention(tx, repo, &target, by, with.now, until)?;
    let mut trashing = Trashing::new(repo, op, with.now, until);
    trashing.run(tx, id, digest)?;
    Ok(Some(Went {
        op,
        manifests: trashing.manifests.len(),
        untagged: None,
    }))
}
