//! Opening `<root>/landfall`: making it, owning it, and knowing what lies under it.
//!
//! `LOCK` is held for life (I13). `FORMAT` is `key = value` lines: version, uuid, incarnation (raised by a restore).
//! `reserve.bin` is up to 64 MiB that can be given up on a full disk, so that deletions can still be committed.
//! No store is begun where a restore is under way or was cut off.
//! Fails: `Held`, `Reviving`, `HalfRevived`, `Network`, `Split`, `Format`, `Io`, `NoRoom`. All blocks.

use std::any::Any;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oci::Algorithm;
use uuid::Uuid;

use super::blob::OpenBlobs;
use super::dir_sync::DirSyncs;
use super::pool::Pool;
use super::publish::Shards;
use super::revival::unfinished_in;
use super::{BootId, FsOptions, Inner};
use crate::error::Error;
use crate::files::{Access, File, Files, Lock, Reserve};

/// The layout that this version reads and writes.
const VERSION: u32 = 1;
/// Given up when the disk is full.
const RESERVE_BYTES: u64 = 64 * 1024 * 1024;
/// Memory alignment of buffers where direct writes are not possible.
const BLOCK: u64 = 4096;
/// A larger block would make the smallest buffers pointless: such a disk gets no direct writes.
const BLOCK_MAX: u64 = 64 * 1024;

/// The lock on the folder.
pub(super) struct Owned(#[expect(dead_code, reason = "held, never looked at")] Box<dyn Any + Send + Sync>);

impl fmt::Debug for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owned")
    }
}

pub(super) fn open(root: &Path, files: Arc<dyn Files>, options: FsOptions) -> Result<Inner, Error> {
    let root = std::path::absolute(root).map_err(|error| Error::io("find the way to", root, error))?;
    make_folders_to(&*files, &root)?;
    let folder = root.join("landfall");
    unfinished_in(&*files, &root)?;
    make_folder(&*files, &folder)?;
    let mount = files
        .mount(&folder)
        .map_err(|error| Error::io("look at", &folder, error))?;
    if let (Some(kind), false) = (mount.network, options.allow_network) {
        return Err(Error::Network { path: folder, kind });
    }
    let owned = own(&*files, &folder)?;
    // Of a restore that began meanwhile: one of the two sees the other.
    if let Err(error) = unfinished_in(&*files, &root) {
        let _ = files.unlink(&folder.join("LOCK")); // it may have the name of an empty folder
        return Err(error);
    }
    for name in ["uploads", "blobs", "catalog"] {
        make_folder(&*files, &folder.join(name))?;
    }
    for algorithm in Algorithm::ALL {
        make_folder(&*files, &folder.join("blobs").join(algorithm.name()))?;
    }
    for name in ["uploads", "blobs", "catalog"] {
        let path = folder.join(name);
        let part = files
            .mount(&path)
            .map_err(|error| Error::io("look at", &path, error))?;
        if part.device != mount.device {
            return Err(Error::Split { root: folder, path });
        }
    }
    let shards = list_shards(&*files, &folder.join("blobs"))?;
    let Format {
        store_id,
        incarnation,
    } = read_or_write_format(&*files, &folder)?;
    let direct_block = if options.direct {
        direct_block(&*files, &folder)
    } else {
        None
    };
    let block = usize::try_from(direct_block.unwrap_or(BLOCK)).unwrap_or(4096);
    let store = Inner {
        uploads: folder.join("uploads"),
        blobs: folder.join("blobs"),
        boot_id: BootId(mount.epoch),
        store_id,
        incarnation,
        pool: Pool::new(options.buffers, options.buffer_bytes, options.inline_max, block),
        sessions: Arc::default(),
        in_flight: Arc::default(),
        syncs: DirSyncs::new(Arc::clone(&files)),
        shards,
        open_blobs: OpenBlobs::new(),
        suspects: Arc::default(),
        room: super::room::Gauge::default(),
        direct_block,
        direct_refused: AtomicBool::new(false),
        _owned: owned,
        folder,
        files,
    };
    if let Err(error) = store.restore_reserve() {
        tracing::warn!(%error, "no reserve: on a full disk deletions may not be possible");
    }
    Ok(store)
}

/// Makes `root` and what is missing above it.
fn make_folders_to(files: &dyn Files, root: &Path) -> Result<(), Error> {
    match files.mount(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("look at", root, error)),
        Ok(_) => return Ok(()),
    }
    if let Some(parent) = root.parent() {
        make_folders_to(files, parent)?;
    }
    make_folder(files, root)
}

/// Makes a folder in an existing one, durably.
pub(super) fn make_folder(files: &dyn Files, path: &Path) -> Result<(), Error> {
    match files.mkdir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(Error::io("make", path, error)),
        Ok(()) => {}
    }
    let parent = path.parent().unwrap_or(path);
    files
        .sync_dir(parent)
        .map_err(|error| Error::not_durable(parent, error))
}

