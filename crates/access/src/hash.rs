//! A bcrypt hash as a password file stores it: `$2y$05$`, 22 characters of salt, 31 of digest, always 60 bytes.
//!
//! Units: the cost is the base-2 logarithm of the number of rounds. Fails: `BadHash`, which names the kind of hash
//! or what is wrong with it and never repeats any of it.
//! Source: crypt_blowfish (`$2a$`, `$2b$`, `$2y$`), crypt(5) and Apache's "Password Formats" for the other kinds.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use subtle::ConstantTimeEq as _;

use crate::warning::BadHash;

/// A hash that a password can be compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredHash {
    cost: u8,
    salt: [u8; 16],
    digest: [u8; 23],
}

/// bcrypt's own least cost.
const COST_MIN: u8 = 4;
/// Largest cost that is computed: about eight seconds of one core. A hash of cost 31 would take a day and a half,
/// and one login attempt would take that core away.
pub(crate) const COST_MAX: u8 = 17;
/// bcrypt reads no further than this into a password, its closing NUL included.
const PASSWORD_BYTES_MAX: usize = 72;

/// Some tools set the bits that the last character of a salt has too many; other implementations ignore them.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::BCRYPT,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

impl StoredHash {
    /// Reads what stands behind the first colon of a line.
    pub(crate) fn parse(text: &str) -> Result<Self, BadHash> {
        if text.is_empty() {
            return Err(BadHash::Absent);
        }
        let &[b'$', b'2', b'a' | b'b' | b'y', b'$', ref rest @ ..] = text.as_bytes() else {
            return Err(BadHash::Kind(kind(text)));
        };
        let &[tens @ b'0'..=b'9', ones @ b'0'..=b'9', b'$', ref rest @ ..] = rest else {
            return Err(BadHash::Damaged);
        };
        let cost = (tens - b'0') * 10 + (ones - b'0');
        let (salt, digest) = rest.split_at_checked(22).ok_or(BadHash::Damaged)?;
        let (salt, digest) = (decode(salt)?, decode(digest)?);
        match cost {
            COST_MIN..=COST_MAX => Ok(Self { cost, salt, digest }),
            0..COST_MIN | 32.. => Err(BadHash::Damaged),
            _ => Err(BadHash::Cost(cost)),
        }
    }

    /// A hash that costs what a real one costs, for those whose name is not in the file.
    pub(crate) fn decoy(cost: u8, salt: [u8; 16]) -> Self {
        Self {
            cost: cost.clamp(COST_MIN, COST_MAX),
            salt,
            digest: [0; 23],
        }
    }

    /// Whether this is the hash of the password. Takes the time that the cost says: never call it on an async thread.
    ///
    /// bcrypt reads the first 72 bytes of a password; what follows does not count, here as in the tool that wrote
    /// the file. A password with a NUL never gets here: bcrypt would take `bee\0bee` for `bee`.
    pub(crate) fn matches(&self, password: &[u8]) -> bool {
        let mut key = [0; PASSWORD_BYTES_MAX];
        let length = password.len().min(PASSWORD_BYTES_MAX);
        key[..length].copy_from_slice(&password[..length]);
        let closed = &key[..(length + 1).min(PASSWORD_BYTES_MAX)];
        let found = bcrypt::bcrypt(self.cost.into(), self.salt, closed);
        found[..self.digest.len()].ct_eq(&self.digest).into()
    }

    /// The base-2 logarithm of the number of rounds.
    pub(crate) fn cost(&self) -> u8 {
        self.cost
    }

    /// The parts that make one stored hash differ from another.
    pub(crate) fn parts(&self) -> [&[u8]; 3] {
        [std::slice::from_ref(&self.cost), &self.salt, &self.digest]
    }
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredHash(cost {}, rest hidden)", self.cost)
    }
}

fn decode<const N: usize>(text: &[u8]) -> Result<[u8; N], BadHash> {
    let mut bytes = [0; N];
    match BASE64.decode_slice(text, &mut bytes) {
        Ok(length) if length == N => Ok(bytes),
        _ => Err(BadHash::Damaged),
    }
}

/// The name of a kind of hash that is not bcrypt, as far as its beginning or its form gives it away.
fn kind(text: &str) -> &'static str {
    const KINDS: [(&str, &str); 16] = [
        ("$apr1$", "MD5 (apr1)"),
        ("$1$", "MD5 (crypt)"),
        ("$5$", "SHA-256 (crypt)"),
        ("$6$", "SHA-512 (crypt)"),
        ("$7$", "scrypt"),
        ("$y$", "yescrypt"),
        ("$gy$", "gost-yescrypt"),
        ("$2$", "bcrypt of its first, faulty version"),
        ("$2x$", "bcrypt of a faulty version ($2x$)"),
        ("$argon2", "Argon2"),
        ("$pbkdf2", "PBKDF2"),
        ("{SHA}", "SHA-1"),
        ("{SSHA}", "salted SHA-1"),
        ("{SHA256}", "SHA-256"),
        ("{SHA512}", "SHA-512"),
        ("{PLAIN}", "plain text"),
    ];
    let named = KINDS.iter().find(|(start, _)| text.starts_with(start));
    let crypt = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'/';
    match (named, text.as_bytes()) {
        (Some((_, name)), _) => name,
        (None, [b'$' | b'{', ..]) => "an unknown kind of hash",
        (None, bytes) if bytes.len() == 13 && bytes.iter().copied().all(crypt) => "DES (crypt)",
        (None, _) => "plain text",
    }
}
