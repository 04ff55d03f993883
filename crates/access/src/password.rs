//! A name and a password that may be written into a password file, and the hash that stands there.
//!
//! Units: lengths are bytes where bcrypt counts, characters where people do. Fails: [`Unfit`], which never repeats a
//! password. Source: RFC 7617 section 2 (no colon in a name), bcrypt (72 bytes, no NUL), NIST SP 800-63B section
//! 5.1.1 (8 characters or more, and nothing that everybody tries first).

use std::fmt;

use bcrypt::Version;

use crate::hash::COST_MAX;

/// A name that every client can send and every reader of the file finds again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName(Box<str>);

/// A password on its way into a file. Never shown.
pub struct NewPassword(Box<str>);

/// A name or a password that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The name breaks a rule.
    #[error("this name cannot be used: {0}")]
    Name(&'static str),
    /// The password breaks a rule that has no exception.
    #[error("this password cannot be used: {0}")]
    Password(&'static str),
    /// Short, or among those that are tried first.
    #[error("{0}; use 8 characters or more that nobody guesses, or --allow-weak")]
    Weak(Weakness),
    /// Cheaper than what is written, or so dear that one login keeps a processor busy.
    #[error("the cost cannot be {0}: 10 to {COST_MAX}, and each step doubles the time of a login")]
    Cost(u32),
}

/// Why a password is weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// So many characters, and no more.
    Short(usize),
    /// On every list of passwords to try, or made of the user's name.
    Guessed,
}

/// Longest name, in bytes: far less than a line may have.
const NAME_BYTES_MAX: usize = 255;
/// bcrypt reads no further.
const PASSWORD_BYTES_MAX: usize = 72;
/// Fewest characters of a password that is not weak.
const STRONG_CHARS_MIN: usize = 8;
/// What guessing begins with, beside words that are too short anyway.
const COMMON: [&str; 26] = [
    "12345678",
    "123456789",
    "1234567890",
    "0123456789",
    "87654321",
    "11223344",
    "password",
    "passw0rd",
    "password1",
    "password12",
    "password123",
    "p@ssw0rd",
    "qwertyui",
    "qwertyuiop",
    "qwerty123",
    "1q2w3e4r",
    "1qaz2wsx",
    "asdfghjkl",
    "iloveyou",
    "sunshine",
    "changeme",
    "letmein1",
    "administrator",
    "registry",
    "landfall",
    "dockerhub",
];

impl UserName {
    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        let fault = if text.is_empty() {
            "it is empty"
        } else if text.len() > NAME_BYTES_MAX {
            "it is longer than 255 bytes"
        } else if text.contains(':') {
            "a colon ends the name in every login (RFC 7617)"
        } else if text.contains(char::is_control) {
            "it has control characters"
        } else if text.starts_with('#') {
            "a line that begins with # is a comment"
        } else if text.trim() != text {
            "it begins or ends with a space"
        } else {
            return Ok(Self(text.into()));
        };
        Err(Unfit::Name(fault))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NewPassword {
    /// The cost where nobody says otherwise: what Apache's tool is told in every tutorial, and affordable.
    pub const COST_DEFAULT: u32 = 10;

    /// Checks a password for this user; `weak` lets a weak one pass.
    pub fn parse(text: &str, user: &UserName, weak: bool) -> Result<Self, Unfit> {
        if text.is_empty() {
            return Err(Unfit::Password("it is empty"));
        }
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(Unfit::Password(
                "it is longer than 72 bytes, and bcrypt reads no further",
            ));
        }
        if text.contains('\0') {
            return Err(Unfit::Password("it has a NUL byte, at which bcrypt stops"));
        }
        match weakness(text, user.as_str()) {
            Some(weakness) if !weak => Err(Unfit::Weak(weakness)),
            _ => Ok(Self(text.into())),
        }
    }

