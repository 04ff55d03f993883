//! Unix sockets with a path of any length, and the admin socket's life: made for its owner alone, gone at the end.
//!
//! The kernel takes 107 bytes of a path; a longer one is reached through a descriptor of its folder. What an earlier server
//! left is replaced, a socket that somebody answers on is not. Fails: as the calls of the system do.
//! Source: unix(7), proc(5).

use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tokio::net::UnixListener;

/// Longest path that the kernel takes.
const PATH_BYTES_MAX: usize = 107;

/// Connects to a socket, however long its path is.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    reached(path, |path| UnixStream::connect(path))
}

/// Makes `path` short enough for the kernel, for as long as `use_it` runs.
fn reached<T>(path: &Path, use_it: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return use_it(path);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = rustix::fs::open(
        folder,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    use_it(
        &Path::new("/proc/self/fd")
            .join(folder.as_raw_fd().to_string())
            .join(name),
    )
}

/// The admin socket's file. It goes with this, unless another server has put its own there.
pub(crate) struct AdminSocket {
    path: PathBuf,
    inode: (u64, u64),
}

impl AdminSocket {
    /// Listens at `path`, where only our user and root may connect.
    pub(crate) fn listen(path: &Path) -> io::Result<(Self, UnixListener)> {
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "something else lies there",
                ));
            }
            Ok(_) if connect(path).is_ok() => return Err(io::ErrorKind::AddrInUse.into()),
            _ => {}
        }
        // It gets its place when nobody else may open it any more.
        let draft = path.with_extension("sock.new");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = reached(&draft, |draft| UnixListener::bind(draft))?;
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o600))?;
        let made = fs::symlink_metadata(&draft)?;
        fs::rename(&draft, path)?;
        let socket = Self {
            path: path.to_owned(),
            inode: (made.dev(), made.ino()),
        };
        Ok((socket, listener))
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.inode)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, socket = %self.path.display(), "the admin socket could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_path_of_any_length_works_and_goes_at_the_end() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a".repeat(100)).join("b".repeat(100));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("admin.sock");
        let (socket, listener) = AdminSocket::listen(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        connect(&path).unwrap();
        let again = AdminSocket::listen(&path).map(drop).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        // Nobody answers any more, as after a crash: it is replaced, and then not ours to remove.
        let (other, _listener) = AdminSocket::listen(&path).unwrap();
        drop(socket);
        connect(&path).unwrap();
        drop(other);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("admin.sock");
        fs::write(&path, "mine").unwrap();
        assert!(AdminSocket::listen(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
