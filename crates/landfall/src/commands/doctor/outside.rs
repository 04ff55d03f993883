//! What clients see: the addresses that are listened on, and the answer of `/v2/`.
//!
//! Source: distribution-spec "Determining Support" (end-1).

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, TcpListener};
use std::time::Duration;

use config::{Host, Listen, ListenAddr};

use crate::checks::Check;
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

/// Where requests come in: free, ours, or somebody else's.
pub(super) fn address(listen: &Listen, is_ours: bool) -> Check {
    match listen {
        Listen::Unix(path) => Check::note("address", format!("the socket {}", path.display())),
        Listen::Tcp(address) => port("address", address, is_ours, "--listen"),
    }
}

/// One address; `setting` is where another one is chosen.
pub(super) fn port(name: &'static str, address: &ListenAddr, is_ours: bool, setting: &str) -> Check {
    let host = match &address.host {
        Host::AllInterfaces => IpAddr::V6(Ipv6Addr::UNSPECIFIED).to_string(),
        Host::Ip(ip) => ip.to_string(),
        Host::Name(name) => name.clone(),
    };
    match TcpListener::bind((host.as_str(), address.port)) {
        Ok(_) => Check::good(name, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_ours => {
            Check::good(name, format!("{address} is in use, by a registry"))
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => Check::problem(
            name,
            format!("{address} is in use by another program"),
            format!(
                "ss -ltnp 'sport = :{}' names it; stop it, or choose another address with {setting}",
                address.port
            ),
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Check::problem(
            name,
            format!("{address} needs more rights than this user has"),
            "setcap cap_net_bind_service=+ep on the program, a service manager, or a port over 1023",
        ),
        Err(error) => Check::problem(
            name,
            format!("{address} cannot be used: {error}"),
            format!("choose another address with {setting}"),
        ),
    }
}
