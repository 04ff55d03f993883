//! Taking over another registry's content: how far an import is, and the rows that it makes.
//!
//! What an import brings is older than what is here: a tag is moved only if the source set it later than anything that
//! happened to it here, and what was deleted here stays deleted. Each function can be repeated; what is there stays.
//! Units: times are Unix milliseconds. The times of a source are those of its files, so its history is approximate,
//! and marked so.

use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::blobs::{NewBlob, Place, publish_blob};
use crate::history::{Event, EventKind, record_event};
use crate::links::{BlobRow, link};
use crate::pushes::note_adopted;
use crate::put::{NewManifest, PutManifest, store_manifest};
use crate::repos::{Repo, is_in_trash};
use crate::sql::{Row, Tx, values};
use crate::usage::{Usage, count};

/// The kind of the operation that tags of an import belong to, beside those of `history`. Kept in the database.
const ADOPTED: i64 = 10;
/// Why its times are not exact.
const REASON: &str = "adopted: times are those of the source's files";

/// An import that is under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Import {
    /// Its number.
    pub id: i64,
    /// The last repository that was brought whole; none at the start.
    pub cursor: Option<String>,
}

/// What is known of a blob before an import brings it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlobState {
    /// No healthy bytes.
    Absent,
    /// Bytes, but the repository has no link to them.
    Stored,
    /// The repository has a link, shown or hidden.
    Linked,
}

/// A blob that an import brings to a repository.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdoptedBlob {
    /// Its digest.
    pub digest: Digest,
    /// Bytes that it has.
    pub size: u64,
    /// Its bytes; none: they are here.
    pub place: Option<Place>,
    /// Whether somebody has hashed them.
    pub verified: bool,
}

/// What became of a manifest of the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AdoptedManifest {
    /// It is here now.
    Added,
    /// It was.
    Known,
    /// It was, and was deleted: it stays so.
    Deleted,
}

/// A tag of the source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdoptedTag {
    /// Whose.
    pub repo: RepositoryName,
    /// Its name.
    pub tag: Tag,
    /// Where it points, and since when.
    pub current: (Digest, i64),
    /// Where it pointed before, oldest first, and since when.
    pub before: Vec<(Digest, i64)>,
    /// Whether the source tells since when; else it is the time of the import, and what was done here counts more.
    pub is_dated: bool,
}

/// What became of a tag of the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TagOutcome {
    /// It points where the source says, since now.
    Set,
    /// It did before.
    Same,
    /// It was set or deleted here later than at the source, and stays so.
    Kept,
    /// The repository serves no such manifest.
    NoManifest,
}

/// The unfinished import of `source`, or a new one.
pub fn begin_import(tx: &mut Tx<'_>, source: &str, now: i64) -> Result<Import, Error> {
    let found = tx.first(
        "SELECT id, cursor FROM imports WHERE source = ?1 AND done_at IS NULL ORDER BY id DESC LIMIT 1 @update",
        values![source],
        |row: &Row<'_>| {
            Ok(Import {
                id: row.get(0)?,
                cursor: row.get(1)?,
            })
        },
    )?;
    if let Some(import) = found {
        return Ok(import);
    }
    let id = tx.first(
        "INSERT INTO imports(source, phase, started_at) VALUES (?1, 0, ?2) RETURNING id",
        values![source, now],
        |row: &Row<'_>| row.get(0),
    )?;
    let id = id.ok_or_else(|| Error::Impossible("an import without a number".to_owned()))?;
    Ok(Import { id, cursor: None })
}

/// How far the unfinished import of `source` is.
pub fn import_cursor(tx: &mut Tx<'_>, source: &str) -> Result<Option<String>, Error> {
    let cursor = tx.first(
        "SELECT cursor FROM imports WHERE source = ?1 AND done_at IS NULL ORDER BY id DESC LIMIT 1",
        values![source],
        |row: &Row<'_>| row.get::<Option<String>>(0),
    )?;
    Ok(cursor.flatten())
}

/// Writes down that everything up to `cursor` was brought.
pub fn advance_import(tx: &mut Tx<'_>, id: i64, cursor: &str) -> Result<(), Error> {
    tx.execute(
        "UPDATE imports SET cursor = ?2 WHERE id = ?1",
        values![id, cursor],
    )?;
    Ok(())
}

