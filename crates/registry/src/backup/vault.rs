//! The folder of backups: what lies where, who may write to it, and files that are whole or absent.
//!
//! Files are 0600 and folders 0700: catalogs hold names, and settings hold keys. Blocks. Fails: `BackupError`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use oci::{Algorithm, Digest};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::error::BackupError;
use super::place::{refuse_inside, refuse_other};
use crate::hashing::hash_all;

/// The form that is written here. A higher one is left to those who know it.
pub(super) const FORMAT: u32 = 1;
/// The file that says what the folder is.
const MARK: &str = "BACKUP";
const MARK_TEXT: &str = "Backups of a Landfall registry, format 1. See `landfall backup --help`.\n";
/// The folders in it.
pub(super) const FOLDERS: [&str; 4] = ["blobs", "catalogs", "settings", "backups"];
/// A file that is not whole yet.
pub(super) const DRAFT: &str = "part";
/// No record is longer, but for those that list very many blobs without bytes.
const RECORD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What is written of one backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BackupRecord {
    /// The form of the folder.
    pub format: u32,
    /// Its name: when it was made, UTC, as `20261125T210500Z`.
    pub time: String,
    /// The same, Unix milliseconds.
    pub at_ms: i64,
    /// The Landfall that made it.
    pub landfall: String,
    /// Which store it is of.
    pub store: String,
    /// Which life of that.
    pub incarnation: u64,
    /// The last change that is in it.
    pub seq: i64,
    /// Repositories.
    pub repositories: u64,
    /// Manifests.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Blobs, those in the catalog too.
    pub blobs: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Blobs that have a file.
    pub files: u64,
    /// Bytes of those.
    pub file_bytes: u64,
    /// The copy of the catalog.
    pub catalog: BackupFile,
    /// What else belongs to it, below `settings/<time>/`.
    pub settings: Vec<BackupFile>,
    /// Blobs that had no good bytes when it was made.
    pub damaged: Vec<String>,
}

/// A file of a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BackupFile {
    /// Where it lies.
    pub name: String,
    /// Bytes in it.
    pub bytes: u64,
    /// Their digest.
    pub digest: String,
}

/// The folder, and the right to write to it if that was asked for.
#[derive(Debug)]
pub(super) struct Vault {
    root: PathBuf,
    /// Held as long as this lives.
    _lock: Option<File>,
}

/// A backup by its time, and its record or why that cannot be read.
pub type Listed = (String, Result<BackupRecord, BackupError>);

/// All backups in a folder, oldest first, by name; one whose record cannot be read with the reason. An empty folder, which
/// would do for the first backup, has none. Blocks.
pub fn list(folder: &Path) -> Result<Vec<Listed>, BackupError> {
    let vault = match Vault::open(folder) {
        Err(BackupError::Unknown { .. }) if refuse_other(folder).is_ok() => return Ok(Vec::new()),
        opened => opened?,
    };
    let times = vault.times()?.into_iter();
    Ok(times
        .map(|time| {
            let record = vault.read(&time);
            (time, record)
        })
        .collect())
}

