//! Sockets to listen on: made here, or taken over from systemd; with TLS, and with plain HTTP beside it.
//!
//! Fails: a sentence that says what to do about an address that cannot be had.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use config::{Auth, Host, Listen, ListenAddr, Settings, Tls};
use server::{Beside, Listener, Live};
use socket2::{Domain, Protocol, Socket, Type};
use tokio_util::sync::CancellationToken;

use crate::checks::Check;
use crate::failure::Failure;
use crate::https::Https;
use crate::preflight;
use crate::socket::AdminSocket;
use crate::systemd::Passed;

/// Where the address of registry requests is chosen.
const LISTEN: &str = "--listen";

/// The socket that systemd opened, where it did: `http.addr` then only says what links and checks may assume.
pub(crate) fn taken_over(
    passed: Vec<Passed>,
    settings: &Settings,
) -> Result<Option<(Listener, String)>, Failure> {
    let mut passed = passed.into_iter();
    let Some(first) = passed.next() else {
        return Ok(None);
    };
    for unused in passed {
        tracing::warn!(
            socket = unused.name,
            "one socket is taken from systemd, and this is another: it is closed"
        );
    }
    let refuse = |error| cannot_listen("the socket that systemd opened", &error, LISTEN);
    let (listener, address, is_private) = first.into_listener().map_err(refuse)?;
    if !is_private && matches!(settings.auth, Auth::NotConfigured) {
        return Err(Failure::configuration(format!(
            "error[LF-CFG-020]: others can reach {address}, the socket that systemd opened, and no login is configured\n  \
             fix   landfall user add NAME, with the same --data or --config; or, open to everyone on purpose, `auth: none`"
        )));
    }
    Ok(Some((listener, address)))
}

pub(crate) async fn listen(listen: &Listen) -> Result<(Listener, String), Failure> {
    match listen {
        Listen::Tcp(address) => {
            let (listener, address) = bind(address, LISTEN).await?;
            Ok((Listener::Tcp(listener), address))
        }
        Listen::Unix(path) => {
            remove_stale(path).await;
            let listener = tokio::net::UnixListener::bind(path)
                .map_err(|error| cannot_listen(&path.display().to_string(), &error, LISTEN))?;
            Ok((Listener::Unix(listener), path.display().to_string()))
        }
    }
}

/// The admin socket. Where nobody said where it is to be, a registry without one is better than none.
pub(crate) fn listen_for_admins(
    settings: &Settings,
    folder: &Path,
) -> Result<Option<(AdminSocket, Listener)>, Failure> {
    let written = settings.admin.socket.as_deref();
    let usual = folder.join("admin.sock");
    let path = written.unwrap_or(&usual);
    match AdminSocket::listen(path) {
        Ok((socket, listener)) => Ok(Some((socket, Listener::Admin(listener)))),
        Err(error) if written.is_some() => {
            Err(cannot_listen(&path.display().to_string(), &error, "admin.socket"))
        }
        Err(error) => {
            tracing::warn!(
                %error,
                "there is no admin socket at {}: commands reach this server over HTTP alone (--server); admin.socket chooses another place",
                path.display()
            );
            Ok(None)
        }
    }
}

/// A socket that nobody answers on is left from a crash.
async fn remove_stale(path: &Path) {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && tokio::net::UnixStream::connect(path).await.is_err() {
        // If it stays, binding says why.
        let _ = std::fs::remove_file(path);
    }
}

/// `setting` is where another address is chosen.
pub(crate) async fn bind(
    address: &ListenAddr,
    setting: &str,
) -> Result<(tokio::net::TcpListener, String), Failure> {
    let cannot_listen = |address: &str, error: &std::io::Error| cannot_listen(address, error, setting);
    let addresses: Vec<SocketAddr> = match &address.host {
        // Machines without IPv6 have the second only.
        Host::AllInterfaces => vec![
            (IpAddr::from(Ipv6Addr::UNSPECIFIED), address.port).into(),
            (IpAddr::from(Ipv4Addr::UNSPECIFIED), address.port).into(),
        ],
        Host::Ip(ip) => vec![(*ip, address.port).into()],
        Host::Name(name) => tokio::net::lookup_host((name.as_str(), address.port))
            .await
            .map_err(|error| cannot_listen(&address.to_string(), &error))?
            .collect(),
    };
    let mut failure = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for candidate in addresses {
        match bind_one(candidate) {
            Ok(listener) => {
                let bound = listener.local_addr().unwrap_or(candidate);
                return Ok((listener, bound.to_string()));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                return Err(cannot_listen(&candidate.to_string(), &error));
            }
            Err(error) => failure = error,
        }
    }
    Err(cannot_listen(&address.to_string(), &failure))
}

fn bind_one(address: SocketAddr) -> std::io::Result<tokio::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // One socket for both: [::] takes IPv4 too.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    tokio::net::TcpListener::from_std(socket.into())
}

/// TLS on the listener, the tasks that keep its certificate fresh, and plain HTTP beside it.
pub(crate) async fn with_tls(
    settings: &Settings,
    tls: &Tls,
    data: &Path,
    listener: Listener,
    live: &Arc<Live>,
    stop: &CancellationToken,
) -> Result<Listener, Failure> {
    let Listener::Tcp(listener) = listener else {
        return Err(Failure::usage(
            "TLS needs a TCP address: with http.net: unix, the proxy in front does TLS\n  fix   --tls off, or http.addr: HOST:PORT",
        ));
    };
    let https = Https::open(settings, tls, data)?;
    let acceptor = https.acceptor.clone();
    let https_port = listener.local_addr().map_or(443, |address| address.port());
    let mut ports = vec![Check::good("port", format!("{https_port} is bound, for HTTPS"))];
    let mut plain_port = None;
    if let Some(address) = &tls.plain_addr {
        match bind(address, "http.plain_addr").await {
            Ok((plain, address)) => {
                let beside = Beside {
                    certificates: Arc::clone(&https.certificates),
                    https_port,
                    redirects_programs: true,
                };
                plain_port = plain.local_addr().ok().map(|address| address.port());
                ports.push(Check::good(
                    "port",
                    format!("{address} is bound, for plain HTTP: certificates, and to lead people to HTTPS"),
                ));
                tokio::spawn(server::serve(
                    Arc::clone(live),
                    Listener::Plain(plain, beside),
                    stop.clone(),
                ));
            }
            // HTTPS works without it, and so does a proof by TLS-ALPN-01 or DNS-01.
            Err(failure) => {
                let check = Check::refused("port", &failure.to_string());
                let fix = check.fix.unwrap_or_default();
                ports.push(Check {
                    fix: Some(format!("{fix}; going on without plain HTTP: no redirect from http://, and no proof by http-01")),
                    ..check
                });
            }
        }
    }
    preflight::look(settings, &https.plan, ports).await;
    https.announce(https_port, plain_port);
    https.keep(plain_port.is_some(), stop);
    Ok(Listener::Tls(listener, acceptor))
}

fn cannot_listen(address: &str, error: &std::io::Error, setting: &str) -> Failure {
    let fix = match error.kind() {
        std::io::ErrorKind::AddrInUse => format!("stop what listens there, or choose another with {setting}"),
        std::io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need root or CAP_NET_BIND_SERVICE; choose another with {setting}")
        }
        _ => format!("choose another address with {setting}"),
    };
    Failure::failed(
        "LF-SRV-002",
        format!("cannot listen on {address}: {error}\n  fix   {fix}"),
    )
}
