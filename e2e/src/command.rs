//! Other programs, run to their end, with their words kept.
//!
//! Fails: a program that is missing, or that has not ended after [`DEADLINE_SECONDS`], fails the test and is named.

use std::process::{Command, Output};

/// Long enough for the slowest client on the slowest machine; only a client that hangs meets it.
pub const DEADLINE_SECONDS: u32 = 300;

/// A program by name, under `timeout`, so that a hanging client ends the test and not the whole run.
#[must_use]
pub fn program(name: &str) -> Command {
    let mut command = Command::new("timeout");
    command
        .arg("--kill-after=10")
        .arg(DEADLINE_SECONDS.to_string())
        .arg(name);
    command
}

/// Runs the command and keeps what it said.
pub fn run(command: &mut Command) -> Ran {
    let line = line(command);
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run `{line}`: {error}; is it installed?"));
    Ran { line, output }
}

fn line(command: &Command) -> String {
    let words: Vec<_> = command
        .get_args()
        .skip(2)
        .map(|word| word.to_string_lossy())
        .collect();
    words.join(" ")
}

/// A program that has ended.
pub struct Ran {
    line: String,
    output: Output,
}

#[expect(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "what is demanded of a program often matters more than its words"
)]
impl Ran {
    /// What it wrote to standard output, without the last line end.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).trim_end().to_owned()
    }

    /// Everything it wrote.
    #[must_use]
    pub fn words(&self) -> String {
        format!(
            "{}\n{}",
            self.stdout(),
            String::from_utf8_lossy(&self.output.stderr)
        )
    }

    /// Whether it ended well.
    pub fn is_well(&self) -> bool {
        self.output.status.success()
    }

    /// Demands that it ended well.
    pub fn succeeded(self) -> Self {
        assert!(
            self.output.status.success(),
            "`{}` failed ({}):\n{}",
            self.line,
            self.output.status,
            self.words()
        );
        self
    }

    /// Demands that it refused.
    pub fn failed(self) -> Self {
        assert!(
            !self.output.status.success(),
            "`{}` should have failed, but said:\n{}",
            self.line,
            self.words()
        );
        self
    }

    /// Demands these words.
    pub fn says(self, words: &str) -> Self {
        assert!(
            self.words().to_lowercase().contains(&words.to_lowercase()),
            "`{}` should have said `{words}`, but said:\n{}",
            self.line,
            self.words()
        );
        self
    }

    /// Demands the absence of these words.
    pub fn does_not_say(self, words: &str) -> Self {
        assert!(
            !self.words().contains(words),
            "`{}` should not have said `{words}`:\n{}",
            self.line,
            self.words()
        );
        self
    }
}
