//! Referrers: the manifests whose subject is a given one. One page is one range of an index, at any depth.
//!
//! The cursor is the number of the last entry, with and without a filter. Units: bytes of a page are about what its
//! entries take as JSON. Never fails for what is not there. Source: distribution-spec "Listing Referrers".

use std::borrow::Cow;
use std::sync::Arc;

use oci::{Digest, RepositoryName};

use crate::Error;
use crate::put::storable;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};

/// What an entry takes in JSON besides its texts.
const ENTRY_BYTES: usize = 256;
/// Entries that are weighed at once.
const BATCH: usize = 512;

/// One entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Referrer {
    /// The manifest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Bytes that it has.
    pub size: u64,
    /// Its artifact type, as it is listed.
    pub artifact_type: Option<String>,
    /// Its annotations, a JSON object.
    pub annotations: Option<String>,
}

/// What is wanted of the list.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ReferrersWanted {
    /// Referrers of what.
    pub subject: Digest,
    /// Of one of these artifact types; of any, if there is none.
    pub types: Vec<String>,
    /// After this place: the end of the page before.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: usize,
    /// About so many bytes of them, but one at least.
    pub bytes_max: usize,
    /// A page of more bytes than these is weighed and not read, because there may be no memory for it yet.
    pub heavy: usize,
}

/// One page, or what it weighs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Referrers {
    /// The page.
    Page(Arc<ReferrersPage>),
    /// It has more bytes than were wanted at once.
    Heavy {
        /// About how many.
        bytes: usize,
    },
}

/// One page.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ReferrersPage {
    /// In the order of arrival.
    pub entries: Vec<Referrer>,
    /// Where the next page begins; none if this is the last.
    pub next: Option<i64>,
}

/// The place and weight of one entry.
struct Mark {
    id: i64,
    bytes: usize,
}

/// The entries of one page, before they are read.
struct Outline {
    ids: Vec<i64>,
    bytes: usize,
    more: bool,
}

/// One page of the manifests that refer to `wanted.subject`.
pub fn list_referrers(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    wanted: &ReferrersWanted,
) -> Result<Referrers, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(Referrers::Page(Arc::default()));
    };
    let mut types: Vec<_> = wanted.types.iter().map(|wanted| storable(wanted)).collect();
    types.sort();
    types.dedup();
    let outline = outline(wanted, |after, count| {
        marks(tx, repo, &wanted.subject, &types, after, count)
    })?;
    if outline.bytes > wanted.heavy {
        let bytes = outline.bytes;
        return Ok(Referrers::Heavy { bytes });
    }
    let next = outline.ids.last().filter(|_| outline.more).copied();
    let entries = outline.ids.iter().map(|&id| entry(tx, id));
    let entries = entries.collect::<Result<_, _>>()?;
    Ok(Referrers::Page(Arc::new(ReferrersPage { entries, next })))
}

/// What fits on the page. `marks` gives so many after a place, and is asked for a batch at a time: a page of a few
/// large entries costs no look at the thousands behind them.
fn outline(
    wanted: &ReferrersWanted,
    mut marks: impl FnMut(i64, usize) -> Result<Vec<Mark>, Error>,
) -> Result<Outline, Error> {
    let limit = wanted.limit.max(1);
    let mut after = wanted.after.unwrap_or(0);
    let mut page = Outline {
        ids: Vec::new(),
        bytes: 0,
        more: false,
    };
    loop {
        // One more than the page takes, to know that there is one.
        let count = (limit - page.ids.len()).saturating_add(1).min(BATCH);
        let batch = marks(after, count)?;
        let ended = batch.len() < count;
        for mark in batch {
            let fits = page.ids.len() < limit && page.bytes.saturating_add(mark.bytes) <= wanted.bytes_max;
            if !fits && !page.ids.is_empty() {
                page.more = true;
                return Ok(page);
            }
            page.ids.push(mark.id);
            page.bytes += mark.bytes;
            after = mark.id;
        }
        if ended {
            return Ok(page);
        }
    }
}

