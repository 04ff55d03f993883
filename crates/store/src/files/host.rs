//! The host's own disk, by system calls.
//!
//! Files are 0600 and folders 0700: a private registry's content is nobody else's business. Every descriptor is
//! close-on-exec. Source: open(2), renameat2(2), statx(2), flock(2), fallocate(2).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{self, AtFlags, CWD, FallocateFlags, FlockOperation, Mode, OFlags, RenameFlags, StatxFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::{Access, File, Files, Lock, Mount, Reserve, Space};

/// The real disk.
#[derive(Clone, Copy, Default, Debug)]
pub struct HostFiles;

/// What a direct write is a multiple of where the kernel does not say.
const DIRECT_BLOCK: u64 = 4096;
/// `STATX_MNT_ID_UNIQUE` (Linux 6.8): a number of a mount that is not used again until the next boot.
const MOUNT_ID_UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);

/// File systems that live on another machine or are shared between machines: `f_type`, name.
const NETWORK: [(u64, &str); 14] = [
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "ceph"),
    (0x5346_414f, "afs"),
    (0x6b41_4653, "kafs"),
    (0x0bd0_0bd0, "lustre"),
    (0x4750_4653, "gpfs"),
    (0x0116_1970, "gfs2"),
    (0x7461_636f, "ocfs2"),
    (0x7375_7245, "coda"),
    (0x564c, "ncp"),
];

impl Files for HostFiles {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(HostFile::wrap(fs::open(path, flags, Mode::RUSR | Mode::WUSR)?))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::ReadDirect => OFlags::RDONLY | OFlags::DIRECT,
            Access::Write => OFlags::RDWR,
            Access::Direct => OFlags::WRONLY | OFlags::DIRECT,
        };
        let fd = fs::open(path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
        if access == Access::Read {
            // Advice only: a file system that does not take it loses nothing.
            let _ = fs::fadvise(&fd, 0, None, fs::Advice::Sequential);
        }
        Ok(HostFile::wrap(fd))
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        match fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // A file system without the flag: our names are used once, so there is nothing to replace.
            Err(Errno::INVAL | Errno::NOSYS) if !to.try_exists()? => Ok(fs::rename(from, to)?),
            other => Ok(other?),
        }
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        Ok(fs::unlink(path)?)
    }

    fn mkdir(&self, path: &Path) -> io::Result<()> {
        Ok(fs::mkdir(path, Mode::RWXU)?)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(fs::fsync(fs::open(path, flags, Mode::empty())?)?)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut names = Vec::new();
        for entry in fs::Dir::new(fs::open(path, flags, Mode::empty())?)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        // Of a symbolic link this would be another symbolic link: only what is a file itself is shared.
        if !std::fs::symlink_metadata(from)?.is_file() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(fs::link(from, to)?)
    }

    fn clone_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        let source = fs::open(
            from,
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
            Mode::empty(),
        )?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let target = fs::open(to, flags, Mode::RUSR | Mode::WUSR)?;
        fs::ioctl_ficlone(&target, &source).map_err(|error| {
            // A failure leaves an empty file, which is nobody's.
            let _ = fs::unlink(to);
            error.into()
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let fd = fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
        match fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                fs::ftruncate(&fd, 0)?;
                let pid = format!("{}\n", std::process::id());
                rustix::io::pwrite(&fd, pid.as_bytes(), 0)?;
                Ok(Lock::Owned(Box::new(fd)))
            }
            Err(Errno::WOULDBLOCK) => {
                let mut text = [0; 16];
                let read = rustix::io::pread(&fd, &mut text, 0)?;
                let pid = std::str::from_utf8(&text[..read]).ok();
                Ok(Lock::Held(pid.and_then(|pid| pid.trim().parse().ok())))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn mount(&self, path: &Path) -> io::Result<Mount> {
        let wanted = StatxFlags::BASIC_STATS | MOUNT_ID_UNIQUE;
        let stat = fs::statx(CWD, path, AtFlags::empty(), wanted)?;
        let device = u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor);
        let kind = fs::statfs(path)?.f_type.cast_unsigned() & 0xffff_ffff;
        // A mount is part of the epoch, not the boot alone: a file system can be taken away without its last writes
        // and come back, or come back as a snapshot of itself, while the machine runs on.
        // Where the boot cannot be told, each start is a new one: all is read back before it is trusted.
        let boot = std::fs::read("/proc/sys/kernel/random/boot_id")
            .unwrap_or_else(|_| uuid::Uuid::new_v4().into_bytes().to_vec());
        let mount = if stat.stx_mask & MOUNT_ID_UNIQUE.bits() == 0 {
            0
        } else {
            stat.stx_mnt_id
        };
        let hash = Sha256::new()
            .chain_update(boot)
            .chain_update(device.to_le_bytes())
            .chain_update(mount.to_le_bytes())
            .finalize();
        let mut epoch = [0; 16];
        epoch.copy_from_slice(&hash[..16]);
        let network = NETWORK
            .iter()
            .find(|(magic, _)| *magic == kind)
            .map(|(_, name)| *name);
        Ok(Mount {
            device,
            network,
            epoch,
        })
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let stat = fs::statvfs(path)?;
        Ok(Space {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}

/// An open file of the host.
#[derive(Debug)]
struct HostFile(Arc<std::fs::File>);

impl HostFile {
    fn wrap(fd: OwnedFd) -> Arc<dyn File> {
        Arc::new(Self(Arc::new(fd.into())))
    }
}

impl File for HostFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pread(&self.0, buffer, offset)?)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwrite(&self.0, bytes, offset)?)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(fs::fsync(&self.0)?)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        Ok(fs::ftruncate(&self.0, size)?)
    }

    fn reserve(&self, size: u64, how: Reserve) -> io::Result<()> {
        let flags = match how {
            Reserve::KeepSize => FallocateFlags::KEEP_SIZE,
            Reserve::Grow => FallocateFlags::empty(),
        };
        Ok(fs::fallocate(&self.0, flags, 0, size)?)
    }

    fn direct_block(&self) -> io::Result<Option<u64>> {
        let stat = fs::statx(&self.0, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)?;
        if stat.stx_mask & StatxFlags::DIOALIGN.bits() == 0 {
            return Ok(Some(DIRECT_BLOCK)); // an older kernel: the first direct write will tell
        }
        let block = u64::from(stat.stx_dio_offset_align.max(stat.stx_dio_mem_align));
        Ok((block != 0).then(|| block.max(DIRECT_BLOCK)))
    }

    fn host(&self) -> Option<&Arc<std::fs::File>> {
        Some(&self.0)
    }
}
