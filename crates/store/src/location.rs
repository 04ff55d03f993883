//! Where a blob lies: a name that is used once.
//!
//! Text: `<algorithm>/<3 hex>/<hex>.<uid>`, below `blobs/`. The uid (UUIDv7, 32 hex digits) makes it unique, so a late
//! removal can never hit bytes that came later under the same digest (I3). The digest in it lets a lost catalog be
//! rebuilt from file names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use oci::{Algorithm, Digest};
use uuid::Uuid;

/// The place of one stored blob.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    digest: Digest,
    uid: Uuid,
}

/// A text that is no location.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a location: expected <algorithm>/<3 hex>/<hex>.<uid>, found {0:?}")]
pub struct BadLocation(String);

impl Location {
    /// A new place for `digest`, never used before.
    pub(crate) fn fresh(digest: Digest) -> Self {
        Self {
            digest,
            uid: Uuid::now_v7(),
        }
    }

    /// What the text of every location of `digest` begins with.
    #[must_use]
    pub fn prefix_of(digest: &Digest) -> String {
        let hex = digest.hex();
        format!("{}/{}/{hex}.", digest.algorithm(), &hex[..3])
    }

    /// The digest of what lies there.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The folder that holds it, below `blobs`.
    pub(crate) fn folder(&self, blobs: &Path) -> PathBuf {
        let hex = self.digest.hex();
        blobs.join(self.digest.algorithm().name()).join(&hex[..3])
    }

    /// The file, below `blobs`.
    pub(crate) fn path(&self, blobs: &Path) -> PathBuf {
        blobs.join(self.to_string())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::prefix_of(&self.digest), self.uid.as_simple())
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Location {
    type Err = BadLocation;

    fn from_str(text: &str) -> Result<Self, BadLocation> {
        let parse = || {
            let (algorithm, rest) = text.split_once('/')?;
            let (_, name) = rest.split_once('/')?;
            let (hex, uid) = name.split_once('.')?;
            let algorithm: Algorithm = algorithm.parse().ok()?;
            let digest: Digest = format!("{algorithm}:{hex}").parse().ok()?;
            Some(Self {
                digest,
                uid: Uuid::try_parse(uid).ok()?,
            })
        };
        // Printed back and compared: one text for each location, no other spelling.
        parse()
            .filter(|location| location.to_string() == text)
            .ok_or_else(|| BadLocation(text.chars().take(240).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_round_trips(raw: [u8; 32], wide in proptest::collection::vec(any::<u8>(), 64)) {
            for digest in [Digest::Sha256(raw), Digest::from_raw(Algorithm::Sha512, &wide).unwrap()] {
                let location = Location::fresh(digest);
                prop_assert_eq!(location.to_string().parse::<Location>(), Ok(location));
            }
        }

        #[test]
        fn no_text_leads_out_of_the_folder(text in "(sha256/)?[./0-9a-f]{0,120}") {
            if let Ok(location) = text.parse::<Location>() {
                prop_assert_eq!(location.to_string(), text);
            }
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let good = Location::fresh(Digest::Sha256([7; 32])).to_string();
        for bad in [
            good.replacen("sha256", "sha512", 1),
            good.replacen("/070/", "/071/", 1),
            good.to_uppercase(),
            format!("{good}/"),
            format!("../{good}"),
            String::new(),
        ] {
            assert!(bad.parse::<Location>().is_err(), "{bad}");
        }
    }
}
