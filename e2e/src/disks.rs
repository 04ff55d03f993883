//! File systems in loop-mounted files, and the cut: a copy of a file in one step, as if the power had failed in that moment.
//!
//! Units: bytes. Shape: [`Disk`] is made or attached, mounted, and taken apart when dropped; [`cut`] clones its file.
//! What a cut keeps: everything that the file system has handed to its device. What it loses: everything that was still in
//! that file system's own page cache, data and journal alike. The loop device uses direct I/O, checked after attaching, so no
//! second cache lies between the two. (What a cut does not show is a device that forgets its own cache: a write that reached
//! the device survives here, flushed or not.)
//! Fails: by panic; needs root and loop devices.
//! Source: ioctl_ficlone(2), losetup(8) `--direct-io`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::command::{program, run};

/// The file systems that are made here.
#[derive(Debug, Clone, Copy)]
pub enum FileSystem {
    /// The usual one under a registry.
    Ext4,
    /// For its clones.
    Xfs,
}

impl FileSystem {
    fn make(self, image: &Path) {
        let mut mkfs = match self {
            Self::Ext4 => program("mkfs.ext4"),
            Self::Xfs => program("mkfs.xfs"),
        };
        let mkfs = match self {
            Self::Ext4 => mkfs.args(["-q", "-F"]),
            Self::Xfs => mkfs.args(["-q", "-m", "reflink=1"]),
        };
        run(mkfs.arg(image)).succeeded();
    }
}

/// A mounted file system in a file.
pub struct Disk {
    device: String,
    folder: PathBuf,
}

impl Disk {
    /// Makes a file of this size with an empty file system in it, and mounts it at the folder.
    #[must_use]
    pub fn make(kind: FileSystem, image: &Path, bytes: u64, folder: &Path) -> Self {
        let file = File::create_new(image).expect("a new file for the disk");
        file.set_len(bytes).expect("a sparse file may be large");
        drop(file);
        kind.make(image);
        Self::attach(image, folder)
    }

    /// Mounts the file system in a file; what its journal holds is replayed.
    #[must_use]
    pub fn attach(image: &Path, folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder to mount at");
        let losetup = run(program("losetup")
            .args(["--find", "--show", "--direct-io=on"])
            .arg(image));
        let device = losetup.succeeded().stdout();
        let disk = Self {
            device,
            folder: folder.to_owned(),
        };
        let direct =
            run(program("losetup").args(["--list", "--noheadings", "--output", "DIO", &disk.device]));
        assert_eq!(
            direct.succeeded().stdout().trim(),
            "1",
            "{} does not use direct I/O",
            disk.device
        );
        run(program("mount").arg(&disk.device).arg(folder)).succeeded();
        disk
    }

    /// Where it is mounted.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = program("umount")
            .arg(&self.folder)
            .status()
            .is_ok_and(|status| status.success());
        if !unmounted {
            let _ = program("umount").arg("--lazy").arg(&self.folder).status();
        }
        let _ = program("losetup").args(["--detach", &self.device]).status();
    }
}

/// Clones the file in one step: the kernel holds its writers back while the extents are shared.
pub fn cut(image: &Path, clone: &Path) {
    let image = File::open(image).expect("the disk's file can be read");
    let clone = File::create_new(clone).expect("a new file for the clone");
    rustix::fs::ioctl_ficlone(&clone, &image).expect("XFS clones files in one step");
}
