//! The server is stopped, killed and started again, and what it has acknowledged is there; uploads go on where they were.
//!
//! Source: what "acknowledged" promises (distribution-spec 201 and 202); SIGTERM drains, SIGKILL asks nobody.

use std::net::TcpStream;

use serde_json::json;

use crate::harness::{Client, Connection, Image, Landfall, digest_of, index, noise, sha512_of, wait_until};

const REPO: &str = "team/app";

#[test]
fn everything_is_there_after_a_restart() {
    let landfall = Landfall::start();
    let image = Image::new("restart").layer(noise("restart layer", 300_000));
    let manifest = landfall.push(REPO, "latest", &image);
    landfall.push(REPO, "gone", &Image::new("gone"));
    landfall.delete_manifest(REPO, "gone").expect(202);
    let multi = index(&[manifest.for_platform("linux", "amd64")]);
    landfall.put_manifest(REPO, "multi", &multi).expect(201);
    let sbom = landfall.push_untagged(
        REPO,
        &Image::artifact("sbom", "application/x.sbom", &manifest.descriptor()),
    );
    let landfall = landfall.restart();
    landfall.expect_image(REPO, "latest", &image);
    landfall.expect_image(REPO, &manifest.digest(), &image);
    assert_eq!(landfall.tags(REPO), ["latest", "multi"]);
    assert_eq!(landfall.get_manifest(REPO, "multi").expect(200).body, multi.bytes);
    assert_eq!(
        landfall.get("/v2/_catalog").send().json(),
        json!({"repositories": [REPO]})
    );
    let referrers = landfall.referrers(REPO, &manifest.digest()).expect(200).json();
    assert_eq!(referrers["manifests"][0]["digest"], sbom.digest());
    landfall.log().expect_clean();
    landfall.stop();
}

#[test]
fn an_upload_goes_on_after_a_restart() {
    let landfall = Landfall::start();
    let bytes = noise("resumed", 3_000_000);
    let location = landfall.begin_upload_with(REPO, &bytes[..1_000_000]);
    let fresh = landfall.begin_upload(REPO);
    let landfall = landfall.restart();
    landfall
        .get(&location)
        .send()
        .expect(204)
        .with_header("Range", "0-999999");
    let patch = landfall
        .patch(&location)
        .body(&bytes[1_000_000..2_000_000])
        .send()
        .expect(202);
    let location = patch.with_header("Range", "0-1999999").location();
    let landfall = landfall.restart();
    let put = landfall
        .put(&location)
        .query("digest", &digest_of(&bytes))
        .body(&bytes[2_000_000..])
        .send();
    put.expect(201);
    landfall.expect_blob(REPO, &bytes);
    let put = landfall
        .put(&fresh)
        .query("digest", &sha512_of(&bytes))
        .body(bytes.clone())
        .send();
    put.expect(201);
}

#[test]
fn killed_right_after_the_answer_everything_is_there() {
    let mut landfall = Landfall::start();
    for round in 0..5 {
        let image = Image::new(&format!("round {round}")).layer(noise(&format!("large {round}"), 400_000));
        landfall.push(REPO, &format!("r{round}"), &image);
        landfall = landfall.kill().start();
        landfall.expect_image(REPO, &format!("r{round}"), &image);
    }
    landfall.push_blob(REPO, b"last");
    landfall = landfall.kill().start();
    landfall.expect_blob(REPO, b"last");
    landfall.delete_manifest(REPO, "r0").expect(202);
    landfall = landfall.kill().start();
    assert_eq!(landfall.tags(REPO), ["r1", "r2", "r3", "r4"]);
}

