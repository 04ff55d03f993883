//! What a step came to, and the programs that it runs.
//!
//! Shape: `Ok(Tally)` when all is well; [`Failure`] otherwise, with a sentence and what was counted until then. A step that
//! counts nothing by itself is one check.
//! Source: the summary line of `cargo test`.

use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::process::{Command, Stdio};

pub(crate) type Outcome = Result<Tally, Failure>;

/// How many tests, checks and journeys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    pub(crate) const ONE: Self = Self { passed: 1, failed: 0 };
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Why a run ends.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) tally: Tally,
    pub(crate) sentence: String,
}

impl Failure {
    /// One check that failed.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self {
            tally: Tally { passed: 0, failed: 1 },
            sentence: sentence.into(),
        }
    }
}

/// Runs a program that speaks for itself; its success is one check passed.
pub(crate) fn check(command: &mut Command) -> Outcome {
    let line = line(command);
    println!("$ {line}");
    match command.status() {
        Ok(status) if status.success() => Ok(Tally::ONE),
        Ok(status) => Err(Failure::new(format!(
            "`{line}` ended with {status}; its words are above"
        ))),
        Err(error) => Err(Failure::new(format!("`{line}` could not be run: {error}"))),
    }
}

/// Runs a program and gives what it wrote to standard output, or nothing if it failed.
pub(crate) fn words(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs `cargo test` and counts what it counts. An ignored test is a failure: nothing is skipped in silence.
pub(crate) fn cargo_test(command: &mut Command) -> Outcome {
    let line = line(command);
    println!("$ {line}");
    let cannot = |error: std::io::Error| Failure::new(format!("`{line}` could not be run: {error}"));
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(cannot)?;
    let mut tally = Tally::default();
    let mut ignored = 0;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            if let Some([passed, failed, skipped]) = summary(&line) {
                tally += Tally { passed, failed };
                ignored += skipped;
            }
        }
    }
    let status = child.wait().map_err(cannot)?;
    if !status.success() {
        tally.failed = tally.failed.max(1);
        return Err(Failure {
            tally,
            sentence: format!("`{line}` ended with {status}; the test is named above"),
        });
    }
    if ignored > 0 {
        tally.failed += ignored;
        return Err(Failure {
            tally,
            sentence: format!("`{line}` ignored {ignored} tests; run them or remove them"),
        });
    }
    if tally == Tally::default() {
        return Err(Failure::new(format!("`{line}` ran no test at all")));
    }
    Ok(tally)
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; …`
fn summary(line: &str) -> Option<[u64; 3]> {
    let rest = line.trim().strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut counts = rest.split("; ").map(|part| part.split(' ').next()?.parse().ok());
    Some([counts.next()??, counts.next()??, counts.next()??])
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn the_summary_of_a_test_run_is_counted() {
        let line =
            "test result: ok. 31 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 1.50s";
        assert_eq!(summary(line), Some([31, 0, 2]));
        assert_eq!(
            summary("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured"),
            Some([1, 2, 0])
        );
        assert_eq!(summary("test tests::a_result ... ok"), None);
    }
}
