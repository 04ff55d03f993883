//! One repository of a backup, brought into a registry that is there, under its name or another one.
//!
//! It comes as a push comes: what is here already stays, tags are set to where they led at the time of the backup (their
//! history says so, and who did it), and nothing else is touched. Tags that are newer than the backup stay.
//! What a quota has no room for is refused before any of it comes. Fails: `OverQuota`, `BackupError`; blobs that are damaged in the backup stop it before any manifest or tag is changed.

use std::fs::File;
use std::path::PathBuf;

use catalog::{BlobState, CatalogCopy, HeldBlob, HeldManifest};
use oci::RepositoryName;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Reached;
use super::error::BackupError;
use super::run::blocking;
use super::shards::catalog_error;
use super::vault::Vault;
use crate::bring::{Brought, owner_of};
use crate::{Error, Registry};

/// Rows that are read at once.
const PAGE: usize = 256;
/// Manifests that become rows in one transaction: each may be large.
const MANIFESTS: usize = 16;

/// Which repository of which backup.
#[derive(Clone, Debug)]
pub struct RestoreRepository {
    /// The folder of backups.
    pub folder: PathBuf,
    /// The time of the backup; none is the last one.
    pub time: Option<String>,
    /// The repository, as it was called then.
    pub name: RepositoryName,
    /// What it is called from now on.
    pub into: RepositoryName,
    /// Who wants it.
    pub actor: Option<String>,
}

/// What was brought.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RepositoryRestored {
    /// The time of the backup.
    pub backup: String,
    /// Where it is now.
    pub repository: String,
    /// Blobs that it had.
    pub blobs: u64,
    /// Those whose bytes came from the backup.
    pub blobs_brought: u64,
    /// Bytes of those.
    pub bytes_brought: u64,
    /// Manifests that it had.
    pub manifests: u64,
    /// Those that were not here.
    pub manifests_brought: u64,
    /// Tags that lead where they led.
    pub tags: u64,
    /// Tags that it has besides.
    pub tags_besides: u64,
}

impl Registry {
    /// Brings a repository of a backup.
    pub async fn restore_repository(
        &self,
        from: RestoreRepository,
        mut each: impl FnMut(&Reached) + Send,
        stop: &CancellationToken,
    ) -> Result<RepositoryRestored, Error> {
        let source = {
            let from = from.clone();
            blocking(move || Source::open(&from)).await?
        };
        let mut restored = RepositoryRestored {
            backup: source.time.clone(),
            repository: from.into.to_string(),
            blobs: 0,
            blobs_brought: 0,
            bytes_brought: 0,
            manifests: 0,
            manifests_brought: 0,
            tags: 0,
            tags_besides: 0,
        };
        let mut reached = Reached {
            blobs_total: source.blobs,
            bytes_total: source.bytes,
            ..Reached::default()
        };
        let permit = owner_of(&from.into)?;
        self.must_have_room(&source, &from.into).await?;
        let mut after = 0;
        loop {
            let page = source
                .ask(move |tx, name| catalog::held_blobs(tx, name, after, PAGE))
                .await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let digests = page.iter().map(|blob| blob.digest.clone()).collect();
            let states = self.states_of(&from.into, digests).await?;
            for (blob, state) in page.into_iter().zip(states) {
                if stop.is_cancelled() {
                    return Err(Error::Closing);
                }
                restored.blobs += 1;
                let size = blob.size;
                let stored =
                    state != BlobState::Absent && self.link_stored(&from.into, blob.digest.clone()).await?;
                if !stored {
                    self.bring_one(&source, &permit, blob).await?;
                    restored.blobs_brought += 1;
                    restored.bytes_brought += size;
                }
                reached.blobs += 1;
                reached.bytes += size;
                each(&reached);
            }
        }
        let mut after = 0;
        loop {
            if stop.is_cancelled() {
                return Err(Error::Closing);
            }
            let page = source.ask(move |tx, name| manifests(tx, name, after)).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            let page: Vec<Brought> = page.into_iter().map(|(_, brought)| brought).collect();
            restored.manifests += page.len() as u64;
            restored.tags += page.iter().map(|one| one.tags.len() as u64).sum::<u64>();
            let reason = Some(format!("restored from backup {}", source.time));
            restored.manifests_brought += self
                .bring_manifests_because(&from.into, page, from.actor.clone(), reason)
                .await?;
        }
        restored.tags_besides = self.tags_in(&from.into).await?.saturating_sub(restored.tags);
        Ok(restored)
    }

    async fn tags_in(&self, repo: &RepositoryName) -> Result<u64, Error> {
        let scope = catalog::Scope::Repository(repo.clone());
        let usage = move |tx: &mut catalog::Tx<'_>| catalog::usage(tx, &scope);
        Ok(u64::try_from(self.inner.catalog.read(usage).await?.tags).unwrap_or(0))
    }

