//! Somebody puts a proxy in front, and every Location still leads back to the registry.
//!
//! Source: RFC 9110 section 10.2.2 (Location), RFC 7239 (Forwarded); the CNCF registry's `http.host`, `prefix`, `relativeurls`.

use crate::harness::{Image, Landfall, Response, noise};

fn absolute_urls() -> Landfall {
    Landfall::builder()
        .config("http:\n  relativeurls: false\n")
        .start()
}

fn location(answer: &Response) -> String {
    answer.expect_header("Location").to_owned()
}

#[test]
fn locations_are_paths_unless_something_else_is_asked_for() {
    let landfall = Landfall::start();
    let forwarded = landfall
        .post("/v2/rel/app/blobs/uploads/")
        .header("X-Forwarded-Proto", "https")
        .send()
        .expect(202);
    assert!(
        location(&forwarded).starts_with("/v2/rel/app/blobs/uploads/"),
        "{forwarded}"
    );
    let manifest = Image::new("rel");
    landfall.push_blobs("rel/app", &manifest);
    let put = landfall
        .put_manifest("rel/app", "latest", &manifest.manifest())
        .expect(201);
    assert_eq!(
        location(&put),
        format!("/v2/rel/app/manifests/{}", manifest.manifest().digest())
    );
}

#[test]
fn relative_urls_asked_for_are_paths_too() {
    let landfall = Landfall::builder()
        .env("REGISTRY_HTTP_RELATIVEURLS", "true")
        .start();
    let answer = landfall.post("/v2/rel/app/blobs/uploads/").send().expect(202);
    assert!(
        location(&answer).starts_with("/v2/rel/app/blobs/uploads/"),
        "{answer}"
    );
}

#[test]
fn absolute_locations_keep_host_and_port_of_the_request() {
    let landfall = absolute_urls();
    let answer = landfall
        .post("/v2/abs/app/blobs/uploads/")
        .header("Host", "h:8443")
        .send()
        .expect(202);
    assert!(
        location(&answer).starts_with("http://h:8443/v2/abs/app/blobs/uploads/"),
        "{answer}"
    );
    let answer = landfall
        .post("/v2/abs/app/blobs/uploads/")
        .header("Host", "registry.example.com")
        .send()
        .expect(202);
    assert!(
        location(&answer).starts_with("http://registry.example.com/v2/"),
        "{answer}"
    );
}

#[test]
fn a_trusted_proxy_says_scheme_and_host() {
    let landfall = absolute_urls(); // loopback is trusted unless told otherwise
    let post = || {
        landfall
            .post("/v2/abs/app/blobs/uploads/")
            .header("Host", "inner:8443")
    };
    let answer = post().header("X-Forwarded-Proto", "https").send().expect(202);
    assert!(
        location(&answer).starts_with("https://inner:8443/v2/"),
        "{answer}"
    );
    let answer = post()
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "a, b")
        .send()
        .expect(202);
    assert!(location(&answer).starts_with("https://a/v2/"), "{answer}");
    let answer = post()
        .header(
            "Forwarded",
            "for=192.0.2.1;proto=https;host=\"f.example.com:444\"",
        )
        .send()
        .expect(202);
    assert!(
        location(&answer).starts_with("https://f.example.com:444/v2/"),
        "{answer}"
    );
}

#[test]
fn forwarded_headers_from_a_stranger_are_not_believed() {
    let config = "http:\n  relativeurls: false\n  trusted_proxies: [192.0.2.0/24]\n";
    let landfall = Landfall::builder().config(config).start();
    let post = || {
        landfall
            .post("/v2/abs/app/blobs/uploads/")
            .header("Host", "inner:8443")
    };
    for _ in 0..2 {
        let answer = post()
            .header("X-Forwarded-Proto", "https")
            .header("X-Forwarded-Host", "evil")
            .send()
            .expect(202);
        assert!(location(&answer).starts_with("http://inner:8443/v2/"), "{answer}");
    }
    landfall.log().expect_line(&["trusted_proxies"]);
    let told = landfall
        .log()
        .lines()
        .iter()
        .filter(|line| line.contains("trusted_proxies"))
        .count();
    assert_eq!(told, 1, "said once, not for each request:\n{}", landfall.log());
}

#[test]
fn a_configured_host_wins_over_every_header() {
    let landfall = Landfall::builder()
        .env("REGISTRY_HTTP_HOST", "https://r.example.com:5000")
        .start();
    let post = landfall
        .post("/v2/host/app/blobs/uploads/")
        .header("Host", "other")
        .header("X-Forwarded-Host", "evil");
    let answer = post
        .header("X-Forwarded-Proto", "http")
        .header("Forwarded", "host=evil2")
        .send()
        .expect(202);
    assert!(
        location(&answer).starts_with("https://r.example.com:5000/v2/host/app/blobs/uploads/"),
        "{answer}"
    );
    let patched = landfall
        .patch(&answer.location())
        .body(noise("host", 5))
        .send()
        .expect(202);
    assert!(
        location(&patched).starts_with("https://r.example.com:5000/v2/"),
        "{patched}"
    );
    let image = Image::new("host");
    landfall.push_blobs("host/app", &image);
    let put = landfall
        .put_manifest("host/app", "latest", &image.manifest())
        .expect(201);
    let expected = format!(
        "https://r.example.com:5000/v2/host/app/manifests/{}",
        image.manifest().digest()
    );
    assert_eq!(location(&put), expected);
}

#[test]
fn under_a_prefix_everything_works_and_links_stay_under_it() {
    let landfall = Landfall::builder().config("http:\n  prefix: /reg/\n").start();
    landfall.get("/reg/v2/").send().expect(200);
    let begun = landfall.post("/reg/v2/pre/app/blobs/uploads/").send().expect(202);
    assert!(
        location(&begun).starts_with("/reg/v2/pre/app/blobs/uploads/"),
        "{begun}"
    );
    let image = Image::new("prefix");
    for blob in &image.blobs {
        let begun = landfall.post("/reg/v2/pre/app/blobs/uploads/").send().expect(202);
        let digest = crate::harness::digest_of(blob);
        let put = landfall
            .put(&begun.location())
            .query("digest", &digest)
            .body(blob.clone())
            .send()
            .expect(201);
        assert_eq!(location(&put), format!("/reg/v2/pre/app/blobs/{digest}"));
    }
    let manifest = image.manifest();
    for tag in ["one", "two", "three"] {
        let put = landfall
            .put(&format!("/reg/v2/pre/app/manifests/{tag}"))
            .header("Content-Type", &manifest.media_type);
        let put = put.body(manifest.bytes.clone()).send().expect(201);
        assert_eq!(
            location(&put),
            format!("/reg/v2/pre/app/manifests/{}", manifest.digest())
        );
    }
    let page = landfall.get("/reg/v2/pre/app/tags/list?n=2").send().expect(200);
    let next = page.next_page().expect("a second page");
    assert!(next.starts_with("/reg/v2/pre/app/tags/list?"), "{page}");
    assert_eq!(landfall.get(&next).send().expect(200).words("tags"), ["two"]);
}
