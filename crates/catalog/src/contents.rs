//! Everything that a repository holds, in pages: for whoever writes it out elsewhere.
//!
//! Shape: each page starts after the last key of the one before, and an empty page is the end. What is in the trash or
//! hidden is left out.

use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};

/// A blob that a repository serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldBlob {
    /// The key that the next page starts after.
    pub id: i64,
    /// Its digest.
    pub digest: Digest,
    /// Bytes that it has.
    pub size: u64,
    /// Where they are; none: see `inline`.
    pub location: Option<String>,
    /// The bytes, where they are kept here.
    pub inline: Option<Vec<u8>>,
}

/// A manifest that a repository serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldManifest {
    /// The key that the next page starts after.
    pub id: i64,
    /// The digest that it is stored under.
    pub digest: Digest,
    /// What it is served as.
    pub media_type: String,
    /// What it refers to.
    pub subject: Option<Digest>,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// A tag and where it points.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldTag {
    /// Its name.
    pub tag: Tag,
    /// Its manifest.
    pub digest: Digest,
    /// What that is served as.
    pub media_type: String,
    /// Bytes that it has.
    pub size: u64,
}

/// Blobs that live manifests of a repository name, in the order of their numbers. What only deleted ones name, or none does,
/// is no part of it.
pub fn held_blobs(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    after: i64,
    limit: usize,
) -> Result<Vec<HeldBlob>, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(Vec::new());
    };
    tx.query(
        "SELECT b.id, b.digest, b.size, b.location, b.inline FROM repo_blobs l JOIN blobs b ON b.id = l.blob_id
         WHERE l.repo_id = ?1 AND l.blob_id > ?2 AND l.hidden_at IS NULL
           AND EXISTS (SELECT 1 FROM manifest_blobs e JOIN manifests m ON m.id = e.manifest_id
             WHERE e.repo_id = l.repo_id AND e.blob_id = l.blob_id AND m.trashed_at IS NULL)
         ORDER BY l.blob_id LIMIT ?3",
        values![repo.id, after, limit],
        |row: &Row<'_>| {
            Ok(HeldBlob {
                id: row.get(0)?,
                digest: row.get(1)?,
                size: row.get(2)?,
                location: row.get(3)?,
                inline: row.get(4)?,
            })
        },
    )
}

/// Manifests of a repository, in the order in which they came.
pub fn held_manifests(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    after: i64,
    limit: usize,
) -> Result<Vec<HeldManifest>, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(Vec::new());
    };
    tx.query(
        "SELECT m.id, m.digest, m.media_type, m.subject_digest, b.body
         FROM manifests m JOIN manifest_bodies b ON b.id = m.body_id
         WHERE m.repo_id = ?1 AND m.id > ?2 AND m.trashed_at IS NULL ORDER BY m.id LIMIT ?3",
        values![repo.id, after, limit],
        |row: &Row<'_>| {
            Ok(HeldManifest {
                id: row.get(0)?,
                digest: row.get(1)?,
                media_type: row.get(2)?,
                subject: row.get(3)?,
                body: row.get(4)?,
            })
        },
    )
}

/// Tags of a repository after `after`, in byte order.
pub fn held_tags(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    after: &str,
    limit: usize,
) -> Result<Vec<HeldTag>, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(Vec::new());
    };
    tx.query(
        "SELECT t.name, m.digest, m.media_type, b.size FROM tags t JOIN manifests m ON m.id = t.manifest_id
         JOIN manifest_bodies b ON b.id = m.body_id
         WHERE t.repo_id = ?1 AND t.name > ?2 ORDER BY t.name LIMIT ?3",
        values![repo.id, after, limit],
        |row: &Row<'_>| {
            Ok(HeldTag {
                tag: row.get(0)?,
                digest: row.get(1)?,
                media_type: row.get(2)?,
                size: row.get(3)?,
            })
        },
    )
}
