//! A small HTTP client for the commands that look at a server from outside: one request, one connection.
//!
//! Blocking; every wait has an end. Answers are read up to [`ANSWER_BYTES_MAX`]. Fails: [`Unreachable`], whose text
//! is for people. Source: RFC 9112.

mod tls;

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use config::{Host, Listen, Settings};
use tls::Trust;

/// More than any answer that is asked for here.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    place: Place,
    /// Of the URL, without a slash at its end.
    path: String,
    /// Whether any certificate is taken: for questions whose answer is not believed.
    anyone: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Tcp {
        host: String,
        port: u16,
        /// HTTPS, and whom the certificate should name.
        secure: Option<String>,
    },
    Unix(PathBuf),
}

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// No answer came.
#[derive(Debug, thiserror::Error)]
#[error("{place} {what}")]
pub(crate) struct Unreachable {
    place: String,
    what: String,
    #[source]
    source: io::Error,
}

impl Unreachable {
    /// What kind of failure it was.
    pub(crate) fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

impl Server {
    /// Where a server with these settings listens, as seen from this machine.
    pub(crate) fn of(settings: &Settings) -> Self {
        let place = match &settings.http.listen {
            Listen::Unix(path) => Place::Unix(path.clone()),
            Listen::Tcp(address) => Place::Tcp {
                host: match &address.host {
                    Host::AllInterfaces => "127.0.0.1".to_owned(),
                    Host::Ip(ip) if ip.is_unspecified() && ip.is_ipv6() => "::1".to_owned(),
                    Host::Ip(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
                    Host::Ip(ip) => ip.to_string(),
                    Host::Name(name) => name.clone(),
                },
                port: address.port,
                secure: secure_name(settings),
            },
        };
        Self {
            place,
            path: settings.http.prefix.trim_end_matches('/').to_owned(),
            anyone: false,
        }
    }

    /// At the end of a unix socket.
    pub(crate) fn at_socket(path: PathBuf) -> Self {
        Self {
            place: Place::Unix(path),
            path: String::new(),
            anyone: false,
        }
    }

    /// Where `serve NAME` listens: a name on its command line is not known to a command beside it.
    pub(crate) fn with_a_name() -> Self {
        Self {
            place: Place::Tcp {
                host: "127.0.0.1".to_owned(),
                port: 443,
                secure: Some("localhost".to_owned()),
            },
            path: String::new(),
            anyone: false,
        }
    }

    /// Whoever answers there.
    pub(crate) fn of_anyone(self) -> Self {
        Self { anyone: true, ..self }
    }

    /// Whether others on the way there can read along.
    pub(crate) fn is_open_to_the_network(&self) -> bool {
        match &self.place {
            Place::Unix(_) | Place::Tcp { secure: Some(_), .. } => false,
            Place::Tcp { host, .. } => {
                let ip = host.parse::<std::net::IpAddr>();
                host != "localhost" && !ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
            }
        }
    }

    /// `/readyz` and the like are served beside the prefix, not under it.
    pub(crate) fn without_path(self) -> Self {
        Self {
            path: String::new(),
            ..self
        }
    }

    /// Sends a request and reads the whole answer within `limit`.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        limit: Duration,
    ) -> Result<Answer, Unreachable> {
        self.exchange(method, path, headers, body, Instant::now() + limit)
            .map_err(|source| Unreachable {
                place: self.to_string(),
                what: said(&source),
                source,
            })
    }

    fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        deadline: Instant,
    ) -> io::Result<Answer> {
        let (mut stream, host) = self.connect(deadline)?;
        let mut head = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n",
            self.path
        );
        head.push_str(concat!(
            "User-Agent: landfall/",
            env!("CARGO_PKG_VERSION"),
            "\r\n"
        ));
        for (name, value) in headers {
            head.extend([*name, ": ", *value, "\r\n"]);
        }
        if !body.is_empty() || matches!(method, "POST" | "PUT") {
            head.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        // A server may answer and close before it has read everything; its answer then says why.
        let sent = stream.write_all(body).and_then(|()| stream.flush());
        let mut text = Vec::new();
        let read = Timed { stream, deadline }
            .take(ANSWER_BYTES_MAX)
            .read_to_end(&mut text);
        if let Some(answer) = Answer::parse(&text, method == "HEAD") {
            return Ok(answer);
        }
        sent?;
        read?;
        Err(io::ErrorKind::InvalidData.into())
    }

