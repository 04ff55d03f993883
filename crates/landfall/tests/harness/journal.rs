//! What the child process writes: both pipes are drained all the time, by one thread each, into one list of lines.
//!
//! Fails: `wait_for` gives up after [`PATIENCE`](super::PATIENCE), or at once when both pipes have closed.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use super::PATIENCE;

/// Lines of a child process, growing while it runs.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<(Mutex<Lines>, Condvar)>);

#[derive(Default)]
struct Lines {
    text: Vec<String>,
    pipes_open: usize,
}

impl Journal {
    /// Reads a pipe to its end on a thread of its own.
    pub(crate) fn drain(&self, pipe: impl Read + Send + 'static) -> JoinHandle<()> {
        let shared = Arc::clone(&self.0);
        lock(&shared.0).pipes_open += 1;
        std::thread::spawn(move || {
            let mut reader = BufReader::new(pipe);
            let mut line = Vec::new();
            while let Ok(1..) = reader.read_until(b'\n', &mut line) {
                lock(&shared.0)
                    .text
                    .push(String::from_utf8_lossy(&line).trim_end().to_owned());
                shared.1.notify_all();
                line.clear();
            }
            lock(&shared.0).pipes_open -= 1;
            shared.1.notify_all();
        })
    }

    /// The first line from which `pick` makes something; `None` when the process has closed its pipes without one.
    pub(crate) fn wait_for<T>(&self, what: &str, pick: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = lock(&self.0.0);
        let mut seen = 0;
        loop {
            if let Some(found) = lines.text[seen..].iter().find_map(|line| pick(line)) {
                return Some(found);
            }
            seen = lines.text.len();
            if lines.pipes_open == 0 {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited in vain for {what} in the log:\n{}",
                lines.text.join("\n")
            );
            let waited = self.0.1.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a line that holds all of `words`.
    pub(crate) fn expect_line(&self, words: &[&str]) -> String {
        let pick = |line: &str| {
            words
                .iter()
                .all(|word| line.contains(word))
                .then(|| line.to_owned())
        };
        self.wait_for(&format!("a line with {words:?}"), pick)
            .unwrap_or_else(|| panic!("no line with {words:?} in the log:\n{self}"))
    }

    /// Nothing that was logged is a warning, an error or a panic.
    pub(crate) fn expect_clean(&self) {
        let bad: Vec<String> = self.complaints();
        assert!(
            bad.is_empty(),
            "the log should be clean, but has:\n{}",
            bad.join("\n")
        );
    }

    /// The lines that are warnings, errors or panics.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.lines()
            .into_iter()
            .filter(|line| is_complaint(line))
            .collect()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        lock(&self.0.0).text.clone()
    }

    /// Whether a line with all of `words` has come already.
    pub(crate) fn has_line(&self, words: &[&str]) -> bool {
        let has_all = |line: &String| words.iter().all(|word| line.contains(word));
        self.lines().iter().any(has_all)
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }
}

impl std::fmt::Display for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

/// Also after a story failed while it looked at the lines: its log is what its reader needs then.
fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_complaint(line: &str) -> bool {
    const MARKS: [&str; 8] = [
        " WARN ",
        " ERROR ",
        "level=warn",
        "level=error",
        "\"level\":\"warn",
        "\"level\":\"error",
        "\"level\":\"WARN",
        "\"level\":\"ERROR",
    ];
    let padded = format!(" {line} ");
    MARKS.iter().any(|mark| padded.contains(mark)) || line.contains("panicked at")
}
