//! Filling a catalog over the wire: many tags, repositories, referrers, manifests.
//!
//! Shape: all of it names one small image. What may take long ends after four minutes with what is there until then, and a note in
//! the table says how much that is and how fast it went.
//! Fails: what the server refuses.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Bench;
use super::drive::all_of;
use super::figures::{number, real};
use super::server::Server;
use super::stock::{Image, REPOSITORY, image, image_digest};
use super::wire::{MANIFEST_TYPE, Wire};

const CONNECTIONS: u64 = 16;
const DURATION_MAX: Duration = Duration::from_mins(4);
/// As many as a request may name.
const TAGS_PER_PUT: u64 = 100;

pub(crate) fn tag(number: u64) -> String {
    format!("t{number:07}")
}

pub(crate) fn repository(number: u64) -> String {
    format!("bench/r{number:05}")
}

/// A repository with so many tags, put there one by one.
pub(crate) fn tags(server: &Server, repository: &str, amount: u64) -> io::Result<u64> {
    server.stock(repository, || {
        let image = with_image(server, repository)?;
        all_of(server, CONNECTIONS, amount, |wire, index| {
            let target = format!("/v2/{repository}/manifests/{}", tag(index));
            wire.ask(&server.endpoint.manifest_put(&target, &image.manifest), 201)
                .map(|_| ())
        })
    })?;
    Ok(amount)
}

/// A repository with very many tags, a hundred to a request; how many.
pub(crate) fn many_tags(
    bench: &Bench<'_>,
    server: &Server,
    repository: &str,
    amount: u64,
) -> io::Result<u64> {
    let image = with_image(server, repository)?;
    let digest = image_digest();
    let did = in_time(server, amount / TAGS_PER_PUT, |wire, index| {
        let tags: Vec<String> = (index * TAGS_PER_PUT..(index + 1) * TAGS_PER_PUT)
            .map(tag)
            .collect();
        let target = format!("/v2/{repository}/manifests/{digest}?tag={}", tags.join("&tag="));
        wire.ask(&server.endpoint.manifest_put(&target, &image.manifest), 201)
            .map(|_| ())
    })?;
    bench.note(did.words("tags, a hundred to a PUT", TAGS_PER_PUT));
    Ok(did.amount * TAGS_PER_PUT)
}

/// So many repositories with one image each.
pub(crate) fn repositories(server: &Server, amount: u64) -> io::Result<u64> {
    let image = Image::new(0);
    all_of(server, CONNECTIONS, amount, |wire, index| {
        image.push(server, wire, &repository(index), "latest")
    })?;
    Ok(amount)
}

/// So many manifests that refer to the one image; how many.
pub(crate) fn referrers(bench: &Bench<'_>, server: &Server, amount: u64) -> io::Result<u64> {
    let digest = image(server)?;
    let size = Image::new(0).manifest.len();
    let subject = json!({"mediaType": MANIFEST_TYPE, "digest": digest, "size": size});
    let did = in_time(server, amount, |wire, index| {
        let mut document = variant(index)?;
        document["subject"] = subject.clone();
        document["artifactType"] = json!("application/vnd.example.signature");
        put_by_digest(server, wire, &document)
    })?;
    bench.note(did.words("referrers", 1));
    Ok(did.amount)
}

/// So many manifests.
pub(crate) fn manifests(bench: &Bench<'_>, server: &Server, amount: u64) -> io::Result<()> {
    image(server)?;
    let did = in_time(server, amount, |wire, index| {
        put_by_digest(server, wire, &variant(index)?)
    })?;
    bench.note(did.words("manifests for start-full", 1));
    Ok(())
}

fn with_image(server: &Server, repository: &str) -> io::Result<Image> {
    let image = Image::new(0);
    image.push(server, &mut Wire::open(&server.endpoint)?, repository, &tag(0))?;
    Ok(image)
}

/// The one image's manifest with an annotation of its own.
fn variant(number: u64) -> io::Result<Value> {
    let mut document: Value = serde_json::from_slice(&Image::new(0).manifest)?;
    document["annotations"] = json!({"number": number.to_string()});
    Ok(document)
}

fn put_by_digest(server: &Server, wire: &mut Wire, document: &Value) -> io::Result<()> {
    let manifest = document.to_string().into_bytes();
    let target = format!("/v2/{REPOSITORY}/manifests/{}", e2e::client::digest(&manifest));
    wire.ask(&server.endpoint.manifest_put(&target, &manifest), 201)
        .map(|_| ())
}

struct Did {
    amount: u64,
    wanted: u64,
    seconds: f64,
}

impl Did {
    fn words(&self, what: &str, each: u64) -> String {
        let rate = number(real(self.amount * each) / self.seconds);
        format!(
            "{} of {} {what}: {rate}/s",
            self.amount * each,
            self.wanted * each
        )
    }
}

/// Does as much of `0..amount` as there is time for.
fn in_time(
    server: &Server,
    amount: u64,
    work: impl Fn(&mut Wire, u64) -> io::Result<()> + Sync,
) -> io::Result<Did> {
    let began = Instant::now();
    let done = AtomicU64::new(0);
    all_of(server, CONNECTIONS, amount, |wire, index| {
        if began.elapsed() < DURATION_MAX {
            work(wire, index)?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })?;
    Ok(Did {
        amount: done.into_inner(),
        wanted: amount,
        seconds: began.elapsed().as_secs_f64(),
    })
}
