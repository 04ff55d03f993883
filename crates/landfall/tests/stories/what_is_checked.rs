//! An operator decides how strictly manifests are checked: which children may be missing, which URLs may be named.
//!
//! Source: the CNCF registry's `validation` settings; distribution-spec "Pushing Manifests" (sparse indexes).

use serde_json::json;

use crate::harness::{Image, Landfall, Manifest, descriptor, digest_of, index};

const REPO: &str = "team/app";

/// An index of an image that is there (linux/amd64) and one that is not.
fn sparse(landfall: &Landfall, missing: (&str, &str)) -> Manifest {
    let here = landfall.push_untagged(REPO, &Image::new("here"));
    let gone = Image::new("gone").manifest();
    index(&[
        here.for_platform("linux", "amd64"),
        gone.for_platform(missing.0, missing.1),
    ])
}

#[test]
fn sparse_indexes_are_taken_when_no_platform_is_required() {
    let landfall = Landfall::builder()
        .config("validation: {manifests: {indexes: {platforms: none}}}\n")
        .start();
    let sparse = sparse(&landfall, ("linux", "arm64"));
    landfall.put_manifest(REPO, "sparse", &sparse).expect(201);
    assert_eq!(
        landfall.get_manifest(REPO, "sparse").expect(200).body,
        sparse.bytes
    );
    // Only children may be missing: a layer is always checked.
    landfall
        .put_manifest(REPO, "bad", &Image::new("no blobs").manifest())
        .expect_error(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn listed_platforms_are_required_and_others_are_not() {
    let config = "\
validation:
  manifests:
    indexes:
      platforms: list
      platformlist:
        - {architecture: amd64, os: linux}
";
    let landfall = Landfall::builder().config(config).start();
    let fine = sparse(&landfall, ("linux", "arm64"));
    landfall.put_manifest(REPO, "fine", &fine).expect(201);
    let bad = sparse(&landfall, ("linux", "amd64"));
    landfall
        .put_manifest(REPO, "bad", &bad)
        .expect_error(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn without_validation_references_may_be_missing_and_limits_still_hold() {
    let landfall = Landfall::builder()
        .config("validation: {disabled: true}\n")
        .start();
    let image = Image::new("dangling");
    landfall
        .put_manifest(REPO, "dangling", &image.manifest())
        .expect(201);
    assert_eq!(
        landfall.get_manifest(REPO, "dangling").expect(200).body,
        image.manifest().bytes
    );
    let sparse = index(&[Image::new("gone").manifest().descriptor()]);
    landfall.put_manifest(REPO, "sparse", &sparse).expect(201);
    landfall
        .get_blob(REPO, &digest_of(&image.blobs[0]))
        .expect_error(404, "BLOB_UNKNOWN");
    landfall.push_blobs(REPO, &image);
    landfall.expect_image(REPO, "dangling", &image);
    let mut bad = image.clone();
    bad.document["layers"][0]["digest"] = "sha256:XYZ".into();
    landfall.put_manifest(REPO, "bad", &bad.manifest()).expect(400);
    landfall
        .put_manifest(REPO, &digest_of("other"), &image.manifest())
        .expect_error(400, "DIGEST_INVALID");
    landfall
        .put_manifest(
            REPO,
            "bad",
            &Manifest::new(&image.manifest().media_type, "nonsense"),
        )
        .expect_error(400, "MANIFEST_INVALID");
    landfall
        .put_manifest(REPO, ".bad", &image.manifest())
        .expect_error(400, "TAG_INVALID");
}

/// An image with a layer that lies at this URL.
fn at_url(landfall: &Landfall, url: &str) -> Manifest {
    let mut image = Image::new("at a url");
    landfall.push_blobs(REPO, &image);
    let mut layer = descriptor(
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        url.as_bytes(),
    );
    layer["urls"] = json!([url]);
    image.document["layers"].as_array_mut().unwrap().push(layer);
    image.manifest()
}

#[test]
fn urls_must_be_ones_that_a_client_can_fetch() {
    let landfall = Landfall::start();
    for url in ["https://example.com/layer", "http://example.com/layer?x=1"] {
        landfall
            .put_manifest(REPO, "good", &at_url(&landfall, url))
            .expect(201);
    }
    for url in [
        "file:///etc/passwd",
        "ftp://example.com/x",
        "https://example.com/x#fragment",
        "nonsense",
        "",
        "/path",
    ] {
        landfall
            .put_manifest(REPO, "bad", &at_url(&landfall, url))
            .expect_error(400, "MANIFEST_INVALID");
    }
}

#[test]
fn urls_are_allowed_and_denied_by_pattern() {
    let config = "\
validation:
  manifests:
    urls:
      allow: ['^https?://([^/]+\\.)*example\\.com/']
      deny: ['^https?://bad\\.example\\.com/']
";
    let landfall = Landfall::builder().config(config).start();
    for (url, status) in [
        ("https://example.com/x", 201),
        ("https://a.example.com/x", 201),
        ("https://bad.example.com/x", 400),
        ("https://other.org/x", 400),
    ] {
        landfall
            .put_manifest(REPO, "url", &at_url(&landfall, url))
            .expect(status);
    }
}

#[test]
fn validation_written_out_as_on_is_on() {
    let landfall = Landfall::builder()
        .config("validation: {enabled: true, disabled: false}\n")
        .start();
    landfall
        .put_manifest(REPO, "bad", &Image::new("no blobs").manifest())
        .expect_error(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn a_blob_over_the_limit_is_refused_and_leaves_nothing() {
    let landfall = Landfall::builder().env("LANDFALL_LIMITS__BLOB", "64KiB").start();
    landfall.push_blob(REPO, &vec![1; 65_536]);
    let big = vec![2; 65_537];
    let digest = digest_of(&big);
    let post = landfall
        .post(&format!("/v2/{REPO}/blobs/uploads/"))
        .query("digest", &digest)
        .body(big.clone())
        .send();
    post.expect_error(413, "DENIED");
    let put = landfall
        .put(&landfall.begin_upload(REPO))
        .query("digest", &digest)
        .chunked_body([big.clone()])
        .send();
    put.expect_error(413, "DENIED");
    let session = landfall.begin_upload_with(REPO, &big[..60_000]);
    landfall
        .patch(&session)
        .body(&big[60_000..])
        .send()
        .expect_error(413, "DENIED");
    landfall.head_blob(REPO, &digest).expect(404);
}
