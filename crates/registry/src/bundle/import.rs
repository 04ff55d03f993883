//! Bringing a bundle: looked through first, then its blobs, then manifests and tags, as if each had been pushed.
//!
//! What does not fit is refused before anything is changed. Cut off in the middle, no tag leads to half an image; the same call
//! goes on. Imported twice, it moves nothing the second time.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use catalog::BlobState;
use oci::{Digest, RepositoryName};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::BundleError;
use super::fit::{MANIFEST_BYTES_MAX, check_chain};
use super::read::Bundle;
use super::record::{BundleRecord, BundleRepository, content, content_at};
use super::tags::{self, Age, TagLeft};
use crate::backup::Reached;
use crate::bring::{Brought, owner_of};
use crate::{Error, Registry};

/// Manifests that become rows in one transaction.
const MANIFESTS: usize = 16;

/// What was brought.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Imported {
    /// The bundle.
    pub id: String,
    /// Whether all of it had been brought before.
    pub brought_before: bool,
    /// Repositories that it tells of, but for those that were deleted.
    pub repositories: u64,
    /// Blobs in it.
    pub blobs: u64,
    /// Those whose bytes were not here.
    pub blobs_brought: u64,
    /// Bytes of those.
    pub bytes_brought: u64,
    /// Manifests in it.
    pub manifests: u64,
    /// Those that were not here.
    pub manifests_brought: u64,
    /// Tags that were set, or moved.
    pub tags: u64,
    /// Tags that were taken away.
    pub tags_removed: u64,
    /// Repositories that were deleted there, and lie in the trash here now.
    pub repositories_deleted: Vec<String>,
    /// Tags that do not lead where it says, and stay as they are.
    pub tags_left: Vec<TagLeft>,
}

/// What a bundle has of one repository.
pub(super) struct Part<'a> {
    pub(super) name: RepositoryName,
    pub(super) about: &'a BundleRepository,
    /// Beside what was brought of it before.
    pub(super) age: Age,
}

impl Registry {
    /// Brings everything that a bundle holds.
    pub async fn import_bundle(
        &self,
        path: &Path,
        actor: Option<String>,
        mut each: impl FnMut(&Reached) + Send,
        stop: &CancellationToken,
    ) -> Result<Imported, Error> {
        self.may_write()?;
        let path = path.to_owned();
        let bundle = Arc::new(blocking(move || Bundle::open(&path)).await?);
        let record = &bundle.record;
        let marks = self.marks(record).await?;
        check_chain(record, &marks)?;
        let parts = parts_of(&bundle, |name| marks.age(record, name))?;
        self.check_fit(&bundle, &parts, stop).await?;
        let covered = record.covered();
        let is_known = |name: &str| marks.age(record, name) != Age::Later;
        let mut imported = Imported {
            id: record.id.clone(),
            brought_before: !covered.is_empty() && covered.iter().all(|cover| is_known(&cover.name)),
            repositories: parts.iter().filter(|part| !part.about.deleted).count() as u64,
            ..Imported::default()
        };
        self.bring_contents(&bundle, &parts, &mut imported, &mut each, stop)
            .await?;
        let (actor, path) = (actor.as_deref(), bundle.path());
        for part in &parts {
            let Part { name, about, age } = part;
            if !matches!(age, Age::Earlier(_)) {
                self.bring_documents(&bundle, name, about, actor, &mut imported, stop)
                    .await?;
            }
            if !about.deleted {
                self.bring_tags(path, name, about, *age, actor, &mut imported)
                    .await?;
            }
        }
        // Last: what was renamed is under its new name by then.
        for Part { name, about, age } in parts.iter().filter(|part| part.about.deleted) {
            let age = (*age, marks.upto(name).is_some());
            self.bring_deletion(path, name, about, age, actor, &mut imported)
                .await?;
        }
        self.note_import(&bundle.record).await?;
        Ok(imported)
    }

