//! Tags are set as asked, all or none, and only where the pusher expected them to be.
//!
//! Source: distribution-spec "Pushing manifests" (the `tag` parameter and `OCI-Tag`); RFC 9110 section 13.1 (conditions).

use std::fmt::Write as _;

use crate::harness::{Image, Landfall, Manifest, Response, sha512_of};

const REPO: &str = "team/app";

fn put(landfall: &Landfall, reference: &str, query: &str, manifest: &Manifest) -> Response {
    let request = landfall.put(&format!("/v2/{REPO}/manifests/{reference}?{query}"));
    request
        .header("Content-Type", &manifest.media_type)
        .body(manifest.bytes.clone())
        .send()
}

fn listed(answer: &Response) -> Vec<String> {
    let values = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "oci-tag")
        .flat_map(|(_, value)| value.split(','));
    values.map(|tag| tag.trim().to_owned()).collect()
}

#[test]
fn a_push_by_digest_sets_several_tags() {
    let landfall = Landfall::start();
    let image = Image::new("tags");
    landfall.push_blobs(REPO, &image);
    let manifest = image.manifest();
    let answer = put(&landfall, &manifest.digest(), "tag=a&tag=b&tag=a", &manifest).expect(201);
    let mut tags = listed(&answer);
    tags.sort();
    assert_eq!(tags, ["a", "b"]);
    assert_eq!(landfall.tags(REPO), ["a", "b"]);
    landfall.expect_image(REPO, "a", &image);
    let answer = landfall
        .put_manifest(REPO, &manifest.digest(), &manifest)
        .expect(201);
    answer.without_header("OCI-Tag");
}

#[test]
fn tags_of_a_sha512_push_answer_the_sha512_digest() {
    let landfall = Landfall::start();
    let image = Image::new("tags 512");
    landfall.push_blobs(REPO, &image);
    let manifest = image.manifest();
    let digest = sha512_of(&manifest.bytes);
    put(&landfall, &digest, "tag=one&tag=two", &manifest)
        .expect(201)
        .with_header("Docker-Content-Digest", &digest);
    for tag in ["one", "two"] {
        landfall
            .head_manifest(REPO, tag)
            .expect(200)
            .with_header("Docker-Content-Digest", &digest);
        let answer = landfall
            .get_manifest(REPO, tag)
            .expect(200)
            .with_header("Docker-Content-Digest", &digest);
        assert_eq!(answer.body, manifest.bytes);
    }
}

#[test]
fn one_bad_tag_and_nothing_is_created() {
    let landfall = Landfall::start();
    let image = Image::new("bad tag");
    landfall.push_blobs(REPO, &image);
    let manifest = image.manifest();
    for query in [
        "tag=good&tag=.bad",
        "tag=-bad&tag=good",
        "tag=",
        "tag=a%20b",
        &format!("tag=good&tag={}", "x".repeat(129)),
    ] {
        let answer = put(&landfall, &manifest.digest(), query, &manifest);
        answer.expect_error(400, "TAG_INVALID");
        landfall.head_manifest(REPO, "good").expect(404);
        landfall.head_manifest(REPO, &manifest.digest()).expect(404);
    }
}

#[test]
fn a_hundred_tags_pass_and_one_more_is_414() {
    let landfall = Landfall::start();
    let image = Image::new("hundred");
    landfall.push_blobs(REPO, &image);
    let manifest = image.manifest();
    let query = |count: usize| {
        (0..count).fold(String::new(), |mut query, n| {
            write!(query, "tag=t{n}&").unwrap();
            query
        })
    };
    put(&landfall, &manifest.digest(), &query(101), &manifest).expect(414);
    landfall.head_manifest(REPO, "t0").expect(404);
    let answer = put(&landfall, &manifest.digest(), &query(100), &manifest).expect(201);
    assert_eq!(listed(&answer).len(), 100);
    assert_eq!(landfall.tags(REPO).len(), 100);
}

#[test]
fn tag_parameters_beside_a_tag_are_ignored() {
    let landfall = Landfall::start();
    let image = Image::new("beside");
    landfall.push_blobs(REPO, &image);
    let answer = put(&landfall, "latest", "tag=a&tag=.bad", &image.manifest()).expect(201);
    assert!(listed(&answer).is_empty(), "{answer}");
    assert_eq!(landfall.tags(REPO), ["latest"]);
}

#[test]
fn a_tag_that_must_be_new_is_not_overwritten() {
    let landfall = Landfall::start();
    let (first, second) = (Image::new("first"), Image::new("second"));
    landfall.push_blobs(REPO, &first);
    landfall.push_blobs(REPO, &second);
    let push = |image: &Image, condition: &str, etag: &str| {
        let manifest = image.manifest();
        let put = landfall
            .put(&format!("/v2/{REPO}/manifests/v1"))
            .header("Content-Type", &manifest.media_type);
        put.header(condition, etag).body(manifest.bytes).send()
    };
    let (one, two) = (
        format!("\"{}\"", first.manifest().digest()),
        format!("\"{}\"", second.manifest().digest()),
    );
    push(&first, "If-Match", &one).expect(412);
    landfall.head_manifest(REPO, "v1").expect(404);
    push(&first, "If-None-Match", "*").expect(201);
    push(&second, "If-None-Match", "*").expect(412);
    landfall.expect_image(REPO, "v1", &first);
    push(&second, "If-Match", &two).expect(412);
    landfall.expect_image(REPO, "v1", &first);
    push(&second, "If-Match", &one).expect(201);
    landfall.expect_image(REPO, "v1", &second);
}

#[test]
fn of_many_who_create_a_tag_at_once_one_succeeds() {
    let landfall = Landfall::start();
    let images: Vec<Image> = (0..8).map(|n| Image::new(&format!("racer {n}"))).collect();
    for image in &images {
        landfall.push_blobs(REPO, image);
    }
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let race = |image: &Image| {
            let manifest = image.manifest();
            let put = landfall
                .put(&format!("/v2/{REPO}/manifests/only"))
                .header("Content-Type", &manifest.media_type);
            put.header("If-None-Match", "*")
                .body(manifest.bytes)
                .send()
                .status
        };
        let racers: Vec<_> = images
            .iter()
            .map(|image| scope.spawn(move || race(image)))
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 412).count(),
        7,
        "{statuses:?}"
    );
}