    /// Whether what comes fits. A repository that is there may have some of the tags: those are counted as they come.
    async fn must_have_room(&self, source: &Source, into: &RepositoryName) -> Result<(), Error> {
        if self.quotas_over(into).is_empty() {
            return Ok(());
        }
        let (mut bytes, mut after) = (0_u64, 0);
        loop {
            let page = source
                .ask(move |tx, name| catalog::held_blobs(tx, name, after, PAGE))
                .await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let digests = page.iter().map(|blob| blob.digest.clone()).collect();
            let states = self.states_of(into, digests).await?;
            let new = page
                .iter()
                .zip(states)
                .filter(|(_, state)| *state != BlobState::Linked);
            bytes = new.fold(bytes, |sum, (blob, _)| sum.saturating_add(blob.size));
        }
        let name = into.clone();
        let is_here = self
            .inner
            .catalog
            .read(move |tx| catalog::repo_exists(tx, &name))
            .await?;
        let tags = if is_here { 0 } else { source.tags };
        self.room_for_all(into, (bytes, tags)).await
    }

    async fn bring_one(
        &self,
        source: &Source,
        permit: &access::Permit<access::Push>,
        blob: HeldBlob,
    ) -> Result<(), Error> {
        let reader: Box<dyn std::io::Read + Send> = if let Some(inline) = blob.inline {
            Box::new(std::io::Cursor::new(inline))
        } else {
            let path = source.folder.join(Vault::blob(&blob.digest));
            let opened = {
                let path = path.clone();
                blocking(move || {
                    File::open(&path).map_err(|error| match error.kind() {
                        std::io::ErrorKind::NotFound => BackupError::altered(&path, "it is missing"),
                        _ => BackupError::read(&path, error),
                    })
                })
                .await?
            };
            Box::new(opened)
        };
        self.bring_blob(permit, &blob.digest, reader)
            .await
            .map_err(|error| match error {
                Error::DigestMismatch { actual, .. } => {
                    let path = source.folder.join(Vault::blob(&blob.digest));
                    BackupError::altered(&path, format!("its bytes are those of {actual}")).into()
                }
                other => other,
            })
    }
}

/// Manifests after this number, with the tags that lead to them.
fn manifests(
    tx: &mut catalog::Tx<'_>,
    name: &RepositoryName,
    after: i64,
) -> Result<Vec<(i64, Brought)>, catalog::Error> {
    let page = catalog::held_manifests(tx, name, after, MANIFESTS)?;
    let mut brought = Vec::with_capacity(page.len());
    for HeldManifest {
        id,
        digest,
        media_type,
        body,
        ..
    } in page
    {
        let tags = catalog::tags_to(tx, id)?;
        brought.push((
            id,
            Brought {
                digest,
                media_type,
                body,
                tags,
            },
        ));
    }
    Ok(brought)
}

/// A backup that a repository is read from.
struct Source {
    folder: PathBuf,
    time: String,
    catalog: PathBuf,
    name: RepositoryName,
    blobs: u64,
    bytes: u64,
    tags: u64,
    /// Against somebody who prunes meanwhile.
    _vault: Vault,
}

impl Source {
    fn open(from: &RestoreRepository) -> Result<Self, BackupError> {
        let vault = Vault::open(&from.folder)?;
        let record = vault.find(from.time.as_deref())?;
        let catalog = vault.proven(&Vault::catalog(&record.time), &record.catalog)?;
        let copy = CatalogCopy::open(&catalog).map_err(|error| catalog_error(&catalog, &error))?;
        let scope = catalog::Scope::Repository(from.name.clone());
        let asked = copy.read(|tx| Ok((catalog::repo_exists(tx, &from.name)?, catalog::usage(tx, &scope)?)));
        let (exists, usage) = asked.map_err(|error| catalog_error(&catalog, &error))?;
        if !exists {
            return Err(BackupError::Unknown {
                path: from.folder.clone(),
                time: format!("{} with a repository {}", record.time, from.name),
            });
        }
        Ok(Self {
            folder: from.folder.clone(),
            time: record.time,
            catalog,
            name: from.name.clone(),
            blobs: u64::try_from(usage.blobs).unwrap_or(0),
            bytes: u64::try_from(usage.bytes).unwrap_or(0),
            tags: u64::try_from(usage.tags).unwrap_or(0),
            _vault: vault,
        })
    }

    /// Asks the catalog of the backup something about the repository.
    async fn ask<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut catalog::Tx<'_>, &RepositoryName) -> Result<T, catalog::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (path, name) = (self.catalog.clone(), self.name.clone());
        blocking(move || {
            let copy = CatalogCopy::open(&path).map_err(|error| catalog_error(&path, &error))?;
            copy.read(|tx| what(tx, &name))
                .map_err(|error| catalog_error(&path, &error))
        })
        .await
    }
}
