//! Where clients find us: the base of absolute links, and the path in front of everything.
//!
//! Fails: a sentence that says what was expected.

use std::fmt;
use std::str::FromStr;

/// `https://registry.example.com:5000`: scheme and authority, no path, no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The URL's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BaseUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a URL such as `https://registry.example.com`";
        let (scheme, rest) = text.split_once("://").ok_or(EXPECTED)?;
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err(EXPECTED);
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains('/') {
            return Err("expected a URL without a path; `http.prefix` sets the path");
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
        let host_begins = authority
            .as_bytes()
            .first()
            .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'[');
        if !host_begins || !authority.bytes().all(allowed) || authority.ends_with(':') {
            return Err(EXPECTED);
        }
        Ok(Self(format!("{scheme}://{authority}")))
    }
}

/// `http.prefix`, with a slash at both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefix(pub(crate) String);

impl Default for Prefix {
    fn default() -> Self {
        Self("/".into())
    }
}

impl FromStr for Prefix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a path such as `/registry/`";
        let inner = text.strip_prefix('/').ok_or(EXPECTED)?;
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.is_empty() {
            return Ok(Self::default());
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        let part = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
        if inner.split('/').all(part) {
            Ok(Self(format!("/{inner}/")))
        } else {
            Err(EXPECTED)
        }
    }
}
