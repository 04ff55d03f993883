//! The disk fills up in the middle of a push: that push is refused, everything else is served, and the space comes back.
//!
//! Source: RFC 4918 section 11.5 (507 Insufficient Storage), in an OCI error document.

use crate::harness::disk::SmallDisk;
use crate::harness::{Image, Landfall, digest_of, noise, wait_until};

const REPO: &str = "team/app";
const MIB: u64 = 1024 * 1024;

#[test]
fn a_push_that_fills_the_disk_is_507_and_pulls_go_on() {
    // Room enough that the server has no reason to be careful before the story begins.
    let disk = SmallDisk::mount(3 * 1024 * MIB);
    let landfall = Landfall::builder().data(disk.path().join("data")).start();
    let image = Image::new("before").layer(noise("before", 2_000_000));
    landfall.push(REPO, "before", &image);
    let location = landfall.begin_upload(REPO);
    let bare = location.split('?').next().unwrap().to_owned();
    let mut connection = landfall.connect();
    connection.send(format!(
        "PATCH {location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    let block = noise("block", 1024 * 1024);
    let chunk = crate::harness::exchange::chunk(&block);
    connection.send(&chunk);
    wait_until("the upload is on its way", || !landfall.upload_files().is_empty());
    let ballast = disk.fill_but(8 * MIB);
    // Whatever the server holds back for itself, this is more than the disk can take.
    for _ in 0..256 {
        if connection.try_send(&chunk).is_err() {
            break;
        }
    }
    connection.try_send(b"0\r\n\r\n").ok();
    let answer = connection.answer().expect_error(507, "UNKNOWN");
    assert!(
        answer.message().to_lowercase().contains("disk") || answer.message().to_lowercase().contains("space"),
        "{answer}"
    );
    landfall
        .get(&bare)
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    wait_until("its space is given back", || landfall.upload_files().is_empty());
    landfall.expect_image(REPO, "before", &image);
    assert_eq!(landfall.tags(REPO), ["before"]);
    let refused = landfall
        .post(&format!("/v2/{REPO}/blobs/uploads/"))
        .query("digest", &digest_of("x"))
        .body(noise("large", 100 << 20));
    refused.send().expect_error(507, "UNKNOWN");
    landfall.expect_image(REPO, "before", &image);
    drop(ballast);
    let after = Image::new("after").layer(noise("after", 2_000_000));
    wait_until("pushes are taken again", || {
        landfall.post(&format!("/v2/{REPO}/blobs/uploads/")).send().status == 202
    });
    landfall.push(REPO, "after", &after);
    landfall.expect_image(REPO, "after", &after);
    landfall.delete_manifest(REPO, "before").expect(202);
    let landfall = landfall.restart();
    landfall.expect_image(REPO, "after", &after);
    landfall.stop();
}

#[test]
fn deletes_still_work_on_a_full_disk() {
    let disk = SmallDisk::mount(3 * 1024 * MIB);
    let landfall = Landfall::builder().data(disk.path().join("data")).start();
    let image = Image::new("deletable");
    let manifest = landfall.push(REPO, "latest", &image);
    let ballast = disk.fill_but(0);
    landfall.expect_image(REPO, "latest", &image);
    landfall.delete_manifest(REPO, &manifest.digest()).expect(202);
    landfall.head_manifest(REPO, "latest").expect(404);
    drop(ballast);
    landfall.stop();
}

/// The configurations that people bring with them have `health.storagedriver` on: its probe must not take the registry
/// down for the want of room alone.
#[test]
fn a_full_disk_stops_no_pull_and_no_delete_where_the_storage_is_watched() {
    let disk = SmallDisk::mount(3 * 1024 * MIB);
    let landfall = Landfall::builder()
        .data(disk.path().join("data"))
        .config("health: {storagedriver: {enabled: true, interval: 100ms, threshold: 1}}\n")
        .start();
    let image = Image::new("watched");
    let manifest = landfall.push(REPO, "latest", &image);
    let ballast = disk.fill_but(0);
    wait_until("the full disk is noticed", || {
        // The probe's own file may have held the last free page a moment ago.
        ballast.top_up();
        landfall.log().has_line(&["level=warn", "disk is full", "pulls"])
    });
    landfall.get("/v2/").send().expect(200);
    landfall.expect_image(REPO, "latest", &image);
    landfall
        .post(&format!("/v2/{REPO}/blobs/uploads/"))
        .query("digest", &digest_of("x"))
        .body(noise("large", 32 << 20))
        .send()
        .expect_error(507, "UNKNOWN");
    landfall.delete_manifest(REPO, &manifest.digest()).expect(202);
    landfall.head_manifest(REPO, "latest").expect(404);
    drop(ballast);
    landfall.log().expect_line(&["disk has room again"]);
    landfall.push(REPO, "latest", &image);
    landfall.stop();
}