    fn connect(&self, deadline: Instant) -> io::Result<(Box<dyn Stream>, String)> {
        let (host, port, secure) = match &self.place {
            Place::Unix(path) => {
                let stream = crate::socket::connect(path)?;
                stream.set_write_timeout(Some(left(deadline)?))?;
                return Ok((Box::new(stream), "localhost".to_owned()));
            }
            Place::Tcp { host, port, secure } => (host, *port, secure),
        };
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let addresses: Vec<SocketAddr> = (host.as_str(), port).to_socket_addrs()?.collect();
        for address in addresses {
            match TcpStream::connect_timeout(&address, left(deadline)?) {
                Ok(stream) => {
                    stream.set_write_timeout(Some(left(deadline)?))?;
                    stream.set_read_timeout(Some(left(deadline)?))?;
                    let Some(name) = secure else {
                        return Ok((Box::new(stream), authority(host, port)));
                    };
                    // What a name leads to may be anywhere; on our own addresses nobody stands between.
                    let trust = if self.anyone || name != host || address.ip().to_canonical().is_loopback() {
                        Trust::Anyone
                    } else {
                        Trust::System
                    };
                    return Ok((tls::wrap(stream, name, trust)?, authority(name, port)));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// The name to ask for, where the server speaks TLS.
fn secure_name(settings: &Settings) -> Option<String> {
    let tls = settings.tls.as_ref()?;
    Some(
        tls.names
            .first()
            .cloned()
            .unwrap_or_else(|| "localhost".to_owned()),
    )
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(io::ErrorKind::TimedOut.into())
    } else {
        Ok(left)
    }
}

fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            "cannot be reached: nothing listens there".to_owned()
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "does not answer in time".to_owned(),
        io::ErrorKind::InvalidData => "answers with something that is not HTTP".to_owned(),
        _ => format!("cannot be reached: {error}"),
    }
}

trait Stream: Read + Write {
    fn wait_at_most(&self, time: Duration) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))
    }
}

impl Stream for UnixStream {
    fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))
    }
}

/// Reads until the deadline, however slowly the bytes come.
struct Timed {
    stream: Box<dyn Stream>,
    deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.wait_at_most(left(self.deadline)?)?;
        self.stream.read(buffer)
    }
}

impl Answer {
    /// The value of a header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// `None` where it is no HTTP, or not all of it.
    fn parse(text: &[u8], head_only: bool) -> Option<Self> {
        let end = text.windows(4).position(|four| four == b"\r\n\r\n")?;
        let mut lines = str::from_utf8(&text[..end]).ok()?.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let mut answer = Self {
            status,
            headers,
            body: Vec::new(),
        };
        let rest = &text[end + 4..];
        answer.body = if head_only {
            Vec::new()
        } else if answer.header("transfer-encoding").is_some() {
            unchunked(rest)?
        } else {
            match answer.header("content-length") {
                Some(length) => rest.get(..length.parse().ok()?)?.to_vec(),
                None => rest.to_vec(),
            }
        };
        Some(answer)
    }
}

/// RFC 9112 section 7.1, without extensions and trailers, which are not asked for.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size.checked_add(2)?..)?;
    }
}

impl FromStr for Server {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a URL such as https://registry.example.com or http://127.0.0.1:5000";
        let (is_secure, rest) = match text.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("http://").ok_or(EXPECTED)?),
        };
        if rest.contains('@') {
            return Err("no name and password in a URL: others on this machine could read them");
        }
        let (authority, path) = rest
            .split_once('/')
            .map_or((rest, ""), |(authority, path)| (authority, path));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && !port.ends_with(']') => {
                (host, port.parse().map_err(|_| EXPECTED)?)
            }
            _ => (authority, if is_secure { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || !path.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(EXPECTED);
        }
        let path = path.trim_end_matches('/');
        Ok(Self {
            place: Place::Tcp {
                host: host.to_owned(),
                port,
                secure: is_secure.then(|| host.to_owned()),
            },
            path: if path.is_empty() {
                String::new()
            } else {
                format!("/{path}")
            },
            anyone: false,
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp { host, port, secure } => {
                let scheme = if secure.is_some() { "https" } else { "http" };
                write!(f, "{scheme}://{}{}", authority(host, *port), self.path)
            }
            Place::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests;
