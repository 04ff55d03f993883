//! A store that is made again from a backup: filled aside, and in its place at once when it is whole.
//!
//! Everything goes to `<root>/landfall.restoring/`, beside which no server starts, and becomes `<root>/landfall/` by one rename
//! at the end. Its `LOCK` is held from the first moment, and with it the folder that it becomes. A revival that was cut off
//! goes on: files that have their name are whole. Blocks.
//! Units: bytes. Fails: `NotEmpty`, `Reviving`, `DigestMismatch` (nothing of it stays), `NoRoom`, `Io`, `NotDurable`.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::folder::{Owned, format_text, own};
use crate::error::Error;
use crate::files::{Files, HostFiles};
use crate::hash::Hasher;
use crate::location::Location;

/// Where it is filled.
const ASIDE: &str = "landfall.restoring";
/// The step in which files are copied.
const STEP: usize = 1024 * 1024;

/// A store that is being filled.
#[derive(Debug)]
pub struct Revival {
    root: PathBuf,
    aside: PathBuf,
    /// Folders whose names are not durable yet.
    touched: BTreeSet<PathBuf>,
    /// Whether a blob is there, so that another try has less to do.
    has_blobs: bool,
    _owned: Owned,
}

/// What became of a blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revived {
    /// It is there now.
    Placed,
    /// A try before this one had brought it.
    There,
}

impl Revival {
    /// Begins in a folder that does not exist, is empty, or holds a revival that was cut off.
    pub fn begin(root: &Path) -> Result<Self, Error> {
        let root = std::path::absolute(root).map_err(|error| Error::io("find the way to", root, error))?;
        let aside = root.join(ASIDE);
        must_be_free(&root)?;
        let mut touched = BTreeSet::new();
        make_folder(&aside, &mut touched)?;
        let owned = own(&HostFiles, &aside).map_err(in_our_words)?;
        // A server that began meanwhile: one of the two sees the other.
        if let Err(error) = must_be_free(&root) {
            if !aside.join("blobs").exists() {
                let _ = fs::remove_dir_all(&aside); // there is nothing in it to go on from
            }
            return Err(error);
        }
        Ok(Self {
            root,
            aside,
            touched,
            has_blobs: false,
            _owned: owned,
        })
    }

    /// Whether another try can go on from what is here.
    #[must_use]
    pub fn has_blobs(&self) -> bool {
        self.has_blobs
    }

    /// Takes all of it away.
    pub fn discard(self) -> Result<(), Error> {
        fs::remove_dir_all(&self.aside).map_err(|error| Error::io("remove", &self.aside, error))
    }

