//! What is wrong (or worth a word) in a configuration, with its place, and how it is shown.
//!
//! Shape: `Report` collects while loading; `Problems` is all errors at once. A finding renders as
//! `error[LF-CFG-012]: fact`, the line it points at, and the ways out. Excerpts never show a secret.

use std::fmt;

use serde::Serialize;

use crate::origin::Origin;
use crate::text::SourceText;

/// Stable numbers: a code never changes its meaning, and a retired one is not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    FileUnreadable = 1,
    Syntax = 2,
    TooLarge = 3,
    VersionUnknown = 4,
    VariableUnreadable = 10,
    LandfallVariableUnknown = 11,
    UnknownKey = 12,
    DuplicateKey = 13,
    BadValue = 14,
    ListGap = 15,
    NotSupported = 16,
    TwoDrivers = 17,
    TwoAuths = 18,
    Incomplete = 19,
    OpenToAll = 20,
    FlagUnknown = 21,
    VariablesDisagree = 22,
    TwoCertificates = 23,
    NoEffect = 101,
    RegistryVariableUnknown = 102,
    OpenOnPurpose = 103,
    SocketPathLong = 104,
    NoUndo = 105,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LF-CFG-{:03}", *self as u16)
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Whether the start is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but something in it does not do what its author may think.
    Warning,
}

/// One thing to say about the configuration. `Display` gives the whole block, several lines without a final line end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    severity: Severity,
    code: Code,
    title: String,
    origin: Origin,
    #[serde(skip_serializing_if = "String::is_empty")]
    label: String,
    #[serde(skip)]
    excerpt: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    advice: Vec<String>,
}

impl Finding {
    pub(crate) fn error(code: Code, origin: &Origin, title: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            title: title.into(),
            origin: origin.clone(),
            label: String::new(),
            excerpt: None,
            advice: Vec::new(),
        }
    }

    pub(crate) fn warning(code: Code, origin: &Origin, title: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, origin, title)
        }
    }

    /// Words beside the underlined place.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// One line of what to do.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice.push(advice.into());
        self
    }

    /// Error or warning.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// `LF-CFG-012`: never changes its meaning.
    #[must_use]
    pub fn code(&self) -> String {
        self.code.to_string()
    }

    /// The fact, in one sentence without a full stop.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What it is about.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Fact, place and advice in one line, for a log.
    #[must_use]
    pub fn one_line(&self) -> String {
        let mut line = format!("{} ({})", self.title, self.origin);
        for part in std::iter::once(&self.label)
            .chain(&self.advice)
            .filter(|part| !part.is_empty())
        {
            line.push_str("; ");
            line.push_str(part);
        }
        line
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}[{}]: {}", self.code, self.title)?;
        match (&self.origin, &self.excerpt) {
            (
                Origin::File {
                    line, column, width, ..
                },
                Some(excerpt),
            ) => {
                let (number, shown) = (line.to_string(), excerpt.trim_end());
                let margin = " ".repeat(number.len());
                let underline = "^".repeat(
                    (*width)
                        .min(shown.chars().count().saturating_sub(column - 1))
                        .max(1),
                );
                // Tabs stay tabs, so that the mark stands under its word.
                let lead: String = shown
                    .chars()
                    .chain(std::iter::repeat(' '))
                    .take(column - 1)
                    .map(|c| if c == '\t' { c } else { ' ' })
                    .collect();
                write!(
                    f,
                    "\n{margin}┌─ {}\n{number}│ {shown}\n{margin}│ {lead}{underline}",
                    self.origin
                )?;
                if !self.label.is_empty() {
                    write!(f, " {}", self.label)?;
                }
                self.write_advice(f, &margin)
            }
            (origin, _) => {
                if origin.is_written() {
                    write!(f, "\n  ┌─ {origin}")?;
                }
                if !self.label.is_empty() {
                    write!(f, "\n  │ {}", self.label)?;
                }
                self.write_advice(f, "  ")
            }
        }
    }
}

impl Finding {
    fn write_advice(&self, f: &mut fmt::Formatter<'_>, margin: &str) -> fmt::Result {
        self.advice
            .iter()
            .try_for_each(|line| write!(f, "\n{margin}= {line}"))
    }
}

/// Everything that keeps a configuration from being used, and the warnings met on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}", self.render())]
pub struct Problems {
    /// At least one, in the order of the file.
    pub errors: Vec<Finding>,
    /// May be empty.
    pub warnings: Vec<Finding>,
}

impl Problems {
    /// All errors, a blank line between them.
    #[must_use]
    pub fn render(&self) -> String {
        self.errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n\n")
    }
}

/// Collects findings while a configuration is loaded.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
    text: Option<SourceText>,
}

impl Report {
    /// From here on, findings about the file show its lines.
    pub(crate) fn show_lines_of(&mut self, text: SourceText) {
        self.text = Some(text);
    }

    pub(crate) fn push(&mut self, mut finding: Finding) {
        if let (Origin::File { line, .. }, Some(text)) = (&finding.origin, &self.text) {
            finding.excerpt = text.excerpt(*line);
        }
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Errors and warnings, each in the order of their places.
    pub(crate) fn finish(mut self) -> (Vec<Finding>, Vec<Finding>) {
        self.findings.sort_by(|a, b| a.origin.cmp(&b.origin));
        self.findings
            .into_iter()
            .partition(|finding| finding.severity == Severity::Error)
    }
}