/// The first `count` entries after `after`.
fn marks(
    tx: &mut Tx<'_>,
    repo: Repo,
    subject: &Digest,
    types: &[Cow<'_, str>],
    after: i64,
    count: usize,
) -> Result<Vec<Mark>, Error> {
    let mark = |row: &Row<'_>| {
        let texts = row.get::<Option<usize>>(1)?.unwrap_or(0) + row.get::<Option<usize>>(2)?.unwrap_or(0);
        Ok(Mark {
            id: row.get(0)?,
            bytes: texts + ENTRY_BYTES,
        })
    };
    if types.is_empty() {
        return tx.query(
            "SELECT m.id, octet_length(b.annotations), octet_length(m.artifact_type)
             FROM manifests m JOIN manifest_bodies b ON b.id = m.body_id
             WHERE m.repo_id = ?1 AND m.subject_digest = ?2 AND m.trashed_at IS NULL AND m.id > ?3
             ORDER BY m.id LIMIT ?4",
            values![repo.id, subject, after, count],
            mark,
        );
    }
    let mut all = Vec::new();
    for wanted in types {
        all.extend(tx.query(
            "SELECT m.id, octet_length(b.annotations), octet_length(m.artifact_type)
             FROM manifests m JOIN manifest_bodies b ON b.id = m.body_id
             WHERE m.repo_id = ?1 AND m.subject_digest = ?2 AND m.artifact_type = ?5 AND m.trashed_at IS NULL
               AND m.id > ?3
             ORDER BY m.id LIMIT ?4",
            values![repo.id, subject, after, count, wanted.as_ref()],
            mark,
        )?);
    }
    // What lies behind the last of them comes with the next batch.
    all.sort_by_key(|mark| mark.id);
    all.truncate(count);
    Ok(all)
}

fn entry(tx: &mut Tx<'_>, id: i64) -> Result<Referrer, Error> {
    let found = tx.first(
        "SELECT m.digest, m.media_type, b.size, m.artifact_type, b.annotations
         FROM manifests m JOIN manifest_bodies b ON b.id = m.body_id WHERE m.id = ?1",
        values![id],
        |row: &Row<'_>| {
            Ok(Referrer {
                digest: row.get(0)?,
                media_type: row.get(1)?,
                size: row.get(2)?,
                artifact_type: row.get(3)?,
                annotations: row.get(4)?,
            })
        },
    )?;
    found.ok_or_else(|| Error::Impossible(format!("referrer {id} vanished inside a transaction")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(limit: usize, bytes_max: usize) -> ReferrersWanted {
        ReferrersWanted {
            subject: Digest::Sha256([0; 32]),
            types: Vec::new(),
            after: None,
            limit,
            bytes_max,
            heavy: usize::MAX,
        }
    }

    /// The page of a list of `all` entries of `bytes` each, and how many rows it cost.
    fn page(all: i64, bytes: usize, wanted: &ReferrersWanted) -> (Outline, usize) {
        let mut rows = 0;
        let outline = outline(wanted, |after, count| {
            let batch: Vec<Mark> = (after + 1..=all)
                .take(count)
                .map(|id| Mark { id, bytes })
                .collect();
            rows += batch.len();
            Ok(batch)
        });
        (outline.unwrap(), rows)
    }

    #[test]
    fn a_page_costs_what_is_on_it_however_long_the_list_is() {
        let (few, rows) = page(100_000, 1000, &wanted(20_000, 10_000));
        assert_eq!((few.ids.len(), few.bytes, few.more), (10, 10_000, true));
        assert!(rows <= BATCH, "{rows} rows for ten entries");
        let (many, rows) = page(100_000, 1000, &wanted(5000, usize::MAX));
        assert_eq!((many.ids.len(), many.more), (5000, true));
        assert_eq!(rows, 5001);
        let (short, rows) = page(3, 1000, &wanted(usize::MAX, usize::MAX));
        assert_eq!((short.ids.len(), short.more, rows), (3, false, 3));
    }

    #[test]
    fn lists_that_end_where_a_batch_or_a_page_ends_promise_no_more() {
        for all in [BATCH - 1, BATCH, BATCH + 1, 2 * BATCH] {
            for limit in [all, all + 1] {
                let entries = i64::try_from(all).unwrap();
                let (page, _) = page(entries, 1, &wanted(limit, usize::MAX));
                assert_eq!((page.ids.len(), page.more), (all, false), "{all} by {limit}");
            }
        }
    }
}
