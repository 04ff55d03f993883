//! Where to listen, as Go writes it: `:5000`, `127.0.0.1:5000`, `[::1]:5000`, `localhost:5000`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A TCP address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddr {
    /// The part before the last colon.
    pub host: Host,
    /// 0 lets the system choose.
    pub port: u16,
}

/// The host part of a [`ListenAddr`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// `:5000` and `[::]:5000`: every interface, IPv4 and IPv6.
    AllInterfaces,
    /// One address (`0.0.0.0`: every interface, IPv4 only).
    Ip(IpAddr),
    /// A name that is looked up at start.
    Name(String),
}

/// Why a text is no listen address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST:PORT, such as `127.0.0.1:5000` or `:5000`")]
pub struct BadAddress;

impl ListenAddr {
    pub(crate) fn loopback(port: u16) -> Self {
        Self {
            host: Host::Ip(std::net::Ipv4Addr::LOCALHOST.into()),
            port,
        }
    }

    /// True if only this machine can reach it. A name other than `localhost` counts as reachable.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::AllInterfaces => false,
            Host::Ip(ip) => ip.to_canonical().is_loopback(),
            Host::Name(name) => name.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl FromStr for ListenAddr {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(BadAddress)?;
        if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadAddress);
        }
        let port = port.parse().map_err(|_| BadAddress)?;
        let host = match host.strip_prefix('[') {
            Some(inner) => {
                let ip: Ipv6Addr = inner
                    .strip_suffix(']')
                    .and_then(|ip| ip.parse().ok())
                    .ok_or(BadAddress)?;
                if ip.is_unspecified() {
                    Host::AllInterfaces
                } else {
                    Host::Ip(ip.into())
                }
            }
            None if host.is_empty() => Host::AllInterfaces,
            None => match host.parse::<IpAddr>() {
                Ok(IpAddr::V4(ip)) => Host::Ip(ip.into()),
                Ok(IpAddr::V6(_)) => return Err(BadAddress), // `::1:5000` could mean two things
                Err(_) => Host::Name(name(host)?.to_owned()),
            },
        };
        Ok(Self { host, port })
    }
}

/// RFC 1123 host names.
fn name(host: &str) -> Result<&str, BadAddress> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !numeric && host.len() <= 253 && host.trim_end_matches('.').split('.').all(label) {
        Ok(host)
    } else {
        Err(BadAddress)
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::AllInterfaces => write!(f, "[::]:{}", self.port),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            Host::Ip(ip) => write!(f, "{ip}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> ListenAddr {
        text.parse().unwrap()
    }

    #[test]
    fn go_forms_are_read() {
        assert_eq!(
            parse(":5000"),
            ListenAddr {
                host: Host::AllInterfaces,
                port: 5000
            }
        );
        assert_eq!(parse("[::]:5000"), parse(":5000"));
        assert_eq!(parse(":5000").to_string(), "[::]:5000");
        assert_eq!(parse("0.0.0.0:80").to_string(), "0.0.0.0:80");
        assert_eq!(parse("nas.lan:5000").host, Host::Name("nas.lan".into()));
        for bad in [
            "",
            "5000",
            ":",
            "::1:5000",
            "[::1]",
            ":http",
            ":70000",
            "1.2.3:80",
            "a b:80",
            "http://x:80",
            ":+80",
            "-a:1",
        ] {
            assert!(bad.parse::<ListenAddr>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_this_machine_reaches_loopback() {
        for local in [
            "127.0.0.1:5000",
            "127.8.8.8:1",
            "[::1]:5000",
            "localhost:5000",
            "[::ffff:127.0.0.1]:5000",
        ] {
            assert!(parse(local).is_loopback(), "{local}");
        }
        for open in [
            ":5000",
            "0.0.0.0:5000",
            "192.168.1.2:5000",
            "[::]:5000",
            "example.com:5000",
            "[fe80::1]:1",
        ] {
            assert!(!parse(open).is_loopback(), "{open}");
        }
    }

    proptest! {
        #[test]
        fn parse_never_panics_and_display_reads_back(text in "[0-9a-z:.\\[\\]-]{0,20}|\\PC*") {
            if let Ok(address) = text.parse::<ListenAddr>() {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }
}
