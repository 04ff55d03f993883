//! The password file, read at the start and again whenever it changes.
//!
//! Shape: every login costs one `stat`; a file that differs from what was read is read again before the login is
//! judged. What can be read replaces the set as a whole; what cannot leaves the set as it was, and is logged once.
//! Units: times are the wall clock's, as the file system keeps them.
//! Fails: at the start with `Error`; afterwards never.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use tracing::{error, info, warn};

use crate::{Clock, Error, Users, Warning};

/// A password file and what was last read from it.
pub struct Htpasswd {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    seen: RwLock<Arc<Seen>>,
    /// How many readings have begun; the mutex lets one run at a time and holds the number of the last that ended.
    begun: AtomicU64,
    ended: tokio::sync::Mutex<u64>,
}

/// What one reading found.
struct Seen {
    users: Arc<Users>,
    content: [u8; 32],
    stamp: Stamp,
    /// The file was already old when it was read. A younger one may change once more without its stamp showing it.
    settled: bool,
    /// The code of what keeps us from reading it again, logged already.
    trouble: Option<&'static str>,
}

/// What tells one state of a file from the next. The time of change (ctime) shows what keeps the time of
/// modification: `cp -p`, `chmod`, a rename over it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    file: (u64, u64),
    size_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The coarsest step of file times that is in use (FAT's): a change within it may leave the stamp as it is.
const STAMP_STEP: Duration = Duration::from_secs(2);

impl Htpasswd {
    /// Largest file, in bytes: some 200 000 users.
    pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

    /// Reads the file; blocks, which at the start is right. The warnings are for the caller to log.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<(Self, Vec<Warning>), Error> {
        let now = clock.now();
        let (stamp, text) = read(path)?;
        let (users, warnings) = Users::parse(path, &text);
        let seen = Seen {
            users: Arc::new(users),
            content: Sha256::digest(&text).into(),
            stamp,
            settled: stamp.is_settled(now),
            trouble: None,
        };
        let file = Self {
            path: path.to_owned(),
            clock,
            seen: RwLock::new(Arc::new(seen)),
            begun: AtomicU64::new(0),
            ended: tokio::sync::Mutex::new(0),
        };
        Ok((file, warnings))
    }

    /// The entries as they are now.
    pub async fn users(&self) -> Arc<Users> {
        let begun = self.begun.load(Ordering::SeqCst);
        let seen = self.seen();
        // One stat of one name, here and not on a blocking thread: getting there takes longer than the stat.
        let unchanged = match stat(&self.path) {
            Ok(stamp) => seen.trouble.is_none() && seen.settled && seen.stamp == stamp,
            Err(error) => seen.trouble == Some(error.code()),
        };
        if unchanged {
            return seen.users.clone();
        }
        let mut ended = self.ended.lock().await;
        if *ended <= begun {
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            self.read_again().await;
            *ended = number;
        } // else: a reading that began after we looked has ended, and saw what we saw
        self.seen().users.clone()
    }

    /// What the file is called.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    fn seen(&self) -> Arc<Seen> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read_again(&self) {
        let (path, now, old) = (self.path.clone(), self.clock.now(), self.seen());
        let reading = tokio::task::spawn_blocking(move || old.next(&path, now, read(&path)));
        match reading.await {
            Ok(new) => *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new),
            Err(stopped) => {
                error!(file = %self.path.display(), %stopped, "the password file was not read again");
            }
        }
    }
}

impl fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Htpasswd").field(&self.path).finish()
    }
}

impl Seen {
    /// What is known after one more reading.
    fn next(&self, path: &Path, now: SystemTime, reading: Result<(Stamp, Vec<u8>), Error>) -> Self {
        let (stamp, text) = match reading {
            Ok(found) => found,
            Err(error) => return self.troubled(&error),
        };
        if self.trouble.is_some() {
            info!(file = %path.display(), "the password file can be read again");
        }
        let settled = stamp.is_settled(now);
        let content: [u8; 32] = Sha256::digest(&text).into();
        // htpasswd itself empties the file before it writes it anew: for a moment nobody would be in it.
        let being_written = text.is_empty() && !settled;
        if content == self.content || being_written {
            return Self {
                users: self.users.clone(),
                content: self.content,
                stamp,
                settled,
                trouble: None,
            };
        }
        let (users, warnings) = Users::parse(path, &text);
        info!(file = %path.display(), users = users.count(), "the password file has changed and was read again");
        for warning in warnings {
            warn!(code = warning.code(), "{warning}");
        }
        Self {
            users: Arc::new(users),
            content,
            stamp,
            settled,
            trouble: None,
        }
    }

