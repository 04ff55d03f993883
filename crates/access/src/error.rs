//! Why a password file cannot be used at all.
//!
//! Shape: the first line of the text is the fact; lines that begin with `  why` and `  fix` follow, for the person
//! who must act. [`Error::code`] goes in front of it.

use std::io;
use std::path::{Path, PathBuf};

/// The password file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is at the path.
    #[error(
        "{path} does not exist\n  \
         why   it is the password file, and without it nobody could log in\n  \
         fix   make it:  landfall user add <name> --file {path}\n        \
         or, in a container, mount it there (htpasswd -B makes such files too)",
        path = .0.display()
    )]
    Missing(PathBuf),
    /// An empty directory is at the path.
    #[error(
        "{path} is a directory\n  \
         why   a bind mount of a file that does not exist on the host makes a directory in its place\n  \
         fix   docker compose down && rmdir ./{name} && touch ./{name} && docker compose up -d\n        \
         then, in the container:  landfall user add <name>\n        \
         (./{name}: the left side of the mount, on the host)",
        path = .0.display(),
        name = file_name(.0)
    )]
    Directory(PathBuf),
    /// A directory is at the path, and things are in it: nobody's mistaken mount.
    #[error(
        "{path} is a directory\n  \
         why   the password file is meant, and this is a folder with other files in it\n  \
         fix   name the file itself, such as {path}/htpasswd, in auth.htpasswd.path or REGISTRY_AUTH_HTPASSWD_PATH\n        \
         and make it, if it is not there:  landfall user add <name> --file {path}/htpasswd",
        path = .0.display()
    )]
    Folder(PathBuf),
    /// A device, a socket or a pipe is at the path.
    #[error(
        "{path} is not a regular file\n  \
         why   the password file is read again whenever it changes, which a pipe or a device cannot tell\n  \
         fix   write the entries into a file, and name that file",
        path = .0.display()
    )]
    NotAFile(PathBuf),
    /// The operating system refuses to read it.
    #[error(
        "{path} cannot be read: {source}\n  \
         fix   let the user that Landfall runs as read it, e.g.  chmod 0640 {path}  and its group",
        path = .path.display()
    )]
    Unreadable {
        /// The password file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Far too large for a password file.
    #[error(
        "{path} is larger than {} MiB\n  \
         why   that is no password file, or one for a different server\n  \
         fix   check the path; a line a user is enough",
        crate::Htpasswd::FILE_BYTES_MAX / (1024 * 1024),
        path = .0.display()
    )]
    TooLarge(PathBuf),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random numbers, so that logins cannot be remembered safely")]
    Randomness(#[source] getrandom::Error),
}

impl Error {
    /// The stable code, for `landfall explain` and for searching.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "LF-AUTH-001",
            Self::Directory(_) | Self::Folder(_) => "LF-STO-003",
            Self::NotAFile(_) => "LF-AUTH-002",
            Self::Unreadable { .. } => "LF-AUTH-003",
            Self::TooLarge(_) => "LF-AUTH-004",
            Self::Randomness(_) => "LF-AUTH-005",
        }
    }
}

fn file_name(path: &Path) -> std::path::Display<'_> {
    path.file_name().map_or(path, Path::new).display()
}
