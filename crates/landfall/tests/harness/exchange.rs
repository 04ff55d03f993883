//! One request and its answer. A [`Client`] knows where the server is and who asks; a [`Request`] is built up and sent on a
//! connection of its own; a [`Response`] is what came back, with the assertions that stories make about it.
//!
//! Fails: by panicking with both sides of the exchange.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::rules;
use super::wire::Connection;

/// Where the server is, and who asks.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    authorization: Option<String>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            authorization: None,
        }
    }

    /// The same server, asked by somebody who has a password.
    pub(crate) fn as_user(&self, user: &str, password: &str) -> Self {
        self.with_authorization(&basic(user, password))
    }

    /// The same server, asked with this `Authorization`.
    pub(crate) fn with_authorization(&self, value: &str) -> Self {
        Self {
            address: self.address,
            authorization: Some(value.to_owned()),
        }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    pub(crate) fn request(&self, method: &str, target: &str) -> Request {
        let request = Request {
            address: self.address,
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Body::None,
        };
        match &self.authorization {
            Some(value) => request.header("Authorization", value),
            None => request,
        }
    }

    pub(crate) fn get(&self, target: &str) -> Request {
        self.request("GET", target)
    }

    pub(crate) fn head(&self, target: &str) -> Request {
        self.request("HEAD", target)
    }

    pub(crate) fn post(&self, target: &str) -> Request {
        self.request("POST", target)
    }

    pub(crate) fn put(&self, target: &str) -> Request {
        self.request("PUT", target)
    }

    pub(crate) fn patch(&self, target: &str) -> Request {
        self.request("PATCH", target)
    }

    pub(crate) fn delete(&self, target: &str) -> Request {
        self.request("DELETE", target)
    }
}

/// `Basic …` of a user and a password.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

enum Body {
    None,
    Whole(Vec<u8>),
    Chunked(Vec<Vec<u8>>),
}

/// A request that is being put together.
pub(crate) struct Request {
    address: SocketAddr,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Body,
}

impl Request {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Appends a query parameter; the value goes out as it is.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        let separator = if self.target.contains('?') { '&' } else { '?' };
        write!(self.target, "{separator}{name}={value}").unwrap();
        self
    }

    /// A body with `Content-Length`.
    pub(crate) fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Whole(bytes.into());
        self
    }

    /// A body in `Transfer-Encoding: chunked`, one chunk for each piece.
    pub(crate) fn chunked_body(mut self, pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.body = Body::Chunked(pieces.into_iter().collect());
        self
    }

    /// Sends on a connection of its own and reads the whole answer.
    pub(crate) fn send(self) -> Response {
        let mut connection = Connection::open(self.address);
        self.send_on(&mut connection)
    }

    /// Sends on a connection that is kept, and reads the whole answer while still writing: a server may answer early.
    pub(crate) fn send_on(self, connection: &mut Connection) -> Response {
        let mut writer = connection.writer();
        let bytes = self.to_bytes();
        let head = self.method == "HEAD";
        let response = std::thread::scope(|scope| {
            let sending = scope.spawn(move || writer.write_all(&bytes));
            let response = connection.try_answer(head);
            sending.join().unwrap().ok(); // a server that answered early may have closed: the answer tells
            response
        });
        let story = format!("{} {}", self.method, self.target);
        let response = response.unwrap_or_else(|error| panic!("{story}: no whole answer: {error}"));
        rules::hold(&self.method, &self.target, &response);
        response
    }

    /// The request as it goes over the wire.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let named = |wanted: &str| {
            self.headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        if !named("Host") {
            write!(head, "Host: {}\r\n", self.address).unwrap();
        }
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        match &self.body {
            Body::None if ["POST", "PUT", "PATCH"].contains(&&*self.method) && !named("Content-Length") => {
                head.push_str("Content-Length: 0\r\n");
            }
            Body::Whole(bytes) if !named("Content-Length") => {
                write!(head, "Content-Length: {}\r\n", bytes.len()).unwrap();
            }
            Body::Chunked(_) => head.push_str("Transfer-Encoding: chunked\r\n"),
            Body::None | Body::Whole(_) => {}
        }
        let mut bytes = (head + "\r\n").into_bytes();
        match &self.body {
            Body::None => {}
            Body::Whole(body) => bytes.extend_from_slice(body),
            Body::Chunked(pieces) => {
                for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
                    bytes.extend_from_slice(&chunk(piece));
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
        }
        bytes
    }
}

/// One chunk of a chunked body.
pub(crate) fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// What the server answered: header names in lower case, in the order they came.
#[derive(Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of a header that may come once at most.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value);
        let first = values.next();
        assert!(values.next().is_none(), "{name} comes more than once:\n{self}");
        first
    }

    /// The value of a header that must be there.
    pub(crate) fn expect_header(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("no {name}:\n{self}"))
    }

    /// A header has exactly this value.
    pub(crate) fn with_header(self, name: &str, value: &str) -> Self {
        assert_eq!(self.header(name), Some(value), "{name} of:\n{self}");
        self
    }

    pub(crate) fn without_header(self, name: &str) -> Self {
        assert_eq!(self.header(name), None, "{name} of:\n{self}");
        self
    }

    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "the answer was:\n{self}");
        self
    }

    /// An error document with this status and, in its first entry, this code.
    pub(crate) fn expect_error(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(
            answer.codes().first().map(String::as_str),
            Some(code),
            "the answer was:\n{answer}"
        );
        answer
    }

    /// The codes of an error document.
    pub(crate) fn codes(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .map(|error| error["code"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// The first message of an error document.
    pub(crate) fn message(&self) -> String {
        self.json()["errors"][0]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}):\n{self}"))
    }

    /// A list of words in a JSON document, such as `tags`.
    pub(crate) fn words(&self, key: &str) -> Vec<String> {
        let list = self.json()[key]
            .as_array()
            .cloned()
            .unwrap_or_else(|| panic!("{key} is no list:\n{self}"));
        list.iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    }

    /// The target of `Link: <…>; rel="next"`, if there is one.
    pub(crate) fn next_page(&self) -> Option<String> {
        let link = self.header("Link")?;
        let (target, rest) = link
            .strip_prefix('<')
            .and_then(|link| link.split_once('>'))
            .expect("Link: <target>");
        assert_eq!(
            rest.trim_start_matches(';').trim(),
            "rel=\"next\"",
            "Link: {link}"
        );
        assert!(target.starts_with('/'), "Link targets are path-only: {link}");
        Some(target.to_owned())
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        let text = String::from_utf8_lossy(&self.body);
        let shown: String = text.chars().take(2000).collect();
        write!(f, "\n{shown}")
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}
