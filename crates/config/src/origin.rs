//! Where a value came from, so that every message and `config explain` can point at it.
//!
//! Lines and columns count from 1; columns and widths are characters, not bytes.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The source of one value, weakest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody wrote it.
    Default,
    /// A place in the configuration file.
    File {
        /// The file as it was named.
        path: Arc<Path>,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// How many characters to underline; at least 1.
        width: usize,
    },
    /// The name of an environment variable.
    Environment(Arc<str>),
    /// A flag of the command line, with its dashes.
    Flag(Arc<str>),
}

impl Origin {
    /// True for values that somebody wrote.
    #[must_use]
    pub fn is_written(&self) -> bool {
        *self != Self::Default
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File {
                path, line, column, ..
            } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Environment(name) => write!(f, "env {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