impl Vault {
    /// Opens a folder of backups, to read. A disk that takes no writes will do.
    pub(super) fn open(root: &Path) -> Result<Self, BackupError> {
        let mark = root.join(MARK);
        match fs::read_to_string(&mark) {
            Ok(text) if text == MARK_TEXT => {}
            Ok(text) if text.starts_with("Backups of a Landfall registry") => {
                return Err(BackupError::Newer(root.to_owned()));
            }
            Ok(_) => return Err(BackupError::altered(&mark, "it says something else")),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !root.exists() => {
                return Err(BackupError::NoFolder(root.to_owned()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BackupError::Unknown {
                    path: root.to_owned(),
                    time: String::new(),
                });
            }
            Err(error) => return Err(BackupError::read(&mark, error)),
        }
        // Against somebody who prunes meanwhile; where no lock can be had, nobody writes.
        let lock = File::open(root.join("LOCK"))
            .ok()
            .filter(|file| flock(file, FlockOperation::NonBlockingLockShared).is_ok());
        Ok(Self {
            root: root.to_owned(),
            _lock: lock,
        })
    }

    /// Makes the folder, or takes an old one, and owns it. It may not lie in `data`.
    pub(super) fn claim(root: &Path, data: &Path) -> Result<Self, BackupError> {
        let root = std::path::absolute(root).map_err(|error| BackupError::write(root, error))?;
        refuse_inside(&root, data)?;
        let parent = root.parent().unwrap_or(&root);
        if !parent.is_dir() {
            return Err(BackupError::NoParent(parent.to_owned()));
        }
        make_folder(&root)?;
        let mark = root.join(MARK);
        if !mark.exists() {
            refuse_other(&root)?;
        }
        let lock = own(&root)?;
        if mark.exists() {
            drop(Self::open(&root)?); // of a version that we know
        }
        for name in FOLDERS {
            make_folder(&root.join(name))?;
        }
        for algorithm in Algorithm::ALL {
            make_folder(&root.join("blobs").join(algorithm.name()))?;
        }
        let vault = Self {
            root,
            _lock: Some(lock),
        };
        if !mark.exists() {
            vault.put(Path::new(MARK), &mut MARK_TEXT.as_bytes())?;
            vault.sync_folder(Path::new("."))?;
        }
        Ok(vault)
    }

    pub(super) fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a blob's bytes lie, below the folder.
    pub(super) fn blob(digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        Path::new("blobs")
            .join(digest.algorithm().name())
            .join(&hex[..3])
            .join(hex)
    }

    pub(super) fn catalog(time: &str) -> PathBuf {
        Path::new("catalogs").join(format!("{time}.db"))
    }

    pub(super) fn settings(time: &str) -> PathBuf {
        Path::new("settings").join(time)
    }

    pub(super) fn record(time: &str) -> PathBuf {
        Path::new("backups").join(format!("{time}.json"))
    }

    /// Whether a blob is here, by its name and size.
    pub(super) fn holds(&self, digest: &Digest, size: u64) -> bool {
        fs::metadata(self.path(Self::blob(digest))).is_ok_and(|found| found.len() == size)
    }

    /// The times of all backups, oldest first.
    pub(super) fn times(&self) -> Result<Vec<String>, BackupError> {
        let folder = self.path("backups");
        let mut times = Vec::new();
        for entry in fs::read_dir(&folder).map_err(|error| BackupError::read(&folder, error))? {
            let name = entry
                .map_err(|error| BackupError::read(&folder, error))?
                .file_name();
            if let Some(time) = name.to_str().and_then(|name| name.strip_suffix(".json")) {
                times.push(time.to_owned());
            }
        }
        times.sort();
        Ok(times)
    }

    pub(super) fn records(&self) -> Result<Vec<BackupRecord>, BackupError> {
        self.times()?.iter().map(|time| self.read(time)).collect()
    }

    /// The backup of this time, or the last one.
    pub(super) fn find(&self, time: Option<&str>) -> Result<BackupRecord, BackupError> {
        let times = self.times()?;
        let unknown = || BackupError::Unknown {
            path: self.root.clone(),
            time: time.unwrap_or_default().to_owned(),
        };
        let found = match time {
            Some(time) => times.iter().find(|found| *found == time),
            None => times.last(),
        };
        self.read(found.ok_or_else(unknown)?)
    }

    pub(super) fn read(&self, time: &str) -> Result<BackupRecord, BackupError> {
        let path = self.path(Self::record(time));
        let file = File::open(&path).map_err(|error| BackupError::read(&path, error))?;
        let mut text = String::new();
        file.take(RECORD_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|error| BackupError::read(&path, error))?;
        let format = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok()?["format"].as_u64();
        if format(&text).is_some_and(|format| format > u64::from(FORMAT)) {
            return Err(BackupError::Newer(path));
        }
        let record: BackupRecord = serde_json::from_str(&text).map_err(|error| {
            // Not what stands there: it may be anything.
            let (line, column) = (error.line(), error.column());
            BackupError::altered(
                &path,
                format!("no record of a backup, at its line {line} column {column}"),
            )
        })?;
        if record.time != time {
            return Err(BackupError::altered(&path, "it is of another time"));
        }
        Ok(record)
    }

    /// A file of a backup, once it was found to be what its record says.
    pub(super) fn proven(&self, below: &Path, record: &BackupFile) -> Result<PathBuf, BackupError> {
        let path = self.path(below);
        let mut file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BackupError::altered(&path, "it is missing"),
            _ => BackupError::read(&path, error),
        })?;
        let (digest, bytes) = hash_all(&mut file, Algorithm::Sha256, |_| Ok(()))
            .map_err(|error| BackupError::read(&path, error))?;
        if bytes != record.bytes {
            return Err(BackupError::altered(
                &path,
                format!("it has {}, not {}", oci::counted(bytes, "byte"), record.bytes),
            ));
        }
        if digest.to_string() != record.digest {
            return Err(BackupError::altered(&path, "its digest is another one"));
        }
        Ok(path)
    }

    /// Writes a file, whole and synced, under its name; what it holds.
    pub(super) fn put(&self, below: &Path, source: &mut dyn Read) -> Result<BackupFile, BackupError> {
        let path = self.path(below);
        let draft = path.with_added_extension(DRAFT);
        let refused = |error| BackupError::write(&draft, error);
        let mut file = private(&draft).map_err(refused)?;
        let mut hashing = store::Hasher::new(Algorithm::Sha256);
        let mut bytes = Vec::new();
        source
            .read_to_end(&mut bytes)
            .map_err(|error| BackupError::read(&path, error))?;
        hashing.update(&bytes);
        file.write_all(&bytes).map_err(refused)?;
        self.settle(file, below)?;
        Ok(BackupFile {
            name: below.to_string_lossy().into_owned(),
            bytes: bytes.len() as u64,
            digest: hashing.finish().to_string(),
        })
    }

    /// Gives a draft its name, once it is durable.
    pub(super) fn settle(&self, draft: File, below: &Path) -> Result<(), BackupError> {
        let path = self.path(below);
        let from = path.with_added_extension(DRAFT);
        draft
            .sync_all()
            .map_err(|error| BackupError::write(&from, error))?;
        drop(draft);
        fs::rename(&from, &path).map_err(|error| BackupError::write(&path, error))
    }

    /// Makes a folder below, and what is missing between.
    pub(super) fn make(&self, below: &Path) -> Result<(), BackupError> {
        let mut path = self.root.clone();
        for name in below {
            path.push(name);
            make_folder(&path)?;
        }
        Ok(())
    }

    /// Makes the names in a folder durable.
    pub(super) fn sync_folder(&self, below: &Path) -> Result<(), BackupError> {
        sync(&self.path(below))
    }
}

/// A new file, or the rest of one that was cut off, for its owner alone.
pub(super) fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

/// Makes a folder in one that exists, durably.
fn make_folder(path: &Path) -> Result<(), BackupError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync(path.parent().unwrap_or(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(BackupError::write(path, error)),
    }
}

fn sync(path: &Path) -> Result<(), BackupError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| BackupError::write(path, error))
}

/// The lock of whoever writes here.
fn own(root: &Path) -> Result<File, BackupError> {
    let path = root.join("LOCK");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| BackupError::write(&path, error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(BackupError::Busy(format!("in {}", root.display()))),
        Err(error) => Err(BackupError::write(&path, error.into())),
    }
}
