//! The tags of a bundle: a tag is set where it is not there, or leads where the source once had it; what was set here by others
//! stays. How far each source was brought is kept, so that an earlier bundle, or the same one again, moves nothing back.
//!
//! Fails: a quota, a catalog. What is left as it is comes with the answer, and why.

use std::collections::BTreeMap;
use std::path::Path;

use access::{Caller, Delete};
use catalog::{BroughtTag, TagBrought, Tx};
use oci::{Digest, Reference, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

use super::import::{Imported, digest_in};
use super::record::{BundleRecord, BundleRepository, BundleTag};
use crate::{Error, Registry};

/// Tags that are set in one transaction.
const TAGS: usize = 64;

/// A tag that stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TagLeft {
    /// Which, with its repository.
    pub tag: String,
    /// Why.
    pub why: String,
}

/// How far a repository of a source was brought.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Mark {
    seq: i64,
    created: String,
}

/// How far each repository of a source was brought.
#[derive(Clone, Default, Debug)]
pub(super) struct Marks(BTreeMap<String, Mark>);

/// A bundle beside what was brought of the same repository before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Age {
    Later,
    Same,
    /// A bundle up to this change was brought.
    Earlier(i64),
}

impl Marks {
    /// A source that came out of a backup counts on from there: then the time tells which bundle is later.
    pub(super) fn age(&self, record: &BundleRecord, repository: &str) -> Age {
        let Some(mark) = self.0.get(repository) else {
            return Age::Later;
        };
        let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
        if record.seq > mark.seq || time(&record.created) > time(&mark.created) {
            Age::Later
        } else if record.seq == mark.seq {
            Age::Same
        } else {
            Age::Earlier(mark.seq)
        }
    }

    /// The last change of this repository that was brought.
    pub(super) fn upto(&self, repository: &str) -> Option<i64> {
        self.0.get(repository).map(|mark| mark.seq)
    }

    fn pass(&mut self, record: &BundleRecord) {
        for cover in record.covered() {
            if self.age(record, &cover.name) == Age::Later {
                let mark = Mark {
                    seq: record.seq,
                    created: record.created.clone(),
                };
                self.0.insert(cover.name, mark);
            }
        }
    }
}

/// The row of a source never ends: its cursor is how far it was brought.
fn begin(tx: &mut Tx<'_>, record: &BundleRecord, now: i64) -> Result<(i64, Marks), catalog::Error> {
    let row = catalog::begin_import(tx, &source_of(record), now)?;
    Ok((row.id, parse(row.cursor)))
}

fn source_of(record: &BundleRecord) -> String {
    format!("bundles of {}", record.store)
}

fn parse(cursor: Option<String>) -> Marks {
    let marks = cursor.and_then(|text| serde_json::from_str(&text).ok());
    Marks(marks.unwrap_or_default())
}

/// Writes down that this bundle was brought.
pub(super) fn pass(tx: &mut Tx<'_>, record: &BundleRecord, now: i64) -> Result<(), catalog::Error> {
    let (row, mut marks) = begin(tx, record, now)?;
    marks.pass(record);
    let text =
        serde_json::to_string(&marks.0).map_err(|error| catalog::Error::Impossible(error.to_string()))?;
    catalog::advance_import(tx, row, &text)
}

impl Registry {
    /// How far the source of this bundle was brought.
    pub(super) async fn marks(&self, record: &BundleRecord) -> Result<Marks, Error> {
        let source = source_of(record);
        let cursor = move |tx: &mut Tx<'_>| catalog::import_cursor(tx, &source);
        Ok(parse(self.inner.catalog.read(cursor).await?))
    }

