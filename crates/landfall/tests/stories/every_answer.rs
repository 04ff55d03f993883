//! A client can rely on the same things in every answer: headers, error documents, `Allow`.
//!
//! Source: distribution-spec "Error Codes"; RFC 9110 sections 9.3.2, 9.3.7, 10.2.1 and 15.5.6.

use serde_json::json;

use crate::harness::{EMPTY_SHA256, Image, Landfall, noise};

const ABSENT: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn base_answers_an_empty_object_with_its_length() {
    let landfall = Landfall::start();
    for target in ["/v2/", "/v2"] {
        let answer = landfall
            .get(target)
            .send()
            .expect(200)
            .with_header("Content-Type", "application/json");
        assert_eq!(answer.with_header("Content-Length", "2").body, b"{}");
        landfall
            .head(target)
            .send()
            .expect(200)
            .with_header("Content-Length", "2");
    }
    landfall.log().expect_clean();
}

#[test]
fn health_probe_at_the_root_needs_nothing() {
    let landfall = Landfall::start();
    landfall
        .get("/")
        .send()
        .expect(200)
        .with_header("Cache-Control", "no-cache");
}

#[test]
fn unknown_routes_are_404_with_an_error_document() {
    let landfall = Landfall::start();
    for target in [
        "/v2/nothing",
        "/v2/a/b/c",
        "/v2/a/tags",
        "/v2/a/tags/other",
        "/v2/_other",
        "/v2/a/manifests/",
        "/v2/manifests/x",
        "/v2/a/blobs/",
    ] {
        let answer = landfall.get(target).send();
        assert!(matches!(answer.status, 400 | 404), "GET {target}:\n{answer}");
    }
    landfall.get("/v2/nothing/here").send().expect(404);
}

#[test]
fn wrong_method_is_405_and_says_which_ones_are_right() {
    let landfall = Landfall::start();
    let cases = [
        ("PUT", "/v2/", "GET"),
        ("PUT", "/v2/a/tags/list", "GET"),
        ("DELETE", "/v2/a/tags/list", "GET"),
        ("POST", "/v2/a/manifests/latest", "PUT"),
        ("PATCH", "/v2/a/manifests/latest", "DELETE"),
        ("PUT", "/v2/_catalog", "GET"),
        ("PUT", &format!("/v2/a/blobs/{EMPTY_SHA256}"), "GET"),
        ("POST", &format!("/v2/a/blobs/{EMPTY_SHA256}"), "DELETE"),
        ("GET", "/v2/a/blobs/uploads/", "POST"),
        (
            "POST",
            "/v2/a/blobs/uploads/4b6cb6bd-0a51-4b0f-8d4c-2d3c1a1f5a10",
            "PATCH",
        ),
        ("POST", &format!("/v2/a/referrers/{EMPTY_SHA256}"), "GET"),
    ];
    for (method, target, allowed) in cases {
        let answer = landfall
            .request(method, target)
            .header("Content-Length", "0")
            .send();
        let answer = answer.expect_error(405, "UNSUPPORTED");
        let allow = answer.expect_header("Allow").to_owned();
        let listed: Vec<&str> = allow.split(',').map(str::trim).collect();
        assert!(listed.contains(&allowed), "{method} {target}: Allow: {allow}");
        assert!(!listed.contains(&method), "{method} {target}: Allow: {allow}");
    }
}

#[test]
fn options_is_answered_with_what_is_allowed() {
    let landfall = Landfall::start();
    for (target, allowed) in [
        ("/v2/", "GET"),
        ("/v2/a/tags/list", "GET"),
        ("/v2/a/manifests/latest", "PUT"),
        ("/v2/a/blobs/uploads/", "POST"),
    ] {
        let answer = landfall.request("OPTIONS", target).send().expect(200);
        let allow = answer.expect_header("Allow");
        assert!(
            allow.split(',').any(|method| method.trim() == allowed),
            "OPTIONS {target}: Allow: {allow}"
        );
        assert!(answer.body.is_empty());
    }
}

#[test]
fn options_passes_without_a_login_because_browsers_ask_it_so() {
    let builder = Landfall::builder();
    let users = builder.file("htpasswd", crate::harness::passwords::bcrypt_line("busy", "bee"));
    let landfall = builder
        .htpasswd(&users)
        .env(
            "REGISTRY_HTTP_HEADERS_Access-Control-Allow-Origin",
            "['https://ui.example.com']",
        )
        .start();
    let answer = landfall.request("OPTIONS", "/v2/_catalog").send().expect(200);
    answer.with_header("Access-Control-Allow-Origin", "https://ui.example.com");
}

#[test]
fn configured_headers_are_on_every_answer() {
    let config = "http:\n  headers:\n    X-Content-Type-Options: [nosniff]\n    X-Twice: [one, two]\n";
    let landfall = Landfall::builder().config(config).start();
    for target in ["/v2/", "/v2/none/tags/list", "/v2/bad/route/here", "/"] {
        let answer = landfall
            .get(target)
            .send()
            .with_header("X-Content-Type-Options", "nosniff");
        let twice: Vec<&str> = answer
            .headers
            .iter()
            .filter(|(name, _)| name == "x-twice")
            .map(|(_, value)| &**value)
            .collect();
        assert!(
            twice == ["one", "two"] || twice == ["one, two"],
            "GET {target}:\n{answer}"
        );
    }
}

