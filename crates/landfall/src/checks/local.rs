//! What can be seen on this machine: data folder, disk, lock, password file.
//!
//! Units: bytes. Nothing is written but an empty file that goes at once, to see whether the folder takes files.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use access::{Fault, Htpasswd};
use config::{Auth, Medium, Settings, Storage, format_size};
use rustix::fs::{StatVfs, statvfs};
use store::{Files as _, HostFiles};

use super::Check;

/// Inodes under which a disk counts as full.
const INODES_MIN: u64 = 10_000;

/// Data folder, disk and lock. Answers whether a server runs on it.
pub(crate) fn data(storage: &Storage, checks: &mut Vec<Check>) -> bool {
    match room_for(storage, checks) {
        Some(folder) if folder.exists() => lock(&folder, checks),
        _ => false,
    }
}

/// Data folder and disk. Answers where the data lie or will lie.
pub(crate) fn room_for(storage: &Storage, checks: &mut Vec<Check>) -> Option<PathBuf> {
    const NAME: &str = "data folder";
    let (root, allow_network) = match &storage.medium {
        Medium::Filesystem { root, allow_network } => (root, *allow_network),
        Medium::InMemory => {
            checks.push(Check::note(
                NAME,
                "none: storage.inmemory forgets everything at the end",
            ));
            return None;
        }
    };
    let root = std::path::absolute(root).unwrap_or_else(|_| root.clone());
    let folder = root.join("landfall");
    let there = root.ancestors().find(|path| path.exists())?;
    let is_new = !folder.exists();
    if let Err(error) = store::unfinished_revival(&root) {
        let fix = match error {
            store::Error::Reviving { .. } => "wait for its end".to_owned(),
            _ => format!(
                "run the same `landfall restore` again, or: rm -r {}.restoring",
                folder.display()
            ),
        };
        checks.push(Check::problem("restore", error.to_string(), fix).code("LF-STO-006"));
    }
    checks.push(match takes_files(if is_new { there } else { &folder }) {
        Ok(()) if is_new => Check::note(NAME, format!("{} is new: serve makes it", folder.display())),
        Ok(()) => Check::good(NAME, format!("{} can be written", folder.display())),
        Err(error) => Check::problem(
            NAME,
            format!("{} cannot be written: {error}", there.display()),
            writable(there, &error),
        ),
    });
    let network = HostFiles.mount(there).ok().and_then(|mount| mount.network);
    if let (Some(kind), false) = (network, allow_network) {
        checks.push(Check::problem(
            "file system",
            format!("{kind} is a network file system, where a lock or a sync may not hold"),
            "use a local disk, or set storage.filesystem.allow_network: true if you know that it keeps both",
        ));
    }
    match statvfs(there) {
        Ok(disk) => checks.push(room(there, &disk)),
        Err(error) => checks.push(Check::problem(
            "disk",
            error.to_string(),
            "look at the disk (dmesg)",
        )),
    }
    Some(folder)
}

fn takes_files(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".landfall-doctor-{}", std::process::id()));
    File::create_new(&path)?;
    fs::remove_file(path)
}

fn writable(folder: &Path, error: &std::io::Error) -> String {
    let us = rustix::process::geteuid().as_raw();
    match (error.kind(), fs::metadata(folder)) {
        (ErrorKind::PermissionDenied, Ok(metadata)) => format!(
            "it belongs to user {}, mode {:o}, and this is user {us}: chown -R {us} {}, or run as {0}",
            metadata.uid(),
            metadata.mode() & 0o777,
            folder.display()
        ),
        (ErrorKind::ReadOnlyFilesystem, _) => "mount it for writing (without :ro)".to_owned(),
        (ErrorKind::StorageFull | ErrorKind::QuotaExceeded, _) => "make room on the disk".to_owned(),
        _ => "name another folder with --data".to_owned(),
    }
}

