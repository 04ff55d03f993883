//! HTTP/1.1 from the client's side, just enough to push and pull: one kept-alive connection, sized and chunked bodies.
//!
//! Units: bytes. Shape: [`Connection::send`] takes a [`Request`] and gives a [`Response`] with its body in memory;
//! [`Connection::fetch`] streams the body into a sink instead.
//! Fails: `io::Error`, also for an answer that is not HTTP; the connection is of no use after that.
//! Source: RFC 9112.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server that says nothing for this long hangs.
const SILENCE_SECONDS_MAX: u64 = 60;
const COPY_BYTES: usize = 256 * 1024;

/// The bytes of a request.
pub enum Body<'a> {
    /// None.
    Empty,
    /// With `Content-Length`.
    Sized(&'a [u8]),
    /// With `Transfer-Encoding: chunked`, in chunks of this many bytes.
    Chunked(&'a [u8], usize),
    /// With `Content-Length`, read from a source while sending.
    Stream(u64, &'a mut dyn Read),
    /// `Transfer-Encoding: chunked`, read from a source until its end while sending.
    ChunkedStream(&'a mut dyn Read),
}

/// One request.
pub struct Request<'a> {
    /// `GET`, `PUT`, …
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Fields beside those that the body brings.
    pub headers: &'a [(&'a str, &'a str)],
    /// What is sent.
    pub body: Body<'a>,
}

impl<'a> Request<'a> {
    /// A request without a body.
    #[must_use]
    pub fn new(method: &'a str, target: &'a str) -> Self {
        Self {
            method,
            target,
            headers: &[],
            body: Body::Empty,
        }
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body; empty where it was streamed elsewhere.
    pub body: Vec<u8>,
}

impl Response {
    /// A field by its name, in whatever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Path and query of the `Location`, which may be a whole address.
    pub fn location(&self) -> io::Result<String> {
        let location = self
            .header("location")
            .ok_or_else(|| bad("an answer without a Location"))?;
        let path = location
            .split_once("://")
            .map(|(_, rest)| &rest[rest.find('/').unwrap_or(rest.len())..]);
        Ok(path.unwrap_or(location).to_owned())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.parse().ok()
    }
}

/// A connection that is used again and again.
pub struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
    authorization: Option<String>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(SILENCE_SECONDS_MAX)))?;
        stream.set_write_timeout(Some(Duration::from_secs(SILENCE_SECONDS_MAX)))?;
        Ok(Self {
            stream: BufReader::new(stream),
            host: address.to_string(),
            authorization: None,
        })
    }

    /// Sends this `Authorization` with every request from now on.
    pub fn authorize(&mut self, authorization: &str) {
        self.authorization = Some(authorization.to_owned());
    }

    /// Sends and reads the whole answer.
    pub fn send(&mut self, request: Request<'_>) -> io::Result<Response> {
        let mut body = Vec::new();
        let mut response = self.fetch(request, &mut body)?;
        response.body = body;
        Ok(response)
    }

    /// Sends, and gives the body of the answer to the sink as it comes.
    pub fn fetch(&mut self, request: Request<'_>, sink: &mut dyn Write) -> io::Result<Response> {
        let method = request.method.to_owned();
        if let Err(error) = self.write(request) {
            // A server may refuse before it has read everything; its answer says more than the broken pipe.
            return self.read_head().map_err(|_| error);
        }
        let response = self.read_head()?;
        if method == "HEAD" || response.status == 204 || response.status == 304 {
            return Ok(response);
        }
        if response
            .header("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
        {
            self.copy_chunks(sink)?;
        } else {
            let length = response
                .number("content-length")
                .ok_or_else(|| bad("an answer without a length"))?;
            self.copy(length, sink)?;
        }
        Ok(response)
    }

    #[expect(
        clippy::format_push_string,
        reason = "writing to a String would need its error ignored"
    )]
    fn write(&mut self, request: Request<'_>) -> io::Result<()> {
        let Request {
            method,
            target,
            headers,
            body,
        } = request;
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: landfall-e2e\r\n",
            self.host
        );
        if let Some(authorization) = &self.authorization {
            head.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match &body {
            Body::Empty if method == "GET" || method == "HEAD" => {}
            Body::Empty => head.push_str("Content-Length: 0\r\n"),
            Body::Sized(bytes) => head.push_str(&format!("Content-Length: {}\r\n", bytes.len())),
            Body::Stream(length, _) => head.push_str(&format!("Content-Length: {length}\r\n")),
            Body::Chunked(..) | Body::ChunkedStream(_) => head.push_str("Transfer-Encoding: chunked\r\n"),
        }
        head.push_str("\r\n");
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        match body {
            Body::Empty => Ok(()),
            Body::Sized(bytes) => stream.write_all(bytes),
            Body::Chunked(bytes, size) => {
                bytes
                    .chunks(size.max(1))
                    .try_for_each(|chunk| write_chunk(stream, chunk))?;
                stream.write_all(b"0\r\n\r\n")
            }
            Body::Stream(length, source) => {
                let sent = copy_pieces(source.take(length), |piece| stream.write_all(piece))?;
                if sent == length {
                    Ok(())
                } else {
                    Err(ErrorKind::UnexpectedEof.into())
                }
            }
            Body::ChunkedStream(source) => {
                copy_pieces(source, |piece| write_chunk(stream, piece))?;
                stream.write_all(b"0\r\n\r\n")
            }
        }
    }

    fn read_head(&mut self) -> io::Result<Response> {
        loop {
            let status_line = self.read_line()?;
            let status = status_line
                .strip_prefix("HTTP/1.1 ")
                .and_then(|rest| rest.get(..3)?.parse().ok())
                .ok_or_else(|| bad(&format!("not a status line: {status_line:?}")))?;
            let mut headers = Vec::new();
            loop {
                let line = self.read_line()?;
                if line.is_empty() {
                    break;
                }
                let (name, value) = line
                    .split_once(':')
                    .ok_or_else(|| bad(&format!("not a field: {line:?}")))?;
                headers.push((name.to_owned(), value.trim().to_owned()));
            }
            if status != 100 {
                return Ok(Response {
                    status,
                    headers,
                    body: Vec::new(),
                });
            }
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn copy(&mut self, length: u64, sink: &mut dyn Write) -> io::Result<()> {
        let copied = copy_pieces((&mut self.stream).take(length), |piece| sink.write_all(piece))?;
        if copied == length {
            Ok(())
        } else {
            Err(ErrorKind::UnexpectedEof.into())
        }
    }

    fn copy_chunks(&mut self, sink: &mut dyn Write) -> io::Result<()> {
        loop {
            let line = self.read_line()?;
            let length = u64::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
                .map_err(|_| bad(&format!("not a chunk size: {line:?}")))?;
            if length == 0 {
                while !self.read_line()?.is_empty() {}
                return Ok(());
            }
            self.copy(length, sink)?;
            self.read_line()?;
        }
    }
}

fn write_chunk(stream: &mut TcpStream, chunk: &[u8]) -> io::Result<()> {
    stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes())?;
    stream.write_all(chunk)?;
    stream.write_all(b"\r\n")
}

fn copy_pieces(mut source: impl Read, mut put: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut copied = 0;
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(copied),
            length => {
                put(&buffer[..length])?;
                copied += length as u64;
            }
        }
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