#[test]
fn nothing_is_ever_compressed() {
    let landfall = Landfall::start();
    let image = Image::new("plain").layer(vec![0; 100_000]);
    let manifest = landfall.push("zip/app", "latest", &image);
    let layer = crate::harness::digest_of(&image.blobs[2]);
    let targets = [
        "/v2/".to_owned(),
        "/v2/_catalog".to_owned(),
        "/v2/zip/app/tags/list".to_owned(),
        "/v2/zip/app/manifests/latest".to_owned(),
        format!("/v2/zip/app/blobs/{layer}"),
        format!("/v2/zip/app/referrers/{}", manifest.digest()),
        "/v2/zip/app/manifests/none".to_owned(),
    ];
    for target in targets {
        // The exchange itself is held against "never Content-Encoding".
        let plain = landfall.get(&target).send();
        let zipped = landfall
            .get(&target)
            .header("Accept-Encoding", "zstd, gzip, deflate, br")
            .send();
        assert_eq!(
            (plain.status, plain.body),
            (zipped.status, zipped.body),
            "GET {target}"
        );
    }
}

#[test]
fn head_tells_what_get_would_and_has_no_body() {
    let landfall = Landfall::start();
    let image = Image::new("head");
    let manifest = landfall.push("head/app", "latest", &image);
    let targets = [
        "/v2/".to_owned(),
        "/v2/_catalog".to_owned(),
        "/v2/head/app/tags/list".to_owned(),
        "/v2/head/app/manifests/latest".to_owned(),
        format!("/v2/head/app/manifests/{}", manifest.digest()),
        format!(
            "/v2/head/app/blobs/{}",
            crate::harness::digest_of(&image.blobs[0])
        ),
        format!("/v2/head/app/blobs/{ABSENT}"),
        "/v2/head/app/manifests/none".to_owned(),
        "/v2/none/tags/list".to_owned(),
    ];
    for target in targets {
        let get = landfall.get(&target).send();
        // The connection is used again: a body after HEAD would be taken for the next answer.
        let mut connection = landfall.connect();
        let head = landfall.head(&target).send_on(&mut connection);
        assert_eq!(head.status, get.status, "HEAD {target}");
        for name in ["Content-Type", "Content-Length", "Docker-Content-Digest", "ETag"] {
            assert_eq!(head.header(name), get.header(name), "{name} of HEAD {target}");
        }
        landfall.get("/v2/").send_on(&mut connection).expect(200);
    }
}

#[test]
fn success_without_a_body_says_so() {
    let landfall = Landfall::start();
    let began = landfall.post("/v2/quiet/app/blobs/uploads/").send().expect(202);
    let location = began.with_header("Content-Length", "0").location();
    let patched = landfall
        .patch(&location)
        .body(noise("quiet", 9))
        .send()
        .expect(202);
    let location = patched.with_header("Content-Length", "0").location();
    let put = landfall
        .put(&location)
        .query("digest", &crate::harness::digest_of(noise("quiet", 9)))
        .send();
    put.expect(201).with_header("Content-Length", "0");
    let image = Image::new("quiet");
    landfall.push_blobs("quiet/app", &image);
    let put = landfall.put_manifest("quiet/app", "latest", &image.manifest());
    put.expect(201).with_header("Content-Length", "0");
    landfall
        .delete_manifest("quiet/app", "latest")
        .expect(202)
        .with_header("Content-Length", "0");
}

#[test]
fn discovery_lists_no_extensions() {
    let landfall = Landfall::start();
    let answer = landfall.get("/v2/_oci/ext/discover").send().expect(200);
    assert_eq!(
        answer.with_header("Content-Type", "application/json").json(),
        json!({"extensions": []})
    );
}

#[test]
fn a_mirror_hint_on_any_request_is_ignored() {
    let landfall = Landfall::start();
    let image = Image::new("ns");
    landfall.push("ns/app", "latest", &image);
    let answer = landfall
        .get("/v2/ns/app/manifests/latest?ns=docker.io")
        .send()
        .expect(200);
    assert_eq!(answer.body, image.manifest().bytes);
    landfall.get("/v2/?ns=docker.io").send().expect(200);
    let begun = landfall
        .post("/v2/ns/app/blobs/uploads/?ns=docker.io")
        .send()
        .expect(202);
    let put = landfall
        .put(&begun.location())
        .query("ns", "docker.io")
        .query("digest", EMPTY_SHA256);
    put.send().expect(201);
}

#[test]
fn error_document_of_an_unknown_manifest_reads_well() {
    let landfall = Landfall::start();
    landfall.push("doc/app", "latest", &Image::new("doc"));
    let answer = landfall
        .get_manifest("doc/app", "none")
        .expect_error(404, "MANIFEST_UNKNOWN");
    assert_eq!(answer.codes().len(), 1);
    landfall
        .get_blob("doc/app", ABSENT)
        .expect_error(404, "BLOB_UNKNOWN");
}
