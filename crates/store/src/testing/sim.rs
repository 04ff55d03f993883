//! A disk in memory that can lose its power.
//!
//! `cut_power_after(n)` lets n changes through; from then on every call fails and nothing changes any more.
//! `after_the_cut(fate)` is the disk that the next boot finds: what was synced, and of the rest what the fate keeps.
//! It may be asked for many fates of one cut. What becomes durable when, and what may be lost: `sim_state`.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::sim_state::{Disk, Fate};
use crate::files::{Access, File, Files, Lock, Mount, Reserve, Space};

/// The size of the disk; small, because it is copied for every fate.
const TOTAL: u64 = 8 * 1024 * 1024;

/// See the file. A clone is the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<Disk>>,
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::holding(Disk::default())
    }
}

impl SimDisk {
    fn holding(disk: Disk) -> Self {
        Self {
            state: Arc::new(Mutex::new(disk)),
        }
    }

    /// Lets `changes` more changes through, then cuts the power.
    pub fn cut_power_after(&self, changes: u64) {
        self.state().changes_left = Some(changes);
    }

    /// How many changes there were.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// The disk as it is found after the power cut.
    #[must_use]
    pub fn after_the_cut(&self, fate: Fate) -> Self {
        Self::holding(self.state().after_the_cut(fate))
    }

    fn state(&self) -> MutexGuard<'_, Disk> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrap(&self, inode: usize) -> Arc<dyn File> {
        Arc::new(SimFile {
            disk: self.clone(),
            inode,
        })
    }
}

impl Files for SimDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let inode = self.state().create(path)?;
        Ok(self.wrap(inode))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        if matches!(access, Access::Direct | Access::ReadDirect) {
            return Err(Errno::INVAL.into());
        }
        let inode = self.state().find_file(path)?;
        Ok(self.wrap(inode))
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state().rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.state().unlink(path)
    }

    fn mkdir(&self, path: &Path) -> io::Result<()> {
        self.state().mkdir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.state().sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.state().list(path)
    }

    fn lock(&self, _path: &Path) -> io::Result<Lock> {
        let mut state = self.state();
        state.is_on()?;
        if state.is_locked() {
            return Ok(Lock::Held(None));
        }
        let owner = Arc::new(());
        state.lock_for(&owner);
        Ok(Lock::Owned(Box::new(owner)))
    }

    fn mount(&self, path: &Path) -> io::Result<Mount> {
        let state = self.state();
        state.find(path)?;
        let mut epoch = [0; 16];
        epoch[..8].copy_from_slice(&state.boots.to_le_bytes());
        Ok(Mount {
            device: 1,
            network: None,
            epoch,
        })
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        self.state().is_on()?;
        Ok(Space {
            free: TOTAL,
            total: TOTAL,
        })
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: usize,
}

impl File for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.state().read(self.inode, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.disk.state().write(self.inode, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.state().sync_file(self.inode)
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.state().size(self.inode)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.disk.state().truncate(self.inode, size)
    }

    fn reserve(&self, size: u64, how: Reserve) -> io::Result<()> {
        match how {
            Reserve::KeepSize => Ok(()), // room is not counted here
            Reserve::Grow => self.disk.state().truncate(self.inode, size),
        }
    }

    fn direct_block(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    fn host(&self) -> Option<&Arc<std::fs::File>> {
        None
    }
}