#[test]
fn killed_during_an_upload_it_can_be_gone_on_with_or_begun_again() {
    let landfall = Landfall::start();
    let bytes = noise("killed", 4_000_000);
    let location = landfall.begin_upload_with(REPO, &bytes[..2_000_000]);
    let landfall = landfall.kill().start();
    landfall.head_blob(REPO, &digest_of(&bytes)).expect(404);
    let bare = location.split('?').next().unwrap();
    let status = landfall.get(bare).send();
    let (location, kept) = if status.status == 404 {
        (landfall.begin_upload(REPO), 0)
    } else {
        let range = status.clone().expect(204).expect_header("Range").to_owned();
        let last: usize = range.strip_prefix("0-").unwrap().parse().unwrap();
        (status.location(), if last == 0 { 0 } else { last + 1 })
    };
    assert!(kept <= 2_000_000, "never more than was sent: {kept}");
    let put = landfall
        .put(&location)
        .query("digest", &digest_of(&bytes))
        .body(&bytes[kept..])
        .send();
    put.expect(201);
    landfall.expect_blob(REPO, &bytes);
}

#[test]
fn killed_in_the_middle_of_a_transfer_nothing_is_half_there() {
    let landfall = Landfall::start();
    let bytes = noise("torn", 2_000_000);
    let digest = digest_of(&bytes);
    let mut connection = landfall.connect();
    let target = format!("/v2/{REPO}/blobs/uploads/?digest={digest}");
    connection.send(format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    ));
    connection.send(&bytes[..1_500_000]);
    wait_until("the server has begun to write", || {
        !landfall.upload_files().is_empty()
    });
    let landfall = landfall.kill().start();
    landfall.head_blob(REPO, &digest).expect(404);
    wait_until("what nobody can finish is cleaned up", || {
        landfall.upload_files().is_empty()
    });
    landfall.push_blob(REPO, &bytes);
    landfall.expect_blob(REPO, &bytes);
}

#[test]
fn a_second_server_on_the_same_folder_refuses() {
    let landfall = Landfall::start();
    landfall.push(REPO, "latest", &Image::new("first"));
    let refusal = landfall.how().start_refused();
    assert_eq!(refusal.code, Some(6), "{refusal:?}");
    refusal.expect_words(&[
        landfall.how().data_dir().to_str().unwrap(),
        &landfall.pid().to_string(),
    ]);
    landfall.expect_image(REPO, "latest", &Image::new("first"));
    landfall.log().expect_clean();
    let landfall = landfall.stop().start();
    let landfall = landfall.kill().start();
    landfall.expect_image(REPO, "latest", &Image::new("first"));
}

