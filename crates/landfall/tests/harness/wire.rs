//! HTTP/1.1 on a socket, by hand: what is sent is exactly what the story says, and what comes back is kept as it came.
//!
//! Shape: a [`Connection`] writes bytes and reads whole answers (any number of them); the framing of RFC 9112 section 6 is here.
//! Fails: by panicking when an answer is not HTTP, is cut, or does not come within [`PATIENCE`](super::PATIENCE).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::PATIENCE;
use super::exchange::Response;

/// One TCP connection to the server.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream =
            TcpStream::connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        Self::over(stream)
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream
            .get_ref()
            .write_all(bytes.as_ref())
            .expect("the server takes what is sent");
        self
    }

    /// Sends bytes as they are, to a server that may already have answered and hung up.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_ref().write_all(bytes.as_ref())
    }

    /// Another handle on the same socket, to write while this one reads.
    pub(crate) fn writer(&self) -> TcpStream {
        self.stream.get_ref().try_clone().unwrap()
    }

    /// The next final answer to a request that is not HEAD; 1xx answers are passed over.
    pub(crate) fn answer(&mut self) -> Response {
        self.read_final(false)
            .unwrap_or_else(|error| panic!("no whole answer: {error}"))
    }

    /// The next answer, be it interim (1xx) or final.
    pub(crate) fn answer_or_interim(&mut self) -> Response {
        self.read_one(false)
            .unwrap_or_else(|error| panic!("no whole answer: {error}"))
    }

    /// The next final answer, or how the connection ended without one.
    pub(crate) fn try_answer(&mut self, head: bool) -> io::Result<Response> {
        self.read_final(head)
    }

    /// The head of the next answer; its body stays on the wire.
    pub(crate) fn answer_head_only(&mut self) -> Response {
        self.read_head()
            .unwrap_or_else(|error| panic!("no head of an answer: {error}"))
    }

    /// Reads so many bytes of a body.
    pub(crate) fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The server closes; what it still says before that is answered.
    pub(crate) fn expect_closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => rest,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => rest,
            Err(error) => panic!("the server should have closed the connection: {error}"),
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish_sending(&mut self) {
        self.stream.get_ref().shutdown(Shutdown::Write).ok();
    }

    fn read_final(&mut self, head: bool) -> io::Result<Response> {
        loop {
            let response = self.read_one(head)?;
            if response.status >= 200 {
                return Ok(response);
            }
        }
    }

    fn read_one(&mut self, head: bool) -> io::Result<Response> {
        let mut response = self.read_head()?;
        if head || response.status < 200 || response.status == 204 || response.status == 304 {
            return Ok(response);
        }
        if response
            .header("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
        {
            self.read_chunks(&mut response.body)?;
        } else if let Some(length) = response.header("content-length") {
            let length: u64 = length
                .parse()
                .map_err(|_| malformed(format!("Content-Length: {length}")))?;
            let read = self
                .stream
                .by_ref()
                .take(length)
                .read_to_end(&mut response.body)?;
            if read as u64 != length {
                return Err(malformed(format!(
                    "body of {read} bytes, Content-Length {length}"
                )));
            }
        } else {
            self.stream.read_to_end(&mut response.body)?;
        }
        Ok(response)
    }

    fn read_head(&mut self) -> io::Result<Response> {
        let status_line = self.read_line()?;
        let mut words = status_line.splitn(3, ' ');
        let (Some("HTTP/1.1" | "HTTP/1.0"), Some(status)) = (words.next(), words.next()) else {
            return Err(malformed(format!("status line {status_line:?}")));
        };
        let status = status
            .parse()
            .map_err(|_| malformed(format!("status line {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(Response {
                    status,
                    headers,
                    body: Vec::new(),
                });
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| malformed(format!("header {line:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn read_chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let line = self.read_line()?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size =
                u64::from_str_radix(digits, 16).map_err(|_| malformed(format!("chunk size {line:?}")))?;
            self.stream.by_ref().take(size).read_to_end(body)?;
            let end = self.read_line()?;
            match (size, end.as_str()) {
                (0, "") => return Ok(()),
                (1.., "") => {}
                _ => return Err(malformed(format!("{end:?} after a chunk"))),
            }
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server closed the connection",
            ));
        }
        let text =
            String::from_utf8(line).map_err(|_| malformed("a header line that is not UTF-8".to_owned()))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn malformed(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
