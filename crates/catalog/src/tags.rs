//! Tags: set, delete, list. Every step is an event of the tag's history, in the same transaction.
//!
//! The row is locked before its event gets a number, so that the order of events is the order of commits (I8).

use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::guard::may_change;
use crate::history::{Event, EventKind, OpKind, record_event, record_op, record_removal};
use crate::manifests::keep_until;
use crate::pushes::{Push, next_rank, push_again};
use crate::repos::{Repo, cut, undo_ms as undo_ms_of, without_nul};
use crate::sql::{Row, Tx, values};
use crate::usage::{Usage, count};

/// One page of the tags of a repository.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TagPage {
    /// Whether there is such a repository.
    pub known: bool,
    /// In byte order.
    pub tags: Vec<String>,
    /// Whether there is at least one after them.
    pub more: bool,
}

/// Tags after `last`, at most `limit`; no limit lists all.
pub fn list_tags(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    last: Option<&str>,
    limit: Option<usize>,
) -> Result<TagPage, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(TagPage::default());
    };
    let after = without_nul(last.unwrap_or_default());
    let limit = limit.unwrap_or(usize::MAX);
    let tags = tx.query(
        "SELECT name FROM tags WHERE repo_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
        values![repo.id, after, limit.saturating_add(1)],
        |row: &Row<'_>| row.get(0),
    )?;
    let (tags, more) = cut(tags, limit);
    Ok(TagPage {
        known: true,
        tags,
        more,
    })
}

/// How many bytes the names after `last` have, together, with three more for each: what a list of all of them takes.
pub fn weigh_tags(tx: &mut Tx<'_>, repo: &RepositoryName, last: Option<&str>) -> Result<usize, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(0);
    };
    let after = without_nul(last.unwrap_or_default());
    let bytes = tx.first(
        "SELECT sum(octet_length(name) + 3) FROM tags WHERE repo_id = ?1 AND name > ?2",
        values![repo.id, after],
        |row: &Row<'_>| row.get::<Option<usize>>(0),
    )?;
    Ok(bytes.flatten().unwrap_or(0))
}

/// What must hold of a tag before it is set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Held<'a> {
    Anything,
    Nothing,
    This(&'a Digest),
}

/// A manifest that tags may be set to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) id: i64,
    pub(crate) digest: &'a Digest,
}

/// Who sets tags, and when. The operation is written down with the first tag that changes.
pub(crate) struct Setting<'a> {
    pub(crate) repo: Repo,
    pub(crate) kind: EventKind,
    pub(crate) actor: Option<&'a str>,
    pub(crate) now: i64,
    pub(crate) keep_ms: i64,
    pub(crate) op: Option<i64>,
}

/// Sets a tag, which the caller's transaction holds the manifest of. False if it was not as it must be. Fails where it is
/// immutable and leads elsewhere.
pub(crate) fn set_tag(
    tx: &mut Tx<'_>,
    setting: &mut Setting<'_>,
    tag: &Tag,
    target: Target<'_>,
    must_be: &Held<'_>,
) -> Result<bool, Error> {
    let repo = setting.repo;
    let Some(old) = claim(tx, setting, tag, target, must_be)? else {
        return Ok(false);
    };
    if old.as_ref().is_some_and(|(_, digest)| digest == target.digest) {
        if setting.kind == EventKind::Set {
            push_again(tx, setting, tag, target)?;
        }
        return Ok(true);
    }
    if let Some((_, digest)) = &old {
        may_change(tx, repo, tag, digest)?;
    }
    let op = match setting.op {
        Some(op) => op,
        None => record_op(
            tx,
            OpKind::Tag,
            repo,
            &target.digest.to_string(),
            setting.actor,
            setting.now,
        )?,
    };
    setting.op = Some(op);
    let old_digest = old.as_ref().map(|(_, digest)| digest);
    let event = Event {
        kind: setting.kind,
        op,
        tag,
        old: old_digest,
        new: Some(target.digest),
    };
    let seq = record_event(tx, repo, &event, setting.now)?;
    let push = match setting.kind {
        EventKind::Set => Some(Push::of(tx, op, setting.now)?),
        EventKind::Restored | EventKind::RolledBack | EventKind::Deleted | EventKind::Trashed => {
            Push::before(tx, repo, tag, target)?
        }
    };
    let (pushed_at, pushed_by) = push.map_or((setting.now, None), |push| (push.at, push.by));
    let rank = next_rank(tx, repo, setting.now)?;
    tx.execute(
        "UPDATE tags SET manifest_id = ?3, event_seq = ?4, updated_at = ?5, ranked_at = ?6, pushed_at = ?7,
           pushed_by = ?8 WHERE repo_id = ?1 AND name = ?2",
        values![
            repo.id,
            tag,
            target.id,
            seq,
            setting.now,
            rank,
            pushed_at,
            pushed_by
        ],
    )?;
    match old {
        Some((old, _)) => keep_until(tx, old, setting.now.saturating_add(setting.keep_ms))?,
        None => count(
            tx,
            repo,
            Usage {
                tags: 1,
                ..Usage::default()
            },
        )?,
    }
    Ok(true)
}

