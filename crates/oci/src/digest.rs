//! Content addresses.
//!
//! Shape: `algorithm:encoded`; sha256 and sha512 are held as raw bytes, so every value is valid and comparing is
//! comparing bytes. Fails: `BadDigest`, which tells grammar from an algorithm that we do not know.
//! Source: image-spec "Descriptor", section "Digests".

use std::fmt;
use std::str::FromStr;

/// A hash function that may name content here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, the usual one.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every supported algorithm.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The registered identifier, as it stands before the colon.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Bytes in a raw hash.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            other => Err(BadDigest::Unsupported(other.chars().take(32).collect())),
        }
    }
}

/// A content address. Holds bytes, not text: every value is valid.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Digest {
    /// 32 raw bytes of SHA-256.
    Sha256([u8; 32]),
    /// 64 raw bytes of SHA-512; boxed, because it is rare.
    Sha512(Box<[u8; 64]>),
}

/// Why a text is not a digest that we can serve.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadDigest {
    /// Not of the form `algorithm:encoded`.
    #[error("not a digest: expected a form like sha256:<64 lower-case hex digits>")]
    Grammar,
    /// Of the right form, with a hash function that is not supported.
    #[error("digest algorithm {0:?} is not supported: use sha256 or sha512")]
    Unsupported(String),
    /// A supported algorithm with an encoded part of the wrong length or alphabet.
    #[error("not a {0} digest: expected {len} lower-case hex digits after the colon", len = .0.bytes() * 2)]
    Encoded(Algorithm),
}

impl Digest {
    /// The digest whose raw hash is `raw`; none if the length does not fit the algorithm.
    #[must_use]
    pub fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Sha256 => raw.try_into().ok().map(Self::Sha256),
            Algorithm::Sha512 => raw.try_into().ok().map(|raw| Self::Sha512(Box::new(raw))),
        }
    }

    /// Which hash function made it.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The raw hash, 32 or 64 bytes.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        match self {
            Self::Sha256(raw) => raw,
            Self::Sha512(raw) => raw.as_slice(),
        }
    }

    /// The encoded part: lower-case hex.
    #[must_use]
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(self.raw().len() * 2);
        push_hex(&mut text, self.raw());
        text
    }

    /// One algorithm byte (1 sha256, 2 sha512) and the raw hash: the form that is kept in the catalog.
    #[must_use]
    pub fn to_key(&self) -> Vec<u8> {
        let tag = match self {
            Self::Sha256(_) => 1,
            Self::Sha512(_) => 2,
        };
        let mut key = Vec::with_capacity(1 + self.raw().len());
        key.push(tag);
        key.extend_from_slice(self.raw());
        key
    }

    /// The inverse of [`Digest::to_key`]; none for anything else.
    #[must_use]
    pub fn from_key(key: &[u8]) -> Option<Self> {
        match key.split_first()? {
            (1, raw) => Self::from_raw(Algorithm::Sha256, raw),
            (2, raw) => Self::from_raw(Algorithm::Sha512, raw),
            _ => None,
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(8 + self.raw().len() * 2);
        text.push_str(self.algorithm().name());
        text.push(':');
        push_hex(&mut text, self.raw());
        f.write_str(&text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = BadDigest;

    /// Source: image-spec "Digests": `[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+`.
    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let (algorithm, encoded) = text.split_once(':').ok_or(BadDigest::Grammar)?;
        let encoded_ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-');
        if !is_algorithm(algorithm) || encoded.is_empty() || !encoded.bytes().all(encoded_ok) {
            return Err(BadDigest::Grammar);
        }
        let algorithm: Algorithm = algorithm.parse()?;
        let mut raw = [0_u8; 64];
        let raw = &mut raw[..algorithm.bytes()];
        if encoded.len() != raw.len() * 2 {
            return Err(BadDigest::Encoded(algorithm));
        }
        for (byte, pair) in raw.iter_mut().zip(encoded.as_bytes().chunks_exact(2)) {
            match (nibble(pair[0]), nibble(pair[1])) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => return Err(BadDigest::Encoded(algorithm)),
            }
        }
        Self::from_raw(algorithm, raw).ok_or(BadDigest::Encoded(algorithm))
    }
}

fn is_algorithm(text: &str) -> bool {
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.split(['+', '.', '_', '-']).all(part)
}

const fn nibble(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    }
}

fn push_hex(text: &mut String, raw: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in raw {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn grammar_and_support_are_told_apart() {
        let unsupported = |text: &str| matches!(text.parse::<Digest>(), Err(BadDigest::Unsupported(_)));
        assert!(unsupported("md5:d41d8cd98f00b204e9800998ecf8427e"));
        assert!(unsupported(
            "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564"
        ));
        for bad in [
            "",
            "sha256",
            "sha256:",
            ":ab",
            "SHA256:ab",
            "sha256:a/b",
            "sha256:a:b",
            "sha256-:ab",
            "a..b:cd",
        ] {
            assert_eq!(bad.parse::<Digest>(), Err(BadDigest::Grammar), "{bad}");
        }
    }

    #[test]
    fn hex_is_lower_case_and_of_the_right_length() {
        let encoded = |text: &str| matches!(text.parse::<Digest>(), Err(BadDigest::Encoded(_)));
        assert!(encoded("sha256:baddigeststring"));
        assert!(encoded(&format!("sha256:{}", "A".repeat(64))));
        assert!(encoded(&format!("sha256:{}", "a".repeat(63))));
        assert!(encoded(&format!("sha512:{}", "a".repeat(64))));
        assert!(format!("sha256:{}", "a".repeat(64)).parse::<Digest>().is_ok());
    }

    proptest! {
        #[test]
        fn text_and_key_round_trip(raw: [u8; 32], wide in proptest::collection::vec(any::<u8>(), 64)) {
            for digest in [Digest::Sha256(raw), Digest::from_raw(Algorithm::Sha512, &wide).unwrap()] {
                prop_assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest.clone()));
                prop_assert_eq!(Digest::from_key(&digest.to_key()), Some(digest));
            }
        }

        #[test]
        fn parsing_never_panics_and_prints_back(text in ".{0,200}") {
            if let Ok(digest) = text.parse::<Digest>() {
                prop_assert_eq!(digest.to_string(), text);
            }
        }
    }
}
