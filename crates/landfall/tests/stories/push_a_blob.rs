//! A client pushes a blob in any of the ways that clients do, and it is there, whole, at once; or it is refused and nothing stays.
//!
//! Source: distribution-spec "Pushing blobs" (POST then PUT, single POST, chunks, streams), end-4a to end-6, end-11 and end-14.

use crate::harness::{EMPTY_SHA256, Landfall, digest_of, noise, sha512_of};

const REPO: &str = "team/app";
const UPLOADS: &str = "/v2/team/app/blobs/uploads/";

#[test]
fn post_then_put_stores_the_blob_at_once() {
    let landfall = Landfall::start();
    for size in [1, 100, 16 * 1024, 16 * 1024 + 1, 3_000_000] {
        let bytes = noise(&format!("post-put {size}"), size);
        let digest = digest_of(&bytes);
        landfall.head_blob(REPO, &digest).expect(404);
        let put = landfall
            .put(&landfall.begin_upload(REPO))
            .query("digest", &digest)
            .body(bytes.clone())
            .send()
            .expect(201);
        let put = put.with_header("Docker-Content-Digest", &digest);
        assert_eq!(put.location(), format!("/v2/{REPO}/blobs/{digest}"));
        let head = landfall.head_blob(REPO, &digest).expect(200);
        head.with_header("Content-Length", &size.to_string())
            .with_header("Docker-Content-Digest", &digest);
        landfall.expect_blob(REPO, &bytes);
    }
    assert!(
        landfall.upload_files().is_empty(),
        "{:?}",
        landfall.upload_files()
    );
    landfall.log().expect_clean();
}

#[test]
fn beginning_an_upload_tells_all_that_clients_read() {
    let landfall = Landfall::start();
    let begun = landfall
        .post(UPLOADS)
        .send()
        .expect(202)
        .with_header("Range", "0-0")
        .with_header("Content-Length", "0");
    let id = begun.expect_header("Docker-Upload-UUID").to_owned();
    assert_eq!(id.len(), 36, "a lower-case UUID: {id}");
    assert_eq!(id, id.to_lowercase());
    let begun = begun.without_header("OCI-Chunk-Min-Length"); // a disk has no least size of a chunk
    assert!(begun.location().starts_with(&format!("{UPLOADS}{id}")), "{begun}");
}

#[test]
fn wrong_digest_is_refused_and_leaves_nothing() {
    let landfall = Landfall::start();
    let (bytes, other) = (noise("right", 50_000), digest_of(noise("wrong", 50_000)));
    let location = landfall.begin_upload(REPO);
    let put = landfall
        .put(&location)
        .query("digest", &other)
        .body(bytes.clone())
        .send();
    put.expect_error(400, "DIGEST_INVALID");
    landfall.head_blob(REPO, &other).expect(404);
    landfall.head_blob(REPO, &digest_of(&bytes)).expect(404);
    landfall
        .get(&location)
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    assert!(landfall.upload_files().is_empty());
}

#[test]
fn forgotten_digest_is_refused_and_the_session_lives() {
    let landfall = Landfall::start();
    let bytes = noise("forgotten", 3000);
    let location = landfall.begin_upload_with(REPO, &bytes);
    landfall.put(&location).send().expect_error(400, "DIGEST_INVALID");
    landfall
        .put(&location)
        .query("digest", "")
        .send()
        .expect_error(400, "DIGEST_INVALID");
    landfall
        .get(&location)
        .send()
        .expect(204)
        .with_header("Range", "0-2999");
    landfall
        .put(&location)
        .query("digest", &digest_of(&bytes))
        .send()
        .expect(201);
    landfall.expect_blob(REPO, &bytes);
}

#[test]
fn a_digest_that_is_none_is_refused() {
    let landfall = Landfall::start();
    for digest in [
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:XYZ",
        "nonsense",
        "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
    ] {
        let put = landfall
            .put(&landfall.begin_upload_with(REPO, b"abc"))
            .query("digest", digest)
            .send();
        put.expect_error(400, "DIGEST_INVALID");
        landfall
            .post(UPLOADS)
            .query("digest", digest)
            .body("abc")
            .send()
            .expect_error(400, "DIGEST_INVALID");
    }
}