/// Writes down that an import is complete, and what it found, as JSON.
pub fn finish_import(tx: &mut Tx<'_>, id: i64, stats: &str, now: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE imports SET phase = 1, stats = ?2, done_at = ?3 WHERE id = ?1",
        values![id, stats, now],
    )?;
    Ok(())
}

/// What was written of the last completed import of `source`.
pub fn last_import(tx: &mut Tx<'_>, source: &str) -> Result<Option<String>, Error> {
    let stats = tx.first(
        "SELECT stats FROM imports WHERE source = ?1 AND done_at IS NOT NULL ORDER BY id DESC LIMIT 1",
        values![source],
        |row: &Row<'_>| row.get::<Option<String>>(0),
    )?;
    Ok(stats.flatten())
}

/// Whether an import of `source` was ever completed.
pub fn is_imported(tx: &mut Tx<'_>, source: &str) -> Result<bool, Error> {
    tx.exists(
        "SELECT 1 FROM imports WHERE source = ?1 AND done_at IS NOT NULL LIMIT 1",
        values![source],
    )
}

/// What is known of each of these blobs, in their order.
pub fn blob_states(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    digests: &[Digest],
) -> Result<Vec<BlobState>, Error> {
    let repo = Repo::find(tx, repo)?;
    let mut states = Vec::with_capacity(digests.len());
    for digest in digests {
        let row: Option<(i64, bool)> = tx.first(
            "SELECT id, health = 2 FROM blobs WHERE digest = ?1",
            values![digest],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
        )?;
        states.push(match (row, repo) {
            (None | Some((_, true)), _) => BlobState::Absent,
            (Some((id, _)), Some(repo)) if has_link(tx, repo, id)? => BlobState::Linked,
            (Some(_), _) => BlobState::Stored,
        });
    }
    Ok(states)
}

fn has_link(tx: &mut Tx<'_>, repo: Repo, blob: i64) -> Result<bool, Error> {
    tx.exists(
        "SELECT 1 FROM repo_blobs WHERE repo_id = ?1 AND blob_id = ?2",
        values![repo.id, blob],
    )
}

/// Links blobs to a repository, with the bytes of those that bring some. One whose bytes went meanwhile is left out;
/// the digests of those.
pub fn adopt_blobs(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    blobs: &[AdoptedBlob],
    now: i64,
    keep_ms: i64,
    grace_ms: i64,
) -> Result<Vec<Digest>, Error> {
    if is_in_trash(tx, repo)? {
        return Ok(Vec::new());
    }
    tx.lift_guard();
    let row = Repo::ensure(tx, repo, now)?;
    let mut gone = Vec::new();
    for blob in blobs {
        let Some(place) = &blob.place else {
            let found = tx.first(
                "SELECT id, size FROM blobs WHERE digest = ?1 @keyshare",
                values![&blob.digest],
                |row: &Row<'_>| {
                    Ok(BlobRow {
                        id: row.get(0)?,
                        size: row.get(1)?,
                    })
                },
            )?;
            match found {
                Some(found) => link(tx, row, found, &blob.digest, now, keep_ms)?,
                None => gone.push(blob.digest.clone()),
            }
            continue;
        };
        let new = NewBlob {
            repo: repo.clone(),
            digest: blob.digest.clone(),
            size: blob.size,
            place: place.clone(),
            upload: None,
            now,
            lease_ms: keep_ms,
            grace_ms,
        };
        publish_blob(tx, &new)?;
        if let (Place::File(location), false) = (place, blob.verified) {
            // Never hashed: whoever looks for the blob that was hashed longest ago finds it first.
            tx.execute(
                "UPDATE blobs SET verified_at = 0 WHERE location = ?1",
                values![location],
            )?;
        }
    }
    Ok(gone)
}

