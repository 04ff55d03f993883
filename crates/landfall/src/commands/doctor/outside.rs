//! What clients see: the address, the answer of `/v2/`, the addresses of a name.
//!
//! Source: distribution-spec "Determining Support" (end-1); proc(5) for the addresses of this host.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, TcpListener, ToSocketAddrs as _};
use std::time::Duration;

use config::{Host, Listen};

use super::Check;
use crate::client::Server;

/// Longest wait for one answer.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// `GET /v2/`. An error is what is wrong with the answer.
pub(super) fn view(server: &Server) -> Result<Check, Check> {
    const NAME: &str = "client's view";
    let answer = server.ask("GET", "/v2/", &[], b"", LIMIT).map_err(|error| {
        Check::problem(
            NAME,
            error.to_string(),
            "start the server, or name another address with --url",
        )
    })?;
    let is_registry = answer.header("docker-distribution-api-version") == Some("registry/2.0");
    let limited = answer
        .header("server")
        .is_some_and(|server| server.starts_with("nginx"));
    match answer.status {
        200 | 401 if !is_registry => Err(Check::problem(
            NAME,
            format!(
                "{server}/v2/ answers {}, but not as a registry: Docker-Distribution-Api-Version is missing",
                answer.status
            ),
            "let the proxy in front pass /v2/ on, with all headers",
        )),
        200 => Ok(Check::good(
            NAME,
            format!("{server}/v2/ answers 200: no login is asked for"),
        )),
        401 if answer.header("www-authenticate").is_some() => Ok(Check::good(
            NAME,
            format!("{server}/v2/ answers 401 and asks for a login"),
        )),
        502..=504 if limited => Err(Check::problem(
            NAME,
            format!(
                "{server}/v2/ answers {}: the proxy does not reach Landfall",
                answer.status
            ),
            "check the address behind proxy_pass, and that the server runs",
        )),
        status => Err(Check::problem(
            NAME,
            format!("{server}/v2/ answers {status}"),
            "see the log of the server, or of the proxy in front",
        )),
    }
}

/// The port: free, ours, or somebody else's.
pub(super) fn address(listen: &Listen, held: bool, answers: bool) -> Check {
    const NAME: &str = "address";
    let address = match listen {
        Listen::Unix(path) => return Check::note(NAME, format!("the socket {}", path.display())),
        Listen::Tcp(address) => address,
    };
    let host = match &address.host {
        Host::AllInterfaces => IpAddr::V6(Ipv6Addr::UNSPECIFIED).to_string(),
        Host::Ip(ip) => ip.to_string(),
        Host::Name(name) => name.clone(),
    };
    match TcpListener::bind((host.as_str(), address.port)) {
        Ok(_) => Check::good(NAME, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && (held || answers) => {
            Check::good(NAME, format!("{address} is in use, by a registry"))
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => Check::problem(
            NAME,
            format!("{address} is in use by another program"),
            format!(
                "ss -ltnp 'sport = :{}' names it; stop it, or choose another address with --listen",
                address.port
            ),
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Check::problem(
            NAME,
            format!("{address} needs more rights than this user has"),
            "setcap cap_net_bind_service=+ep on the program, a service manager, or a port over 1023",
        ),
        Err(error) => Check::problem(
            NAME,
            format!("{address} cannot be used: {error}"),
            "choose another address with --listen",
        ),
    }
}

/// Whether a name leads here.
pub(super) fn name(domain: &str) -> Check {
    const NAME: &str = "name";
    let found: BTreeSet<IpAddr> = match (domain, 0).to_socket_addrs() {
        Ok(addresses) => addresses.map(|address| address.ip().to_canonical()).collect(),
        Err(_) => BTreeSet::new(),
    };
    if found.is_empty() {
        return Check::problem(
            NAME,
            format!("{domain} has no address"),
            format!("add an A record for {domain} that leads to this host, and wait until it is known"),
        );
    }
    let here = own_addresses();
    let list = |addresses: &mut dyn Iterator<Item = &IpAddr>| {
        addresses.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let elsewhere: Vec<_> = found.difference(&here).collect();
    if elsewhere.is_empty() {
        Check::good(
            NAME,
            format!("{domain} leads to this host ({})", list(&mut found.iter())),
        )
    } else {
        let outward = list(&mut here.iter().filter(|ip| !ip.is_loopback()));
        Check::note(
            NAME,
            format!(
                "{domain} leads to {}, which is no address of this host ({outward}): right only if a router or a proxy there passes on to it",
                list(&mut elsewhere.into_iter())
            ),
        )
    }
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
    use super::*;

    #[test]
    fn this_host_knows_its_own_address() {
        let here = own_addresses();
        assert!(here.contains(&"127.0.0.1".parse().unwrap()), "{here:?}");
        let check = name("localhost");
        assert_eq!(check.state, super::super::State::Good, "{check:?}");
    }
}
