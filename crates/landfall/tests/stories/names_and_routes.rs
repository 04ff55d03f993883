//! A repository is called what its team likes, and no name, path trick or escape ever leads to somebody else's data.
//!
//! Source: distribution-spec "Pulling manifests" (grammar of names and tags), RFC 3986 section 2.1.

use crate::harness::{EMPTY_SHA256, Image, Landfall, digest_of};

#[test]
fn words_of_the_protocol_may_stand_in_a_repository_name() {
    let landfall = Landfall::start();
    let names = [
        "a/manifests/b",
        "x/tags",
        "a/blobs/uploads",
        "tags/list",
        "a/referrers",
        "manifests",
        "blobs/uploads/blobs",
        "list",
    ];
    for name in names {
        let image = Image::new(name);
        let manifest = landfall.push(name, "list", &image);
        landfall.expect_image(name, "list", &image);
        landfall.expect_image(name, &manifest.digest(), &image);
        assert_eq!(landfall.tags(name), ["list"], "tags of {name}");
        landfall.referrers(name, &manifest.digest()).expect(200);
    }
    for other in ["a", "x", "tags", "blobs"] {
        landfall
            .get(&format!("/v2/{other}/tags/list"))
            .send()
            .expect_error(404, "NAME_UNKNOWN");
    }
    let catalog = landfall.get("/v2/_catalog").send().words("repositories");
    assert_eq!(catalog.len(), names.len(), "{catalog:?}");
}

#[test]
fn uploads_work_in_a_repository_called_like_the_upload_route() {
    let landfall = Landfall::start();
    let digest = landfall.push_blob("a/blobs/uploads", b"inner");
    landfall.head_blob("a/blobs/uploads", &digest).expect(200);
    landfall.head_blob("a", &digest).expect(404);
}

#[test]
fn names_of_every_shape_in_the_grammar_are_accepted() {
    let landfall = Landfall::start();
    for name in [
        "a",
        "0",
        "a.b",
        "a_b",
        "a__b",
        "a-b",
        "a---b",
        "a1/b2/c3",
        "a/b/c/d/e/f/g/h",
    ] {
        landfall.push_blob(name, b"x");
    }
    let longest = format!("{}/{}", "a".repeat(127), "b".repeat(127));
    assert_eq!(longest.len(), 255);
    landfall.push(&longest, "t", &Image::new("long"));
    assert_eq!(landfall.tags(&longest), ["t"]);
}

#[test]
fn names_outside_the_grammar_are_named_as_such() {
    let landfall = Landfall::start();
    let too_long = format!("{}/{}", "a".repeat(127), "b".repeat(128));
    let names = [
        "UPPER", "a/B", ".a", "a.", "-a", "a-", "a..b", "a._b", "a___b", "_a", "a/_b", "a/-b", "ä", "a b",
        "a:b", "a+b", &too_long,
    ];
    for name in names {
        let name = name.replace('ä', "%C3%A4").replace(' ', "%20");
        landfall
            .get(&format!("/v2/{name}/tags/list"))
            .send()
            .expect_error(400, "NAME_INVALID");
        landfall
            .post(&format!("/v2/{name}/blobs/uploads/"))
            .send()
            .expect_error(400, "NAME_INVALID");
        landfall
            .get(&format!("/v2/{name}/manifests/latest"))
            .send()
            .expect_error(400, "NAME_INVALID");
        landfall
            .get(&format!("/v2/{name}/blobs/{EMPTY_SHA256}"))
            .send()
            .expect_error(400, "NAME_INVALID");
    }
}

#[test]
fn a_host_with_port_in_front_of_the_name_is_refused_for_pushes() {
    let landfall = Landfall::start();
    let answer = landfall
        .post("/v2/registry.example.com:5000/app/blobs/uploads/")
        .send();
    answer.expect_error(400, "NAME_INVALID");
}

#[test]
fn path_tricks_never_reach_another_repository() {
    let landfall = Landfall::start();
    let image = Image::new("secret");
    landfall.push("a/b", "latest", &image);
    landfall.push("b", "latest", &Image::new("b"));
    let digest = image.manifest().digest();
    let tricks = [
        "/v2/a//b/tags/list",
        "/v2/a/../b/tags/list",
        "/v2/a/./b/tags/list",
        "/v2/a/%2e%2e/b/tags/list",
        "/v2/a/%2E%2E%2Fb/tags/list",
        "/v2/%2e/a/b/tags/list",
        "/v2/a%2F%2Fb/tags/list",
        "/v2/a/b%00/tags/list",
        "/v2/a%252Fb/tags/list",
        "/v2/../v2/a/b/tags/list",
        "/v2//a/b/tags/list",
        "/v2/a/b/tags/list/",
        "/v2/a\\b/tags/list",
        "/v2/a%5Cb/tags/list",
        "/v2/a/b/manifests/..%2f..%2fb%2fmanifests%2flatest",
        "/v2/a/b/manifests/%2e%2e",
        "/v2/a/b/blobs/uploads/..%2f..",
        "/v2/a/b/blobs/uploads/..",
        "/v2/%ff%fe/tags/list",
        "/v2/a/b%/tags/list",
        "/v2/a/b%zz/tags/list",
    ];
    for target in tricks {
        let answer = landfall.get(target).send();
        assert!(matches!(answer.status, 400 | 404), "GET {target}:\n{answer}");
    }
    landfall.get(&format!("/v2/a//b/manifests/{digest}")).send();
    for target in [
        "/../v2/a/b/tags/list",
        "/v2/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
    ] {
        let answer = landfall.get(target).send();
        assert!(answer.status >= 400, "GET {target}:\n{answer}");
    }
    landfall.expect_image("a/b", "latest", &image);
    landfall.log().expect_clean();
}

