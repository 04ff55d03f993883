//! A registry on a unix socket, for a proxy on the same machine.
//!
//! Source: `http.net: unix` of the CNCF registry, where `http.addr` is the path of the socket.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::harness::server::Builder;
use crate::harness::{Landfall, digest_of, noise};

fn on_socket(home: &Builder, socket: &Path) -> Builder {
    let config = format!("http: {{net: unix, addr: {}}}\n", socket.display());
    home.clone().listen(None).config(&config)
}

/// One exchange on a connection of its own: the head and the body of the answer.
fn ask(socket: &Path, request: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = UnixStream::connect(socket).unwrap();
    let head = format!("{request} HTTP/1.1\r\nHost: registry.example\r\nConnection: close\r\n");
    write!(stream, "{head}Content-Length: {}\r\n\r\n", body.len()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap().to_ascii_lowercase(), body)
}

#[test]
fn a_proxy_on_the_same_machine_finds_the_registry_on_a_socket() {
    let home = Landfall::builder();
    let socket = home.home().join("registry.sock");
    let server = on_socket(&home, &socket);
    let landfall = server.start_elsewhere(&socket.display().to_string());
    let bytes = noise("over a socket", 100_000);
    let digest = digest_of(&bytes);
    let push = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    let (head, _) = ask(&socket, &push, &bytes);
    assert!(head.starts_with("http/1.1 201"), "{head}");
    assert!(head.contains("location: "), "{head}");
    let (head, pulled) = ask(&socket, &format!("GET /v2/a/blobs/{digest}"), b"");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(pulled == bytes);
    // A crash leaves the socket's file behind: it is in nobody's way.
    landfall.kill();
    assert!(socket.exists());
    let landfall = server.start_elsewhere(&socket.display().to_string());
    let (head, pulled) = ask(&socket, &format!("GET /v2/a/blobs/{digest}"), b"");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(pulled == bytes);
    landfall.stop();
}