/// Stores a manifest of the source, unless it is or was here.
pub fn adopt_manifest(tx: &mut Tx<'_>, new: &NewManifest, pushed_at: i64) -> Result<AdoptedManifest, Error> {
    tx.lift_guard();
    let found: Option<bool> = tx.first(
        "SELECT m.trashed_at IS NOT NULL FROM repos r JOIN manifests m ON m.repo_id = r.id
         WHERE r.name = ?1 AND r.deleted_at IS NULL AND m.digest = ?2",
        values![&new.repo, &new.digest],
        |row: &Row<'_>| row.get(0),
    )?;
    match found {
        Some(true) => return Ok(AdoptedManifest::Deleted),
        Some(false) => return Ok(AdoptedManifest::Known),
        None if is_in_trash(tx, &new.repo)? => return Ok(AdoptedManifest::Deleted),
        None => {}
    }
    let repo = Repo::ensure(tx, &new.repo, new.now)?;
    note_adopted(tx, repo, pushed_at)?;
    match store_manifest(tx, repo, new)? {
        PutManifest::Stored { .. } => {}
        other => {
            return Err(Error::Impossible(format!(
                "an adopted manifest demands nothing, but was refused: {other:?}"
            )));
        }
    }
    tx.execute(
        "UPDATE manifests SET pushed_at = ?3 WHERE digest = ?2
           AND repo_id = (SELECT id FROM repos WHERE name = ?1 AND deleted_at IS NULL)",
        values![&new.repo, &new.digest, pushed_at],
    )?;
    Ok(AdoptedManifest::Added)
}

/// Sets a tag of the source, with its history, unless something later happened to it here.
pub fn adopt_tag(tx: &mut Tx<'_>, new: &AdoptedTag) -> Result<TagOutcome, Error> {
    tx.lift_guard();
    let (digest, since) = &new.current;
    let Some(repo) = Repo::hold(tx, &new.repo)? else {
        return Ok(TagOutcome::NoManifest);
    };
    let target: Option<i64> = tx.first(
        "SELECT id FROM manifests WHERE repo_id = ?1 AND digest = ?2 AND trashed_at IS NULL @share",
        values![repo.id, digest],
        |row: &Row<'_>| row.get(0),
    )?;
    let Some(target) = target else {
        return Ok(TagOutcome::NoManifest);
    };
    let old: Option<Digest> = tx.first(
        "SELECT m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id
         WHERE t.repo_id = ?1 AND t.name = ?2 @update OF t",
        values![repo.id, &new.tag],
        |row: &Row<'_>| row.get(0),
    )?;
    if old.as_ref() == Some(digest) {
        return Ok(TagOutcome::Same);
    }
    let last: Option<(i64, i64)> = tx.first(
        "SELECT e.at, o.kind FROM tag_events e JOIN ops o ON o.id = e.op_id
         WHERE e.repo_id = ?1 AND e.name = ?2 ORDER BY e.seq DESC LIMIT 1",
        values![repo.id, &new.tag],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if last.is_some_and(|(at, kind)| at > *since || !new.is_dated && kind != ADOPTED) {
        return Ok(TagOutcome::Kept);
    }
    let seq = record_steps(tx, repo, new, old.clone(), last.map(|(at, _)| at))?;
    note_adopted(tx, repo, *since)?;
    if old.is_none() {
        tx.execute(
            "INSERT INTO tags(repo_id, name, manifest_id, event_seq, updated_at, ranked_at, pushed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?5)",
            values![repo.id, &new.tag, target, seq, *since],
        )?;
        let one = Usage {
            tags: 1,
            ..Usage::default()
        };
        count(tx, repo, one)?;
    } else {
        tx.execute(
            "UPDATE tags SET manifest_id = ?3, event_seq = ?4, updated_at = ?5, ranked_at = ?5, pushed_at = ?5, pushed_by = NULL
             WHERE repo_id = ?1 AND name = ?2",
            values![repo.id, &new.tag, target, seq, *since],
        )?;
    }
    Ok(TagOutcome::Set)
}

/// The steps of the source's history that are later than ours, and the last one; its place in the history.
fn record_steps(
    tx: &mut Tx<'_>,
    repo: Repo,
    new: &AdoptedTag,
    mut old: Option<Digest>,
    last: Option<i64>,
) -> Result<i64, Error> {
    let op: Option<i64> = tx.first(
        "INSERT INTO ops(kind, repo_id, target, at, reason) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
        values![ADOPTED, repo.id, &new.tag, new.current.1, REASON],
        |row: &Row<'_>| row.get(0),
    )?;
    let op = op.ok_or_else(|| Error::Impossible("an operation without a number".to_owned()))?;
    let later = new
        .before
        .iter()
        .filter(|(_, at)| last.is_none_or(|last| *at > last));
    let mut seq = 0;
    for (digest, at) in later.chain([&new.current]) {
        let event = Event {
            kind: EventKind::Set,
            op,
            tag: &new.tag,
            old: old.as_ref(),
            new: Some(digest),
        };
        seq = record_event(tx, repo, &event, *at)?;
        old = Some(digest.clone());
    }
    Ok(seq)
}