#[test]
fn percent_escapes_are_read_once() {
    let landfall = Landfall::start();
    let image = Image::new("escaped");
    let manifest = landfall.push("esc/app", "latest", &image);
    let escaped = manifest.digest().replace(':', "%3A");
    let by_escape = landfall.get_manifest("esc/app", &escaped).expect(200);
    assert_eq!(
        by_escape
            .with_header("Docker-Content-Digest", &manifest.digest())
            .body,
        manifest.bytes
    );
    landfall
        .get_manifest("esc/app", &escaped.replace("%3A", "%3a"))
        .expect(200);
    landfall.get("/v2/esc%2Fapp/tags/list").send().expect(200);
    landfall
        .get("/v2/esc%2fapp/manifests/l%61test")
        .send()
        .expect(200);
    landfall
        .get_blob("esc/app", &digest_of(&image.blobs[0]).replace(':', "%3A"))
        .expect(200);
    landfall.referrers("esc/app", &escaped).expect(200);
    let location = landfall.begin_upload("esc/app");
    let put = landfall
        .put(&location)
        .query("digest", &digest_of("query").replace(':', "%3A"))
        .body("query")
        .send();
    put.expect(201)
        .with_header("Docker-Content-Digest", &digest_of("query"));
}

#[test]
fn uploads_begin_with_and_without_the_trailing_slash() {
    let landfall = Landfall::start();
    for target in ["/v2/slash/app/blobs/uploads/", "/v2/slash/app/blobs/uploads"] {
        landfall.post(target).send().expect(202).expect_header("Location");
    }
}

#[test]
fn bad_references_are_told_apart() {
    let landfall = Landfall::start();
    let image = Image::new("refs");
    landfall.push("refs/app", "latest", &image);
    let (manifest, long) = (image.manifest(), "t".repeat(129));
    for tag in [".dot", "-dash", &long, "a%20b", "a~b", "a%2Cb"] {
        landfall
            .get_manifest("refs/app", tag)
            .expect_error(404, "MANIFEST_UNKNOWN");
        landfall.head_manifest("refs/app", tag).expect(404);
        landfall
            .delete_manifest("refs/app", tag)
            .expect_error(404, "MANIFEST_UNKNOWN");
        landfall
            .put_manifest("refs/app", tag, &manifest)
            .expect_error(400, "TAG_INVALID");
    }
    for tag in ["_", "A", "0", "v1.0-rc_2", &"t".repeat(128)] {
        landfall.put_manifest("refs/app", tag, &manifest).expect(201);
        landfall.get_manifest("refs/app", tag).expect(200);
    }
}

#[test]
fn bad_digests_are_400_wherever_they_stand() {
    let landfall = Landfall::start();
    let image = Image::new("digests");
    landfall.push("dig/app", "latest", &image);
    let upper = format!("sha256:{}", "A".repeat(64));
    let digests = [
        "sha256:baddigeststring",
        "sha256:",
        ":abc",
        "sha256:00",
        &upper,
        &format!("sha256:{}", "g".repeat(64)),
        &format!("sha256:{}", "0".repeat(65)),
        &format!("sha512:{}", "0".repeat(64)),
        &format!("md5:{}", "0".repeat(32)),
        &format!("blake3:{}x", "0".repeat(64)),
    ];
    for digest in digests {
        landfall
            .get_manifest("dig/app", digest)
            .expect_error(400, "DIGEST_INVALID");
        landfall
            .put_manifest("dig/app", digest, &image.manifest())
            .expect_error(400, "DIGEST_INVALID");
        landfall
            .delete_manifest("dig/app", digest)
            .expect_error(400, "DIGEST_INVALID");
        landfall
            .get_blob("dig/app", digest)
            .expect_error(400, "DIGEST_INVALID");
        landfall
            .delete_blob("dig/app", digest)
            .expect_error(400, "DIGEST_INVALID");
        landfall
            .referrers("dig/app", digest)
            .expect_error(400, "DIGEST_INVALID");
    }
}
