//! Connections behave: kept when they can be, closed when they must be, and no client's manners cost another one anything.
//!
//! Source: RFC 9110 section 10.1.1 (Expect), RFC 9112 sections 3, 6, 9; RFC 6585 section 5 (431).

use std::io::Read as _;
use std::time::Duration;

use crate::harness::passwords::bcrypt_line;
use crate::harness::{Connection, Image, Landfall, digest_of, noise, wait_until};

const REPO: &str = "team/app";

#[test]
fn one_connection_serves_a_whole_push_and_pull() {
    let landfall = Landfall::start();
    let mut connection = landfall.connect();
    let bytes = noise("kept", 100_000);
    let digest = digest_of(&bytes);
    landfall.get("/v2/").send_on(&mut connection).expect(200);
    landfall
        .head(&format!("/v2/{REPO}/blobs/{digest}"))
        .send_on(&mut connection)
        .expect(404);
    let begun = landfall
        .post(&format!("/v2/{REPO}/blobs/uploads/"))
        .send_on(&mut connection)
        .expect(202);
    let patch = landfall
        .patch(&begun.location())
        .chunked_body([bytes.clone()])
        .send_on(&mut connection)
        .expect(202);
    landfall
        .put(&patch.location())
        .query("digest", &digest)
        .send_on(&mut connection)
        .expect(201);
    landfall
        .get("/v2/none/tags/list")
        .send_on(&mut connection)
        .expect(404);
    let blob = landfall
        .get(&format!("/v2/{REPO}/blobs/{digest}"))
        .send_on(&mut connection)
        .expect(200);
    assert!(blob.body == bytes);
    landfall
        .get(&format!("/v2/{REPO}/blobs/{digest}"))
        .header("Range", "bytes=5-9")
        .send_on(&mut connection)
        .expect(206);
    landfall.get("/v2/").send_on(&mut connection).expect(200);
}

#[test]
fn a_challenge_does_not_cost_the_connection() {
    let landfall = Landfall::with_users(&bcrypt_line("busy", "bee")).0;
    let mut connection = landfall.connect();
    landfall.get("/v2/").send_on(&mut connection).expect(401);
    landfall
        .as_user("busy", "wrong")
        .get("/v2/")
        .send_on(&mut connection)
        .expect(401);
    landfall
        .as_user("busy", "bee")
        .get("/v2/")
        .send_on(&mut connection)
        .expect(200);
    let small = landfall
        .post(&format!("/v2/{REPO}/blobs/uploads/"))
        .body("small")
        .send_on(&mut connection);
    small.expect(401);
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let landfall = Landfall::start();
    let image = Image::new("pipelined");
    landfall.push(REPO, "latest", &image);
    let blob = digest_of(&image.blobs[0]);
    let mut connection = landfall.connect();
    let ahead = [
        landfall.get("/v2/").to_bytes(),
        landfall.get(&format!("/v2/{REPO}/manifests/latest")).to_bytes(),
        landfall.get("/v2/none/tags/list").to_bytes(),
        landfall.post(&format!("/v2/{REPO}/blobs/uploads/")).to_bytes(),
        landfall.get(&format!("/v2/{REPO}/blobs/{blob}")).to_bytes(),
    ];
    connection.send(ahead.concat());
    assert_eq!(connection.answer().expect(200).body, b"{}");
    assert_eq!(connection.answer().expect(200).body, image.manifest().bytes);
    connection.answer().expect(404);
    connection.answer().expect(202);
    assert_eq!(connection.answer().expect(200).body, image.blobs[0]);
}

#[test]
fn connection_close_is_honoured() {
    let landfall = Landfall::start();
    let mut connection = landfall.connect();
    landfall
        .get("/v2/")
        .header("Connection", "close")
        .send_on(&mut connection)
        .expect(200);
    assert!(connection.expect_closed().is_empty());
    let mut connection = landfall.connect();
    connection.send("GET /v2/ HTTP/1.0\r\nHost: x\r\n\r\n");
    connection.answer().expect(200);
    connection.expect_closed();
}

#[test]
fn a_long_target_is_414_and_one_just_short_of_it_is_not() {
    let landfall = Landfall::start();
    let target = |length: usize| {
        let start = "/v2/_catalog?n=1&last=";
        format!("{start}{}", "a".repeat(length - start.len()))
    };
    landfall.get(&target(16_000)).send().expect(200);
    let answer = landfall.get(&target(17_000)).send().expect(414);
    assert!(!answer.codes().is_empty());
    let mut connection = landfall.connect();
    connection
        .try_send(landfall.get(&target(1_000_000)).to_bytes())
        .ok();
    if let Ok(answer) = connection.try_answer(false) {
        assert!(matches!(answer.status, 414 | 431), "{answer}");
    }
    landfall.get("/v2/").send().expect(200);
}

