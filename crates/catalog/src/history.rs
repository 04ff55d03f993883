//! What happened: operations, tag events, changes. Append-only, in the transaction of what they tell of.
//!
//! `tags` is the fold of `tag_events` (I8): the last event of a name says where it points. `changes` tells other
//! processes what to forget from their caches.

use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::repos::Repo;
use crate::sql::{Cell, Row, Tx, Value, values};
use crate::stamps::{Aspect, Touched};
use crate::users::actor_id;

/// What an operation was. The numbers are kept in the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OpKind {
    /// Tags set by a push.
    Tag = 0,
    /// A tag deleted.
    Untag = 1,
    /// A manifest moved to the trash, with what hangs on it.
    Trash = 2,
    /// A blob taken out of a repository.
    Unlink = 3,
    /// Another operation taken back.
    Restore = 4,
    /// A repository deleted, with all that it held.
    RepoDelete = 5,
    /// A repository renamed; the target is the name that it had.
    RepoRename = 6,
    /// A tag or an untagged manifest that a rule let go.
    Retention = 11,
}

impl OpKind {
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        [
            Self::Tag,
            Self::Untag,
            Self::Trash,
            Self::Unlink,
            Self::Restore,
            Self::RepoDelete,
            Self::RepoRename,
            Self::Retention,
        ]
        .into_iter()
        .find(|&kind| kind as i64 == number)
    }
}

/// What befell a tag. The numbers are kept in the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// It was set, anew or to something else.
    Set = 0,
    /// It was deleted.
    Deleted = 1,
    /// Its manifest went to the trash.
    Trashed = 2,
    /// It is as it was before an operation that was taken back.
    Restored = 3,
    /// Somebody set it back to what it once was.
    RolledBack = 4,
}

impl Cell for EventKind {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Int(0) => Some(Self::Set),
            Value::Int(1) => Some(Self::Deleted),
            Value::Int(2) => Some(Self::Trashed),
            Value::Int(3) => Some(Self::Restored),
            Value::Int(4) => Some(Self::RolledBack),
            _ => None,
        }
    }
}

/// What a change is about. The numbers are kept in the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ChangeKind {
    /// A tag; the key is its name.
    Tag = 1,
    /// Whether a manifest is served; the key is its digest.
    Manifest = 2,
    /// Whether a blob is served; the key is its digest.
    Blob = 3,
    /// Which repository a name leads to; the key is the name.
    Repository = 4,
}

/// One step in the life of a tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagEvent {
    /// Its place in the history.
    pub seq: i64,
    /// When, Unix milliseconds.
    pub at: i64,
    /// What happened.
    pub kind: EventKind,
    /// Where the tag pointed before.
    pub old: Option<Digest>,
    /// Where it points since.
    pub new: Option<Digest>,
    /// Who did it.
    pub actor: Option<String>,
    /// From which address.
    pub remote: Option<String>,
    /// The operation that it was part of.
    pub op: i64,
    /// Why, where that was written down, as it is for what a rule takes.
    pub reason: Option<String>,
}

/// The history of a tag, newest first: events before `before`, at most `limit`.
pub fn tag_history(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    tag: &Tag,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<TagEvent>, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(Vec::new());
    };
    tx.query(
        "SELECT e.seq, e.at, e.kind, e.old_digest, e.new_digest, u.name, o.remote, o.id, o.reason
         FROM tag_events e JOIN ops o ON o.id = e.op_id LEFT JOIN users u ON u.id = o.actor
         WHERE e.repo_id = ?1 AND e.name = ?2 AND e.seq < ?3 ORDER BY e.seq DESC LIMIT ?4",
        values![repo.id, tag, before.unwrap_or(i64::MAX), limit],
        |row: &Row<'_>| {
            Ok(TagEvent {
                seq: row.get(0)?,
                at: row.get(1)?,
                kind: row.get(2)?,
                old: row.get(3)?,
                new: row.get(4)?,
                actor: row.get(5)?,
                remote: row.get(6)?,
                op: row.get(7)?,
                reason: row.get(8)?,
            })
        },
    )
}

