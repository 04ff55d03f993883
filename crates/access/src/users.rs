//! The entries of a password file: one `name:hash` a line.
//!
//! Shape: names to bcrypt hashes, the last line of a name counting. Fails: never; a line that cannot be used becomes
//! a [`Warning`] with its number, and the others count as if it were not there.
//! Source: Apache's `htpasswd -B`; lines end in LF or CRLF, empty lines and `#` lines are skipped.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::hash::StoredHash;
use crate::warning::{BadHash, Fault, Warning};

/// Who may log in, and with which hash.
pub struct Users {
    by_name: HashMap<Box<str>, StoredHash>,
    cost_usual: u8,
}

/// What a line turned out to be.
type Entry<'a> = (&'a str, Result<StoredHash, BadHash>);

impl Users {
    /// Longest line, in bytes and without its end; longer ones are skipped. A name and a hash need far less.
    pub const LINE_BYTES_MAX: usize = 4096;
    /// Most warnings that one reading makes, so that a file of another kind does not flood the log.
    pub const WARNINGS_MAX: usize = 50;
    /// The cost of comparing with nobody's hash where the file has none: what Landfall itself would write.
    const COST_DEFAULT: u8 = 10;

    /// Reads the text of a password file; `file` is for the warnings only.
    #[must_use]
    pub fn parse(file: &Path, text: &[u8]) -> (Self, Vec<Warning>) {
        let mut faults = Faults {
            file: file.into(),
            shown: Vec::new(),
            more: 0,
        };
        let mut by_name = HashMap::new();
        if text.starts_with(b"\xFF\xFE") || text.starts_with(b"\xFE\xFF") {
            faults.add(None, Fault::Utf16);
        } else {
            let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
            for (line, number) in text.split(|&b| b == b'\n').zip(1..) {
                match entry(line) {
                    Ok(None) => {}
                    Ok(Some(entry)) => add(&mut by_name, entry, number, &mut faults),
                    Err(fault) => faults.add(Some(number), fault),
                }
            }
            if by_name.is_empty() {
                faults.add(None, Fault::Nobody);
            }
        }
        let cost_usual = usual_cost(by_name.values()).unwrap_or(Self::COST_DEFAULT);
        (Self { by_name, cost_usual }, faults.into_warnings())
    }

    /// How many can log in.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_name.len()
    }

    /// Whether this name can log in.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(crate) fn hash(&self, name: &str) -> Option<StoredHash> {
        self.by_name.get(name).copied()
    }

    /// The cost that most hashes have, the higher one of two: what trying a name that nobody has must cost too.
    pub(crate) fn cost_usual(&self) -> u8 {
        self.cost_usual
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({} entries, hidden)", self.count())
    }
}

/// One line, without its LF. `None`: nothing to read there.
fn entry(line: &[u8]) -> Result<Option<Entry<'_>>, Fault> {
    if line.len() > Users::LINE_BYTES_MAX + 1 {
        return Err(Fault::TooLong); // the one byte more may be the CR
    }
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    if line.len() > Users::LINE_BYTES_MAX {
        return Err(Fault::TooLong);
    }
    let line = str::from_utf8(line).map_err(|_| Fault::NotUtf8)?;
    let (name, hash) = line.split_once(':').ok_or(Fault::NoColon)?;
    if name.is_empty() {
        return Err(Fault::NoName);
    }
    if name.contains(char::is_control) {
        return Err(Fault::BadName);
    }
    Ok(Some((name, StoredHash::parse(hash))))
}

/// The last line of a name counts even if its hash cannot be used: an old password must not outlive a new one.
fn add(
    by_name: &mut HashMap<Box<str>, StoredHash>,
    (name, hash): Entry<'_>,
    number: usize,
    faults: &mut Faults,
) {
    let earlier = match hash {
        Ok(hash) => by_name.insert(name.into(), hash),
        Err(_) => by_name.remove(name),
    };
    if earlier.is_some() {
        faults.add(Some(number), Fault::Again { user: name.into() });
    }
    if let Err(why) = hash {
        faults.add(
            Some(number),
            Fault::Hash {
                user: name.into(),
                why,
            },
        );
    }
}

fn usual_cost<'a>(hashes: impl Iterator<Item = &'a StoredHash>) -> Option<u8> {
    let mut counts = [0_usize; 32];
    for hash in hashes {
        counts[usize::from(hash.cost())] += 1;
    }
    let cost = (0_u8..).zip(counts).max_by_key(|&(cost, count)| (count, cost));
    cost.filter(|&(_, count)| count > 0).map(|(cost, _)| cost)
}

/// Collects warnings up to a bound, and counts the rest.
struct Faults {
    file: Arc<Path>,
    shown: Vec<Warning>,
    more: usize,
}

impl Faults {
    fn add(&mut self, line: Option<usize>, fault: Fault) {
        if self.shown.len() < Users::WARNINGS_MAX || line.is_none() {
            self.shown.push(Warning {
                file: self.file.clone(),
                line,
                fault,
            });
        } else {
            self.more += 1;
        }
    }

    fn into_warnings(mut self) -> Vec<Warning> {
        if self.more > 0 {
            let more = Fault::More(self.more);
            self.add(None, more);
        }
        self.shown
    }
}
