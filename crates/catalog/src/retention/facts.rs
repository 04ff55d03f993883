//! What a run looks at, page by page: repositories, tags from the newest on, manifests that nothing holds.
//!
//! Each page is found by its key in an index, so the cost is that of the tags which rules are about.

use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::repos::{Repo, cut};
use crate::sql::{Row, Tx, values};
use crate::trash::is_rooted;

/// A repository that rules may be about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetainedRepository {
    /// Its name.
    pub name: RepositoryName,
    /// Since when it is here, and its pulls are recorded.
    pub created_at: i64,
}

/// A tag, and what rules ask of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagState {
    /// Its name.
    pub tag: Tag,
    /// Where it points.
    pub digest: Digest,
    /// When it was last set.
    pub set_at: i64,
    /// The event that set it.
    pub event: i64,
    /// Its place among the tags of its repository: what was set later has a higher one.
    pub ranked_at: i64,
    /// When it, or its manifest by digest, was last pulled.
    pub pulled_at: Option<i64>,
    /// The live manifest that it signs or describes, by the name that clients without the referrers API give it.
    pub describes: Option<Digest>,
}

/// The last tag of the page before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagsAfter {
    /// Its place.
    pub ranked_at: i64,
    /// The event that set it, which tells apart what has the same place.
    pub event: i64,
}

/// A manifest that nothing holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LooseManifest {
    /// Its digest.
    pub digest: Digest,
    /// When the last lease ended, or ends.
    pub loose_at: i64,
    /// Its place in the order.
    pub id: i64,
}

/// Some of the manifests that nothing holds.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct LoosePage {
    /// In order; those that something holds after all are left out.
    pub manifests: Vec<LooseManifest>,
    /// Where to go on; none at the end.
    pub next: Option<(i64, i64)>,
}

/// One repository.
pub fn find_retained(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<Option<RetainedRepository>, Error> {
    tx.first(
        "SELECT name, created_at FROM repos WHERE name = ?1 AND deleted_at IS NULL",
        values![name],
        |row: &Row<'_>| {
            Ok(RetainedRepository {
                name: row.get(0)?,
                created_at: row.get(1)?,
            })
        },
    )
}

/// Repositories whose name begins with `prefix`, after `last`, in the order of the list of repositories.
pub fn list_retained(
    tx: &mut Tx<'_>,
    prefix: &str,
    last: Option<&str>,
    limit: usize,
) -> Result<(Vec<RetainedRepository>, bool), Error> {
    let sorted = |name: &str| name.replace('/', "!");
    let (from, after) = (sorted(prefix), last.map(sorted).unwrap_or_default());
    // `~` is above all that a name may have.
    let until = format!("{from}~");
    let found = tx.query(
        "SELECT name, created_at FROM repos
         WHERE deleted_at IS NULL AND sort_name >= ?1 AND sort_name < ?2 AND sort_name > ?3 ORDER BY sort_name LIMIT ?4",
        values![&from, &until, &after, limit.saturating_add(1)],
        |row: &Row<'_>| {
            Ok(RetainedRepository {
                name: row.get(0)?,
                created_at: row.get(1)?,
            })
        },
    )?;
    Ok(cut(found, limit))
}

/// Tags of a repository, newest first, after one; and whether there are more.
pub fn tag_states(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    after: Option<&TagsAfter>,
    limit: usize,
) -> Result<(Vec<TagState>, bool), Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok((Vec::new(), false));
    };
    let (ranked_at, event) = after.map_or((i64::MAX, i64::MAX), |after| (after.ranked_at, after.event));
    let found = tx.query(
        "SELECT t.name, m.digest, t.updated_at, t.event_seq, t.ranked_at,
           (SELECT max(p.last_at) FROM pulls p WHERE p.manifest_id = t.manifest_id AND p.tag IN (t.name, ''))
         FROM tags t JOIN manifests m ON m.id = t.manifest_id
         WHERE t.repo_id = ?1 AND (t.ranked_at, t.event_seq) < (?2, ?3)
         ORDER BY t.ranked_at DESC, t.event_seq DESC LIMIT ?4",
        values![repo.id, ranked_at, event, limit.saturating_add(1)],
        |row: &Row<'_>| {
            Ok(TagState {
                tag: row.get(0)?,
                digest: row.get(1)?,
                set_at: row.get(2)?,
                event: row.get(3)?,
                ranked_at: row.get(4)?,
                pulled_at: row.get(5)?,
                describes: None,
            })
        },
    )?;
    let (mut tags, more) = cut(found, limit);
    for one in &mut tags {
        one.describes = described(tx, repo, &one.tag)?;
    }
    Ok((tags, more))
}

/// The live manifest that a tag such as `sha256-<hex>` or `sha256-<hex>.sig` is about.
/// Source: distribution-spec "Referrers Tag Schema"; cosign's tags are the same with an ending.
pub(super) fn described(tx: &mut Tx<'_>, repo: Repo, tag: &str) -> Result<Option<Digest>, Error> {
    let Some((algorithm, rest)) = tag
        .split_once('-')
        .filter(|(algorithm, _)| algorithm.starts_with("sha"))
    else {
        return Ok(None);
    };
    let hex = rest.split('.').next().unwrap_or_default();
    let Ok(digest) = format!("{algorithm}:{hex}").parse::<Digest>() else {
        return Ok(None);
    };
    let is_live = tx.exists(
        "SELECT 1 FROM manifests WHERE repo_id = ?1 AND digest = ?2 AND trashed_at IS NULL",
        values![repo.id, &digest],
    )?;
    Ok(is_live.then_some(digest))
}

/// Manifests that nothing holds and whose last lease ended at `until` or earlier, or ends by then, after one. Whether the
/// collector has looked at one since makes no difference; what follows an index into the trash is left to it.
pub fn list_loose(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    until: i64,
    after: Option<(i64, i64)>,
    limit: usize,
) -> Result<LoosePage, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(LoosePage::default());
    };
    let (loose_at, id) = after.unwrap_or((i64::MIN, 0));
    let found = tx.query(
        "SELECT digest, COALESCE(loose_at, review_at), id FROM manifests
         WHERE repo_id = ?1 AND COALESCE(loose_at, review_at) IS NOT NULL AND COALESCE(loose_at, review_at) <= ?2
           AND COALESCE(loose_at, review_at) >= ?3 AND (COALESCE(loose_at, review_at) > ?3 OR id > ?4)
           AND trash_op IS NULL ORDER BY COALESCE(loose_at, review_at), id LIMIT ?5",
        values![repo.id, until, loose_at, id, limit.saturating_add(1)],
        |row: &Row<'_>| {
            Ok(LooseManifest {
                digest: row.get(0)?,
                loose_at: row.get(1)?,
                id: row.get(2)?,
            })
        },
    )?;
    let (found, more) = cut(found, limit);
    let next = found.last().filter(|_| more).map(|last| (last.loose_at, last.id));
    let mut manifests = Vec::with_capacity(found.len());
    for one in found {
        if !is_rooted(tx, one.id)? {
            manifests.push(one);
        }
    }
    Ok(LoosePage { manifests, next })
}