#[test]
fn single_post_with_body_stores_the_blob() {
    let landfall = Landfall::start();
    let bytes = noise("single post", 40_000);
    let digest = digest_of(&bytes);
    let post = landfall
        .post(UPLOADS)
        .query("digest", &digest)
        .body(bytes.clone())
        .send()
        .expect(201);
    let post = post.with_header("Docker-Content-Digest", &digest);
    assert_eq!(post.location(), format!("/v2/{REPO}/blobs/{digest}"));
    landfall.expect_blob(REPO, &bytes);
    let wrong = digest_of("something else");
    let post = landfall
        .post(UPLOADS)
        .query("digest", &wrong)
        .body(noise("other", 40_000))
        .send();
    post.expect_error(400, "DIGEST_INVALID");
    landfall.head_blob(REPO, &wrong).expect(404);
    landfall
        .head_blob(REPO, &digest_of(noise("other", 40_000)))
        .expect(404);
    assert!(landfall.upload_files().is_empty());
}

#[test]
fn streamed_patch_without_length_counts_every_byte() {
    let landfall = Landfall::start();
    let bytes = noise("stream", 700_000);
    let location = landfall.begin_upload(REPO);
    let pieces = bytes.chunks(65_537).map(<[u8]>::to_vec);
    let patch = landfall.patch(&location).chunked_body(pieces).send().expect(202);
    let patch = patch.with_header("Range", "0-699999");
    patch.expect_header("Docker-Upload-UUID");
    let put = landfall
        .put(&patch.location())
        .query("digest", &digest_of(&bytes))
        .send();
    put.expect(201);
    landfall.expect_blob(REPO, &bytes);
}

#[test]
fn streamed_put_and_post_work_too() {
    let landfall = Landfall::start();
    let bytes = noise("stream put", 100_000);
    let pieces = || bytes.chunks(9_999).map(<[u8]>::to_vec);
    let put = landfall
        .put(&landfall.begin_upload(REPO))
        .query("digest", &digest_of(&bytes))
        .chunked_body(pieces())
        .send();
    put.expect(201);
    let post = landfall
        .post("/v2/team/other/blobs/uploads/")
        .query("digest", &digest_of(&bytes))
        .chunked_body(pieces())
        .send();
    post.expect(201);
    landfall.expect_blob(REPO, &bytes);
    landfall.expect_blob("team/other", &bytes);
}

#[test]
fn nothing_is_a_blob_too_by_every_style() {
    let landfall = Landfall::start();
    let digest = EMPTY_SHA256;
    landfall
        .put(&landfall.begin_upload("zero/put"))
        .query("digest", digest)
        .send()
        .expect(201);
    landfall
        .post("/v2/zero/post/blobs/uploads/")
        .query("digest", digest)
        .body("")
        .send()
        .expect(201);
    let patched = landfall
        .patch(&landfall.begin_upload("zero/patch"))
        .body("")
        .send()
        .expect(202);
    landfall
        .put(&patched.with_header("Range", "0-0").location())
        .query("digest", digest)
        .send()
        .expect(201);
    let streamed = landfall
        .patch(&landfall.begin_upload("zero/stream"))
        .chunked_body([])
        .send()
        .expect(202);
    landfall
        .put(&streamed.location())
        .query("digest", digest)
        .chunked_body([])
        .send()
        .expect(201);
    let sha512 = sha512_of("");
    landfall
        .put(&landfall.begin_upload("zero/sha512"))
        .query("digest", &sha512)
        .send()
        .expect(201);
    landfall
        .head_blob("zero/sha512", &sha512)
        .expect(200)
        .with_header("Content-Length", "0");
    for repo in ["zero/put", "zero/post", "zero/patch", "zero/stream"] {
        landfall
            .head_blob(repo, digest)
            .expect(200)
            .with_header("Content-Length", "0");
        assert!(landfall.get_blob(repo, digest).expect(200).body.is_empty());
    }
}

