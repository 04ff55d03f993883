//! Who is refused while it still sends learns why, whatever it does first: read, or send on.
//!
//! A server that closes with bytes unread resets the connection, and the answer is lost on the way. So it goes on reading for a
//! while, but not for ever. Source: RFC 9112 section 9.6.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::harness::exchange::{basic, chunk};
use crate::harness::passwords::bcrypt_line;
use crate::harness::{Connection, EMPTY_SHA256, Landfall, PATIENCE};

const MIB: usize = 1024 * 1024;
/// What a client wants to send …
const BODY_BYTES: usize = 64 * MIB;
/// … and how much of it it sends before it looks for an answer.
const UNREAD_BYTES: usize = 8 * MIB;
const PIECE_BYTES: usize = 64 * 1024;
const ROUNDS: usize = 20;

/// A connection, in the clear or over TLS, and what the server said on it.
struct Talk {
    line: Box<dyn Line>,
    said: Vec<u8>,
}

trait Line: Read + Write {}
impl<T: Read + Write> Line for T {}

impl Talk {
    fn open(landfall: &Landfall, tls: Option<&Arc<ClientConfig>>) -> Self {
        let stream = TcpStream::connect(landfall.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        // A look for an answer is also the pause between two pieces.
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let line: Box<dyn Line> = match tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::try_from("localhost").unwrap();
                let session = ClientConnection::new(Arc::clone(config), name).unwrap();
                Box::new(StreamOwned::new(session, stream))
            }
        };
        Self {
            line,
            said: Vec::new(),
        }
    }

    /// Sends bytes; whoever sees this fail gives up, as curl does.
    fn send(&mut self, mut bytes: &[u8]) {
        let deadline = Instant::now() + PATIENCE;
        while !bytes.is_empty() {
            assert!(Instant::now() < deadline, "the server takes nothing");
            match self.line.write(bytes) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if is_pause(error.kind()) => {}
                Err(error) => panic!("sending failed before the answer was there: {error}"),
            }
        }
    }

    /// Takes what has come; the answer, once it is whole.
    fn listen(&mut self) -> Option<String> {
        let mut bytes = [0; 4096];
        match self.line.read(&mut bytes) {
            Ok(0) => panic!(
                "closed after {:?} of an answer",
                String::from_utf8_lossy(&self.said)
            ),
            Ok(read) => self.said.extend_from_slice(&bytes[..read]),
            Err(error) if is_pause(error.kind()) => {}
            Err(error) => panic!("reading failed before the answer was there: {error}"),
        }
        let text = String::from_utf8(self.said.clone()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map(|length| length.parse::<usize>().unwrap());
        (body.len() == length.unwrap_or_default()).then_some(text)
    }

    fn answer(&mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = self.listen() {
                return answer;
            }
            assert!(Instant::now() < deadline, "no answer");
        }
    }
}

fn is_pause(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// What a client sends, and how it is refused.
struct Case {
    request: String,
    headers: &'static str,
    is_chunked: bool,
    status: u16,
    words: &'static str,
}

/// Without a look at what the server says, and then with one after each piece.
fn send_until_refused(mut talk: Talk, case: &Case) {
    let coding = if case.is_chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {BODY_BYTES}")
    };
    let plain = vec![b'x'; PIECE_BYTES];
    let piece = if case.is_chunked { chunk(&plain) } else { plain };
    talk.send(head(&case.request, &format!("{}{coding}", case.headers)).as_bytes());
    let mut answer = None;
    for n in 0..BODY_BYTES / PIECE_BYTES {
        if n * PIECE_BYTES >= UNREAD_BYTES {
            answer = talk.listen();
        }
        if answer.is_some() {
            break;
        }
        talk.send(&piece);
    }
    let answer = answer.unwrap_or_else(|| talk.answer());
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {}", case.status)) && answer.contains(case.words),
        "{}:\n{answer}",
        case.request
    );
}

fn head(request: &str, headers: &str) -> String {
    let login = basic("busy", "bee");
    format!("{request} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {login}\r\n{headers}\r\n\r\n")
}