    /// Computes the hash as a password file stores it, `$2y$…`. Takes the time that the cost says.
    pub fn hash(&self, cost: u32) -> Result<String, HashFailure> {
        if !(Self::COST_DEFAULT..=u32::from(COST_MAX)).contains(&cost) {
            return Err(HashFailure::Cost(Unfit::Cost(cost)));
        }
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(HashFailure::Randomness)?;
        let parts = bcrypt::hash_with_salt(self.0.as_bytes(), cost, salt).map_err(HashFailure::Bcrypt)?;
        Ok(parts.format_for_version(Version::TwoY))
    }
}

/// No hash came out.
#[derive(Debug, thiserror::Error)]
pub enum HashFailure {
    /// The cost cannot be had.
    #[error(transparent)]
    Cost(Unfit),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random numbers for the salt")]
    Randomness(#[source] getrandom::Error),
    /// bcrypt refused its input, which [`NewPassword::parse`] has checked.
    #[error("the password could not be hashed")]
    Bcrypt(#[source] bcrypt::BcryptError),
}

fn weakness(password: &str, user: &str) -> Option<Weakness> {
    let (lower, user) = (password.to_lowercase(), user.to_lowercase());
    let length = password.chars().count();
    let begins = lower.chars().next();
    let one_character = lower.chars().all(|c| Some(c) == begins);
    let name_and_number = lower
        .strip_prefix(&user)
        .is_some_and(|rest| rest.chars().all(|c| !c.is_alphabetic()));
    if length < STRONG_CHARS_MIN {
        Some(Weakness::Short(length))
    } else if one_character || name_and_number || COMMON.contains(&&*lower) {
        Some(Weakness::Guessed)
    } else {
        None
    }
}

impl Unfit {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "LF-AUTH-012",
            Self::Password(_) | Self::Cost(_) => "LF-AUTH-014",
            Self::Weak(_) => "LF-AUTH-015",
        }
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(1) => f.write_str("the password is 1 character and easily guessed"),
            Self::Short(length) => write!(f, "the password is {length} characters and easily guessed"),
            Self::Guessed => f.write_str("the password is one of those that are tried first"),
        }
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::StoredHash;

    fn judged(password: &str) -> Result<(), Unfit> {
        let user = UserName::parse("busy").unwrap();
        NewPassword::parse(password, &user, false).map(drop)
    }

    #[test]
    fn weak_passwords_are_told_and_strong_ones_pass() {
        assert_eq!(judged("bee"), Err(Unfit::Weak(Weakness::Short(3))));
        for guessed in ["Password123", "aaaaaaaaaa", "busy2026!", "BUSY12345"] {
            assert_eq!(judged(guessed), Err(Unfit::Weak(Weakness::Guessed)), "{guessed}");
        }
        for strong in ["correct horse", "蜜蜂很忙蜜蜂很忙", "busybody-likes-honey"] {
            assert_eq!(judged(strong), Ok(()), "{strong}");
        }
        let user = UserName::parse("busy").unwrap();
        assert!(NewPassword::parse("bee", &user, true).is_ok());
        assert!(NewPassword::parse("", &user, true).is_err());
    }

    #[test]
    fn what_bcrypt_would_cut_is_refused() {
        assert_eq!(judged(&"x1".repeat(36)), Ok(()));
        assert!(matches!(judged(&"x".repeat(73)), Err(Unfit::Password(_))));
        assert!(matches!(judged("with\0nul-inside"), Err(Unfit::Password(_))));
    }

    #[test]
    fn names_that_no_login_could_send_are_refused() {
        for name in ["", "a:b", "a\nb", "#note", " a", "a ", &"n".repeat(256)] {
            assert!(UserName::parse(name).is_err(), "{name:?}");
        }
        assert!(UserName::parse("忙").is_ok() && UserName::parse("ci bot").is_ok());
    }

    #[test]
    fn the_hash_is_one_that_others_read_and_ours_matches() {
        let user = UserName::parse("busy").unwrap();
        let password = NewPassword::parse("correct horse", &user, false).unwrap();
        let text = password.hash(10).unwrap();
        assert!(text.starts_with("$2y$10$") && text.len() == 60, "{text}");
        assert!(StoredHash::parse(&text).unwrap().matches(b"correct horse"));
        assert_ne!(text, password.hash(10).unwrap());
        assert!(password.hash(9).is_err() && password.hash(18).is_err());
    }
}
