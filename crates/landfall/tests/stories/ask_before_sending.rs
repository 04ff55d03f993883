//! A client that asks before it sends a body is told to go on only when its request is in order, and a body that nobody wants is
//! not read to its end.
//!
//! Source: RFC 9110 section 10.1.1 (`Expect: 100-continue`).

use std::time::Instant;

use crate::harness::exchange::basic;
use crate::harness::passwords::bcrypt_line;
use crate::harness::{Connection, Landfall, digest_of, types};

const REPO: &str = "team/app";

/// Sends a request with `Expect: 100-continue` and holds its body back.
fn expecting(landfall: &Landfall, method: &str, target: &str, headers: &str) -> Connection {
    let mut connection = landfall.connect();
    connection.send(format!(
        "{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n{headers}\r\n"
    ));
    connection
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on_only_when_it_may() {
    let landfall = Landfall::start();
    let location = landfall.begin_upload(REPO);
    let mut connection = expecting(&landfall, "PATCH", &location, "");
    assert_eq!(connection.answer_or_interim().status, 100);
    connection
        .send("hello")
        .answer()
        .expect(202)
        .with_header("Range", "0-4");
    let unknown = format!("/v2/{REPO}/blobs/uploads/5f0c3b60-6f6a-4b39-9f0f-0c8a1f3f9d11");
    for method in ["PATCH", "PUT"] {
        let mut connection = expecting(
            &landfall,
            method,
            &format!("{unknown}?digest={}", digest_of("hello")),
            "",
        );
        connection
            .answer_or_interim()
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    let mut connection = expecting(&landfall, "PUT", &location, "");
    connection.answer_or_interim().expect_error(400, "DIGEST_INVALID");
    let mut connection = expecting(&landfall, "PATCH", &location, "Content-Range: 99-103\r\n");
    connection.answer_or_interim().expect_error(416, "RANGE_INVALID");
    let mut connection = expecting(
        &landfall,
        "PUT",
        &format!("/v2/{REPO}/manifests/.bad"),
        "Content-Type: application/json\r\n",
    );
    connection.answer_or_interim().expect_error(400, "TAG_INVALID");
    let mut connection = expecting(&landfall, "PUT", "/v2/BAD/manifests/latest", "");
    connection.answer_or_interim().expect_error(400, "NAME_INVALID");
}

#[test]
fn a_client_that_asks_first_without_a_login_is_told_at_once() {
    let landfall = Landfall::with_users(&bcrypt_line("busy", "bee")).0;
    for (method, target) in [
        ("POST", "/v2/a/blobs/uploads/?digest=x"),
        ("PUT", "/v2/a/manifests/latest"),
        ("PATCH", "/v2/a/blobs/uploads/x"),
    ] {
        let mut connection = expecting(&landfall, method, target, "");
        connection.answer_or_interim().expect_error(401, "UNAUTHORIZED");
    }
    let authorization = format!("Authorization: {}\r\n", basic("busy", "bee"));
    let target = format!("/v2/a/blobs/uploads/?digest={}", digest_of("hello"));
    let mut connection = expecting(&landfall, "POST", &target, &authorization);
    assert_eq!(connection.answer_or_interim().status, 100);
    connection.send("hello").answer().expect(201);
}

#[test]
fn a_manifest_announced_too_large_is_refused_before_it_is_sent() {
    let landfall = Landfall::start();
    let mut connection = landfall.connect();
    let head = format!(
        "PUT /v2/{REPO}/manifests/big HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\n",
        types::OCI_MANIFEST
    );
    connection.send(format!(
        "{head}Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
    ));
    connection
        .answer_or_interim()
        .expect_error(413, "MANIFEST_INVALID");
}

#[test]
fn a_huge_body_that_is_refused_is_not_read_to_its_end() {
    let landfall = Landfall::with_users(&bcrypt_line("busy", "bee")).0;
    let mut connection = landfall.connect();
    connection.send(format!(
        "PUT /v2/{REPO}/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n"
    ));
    let deadline = Instant::now() + crate::harness::PATIENCE;
    connection.answer().expect(401);
    let block = vec![b'x'; 65_536];
    while connection.try_send(&block).is_ok() {
        assert!(
            Instant::now() < deadline,
            "the server reads a terabyte that it has refused"
        );
    }
}
