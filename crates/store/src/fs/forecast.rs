//! How files of somebody else would be taken in, found out without writing anything: as further names, or as copies.
//!
//! A hard link needs both places on one mount (two bind mounts of one file system are two), and, where the kernel protects
//! hard links, a file that is ours, or that we may read and write, or CAP_FOWNER. Whether the file system has hard links
//! at all is not known before one is made.
//! Fails: never; what cannot be found out counts as "copied", so that nobody is promised room that is then needed.
//! Source: link(2); proc(5), fs.protected_hardlinks.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, Statx, StatxFlags, accessat, statx};
use rustix::process::geteuid;

/// Bit of CAP_FOWNER in a set of capabilities. Source: capabilities(7), linux/capability.h.
const CAP_FOWNER: u64 = 1 << 3;
const REGULAR: u16 = 0o100_000;
const TYPE: u16 = 0o170_000;
const SET_USER: u16 = 0o4000;
const SET_GROUP_AND_RUN: u16 = 0o2010;

/// What is known of the place where files would go.
#[derive(Clone, Debug)]
pub struct Forecast {
    place: Option<Mount>,
    user: u32,
    /// Every file may be linked, whoever owns it.
    is_free: bool,
}

/// What two paths must share, so that one file can have a name in both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mount {
    device: (u32, u32),
    /// Of a kernel that tells it.
    id: Option<u64>,
}

impl Forecast {
    /// For files that would go below `target`, which need not exist yet.
    #[must_use]
    pub fn of(target: &Path) -> Self {
        let target = std::path::absolute(target).unwrap_or_else(|_| target.to_owned());
        let is_protected = fs::read_to_string("/proc/sys/fs/protected_hardlinks")
            .map_or(true, |setting| setting.trim() != "0");
        Self {
            place: existing(&target)
                .and_then(|place| look(&place))
                .map(|found| mount(&found)),
            user: geteuid().as_raw(),
            is_free: !is_protected || has_fowner(),
        }
    }

    /// Whether the file would get one more name, and need no room.
    #[must_use]
    pub fn links(&self, file: &Path) -> bool {
        let Some(found) = look(file) else {
            return false;
        };
        self.place == Some(mount(&found))
            && (self.is_free || found.stx_uid == self.user || is_safe(file, &found))
    }
}

/// The nearest folder above `path` that is there, or `path` itself.
#[must_use]
pub fn existing(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|path| path.exists()).map(Path::to_owned)
}

fn look(path: &Path) -> Option<Statx> {
    statx(
        CWD,
        path,
        AtFlags::empty(),
        StatxFlags::BASIC_STATS | StatxFlags::MNT_ID,
    )
    .ok()
}

fn mount(found: &Statx) -> Mount {
    let tells = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::MNT_ID);
    Mount {
        device: (found.stx_dev_major, found.stx_dev_minor),
        id: tells.then_some(found.stx_mnt_id),
    }
}

/// What the kernel lets anybody link who may read and write it.
fn is_safe(path: &Path, found: &Statx) -> bool {
    let mode = found.stx_mode;
    mode & TYPE == REGULAR
        && mode & SET_USER == 0
        && mode & SET_GROUP_AND_RUN != SET_GROUP_AND_RUN
        && accessat(CWD, path, Access::READ_OK | Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

fn has_fowner() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set & CAP_FOWNER != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beside_its_new_place_is_linked_and_one_on_another_file_system_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data");
        fs::write(&file, b"bytes").unwrap();
        let forecast = Forecast::of(&folder.path().join("not/there/yet"));
        assert!(forecast.links(&file));
        assert!(
            fs::hard_link(&file, folder.path().join("name")).is_ok(),
            "and so it is"
        );
        assert!(!forecast.links(Path::new("/proc/self/status")));
        assert!(!forecast.links(&folder.path().join("nothing")));
    }
}
