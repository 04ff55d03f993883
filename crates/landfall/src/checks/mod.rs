//! What is looked at on this machine, for the preflight of `serve` and for `doctor` alike: both say the same.
//!
//! Shape: a look gives [`Check`]s: good, a note (nothing to say against it, or not to be told from here), or a problem with
//! its fix. Nothing is changed.

pub(crate) mod certificate;
pub(crate) mod clock;
pub(crate) mod local;
pub(crate) mod names;

use serde::Serialize;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Good,
    /// Neither good nor bad: nothing to look at, or not to be told from here.
    Note,
    Problem,
}

impl State {
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Note => "–",
            Self::Problem => "✗",
        }
    }
}

/// What one look found.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    #[serde(rename = "check")]
    pub(crate) name: &'static str,
    pub(crate) state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<&'static str>,
    pub(crate) found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
}

impl Check {
    pub(crate) fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Good,
            code: None,
            found: found.into(),
            fix: None,
        }
    }

    pub(crate) fn note(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            state: State::Note,
            ..Self::good(name, found)
        }
    }

    pub(crate) fn problem(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            state: State::Problem,
            fix: Some(fix.into()),
            ..Self::good(name, found)
        }
    }

    /// The stable code of what was found.
    pub(crate) fn code(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// A text in our error style, whose `fix` stands on a line of its own.
    pub(crate) fn refused(name: &'static str, text: &str) -> Self {
        let mut lines = text.lines();
        let found = lines.next().unwrap_or_default().to_owned();
        let rest: Vec<&str> = lines.map(str::trim).collect();
        let fix = rest.iter().position(|line| line.starts_with("fix ")).map(|at| {
            let lines = rest[at..]
                .iter()
                .map(|line| line.strip_prefix("fix ").unwrap_or(line).trim());
            lines.collect::<Vec<_>>().join(" ")
        });
        Self {
            state: State::Problem,
            fix,
            ..Self::good(name, found)
        }
    }
}
