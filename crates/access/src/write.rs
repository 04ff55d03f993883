//! Changing a password file: the wanted line changes, every other byte stays.
//!
//! Shape: [`Draft::open`] locks and reads, `set` and `remove` change it in memory, [`Draft::save`] replaces the file
//! by a rename, so that a reader finds the old file or the new. A file that is a bind mount of its own, or whose
//! folder or owner does not allow that, is written in place: it grows first, so that a full disk changes nothing.
//! Fails: [`WriteError`]; the file is then as it was. All blocks.
//! Source: Apache's `htpasswd` file format; line ends (LF or CRLF) and comments are the file's own.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use crate::hash::StoredHash;
use crate::{BadHash, UserName, Users, Warning};

/// A password file that is being changed; others who change it wait.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    /// What it was; `None` if there is no file yet.
    before: Option<Metadata>,
    old: Vec<u8>,
    text: Vec<u8>,
    /// The lock on the folder, where its file system has locks.
    _turn: Option<File>,
}

/// One entry as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Who.
    pub name: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The cost of its bcrypt hash, or why that cannot be used.
    pub cost: Result<u8, BadHash>,
}

/// The password file stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It cannot be read, or is no password file.
    #[error(transparent)]
    Unusable(#[from] crate::Error),
    /// Text of a kind that no line can be added to.
    #[error("{} is UTF-16 text, as a redirection in PowerShell writes it\n  fix   save it as UTF-8, then try again", .0.display())]
    Utf16(PathBuf),
    /// The folder is not there.
    #[error("{path} cannot be made: its folder does not exist\n  fix   mkdir -p {folder}", path = .0.display(), folder = folder_of(.0).display())]
    NoFolder(PathBuf),
    /// The operating system refuses.
    #[error(
        "{path} cannot be written: {source}\n  \
         fix   run this as the user that owns the file, or, where it is mounted into a container, mount it without :ro",
        path = .path.display()
    )]
    Refused {
        /// The password file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The disk is full.
    #[error("{} cannot be written: the disk is full\n  fix   make room; the file is as it was", .0.display())]
    NoRoom(PathBuf),
}

impl WriteError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unusable(error) => error.code(),
            Self::Utf16(_) => "LF-AUTH-010",
            Self::NoFolder(_) | Self::Refused { .. } => "LF-AUTH-013",
            Self::NoRoom(_) => "LF-STO-005",
        }
    }
}