/// A server where somebody may push, but little.
fn with_quota(config: &str) -> Landfall {
    let home = Landfall::builder();
    let path = home.file("htpasswd", bcrypt_line("busy", "bee"));
    let quota = "quotas: [{match: team/, bytes: 100kB}]\n";
    home.htpasswd(&path).config(&format!("{quota}{config}")).start()
}

/// Where an upload that was just begun goes on.
fn begun(landfall: &Landfall, tls: Option<&Arc<ClientConfig>>) -> String {
    let mut talk = Talk::open(landfall, tls);
    talk.send(head("POST /v2/team/app/blobs/uploads/", "Content-Length: 0").as_bytes());
    let answer = talk.answer();
    let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
    let location = location.unwrap_or_else(|| panic!("no location:\n{answer}"));
    location[location.find("/v2/").unwrap()..].to_owned()
}

/// Every client of many, refused in each of the ways, reads the whole of the refusal.
fn expect_refusals_to_arrive(landfall: &Landfall, tls: Option<&Arc<ClientConfig>>) {
    for _ in 0..ROUNDS {
        let cases = [
            Case {
                request: format!("PATCH {}", begun(landfall, tls)),
                headers: "Content-Range: 0-67108863\r\n",
                is_chunked: true,
                status: 403,
                words: "over quota",
            },
            Case {
                request: format!("PUT {}&digest={EMPTY_SHA256}", begun(landfall, tls)),
                headers: "",
                is_chunked: false,
                status: 403,
                words: "over quota",
            },
            Case {
                request: "PUT /v2/team/app/manifests/huge".into(),
                headers: "",
                is_chunked: true,
                status: 413,
                words: "MANIFEST_INVALID",
            },
            Case {
                request: "PUT /v2/team/app/manifests/.bad".into(),
                headers: "",
                is_chunked: false,
                status: 400,
                words: "TAG_INVALID",
            },
        ];
        for case in &cases {
            send_until_refused(Talk::open(landfall, tls), case);
        }
    }
}

#[test]
fn a_refusal_arrives_although_the_client_still_sends() {
    let landfall = with_quota("");
    expect_refusals_to_arrive(&landfall, None);
    landfall.stop();
}

#[test]
fn a_refusal_arrives_over_tls_too() {
    let config = "http: {plain_addr: '127.0.0.1:0'}\ntls: {mode: local, names: [localhost]}\n";
    let landfall = with_quota(config);
    let ca = landfall.how().data_dir().join("landfall/tls/local/ca.pem");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    expect_refusals_to_arrive(&landfall, Some(&Arc::new(client)));
    landfall.stop();
}

/// Somebody who has been refused, and has a terabyte left to send.
fn refused(landfall: &Landfall) -> Connection {
    let mut connection = landfall.connect();
    connection.send(
        "PUT /v2/team/app/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\
         Expect: 100-continue\r\n\r\n",
    );
    connection
        .answer_or_interim()
        .expect_error(413, "MANIFEST_INVALID");
    connection
}

#[test]
fn who_never_stops_sending_is_cut_off_and_costs_no_memory() {
    let landfall = Landfall::start();
    let before = landfall.memory_peak();
    let mut connection = refused(&landfall);
    let mut sent = 0;
    let block = vec![b'x'; PIECE_BYTES];
    while connection.try_send(&block).is_ok() {
        sent += block.len();
        assert!(sent < 256 * MIB, "the server reads what it has refused for ever");
    }
    assert!(sent > UNREAD_BYTES, "cut off after {sent} bytes");
    let grown = landfall.memory_peak() - before;
    assert!(
        grown < 32 * MIB as u64,
        "memory grew by {} MiB",
        grown / MIB as u64
    );
    landfall.stop();
}

#[test]
fn who_was_refused_and_still_sends_does_not_hold_the_end_up() {
    // Less than a client may go on for, so that one who is waited for is warned of.
    let builder = Landfall::builder().env("REGISTRY_HTTP_DRAINTIMEOUT", "10s");
    let mut landfall = builder.start();
    let mut connections: Vec<_> = (0..10).map(|_| refused(&landfall)).collect();
    let sending = std::thread::spawn(move || {
        while connections
            .iter_mut()
            .any(|connection| connection.try_send("x").is_ok())
        {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    landfall.ask_to_stop();
    landfall.expect_drained();
    sending.join().unwrap();
    landfall.log().expect_clean();
}