    /// Sets and takes away the tags of a repository whose manifests are here.
    pub(super) async fn bring_tags(
        &self,
        bundle: &Path,
        name: &RepositoryName,
        about: &BundleRepository,
        age: Age,
        actor: Option<&str>,
        imported: &mut Imported,
    ) -> Result<(), Error> {
        let mut wanted = Vec::new();
        for tag in &about.tags {
            let digest = tag.digest.as_ref().map(|text| digest_in(bundle, text));
            let digest = digest.transpose()?;
            let Ok(parsed) = tag.name.parse::<Tag>() else {
                let why = "its name is none that a tag may have here".to_owned();
                leave(imported, name, &tag.name, why);
                continue;
            };
            match (digest, age) {
                (digest, Age::Earlier(seq)) => {
                    if self.where_led(name, &parsed).await? != digest {
                        let why = format!(
                            "this bundle is older than what was brought here from there before (change {seq})"
                        );
                        leave(imported, name, &tag.name, why);
                    }
                }
                (Some(digest), _) => wanted.push(BroughtTag {
                    repo: name.clone(),
                    tag: parsed,
                    digest,
                    from: froms(tag, age),
                    actor: actor.map(str::to_owned),
                    now: self.now(),
                    keep_ms: self.keep_ms(),
                }),
                (None, _) => self.remove_tag(name, &parsed, &froms(tag, age), imported).await?,
            }
        }
        for batch in wanted.chunks(TAGS) {
            let brought = batch.to_vec();
            let bring =
                move |tx: &mut Tx<'_>| brought.iter().map(|one| catalog::bring_tag(tx, one)).collect();
            let outcomes: Vec<TagBrought> = self.write_under_quota(name, bring).await?;
            for (one, outcome) in batch.iter().zip(outcomes) {
                let why = match outcome {
                    TagBrought::Set => {
                        imported.tags += 1;
                        continue;
                    }
                    TagBrought::Same => continue,
                    TagBrought::Elsewhere => elsewhere(age).to_owned(),
                    TagBrought::Immutable(rule) => format!("it is immutable here (rule {rule})"),
                    TagBrought::NoManifest => "its image was deleted here meanwhile".to_owned(),
                };
                leave(imported, name, &one.tag, why);
            }
        }
        Ok(())
    }

    async fn where_led(&self, name: &RepositoryName, tag: &Tag) -> Result<Option<Digest>, Error> {
        let (repo, wanted, now) = (name.clone(), Reference::Tag(tag.clone()), self.now());
        let found = self
            .inner
            .catalog
            .read(move |tx| catalog::stat_manifest(tx, &repo, &wanted, now, 0))
            .await?;
        Ok(found.map(|found| found.digest))
    }

    /// Takes away a tag that leads to one of `from`.
    pub(super) async fn remove_tag(
        &self,
        name: &RepositoryName,
        tag: &Tag,
        from: &[Digest],
        imported: &mut Imported,
    ) -> Result<(), Error> {
        let Some(found) = self.where_led(name, tag).await? else {
            return Ok(());
        };
        if !from.contains(&found) {
            let why = "it was deleted there, and set to something else here".to_owned();
            leave(imported, name, tag, why);
            return Ok(());
        }
        let permit = Caller::anybody()
            .may(Delete, name)
            .map_err(|denied| Error::Interrupted(denied.to_string()))?;
        match self.delete_manifest(&permit, &Reference::Tag(tag.clone())).await {
            Ok(()) => imported.tags_removed += 1,
            Err(Error::ManifestUnknown(_) | Error::RepositoryUnknown(_) | Error::Gone(_)) => {}
            Err(error @ (Error::DeleteDisabled | Error::TagImmutable { .. })) => {
                leave(imported, name, tag, format!("it was deleted there, but {error}"));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Where a tag may lead now. What moved since the same bundle was brought was moved by somebody here.
fn froms(tag: &BundleTag, age: Age) -> Vec<Digest> {
    let before = tag.before.iter().filter(|_| age == Age::Later);
    before.filter_map(|text| text.parse().ok()).collect()
}

fn elsewhere(age: Age) -> &'static str {
    match age {
        Age::Same => "it was set to something else here since this bundle was brought",
        Age::Later | Age::Earlier(_) => "it was set to something else here",
    }
}

pub(super) fn leave(imported: &mut Imported, name: &RepositoryName, tag: &str, why: String) {
    imported.tags_left.push(TagLeft {
        tag: format!("{name}:{tag}"),
        why,
    });
}
