//! Moving a tag by hand: to another manifest, or back to what it once was.
//!
//! A manifest in the trash comes back for it, with what it needs and what refers to it. Fails: one that is purged cannot.

use oci::{Digest, Reference, RepositoryName, Tag};

use crate::Error;
use crate::history::EventKind;
use crate::manifests::find_live;
use crate::pushes::note_push;
use crate::repos::Repo;
use crate::revive::Revival;
use crate::sql::{Row, Tx, values};
use crate::tags::{Held, Setting, Target, find_tag, set_tag};

/// Where a tag is to lead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MoveTo {
    /// To where it led before its last move.
    Before,
    /// To where it led after that step of its history.
    Event(i64),
    /// To a manifest that it once led to, by its digest or the beginning of the hexadecimal part.
    Past(String),
    /// To what this leads to in the same repository.
    Reference(Reference),
}

/// A move.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagMove {
    /// The repository.
    pub repo: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// Where to.
    pub to: MoveTo,
    /// Who moves it.
    pub actor: Option<String>,
    /// The time.
    pub now: i64,
    /// How long a manifest is safe without a tag.
    pub keep_ms: i64,
    /// Nothing is done; the answer is what would come of it.
    pub dry_run: bool,
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TagMoved {
    /// It leads there.
    Done {
        /// Where it led.
        from: Option<Digest>,
        /// Where it leads.
        to: Digest,
        /// Manifests that came out of the trash for it.
        restored: Vec<Digest>,
    },
    /// It led there already.
    Same(Digest),
    /// There is no such repository.
    NoRepository,
    /// The tag has no history.
    NoTag,
    /// Before its last move, or after that step, there was no such tag.
    NothingThere,
    /// Its history has no such step, or no such digest, or the repository no such manifest.
    NoTarget,
    /// Several digests of its history begin like that.
    Ambiguous(Vec<Digest>),
    /// That manifest is purged.
    Purged(Digest),
}

/// Moves a tag.
pub fn move_tag(tx: &mut Tx<'_>, new: &TagMove) -> Result<TagMoved, Error> {
    let Some(repo) = Repo::hold(tx, &new.repo)? else {
        return Ok(TagMoved::NoRepository);
    };
    let wanted = match &new.to {
        MoveTo::Before => before(tx, repo, &new.tag)?,
        MoveTo::Event(seq) => after(tx, repo, &new.tag, *seq)?,
        MoveTo::Past(text) => past(tx, repo, &new.tag, text)?,
        MoveTo::Reference(reference) => target(tx, repo, reference)?,
    };
    let to = match wanted {
        Ok(to) => to,
        Err(moved) => return Ok(moved),
    };
    let from = find_tag(tx, repo, &new.tag)?.map(|(_, digest)| digest);
    if from.as_ref() == Some(&to) {
        return Ok(TagMoved::Same(to));
    }
    let mut revival = Revival::new(repo, new.now, new.keep_ms);
    if !revival.manifest(tx, &to)? {
        return Ok(TagMoved::Purged(to));
    }
    let id = find_live(tx, repo, &to)?
        .ok_or_else(|| Error::Impossible(format!("manifest {to} went while it came back")))?;
    let mut setting = Setting {
        repo,
        kind: match new.to {
            MoveTo::Reference(_) => EventKind::Set,
            MoveTo::Before | MoveTo::Event(_) | MoveTo::Past(_) => EventKind::RolledBack,
        },
        actor: new.actor.as_deref(),
        now: new.now,
        keep_ms: new.keep_ms,
        op: None,
    };
    let target = Target { id, digest: &to };
    set_tag(tx, &mut setting, &new.tag, target, &Held::Anything)?;
    if setting.kind == EventKind::Set {
        note_push(tx, repo, new.now)?;
    }
    if new.dry_run {
        tx.give_up();
    }
    Ok(TagMoved::Done {
        from,
        to,
        restored: revival.manifests,
    })
}

/// A digest, or why there is none.
type Wanted = Result<Digest, TagMoved>;

fn before(tx: &mut Tx<'_>, repo: Repo, tag: &Tag) -> Result<Wanted, Error> {
    let last: Option<Option<Digest>> = tx.first(
        "SELECT old_digest FROM tag_events WHERE repo_id = ?1 AND name = ?2 ORDER BY seq DESC LIMIT 1",
        values![repo.id, tag],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(match last {
        None => Err(TagMoved::NoTag),
        Some(None) => Err(TagMoved::NothingThere),
        Some(Some(digest)) => Ok(digest),
    })
}

fn after(tx: &mut Tx<'_>, repo: Repo, tag: &Tag, seq: i64) -> Result<Wanted, Error> {
    let step: Option<Option<Digest>> = tx.first(
        "SELECT new_digest FROM tag_events WHERE repo_id = ?1 AND name = ?2 AND seq = ?3",
        values![repo.id, tag, seq],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(match step {
        None => Err(TagMoved::NoTarget),
        Some(None) => Err(TagMoved::NothingThere),
        Some(Some(digest)) => Ok(digest),
    })
}

/// Steps of the history that are looked through for a digest.
const STEPS_MAX: usize = 100_000;

fn past(tx: &mut Tx<'_>, repo: Repo, tag: &Tag, text: &str) -> Result<Wanted, Error> {
    let all: Vec<Option<Digest>> = tx.query(
        "SELECT new_digest FROM tag_events WHERE repo_id = ?1 AND name = ?2 ORDER BY seq DESC LIMIT ?3",
        values![repo.id, tag, STEPS_MAX],
        |row: &Row<'_>| row.get(0),
    )?;
    if all.is_empty() {
        return Ok(Err(TagMoved::NoTag));
    }
    let hex = text.rsplit(':').next().unwrap_or_default();
    let is_meant =
        |digest: &Digest| digest.to_string() == text || !hex.is_empty() && digest.hex().starts_with(hex);
    let mut found: Vec<Digest> = all.into_iter().flatten().filter(is_meant).collect();
    found.sort();
    found.dedup();
    Ok(match found.len() {
        0 => Err(TagMoved::NoTarget),
        1 => Ok(found.remove(0)),
        _ => Err(TagMoved::Ambiguous(found)),
    })
}

fn target(tx: &mut Tx<'_>, repo: Repo, reference: &Reference) -> Result<Wanted, Error> {
    let found = match reference {
        Reference::Tag(tag) => find_tag(tx, repo, tag)?.map(|(_, digest)| digest),
        Reference::Digest(digest) => find_live(tx, repo, digest)?.map(|_| digest.clone()),
    };
    Ok(found.ok_or(TagMoved::NoTarget))
}
