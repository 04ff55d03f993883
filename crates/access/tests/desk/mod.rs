//! A desk where people log in: a password file in its own directory, a clock that the test moves, and the header
//! that a client sends.

#![expect(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses its part; a desk that cannot be set up fails the test"
)]

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use access::{Authenticator, Caller, Htpasswd, Rejected, Warning};
use base64::Engine as _;
use tempfile::TempDir;

/// `htpasswd -Bbn busy bee`, as it comes: with an empty line at the end.
pub(crate) const BUSY_BEE: &str = "busy:$2y$05$CAltBbVsVDIAwI5US5xFOeI8EGj5Vvl9addlyOktSpnY.r/y1rlRK\n\n";

/// Where people log in.
pub(crate) struct Desk {
    pub(crate) directory: TempDir,
    pub(crate) file: PathBuf,
    pub(crate) authenticator: Authenticator,
    pub(crate) warnings: Mutex<Vec<Warning>>,
    seconds_ahead: Arc<AtomicU64>,
}

impl Desk {
    /// A file that is an hour old, so that what happens to it shows in its times.
    pub(crate) fn open(text: impl AsRef<[u8]>) -> Self {
        Self::open_at(text, 3600)
    }

    /// A file that was written this moment.
    pub(crate) fn open_fresh(text: impl AsRef<[u8]>) -> Self {
        Self::open_at(text, 0)
    }

    fn open_at(text: impl AsRef<[u8]>, seconds_ahead: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("htpasswd");
        fs::write(&file, text).unwrap();
        let seconds_ahead = Arc::new(AtomicU64::new(seconds_ahead));
        let ahead = seconds_ahead.clone();
        let clock = move || SystemTime::now() + Duration::from_secs(ahead.load(Ordering::SeqCst));
        let (htpasswd, warnings) = Htpasswd::open(&file, Arc::new(clock)).unwrap();
        let authenticator = Authenticator::htpasswd("Registry Realm", htpasswd).unwrap();
        Self {
            directory,
            file,
            authenticator,
            warnings: Mutex::new(warnings),
            seconds_ahead,
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, seconds: u64) {
        self.seconds_ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Writes into the file, as an editor that keeps it does.
    pub(crate) fn write(&self, text: impl AsRef<[u8]>) {
        fs::write(&self.file, text).unwrap();
    }

    /// Puts another file in its place, as an editor that replaces it does.
    pub(crate) fn replace(&self, text: impl AsRef<[u8]>) {
        let new = self.directory.path().join("htpasswd.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    pub(crate) async fn login(&self, name: &str, password: impl AsRef<[u8]>) -> Result<Caller, Rejected> {
        self.authenticator
            .authenticate(Some(&basic(name, password)))
            .await
    }

    /// How often bcrypt was computed so far.
    pub(crate) fn bcrypts(&self) -> u64 {
        self.authenticator.bcrypt_count()
    }

    /// The lines that the warnings at the start name.
    pub(crate) fn warned_lines(&self) -> Vec<Option<usize>> {
        self.warnings
            .lock()
            .unwrap()
            .iter()
            .map(|warning| warning.line)
            .collect()
    }
}

/// The header that a client sends.
pub(crate) fn basic(name: &str, password: impl AsRef<[u8]>) -> Vec<u8> {
    let pair = [name.as_bytes(), b":", password.as_ref()].concat();
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)).into_bytes()
}

/// A line with a bcrypt hash of the least cost.
pub(crate) fn line(name: &str, password: impl AsRef<[u8]>) -> String {
    format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap())
}