    /// Brings the bytes of all blobs, and hashes those that are here already: they come from one file, and say whether it is
    /// what it was.
    async fn bring_contents(
        &self,
        bundle: &Arc<Bundle>,
        parts: &[Part<'_>],
        imported: &mut Imported,
        each: &mut (dyn FnMut(&Reached) + Send),
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        // Of what is older than what was brought before, nothing is.
        let parts = || parts.iter().filter(|part| !matches!(part.age, Age::Earlier(_)));
        let names: HashSet<&RepositoryName> = parts().map(|part| &part.name).collect();
        let documents: HashSet<String> = parts()
            .flat_map(|part| part.about.manifests.iter().map(move |one| (&part.name, one)))
            .filter_map(|(name, one)| Some(content(name, &one.digest.parse().ok()?)))
            .collect();
        let mut reached = Reached {
            blobs_total: parts().map(|part| part.about.blobs).sum(),
            bytes_total: parts().map(|part| part.about.bytes).sum(),
            ..Reached::default()
        };
        let mut blobs: Vec<(String, u64)> = bundle
            .contents()
            .filter(|(path, _)| !documents.contains(*path))
            .map(|(path, size)| (path.to_owned(), size))
            .collect();
        blobs.sort();
        for (path, size) in blobs {
            if stop.is_cancelled() {
                return Err(BundleError::Stopped.into());
            }
            let Some((name, digest)) = content_at(&path) else {
                continue;
            };
            if names.contains(&name) {
                imported.blobs += 1;
                if self.bring_content(bundle, &path, &name, &digest).await? {
                    imported.blobs_brought += 1;
                    imported.bytes_brought += size;
                }
                reached.blobs += 1;
                reached.bytes += size;
                each(&reached);
            }
        }
        Ok(())
    }

    /// True if the bytes were not here.
    async fn bring_content(
        &self,
        bundle: &Arc<Bundle>,
        path: &str,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, Error> {
        let states = self.states_of(name, vec![digest.clone()]).await?;
        let is_here = states.first().is_some_and(|state| *state != BlobState::Absent);
        if is_here {
            let (bundle, path, digest) = (Arc::clone(bundle), path.to_owned(), digest.clone());
            blocking(move || bundle.prove(&path, &digest, 0)).await?;
        }
        if is_here && self.link_stored(name, digest.clone()).await? {
            return Ok(false);
        }
        let reader = {
            let (bundle, path) = (Arc::clone(bundle), path.to_owned());
            blocking(move || bundle.reader(&path)).await?
        };
        let brought = self.bring_blob(&owner_of(name)?, digest, Box::new(reader)).await;
        brought.map_err(|error| match error {
            Error::DigestMismatch { actual, .. } => BundleError::damaged(
                bundle.path(),
                format!("the bytes of {path} are those of {actual}"),
            )
            .into(),
            other => other,
        })?;
        Ok(true)
    }

    /// Manifests; no tag leads to them yet.
    async fn bring_documents(
        &self,
        bundle: &Arc<Bundle>,
        name: &RepositoryName,
        about: &BundleRepository,
        actor: Option<&str>,
        imported: &mut Imported,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        for batch in about.manifests.chunks(MANIFESTS) {
            if stop.is_cancelled() {
                return Err(BundleError::Stopped.into());
            }
            let mut brought = Vec::with_capacity(batch.len());
            for one in batch {
                let digest = digest_in(bundle.path(), &one.digest)?;
                let body = {
                    let (bundle, path, digest) = (Arc::clone(bundle), content(name, &digest), digest.clone());
                    blocking(move || bundle.prove(&path, &digest, MANIFEST_BYTES_MAX)).await?
                };
                brought.push(Brought {
                    digest,
                    media_type: one.media_type.clone(),
                    body,
                    tags: Vec::new(),
                });
            }
            imported.manifests += brought.len() as u64;
            imported.manifests_brought += self
                .bring_manifests(name, brought, actor.map(str::to_owned))
                .await?;
        }
        Ok(())
    }

    async fn note_import(&self, record: &BundleRecord) -> Result<(), Error> {
        let (source, now, record) = (import_name(&record.id), self.now(), record.clone());
        let text =
            serde_json::to_string(&record.note()).map_err(|error| Error::Interrupted(error.to_string()))?;
        let note = move |tx: &mut catalog::Tx<'_>| {
            tags::pass(tx, &record, now)?;
            if catalog::is_imported(tx, &source)? {
                return Ok(());
            }
            let import = catalog::begin_import(tx, &source, now)?;
            catalog::finish_import(tx, import.id, &text, now)
        };
        Ok(self.inner.catalog.write(note).await?)
    }
}

pub(super) fn import_name(id: &str) -> String {
    format!("bundle {id}")
}

pub(super) fn digest_in(path: &Path, text: &str) -> Result<Digest, BundleError> {
    text.parse()
        .map_err(|_| BundleError::damaged(path, format!("{text:?} is no digest")))
}

fn parts_of(bundle: &Bundle, age: impl Fn(&str) -> Age) -> Result<Vec<Part<'_>>, BundleError> {
    let part = |about: &'_ BundleRepository| match about.name.parse::<RepositoryName>() {
        Ok(name) => Ok((age(&name), name)),
        Err(_) => Err(BundleError::damaged(
            bundle.path(),
            format!("{:?} is no name of a repository", about.name),
        )),
    };
    let all = bundle.record.repositories.iter();
    all.map(|about| part(about).map(|(age, name)| Part { name, about, age }))
        .collect()
}

/// Runs `work` where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BundleError> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => Ok(outcome?),
        Err(failed) => Err(Error::Interrupted(failed.to_string())),
    }
}
