//! What a file of ours brings into a repository, under the rules of the moment as a push: bytes that are here, and tags.
//!
//! A tag moves only from where the bringer knows it to have been. Units: Unix milliseconds. Fails: `OverQuota`; never by halves.

use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::blobs::Health;
use crate::guard::immutable_by;
use crate::history::EventKind;
use crate::links::{BlobRow, link};
use crate::manifests::find_live;
use crate::quota;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};
use crate::tags::{Held, Setting, Target, find_tag, set_tag};

/// A tag that is to be set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BroughtTag {
    /// Where.
    pub repo: RepositoryName,
    /// Its name.
    pub tag: Tag,
    /// Where it is to lead.
    pub digest: Digest,
    /// Where it may lead now.
    pub from: Vec<Digest>,
    /// Who brings it.
    pub actor: Option<String>,
    /// The time.
    pub now: i64,
    /// How long a manifest is safe without a tag.
    pub keep_ms: i64,
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TagBrought {
    /// It leads there, since now.
    Set,
    /// It did before.
    Same,
    /// It leads elsewhere, and stays.
    Elsewhere,
    /// This rule keeps it as it is.
    Immutable(String),
    /// The repository serves no such manifest.
    NoManifest,
}

/// Lets a repository serve a blob whose bytes are here and good. False if there are none.
pub fn link_stored(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    digest: &Digest,
    now: i64,
    keep_ms: i64,
) -> Result<bool, Error> {
    let found: Option<(i64, u64, Health)> = tx.first(
        "SELECT id, size, health FROM blobs WHERE digest = ?1 @keyshare",
        values![digest],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let Some((id, size, health)) = found else {
        return Ok(false);
    };
    if health == Health::Bad {
        return Ok(false);
    }
    let repo = Repo::ensure(tx, repo, now)?;
    quota::claim(tx, repo)?;
    link(tx, repo, BlobRow { id, size }, digest, now, keep_ms)?;
    Ok(true)
}

/// Sets a tag that is not there, or leads where it may.
pub fn bring_tag(tx: &mut Tx<'_>, new: &BroughtTag) -> Result<TagBrought, Error> {
    let Some(repo) = Repo::hold(tx, &new.repo)? else {
        return Ok(TagBrought::NoManifest);
    };
    quota::claim(tx, repo)?;
    let old = find_tag(tx, repo, &new.tag)?.map(|(_, digest)| digest);
    let Some(id) = find_live(tx, repo, &new.digest)? else {
        return Ok(TagBrought::NoManifest);
    };
    let must_be = match &old {
        None => Held::Nothing,
        Some(old) if *old == new.digest => return Ok(TagBrought::Same),
        Some(old) if !new.from.contains(old) => return Ok(TagBrought::Elsewhere),
        Some(old) => {
            if let Some(rule) = immutable_by(tx, repo, &new.tag)? {
                return Ok(TagBrought::Immutable(rule));
            }
            Held::This(old)
        }
    };
    let mut setting = Setting {
        repo,
        kind: EventKind::Set,
        actor: new.actor.as_deref(),
        now: new.now,
        keep_ms: new.keep_ms,
        op: None,
    };
    let target = Target {
        id,
        digest: &new.digest,
    };
    let is_set = set_tag(tx, &mut setting, &new.tag, target, &must_be)?;
    Ok(if is_set {
        TagBrought::Set
    } else {
        TagBrought::Elsewhere
    })
}
