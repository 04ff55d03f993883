//! Storing a manifest: body, row, edges, referrer entry and tags, in one transaction (P-PUT manifest).
//!
//! Every edge is made from a link or manifest that is served now and stays locked until the commit, so no collector can
//! take it (I4). Units: `ord` counts descriptors from 0 and is unique over `blobs` and `children` together. Fails: never by halves; what
//! is missing is an answer, and undoes the rest. Source: distribution-spec "Pushing manifests".

use std::borrow::Cow;

use bytes::Bytes;
use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::damages::heal_manifest;
use crate::edges::{adopt_parents, store_edges};
use crate::history::{ChangeKind, EventKind, record_change};
use crate::pushes::note_push;
use crate::quota;
use crate::repos::Repo;
use crate::revive::Revival;
use crate::sql::{Row, Tx, values};
use crate::stamps::{Aspect, Touched};
use crate::tags::{Held, Setting, Target, set_tag};
use crate::usage::{Usage, count};
use crate::users::actor_id;

/// A manifest that was parsed and checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewManifest {
    /// Where to.
    pub repo: RepositoryName,
    /// Its address, proven.
    pub digest: Digest,
    /// What it is served as.
    pub media_type: String,
    /// The artifact type that referrers lists show and filter by.
    pub artifact_type: Option<String>,
    /// Its annotations, a JSON object, where it has any.
    pub annotations: Option<String>,
    /// What it refers to.
    pub subject: Option<Digest>,
    /// The blobs that it names.
    pub blobs: Vec<Edge>,
    /// The manifests that it lists.
    pub children: Vec<Child>,
    /// Its bytes, as they came: they may be lent, and go back when the operation has its answer.
    pub body: Bytes,
    /// Tags to set to it.
    pub tags: Vec<Tag>,
    /// What must hold of the first tag.
    pub precondition: Precondition,
    /// The time.
    pub now: i64,
    /// How long it is safe without a tag or an index: the longer of the lease and what retention leaves.
    pub keep_ms: i64,
    /// Who pushes.
    pub actor: Option<String>,
}

/// A blob that a manifest names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    /// Which descriptor.
    pub ord: i64,
    /// The blob.
    pub digest: Digest,
    /// Its size, as the manifest says.
    pub size: u64,
    /// What it is there.
    pub kind: EdgeKind,
    /// Whether the repository must have it.
    pub required: bool,
}

/// What a blob is to a manifest. The numbers are kept in the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EdgeKind {
    /// Its configuration.
    Config = 0,
    /// A layer.
    Layer = 1,
    /// Listed by an index, but stored as a blob.
    Child = 2,
}

/// A manifest that an index lists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Child {
    /// Which descriptor.
    pub ord: i64,
    /// The manifest, or a blob.
    pub digest: Digest,
    /// Its size, as the index says.
    pub size: u64,
    /// What it runs on, such as `linux/arm64/v8`.
    pub platform: Option<String>,
    /// Whether the repository must have it.
    pub required: bool,
}

/// What must hold of the first tag before it is moved.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// There is no such tag.
    TagAbsent,
    /// The tag leads to this manifest.
    TagIs(Digest),
}

/// What a push did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PutManifest {
    /// It is there.
    Stored {
        /// Whether it was not, before.
        created: bool,
    },
    /// Nothing: the repository lacks these, each once.
    Missing(Vec<Digest>),
    /// Nothing: the tag was not as it had to be.
    PreconditionFailed,
}

/// The row of a manifest that is being stored.
#[derive(Clone, Copy, Debug)]
struct Stored {
    id: i64,
    /// Whether there was no row, not even in the trash.
    fresh: bool,
    /// Whether it was not served before.
    created: bool,
}

/// Stores a manifest and sets its tags (P-PUT manifest).
pub fn put_manifest(tx: &mut Tx<'_>, new: &NewManifest) -> Result<PutManifest, Error> {
    let repo = Repo::ensure(tx, &new.repo, new.now)?;
    let put = store_manifest(tx, repo, new)?;
    if matches!(put, PutManifest::Stored { .. }) {
        note_push(tx, repo, new.now)?;
    }
    Ok(put)
}

/// The same for what may have been pushed long ago.
pub(crate) fn store_manifest(tx: &mut Tx<'_>, repo: Repo, new: &NewManifest) -> Result<PutManifest, Error> {
    quota::claim(tx, repo)?;
    let mut tags: Vec<&Tag> = new.tags.iter().collect();
    tags.sort();
    tags.dedup();
    for tag in &tags {
        tx.lock(
            "SELECT 1 FROM tags WHERE repo_id = ?1 AND name = ?2 @update",
            values![repo.id, *tag],
        )?;
    }
    // Also where nothing new comes of it: the type that it is served as may change.
    tx.touch(Touched::One(repo.slot, Aspect::Manifests));
    let body = store_body(tx, new)?;
    let stored = store_row(tx, repo, body, new)?;
    let missing = if stored.created || !has_all_edges(tx, stored.id, new)? {
        store_edges(tx, repo, stored.id, stored.fresh, new)?
    } else {
        Vec::new()
    };
    if !missing.is_empty() {
        tx.give_up();
        return Ok(PutManifest::Missing(missing));
    }
    if stored.created {
        adopt_parents(tx, repo, stored.id, &new.digest)?;
        if !stored.fresh {
            // It was in the trash, and its signatures may be there still.
            Revival::new(repo, new.now, new.keep_ms).referrers(tx, &new.digest)?;
        }
        record_change(tx, ChangeKind::Manifest, repo, &new.digest.to_string(), new.now)?;
    }
    if !set_tags(tx, repo, stored.id, new, &tags)? {
        tx.give_up();
        return Ok(PutManifest::PreconditionFailed);
    }
    Ok(PutManifest::Stored {
        created: stored.created,
    })
}

