//! The client of the benchmark: HTTP/1.1 over a blocking socket, with as little work of its own as possible.
//!
//! Units: bytes. Shape: an [`Endpoint`] is where a server listens and how it is spoken to; a [`Wire`] is one connection to it
//! that is used again and again. A request is written as the bytes that [`Endpoint::request`] made beforehand. Bodies of
//! answers are read into one buffer and forgotten, unless their digest is asked for with [`Wire::digest_of`].
//! Fails: `io::Error`, also for a status that was not expected; the connection is of no use after that.
//! Source: RFC 9112.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use e2e::client::text_of;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use sha2::{Digest as _, Sha256};

use super::head::{self, Head};
use super::tls;

const SILENCE_SECONDS_MAX: u64 = 120;
const HEAD_BYTES_MAX: usize = 64 * 1024;
const BODY_BUFFER_BYTES: usize = 1 << 20;
/// All manifests here are of this type.
pub(crate) const MANIFEST_TYPE: &str = e2e::client::MANIFEST_TYPE;

/// Where a server listens, and how it is spoken to.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// The value of the field `Authorization`.
    pub(crate) authorization: Option<String>,
}

impl Endpoint {
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            authorization: None,
        }
    }

    /// A request without a body of its own: `framing` is a line such as `Content-Length: 5`, or nothing.
    pub(crate) fn head(&self, method: &str, target: &str, framing: &str) -> Vec<u8> {
        let authorization = self
            .authorization
            .as_deref()
            .map_or(String::new(), |value| format!("Authorization: {value}\r\n"));
        let end = if framing.is_empty() { "" } else { "\r\n" };
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nAccept: {MANIFEST_TYPE}\r\n{authorization}{framing}{end}\r\n",
            self.address
        );
        head.into_bytes()
    }

    pub(crate) fn get(&self, target: &str) -> Vec<u8> {
        self.head("GET", target, "")
    }

    pub(crate) fn request(&self, method: &str, target: &str, body: &[u8]) -> Vec<u8> {
        let mut request = self.head(method, target, &format!("Content-Length: {}", body.len()));
        request.extend_from_slice(body);
        request
    }

    pub(crate) fn manifest_put(&self, target: &str, manifest: &[u8]) -> Vec<u8> {
        let framing = format!(
            "Content-Type: {MANIFEST_TYPE}\r\nContent-Length: {}",
            manifest.len()
        );
        let mut request = self.head("PUT", target, &framing);
        request.extend_from_slice(manifest);
        request
    }
}

/// What came back, but for the body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    length: Option<u64>,
    is_chunked: bool,
    location: Option<Box<str>>,
}

