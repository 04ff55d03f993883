//! The same registry over HTTP/2 without TLS, by prior knowledge, as a proxy in front speaks it.
//!
//! Source: RFC 9113 sections 3.3 (prior knowledge), 8.1 (exchanges), 8.2.2 (no connection headers).

use crate::harness::exchange::basic;
use crate::harness::h2::H2;
use crate::harness::passwords::bcrypt_line;
use crate::harness::{Image, Landfall, digest_of, noise};

const REPO: &str = "team/app";

async fn push_blob(h2: &H2, bytes: &[u8]) -> String {
    let digest = digest_of(bytes);
    let begun = h2
        .send("POST", &format!("/v2/{REPO}/blobs/uploads/"), &[], Vec::new())
        .await
        .expect(202);
    let (first, last) = bytes.split_at(bytes.len() / 2);
    let patch = h2
        .send("PATCH", &begun.location(), &[], first.to_vec())
        .await
        .expect(202);
    let location = patch.location();
    let separator = if location.contains('?') { '&' } else { '?' };
    let put = h2
        .send(
            "PUT",
            &format!("{location}{separator}digest={digest}"),
            &[],
            last.to_vec(),
        )
        .await;
    put.expect(201).with_header("Docker-Content-Digest", &digest);
    digest
}

#[tokio::test]
async fn push_and_pull_over_one_connection() {
    let landfall = Landfall::start();
    let h2 = H2::connect(landfall.address).await;
    assert_eq!(
        h2.send("GET", "/v2/", &[], Vec::new()).await.expect(200).body,
        b"{}"
    );
    let image = Image::new("h2").layer(noise("h2 layer", 5_000_000));
    for blob in &image.blobs {
        push_blob(&h2, blob).await;
    }
    let manifest = image.manifest();
    let kind = [("content-type", &*manifest.media_type)];
    let target = format!("/v2/{REPO}/manifests/latest");
    h2.send("PUT", &target, &kind, manifest.bytes.clone())
        .await
        .expect(201);
    let pulled = h2.send("GET", &target, &[], Vec::new()).await.expect(200);
    assert_eq!(
        pulled.with_header("Content-Type", &manifest.media_type).body,
        manifest.bytes
    );
    for blob in &image.blobs {
        let target = format!("/v2/{REPO}/blobs/{}", digest_of(blob));
        let head = h2.send("HEAD", &target, &[], Vec::new()).await.expect(200);
        assert!(
            head.with_header("Content-Length", &blob.len().to_string())
                .body
                .is_empty()
        );
        assert!(h2.send("GET", &target, &[], Vec::new()).await.expect(200).body == *blob);
        let part = h2
            .send("GET", &target, &[("range", "bytes=1-3")], Vec::new())
            .await
            .expect(206);
        assert_eq!(part.body, blob[1..=3]);
    }
    landfall.expect_image(REPO, "latest", &image);
    landfall.log().expect_clean();
}

#[tokio::test]
async fn many_exchanges_at_once_do_not_mix() {
    let landfall = Landfall::start();
    let h2 = H2::connect(landfall.address).await;
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let h2 = h2.clone();
            tokio::spawn(async move {
                let bytes = noise(&format!("stream {n}"), 100_000 + n * 1000);
                let digest = push_blob(&h2, &bytes).await;
                let pulled = h2
                    .send("GET", &format!("/v2/{REPO}/blobs/{digest}"), &[], Vec::new())
                    .await
                    .expect(200);
                assert!(pulled.body == bytes, "stream {n}");
                h2.send("GET", &format!("/v2/{REPO}/manifests/t{n}"), &[], Vec::new())
                    .await
                    .expect_error(404, "MANIFEST_UNKNOWN");
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    landfall.log().expect_clean();
}

#[tokio::test]
async fn errors_and_challenges_are_the_same() {
    let (landfall, _) = Landfall::with_users(&bcrypt_line("busy", "bee"));
    let h2 = H2::connect(landfall.address).await;
    h2.send("GET", "/v2/", &[], Vec::new())
        .await
        .expect_error(401, "UNAUTHORIZED");
    let login = basic("busy", "bee");
    let headers = [("authorization", &*login)];
    h2.send("GET", "/v2/", &headers, Vec::new()).await.expect(200);
    h2.send("PUT", "/v2/a/tags/list", &headers, Vec::new())
        .await
        .expect_error(405, "UNSUPPORTED");
    h2.send("GET", "/v2/BAD/tags/list", &headers, Vec::new())
        .await
        .expect_error(400, "NAME_INVALID");
    let long = format!("/v2/_catalog?n=1&last={}", "a".repeat(17_000));
    h2.send("GET", &long, &headers, Vec::new()).await.expect(414);
}

#[tokio::test]
async fn absolute_locations_name_the_authority() {
    let landfall = Landfall::builder()
        .config("http:\n  relativeurls: false\n")
        .start();
    let h2 = H2::connect(landfall.address).await;
    let begun = h2
        .send("POST", "/v2/a/blobs/uploads/", &[], Vec::new())
        .await
        .expect(202);
    let expected = format!("http://{}/v2/a/blobs/uploads/", landfall.address);
    assert!(begun.expect_header("Location").starts_with(&expected), "{begun}");
}

#[test]
fn an_upgrade_is_not_taken_up() {
    let landfall = Landfall::start();
    let mut connection = landfall.connect();
    let upgrade = landfall
        .get("/v2/")
        .header("Connection", "Upgrade, HTTP2-Settings")
        .header("Upgrade", "h2c");
    upgrade
        .header("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")
        .send_on(&mut connection)
        .expect(200);
    landfall.get("/v2/").send_on(&mut connection).expect(200);
}

#[test]
fn cleartext_http2_can_be_switched_off() {
    let landfall = Landfall::builder()
        .config("http: {h2c: {enabled: false}}\n")
        .start();
    let mut connection = landfall.connect();
    connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    connection.finish_sending();
    let said = connection.expect_closed();
    assert!(
        said.is_empty() || said.starts_with(b"HTTP/1.1 4") || said.starts_with(b"HTTP/1.1 5"),
        "{said:?}"
    );
    landfall.get("/v2/").send().expect(200);
}