#[test]
fn post_without_digest_ignores_content_type_and_body_size_zero() {
    let landfall = Landfall::start();
    landfall
        .post(UPLOADS)
        .header("Content-Type", "application/json")
        .send()
        .expect(202);
    let bytes = noise("typed", 100);
    let patch = landfall
        .patch(&landfall.begin_upload(REPO))
        .header("Content-Type", "text/plain")
        .body(bytes.clone())
        .send();
    let location = patch.expect(202).location();
    let put = landfall
        .put(&location)
        .header("Content-Type", "application/json")
        .query("digest", &digest_of(&bytes))
        .send();
    put.expect(201);
}

#[test]
fn sha512_is_as_good_as_sha256() {
    let landfall = Landfall::start();
    for (repo, size) in [("sha/small", 500), ("sha/large", 500_000)] {
        let bytes = noise(repo, size);
        let digest = sha512_of(&bytes);
        let location = landfall.begin_upload_with(repo, &bytes[..200]);
        let put = landfall
            .put(&location)
            .query("digest", &digest)
            .body(&bytes[200..])
            .send()
            .expect(201);
        let put = put.with_header("Docker-Content-Digest", &digest);
        assert_eq!(put.location(), format!("/v2/{repo}/blobs/{digest}"));
        landfall
            .head_blob(repo, &digest)
            .expect(200)
            .with_header("Docker-Content-Digest", &digest);
        let get = landfall
            .get_blob(repo, &digest)
            .expect(200)
            .with_header("Docker-Content-Digest", &digest);
        assert!(get.body == bytes);
    }
}

#[test]
fn session_may_be_told_its_algorithm_and_still_be_finished_with_another() {
    let landfall = Landfall::start();
    let bytes = noise("algorithm", 100_000);
    let begin = |algorithm: &str| landfall.post(UPLOADS).query("digest-algorithm", algorithm).send();
    let location = begin("sha512").expect(202).location();
    let put = landfall
        .put(&location)
        .query("digest", &sha512_of(&bytes))
        .body(bytes.clone())
        .send()
        .expect(201);
    put.with_header("Docker-Content-Digest", &sha512_of(&bytes));
    let location = begin("sha512").expect(202).location();
    let put = landfall
        .put(&location)
        .query("digest", &digest_of(&bytes))
        .body(bytes.clone())
        .send()
        .expect(201);
    put.with_header("Docker-Content-Digest", &digest_of(&bytes));
    landfall.expect_blob(REPO, &bytes);
    for algorithm in ["md5", "blake3", "SHA256", "sha256:00"] {
        begin(algorithm).expect_error(400, "DIGEST_INVALID");
    }
}

#[test]
fn wrong_sha512_digest_leaves_nothing() {
    let landfall = Landfall::start();
    let location = landfall.begin_upload_with(REPO, b"one thing");
    let put = landfall
        .put(&location)
        .query("digest", &sha512_of("another thing"))
        .send();
    put.expect_error(400, "DIGEST_INVALID");
    landfall.get(&location).send().expect(404);
    landfall.head_blob(REPO, &sha512_of("another thing")).expect(404);
    landfall.head_blob(REPO, &sha512_of("one thing")).expect(404);
}

#[test]
fn pushing_what_is_there_already_is_fine() {
    let landfall = Landfall::start();
    let bytes = noise("again", 200_000);
    let digest = landfall.push_blob(REPO, &bytes);
    landfall.push_blob(REPO, &bytes);
    landfall.push_blob("team/other", &bytes);
    landfall.expect_blob(REPO, &bytes);
    landfall.expect_blob("team/other", &bytes);
    crate::harness::wait_until("one copy on disk", || landfall.blob_files(&digest).len() == 1);
    assert!(landfall.upload_files().is_empty());
}