    /// Where the folder of the catalog and what else belongs to the owner goes; as `<root>/landfall` later.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.aside
    }

    /// Puts the bytes of `source` at `location`, hashed on their way.
    pub fn place(
        &mut self,
        location: &Location,
        size: u64,
        source: &mut dyn Read,
        from: &Path,
    ) -> Result<Revived, Error> {
        let blobs = self.aside.join("blobs");
        let path = location.path(&blobs);
        // Also where a try that was cut off put them: it may not have lived to make the names durable.
        let folder = location.folder(&blobs);
        self.touched
            .extend(folder.ancestors().take(3).map(Path::to_owned));
        if fs::metadata(&path).is_ok_and(|found| found.len() == size) {
            self.has_blobs = true;
            return Ok(Revived::There);
        }
        make_folder(&folder, &mut self.touched)?;
        let draft = path.with_added_extension("part");
        let mut hasher = Hasher::new(location.digest().algorithm());
        let file = private(&draft)?;
        fill(&file, &draft, source, from, |bytes| hasher.update(bytes))?;
        let actual = hasher.finish();
        if actual != *location.digest() {
            let _ = fs::remove_file(&draft); // what is wrong with the source is what is to be said
            return Err(Error::DigestMismatch {
                expected: location.digest().clone(),
                actual,
            });
        }
        self.settle(file, &draft, &path)?;
        self.has_blobs = true;
        Ok(Revived::Placed)
    }

    /// Puts the bytes of `source` at `below`, in our folder. Only the owner may read it.
    pub fn put(&mut self, below: &Path, source: &mut dyn Read, from: &Path) -> Result<(), Error> {
        let path = self.aside.join(below);
        let folder = path.parent().map_or_else(|| self.aside.clone(), Path::to_owned);
        make_folder(&folder, &mut self.touched)?;
        let draft = path.with_added_extension("part");
        let file = private(&draft)?;
        fill(&file, &draft, source, from, |_| {})?;
        self.settle(file, &draft, &path)
    }

    /// Gives the store its name and its life, and puts it into its place, durably.
    pub fn finish(mut self, store_id: Uuid, incarnation: u64) -> Result<(), Error> {
        let text = format_text(store_id, incarnation);
        self.put(Path::new("FORMAT"), &mut text.as_bytes(), Path::new("FORMAT"))?;
        for folder in std::mem::take(&mut self.touched) {
            sync_folder(&folder)?;
        }
        let path = self.root.join("landfall");
        fs::rename(&self.aside, &path).map_err(|error| Error::io("place", &path, error))?;
        sync_folder(&self.root)
    }

    fn settle(&mut self, file: File, draft: &Path, path: &Path) -> Result<(), Error> {
        file.sync_all()
            .map_err(|error| Error::not_durable(draft, error))?;
        drop(file);
        fs::rename(draft, path).map_err(|error| Error::io("place", path, error))?;
        self.touched.extend(path.parent().map(Path::to_owned));
        Ok(())
    }
}

/// Fails where a revival of `root` is under way, or was cut off, and there is no store that this would have nothing to do with.
pub fn unfinished_revival(root: &Path) -> Result<(), Error> {
    unfinished_in(&HostFiles, root)
}

pub(super) fn unfinished_in(files: &dyn Files, root: &Path) -> Result<(), Error> {
    let is_there = |path: &Path| files.mount(path).is_ok();
    let path = root.join(ASIDE);
    if !is_there(&path) || is_there(&root.join("landfall/FORMAT")) {
        return Ok(());
    }
    own(files, &path).map_err(in_our_words)?;
    Err(Error::HalfRevived { path })
}

/// Who holds a revival is no server.
fn in_our_words(error: Error) -> Error {
    match error {
        Error::Held { path, pid } => Error::Reviving { path, pid },
        other => other,
    }
}

/// Fails where something lies in `root` that no revival left.
fn must_be_free(root: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|error| Error::io("list", root, error))?,
    };
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("list", root, error))?;
        let name = entry.file_name();
        // A server that was refused here may have made a folder, which ours can replace while it is empty.
        let is_husk = || {
            name == "landfall" && fs::read_dir(entry.path()).is_ok_and(|mut inside| inside.next().is_none())
        };
        // Every new file system of some kinds has the second.
        if name != ASIDE && name != "lost+found" && !is_husk() {
            return Err(Error::NotEmpty {
                path: root.to_owned(),
                found: name.to_string_lossy().into_owned(),
            });
        }
    }
    Ok(())
}

fn make_folder(path: &Path, touched: &mut BTreeSet<PathBuf>) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_folder(parent, touched)?;
        touched.insert(parent.to_owned());
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("make", path, error)),
        _ => Ok(()),
    }
}

/// A new file, or an old one that was cut off, for its owner alone.
fn private(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| Error::io("create", path, error))
}

fn fill(
    mut file: &File,
    path: &Path,
    source: &mut dyn Read,
    from: &Path,
    mut seen: impl FnMut(&[u8]),
) -> Result<(), Error> {
    let mut buffer = vec![0; STEP];
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io("read", from, error)),
        };
        seen(&buffer[..read]);
        file.write_all(&buffer[..read])
            .map_err(|error| Error::io("write", path, error))?;
    }
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Error::not_durable(path, error))
}
