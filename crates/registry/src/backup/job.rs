//! The part of a backup that is done on one thread: everything after the copy of the catalog.
//!
//! Bytes are hashed on their way, so what is damaged here never becomes a backup of anything. Units: bytes.
//! Fails: `BackupError`; content without good bytes is counted and named instead.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use catalog::{CatalogCopy, Health, StoredBlob};
use oci::{Algorithm, Digest};
use store::FsStore;
use tokio_util::sync::CancellationToken;

use super::error::BackupError;
use super::local::LocalCopy;
use super::shards::catalog_error;
use super::vault::{BackupFile, BackupRecord, DRAFT, Vault, private};
use super::{Each, Reached};
use crate::hashing::hash_all;

/// Rows that are read at once.
const PAGE: usize = 1024;
/// What belongs to the owner of a data folder, in it.
const SETTINGS: [&str; 3] = ["htpasswd", "tls", "secrets"];

/// What the copying found.
pub(super) struct Copied {
    pub(super) record: BackupRecord,
    pub(super) blobs: u64,
    pub(super) bytes: u64,
    /// Digests and locations whose bytes are not what they should be.
    pub(super) bad: Vec<StoredBlob>,
}

/// A backup whose catalog is copied.
pub(super) struct Job {
    pub(super) vault: Arc<Vault>,
    pub(super) copy: LocalCopy,
    pub(super) store: FsStore,
    pub(super) record: BackupRecord,
    pub(super) stop: CancellationToken,
    pub(super) reached: Reached,
}

impl Job {
    pub(super) fn run(mut self, each: Each<'_>) -> Result<Copied, BackupError> {
        let local = self.copy.path().to_owned();
        let copy = CatalogCopy::open(&local).map_err(|error| catalog_error(&local, &error))?;
        let facts = copy.facts().map_err(|error| catalog_error(&local, &error))?;
        self.record.seq = facts.seq;
        (self.record.repositories, self.record.manifests) = (facts.repositories, facts.manifests);
        (self.record.tags, self.record.blobs, self.record.bytes) = (facts.tags, facts.blobs, facts.bytes);
        let missing = self.count(&copy)?;
        let catalog = fs::metadata(&local).map_or(0, |found| found.len());
        self.refuse_if_full(missing.saturating_add(catalog))?;
        each(&self.reached);
        let (blobs, bytes, bad) = self.blobs(&copy, each)?;
        drop(copy);
        self.settings()?;
        let below = Vault::catalog(&self.record.time);
        let draft = self.vault.path(&below).with_added_extension(DRAFT);
        if let Err(error) = self.catalog(&local, &draft) {
            let _ = fs::remove_file(&draft); // why it failed is what is to be said
            return Err(error);
        }
        // B5. A hold that was lost ends the work too, and then bytes may be missing.
        self.go_on().map_err(|_| BackupError::Stopped)?;
        let text = serde_json::to_vec_pretty(&self.record)
            .map_err(|error| BackupError::write(&draft, error.into()))?;
        let record = Vault::record(&self.record.time);
        self.vault.put(&record, &mut text.as_slice())?;
        self.vault.sync_folder(Path::new("backups"))?;
        Ok(Copied {
            record: self.record,
            blobs,
            bytes,
            bad,
        })
    }

    /// The copy of the catalog goes to the folder, under its name when it is whole.
    fn catalog(&mut self, local: &Path, draft: &Path) -> Result<(), BackupError> {
        let mut source = File::open(local).map_err(|error| BackupError::read(local, error))?;
        let mut file = private(draft).map_err(|error| BackupError::write(draft, error))?;
        let (digest, bytes) = self
            .copy_all(&mut source, Algorithm::Sha256, &mut file, draft)?
            .map_err(|error| BackupError::read(local, error))?;
        let below = Vault::catalog(&self.record.time);
        self.vault.settle(file, &below)?;
        self.vault.sync_folder(Path::new("catalogs"))?;
        self.record.catalog = BackupFile {
            name: below.to_string_lossy().into_owned(),
            bytes,
            digest: digest.to_string(),
        };
        Ok(())
    }

    /// B3: what was copied, and what could not be.
    fn blobs(
        &mut self,
        copy: &CatalogCopy,
        each: Each<'_>,
    ) -> Result<(u64, u64, Vec<StoredBlob>), BackupError> {
        let (mut copied, mut bytes_copied, mut bad) = (0, 0, Vec::new());
        let mut folders = BTreeSet::new();
        self.every(copy, |job, blob| {
            if !job.vault.holds(&blob.digest, blob.size) {
                match job.bring(&blob, &mut folders)? {
                    None => {
                        copied += 1;
                        bytes_copied += blob.size;
                    }
                    Some(is_proven) => {
                        job.record.damaged.push(blob.digest.to_string());
                        if is_proven {
                            bad.push(blob.clone());
                        }
                    }
                }
            }
            job.reached.blobs += 1;
            job.reached.bytes += blob.size;
            each(&job.reached);
            Ok(())
        })?;
        for folder in folders {
            self.vault.sync_folder(&folder)?;
        }
        Ok((copied, bytes_copied, bad))
    }