/// Writes down an operation; its number.
pub(crate) fn record_op(
    tx: &mut Tx<'_>,
    kind: OpKind,
    repo: Repo,
    target: &str,
    actor: Option<&str>,
    now: i64,
) -> Result<i64, Error> {
    record_removal(tx, kind, repo, target, actor, now, None)
}

/// The same for one that takes something away, which can come back until `until`.
pub(crate) fn record_removal(
    tx: &mut Tx<'_>,
    kind: OpKind,
    repo: Repo,
    target: &str,
    actor: Option<&str>,
    now: i64,
    until: Option<i64>,
) -> Result<i64, Error> {
    let actor = actor_id(tx, actor, now)?;
    let (remote, reason) = (tx.remote().map(str::to_owned), tx.reason().map(str::to_owned));
    let (remote, reason) = (remote.as_deref(), reason.as_deref());
    let id = tx.first(
        "INSERT INTO ops(kind, repo_id, target, actor, at, remote, until, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id",
        values![kind as i64, repo.id, target, actor, now, remote, until, reason],
        |row: &Row<'_>| row.get(0),
    )?;
    id.ok_or_else(|| Error::Impossible("an operation without a number".to_owned()))
}

/// The same for what a rule takes away, with a reason that people should read.
pub(crate) fn record_retention(
    tx: &mut Tx<'_>,
    repo: Repo,
    target: &str,
    by: (Option<&str>, &str),
    now: i64,
    until: i64,
) -> Result<i64, Error> {
    let (actor, reason) = by;
    let actor = actor_id(tx, actor, now)?;
    let id = tx.first(
        "INSERT INTO ops(kind, repo_id, target, actor, at, reason, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id",
        values![OpKind::Retention as i64, repo.id, target, actor, now, reason, until],
        |row: &Row<'_>| row.get(0),
    )?;
    id.ok_or_else(|| Error::Impossible("an operation without a number".to_owned()))
}

/// What happens to one tag, in the words of its history.
pub(crate) struct Event<'a> {
    pub(crate) kind: EventKind,
    pub(crate) op: i64,
    pub(crate) tag: &'a str,
    pub(crate) old: Option<&'a Digest>,
    pub(crate) new: Option<&'a Digest>,
}

/// Writes down what happens to a tag, for history and for caches; its place in the history.
pub(crate) fn record_event(tx: &mut Tx<'_>, repo: Repo, event: &Event<'_>, now: i64) -> Result<i64, Error> {
    let seq = tx.first(
        "INSERT INTO tag_events(repo_id, name, op_id, at, kind, old_digest, new_digest)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING seq",
        values![
            repo.id,
            event.tag,
            event.op,
            now,
            event.kind as i64,
            event.old,
            event.new
        ],
        |row: &Row<'_>| row.get(0),
    )?;
    record_change(tx, ChangeKind::Tag, repo, event.tag, now)?;
    seq.ok_or_else(|| Error::Impossible("a tag event without a number".to_owned()))
}

/// Tells caches what to forget: ours by their stamps, those of other processes by the row.
pub(crate) fn record_change(
    tx: &mut Tx<'_>,
    kind: ChangeKind,
    repo: Repo,
    key: &str,
    now: i64,
) -> Result<(), Error> {
    let aspects: &[Aspect] = match kind {
        ChangeKind::Tag | ChangeKind::Manifest => &[Aspect::Manifests],
        ChangeKind::Blob => &[Aspect::Blobs],
        ChangeKind::Repository => &[Aspect::Manifests, Aspect::Blobs],
    };
    for &aspect in aspects {
        tx.touch(Touched::One(repo.slot, aspect));
    }
    tx.execute(
        "INSERT INTO changes(at, kind, repo_id, key) VALUES (?1, ?2, ?3, ?4)",
        values![now, kind as i64, repo.id, key],
    )?;
    Ok(())
}
