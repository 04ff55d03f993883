//! Blobs: publish, find, touch, unlink.
//!
//! A row stands for complete, verified, durable bytes (I1), at a location that is used once (I3) or in the row itself.
//! Units: `now` and leases in milliseconds. Fails: `Error::UploadUnknown` where a publishing upload was ended meanwhile.

use oci::{Digest, RepositoryName};
use uuid::Uuid;

use crate::Error;
use crate::damages::healed;
use crate::history::{ChangeKind, OpKind, record_change, record_removal};
use crate::links::{BlobRow, link, should_renew};
use crate::quota;
use crate::repos::{Repo, undo_ms as undo_ms_of};
use crate::sql::{Row, Tx, Value, values};
use crate::tombstones::{Reason, bury};
use crate::uploads::delete_upload;
use crate::usage::count_stored;

/// Manifests named in a refusal.
const NAMED_MAX: i64 = 10;

/// A blob to be published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewBlob {
    /// Who may serve it.
    pub repo: RepositoryName,
    /// Its address, proven.
    pub digest: Digest,
    /// Bytes that it has.
    pub size: u64,
    /// Where they are, durably.
    pub place: Place,
    /// The upload's row, where it has one: it must still be there, and goes.
    pub upload: Option<Uuid>,
    /// The time.
    pub now: i64,
    /// How long the blob stays without a manifest.
    pub lease_ms: i64,
    /// How long a reader may still be sent to bytes that these replace.
    pub grace_ms: i64,
}

/// Where a blob's bytes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// At this location of the store.
    File(String),
    /// Here.
    Inline(Vec<u8>),
}

/// What publishing did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Published {
    /// The bytes are the blob's.
    New,
    /// The blob was there already; the bytes that came are left to the sweeper.
    Existing,
    /// The blob was there and damaged; the bytes that came took the place of the damaged ones.
    Repaired,
}

/// Whether the bytes are what they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// As far as is known.
    Good = 0,
    /// A read failed: they are to be read back before all others, and a new push replaces them.
    Suspect = 1,
    /// They are not: a new push repairs it.
    Bad = 2,
}

impl crate::sql::Cell for Health {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Int(0) => Some(Self::Good),
            Value::Int(1) => Some(Self::Suspect),
            Value::Int(2) => Some(Self::Bad),
            _ => None,
        }
    }
}

/// A blob that a repository serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlobRecord {
    /// Bytes that it has.
    pub size: u64,
    /// Where they are; none: in the catalog, see [`inline_bytes`].
    pub location: Option<String>,
    /// Whether they are what they should be.
    pub health: Health,
    /// Until when it stays without a manifest; none: for as long as one names it.
    pub review_at: Option<i64>,
    /// Whether a promise that the blob stays needs [`touch_blob`] first.
    pub renew: bool,
}

/// What a delete did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unlinked {
    /// The repository serves the blob no more.
    Hidden,
    /// It did not.
    Unknown,
    /// It must: live manifests name the blob.
    Referenced {
        /// Some of them.
        by: Vec<Digest>,
    },
}

/// Makes durable bytes a blob of a repository (P-PUBLISH).
pub fn publish_blob(tx: &mut Tx<'_>, blob: &NewBlob) -> Result<Published, Error> {
    if let Some(id) = blob.upload
        && !delete_upload(tx, id)?
    {
        return Err(Error::UploadUnknown);
    }
    let repo = Repo::ensure(tx, &blob.repo, blob.now)?;
    quota::claim(tx, repo)?;
    let (id, published) = store_row(tx, blob)?;
    let row = BlobRow { id, size: blob.size };
    link(tx, repo, row, &blob.digest, blob.now, blob.lease_ms)?;
    Ok(published)
}

/// P-PUBLISH (b) and (c): the row, and what becomes of our bytes if there was one.
fn store_row(tx: &mut Tx<'_>, blob: &NewBlob) -> Result<(i64, Published), Error> {
    let (location, inline) = match &blob.place {
        Place::File(location) => (Some(location), None),
        Place::Inline(bytes) => (None, Some(bytes)),
    };
    loop {
        let made: Option<i64> = tx.first(
            "INSERT INTO blobs(digest, size, location, inline, created_at, verified_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT(digest) DO NOTHING RETURNING id",
            values![&blob.digest, blob.size, location, inline, blob.now],
            |row: &Row<'_>| row.get(0),
        )?;
        if let Some(id) = made {
            count_stored(tx, 1, i64::try_from(blob.size).unwrap_or(i64::MAX))?;
            return Ok((id, Published::New));
        }
        let found: Option<(i64, Option<String>)> = tx.first(
            "SELECT id, location FROM blobs WHERE digest = ?1 @keyshare",
            values![&blob.digest],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
        )?;
        // The collector took the old row between the two statements.
        let Some((id, old)) = found else { continue };
        let repaired = tx.execute(
            "UPDATE blobs SET location = ?2, inline = ?3, health = 0, verified_at = ?4 WHERE id = ?1 AND health > 0",
            values![id, location, inline, blob.now],
        )? > 0;
        let (loser, not_before, reason) = if repaired {
            healed(tx, id)?;
            let not_before = blob.now.saturating_add(blob.grace_ms);
            let old = old.as_ref().filter(|&old| Some(old) != location);
            (old, not_before, Reason::Repaired)
        } else {
            // Nobody was ever sent to our copy.
            let ours = location.filter(|&ours| Some(ours) != old.as_ref());
            (ours, blob.now, Reason::Loser)
        };
        if let Some(location) = loser {
            bury(tx, location, &blob.digest, blob.size, not_before, reason)?;
        }
        return Ok((
            id,
            if repaired {
                Published::Repaired
            } else {
                Published::Existing
            },
        ));
    }
}