#[test]
fn too_many_bytes_of_headers_are_431_and_large_tokens_are_not() {
    let landfall = Landfall::start();
    let sized = |size: usize| landfall.get("/v2/").header("X-Large", &"a".repeat(size));
    sized(60_000).send().expect(200);
    let mut connection = landfall.connect();
    connection.try_send(sized(70_000).to_bytes()).ok();
    connection.answer().expect(431);
    let mut request = landfall.get("/v2/");
    for n in 0..60 {
        request = request.header(&format!("X-Part-{n}"), &"a".repeat(900));
    }
    request.send().expect(200);
    let mut connection = landfall.connect();
    let flood = "X-Flood: 1\r\n".repeat(200_000);
    connection
        .try_send(format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{flood}\r\n"))
        .ok();
    if let Ok(answer) = connection.try_answer(false) {
        assert!(matches!(answer.status, 400 | 431), "{answer}");
    }
    landfall.get("/v2/").send().expect(200);
}

#[test]
fn what_is_not_http_is_refused_and_closed() {
    let landfall = Landfall::start();
    let nonsense: [&[u8]; 6] = [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v2/ HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    ];
    for bytes in nonsense {
        let mut connection = landfall.connect();
        connection.try_send(bytes).ok();
        connection.finish_sending();
        let said = connection.expect_closed();
        assert!(
            said.is_empty() || said.starts_with(b"HTTP/1.1 4") || said.starts_with(b"HTTP/1.1 5"),
            "{:?}",
            String::from_utf8_lossy(&said)
        );
    }
    landfall.get("/v2/").send().expect(200);
}

#[test]
fn ambiguous_lengths_are_never_taken_for_two_requests() {
    let landfall = Landfall::start();
    let location = landfall.begin_upload(REPO);
    let smuggled = "GET /v2/smuggled/tags/list HTTP/1.1\r\nHost: x\r\n\r\n";
    let heads = [
        "Content-Length: 5\r\nContent-Length: 6\r\n".to_owned(),
        "Content-Length: -5\r\n".to_owned(),
        "Content-Length: 5, 6\r\n".to_owned(),
        "Content-Length: five\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        format!(
            "Content-Length: {}\r\nTransfer-Encoding: xchunked\r\n",
            smuggled.len()
        ),
    ];
    for head in heads {
        let mut connection = landfall.connect();
        connection.send(format!(
            "PATCH {location} HTTP/1.1\r\nHost: x\r\n{head}\r\n{smuggled}"
        ));
        let answer = connection.answer();
        assert!(
            (400..500).contains(&answer.status) || answer.status == 501,
            "{head}:\n{answer}"
        );
        let rest = String::from_utf8_lossy(&connection.expect_closed()).into_owned();
        assert!(
            !rest.contains("NAME_UNKNOWN"),
            "{head}: the body was taken for a request:\n{rest}"
        );
    }
    landfall
        .get(&location)
        .send()
        .expect(204)
        .with_header("Range", "0-0");
}

#[test]
fn broken_chunks_end_the_connection_and_not_the_session() {
    let landfall = Landfall::start();
    let location = landfall.begin_upload(REPO);
    let bare = location.split('?').next().unwrap();
    let mut connection = landfall.connect();
    connection.send(format!(
        "PATCH {location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"
    ));
    if let Ok(answer) = connection.try_answer(false) {
        assert!((400..500).contains(&answer.status), "{answer}");
    }
    connection.expect_closed();
    wait_until("the session counts what came whole", || {
        landfall.get(bare).send().expect(204).expect_header("Range") == "0-4"
    });
}

#[test]
fn hundreds_of_silent_connections_keep_nobody_out() {
    let landfall = Landfall::start();
    let silent: Vec<Connection> = (0..400).map(|_| landfall.connect()).collect();
    let mut half = Vec::new();
    for _ in 0..100 {
        let mut connection = landfall.connect();
        connection.send("GET /v2/ HTTP/1.1\r\nHo");
        half.push(connection);
    }
    let image = Image::new("crowded");
    landfall.push(REPO, "latest", &image);
    landfall.expect_image(REPO, "latest", &image);
    drop((silent, half));
}

#[test]
fn silent_slow_and_stalled_connections_are_closed_in_the_end() {
    let landfall = Landfall::start();
    let location = landfall.begin_upload(REPO);
    let bare = location.split('?').next().unwrap();
    let opened = [
        "",
        "GET /v2/ HTTP/1.1\r\nHo",
        &format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello"),
    ];
    let mut sockets: Vec<_> = opened
        .iter()
        .map(|text| {
            let mut connection = landfall.connect();
            connection.send(text);
            connection.writer()
        })
        .collect();
    let mut kept = landfall.connect();
    landfall.get("/v2/").send_on(&mut kept).expect(200);
    sockets.push(kept.writer());
    for socket in &mut sockets {
        // An idle time of a minute and more is allowed; to hold a connection that says nothing for much longer is not.
        socket.set_read_timeout(Some(Duration::from_mins(3))).unwrap();
        let ended = socket.read_to_end(&mut Vec::new());
        assert!(
            !ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
            "still open after three minutes"
        );
    }
    landfall.get(bare).send().expect(204).with_header("Range", "0-4");
}
