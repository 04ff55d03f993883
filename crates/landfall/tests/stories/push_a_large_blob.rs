//! A client pushes a large blob, whose bytes come from the socket to where they are written from: in pieces of any size,
//! with the next request right behind, cut in the middle, or refused before the end.
//!
//! Source: distribution-spec "Pushing blobs"; RFC 9112 section 9.3.2 (pipelining); RFC 9110 section 10.1.1 (Expect).

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::{Landfall, digest_of, noise, wait_until};

const REPO: &str = "team/app";
const SIZE: usize = 6_000_000;

fn post(bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v2/{REPO}/blobs/uploads/?digest={} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        digest_of(bytes),
        bytes.len()
    );
    [head.as_bytes(), bytes].concat()
}

const PING: &[u8] = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";

/// Each a size, and whether something comes behind it.
type Steps = Vec<(usize, bool)>;

/// What one connection sends: bodies of these sizes, each with a short request behind it or not.
fn talk() -> impl Strategy<Value = (Steps, Steps)> {
    let size = prop_oneof![0_usize..200, 60_000_usize..140_000, 500_000_usize..2_500_000];
    let bodies = prop::collection::vec((size, any::<bool>()), 1..5);
    // Writes of so many bytes, with a pause behind or not; the rest goes in one.
    let writes = prop::collection::vec((1_usize..400_000, prop::bool::weighted(0.2)), 0..24);
    (bodies, writes)
}

#[test]
fn bodies_and_requests_in_a_row_stay_apart_however_they_are_cut_into_packets() {
    let landfall = Landfall::start();
    let mut runner = TestRunner::new(Config::with_cases(24));
    let seed = std::cell::Cell::new(0);
    runner
        .run(&talk(), |(bodies, writes)| {
            seed.set(seed.get() + 1);
            let bodies: Vec<(Vec<u8>, bool)> = bodies
                .iter()
                .map(|&(size, ping)| (noise(&format!("{} {size}", seed.get()), size), ping))
                .collect();
            let mut all = Vec::new();
            for (bytes, ping) in &bodies {
                all.extend(post(bytes));
                if *ping {
                    all.extend(PING);
                }
            }
            let mut connection = landfall.connect();
            let mut writer = connection.writer();
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    let mut rest = &all[..];
                    for (len, pause) in writes {
                        let (now, later) = rest.split_at(len.min(rest.len()));
                        std::io::Write::write_all(&mut writer, now).unwrap();
                        rest = later;
                        if pause {
                            std::thread::sleep(Duration::from_millis(3));
                        }
                    }
                    std::io::Write::write_all(&mut writer, rest).unwrap();
                });
                for (bytes, ping) in &bodies {
                    let answer = connection.answer().expect(201);
                    answer.with_header("Docker-Content-Digest", &digest_of(bytes));
                    if *ping {
                        assert_eq!(connection.answer().expect(200).body, b"{}");
                    }
                }
            });
            for (bytes, _) in &bodies {
                landfall.expect_blob(REPO, bytes);
            }
            Ok(())
        })
        .unwrap();
    landfall.log().expect_clean();
}

#[test]
fn a_push_that_is_cut_keeps_what_came_and_goes_on() {
    let landfall = Landfall::start();
    let bytes = noise("cut", SIZE);
    let location = landfall.begin_upload(REPO);
    let mut connection = landfall.connect();
    connection.send(format!(
        "PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Range: 0-{}\r\nContent-Length: {SIZE}\r\n\r\n",
        SIZE - 1
    ));
    connection.send(&bytes[..4_500_000]);
    let bare = location.split('?').next().unwrap();
    drop(connection);
    let mut at = 0;
    wait_until("the bytes that came are counted", || {
        let answer = landfall.get(bare).send().expect(204);
        let last: usize = answer.expect_header("Range")[2..].parse().unwrap();
        at = last + 1;
        at == 4_500_000
    });
    let answer = landfall
        .patch(bare)
        .header("Content-Range", &format!("{at}-{}", SIZE - 1))
        .body(&bytes[at..])
        .send()
        .expect(202);
    landfall
        .put(&answer.location())
        .query("digest", &digest_of(&bytes))
        .send()
        .expect(201);
    landfall.expect_blob(REPO, &bytes);
}

#[test]
fn a_client_that_waits_to_be_told_is_told_and_the_connection_is_used_again() {
    let landfall = Landfall::start();
    let bytes = noise("expect", SIZE);
    let mut connection = landfall.connect();
    connection.send(format!(
        "POST /v2/{REPO}/blobs/uploads/?digest={} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {SIZE}\r\n\r\n",
        digest_of(&bytes)
    ));
    assert_eq!(connection.answer_or_interim().status, 100);
    connection.send(&bytes);
    connection.answer().expect(201);
    connection.send(PING);
    connection.answer().expect(200);
    landfall.expect_blob(REPO, &bytes);
}

#[test]
fn what_is_too_large_is_refused_and_others_go_on() {
    let landfall = Landfall::builder().config("limits: {blob: 1MiB}\n").start();
    let bytes = noise("too large", SIZE);
    let target = format!("/v2/{REPO}/blobs/uploads/");
    for _ in 0..3 {
        let refused = landfall
            .post(&target)
            .query("digest", &digest_of(&bytes))
            .body(bytes.clone());
        assert_eq!(refused.send().status, 413);
    }
    assert!(landfall.upload_files().is_empty());
    let fits = noise("fits", 1 << 20);
    landfall.push_blob(REPO, &fits);
    landfall.expect_blob(REPO, &fits);
}

#[test]
fn a_wrong_digest_is_refused_and_the_connection_is_used_again() {
    let landfall = Landfall::start();
    let (bytes, other) = (noise("right", SIZE), noise("wrong", SIZE));
    let mut connection = landfall.connect();
    let wrong = [&post(&bytes)[..post(&bytes).len() - SIZE], &other].concat();
    connection.send(wrong);
    connection.answer().expect_error(400, "DIGEST_INVALID");
    connection.send(post(&bytes));
    connection.answer().expect(201);
    landfall.expect_blob(REPO, &bytes);
    assert!(landfall.upload_files().is_empty());
}
