//! Referrers: the manifests whose subject is a given one. One page is one range of an index, at any depth.
//!
//! The cursor is the number of the last entry, with and without a filter. Units: bytes of a page are about what its
//! entries take as JSON. Never fails for what is not there. Source: distribution-spec "Listing Referrers".

use oci::{Digest, RepositoryName};

use crate::Error;
use crate::put::storable;
use crate::repos::{Repo, cut};
use crate::sql::{Row, Tx, values};

/// What an entry takes in JSON besides its texts.
const ENTRY_BYTES: usize = 256;

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

/// Entries after `after`, of one of `types` (any, if empty): at most `limit`, and about `bytes_max` bytes, but one
/// at least.
pub fn list_referrers(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    subject: &Digest,
    types: &[String],
    after: Option<i64>,
    bytes_max: usize,
    limit: usize,
) -> Result<ReferrersPage, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(ReferrersPage::default());
    };
    let limit = limit.max(1);
    let marks = marks(tx, repo, subject, types, after.unwrap_or(0), limit)?;
    let (marks, more) = cut(marks, limit);
    let mut bytes = 0;
    let fitting = marks.iter().take_while(|mark| {
        bytes += mark.bytes;
        bytes <= bytes_max
    });
    let fitting = fitting.count().max(1).min(marks.len());
    let next = (more || fitting < marks.len()).then(|| marks[fitting - 1].id);
    let entries = marks[..fitting]
        .iter()
        .map(|mark| entry(tx, mark.id))
        .collect::<Result<_, _>>()?;
    Ok(ReferrersPage { entries, next })
}

/// The first `limit` entries after `after`, and one more to know that there is one.
fn marks(
    tx: &mut Tx<'_>,
    repo: Repo,
    subject: &Digest,
    types: &[String],
    after: i64,
    limit: usize,
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
            values![repo.id, subject, after, limit.saturating_add(1)],
            mark,
        );
    }
    let mut wanted: Vec<_> = types.iter().map(|wanted| storable(wanted)).collect();
    wanted.sort();
    wanted.dedup();
    let mut all = Vec::new();
    for wanted in wanted {
        all.extend(tx.query(
            "SELECT m.id, octet_length(b.annotations), octet_length(m.artifact_type)
             FROM manifests m JOIN manifest_bodies b ON b.id = m.body_id
             WHERE m.repo_id = ?1 AND m.subject_digest = ?2 AND m.artifact_type = ?5 AND m.trashed_at IS NULL
               AND m.id > ?3
             ORDER BY m.id LIMIT ?4",
            values![repo.id, subject, after, limit.saturating_add(1), wanted],
            mark,
        )?);
    }
    all.sort_by_key(|mark| mark.id);
    all.truncate(limit.saturating_add(1));
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
