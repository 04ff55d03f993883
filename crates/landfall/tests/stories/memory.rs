//! Memory is bounded, however many clients come: those with large documents wait for each other, not for more memory.
//!
//! Units: bytes. What counts is the peak that the kernel saw, less what the server had before the crowd came. The
//! bound leaves the server its room for documents (32 MiB) and as much again, many times over, for everything else;
//! what it is held against is a crowd that needs a multiple of it.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Connection, Image, Landfall, Response, descriptor, types, wait_until};

const REPO: &str = "team/app";
const MIB: u64 = 1024 * 1024;
/// What a crowd may cost.
const CROWD_BYTES_MAX: u64 = 160 * MIB;

/// An artifact with so many bytes of annotations.
fn annotated(landfall: &Landfall, n: usize, bytes: usize, subject: Option<&str>) -> Vec<u8> {
    landfall.push_blob(REPO, b"{}");
    let mut document = json!({
        "schemaVersion": 2,
        "mediaType": types::OCI_MANIFEST,
        "artifactType": "application/vnd.example.note",
        "config": descriptor(types::OCI_EMPTY, b"{}"),
        "layers": [],
        "annotations": {"n": n.to_string(), "note": "n".repeat(bytes)},
    });
    if let Some(subject) = subject {
        document["subject"] = json!({"mediaType": types::OCI_MANIFEST, "digest": subject, "size": 1});
    }
    document.to_string().into_bytes()
}

/// What `work` made the server's memory grow by.
fn growth(landfall: &Landfall, work: impl FnOnce()) -> u64 {
    let before = landfall.memory_peak();
    work();
    landfall.memory_peak() - before
}

fn expect_bounded(growth: u64) {
    assert!(
        growth < CROWD_BYTES_MAX,
        "the crowd cost {} MiB of memory",
        growth / MIB
    );
}

/// Asks once from each of many connections, reads nothing until the server stands still, and then reads it all. Whoever
/// found no room in time was told so; these are left out.
fn crowd_that_does_not_read(landfall: &Landfall, clients: usize, target: &str) -> Vec<Response> {
    let mut crowd: Vec<Connection> = (0..clients).map(|_| landfall.connect()).collect();
    for client in &mut crowd {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    let sockets: Vec<TcpStream> = crowd.iter().map(Connection::writer).collect();
    let begun = || {
        sockets
            .iter()
            .filter(|socket| has_something_to_read(socket))
            .count()
    };
    wait_until("the first are answered", || begun() > 0);
    // Nothing depends on how long this takes: an early end finds less of what it looks for.
    let mut last = 0;
    while begun() != last {
        last = begun();
        thread::sleep(Duration::from_millis(500));
    }
    let readers: Vec<_> = crowd
        .into_iter()
        .map(|mut client| thread::spawn(move || client.answer()))
        .collect();
    let answers = readers.into_iter().map(|reader| reader.join().unwrap());
    let served: Vec<Response> = answers.filter(|answer| answer.status != 503).collect();
    assert!(!served.is_empty(), "somebody found room");
    served
}

fn has_something_to_read(socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    let found = socket.peek(&mut [0]).is_ok();
    socket.set_nonblocking(false).unwrap();
    found
}

#[test]
fn many_clients_with_large_manifests_do_not_fill_the_memory() {
    let landfall = Landfall::start();
    let document = annotated(&landfall, 0, 4_000_000, None);
    let grown = growth(&landfall, || {
        thread::scope(|scope| {
            for n in 0..120 {
                let (landfall, document) = (&landfall, &document);
                scope.spawn(move || {
                    let mut client = landfall.connect();
                    client.send(format!(
                        "PUT /v2/{REPO}/manifests/tag-{n} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\
                         Content-Type: {}\r\n\r\n",
                        document.len(),
                        types::OCI_MANIFEST
                    ));
                    // Whoever finds no room in time is told so, perhaps before everything is sent.
                    client.try_send(document).ok();
                    let status = client.answer().status;
                    assert!([201, 503].contains(&status), "{status}");
                });
            }
        });
    });
    expect_bounded(grown);
    assert!(!landfall.tags(REPO).is_empty());
}

#[test]
fn many_slow_readers_of_a_large_list_of_referrers_do_not_fill_the_memory() {
    let landfall = Landfall::start();
    let subject = landfall.push(REPO, "latest", &Image::new("subject")).digest();
    for n in 0..9 {
        let document = annotated(&landfall, n, 450_000, Some(&subject));
        let manifest = crate::harness::Manifest::new(types::OCI_MANIFEST, document);
        landfall
            .put_manifest(REPO, &manifest.digest(), &manifest)
            .expect(201);
    }
    let target = format!("/v2/{REPO}/referrers/{subject}");
    let grown = growth(&landfall, || {
        for answer in crowd_that_does_not_read(&landfall, 120, &target) {
            let listed = answer.expect(200).json()["manifests"].as_array().unwrap().len();
            assert_eq!(listed, 9);
        }
    });
    expect_bounded(grown);
}

#[test]
fn many_slow_readers_of_all_the_tags_of_a_large_repository_do_not_fill_the_memory() {
    const TAGS: usize = 10_000;
    let landfall = Landfall::start();
    let image = Image::new("tagged");
    landfall.push_blobs(REPO, &image);
    let manifest = image.manifest();
    let tags: Vec<String> = (0..TAGS).map(|n| format!("{n:0>120}")).collect();
    for some in tags.chunks(100) {
        let target = format!(
            "/v2/{REPO}/manifests/{}?tag={}",
            manifest.digest(),
            some.join("&tag=")
        );
        landfall
            .put(&target)
            .header("Content-Type", &manifest.media_type)
            .body(manifest.bytes.clone())
            .send()
            .expect(201);
    }
    let grown = growth(&landfall, || {
        for answer in crowd_that_does_not_read(&landfall, 240, &format!("/v2/{REPO}/tags/list")) {
            assert_eq!(answer.expect(200).words("tags"), tags);
        }
    });
    expect_bounded(grown);
}