/// A PUT whose second half is still to come.
fn half_sent(landfall: &Landfall, bytes: &[u8]) -> Connection {
    let location = landfall.begin_upload(REPO);
    let separator = if location.contains('?') { '&' } else { '?' };
    let mut connection = landfall.connect();
    let digest = digest_of(bytes);
    let length = bytes.len();
    connection.send(format!(
        "PUT {location}{separator}digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    ));
    connection.send(&bytes[..length / 2]);
    wait_until("the first half has arrived", || {
        !landfall.upload_files().is_empty()
    });
    connection
}

/// Asks on a new connection: refused, or told that the server is going.
fn is_going(client: &Client) -> bool {
    let Ok(stream) = TcpStream::connect(client.address) else {
        return true;
    };
    let mut connection = Connection::over(stream);
    let sent = connection.try_send(client.get("/v2/").to_bytes());
    sent.is_err()
        || !connection
            .try_answer(false)
            .is_ok_and(|answer| answer.status == 200)
}

#[test]
fn a_running_upload_finishes_while_new_requests_are_refused() {
    let mut landfall = Landfall::start();
    let bytes = noise("draining", 1_000_000);
    let mut connection = half_sent(&landfall, &bytes);
    landfall.ask_to_stop();
    wait_until("new requests are refused", || is_going(&landfall));
    connection.send(&bytes[500_000..]);
    connection.answer().expect(201);
    connection.expect_closed();
    landfall.expect_drained();
    let landfall = landfall.how().start();
    landfall.expect_blob(REPO, &bytes);
}

#[test]
fn a_running_download_finishes_too() {
    let mut landfall = Landfall::start();
    let bytes = noise("draining download", 30_000_000);
    let digest = landfall.push_blob(REPO, &bytes);
    let mut connection = landfall.connect();
    connection.send(landfall.get(&format!("/v2/{REPO}/blobs/{digest}")).to_bytes());
    assert_eq!(connection.answer_head_only().status, 200);
    landfall.ask_to_stop();
    wait_until("new requests are refused", || is_going(&landfall));
    assert!(connection.read_bytes(bytes.len()) == bytes);
    landfall.expect_drained();
}

#[test]
fn a_stalled_transfer_does_not_hold_the_end_up_for_ever() {
    let builder = Landfall::builder().env("REGISTRY_HTTP_DRAINTIMEOUT", "1s");
    let mut landfall = builder.start();
    let bytes = noise("stalled", 1_000_000);
    let connection = half_sent(&landfall, &bytes);
    landfall.ask_to_stop();
    landfall.expect_drained();
    drop(connection);
    let landfall = landfall.how().start();
    landfall.head_blob(REPO, &digest_of(&bytes)).expect(404);
}

#[test]
fn idle_connections_do_not_hold_the_end_up() {
    let builder = Landfall::builder().env("REGISTRY_HTTP_DRAINTIMEOUT", "10m");
    let landfall = builder.start();
    let mut kept = landfall.connect();
    landfall.get("/v2/").send_on(&mut kept).expect(200);
    let silent = landfall.connect();
    landfall.stop(); // well within the ten minutes
    assert!(kept.expect_closed().is_empty());
    drop(silent);
}

#[test]
fn the_folder_can_be_named_by_a_long_path() {
    let builder = Landfall::builder();
    let deep = builder.home().join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&deep).unwrap();
    let landfall = builder.data(deep).start();
    landfall.push(REPO, "latest", &Image::new("long path"));
    landfall
        .restart()
        .expect_image(REPO, "latest", &Image::new("long path"));
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_by_name() {
    let builder = Landfall::builder();
    let file = builder.file("not-a-folder", "x");
    let refusal = builder.data(&file).start_refused();
    assert!(refusal.code.is_some_and(|code| code != 0), "{refusal:?}");
    refusal.expect_words(&[file.to_str().unwrap()]);
}

#[test]
fn a_taken_port_is_refused_by_name() {
    let landfall = Landfall::start();
    let refusal = Landfall::builder()
        .listen(Some(&landfall.address.to_string()))
        .start_refused();
    assert!(refusal.code.is_some_and(|code| code != 0), "{refusal:?}");
    refusal.expect_words(&[&landfall.address.to_string()]);
}

#[test]
fn uploads_go_on_behind_a_server_that_was_given_the_same_secret() {
    let home = Landfall::builder();
    let with_secret = |secret: &str| home.clone().config(&format!("http: {{secret: {secret}}}\n"));
    let landfall = with_secret("a secret that two servers share").start();
    assert!(
        !home.data_dir().join("landfall/secrets/http.secret").exists(),
        "none is made where one was given"
    );
    let bytes = noise("shared secret", 200_000);
    let location = landfall.begin_upload_with(REPO, &bytes[..100_000]);
    landfall.stop();
    let landfall = with_secret("another one").start();
    landfall
        .patch(&location)
        .body(&bytes[100_000..])
        .send()
        .expect_error(400, "BLOB_UPLOAD_INVALID");
    landfall.stop();
    let landfall = with_secret("a secret that two servers share").start();
    let patched = landfall
        .patch(&location)
        .body(&bytes[100_000..])
        .send()
        .expect(202);
    let put = landfall
        .put(&patched.location())
        .query("digest", &digest_of(&bytes));
    put.send().expect(201);
    landfall.expect_blob(REPO, &bytes);
    landfall.stop();
}
