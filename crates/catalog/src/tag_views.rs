//! Tags as people look at them: what a tag leads to, how large that is, what it runs on, who set it, and who pulls it.
//!
//! Units: bytes of an image are those of its manifests, config and layers, each blob once; of an index, of all that it
//! lists. A pull by digest counts for every tag that leads there. Shape: a page is one range of an index and some look-ups
//! for each entry.

use std::collections::BTreeSet;

use oci::{Digest, RepositoryName};

use crate::Error;
use crate::repos::{Repo, cut, without_nul};
use crate::sql::{Row, Tx, values};

/// Configs larger than this are not looked into.
const CONFIG_MAX: i64 = 64 * 1024;

/// A tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagView {
    /// Its name.
    pub tag: String,
    /// Its manifest.
    pub digest: Digest,
    /// What that is served as.
    pub media_type: String,
    /// Bytes of the image.
    pub size: u64,
    /// What it runs on, as far as it is known: `linux/amd64`.
    pub platforms: Vec<String>,
    /// When it was pushed; a restore or a rollback is no push.
    pub pushed_at: i64,
    /// By whom.
    pub pushed_by: Option<String>,
    /// Pulls by this tag and by the digest.
    pub pulls: u64,
    /// The last one.
    pub last_pull_at: Option<i64>,
}

/// One page.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TagViews {
    /// Whether there is such a repository.
    pub known: bool,
    /// In byte order.
    pub items: Vec<TagView>,
    /// Whether there is at least one after them.
    pub more: bool,
}

/// Tags after `after`, at most `limit`.
pub fn tag_views(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    after: Option<&str>,
    limit: usize,
) -> Result<TagViews, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(TagViews::default());
    };
    let found = tx.query(
        "SELECT t.manifest_id, t.name, m.digest, m.media_type, t.pushed_at, u.name
         FROM tags t JOIN manifests m ON m.id = t.manifest_id LEFT JOIN users u ON u.id = t.pushed_by
         WHERE t.repo_id = ?1 AND t.name > ?2 ORDER BY t.name LIMIT ?3",
        values![
            repo.id,
            without_nul(after.unwrap_or_default()),
            limit.saturating_add(1)
        ],
        |row: &Row<'_>| {
            let view = TagView {
                tag: row.get(1)?,
                digest: row.get(2)?,
                media_type: row.get(3)?,
                size: 0,
                platforms: Vec::new(),
                pushed_at: row.get(4)?,
                pushed_by: row.get(5)?,
                pulls: 0,
                last_pull_at: None,
            };
            Ok((row.get(0)?, view))
        },
    )?;
    let (found, more) = cut(found, limit);
    let mut items = Vec::with_capacity(found.len());
    for (id, mut view) in found {
        view.size = image_size(tx, id)?;
        view.platforms = platforms(tx, id)?;
        (view.pulls, view.last_pull_at) = pulls(tx, id, &view.tag)?;
        items.push(view);
    }
    Ok(TagViews {
        known: true,
        items,
        more,
    })
}

/// Bytes of a manifest and of everything that it names, at any depth; each once.
fn image_size(tx: &mut Tx<'_>, root: i64) -> Result<u64, Error> {
    let (mut seen, mut blobs, mut next, mut bytes) =
        (BTreeSet::from([root]), BTreeSet::new(), vec![root], 0_u64);
    while let Some(id) = next.pop() {
        let body: Option<u64> = tx.first(
            "SELECT b.size FROM manifests m JOIN manifest_bodies b ON b.id = m.body_id WHERE m.id = ?1",
            values![id],
            |row: &Row<'_>| row.get(0),
        )?;
        bytes += body.unwrap_or(0);
        let named: Vec<(i64, u64)> = tx.query(
            "SELECT b.id, b.size FROM manifest_blobs e JOIN blobs b ON b.id = e.blob_id WHERE e.manifest_id = ?1",
            values![id],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
        )?;
        for (blob, size) in named {
            if blobs.insert(blob) {
                bytes += size;
            }
        }
        let children: Vec<i64> = tx.query(
            "SELECT child_id FROM manifest_children WHERE parent_id = ?1",
            values![id],
            |row: &Row<'_>| row.get(0),
        )?;
        next.extend(children.into_iter().filter(|&child| seen.insert(child)));
    }
    Ok(bytes)
}

/// Of an index what it says of its children, of an image what its config says.
fn platforms(tx: &mut Tx<'_>, id: i64) -> Result<Vec<String>, Error> {
    let mut listed: Vec<String> = tx.query(
        "SELECT platform FROM manifest_children WHERE parent_id = ?1 AND platform IS NOT NULL ORDER BY ord",
        values![id],
        |row: &Row<'_>| row.get(0),
    )?;
    // What is beside the images, such as attestations.
    listed.retain(|platform| !platform.starts_with("unknown/"));
    if !listed.is_empty() {
        return Ok(listed);
    }
    let config: Option<Option<Vec<u8>>> = tx.first(
        "SELECT b.inline FROM manifest_blobs e JOIN blobs b ON b.id = e.blob_id
         WHERE e.manifest_id = ?1 AND e.kind = 0 AND b.size <= ?2 LIMIT 1",
        values![id, CONFIG_MAX],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(config
        .flatten()
        .as_deref()
        .and_then(platform_of)
        .into_iter()
        .collect())
}

/// The platform that an image's config names.
fn platform_of(config: &[u8]) -> Option<String> {
    let config: serde_json::Value = serde_json::from_slice(config).ok()?;
    let text = |key: &str| config.get(key)?.as_str().filter(|text| !text.is_empty());
    let (os, architecture) = (text("os")?, text("architecture")?);
    Some(match text("variant") {
        Some(variant) => format!("{os}/{architecture}/{variant}"),
        None => format!("{os}/{architecture}"),
    })
}

fn pulls(tx: &mut Tx<'_>, id: i64, tag: &str) -> Result<(u64, Option<i64>), Error> {
    let rows: Vec<(u64, i64)> = tx.query(
        "SELECT count, last_at FROM pulls WHERE manifest_id = ?1 AND tag IN (?2, '')",
        values![id, tag],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let count = rows.iter().map(|(count, _)| count).sum();
    Ok((count, rows.iter().map(|&(_, at)| at).max()))
}
