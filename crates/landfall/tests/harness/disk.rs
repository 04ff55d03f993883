//! A disk of a chosen size: a tmpfs mounted for one story and unmounted at its end.
//!
//! Units: sizes are bytes. Needs root. Filling it is one `fallocate`, which on tmpfs takes the room at once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use tempfile::TempDir;

use super::wait_until;

/// A mounted tmpfs.
pub(crate) struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    pub(crate) fn mount(bytes: u64) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("landfall-disk-")
            .tempdir()
            .unwrap();
        let size = format!("size={bytes},mode=0755");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "landfall-story"])
            .arg(folder.path())
            .status();
        assert!(
            status.expect("mount runs").success(),
            "a tmpfs can be mounted (this story needs root)"
        );
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn free(&self) -> u64 {
        let stat = statvfs(self.path()).unwrap();
        stat.f_bavail * stat.f_frsize
    }

    /// Takes all room but so much, until the answer is dropped.
    pub(crate) fn fill_but(&self, left: u64) -> Ballast {
        let path = self.path().join("somebody-elses-file");
        let ballast = Ballast {
            file: File::create(&path).unwrap(),
            path,
            left,
        };
        wait_until("the disk is filled", || {
            ballast.top_up();
            self.free() <= left
        });
        ballast
    }
}

/// A file that takes room on a disk for as long as this is kept.
pub(crate) struct Ballast {
    path: PathBuf,
    file: File,
    left: u64,
}

impl Ballast {
    /// Takes what has become free since: a server at work gives up files of its own at any moment.
    pub(crate) fn top_up(&self) {
        let stat = statvfs(&self.path).unwrap();
        let more = (stat.f_bavail * stat.f_frsize).saturating_sub(self.left);
        if more == 0 {
            return;
        }
        let end = self.file.metadata().unwrap().len();
        match fallocate(&self.file, FallocateFlags::empty(), end, more) {
            // Somebody was quicker: the next round asks for less.
            Ok(()) | Err(rustix::io::Errno::NOSPC) => {}
            Err(error) => panic!("{}: {error}", self.path.display()),
        }
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that a failed story left behind may still hold it.
        let status = Command::new("umount").arg("--lazy").arg(self.path()).status();
        if !std::thread::panicking() {
            assert!(
                status.expect("umount runs").success(),
                "the tmpfs is unmounted again"
            );
        }
    }
}
