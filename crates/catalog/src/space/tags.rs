//! What the images of a repository's tags take.
//!
//! An image is a manifest, all that it lists, and all that refers to those. What deleting a tag's image would free is what
//! P-TRASH takes with it: its referrers and children that nothing else holds. A tag whose manifest something else holds
//! (another tag, a live index, a live subject) frees nothing.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Digest, RepositoryName, Tag};

use super::freeable::{Freeable, is_named_elsewhere, named_by_one};
use crate::Error;
use crate::repos::{Repo, without_nul};
use crate::sql::{Row, Tx, values};

/// What the image of a tag takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagSpace {
    /// The tag.
    pub tag: Tag,
    /// Where it leads.
    pub digest: Digest,
    /// Manifests of the image.
    pub manifests: u64,
    /// Bytes of its blobs.
    pub bytes: u64,
    /// Those that no other manifest names.
    pub unique: u64,
    /// What deleting it would free.
    pub would_free: u64,
}

/// Indexes that are looked at at once.
const PARENTS: usize = 64;

struct Tagged {
    tag: Tag,
    manifest: i64,
    digest: Digest,
}

/// The tags of a repository after `after`, at most `limit`. None if it is not there.
pub fn space_of_tags(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    after: &str,
    limit: usize,
) -> Result<Option<Vec<TagSpace>>, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(None);
    };
    let tagged = tx.query(
        "SELECT t.name, m.id, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id
         WHERE t.repo_id = ?1 AND t.name > ?2 ORDER BY t.name LIMIT ?3",
        values![repo.id, without_nul(after), limit],
        |row: &Row<'_>| {
            Ok(Tagged {
                tag: row.get(0)?,
                manifest: row.get(1)?,
                digest: row.get(2)?,
            })
        },
    )?;
    let weigh = |one: Tagged| weigh(tx, one);
    tagged.into_iter().map(weigh).collect::<Result<_, _>>().map(Some)
}

fn weigh(tx: &mut Tx<'_>, tagged: Tagged) -> Result<TagSpace, Error> {
    let image = whole(tx, tagged.manifest)?;
    let all = weigh_set(tx, &image)?;
    let would_free = if is_held(tx, tagged.manifest, Some(&tagged.tag), &BTreeSet::new())? {
        0
    } else {
        let mut going = BTreeSet::new();
        going_with(tx, tagged.manifest, &mut going)?;
        if going == image {
            all.freed_bytes
        } else {
            weigh_set(tx, &going)?.freed_bytes
        }
    };
    Ok(TagSpace {
        tag: tagged.tag,
        digest: tagged.digest,
        manifests: image.len() as u64,
        bytes: all.bytes,
        unique: all.freed_bytes,
        would_free,
    })
}

fn weigh_set(tx: &mut Tx<'_>, manifests: &BTreeSet<i64>) -> Result<Freeable, Error> {
    let mut named = BTreeMap::new();
    for manifest in manifests {
        named_by_one(tx, *manifest, &mut named)?;
    }
    let mut all = Freeable::default();
    for (blob, found) in named {
        let elsewhere = is_named_elsewhere(tx, blob, found.edges)?;
        all.add(found.size, elsewhere);
    }
    Ok(all)
}

/// A manifest, what it lists, and what refers to any of those; live ones.
fn whole(tx: &mut Tx<'_>, root: i64) -> Result<BTreeSet<i64>, Error> {
    let (mut all, mut next) = (BTreeSet::from([root]), vec![root]);
    while let Some(manifest) = next.pop() {
        let mut found = children(tx, manifest)?;
        found.extend(referrers(tx, manifest)?);
        next.extend(found.into_iter().filter(|&one| all.insert(one)));
    }
    Ok(all)
}

/// Adds a manifest that nothing holds but what is going already, and what goes to the trash with it.
pub(super) fn going_with(tx: &mut Tx<'_>, root: i64, going: &mut BTreeSet<i64>) -> Result<(), Error> {
    let mut next = vec![root];
    going.insert(root);
    while let Some(manifest) = next.pop() {
        for one in referrers(tx, manifest)? {
            if !going.contains(&one) && !is_tagged(tx, one, None)? && !is_listed_outside(tx, one, going)? {
                going.insert(one);
                next.push(one);
            }
        }
        for one in children(tx, manifest)? {
            if !going.contains(&one) && !is_held(tx, one, None, going)? {
                going.insert(one);
                next.push(one);
            }
        }
    }
    Ok(())
}

fn children(tx: &mut Tx<'_>, manifest: i64) -> Result<Vec<i64>, Error> {
    tx.query(
        "SELECT m.id FROM manifest_children c JOIN manifests m ON m.id = c.child_id
         WHERE c.parent_id = ?1 AND m.trashed_at IS NULL",
        values![manifest],
        |row: &Row<'_>| row.get(0),
    )
}

fn referrers(tx: &mut Tx<'_>, manifest: i64) -> Result<Vec<i64>, Error> {
    tx.query(
        "SELECT r.id FROM manifests m JOIN manifests r ON r.repo_id = m.repo_id AND r.subject_digest = m.digest
         WHERE m.id = ?1 AND r.trashed_at IS NULL",
        values![manifest],
        |row: &Row<'_>| row.get(0),
    )
}

/// Whether something but this tag and what is going holds a manifest.
pub(super) fn is_held(
    tx: &mut Tx<'_>,
    manifest: i64,
    tag: Option<&Tag>,
    going: &BTreeSet<i64>,
) -> Result<bool, Error> {
    Ok(is_tagged(tx, manifest, tag)?
        || is_listed_outside(tx, manifest, going)?
        || refers_outside(tx, manifest, going)?)
}

/// Whether a tag other than this leads there.
fn is_tagged(tx: &mut Tx<'_>, manifest: i64, but: Option<&Tag>) -> Result<bool, Error> {
    // No tag is called so.
    let but = but.map_or("", |tag| tag);
    tx.exists(
        "SELECT 1 FROM tags WHERE manifest_id = ?1 AND name <> ?2 LIMIT 1",
        values![manifest, but],
    )
}

fn is_listed_outside(tx: &mut Tx<'_>, manifest: i64, going: &BTreeSet<i64>) -> Result<bool, Error> {
    let mut after = 0;
    loop {
        let parents: Vec<(i64, bool)> = tx.query(
            "SELECT c.parent_id, p.trashed_at IS NULL FROM manifest_children c JOIN manifests p ON p.id = c.parent_id
             WHERE c.child_id = ?1 AND c.parent_id > ?2 ORDER BY c.parent_id LIMIT ?3",
            values![manifest, after, PARENTS],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if parents
            .iter()
            .any(|(parent, is_live)| *is_live && !going.contains(parent))
        {
            return Ok(true);
        }
        match parents.last() {
            // A parent may list it so often that it fills the page: the next page begins with another one.
            Some((last, _)) if parents.len() == PARENTS => after = *last,
            _ => return Ok(false),
        }
    }
}

fn refers_outside(tx: &mut Tx<'_>, manifest: i64, going: &BTreeSet<i64>) -> Result<bool, Error> {
    let subject: Option<i64> = tx.first(
        "SELECT s.id FROM manifests m JOIN manifests s ON s.repo_id = m.repo_id AND s.digest = m.subject_digest
         WHERE m.id = ?1 AND s.trashed_at IS NULL",
        values![manifest],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(subject.is_some_and(|subject| !going.contains(&subject)))
}