impl Answer {
    /// Path and query of the `Location`, which may be a whole address.
    pub(crate) fn location(&self) -> io::Result<&str> {
        let location = self
            .location
            .as_deref()
            .ok_or_else(|| bad("an answer without a Location"))?;
        Ok(match location.split_once("://") {
            Some((_, rest)) => &rest[rest.find('/').unwrap_or(rest.len())..],
            None => location,
        })
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A connection.
pub(crate) struct Wire {
    stream: Stream,
    /// What was read and not yet used is `buffer[used..filled]`.
    buffer: Vec<u8>,
    used: usize,
    filled: usize,
    body: Vec<u8>,
}

impl Wire {
    pub(crate) fn open(endpoint: &Endpoint) -> io::Result<Self> {
        let socket = TcpStream::connect(endpoint.address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(SILENCE_SECONDS_MAX)))?;
        socket.set_write_timeout(Some(Duration::from_secs(SILENCE_SECONDS_MAX)))?;
        let stream = match &endpoint.tls {
            None => Stream::Plain(socket),
            Some(config) => Stream::Tls(Box::new(tls::connect(config, socket)?)),
        };
        Ok(Self {
            stream,
            buffer: vec![0; HEAD_BYTES_MAX],
            used: 0,
            filled: 0,
            body: Vec::new(),
        })
    }

    /// Sends a request, forgets the body of the answer, and demands this status.
    pub(crate) fn ask(&mut self, request: &[u8], status: u16) -> io::Result<Answer> {
        self.write(request)?;
        let answer = self.answer(status)?;
        if !request.starts_with(b"HEAD ") {
            self.forget(&answer)?;
        }
        Ok(answer)
    }

    /// The same, but says what the body hashes to.
    pub(crate) fn digest_of(&mut self, request: &[u8], status: u16) -> io::Result<String> {
        self.write(request)?;
        let answer = self.answer(status)?;
        let mut hash = Sha256::new();
        self.each_piece(&answer, |piece| hash.update(piece))?;
        Ok(text_of(hash))
    }

    /// A part of a request.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(socket) => socket.write_all(bytes),
            Stream::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Reads the head of the answer and demands this status.
    pub(crate) fn answer(&mut self, status: u16) -> io::Result<Answer> {
        let answer = self.read_head()?;
        if answer.status == status {
            return Ok(answer);
        }
        let mut body = Vec::new();
        self.each_piece(&answer, |piece| body.extend_from_slice(piece))?;
        body.truncate(500);
        Err(io::Error::other(format!(
            "{} instead of {status}: {}",
            answer.status,
            String::from_utf8_lossy(&body)
        )))
    }

    /// Reads the body to its end and forgets it; how many bytes it had.
    pub(crate) fn forget(&mut self, answer: &Answer) -> io::Result<u64> {
        let mut bytes = 0;
        self.each_piece(answer, |piece| bytes += piece.len() as u64)?;
        Ok(bytes)
    }

    /// Reads about this much of a body that nobody will read to its end.
    pub(crate) fn sip(&mut self) -> io::Result<usize> {
        self.used = 0;
        self.filled = 0;
        self.fill()?;
        Ok(self.filled)
    }

    fn read_head(&mut self) -> io::Result<Answer> {
        loop {
            if let Some(end) = head::end(&self.buffer[self.used..self.filled]) {
                let head = Head::parse(&self.buffer[self.used..self.used + end])
                    .and_then(|head| Some((head.status()?, head)));
                let (status, head) = head.ok_or_else(|| bad("an answer that is not HTTP/1.1"))?;
                let answer = Answer {
                    status,
                    length: head.content_length,
                    is_chunked: head.is_chunked,
                    location: head.location.map(Into::into),
                };
                self.used += end;
                if status != 100 {
                    return Ok(answer);
                }
            } else {
                self.make_room()?;
                self.fill()?;
            }
        }
    }

    /// Moves what is unused to the front.
    fn make_room(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.used..self.filled, 0);
        self.filled -= self.used;
        self.used = 0;
        if self.filled == self.buffer.len() {
            return Err(bad("a head without end"));
        }
        Ok(())
    }

    fn fill(&mut self) -> io::Result<()> {
        let length = read(&mut self.stream, &mut self.buffer[self.filled..])?;
        self.filled += length;
        Ok(())
    }

    fn each_piece(&mut self, answer: &Answer, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        if answer.status == 204 || answer.status == 304 {
            return Ok(());
        }
        if !answer.is_chunked {
            let length = answer.length.ok_or_else(|| bad("an answer without a length"))?;
            return self.sized(length, &mut take);
        }
        loop {
            let Some(chunk) = head::chunk(&self.buffer[self.used..self.filled]) else {
                self.make_room()?;
                self.fill()?;
                continue;
            };
            let (length, line) = chunk.map_err(bad)?;
            self.used += line;
            self.sized(length, &mut take)?;
            // The end of the line after a chunk; the last one has no trailers here.
            self.sized(2, &mut |_: &[u8]| ())?;
            if length == 0 {
                return Ok(());
            }
        }
    }

    fn sized(&mut self, length: u64, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let here = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(self.filled - self.used);
        take(&self.buffer[self.used..self.used + here]);
        self.used += here;
        let mut left = length - here as u64;
        if left == 0 {
            return Ok(());
        }
        self.body.resize(BODY_BUFFER_BYTES, 0);
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(self.body.len());
            let length = read(&mut self.stream, &mut self.body[..room])?;
            take(&self.body[..length]);
            left -= length as u64;
        }
        Ok(())
    }
}

fn read(stream: &mut Stream, buffer: &mut [u8]) -> io::Result<usize> {
    let length = match stream {
        Stream::Plain(socket) => socket.read(buffer),
        Stream::Tls(stream) => stream.read(buffer),
    }?;
    if length == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(length)
}

fn bad(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
