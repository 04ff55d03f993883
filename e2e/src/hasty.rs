//! The server whose windows are seconds, in place of the program under test: for journeys that must see garbage go.
//!
//! Shape: [`program`] is the file that `HASTY_BIN` names, [`Windows::launch`] starts it; its [`Door`] takes orders while it
//! runs, [`check`] holds the rows of one that was stopped against its files.
//! Fails: by panic, but for the door of a server that may be gone.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::client::Trouble;
use crate::landfall::Launch;

/// How long a journey waits for what must happen: far more than any machine needs.
const PATIENCE: Duration = Duration::from_mins(2);

/// The program.
#[must_use]
pub fn program() -> PathBuf {
    let path = std::env::var_os("HASTY_BIN").expect(
        "HASTY_BIN must name the program hasty; `cargo xtask test collection` builds it and sets this",
    );
    let path = PathBuf::from(path);
    assert!(
        path.is_file(),
        "HASTY_BIN names {}, which is not a file",
        path.display()
    );
    path
}

/// How long things stay.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    /// What no manifest names yet. Clients must be faster.
    pub lease: Duration,
    /// What was deleted.
    pub undo: Duration,
    /// Bytes that nothing names any more.
    pub grace: Duration,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(6),
            undo: Duration::from_secs(2),
            grace: Duration::from_millis(500),
        }
    }
}

impl Windows {
    /// How to start a server with these windows and its data in this folder.
    #[must_use]
    pub fn launch(&self, data: &Path) -> Launch {
        self.launch_of(&program(), data)
    }

    /// The same with another file of the program.
    #[must_use]
    pub fn launch_of(&self, program: &Path, data: &Path) -> Launch {
        let ms = |time: Duration| time.as_millis().to_string();
        Launch::with_data(program, data)
            .env("HASTY_LEASE_MS", ms(self.lease))
            .env("HASTY_UNDO_MS", ms(self.undo))
            .env("HASTY_GRACE_MS", ms(self.grace))
    }
}

/// Where a running server takes orders.
pub struct Door(BufReader<UnixStream>);

impl Door {
    /// The door of the server that has its data in this folder.
    pub fn of(data: &Path) -> Result<Self, Trouble> {
        let stream = UnixStream::connect(data.join("landfall/hasty.sock"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Gives an order, and the answer.
    pub fn ask(&mut self, order: &str) -> Result<String, Trouble> {
        let mut answer = String::new();
        self.0.get_mut().write_all(format!("{order}\n").as_bytes())?;
        if self.0.read_line(&mut answer)? == 0 {
            return Err(Trouble::Gone(std::io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(answer.trim_end().to_owned())
    }
}

/// What the rows and the files of a stopped server are.
pub struct Checked {
    counts: BTreeMap<String, u64>,
    /// What is wrong.
    pub faults: Vec<String>,
}

/// Checks the data of a stopped server.
#[must_use]
pub fn check(data: &Path) -> Checked {
    let mut command = crate::command::program(program().to_str().expect("a path in UTF-8"));
    let ran = crate::command::run(command.arg("check").arg("--data").arg(data));
    let text = ran.stdout();
    let mut lines = text.lines();
    let counts = lines
        .next()
        .unwrap_or_else(|| panic!("no report: {}", ran.words()));
    let counts = counts.split(' ').map(|count| {
        let (what, count) = count.split_once('=').expect("a count");
        (what.to_owned(), count.parse().expect("a number"))
    });
    Checked {
        counts: counts.collect(),
        faults: lines.map(str::to_owned).collect(),
    }
}

impl Checked {
    /// How many there are of these.
    #[must_use]
    pub fn count(&self, what: &str) -> u64 {
        *self
            .counts
            .get(what)
            .unwrap_or_else(|| panic!("{what} is not counted"))
    }

    /// Demands that rows and files agree, and that no file is unknown.
    pub fn expect_clean(&self) {
        assert!(self.faults.is_empty(), "{}", self.faults.join("\n"));
        assert_eq!(
            self.count("unknown-files"),
            0,
            "a file that is in no row is not put aside"
        );
    }

    /// Demands that there is nothing left at all.
    pub fn expect_empty(&self) {
        self.expect_clean();
        let left: Vec<_> = self.counts.iter().filter(|(_, count)| **count > 0).collect();
        assert!(left.is_empty(), "left: {left:?}");
    }
}

/// Waits until `done` says so. What is awaited is named in the failure.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How many bytes lie below a folder, in files.
#[must_use]
pub fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_below(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}