    /// Nobody who could log in is locked out by a file that is away or cannot be read.
    fn troubled(&self, error: &Error) -> Self {
        if self.trouble != Some(error.code()) {
            error!(
                code = error.code(),
                "the users stay as they were last read: {error}"
            );
        }
        Self {
            users: self.users.clone(),
            content: self.content,
            stamp: self.stamp,
            settled: false,
            trouble: Some(error.code()),
        }
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size_bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a later change must show. A time in the future is as good as one in the past: a change sets the
    /// present.
    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let changed = Duration::new(
            self.changed.0.try_into().unwrap_or(0),
            self.changed.1.try_into().unwrap_or(0),
        );
        now.abs_diff(changed) > STAMP_STEP
    }
}

/// What is at the path, if it is a file that can be a password file.
pub(crate) fn stat(path: &Path) -> Result<Stamp, Error> {
    let metadata = fs::metadata(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => Error::Missing(path.into()),
        _ => Error::Unreadable {
            path: path.into(),
            source,
        },
    })?;
    if metadata.is_dir() {
        // What a container engine makes in the place of a missing file is empty.
        let is_empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
        Err(if is_empty {
            Error::Directory(path.into())
        } else {
            Error::Folder(path.into())
        })
    } else if !metadata.is_file() {
        Err(Error::NotAFile(path.into()))
    } else if metadata.size() > Htpasswd::FILE_BYTES_MAX {
        Err(Error::TooLarge(path.into()))
    } else {
        Ok(Stamp::of(&metadata))
    }
}

/// The text, with the stamp that the file had before it was read: what changes meanwhile shows at the next look.
fn read(path: &Path) -> Result<(Stamp, Vec<u8>), Error> {
    stat(path)?; // before opening: a pipe would wait for its writer
    let unreadable = |source| Error::Unreadable {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let stamp = Stamp::of(&file.metadata().map_err(unreadable)?);
    let mut text = Vec::new();
    file.take(Htpasswd::FILE_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > Htpasswd::FILE_BYTES_MAX {
        return Err(Error::TooLarge(path.into()));
    }
    Ok((stamp, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "busy:$2y$05$CAltBbVsVDIAwI5US5xFOeI8EGj5Vvl9addlyOktSpnY.r/y1rlRK\n";

    /// Reads a file, changes it, and makes the change look as if it had left the file's times and size alone, which
    /// the steps of a file system's clock can do. Says whether the change is seen.
    async fn sees_a_change_without_a_trace(age: Duration) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), LINE).unwrap();
        let clock = move || SystemTime::now() + age;
        let (htpasswd, _) = Htpasswd::open(file.path(), Arc::new(clock)).unwrap();
        fs::write(file.path(), LINE.replace("busy", "lazy")).unwrap();
        let (old, stamp) = (htpasswd.seen(), stat(file.path()).unwrap());
        *htpasswd.seen.write().unwrap() = Arc::new(Seen {
            users: old.users.clone(),
            content: old.content,
            stamp,
            settled: old.settled,
            trouble: None,
        });
        htpasswd.users().await.contains("lazy")
    }

    #[tokio::test]
    async fn a_young_file_is_read_again_even_if_it_looks_the_same() {
        assert!(sees_a_change_without_a_trace(Duration::ZERO).await);
    }

    #[tokio::test]
    async fn an_old_file_that_looks_the_same_is_not_read_again() {
        assert!(!sees_a_change_without_a_trace(Duration::from_mins(1)).await);
    }

    #[test]
    fn a_file_from_the_future_is_not_read_at_every_login() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let stamp = stat(file.path()).unwrap();
        let long_ago = SystemTime::now() - Duration::from_hours(1);
        assert!(stamp.is_settled(long_ago) && !stamp.is_settled(SystemTime::now()));
    }
}
