//! A client pushes a blob in chunks; a chunk in the wrong place is refused and spoils nothing, and a cut one can be gone on with.
//!
//! Source: distribution-spec "Pushing a blob in chunks" and "Pushing a blob in chunks: resuming"; Content-Range is `first-last`.

use std::net::Shutdown;

use crate::harness::{Landfall, Response, digest_of, noise, wait_until};

const REPO: &str = "team/app";
const TEN: &str = "0123456789";

fn ten_received(landfall: &Landfall) -> String {
    landfall.begin_upload_with(REPO, TEN.as_bytes())
}

fn expect_out_of_order(answer: Response, range: &str) -> String {
    let answer = answer
        .expect_error(416, "RANGE_INVALID")
        .with_header("Range", range);
    answer.expect_header("Docker-Upload-UUID");
    answer.location()
}

#[test]
fn chunk_in_the_wrong_place_is_416_and_the_right_one_still_fits() {
    let landfall = Landfall::start();
    let location = ten_received(&landfall);
    for range in ["20-29", "0-9", "5-14", "11-20", "9-18"] {
        let answer = landfall
            .patch(&location)
            .header("Content-Range", range)
            .body("abcdefghij")
            .send();
        let resume = expect_out_of_order(answer, "0-9");
        landfall
            .get(&resume)
            .send()
            .expect(204)
            .with_header("Range", "0-9");
    }
    let answer = landfall
        .patch(&location)
        .header("Content-Range", "10-19")
        .body("abcdefghij")
        .send()
        .expect(202);
    let location = answer.with_header("Range", "0-19").location();
    landfall
        .put(&location)
        .query("digest", &digest_of("0123456789abcdefghij"))
        .send()
        .expect(201);
    landfall.expect_blob(REPO, b"0123456789abcdefghij");
}

#[test]
fn first_chunk_must_start_at_zero() {
    let landfall = Landfall::start();
    let location = landfall.begin_upload(REPO);
    let answer = landfall
        .patch(&location)
        .header("Content-Range", "1-10")
        .body(TEN)
        .send();
    expect_out_of_order(answer, "0-0");
    let answer = landfall
        .patch(&location)
        .header("Content-Range", "0-9")
        .body(TEN)
        .send();
    answer.expect(202).with_header("Range", "0-9");
}

#[test]
fn last_chunk_in_the_put_may_be_out_of_order_too() {
    let landfall = Landfall::start();
    let location = ten_received(&landfall);
    for (range, body) in [("0-9", TEN), ("20-29", TEN), ("11-11", "x")] {
        let put = landfall
            .put(&location)
            .header("Content-Range", range)
            .query("digest", &digest_of(TEN))
            .body(body)
            .send();
        let resume = expect_out_of_order(put, "0-9");
        landfall
            .get(&resume)
            .send()
            .expect(204)
            .with_header("Range", "0-9");
    }
    let put = landfall
        .put(&location)
        .header("Content-Range", "10-12")
        .query("digest", &digest_of("0123456789abc"));
    put.body("abc").send().expect(201);
    landfall.expect_blob(REPO, b"0123456789abc");
}

#[test]
fn length_and_range_must_agree() {
    let landfall = Landfall::start();
    let location = ten_received(&landfall);
    for (range, body) in [("10-19", "short"), ("10-12", "too long")] {
        let patch = landfall
            .patch(&location)
            .header("Content-Range", range)
            .body(body)
            .send();
        patch.expect_error(400, "SIZE_INVALID");
    }
    landfall
        .get(&location)
        .send()
        .expect(204)
        .with_header("Range", "0-9");
    let put = landfall
        .put(&location)
        .header("Content-Range", "10-19")
        .query("digest", &digest_of(TEN))
        .body("short")
        .send();
    put.expect_error(400, "SIZE_INVALID");
}

#[test]
fn ranges_that_make_no_sense_spoil_nothing() {
    let landfall = Landfall::start();
    let location = ten_received(&landfall);
    for range in [
        "19-10",
        "x-y",
        "10",
        "-",
        "10-",
        "-19",
        "10-99999999999999999999999",
        "10-19, 20-29",
        "",
    ] {
        let patch = landfall
            .patch(&location)
            .header("Content-Range", range)
            .body("abcdefghij")
            .send();
        assert!(
            matches!(patch.status, 400 | 416),
            "Content-Range: {range}\n{patch}"
        );
        landfall
            .get(&location)
            .send()
            .expect(204)
            .with_header("Range", "0-9");
    }
}

#[test]
fn other_spellings_of_content_range_are_read() {
    let landfall = Landfall::start();
    let mut location = landfall.begin_upload(REPO);
    for (range, last) in [
        ("0-9", 9),
        ("bytes 10-19/100", 19),
        ("bytes=20-29", 29),
        ("bytes 30-39/*", 39),
    ] {
        let patch = landfall
            .patch(&location)
            .header("Content-Range", range)
            .body(TEN)
            .send()
            .expect(202);
        location = patch.with_header("Range", &format!("0-{last}")).location();
    }
    landfall
        .put(&location)
        .query("digest", &digest_of(TEN.repeat(4)))
        .send()
        .expect(201);
}

