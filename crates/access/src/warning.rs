//! What is worth telling about a password file that could be read: a line that is no entry, a hash of another kind.
//!
//! Shape: one warning a line, with its number counted from 1; user names are quoted and cut, and nothing that
//! stands behind a colon (or on a line without one) is ever repeated.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::hash::COST_MAX;

/// Something in a password file that somebody should mend. The entries without a warning work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The password file.
    pub file: Arc<Path>,
    /// The line, counted from 1; `None` for the file as a whole.
    pub line: Option<usize>,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a line, or with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No colon: not an entry.
    NoColon,
    /// A colon in front: nobody's entry.
    NoName,
    /// The name has control characters, so that no client could send it.
    BadName,
    /// Not UTF-8.
    NotUtf8,
    /// Longer than [`crate::Users::LINE_BYTES_MAX`].
    TooLong,
    /// A name, but no hash that can be used.
    Hash {
        /// Whose entry it is.
        user: String,
        /// Why the hash cannot be used.
        why: BadHash,
    },
    /// The name stood on an earlier line too, which counts no longer.
    Again {
        /// Whose entry it is.
        user: String,
    },
    /// The whole file is UTF-16, which no password tool writes but a redirection in PowerShell does.
    Utf16,
    /// No entry can be used: nobody can log in.
    Nobody,
    /// More lines than are listed have something wrong.
    More(usize),
}

/// Why a hash cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHash {
    /// There is none.
    Absent,
    /// It is not bcrypt but this.
    Kind(&'static str),
    /// It begins as bcrypt does, and is cut or changed.
    Damaged,
    /// bcrypt, of a cost that is not computed.
    Cost(u8),
}

impl Warning {
    /// The stable code, for `landfall explain` and for searching.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.fault {
            Fault::Hash {
                why: BadHash::Kind(_),
                ..
            } => "LF-AUTH-008",
            Fault::Hash {
                why: BadHash::Cost(_),
                ..
            } => "LF-AUTH-009",
            Fault::Utf16 | Fault::Nobody => "LF-AUTH-010",
            Fault::Again { .. } => "LF-AUTH-011",
            _ => "LF-AUTH-007",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        if let Some(line) = self.line {
            write!(f, "line {line} of ")?;
        }
        match &self.fault {
            Fault::NoColon => write!(f, "{file} is not a usable entry (no colon between name and hash)"),
            Fault::NoName => write!(f, "{file} is not a usable entry (no name in front of the colon)"),
            Fault::BadName => write!(f, "{file} is not a usable entry (control characters in the name)"),
            Fault::NotUtf8 => write!(f, "{file} is not a usable entry (not UTF-8)"),
            Fault::TooLong => write!(
                f,
                "{file} is not a usable entry (longer than {} bytes)",
                crate::Users::LINE_BYTES_MAX
            ),
            Fault::Hash { user, why } => {
                let name = Shown(user);
                match why {
                    BadHash::Absent => write!(f, "{file} is not a usable entry ({name} has no hash)")?,
                    BadHash::Kind(kind) => write!(f, "{file} has {kind} for {name}, and only bcrypt counts")?,
                    BadHash::Damaged => {
                        write!(f, "{file} has a bcrypt hash for {name} that is cut or changed")?;
                    }
                    BadHash::Cost(cost) => write!(
                        f,
                        "{file} has a bcrypt hash of cost {cost} for {name}, and over {COST_MAX} one login would \
                         keep a processor busy for too long"
                    )?,
                }
                write!(
                    f,
                    "; {name} cannot log in until: landfall user passwd <name> --file {file}"
                )
            }
            Fault::Again { user } => write!(
                f,
                "{file} names {} again: this line counts, the earlier one does not",
                Shown(user)
            ),
            Fault::Utf16 => write!(
                f,
                "{file} is UTF-16 text, as a redirection in PowerShell writes it: nobody can log in until it is \
                 saved as UTF-8"
            ),
            Fault::Nobody => write!(
                f,
                "{file} has no entry that can be used: nobody can log in until: landfall user add <name> --file {file}"
            ),
            Fault::More(count) => {
                let more = oci::counted(*count, "more line");
                write!(f, "{file} has {more} with something to mend")
            }
        }
    }
}

/// Enough of a name to recognise it, never a flood, and no control characters.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short: String = self.0.chars().take(64).collect();
        write!(f, "{short:?}")
    }
}
