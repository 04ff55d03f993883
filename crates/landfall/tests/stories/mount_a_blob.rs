//! A blob that the registry has already is taken over from another repository instead of being sent again; a mount that cannot
//! be done is an ordinary upload, never an error.
//!
//! Source: distribution-spec "Mounting a blob from another repository", end-11, and "Anonymous mount".

use crate::harness::{EMPTY_SHA256, Image, Landfall, digest_of, noise, sha512_of};

const ABSENT: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

fn mount(landfall: &Landfall, repo: &str, query: &str) -> crate::harness::Response {
    landfall
        .post(&format!("/v2/{repo}/blobs/uploads/?{query}"))
        .send()
}

#[test]
fn a_layer_of_another_repository_is_mounted() {
    let landfall = Landfall::start();
    for size in [100, 100_000] {
        let bytes = noise("mount", size);
        let digest = landfall.push_blob("base/os", &bytes);
        landfall.head_blob("team/app", &digest).expect(404);
        let answer = mount(&landfall, "team/app", &format!("mount={digest}&from=base/os")).expect(201);
        let answer = answer.with_header("Docker-Content-Digest", &digest);
        assert_eq!(answer.location(), format!("/v2/team/app/blobs/{digest}"));
        landfall.expect_blob("team/app", &bytes);
    }
    assert!(landfall.upload_files().is_empty(), "a mount begins no session");
    landfall.log().expect_clean();
}

#[test]
fn escaped_mount_parameters_are_read() {
    let landfall = Landfall::start();
    let digest = landfall.push_blob("base/os", b"escaped");
    let query = format!(
        "from=base%2Fos&mount={}&origin=docker.io",
        digest.replace(':', "%3A")
    );
    mount(&landfall, "team/app", &query).expect(201);
}

#[test]
fn mount_without_from_finds_the_blob_anywhere() {
    let landfall = Landfall::start();
    let digest = landfall.push_blob("base/os", b"anywhere");
    mount(&landfall, "team/app", &format!("mount={digest}"))
        .expect(201)
        .with_header("Docker-Content-Digest", &digest);
    landfall.expect_blob("team/app", b"anywhere");
    mount(&landfall, "team/app", &format!("mount={ABSENT}"))
        .expect(202)
        .with_header("Range", "0-0");
}

#[test]
fn mount_that_cannot_be_done_is_an_upload() {
    let landfall = Landfall::start();
    let digest = landfall.push_blob("base/os", b"source");
    landfall.push_blob("base/other", b"other");
    let queries = [
        format!("mount={ABSENT}&from=base/os"),
        format!("mount={digest}&from=base/missing"),
        format!("mount={digest}&from=base/other"),
        format!("mount={digest}&from=UPPER"),
        format!("mount={digest}&from=../base/os"),
        format!("mount={digest}&from=a//b"),
        "mount=nonsense&from=base/os".to_owned(),
        "mount=md5:d41d8cd98f00b204e9800998ecf8427e&from=base/os".to_owned(),
        "mount=sha256:XYZ".to_owned(),
        "mount=&from=base/os".to_owned(),
        "from=base/os".to_owned(),
    ];
    for (count, query) in queries.iter().enumerate() {
        let answer = mount(&landfall, "team/app", query)
            .expect(202)
            .with_header("Range", "0-0");
        answer.expect_header("Docker-Upload-UUID");
        let body = format!("pushed instead {count}");
        let put = landfall
            .put(&answer.location())
            .query("digest", &digest_of(&body))
            .body(body.clone())
            .send();
        put.expect(201);
        landfall.expect_blob("team/app", body.as_bytes());
    }
}

#[test]
fn mount_from_itself_and_mount_again_are_fine() {
    let landfall = Landfall::start();
    let digest = landfall.push_blob("team/app", b"own");
    mount(&landfall, "team/app", &format!("mount={digest}&from=team/app")).expect(201);
    mount(&landfall, "team/new", &format!("mount={digest}&from=team/app")).expect(201);
    mount(&landfall, "team/new", &format!("mount={digest}&from=team/app")).expect(201);
}

#[test]
fn unwanted_session_of_a_failed_mount_can_be_cancelled() {
    let landfall = Landfall::start();
    let answer = mount(&landfall, "team/app", &format!("mount={ABSENT}&from=base/os")).expect(202);
    landfall.delete(&answer.location()).send().expect(204);
}

#[test]
fn sha512_and_empty_blobs_are_mounted_too() {
    let landfall = Landfall::start();
    let bytes = noise("mount 512", 70_000);
    let digest = sha512_of(&bytes);
    landfall
        .put(&landfall.begin_upload("base/os"))
        .query("digest", &digest)
        .body(bytes.clone())
        .send()
        .expect(201);
    let answer = mount(&landfall, "team/app", &format!("mount={digest}&from=base/os")).expect(201);
    answer.with_header("Docker-Content-Digest", &digest);
    assert!(landfall.get_blob("team/app", &digest).expect(200).body == bytes);
    landfall.push_blob("base/os", b"");
    mount(
        &landfall,
        "team/app",
        &format!("mount={EMPTY_SHA256}&from=base/os"),
    )
    .expect(201);
}

#[test]
fn mounted_layers_make_an_image_that_outlives_its_source() {
    let landfall = Landfall::start();
    let image = Image::new("shared").layer(noise("shared layer", 50_000));
    landfall.push("base/os", "1", &image);
    for blob in &image.blobs {
        mount(
            &landfall,
            "team/app",
            &format!("mount={}&from=base/os", digest_of(blob)),
        )
        .expect(201);
    }
    landfall
        .put_manifest("team/app", "1", &image.manifest())
        .expect(201);
    landfall
        .delete_manifest("base/os", &image.manifest().digest())
        .expect(202);
    for blob in &image.blobs {
        landfall.delete_blob("base/os", &digest_of(blob)).expect(202);
    }
    landfall.expect_image("team/app", "1", &image);
}

#[test]
fn a_deleted_blob_is_not_mounted() {
    let landfall = Landfall::start();
    let digest = landfall.push_blob("base/os", b"deleted");
    landfall.delete_blob("base/os", &digest).expect(202);
    mount(&landfall, "team/app", &format!("mount={digest}&from=base/os")).expect(202);
    mount(&landfall, "team/app", &format!("mount={digest}")).expect(202);
    landfall.head_blob("team/app", &digest).expect(404);
}