/// Where a tag pointed: a manifest and its digest.
pub(crate) type Old = Option<(i64, Digest)>;

/// Makes the tag's row ours until the end of the transaction: a new one, or the one there is. None if it is not as it
/// must be.
fn claim(
    tx: &mut Tx<'_>,
    setting: &Setting<'_>,
    tag: &Tag,
    target: Target<'_>,
    must_be: &Held<'_>,
) -> Result<Option<Old>, Error> {
    loop {
        if !matches!(must_be, Held::This(_)) {
            let made = tx.execute(
                "INSERT INTO tags(repo_id, name, manifest_id, event_seq, updated_at) VALUES (?1, ?2, ?3, 0, ?4)
                 ON CONFLICT(repo_id, name) DO NOTHING",
                values![setting.repo.id, tag, target.id, setting.now],
            )?;
            if made > 0 {
                return Ok(Some(None));
            }
            if *must_be == Held::Nothing {
                return Ok(None);
            }
        }
        let old = find_tag(tx, setting.repo, tag)?;
        match (&old, must_be) {
            (Some((_, digest)), Held::This(wanted)) if digest == *wanted => return Ok(Some(old)),
            (_, Held::This(_)) => return Ok(None),
            (Some(_), _) => return Ok(Some(old)),
            // Deleted between the two statements.
            (None, _) => {}
        }
    }
}

/// A tag's manifest; its row is locked until the end of the transaction.
pub(crate) fn find_tag(tx: &mut Tx<'_>, repo: Repo, tag: &Tag) -> Result<Old, Error> {
    tx.first(
        "SELECT t.manifest_id, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id
         WHERE t.repo_id = ?1 AND t.name = ?2 @update OF t",
        values![repo.id, tag],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// A tag that was deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Untagged {
    /// The operation, to undo it by.
    pub op: i64,
    /// Where it pointed.
    pub digest: Digest,
    /// The end of the undo window.
    pub until: i64,
}

/// Deletes a tag (P-UNTAG); its manifest stays, by digest, for `keep_ms` at least and for as long as the delete can be
/// undone. None if there was no such tag.
pub fn delete_tag(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    tag: &Tag,
    now: i64,
    keep_ms: i64,
    undo_ms: i64,
    actor: Option<&str>,
) -> Result<Option<Untagged>, Error> {
    let Some(repo) = Repo::hold(tx, repo)? else {
        return Ok(None);
    };
    let Some((manifest, digest)) = find_tag(tx, repo, tag)? else {
        return Ok(None);
    };
    let undo_ms = undo_ms_of(tx, repo, undo_ms)?;
    let until = now.saturating_add(undo_ms);
    let op = record_removal(tx, OpKind::Untag, repo, tag, actor, now, Some(until))?;
    remove_tag(tx, repo, op, EventKind::Deleted, tag, &digest, now)?;
    keep_until(tx, manifest, now.saturating_add(keep_ms.max(undo_ms)))?;
    Ok(Some(Untagged { op, digest, until }))
}

/// Takes away a tag whose row is locked. Fails where it is immutable.
pub(crate) fn remove_tag(
    tx: &mut Tx<'_>,
    repo: Repo,
    op: i64,
    kind: EventKind,
    tag: &str,
    digest: &Digest,
    now: i64,
) -> Result<(), Error> {
    may_change(tx, repo, tag, digest)?;
    record_event(
        tx,
        repo,
        &Event {
            kind,
            op,
            tag,
            old: Some(digest),
            new: None,
        },
        now,
    )?;
    tx.execute(
        "DELETE FROM tags WHERE repo_id = ?1 AND name = ?2",
        values![repo.id, tag],
    )?;
    count(
        tx,
        repo,
        Usage {
            tags: -1,
            ..Usage::default()
        },
    )
}