/// A blob that the repository serves, without its bytes.
pub fn find_blob(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    digest: &Digest,
    now: i64,
    lease_ms: i64,
) -> Result<Option<BlobRecord>, Error> {
    tx.first(
        "SELECT b.size, b.location, b.health, l.review_at
         FROM repos r JOIN blobs b ON b.digest = ?2 JOIN repo_blobs l ON l.repo_id = r.id AND l.blob_id = b.id
         WHERE r.name = ?1 AND r.deleted_at IS NULL AND l.hidden_at IS NULL",
        values![repo, digest],
        |row: &Row<'_>| {
            Ok(BlobRecord {
                size: row.get(0)?,
                location: row.get(1)?,
                health: row.get(2)?,
                review_at: row.get(3)?,
                renew: should_renew(row.get(3)?, now, lease_ms),
            })
        },
    )
}

/// The bytes of a blob that is kept in the catalog.
pub fn inline_bytes(tx: &mut Tx<'_>, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
    let bytes = tx.first(
        "SELECT inline FROM blobs WHERE digest = ?1",
        values![digest],
        |row| row.get(0),
    )?;
    Ok(bytes.flatten())
}

/// Renews the lease of a blob that a pusher was told is there. False if the repository does not serve it.
pub fn touch_blob(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    digest: &Digest,
    now: i64,
    lease_ms: i64,
) -> Result<bool, Error> {
    let Some((repo, blob_id)) = find_link(tx, repo, digest)? else {
        return Ok(false);
    };
    tx.execute(
        "UPDATE repo_blobs SET review_at = ?3 WHERE repo_id = ?1 AND blob_id = ?2 AND review_at < ?3",
        values![repo.id, blob_id, now.saturating_add(lease_ms)],
    )?;
    Ok(true)
}

/// The link of a served blob, locked until the end of the transaction.
fn find_link(tx: &mut Tx<'_>, repo: &RepositoryName, digest: &Digest) -> Result<Option<(Repo, i64)>, Error> {
    let Some(repo) = Repo::hold(tx, repo)? else {
        return Ok(None);
    };
    let blob_id = tx.first(
        "SELECT l.blob_id FROM blobs b JOIN repo_blobs l ON l.blob_id = b.id
         WHERE b.digest = ?1 AND l.repo_id = ?2 AND l.hidden_at IS NULL @update OF l",
        values![digest, repo.id],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(blob_id.map(|blob_id| (repo, blob_id)))
}

/// Takes a blob out of a repository, unless a live manifest names it (P-UNLINK). Only hides it: until `undo_ms` are
/// over, and as long as a trashed manifest names it, it can come back.
pub fn unlink_blob(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    digest: &Digest,
    now: i64,
    undo_ms: i64,
    actor: Option<&str>,
) -> Result<Unlinked, Error> {
    let Some((repo, blob_id)) = find_link(tx, repo, digest)? else {
        return Ok(Unlinked::Unknown);
    };
    let by = tx.query(
        "SELECT m.digest FROM manifest_blobs e JOIN manifests m ON m.id = e.manifest_id
         WHERE e.repo_id = ?1 AND e.blob_id = ?2 AND m.trashed_at IS NULL LIMIT ?3",
        values![repo.id, blob_id, NAMED_MAX],
        |row: &Row<'_>| row.get(0),
    )?;
    if !by.is_empty() {
        return Ok(Unlinked::Referenced { by });
    }
    let until = now.saturating_add(undo_ms_of(tx, repo, undo_ms)?);
    tx.execute(
        "UPDATE repo_blobs SET hidden_at = ?3, review_at = ?4 WHERE repo_id = ?1 AND blob_id = ?2",
        values![repo.id, blob_id, now, until],
    )?;
    let target = digest.to_string();
    record_removal(tx, OpKind::Unlink, repo, &target, actor, now, Some(until))?;
    record_change(tx, ChangeKind::Blob, repo, &target, now)?;
    Ok(Unlinked::Hidden)
}

/// Where the bytes of a digest lie and how many they are, whichever repository serves them; none if there is no such
/// blob or it has no file.
pub fn stored_file(tx: &mut Tx<'_>, digest: &Digest) -> Result<Option<(String, u64)>, Error> {
    tx.first(
        "SELECT location, size FROM blobs WHERE digest = ?1 AND location IS NOT NULL AND health < 2",
        values![digest],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Whether any row names a location, be it to serve it or to remove it.
pub fn known_location(tx: &mut Tx<'_>, location: &str) -> Result<bool, Error> {
    tx.exists(
        "SELECT 1 FROM blobs WHERE location = ?1 UNION ALL SELECT 1 FROM tombstones WHERE location = ?1",
        values![location],
    )
}
