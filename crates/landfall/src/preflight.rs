//! Before a server with a name serves: what would keep clients or an authority from reaching it. Explains, never refuses.
//!
//! Ports, data folder and disk are tried by the start itself. Fails: never.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tls::{Name, is_public};

const PATIENCE: Duration = Duration::from_secs(5);
/// Before this there was no Landfall: 2025-01-01.
const CLOCK_MIN: i64 = 1_735_689_600;
/// 2100-01-01
const CLOCK_MAX: i64 = 4_102_444_800;

pub(crate) async fn look(names: &[Name], now: i64) {
    if !(CLOCK_MIN..CLOCK_MAX).contains(&now) {
        tracing::warn!(
            code = "LF-TLS-030",
            seconds = now,
            "the clock of this machine is wrong: certificates will look expired or not valid yet; set it, such as with `timedatectl set-ntp true`"
        );
    }
    let own = [own_address("192.0.2.1:9"), own_address("[2001:db8::1]:9")];
    for name in names {
        if let Name::Host(host) = name {
            resolve(name, host, &own).await;
        }
    }
}

async fn resolve(name: &Name, host: &str, own: &[Option<IpAddr>]) {
    let found = match tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, 443))).await {
        Ok(Ok(found)) => found.map(|address| address.ip()).collect::<Vec<_>>(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    if found.is_empty() {
        let advice = if is_public(name) {
            "add an A or AAAA record with the address of this server, then: landfall tls renew"
        } else {
            "clients need it in their DNS or in /etc/hosts"
        };
        tracing::warn!(
            code = "LF-TLS-031",
            "{name} has no address that this machine can find: {advice}"
        );
        return;
    }
    let leads_here = found
        .iter()
        .any(|ip| ip.is_loopback() || own.contains(&Some(*ip)));
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    let own: Vec<_> = own.iter().flatten().map(ToString::to_string).collect();
    let (found, own) = (found.join(" "), own.join(" "));
    if leads_here {
        tracing::info!("{name} leads to this machine ({found})");
    } else {
        tracing::warn!(
            code = "LF-TLS-032",
            "{name} leads to {found}, and this machine goes out as {own}: right if a router or load balancer in front passes ports 80 and 443 on, wrong otherwise"
        );
    }
}

/// The address from which this machine would speak to a documentation address; nothing is sent.
fn own_address(far: &str) -> Option<IpAddr> {
    let far: SocketAddr = far.parse().ok()?;
    let any: IpAddr = if far.is_ipv4() {
        [0_u8; 4].into()
    } else {
        [0_u8; 16].into()
    };
    let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
    socket.connect(far).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
