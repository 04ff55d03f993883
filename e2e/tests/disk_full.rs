//! The disk fills up during an upload: the client is told, the bytes go, and the registry serves on.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::client::{Client, Found, Way, digest};
use e2e::dice::Dice;
use e2e::disks::{Disk, FileSystem};
use e2e::http::{Body, Request, Response};
use e2e::image::Image;
use e2e::landfall::{Launch, program};

const MIB: usize = 1 << 20;
const DISK_BYTES: u64 = 256 << 20;
/// Small enough to be read whole by a server that has already made up its mind.
const PIECE_BYTES: usize = 256 * 1024;

#[test]
fn a_full_disk_refuses_the_upload_keeps_serving_and_gives_the_space_back() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::make(
        FileSystem::Ext4,
        &folder.path().join("disk.img"),
        DISK_BYTES,
        &folder.path().join("disk"),
    );
    let data = disk.folder().join("data");
    fs::create_dir(&data).unwrap();
    let mut landfall = Launch::with_data(&program(), &data).start();
    let mut dice = Dice::new(1);
    let layers = vec![dice.bytes(5 * MIB), dice.bytes(1_000)];
    let image = Image::of_layers(layers, "amd64", None);
    let mut client = Client::connect(landfall.address()).unwrap();
    push(&mut client, &image, "before");
    drop(client);

    for _ in 0..2 {
        // A refusal in the middle of a body may cost the connection.
        let mut client = Client::connect(landfall.address()).unwrap();
        let session = start_when_there_is_room(&mut client);
        let refusal = append_until_refused(&mut client, &session, &mut dice);
        assert_eq!(refusal.status, 507, "{}", String::from_utf8_lossy(&refusal.body));
        let document: serde_json::Value = serde_json::from_slice(&refusal.body).unwrap();
        assert!(
            document["errors"][0]["code"].is_string(),
            "an OCI error document, not {document}"
        );

        let mut client = Client::connect(landfall.address()).unwrap();
        assert_eq!(
            client.upload_size(&session).unwrap(),
            None,
            "the session is dropped"
        );
        wait_until_no_part_is_left(&data);
        assert_whole(&mut client, &image, "before");
    }

    let mut client = Client::connect(landfall.address()).unwrap();
    let session = start_when_there_is_room(&mut client);
    client.cancel_upload(&session).unwrap();
    let small = Image::of_layers(vec![dice.bytes(20 * MIB)], "amd64", None);
    push(&mut client, &small, "after");
    drop(client);
    landfall.stop();
    let landfall = Launch::with_data(&program(), &data).start();
    let mut client = Client::connect(landfall.address()).unwrap();
    assert_whole(&mut client, &image, "before");
    assert_whole(&mut client, &small, "after");
}

fn push(client: &mut Client, image: &Image, tag: &str) {
    for blob in &image.blobs {
        client.push_blob("team/app", blob, Way::Stream).unwrap();
    }
    client.push_manifest("team/app", tag, &image.manifest).unwrap();
}

fn assert_whole(client: &mut Client, image: &Image, tag: &str) {
    assert_eq!(
        client.pull_manifest("team/app", tag).unwrap().unwrap().body,
        image.manifest
    );
    for blob in &image.blobs {
        let whole = Found::Bytes(digest(blob), blob.len() as u64);
        assert_eq!(client.pull_blob("team/app", &digest(blob)).unwrap(), whole);
    }
}

/// The room that a refused upload gives back may be noticed a moment later.
fn start_when_there_is_room(client: &mut Client) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let request = Request::new("POST", "/v2/team/app/blobs/uploads/");
        let response = client.expect(&[202, 507], request).unwrap();
        if response.status == 202 {
            return response.location().unwrap();
        }
        assert!(
            Instant::now() < deadline,
            "there is room again, and no upload may begin"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Sends more than the disk can hold, and gives the answer that ends it.
fn append_until_refused(client: &mut Client, session: &str, dice: &mut Dice) -> Response {
    let piece = dice.bytes(PIECE_BYTES);
    let mut session = session.to_owned();
    for _ in 0..DISK_BYTES / PIECE_BYTES as u64 {
        let body = Body::Sized(&piece);
        let response = client
            .expect(
                &[202, 507],
                Request {
                    body,
                    ..Request::new("PATCH", &session)
                },
            )
            .unwrap();
        if response.status == 507 {
            return response;
        }
        session = response.location().unwrap();
    }
    panic!("the disk of {DISK_BYTES} bytes took as many bytes of one upload");
}

fn wait_until_no_part_is_left(data: &Path) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while e2e::landfall::parts_below(data) > 0 {
        assert!(
            Instant::now() < deadline,
            "the bytes of the refused upload are still on the disk"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
