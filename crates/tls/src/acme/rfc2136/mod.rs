//! DNS-01 through the zone's own name server: the TXT record is set by a dynamic update that is signed with a shared key.
//!
//! Shape: [`Rfc2136`] is where the server is and whose key; `add` and `remove` are one signed message each. By UDP first, then
//! by TCP. Only an answer that is signed with the same key counts as one.
//! Fails: [`Refused`]. Source: RFC 2136 (updates), RFC 8945 (TSIG), RFC 7766 (TCP).

mod message;
mod tsig;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use message::{Change, Update, WireName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
pub use tsig::Algorithm;
use tsig::{Judgement, Key};

/// One datagram and its answer.
const UDP_PATIENCE: Duration = Duration::from_secs(3);
const UDP_TRIES: usize = 2;
const TCP_PATIENCE: Duration = Duration::from_secs(15);
/// More than any answer to an update.
const DATAGRAM_MAX: usize = 4096;

/// A name server that takes updates, and the key that it knows us by.
#[derive(Clone)]
pub struct Rfc2136 {
    host: String,
    port: u16,
    zone: WireName,
    key: Key,
}

/// An update that did not come to pass.
#[derive(Debug, thiserror::Error)]
#[error("the DNS server {server} did not {doing}: {why}\n  fix   {fix}")]
pub struct Refused {
    server: String,
    doing: String,
    why: String,
    fix: String,
}

/// A setting that cannot be used; the text says which and why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    /// Not a name of DNS.
    #[error("{0:?} is not a name of DNS: labels of 1 to 63 bytes, 255 in all")]
    Name(String),
    /// The secret is not base64.
    #[error("the secret is not base64, as `tsig-keygen` prints it")]
    Secret,
}

impl fmt::Debug for Rfc2136 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Rfc2136({}, zone {}, key {})",
            self.place(),
            self.zone,
            self.key.name
        )
    }
}

impl Rfc2136 {
    /// `secret` is base64, as it stands in the server's own configuration.
    pub fn new(
        (host, port): (&str, u16),
        zone: &str,
        (key_name, algorithm, secret): (&str, Algorithm, &str),
    ) -> Result<Self, BadSetting> {
        let secret = base64::engine::general_purpose::STANDARD
            .decode(secret.trim())
            .ok()
            .filter(|secret| !secret.is_empty())
            .ok_or(BadSetting::Secret)?;
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            zone: WireName::parse(zone)?,
            key: Key::new(WireName::parse(key_name)?, algorithm, &secret),
        })
    }

    pub(super) async fn add(&self, name: &str, value: &str) -> Result<(), Refused> {
        self.update(name, value, Change::Add).await
    }

    pub(super) async fn remove(&self, name: &str, value: &str) -> Result<(), Refused> {
        self.update(name, value, Change::Remove).await
    }

    async fn update(&self, name: &str, value: &str, change: Change) -> Result<(), Refused> {
        let verb = match change {
            Change::Add => "set",
            Change::Remove => "remove",
        };
        let refuse = |why: String, fix: String| Refused {
            server: self.place(),
            doing: format!("{verb} the TXT record {name}"),
            why,
            fix,
        };
        let settings = "correct tls.acme.dns.rfc2136".to_owned();
        let host = WireName::parse(name).map_err(|error| refuse(error.to_string(), settings.clone()))?;
        if !host.is_below(&self.zone) {
            let why = format!("it is not in the zone {}", self.zone);
            return Err(refuse(why, "name its zone in tls.acme.dns.rfc2136.zone".into()));
        }
        let id = getrandom::u32().map_or(0x4c46, |random| (random >> 16) as u16);
        let update = Update {
            id,
            zone: &self.zone,
            name: &host,
            value,
            change,
        };
        let plain = update.encode();
        let (signed, mac) = self.key.sign(&plain, now());
        let reach = "let this machine reach it by UDP and TCP (its address, port and firewall), or correct tls.acme.dns.rfc2136.server";
        let answer = self
            .exchange(&signed, id)
            .await
            .map_err(|error| refuse(error.to_string(), reach.into()))?;
        match self.key.judge(&answer, &mac, now()) {
            Judgement::Done => Ok(()),
            Judgement::Refused { why, fix } => Err(refuse(why, fix)),
        }
    }

    /// The answer to this message. A datagram of somebody else's, or of an older question, is passed over.
    async fn exchange(&self, message: &[u8], id: u16) -> std::io::Result<Vec<u8>> {
        let mut failure = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        let found: Vec<SocketAddr> = tokio::net::lookup_host((self.host.as_str(), self.port))
            .await?
            .collect();
        for address in found {
            for _ in 0..UDP_TRIES {
                let asking = tokio::time::timeout(UDP_PATIENCE, by_udp(address, message, id));
                match asking.await {
                    Ok(Ok(answer)) if !message::is_truncated(&answer) => return Ok(answer),
                    // A refused port or a cut answer: what UDP cannot do, TCP may.
                    Ok(_) => break,
                    Err(_) => {}
                }
            }
            match tokio::time::timeout(TCP_PATIENCE, by_tcp(address, message)).await {
                Ok(Ok(answer)) if message::id_of(&answer) == Some(id) => return Ok(answer),
                Ok(Ok(_)) => failure = std::io::ErrorKind::InvalidData.into(),
                Ok(Err(error)) => failure = error,
                Err(_) => failure = std::io::ErrorKind::TimedOut.into(),
            }
        }
        Err(failure)
    }

    fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

async fn by_udp(address: SocketAddr, message: &[u8], id: u16) -> std::io::Result<Vec<u8>> {
    let any: SocketAddr = if address.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    socket.send(message).await?;
    let mut answer = vec![0; DATAGRAM_MAX];
    loop {
        let length = socket.recv(&mut answer).await?;
        if message::id_of(answer.get(..length).unwrap_or_default()) == Some(id) {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

async fn by_tcp(address: SocketAddr, message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let length = u16::try_from(message.len()).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    stream
        .write_all(&[&length.to_be_bytes(), message].concat())
        .await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// TSIG compares clocks; a clock before 1970 is as wrong as any.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