impl Draft {
    /// Reads the file for a change; one that does not exist will be made.
    pub fn open(path: &Path) -> Result<Self, WriteError> {
        // A link leads to the file that is meant; it stays a link.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let turn = match File::open(folder_of(&path)) {
            Ok(folder) => folder.lock().is_ok().then_some(folder),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(WriteError::NoFolder(path)),
            Err(_) => None, // a folder that may be entered but not read; the file may be all right
        };
        let (before, old) = match read_whole(&path) {
            Ok((metadata, text)) => (Some(metadata), text),
            Err(crate::Error::Missing(_)) => (None, Vec::new()),
            Err(error) => return Err(error.into()),
        };
        if old.starts_with(b"\xFF\xFE") || old.starts_with(b"\xFE\xFF") {
            return Err(WriteError::Utf16(path));
        }
        Ok(Self {
            path,
            before,
            text: old.clone(),
            old,
            _turn: turn,
        })
    }

    /// A draft of a file that is to be made, for looking only: nobody is in it.
    #[must_use]
    pub fn nobody(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            before: None,
            old: Vec::new(),
            text: Vec::new(),
            _turn: None,
        }
    }

    /// Where the file is, links followed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// False where saving makes the file.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.before.is_some()
    }

    /// Whether a line is this user's, usable or not.
    #[must_use]
    pub fn contains(&self, user: &UserName) -> bool {
        lines(&self.text).any(|line| names(line, user))
    }

    /// The entries in the order of the file, and what should be mended in it.
    #[must_use]
    pub fn list(&self) -> (Vec<Listed>, Vec<Warning>) {
        let text = self.text.strip_prefix(BOM).unwrap_or(&self.text);
        let listed = lines(text).zip(1..).filter_map(|(line, number)| {
            let (name, hash) = str::from_utf8(entry(line)?).ok()?.split_once(':')?;
            (!name.is_empty()).then(|| Listed {
                name: name.to_owned(),
                line: number,
                cost: StoredHash::parse(hash).map(|hash| hash.cost()),
            })
        });
        (listed.collect(), Users::parse(&self.path, &self.text).1)
    }

    /// Gives the user this hash: in the last line of that name, else in a new one at the end. Earlier lines of the
    /// name go, so that no old password outlives a new one, whoever reads the file.
    pub fn set(&mut self, user: &UserName, hash: &str) {
        let entry = format!("{}:{hash}", user.as_str());
        let last = lines(&self.text).filter(|line| names(line, user)).count();
        let crlf = self.text.windows(2).any(|pair| pair == b"\r\n");
        let mut text = Vec::with_capacity(self.text.len() + entry.len() + 2);
        let mut seen = 0;
        for line in lines(&self.text) {
            if names(line, user) {
                seen += 1;
                if seen == last {
                    let end = line.len()
                        - line
                            .iter()
                            .rev()
                            .take_while(|b| matches!(b, b'\r' | b'\n'))
                            .count();
                    text.extend_from_slice(if line.starts_with(BOM) { BOM } else { b"" });
                    text.extend_from_slice(entry.as_bytes());
                    text.extend_from_slice(&line[end..]);
                }
            } else {
                text.extend_from_slice(line);
            }
        }
        if last == 0 {
            let end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
            if !text.is_empty() && !text.ends_with(b"\n") {
                text.extend_from_slice(end);
            }
            text.extend_from_slice(entry.as_bytes());
            text.extend_from_slice(end);
        }
        self.text = text;
    }

    /// Takes out every line of this user; false if there is none.
    pub fn remove(&mut self, user: &UserName) -> bool {
        let kept: Vec<u8> = lines(&self.text)
            .filter(|line| !names(line, user))
            .flatten()
            .copied()
            .collect();
        let removed = kept.len() < self.text.len();
        self.text = kept;
        removed
    }

    /// Makes the change durable.
    pub fn save(self) -> Result<(), WriteError> {
        let written = match self.replace() {
            Err(error) if self.before.is_some() && wants_in_place(&error) => self.write_in_place(),
            other => other,
        };
        written.map_err(|source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => WriteError::NoRoom(self.path.clone()),
            _ => WriteError::Refused {
                path: self.path.clone(),
                source,
            },
        })
    }

    fn replace(&self) -> io::Result<()> {
        let folder = folder_of(&self.path);
        let name = self
            .path
            .file_name()
            .ok_or(ErrorKind::InvalidInput)?
            .to_string_lossy();
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(|_| ErrorKind::Other)?;
        let draft = folder.join(format!(".{name}.{:016x}", u64::from_be_bytes(random)));
        let outcome = self
            .write_beside(&draft)
            .and_then(|()| std::fs::rename(&draft, &self.path));
        if outcome.is_err() {
            // Nobody reads it; the error that is returned is the one that matters.
            let _ = std::fs::remove_file(&draft);
        }
        outcome?;
        File::open(folder)?.sync_all()
    }

    fn write_beside(&self, draft: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(draft)?;
        let ours = file.metadata()?;
        if let Some(before) = &self.before {
            if (before.uid(), before.gid()) != (ours.uid(), ours.gid()) {
                fchown(&file, Some(before.uid()), Some(before.gid()))?;
            }
            file.set_permissions(Permissions::from_mode(before.mode() & 0o7777))?;
        } else {
            // Made by root for a server that is not root: who owns the folder must be able to read it.
            let folder = std::fs::metadata(folder_of(&self.path))?;
            if ours.uid() == 0 && folder.uid() != 0 {
                fchown(&file, Some(folder.uid()), Some(folder.gid()))?;
            }
        }
        file.write_all(&self.text)?;
        file.sync_all()
    }

    /// The part before the first change is not touched; the file has its full length before anything is changed.
    fn write_in_place(&self) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        let same = self
            .old
            .iter()
            .zip(&self.text)
            .take_while(|(a, b)| a == b)
            .count();
        if self.text.len() > self.old.len() {
            let blank = vec![b'\n'; self.text.len() - self.old.len()];
            let grown = file
                .write_all_at(&blank, self.old.len() as u64)
                .and_then(|()| file.sync_all());
            if let Err(error) = grown {
                file.set_len(self.old.len() as u64)?;
                return Err(error);
            }
        }
        file.write_all_at(&self.text[same..], same as u64)?;
        file.set_len(self.text.len() as u64)?;
        file.sync_all()
    }
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// A rename is not possible, and writing may be: a mount point, a read-only or foreign folder, a foreign owner.
fn wants_in_place(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ResourceBusy
            | ErrorKind::CrossesDevices
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
    )
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Lines with their ends.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&b| b == b'\n')
}

/// The line without its end, if it can be an entry.
fn entry(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_prefix(BOM).unwrap_or(line).trim_ascii();
    (!line.is_empty() && !line.starts_with(b"#") && line.len() <= Users::LINE_BYTES_MAX).then_some(line)
}

fn names(line: &[u8], user: &UserName) -> bool {
    entry(line)
        .and_then(|entry| entry.strip_prefix(user.as_str().as_bytes()))
        .is_some_and(|rest| rest.starts_with(b":"))
}

/// The text of a password file, and what was known of the file before it was read.
fn read_whole(path: &Path) -> Result<(Metadata, Vec<u8>), crate::Error> {
    crate::htpasswd::stat(path)?; // before opening: a pipe would wait for its writer
    let unreadable = |source| crate::Error::Unreadable {
        path: path.into(),
        source,
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(unreadable)?;
    Ok((metadata, text))
}
