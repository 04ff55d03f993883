//! The names that a certificate is for: host names and IP addresses, each in one spelling.
//!
//! Fails: [`Error::BadName`]. Source: RFC 1123 for host names, RFC 6761 and RFC 8375 for those that are never public.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::Error;

/// A host name in lower case, or an IP address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// `registry.example.com`
    Host(String),
    /// `192.168.1.20`
    Ip(IpAddr),
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(ip) = bare.parse() {
            return Ok(Self::Ip(ip));
        }
        let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if host.len() <= 253 && host.split('.').all(label) {
            Ok(Self::Host(host))
        } else {
            Err(Error::BadName(text.into()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// Whether a public authority could know this name; addresses and names of private networks it cannot.
#[must_use]
pub fn is_public(name: &Name) -> bool {
    const PRIVATE: [&str; 11] = [
        "local",
        "localhost",
        "lan",
        "internal",
        "home",
        "corp",
        "intranet",
        "private",
        "test",
        "invalid",
        "arpa",
    ];
    match name {
        Name::Ip(_) => false,
        Name::Host(host) => host
            .rsplit_once('.')
            .is_some_and(|(_, last)| !PRIVATE.contains(&last) && !last.bytes().all(|b| b.is_ascii_digit())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_in_one_spelling() {
        assert_eq!(
            "Registry.Example.com.".parse::<Name>().unwrap().to_string(),
            "registry.example.com"
        );
        assert_eq!("[::1]".parse::<Name>().unwrap(), Name::Ip("::1".parse().unwrap()));
        for bad in [
            "https://a.example",
            "a.example:5000",
            "a/b",
            "",
            "-a.example",
            "a..b",
            "名.example",
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_of_the_local_network_is_not_asked_for_in_public() {
        for (name, public) in [
            ("registry.example.com", true),
            ("nas.lan", false),
            ("nas", false),
            ("10.0.0.1", false),
            ("a.home.arpa", false),
        ] {
            assert_eq!(is_public(&name.parse().unwrap()), public, "{name}");
        }
    }
}