    /// Copies and hashes; outside what is wrong with the target, inside what is wrong with the source.
    fn copy_all(
        &self,
        source: &mut dyn Read,
        algorithm: Algorithm,
        file: &mut File,
        draft: &Path,
    ) -> Result<io::Result<(Digest, u64)>, BackupError> {
        let mut refused = None;
        let hashed = hash_all(source, algorithm, |bytes| {
            self.go_on()?;
            file.write_all(bytes).map_err(|error| {
                let kind = error.kind();
                refused = Some(error);
                kind.into()
            })
        });
        if let Some(error) = refused {
            let _ = fs::remove_file(draft); // room for whoever needs it; the refusal is what counts
            return Err(BackupError::write(draft, error));
        }
        self.go_on().map_err(|_| BackupError::Stopped)?;
        Ok(hashed)
    }

    /// Counts what the backup is of; bytes that the folder lacks of it.
    fn count(&mut self, copy: &CatalogCopy) -> Result<u64, BackupError> {
        let mut missing = 0;
        self.every(copy, |job, blob| {
            job.record.files += 1;
            job.record.file_bytes += blob.size;
            if !job.vault.holds(&blob.digest, blob.size) {
                missing += blob.size;
            }
            Ok(())
        })?;
        (self.reached.blobs_total, self.reached.bytes_total) = (self.record.files, self.record.file_bytes);
        Ok(missing)
    }

    fn refuse_if_full(&self, needed: u64) -> Result<(), BackupError> {
        let root = self.vault.root();
        let space = rustix::fs::statvfs(root).map_err(|error| BackupError::read(root, error.into()))?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if needed > free {
            return Err(BackupError::NoRoom {
                path: root.to_owned(),
                room: Some((needed, free)),
            });
        }
        Ok(())
    }

    fn every(
        &mut self,
        copy: &CatalogCopy,
        mut each: impl FnMut(&mut Self, StoredBlob) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        let mut after = 0;
        loop {
            let page = copy
                .read(|tx| catalog::stored_blobs(tx, after, PAGE))
                .map_err(|error| catalog_error(self.copy.path(), &error))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for blob in page {
                self.go_on().map_err(|_| BackupError::Stopped)?;
                each(self, blob)?;
            }
        }
    }

    /// Copies a blob. None: it is there; else it has no good bytes here, and whether that is proven.
    fn bring(&self, blob: &StoredBlob, folders: &mut BTreeSet<PathBuf>) -> Result<Option<bool>, BackupError> {
        let is_known_bad = blob.health == Health::Bad;
        let Ok(location) = blob.location.parse() else {
            return Ok(Some(false));
        };
        let mut source = match self.store.read_whole(&location, blob.size) {
            _ if is_known_bad => return Ok(Some(false)),
            Ok(source) => source,
            Err(error) => {
                tracing::error!(%error, digest = %blob.digest, "a blob cannot be backed up");
                let lost = matches!(
                    error,
                    store::Error::Missing { .. } | store::Error::ShortFile { .. }
                );
                return Ok(Some(lost));
            }
        };
        let below = Vault::blob(&blob.digest);
        let folder = below.parent().unwrap_or(&below).to_owned();
        self.vault.make(&folder)?;
        let draft = self.vault.path(&below).with_added_extension(DRAFT);
        let mut file = private(&draft).map_err(|error| BackupError::write(&draft, error))?;
        let hashed = self.copy_all(&mut source, blob.digest.algorithm(), &mut file, &draft)?;
        match hashed {
            Ok((digest, _)) if digest == blob.digest => {
                self.vault.settle(file, &below)?;
                folders.insert(folder);
                Ok(None)
            }
            outcome => {
                let _ = fs::remove_file(&draft);
                tracing::error!(digest = %blob.digest, location = blob.location, "the bytes of a blob are damaged: it cannot be backed up");
                Ok(Some(outcome.is_ok()))
            }
        }
    }

    /// Copies what belongs to the owner: passwords, certificates, secrets.
    fn settings(&mut self) -> Result<(), BackupError> {
        let target = Vault::settings(&self.record.time);
        self.vault.make(&target)?;
        let mut waiting: Vec<PathBuf> = SETTINGS.iter().map(PathBuf::from).collect();
        while let Some(below) = waiting.pop() {
            let path = self.store.folder().join(&below);
            // A link to a folder may lead anywhere, also in a circle.
            let Ok(found) = fs::symlink_metadata(&path) else {
                continue;
            };
            if found.is_dir() {
                self.vault.make(&target.join(&below))?;
                let entries = fs::read_dir(&path).map_err(|error| BackupError::read(&path, error))?;
                for entry in entries {
                    let entry = entry.map_err(|error| BackupError::read(&path, error))?;
                    waiting.push(below.join(entry.file_name()));
                }
            } else if fs::metadata(&path).is_ok_and(|found| found.is_file()) {
                let bytes = fs::read(&path).map_err(|error| BackupError::read(&path, error))?;
                let copied = self.vault.put(&target.join(&below), &mut bytes.as_slice())?;
                self.record.settings.push(BackupFile {
                    name: below.to_string_lossy().into_owned(),
                    ..copied
                });
            }
            if let Some(folder) = target.join(&below).parent() {
                self.vault.sync_folder(folder)?;
            }
        }
        self.record.settings.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    fn go_on(&self) -> io::Result<()> {
        if self.stop.is_cancelled() {
            return Err(io::Error::other("stopped"));
        }
        Ok(())
    }
}
