//! Whether a name leads to this host: its addresses, as this machine's resolver tells them, beside those of our interfaces.
//!
//! An address behind a router or a proxy is right without being ours, so a name that leads elsewhere is a note, not a problem.
//! Fails: never. Source: proc(5) for the addresses of this host.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, ToSocketAddrs as _};

use tls::{Name, is_public};

use super::Check;

const NAME: &str = "name";

/// Blocks as long as the resolver takes.
pub(crate) fn name(name: &Name) -> Check {
    let found: BTreeSet<IpAddr> = match (name.to_string().as_str(), 0).to_socket_addrs() {
        Ok(addresses) => addresses.map(|address| address.ip().to_canonical()).collect(),
        Err(_) => BTreeSet::new(),
    };
    judge(name, &found, &own_addresses())
}

fn judge(name: &Name, found: &BTreeSet<IpAddr>, here: &BTreeSet<IpAddr>) -> Check {
    if found.is_empty() {
        return nowhere(name);
    }
    let list = |addresses: &mut dyn Iterator<Item = &IpAddr>| {
        addresses.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    // All of 127/8 is ours, and only 127.0.0.1 is listed.
    let is_here = |ip: &&IpAddr| ip.is_loopback() || here.contains(ip);
    let elsewhere: Vec<_> = found.iter().filter(|ip| !is_here(ip)).collect();
    if elsewhere.is_empty() {
        return Check::good(
            NAME,
            match name {
                Name::Ip(ip) => format!("{ip} is an address of this host"),
                Name::Host(host) => format!("{host} leads to this host ({})", list(&mut found.iter())),
            },
        );
    }
    let outward = list(&mut here.iter().filter(|ip| !ip.is_loopback()));
    let (subject, others) = match name {
        Name::Ip(ip) => (ip.to_string(), String::new()),
        Name::Host(host) => (
            format!("{host} leads to {}, which", list(&mut elsewhere.into_iter())),
            match list(&mut found.iter().filter(is_here)) {
                own if own.is_empty() => String::new(),
                own => format!(", beside {own}, which is"),
            },
        ),
    };
    let found = format!(
        "{subject} is no address of this host ({outward}){others}: right only if a router or a proxy there passes on to it"
    );
    Check::note(NAME, found).code("LF-TLS-032")
}

fn nowhere(name: &Name) -> Check {
    let found = format!("{name} has no address");
    let check = if is_public(name) {
        let fix =
            format!("add an A or AAAA record for {name} that leads to this host, and wait until it is known");
        Check::problem(NAME, found, fix)
    } else {
        Check::note(
            NAME,
            format!("{found} that this machine can find: clients need it in their DNS or in /etc/hosts"),
        )
    };
    check.code("LF-TLS-031")
}

/// The addresses of this host's interfaces, as the kernel lists them.
fn own_addresses() -> BTreeSet<IpAddr> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let (four, six) = (read("/proc/net/fib_trie"), read("/proc/net/if_inet6"));
    let mut last: Option<IpAddr> = None;
    let mut found = BTreeSet::new();
    for line in four.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last);
        }
    }
    let six = six
        .lines()
        .filter_map(|line| u128::from_str_radix(line.split(' ').next()?, 16).ok());
    found.extend(six.map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))));
    found
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn addresses(list: &[&str]) -> BTreeSet<IpAddr> {
        list.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    #[test]
    fn this_host_knows_its_own_address() {
        let here = own_addresses();
        assert!(here.contains(&"127.0.0.1".parse().unwrap()), "{here:?}");
        let check = name(&"localhost".parse().unwrap());
        assert_eq!(check.state, State::Good, "{check:?}");
    }

    #[test]
    fn a_name_is_judged_by_all_of_its_addresses_and_all_of_ours() {
        let here = addresses(&["127.0.0.1", "198.51.100.20", "192.0.2.7"]);
        let registry: Name = "registry.example.com".parse().unwrap();
        let judged = |found: &[&str]| judge(&registry, &addresses(found), &here);
        // Also the second address of this host, and the one that Debian gives a host's own name.
        assert_eq!(judged(&["192.0.2.7"]).state, State::Good);
        assert_eq!(judged(&["127.0.1.1"]).state, State::Good);
        let stale = judged(&["198.51.100.20", "203.0.113.7"]);
        assert_eq!((stale.state, stale.code), (State::Note, Some("LF-TLS-032")));
        assert!(stale.found.contains("leads to 203.0.113.7, which"), "{stale:?}");
        assert!(stale.found.contains("beside 198.51.100.20"), "{stale:?}");
        let none = judged(&[]);
        assert_eq!((none.state, none.code), (State::Problem, Some("LF-TLS-031")));
        let lan = judge(&"nas.lan".parse().unwrap(), &addresses(&[]), &here);
        assert_eq!(lan.state, State::Note);
        assert!(lan.found.contains("/etc/hosts"), "{lan:?}");
    }
}
