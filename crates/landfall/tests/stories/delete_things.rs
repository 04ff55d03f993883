//! Somebody deletes a tag, a manifest or a blob: it is gone at once, there and only there, and nothing that is still needed
//! can be deleted from under an image.
//!
//! Source: distribution-spec "Content Management", end-9 and end-10.

use serde_json::json;

use crate::harness::{Image, Landfall, digest_of, index, noise};

const REPO: &str = "team/app";
const ABSENT: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn deleting_a_tag_keeps_the_image() {
    let landfall = Landfall::start();
    let image = Image::new("kept");
    let manifest = landfall.push(REPO, "v1", &image);
    landfall.push(REPO, "v2", &image);
    landfall.delete_manifest(REPO, "v1").expect(202);
    landfall.head_manifest(REPO, "v1").expect(404);
    landfall
        .get_manifest(REPO, "v1")
        .expect_error(404, "MANIFEST_UNKNOWN");
    assert_eq!(landfall.tags(REPO), ["v2"]);
    landfall.expect_image(REPO, &manifest.digest(), &image);
    landfall
        .delete_manifest(REPO, "v1")
        .expect_error(404, "MANIFEST_UNKNOWN");
    landfall.log().expect_clean();
}

#[test]
fn deleting_a_manifest_takes_all_its_tags() {
    let landfall = Landfall::start();
    let (image, other) = (Image::new("tagged thrice"), Image::new("other"));
    let manifest = landfall.push(REPO, "a", &image);
    landfall.push(REPO, "b", &image);
    landfall.push(REPO, "c", &image);
    landfall.push(REPO, "other", &other);
    landfall.delete_manifest(REPO, &manifest.digest()).expect(202);
    for reference in ["a", "b", "c", &manifest.digest()] {
        landfall.head_manifest(REPO, reference).expect(404);
        landfall
            .get_manifest(REPO, reference)
            .expect_error(404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(landfall.tags(REPO), ["other"]);
    landfall.expect_image(REPO, "other", &other);
    landfall
        .delete_manifest(REPO, &manifest.digest())
        .expect_error(404, "MANIFEST_UNKNOWN");
}

#[test]
fn deleting_what_is_not_there_says_what_is_not_there() {
    let landfall = Landfall::start();
    landfall.push(REPO, "latest", &Image::new("there"));
    landfall
        .delete_manifest(REPO, "none")
        .expect_error(404, "MANIFEST_UNKNOWN");
    landfall
        .delete_manifest(REPO, ABSENT)
        .expect_error(404, "MANIFEST_UNKNOWN");
    landfall
        .delete_blob(REPO, ABSENT)
        .expect_error(404, "BLOB_UNKNOWN");
    landfall
        .delete_manifest("never/seen", "latest")
        .expect_error(404, "NAME_UNKNOWN");
    landfall
        .delete_manifest("never/seen", ABSENT)
        .expect_error(404, "NAME_UNKNOWN");
}

#[test]
fn a_deleted_image_can_be_pushed_again() {
    let landfall = Landfall::start();
    let image = Image::new("again");
    let manifest = landfall.push(REPO, "latest", &image);
    landfall.delete_manifest(REPO, &manifest.digest()).expect(202);
    landfall.push(REPO, "latest", &image);
    landfall.expect_image(REPO, "latest", &image);
    landfall.delete_manifest(REPO, &manifest.digest()).expect(202);
    for blob in &image.blobs {
        landfall.delete_blob(REPO, &digest_of(blob)).expect(202);
        landfall.head_blob(REPO, &digest_of(blob)).expect(404);
    }
    landfall
        .put_manifest(REPO, "latest", &manifest)
        .expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    landfall.push(REPO, "latest", &image);
    landfall.expect_image(REPO, "latest", &image);
}

#[test]
fn a_shared_blob_goes_in_one_repository_and_stays_in_the_other() {
    let landfall = Landfall::start();
    for size in [100, 100_000] {
        let bytes = noise("shared", size);
        let digest = landfall.push_blob("a", &bytes);
        landfall.push_blob("b", &bytes);
        landfall.delete_blob("a", &digest).expect(202);
        landfall.head_blob("a", &digest).expect(404);
        landfall.get_blob("a", &digest).expect_error(404, "BLOB_UNKNOWN");
        landfall
            .delete_blob("a", &digest)
            .expect_error(404, "BLOB_UNKNOWN");
        landfall.expect_blob("b", &bytes);
        landfall.push_blob("a", &bytes);
        landfall.expect_blob("a", &bytes);
    }
}

#[test]
fn a_blob_that_an_image_needs_is_not_deleted() {
    let landfall = Landfall::start();
    let image = Image::new("needed");
    let manifest = landfall.push(REPO, "latest", &image);
    for blob in &image.blobs {
        let answer = landfall
            .delete_blob(REPO, &digest_of(blob))
            .expect_error(405, "UNSUPPORTED");
        assert!(
            answer.json().to_string().contains(&manifest.digest()),
            "names what needs it:\n{answer}"
        );
    }
    landfall.expect_image(REPO, "latest", &image);
    // An untagged image is an image: only when it is in the trash do its blobs go.
    landfall.delete_manifest(REPO, "latest").expect(202);
    landfall
        .delete_blob(REPO, &digest_of(&image.blobs[0]))
        .expect_error(405, "UNSUPPORTED");
    landfall.delete_manifest(REPO, &manifest.digest()).expect(202);
    landfall
        .delete_blob(REPO, &digest_of(&image.blobs[0]))
        .expect(202);
    landfall.head_blob(REPO, &digest_of(&image.blobs[0])).expect(404);
}

#[test]
fn a_child_of_a_live_index_is_not_deleted() {
    let landfall = Landfall::start();
    let child = landfall.push(REPO, "child", &Image::new("child"));
    let parent = index(&[child.for_platform("linux", "amd64")]);
    landfall.put_manifest(REPO, "multi", &parent).expect(201);
    let answer = landfall
        .delete_manifest(REPO, &child.digest())
        .expect_error(405, "UNSUPPORTED");
    let detail = &answer.json()["errors"][0]["detail"];
    assert!(
        detail.to_string().contains(&parent.digest()),
        "the index is named:\n{answer}"
    );
    landfall.get_manifest(REPO, "child").expect(200);
    landfall.delete_manifest(REPO, "child").expect(202);
    landfall.get_manifest(REPO, &child.digest()).expect(200);
    landfall.delete_manifest(REPO, &parent.digest()).expect(202);
    landfall.head_manifest(REPO, "multi").expect(404);
}

#[test]
fn the_tagged_child_of_a_deleted_index_stays() {
    let landfall = Landfall::start();
    let image = Image::new("tagged child");
    let child = landfall.push(REPO, "child", &image);
    let parent = index(&[child.for_platform("linux", "amd64")]);
    landfall.put_manifest(REPO, "multi", &parent).expect(201);
    landfall.delete_manifest(REPO, &parent.digest()).expect(202);
    landfall.expect_image(REPO, "child", &image);
    landfall.delete_manifest(REPO, &child.digest()).expect(202);
}

#[test]
fn deleting_one_image_spares_the_layers_it_shares() {
    let landfall = Landfall::start();
    let shared = noise("shared layer", 60_000);
    let (one, two) = (
        Image::new("one").layer(shared.clone()),
        Image::new("two").layer(shared.clone()),
    );
    landfall.push(REPO, "one", &one);
    landfall.push(REPO, "two", &two);
    landfall
        .delete_manifest(REPO, &one.manifest().digest())
        .expect(202);
    landfall
        .delete_blob(REPO, &digest_of(&shared))
        .expect_error(405, "UNSUPPORTED");
    landfall.expect_image(REPO, "two", &two);
}

#[test]
fn deletion_switched_off_is_405_everywhere_and_deletes_nothing() {
    let landfall = Landfall::builder()
        .env("REGISTRY_STORAGE_DELETE_ENABLED", "false")
        .start();
    let image = Image::new("undeletable");
    let manifest = landfall.push(REPO, "latest", &image);
    let free = landfall.push_blob(REPO, b"free");
    for reference in ["latest", &manifest.digest(), "none", ABSENT] {
        landfall
            .delete_manifest(REPO, reference)
            .expect_error(405, "UNSUPPORTED");
    }
    landfall.delete_blob(REPO, &free).expect_error(405, "UNSUPPORTED");
    landfall.expect_image(REPO, "latest", &image);
    landfall.expect_blob(REPO, b"free");
    // Cancelling one's own upload is no deletion.
    landfall.delete(&landfall.begin_upload(REPO)).send().expect(204);
}

#[test]
fn deletion_is_on_unless_it_is_written_off() {
    for builder in [
        Landfall::builder(),
        Landfall::builder().env("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
    ] {
        let landfall = builder.start();
        landfall.push(REPO, "latest", &Image::new("default"));
        landfall.delete_manifest(REPO, "latest").expect(202);
    }
}

#[test]
fn a_read_only_registry_serves_and_changes_nothing() {
    let landfall = Landfall::start();
    let image = Image::new("read only");
    let manifest = landfall.push(REPO, "latest", &image);
    let session = landfall.begin_upload_with(REPO, b"abc");
    let landfall = landfall
        .stop()
        .env("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true")
        .start();
    let refused = [
        landfall.post(&format!("/v2/{REPO}/blobs/uploads/")).send(),
        landfall
            .post(&format!("/v2/{REPO}/blobs/uploads/"))
            .query("mount", &digest_of(&image.blobs[0]))
            .send(),
        landfall
            .post(&format!("/v2/{REPO}/blobs/uploads/"))
            .query("digest", &digest_of("x"))
            .body("x")
            .send(),
        landfall.patch(&session).body("x").send(),
        landfall.put(&session).query("digest", &digest_of("abc")).send(),
        landfall.delete(&session).send(),
        landfall.put_manifest(REPO, "other", &manifest),
        landfall.delete_manifest(REPO, "latest"),
        landfall.delete_manifest(REPO, &manifest.digest()),
        landfall.delete_blob(REPO, &digest_of(&image.blobs[0])),
    ];
    for answer in refused {
        answer.expect_error(405, "UNSUPPORTED");
    }
    landfall.expect_image(REPO, "latest", &image);
    assert_eq!(landfall.tags(REPO), ["latest"]);
    landfall.referrers(REPO, &manifest.digest()).expect(200);
    landfall.get("/v2/_catalog").send().expect(200);
}

#[test]
fn read_only_may_be_written_as_a_map_in_the_environment() {
    let builder = Landfall::builder().env(
        "REGISTRY_STORAGE_MAINTENANCE_READONLY",
        json!({"enabled": true}).to_string(),
    );
    let landfall = builder.start();
    landfall
        .post("/v2/a/blobs/uploads/")
        .send()
        .expect_error(405, "UNSUPPORTED");
}
