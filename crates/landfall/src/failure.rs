//! How a command fails: a text for the person, and an exit code for the program.

use std::fmt;
use std::process::ExitCode;

use crate::url_login::hidden_in;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    /// Something went wrong that fits no other kind.
    pub(crate) fn failed(code: &str, text: impl fmt::Display) -> Self {
        Self {
            text: format!("error[{code}]: {text}"),
            code: 1,
        }
    }

    /// The command was used wrongly.
    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self {
            text: format!("error: {text}"),
            code: 2,
        }
    }

    /// The configuration is invalid; the text is complete.
    pub(crate) fn configuration(text: String) -> Self {
        Self { text, code: 3 }
    }

    /// Not found: a key, a file.
    pub(crate) fn not_found(text: impl fmt::Display) -> Self {
        Self {
            text: format!("error: {text}"),
            code: 5,
        }
    }

    /// Not found: a user, a repository.
    pub(crate) fn missing(code: &str, text: impl fmt::Display) -> Self {
        Self {
            text: format!("error[{code}]: {text}"),
            code: 5,
        }
    }

    /// A check found problems.
    pub(crate) fn problems(text: impl fmt::Display) -> Self {
        Self {
            text: text.to_string(),
            code: 7,
        }
    }

    /// Held by a running server, or there already.
    pub(crate) fn held(code: &str, text: impl fmt::Display) -> Self {
        Self {
            text: format!("error[{code}]: {text}"),
            code: 6,
        }
    }

    /// No room.
    pub(crate) fn no_room(code: &str, text: impl fmt::Display) -> Self {
        Self {
            text: format!("error[{code}]: {text}"),
            code: 9,
        }
    }

    /// Not logged in, or not allowed.
    pub(crate) fn denied(code: &str, text: impl fmt::Display) -> Self {
        Self {
            text: format!("error[{code}]: {text}"),
            code: 4,
        }
    }

    /// The network, or another server; safe to try again.
    pub(crate) fn temporary(code: &str, text: impl fmt::Display) -> Self {
        Self {
            text: format!("error[{code}]: {text}"),
            code: 8,
        }
    }

    /// What a server answered, with the exit code that fits.
    pub(crate) fn answered(code: &str, text: impl fmt::Display, exit: u8) -> Self {
        Self {
            text: format!("error[{code}]: {text}"),
            code: exit,
        }
    }

    /// Told to stop before the end.
    pub(crate) fn interrupted(text: impl fmt::Display) -> Self {
        Self {
            text: text.to_string(),
            code: 130,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hidden_in(&self.text))
    }
}

/// A text and its causes, on one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
