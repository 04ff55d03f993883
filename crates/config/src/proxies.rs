//! Which peers may say on whose behalf they speak (`http.trusted_proxies`).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// One entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// This machine.
    Loopback,
    /// Private networks: RFC 1918, RFC 4193, and link-local addresses.
    Private,
    /// A network, its bits beyond the prefix zero; one address has a full-length prefix.
    Cidr {
        /// The network's first address.
        network: IpAddr,
        /// Leading bits that must match.
        prefix_bits: u8,
    },
}

/// Why a text is no entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `loopback`, `private`, an address or a network such as `172.16.0.0/12`")]
pub struct BadProxy;

impl TrustedProxy {
    /// Whether a peer belongs to this entry. IPv4 inside IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self, peer.to_canonical()) {
            (Self::Loopback, peer) => peer.is_loopback(),
            (Self::Private, IpAddr::V4(peer)) => peer.is_private() || peer.is_link_local(),
            (Self::Private, IpAddr::V6(peer)) => peer.is_unique_local() || peer.is_unicast_link_local(),
            (Self::Cidr { network, prefix_bits }, peer) => {
                network.is_ipv4() == peer.is_ipv4() && masked(peer, *prefix_bits) == *network
            }
        }
    }
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn masked(ip: IpAddr, prefix_bits: u8) -> IpAddr {
    let shift = u32::from(bits(ip) - prefix_bits);
    match ip {
        IpAddr::V4(ip) => IpAddr::V4((ip.to_bits() & u32::MAX.checked_shl(shift).unwrap_or(0)).into()),
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & u128::MAX.checked_shl(shift).unwrap_or(0)).into()),
    }
}

impl FromStr for TrustedProxy {
    type Err = BadProxy;

    fn from_str(text: &str) -> Result<Self, BadProxy> {
        match text {
            "loopback" => return Ok(Self::Loopback),
            "private" => return Ok(Self::Private),
            _ => {}
        }
        let (ip, prefix) = text
            .split_once('/')
            .map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
        let ip: IpAddr = ip.parse().map_err(|_| BadProxy)?;
        let prefix_bits = match prefix {
            None => bits(ip),
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|prefix| *prefix <= bits(ip))
                .ok_or(BadProxy)?,
        };
        Ok(Self::Cidr {
            network: masked(ip, prefix_bits),
            prefix_bits,
        })
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("loopback"),
            Self::Private => f.write_str("private"),
            Self::Cidr { network, prefix_bits } => write!(f, "{network}/{prefix_bits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trusts(entry: &str, peer: &str) -> bool {
        entry
            .parse::<TrustedProxy>()
            .unwrap()
            .contains(peer.parse().unwrap())
    }

    #[test]
    fn networks_hold_what_they_say() {
        assert!(trusts("172.16.0.0/12", "172.31.255.1"));
        assert!(!trusts("172.16.0.0/12", "172.32.0.1"));
        assert!(trusts("10.1.2.3", "::ffff:10.1.2.3"));
        assert!(trusts("0.0.0.0/0", "8.8.8.8"));
        assert!(!trusts("0.0.0.0/0", "2001:db8::1"));
        assert!(trusts("2001:db8::/32", "2001:db8:1::1"));
        assert!(trusts("loopback", "127.0.0.1") && trusts("loopback", "::1"));
        assert!(trusts("private", "192.168.1.1") && trusts("private", "fd00::1"));
        assert!(!trusts("private", "8.8.8.8") && !trusts("private", "127.0.0.1"));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "everyone", "10.0.0.0/-1", "::/129"] {
            assert!(bad.parse::<TrustedProxy>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_network_holds_its_own_addresses(address: u32, prefix in 0_u8..=32) {
            let ip = IpAddr::V4(address.into());
            let entry: TrustedProxy = format!("{ip}/{prefix}").parse().unwrap();
            prop_assert!(entry.contains(ip));
            prop_assert_eq!(entry.to_string().parse(), Ok(entry));
        }
    }
}