pub(super) fn own(files: &dyn Files, folder: &Path) -> Result<Owned, Error> {
    let path = folder.join("LOCK");
    match files
        .lock(&path)
        .map_err(|error| Error::io("lock", &path, error))?
    {
        Lock::Owned(lock) => Ok(Owned(lock)),
        Lock::Held(pid) => Err(Error::Held {
            path: folder.to_owned(),
            pid,
        }),
    }
}

/// What `FORMAT` says.
struct Format {
    store_id: Uuid,
    incarnation: u64,
}

fn read_or_write_format(files: &dyn Files, folder: &Path) -> Result<Format, Error> {
    let path = folder.join("FORMAT");
    let text = match files.open(&path, Access::Read) {
        Ok(file) => read_text(&*file).map_err(|error| Error::io("read", &path, error))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return write_format(files, folder),
        Err(error) => return Err(Error::io("open", &path, error)),
    };
    let value = |key: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(k, _)| k.trim() == key)
            .map(|(_, v)| v.trim())
    };
    let bad = |found: String| {
        Err(Error::Format {
            path: path.clone(),
            found,
        })
    };
    match (
        value("version"),
        value("uuid").and_then(|id| Uuid::try_parse(id).ok()),
    ) {
        (Some(version), Some(store_id)) if version == VERSION.to_string() => {
            match value("incarnation").and_then(|text| text.parse().ok()) {
                Some(incarnation) => Ok(Format {
                    store_id,
                    incarnation,
                }),
                None => bad("no incarnation".to_owned()),
            }
        }
        (Some(version), _) if version != VERSION.to_string() => {
            bad(format!("version {version}, not {VERSION}"))
        }
        (None, _) => bad("no version".to_owned()),
        (_, None) => bad("no uuid".to_owned()),
        (Some(_), Some(_)) => bad("unreadable".to_owned()),
    }
}

fn read_text(file: &dyn File) -> io::Result<String> {
    let mut bytes = [0; 1024];
    let read = file.read_full_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes[..read]).into_owned())
}

/// Complete or absent: written aside, made durable, renamed.
fn write_format(files: &dyn Files, folder: &Path) -> Result<Format, Error> {
    let (aside, path) = (folder.join("FORMAT.new"), folder.join("FORMAT"));
    let _ = files.unlink(&aside); // of a start that was cut off
    let (store_id, incarnation) = (Uuid::new_v4(), 1);
    let text = format_text(store_id, incarnation);
    let file = files
        .create_new(&aside)
        .map_err(|error| Error::io("create", &aside, error))?;
    file.write_all_at(text.as_bytes(), 0)
        .map_err(|error| Error::io("write", &aside, error))?;
    file.sync().map_err(|error| Error::not_durable(&aside, error))?;
    files
        .rename_noreplace(&aside, &path)
        .map_err(|error| Error::io("place", &path, error))?;
    files
        .sync_dir(folder)
        .map_err(|error| Error::not_durable(folder, error))?;
    Ok(Format {
        store_id,
        incarnation,
    })
}

/// What `FORMAT` says of a store.
pub(super) fn format_text(store_id: Uuid, incarnation: u64) -> String {
    format!("version = {VERSION}\nuuid = {store_id}\nincarnation = {incarnation}\n")
}

/// The folders of `blobs/<algorithm>`. They may be left from a process that died before it made their names durable.
fn list_shards(files: &dyn Files, blobs: &Path) -> Result<Shards, Error> {
    let shards = Shards::default();
    for algorithm in Algorithm::ALL {
        let parent = blobs.join(algorithm.name());
        files
            .sync_dir(&parent)
            .map_err(|error| Error::not_durable(&parent, error))?;
        for name in files
            .list(&parent)
            .map_err(|error| Error::io("list", &parent, error))?
        {
            shards.add(parent.join(name));
        }
    }
    Ok(shards)
}

fn direct_block(files: &dyn Files, folder: &Path) -> Option<u64> {
    let file = files.open(&folder.join("FORMAT"), Access::Read).ok()?;
    file.direct_block()
        .ok()
        .flatten()
        .filter(|block| block.is_power_of_two() && *block <= BLOCK_MAX)
}

impl Inner {
    /// Sets the reserve aside, where it is missing and there is room for it.
    pub(super) fn restore_reserve(&self) -> Result<(), Error> {
        let path = self.folder.join("reserve.bin");
        let space = self
            .files
            .space(&self.folder)
            .map_err(|error| Error::io("measure", &path, error))?;
        let size = RESERVE_BYTES.min(space.total / 16);
        let file = match self.files.open(&path, Access::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.files.create_new(&path),
            other => other,
        };
        let file = file.map_err(|error| Error::io("open", &path, error))?;
        let have = file.size().map_err(|error| Error::io("measure", &path, error))?;
        if have >= size {
            return Ok(());
        }
        file.reserve(size, Reserve::Grow).map_err(|error| {
            let _ = file.truncate(0); // gives back what a refusal half-way left
            Error::io("set space aside in", &path, error)
        })
    }

    /// Gives the reserve up.
    pub(super) fn release_reserve(&self) -> Result<(), Error> {
        let path = self.folder.join("reserve.bin");
        match self.files.unlink(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path, error)),
            _ => Ok(()),
        }
    }
}