fn room(path: &Path, disk: &StatVfs) -> Check {
    const NAME: &str = "disk";
    let room = store::Room {
        free: disk.f_bavail * disk.f_frsize,
        total: disk.f_blocks * disk.f_frsize,
    };
    let kind = kind_of(path).unwrap_or_else(|| "file system of unknown kind".to_owned());
    let found = format!("{kind}, {} free of {}", short(room.free), short(room.total));
    if !room.suffices() {
        Check::problem(
            NAME,
            format!("{found}: pushes are refused under {}", short(room.low_water())),
            "make room: delete images that nobody needs, or give the disk more",
        )
    } else if disk.f_files > 0 && disk.f_favail < INODES_MIN {
        Check::problem(
            NAME,
            format!("{found}, but only {} inodes free", disk.f_favail),
            "remove small files from the disk, or use a file system with more inodes",
        )
    } else {
        Check::good(NAME, found)
    }
}

/// `10.5 GiB`: for reading, so rounded.
fn short(bytes: u64) -> String {
    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;
    if bytes >= GIB {
        let tenths = bytes / (GIB / 10);
        format!("{}.{} GiB", tenths / 10, tenths % 10)
    } else if bytes >= MIB {
        format!("{} MiB", bytes / MIB)
    } else {
        format_size(bytes)
    }
}

/// The kind of file system, as `mount` calls it.
fn kind_of(path: &Path) -> Option<String> {
    let path = fs::canonicalize(path).ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mount = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let place = words.next()?.replace("\\040", " ");
        Some((place, words.next()?.to_owned()))
    });
    let over = mount.filter(|(place, _)| path.starts_with(place));
    // The last of equals is the one on top.
    over.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind)
}

fn lock(folder: &Path, checks: &mut Vec<Check>) -> bool {
    const NAME: &str = "lock";
    let path = folder.join("LOCK");
    match File::open(&path).map(|file| file.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => {
            let pid = fs::read_to_string(&path).unwrap_or_default();
            checks.push(Check::good(
                NAME,
                format!("held by the server that runs here (process {})", pid.trim()),
            ));
            return true;
        }
        Ok(Ok(())) => checks.push(Check::good(NAME, "free: no server runs on this folder")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            checks.push(Check::note(NAME, "none yet: no server has run on this folder"));
        }
        Ok(Err(TryLockError::Error(error))) | Err(error) => checks.push(Check::problem(
            NAME,
            format!("{}: {error}", path.display()),
            "run this as the user that the server runs as",
        )),
    }
    false
}

/// The password file, line by line.
pub(crate) fn logins(settings: &Settings) -> Vec<Check> {
    const NAME: &str = "logins";
    let path = match &settings.auth {
        Auth::Htpasswd { path, .. } => path,
        Auth::None => {
            return vec![Check::note(
                NAME,
                "auth: none: everybody may pull, push and delete",
            )];
        }
        Auth::NotConfigured => {
            return vec![Check::note(
                NAME,
                "none: everybody on this machine may do everything; landfall user add NAME changes that",
            )];
        }
    };
    // As `first_user` does it: a server that has a name makes this file, and a user in it.
    if !path.exists() && settings.storage.password_file().as_ref() == Some(path) {
        return vec![Check::note(NAME, "none yet: serve makes the first user")];
    }
    let (file, warnings) = match Htpasswd::open(path, Arc::new(SystemTime::now)) {
        Ok(opened) => opened,
        Err(error) => return vec![Check::refused(NAME, &error.to_string())],
    };
    let mut checks: Vec<Check> = warnings
        .iter()
        .map(|warning| {
            let found = format!("[{}] {warning}", warning.code());
            match warning.fault {
                Fault::Again { .. } => Check::note(NAME, found),
                _ => Check::problem(
                    NAME,
                    found,
                    "landfall user passwd NAME, or delete the line; the file is read again by itself",
                ),
            }
        })
        .collect();
    if checks.is_empty() {
        checks.push(Check::good(
            NAME,
            format!("{} can be used", file.path().display()),
        ));
    }
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.mode());
    if mode & 0o004 != 0 {
        checks.push(Check::note(
            NAME,
            format!(
                "everybody on this machine can read {}: chmod o-r closes it",
                path.display()
            ),
        ));
    }
    checks
}
