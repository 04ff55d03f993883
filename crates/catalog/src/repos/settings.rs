//! What a repository has of its own instead of the registry's settings, kept as JSON in its row.
//!
//! Units: milliseconds. A key that this version does not know stays as it is.

use oci::RepositoryName;
use serde_json::{Map, Value as Json};

use crate::Error;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};

/// The key of the undo window.
const UNDO: &str = "undo_window_ms";

/// What a repository has of its own.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RepositorySettings {
    /// How long what is deleted there can be brought back; none: as long as the registry says.
    pub undo_window_ms: Option<i64>,
}

/// Gives a repository settings of its own; they count for what is deleted from now on. False if there is no such
/// repository.
pub fn set_repository(
    tx: &mut Tx<'_>,
    name: &RepositoryName,
    settings: RepositorySettings,
) -> Result<bool, Error> {
    let Some(repo) = Repo::seize(tx, name)? else {
        return Ok(false);
    };
    let mut all = read(tx, repo.id)?;
    match settings.undo_window_ms {
        Some(ms) => all.insert(UNDO.to_owned(), ms.into()),
        None => all.remove(UNDO),
    };
    let text = (!all.is_empty()).then(|| Json::Object(all).to_string());
    tx.execute(
        "UPDATE repos SET settings = ?2 WHERE id = ?1",
        values![repo.id, text.as_deref()],
    )?;
    Ok(true)
}

/// The settings out of the text in a repository's row.
pub(super) fn parse(text: Option<&str>) -> RepositorySettings {
    RepositorySettings {
        undo_window_ms: object(text).get(UNDO).and_then(Json::as_i64),
    }
}

/// The undo window of a repository, where `default` is the registry's.
pub(crate) fn undo_ms(tx: &mut Tx<'_>, repo: Repo, default: i64) -> Result<i64, Error> {
    let own = read(tx, repo.id)?.get(UNDO).and_then(Json::as_i64);
    Ok(own.unwrap_or(default))
}

fn read(tx: &mut Tx<'_>, repo: i64) -> Result<Map<String, Json>, Error> {
    let text: Option<Option<String>> = tx.first(
        "SELECT settings FROM repos WHERE id = ?1",
        values![repo],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(object(text.flatten().as_deref()))
}

fn object(text: Option<&str>) -> Map<String, Json> {
    match text.and_then(|text| serde_json::from_str(text).ok()) {
        Some(Json::Object(map)) => map,
        _ => Map::new(),
    }
}