fn store_body(tx: &mut Tx<'_>, new: &NewManifest) -> Result<i64, Error> {
    loop {
        // Looked for first, because most bodies that come twice are large and were there.
        let found: Option<(i64, bool)> = tx.first(
            "SELECT b.id, d.id IS NOT NULL FROM manifest_bodies b LEFT JOIN damages d ON d.body_id = b.id
             WHERE b.digest = ?1 @keyshare OF b",
            values![&new.digest],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if let Some((id, is_damaged)) = found {
            if is_damaged {
                heal_manifest(tx, &new.digest, &new.body)?;
            }
            return Ok(id);
        }
        tx.execute(
            "INSERT INTO manifest_bodies(digest, size, annotations, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT(digest) DO NOTHING",
            values![&new.digest, new.body.len(), new.annotations.as_ref(), &*new.body],
        )?;
    }
}

/// The manifest's row: made, revived from the trash, or as it is.
fn store_row(tx: &mut Tx<'_>, repo: Repo, body: i64, new: &NewManifest) -> Result<Stored, Error> {
    let until = new.now.saturating_add(new.keep_ms);
    let artifact_type = new.artifact_type.as_deref().map(storable);
    let actor = actor_id(tx, new.actor.as_deref(), new.now)?;
    let one = Usage {
        manifests: 1,
        ..Usage::default()
    };
    loop {
        let made = tx.first(
            "INSERT INTO manifests(repo_id, body_id, digest, media_type, subject_digest, artifact_type, pushed_at,
               pushed_by, review_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT(repo_id, digest) DO NOTHING RETURNING id",
            values![
                repo.id,
                body,
                &new.digest,
                &new.media_type,
                new.subject.as_ref(),
                artifact_type.clone(),
                new.now,
                actor,
                until
            ],
            |row: &Row<'_>| row.get(0),
        )?;
        if let Some(id) = made {
            count(tx, repo, one)?;
            return Ok(Stored {
                id,
                fresh: true,
                created: true,
            });
        }
        let found: Option<(i64, bool)> = tx.first(
            "SELECT id, trashed_at IS NOT NULL FROM manifests WHERE repo_id = ?1 AND digest = ?2 @update",
            values![repo.id, &new.digest],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
        )?;
        // Purged between the two statements.
        let Some((id, trashed)) = found else { continue };
        tx.execute(
            "UPDATE manifests SET media_type = ?2, artifact_type = ?3, pushed_at = ?4, pushed_by = ?5,
               review_at = CASE WHEN review_at > ?6 THEN review_at ELSE ?6 END,
               trashed_at = NULL, purge_at = NULL, trash_op = NULL, loose_at = NULL WHERE id = ?1",
            values![id, &new.media_type, artifact_type.clone(), new.now, actor, until],
        )?;
        if trashed {
            count(tx, repo, Usage { trashed: -1, ..one })?;
        }
        return Ok(Stored {
            id,
            fresh: false,
            created: trashed,
        });
    }
}

/// Whether a manifest that was served all along has an edge to everything that it names. Its edges were made from the
/// same bytes, and nothing that they lead to can have gone; only what was missing then may have come since.
fn has_all_edges(tx: &mut Tx<'_>, id: i64, new: &NewManifest) -> Result<bool, Error> {
    // A child may have been a blob then and a manifest now.
    let is_image = new.children.is_empty();
    Ok(is_image
        && !tx.exists(
            "SELECT 1 FROM manifest_missing WHERE manifest_id = ?1 LIMIT 1",
            values![id],
        )?)
}

/// Sets `tags`, which are in order. False if the first of the push is not as it must be.
fn set_tags(tx: &mut Tx<'_>, repo: Repo, id: i64, new: &NewManifest, tags: &[&Tag]) -> Result<bool, Error> {
    let mut setting = Setting {
        repo,
        kind: EventKind::Set,
        actor: new.actor.as_deref(),
        now: new.now,
        keep_ms: new.keep_ms,
        op: None,
    };
    for &tag in tags {
        let must_be = match &new.precondition {
            Precondition::TagAbsent if Some(tag) == new.tags.first() => Held::Nothing,
            Precondition::TagIs(digest) if Some(tag) == new.tags.first() => Held::This(digest),
            _ => Held::Anything,
        };
        let target = Target {
            id,
            digest: &new.digest,
        };
        if !set_tag(tx, &mut setting, tag, target, &must_be)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A NUL cannot be kept in PostgreSQL's text, and no type or platform has one but by mischief.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "").into()
    } else {
        text.into()
    }
}
