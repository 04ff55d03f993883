//! A name and a password out of an `Authorization: Basic …` header.
//!
//! Shape: bytes in, because a header is not text; the name is UTF-8, the password any bytes but NUL.
//! Fails: `Malformed`, which says nothing about what was sent.
//! Source: RFC 7617 (the first colon separates), RFC 9110 section 11 (schemes are compared without case).

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// What somebody says to be, and the proof that is still to be checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    name: Box<str>,
    password: Box<[u8]>,
}

/// Not the header of a Basic login.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the Authorization header is not a Basic login")]
pub struct Malformed;

/// Longest header that is looked at, in bytes.
const HEADER_BYTES_MAX: usize = 8192;

/// Clients disagree on the padding, so it is neither asked for nor refused.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl Credentials {
    /// Reads the value of an `Authorization` header.
    pub fn parse(header: &[u8]) -> Result<Self, Malformed> {
        if header.len() > HEADER_BYTES_MAX {
            return Err(Malformed);
        }
        let header = header.trim_ascii();
        let space = header.iter().position(|&b| b == b' ').ok_or(Malformed)?;
        let (scheme, token) = header.split_at(space);
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return Err(Malformed);
        }
        let pair = BASE64.decode(token.trim_ascii()).map_err(|_| Malformed)?;
        let colon = pair.iter().position(|&b| b == b':').ok_or(Malformed)?;
        let (name, password) = (&pair[..colon], &pair[colon + 1..]);
        if pair.contains(&0) {
            return Err(Malformed);
        }
        let name = str::from_utf8(name).map_err(|_| Malformed)?;
        Ok(Self {
            name: name.into(),
            password: password.into(),
        })
    }

    /// The name that was sent.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The password that was sent.
    pub(crate) fn password(&self) -> &[u8] {
        &self.password
    }

    /// `Og==`: what some clients send when they have nothing to send.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.name.is_empty() && self.password.is_empty()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}