#[test]
fn streamed_chunk_with_a_range_is_held_to_it() {
    let landfall = Landfall::start();
    let location = ten_received(&landfall);
    let patch = landfall
        .patch(&location)
        .header("Content-Range", "10-19")
        .chunked_body([b"abcde".to_vec(), b"fghij".to_vec()]);
    let location = patch.send().expect(202).with_header("Range", "0-19").location();
    let patch = landfall
        .patch(&location)
        .header("Content-Range", "5-9")
        .chunked_body([b"abcde".to_vec()])
        .send();
    expect_out_of_order(patch, "0-19");
    landfall
        .put(&location)
        .query("digest", &digest_of("0123456789abcdefghij"))
        .send()
        .expect(201);
}

#[test]
fn two_patches_and_a_put_with_the_last_chunk() {
    let landfall = Landfall::start();
    let bytes = noise("three", 300_001);
    let location = landfall.begin_upload(REPO);
    let patch = landfall
        .patch(&location)
        .header("Content-Range", "0-99999")
        .body(&bytes[..100_000])
        .send()
        .expect(202);
    let patch = landfall
        .patch(&patch.location())
        .header("Content-Range", "100000-199999")
        .body(&bytes[100_000..200_000]);
    let patch = patch.send().expect(202).with_header("Range", "0-199999");
    let put = landfall
        .put(&patch.location())
        .header("Content-Range", "200000-300000")
        .query("digest", &digest_of(&bytes));
    put.body(&bytes[200_000..]).send().expect(201);
    landfall.expect_blob(REPO, &bytes);
}

#[test]
fn cut_patch_keeps_what_arrived_and_can_be_gone_on_with() {
    const MIB: usize = 1024 * 1024;
    let landfall = Landfall::start();
    let bytes = noise("cut", 2 * MIB);
    let location = landfall.begin_upload(REPO);
    let mut connection = landfall.connect();
    connection.send(format!(
        "PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        2 * MIB
    ));
    connection.send(&bytes[..MIB]);
    connection.writer().shutdown(Shutdown::Both).unwrap();
    drop(connection);
    let bare = location.split('?').next().unwrap().to_owned();
    wait_until("the first half is accounted for", || {
        received(&landfall, &bare) == MIB
    });
    let resume = landfall.get(&bare).send().expect(204).location();
    let patch = landfall
        .patch(&resume)
        .header("Content-Range", &format!("{MIB}-{}", 2 * MIB - 1))
        .body(&bytes[MIB..]);
    let patch = patch
        .send()
        .expect(202)
        .with_header("Range", &format!("0-{}", 2 * MIB - 1));
    landfall
        .put(&patch.location())
        .query("digest", &digest_of(&bytes))
        .send()
        .expect(201);
    landfall.expect_blob(REPO, &bytes);
    landfall.log().expect_clean();
}

#[test]
fn cut_stream_without_length_keeps_what_arrived() {
    let landfall = Landfall::start();
    let bytes = noise("cut stream", 500_000);
    let location = landfall.begin_upload(REPO);
    let mut connection = landfall.connect();
    connection.send(format!(
        "PATCH {location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    connection.send(crate::harness::exchange::chunk(&bytes[..200_000]));
    drop(connection);
    let bare = location.split('?').next().unwrap().to_owned();
    wait_until("the first chunk is accounted for", || {
        received(&landfall, &bare) == 200_000
    });
    let resume = landfall.get(&bare).send().location();
    let put = landfall
        .put(&resume)
        .query("digest", &digest_of(&bytes))
        .body(&bytes[200_000..])
        .send();
    put.expect(201);
    landfall.expect_blob(REPO, &bytes);
}

#[test]
fn cut_put_keeps_the_session_and_stores_nothing() {
    let landfall = Landfall::start();
    let bytes = noise("cut put", 400_000);
    let digest = digest_of(&bytes);
    let location = landfall.begin_upload(REPO);
    let separator = if location.contains('?') { '&' } else { '?' };
    let mut connection = landfall.connect();
    connection.send(format!(
        "PUT {location}{separator}digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n"
    ));
    connection.send(&bytes[..150_000]);
    drop(connection);
    let bare = location.split('?').next().unwrap().to_owned();
    wait_until("what arrived is accounted for", || {
        received(&landfall, &bare) == 150_000
    });
    landfall.head_blob(REPO, &digest).expect(404);
    let resume = landfall.get(&bare).send().location();
    landfall
        .put(&resume)
        .query("digest", &digest)
        .body(&bytes[150_000..])
        .send()
        .expect(201);
    landfall.expect_blob(REPO, &bytes);
}

#[test]
fn client_that_vanishes_in_a_single_post_leaves_nothing() {
    let landfall = Landfall::start();
    let bytes = noise("vanish", 300_000);
    let digest = digest_of(&bytes);
    let mut connection = landfall.connect();
    connection.send(format!(
        "POST /v2/{REPO}/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"
    ));
    connection.send(&bytes[..100_000]);
    wait_until("the bytes have reached the server", || {
        !landfall.upload_files().is_empty()
    });
    drop(connection);
    wait_until("nothing is left of it", || landfall.upload_files().is_empty());
    landfall.head_blob(REPO, &digest).expect(404);
    landfall.log().expect_clean();
}

/// How many bytes the session has, as its status says.
fn received(landfall: &Landfall, location: &str) -> usize {
    let status = landfall.get(location).send().expect(204);
    let (_, last) = status.expect_header("Range").split_once('-').unwrap();
    match last.parse().unwrap() {
        0 => 0,
        last => last + 1_usize,
    }
}
