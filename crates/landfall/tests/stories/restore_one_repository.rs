//! One repository comes back out of a backup into a server that goes on working: whole, with what refers to it, by the rules that
//! hold there, and nothing else changes.
//!
//! Source: docs/backup.md.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::backups::{fails, image, on_data, succeeds};
use crate::harness::{Image, Landfall, digest_of, noise};

const APP: &str = "team/app";

/// A server with two repositories and a backup of them; one of the images is signed.
struct Scene {
    landfall: Landfall,
    /// The folder of the backup.
    to: String,
    signature: Image,
    /// The digest of the image that was not tagged.
    untagged: String,
}

impl Scene {
    fn set() -> Self {
        let landfall = Landfall::start();
        let to = landfall.how().home().join("backups").display().to_string();
        let one = landfall.push(APP, "1", &image("one"));
        landfall.push(APP, "2", &image("two"));
        let untagged = landfall.push_untagged(APP, &image("untagged")).digest();
        let signature = Image::artifact("signature", "application/x.signature", &one.descriptor());
        landfall.push_untagged(APP, &signature);
        landfall.push("other/web", "1", &image("other"));
        succeeds(&on_data(landfall.how(), &["backup", "--to", &to, "--json"]));
        Self {
            landfall,
            to,
            signature,
            untagged,
        }
    }

    /// Asks another server for a repository of the backup.
    fn bring(&self, landfall: &Landfall, args: &[&str]) -> crate::harness::server::CommandOutput {
        on_data(landfall.how(), &[&["restore", &self.to][..], args].concat())
    }

    /// The backup's file of a layer that `image` made.
    fn layer(&self, name: &str) -> PathBuf {
        let digest = digest_of(noise(name, 200_000));
        let hex = digest.trim_start_matches("sha256:");
        PathBuf::from(&self.to)
            .join("blobs/sha256")
            .join(&hex[..3])
            .join(hex)
    }

    /// Tags, digests and what refers to them are as they were.
    fn expect_back(&self, landfall: &Landfall, repo: &str) {
        landfall.expect_image(repo, "1", &image("one"));
        landfall.expect_image(repo, "2", &image("two"));
        landfall.expect_image(repo, &self.untagged, &image("untagged"));
        let subject = image("one").manifest().digest();
        let referrers = landfall.referrers(repo, &subject).expect(200).json();
        let digests: Vec<&Value> = referrers["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["digest"])
            .collect();
        assert_eq!(digests, [&json!(self.signature.manifest().digest())]);
        // Its first blob is the config of the image that it was made of, which nothing names.
        for blob in &self.signature.blobs[1..] {
            landfall.expect_blob(repo, blob);
        }
    }
}

#[test]
fn what_was_deleted_and_overwritten_is_as_it_was_and_nothing_else_changes() {
    let scene = Scene::set();
    let landfall = &scene.landfall;
    landfall.push(APP, "1", &image("wrong"));
    landfall.delete_manifest(APP, "2").expect(202);
    landfall.push(APP, "3", &image("three"));
    landfall.push("other/web", "1", &image("newer"));
    landfall.delete_manifest(APP, &scene.untagged).expect(202);
    let said = scene.bring(landfall, &["--repo", APP]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.stdout.contains("team/app has again what it had at")
            && said
                .stdout
                .contains("2 tags, 4 manifests; 0 blobs came from the backup"),
        "{said:?}"
    );
    scene.expect_back(landfall, APP);
    landfall.expect_image(APP, "3", &image("three"));
    landfall.expect_image("other/web", "1", &image("newer"));
    assert_eq!(landfall.done_json(&["check"])["ok"], true);
    // The history tells who brought it.
    let history = landfall.done_json(&["tag", "history", "team/app:1"]);
    let by = history["items"][0]["by"].as_str().unwrap_or_default();
    assert!(by.starts_with("local:"), "{history}");
    // Again: it is there.
    let again = succeeds(&scene.bring(landfall, &["--repo", APP, "--json"]));
    assert_eq!(
        (&again["blobs_brought"], &again["tags"]),
        (&json!(0), &json!(2)),
        "{again}"
    );
}

#[test]
fn into_an_empty_registry_the_bytes_come_too_under_either_name() {
    let scene = Scene::set();
    let fresh = Landfall::start();
    let back = succeeds(&scene.bring(&fresh, &["--repo", APP, "--json"]));
    assert!(back["blobs_brought"].as_u64().unwrap() >= 4, "{back}");
    scene.expect_back(&fresh, APP);
    succeeds(&scene.bring(&fresh, &["--repo", APP, "--as", "team/before", "--json"]));
    scene.expect_back(&fresh, "team/before");
    let list = fresh.done_json(&["repo", "list"]);
    let names: Vec<&Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, [&json!(APP), &json!("team/before")], "no other came along");
    let missing = scene.bring(&fresh, &["--repo", "nobody/knows"]);
    fails(&missing, 5, "with a repository nobody/knows");
    let missing = scene.bring(&fresh, &["--repo", APP, "--backup", "20200101T000000Z"]);
    fails(&missing, 5, "holds no backup of 20200101T000000Z");
}

#[test]
fn rules_of_the_registry_hold_and_are_named() {
    let scene = Scene::set();
    let landfall = &scene.landfall;
    landfall.push(APP, "1", &image("wrong"));
    landfall.done(&["immutable", "set", "**", "--tags", "1"]);
    let refused = scene.bring(landfall, &["--repo", APP]);
    fails(&refused, 6, "tag 1 is immutable");
    landfall.expect_image(APP, "1", &image("wrong"));
    landfall.done(&["immutable", "rm", "**"]);
    landfall.done(&["mode", "read-only", "--reason", "moving"]);
    let refused = scene.bring(landfall, &["--repo", APP]);
    fails(&refused, 6, "landfall mode read-write");
    landfall.expect_image(APP, "1", &image("wrong"));

    let small = Landfall::start();
    small.done(&["quota", "set", "team/", "--bytes", "300kB"]);
    let refused = scene.bring(&small, &["--repo", APP]);
    fails(&refused, 9, "over quota: all of team/ may have 300.0 kB");
    assert_eq!(
        small.get_manifest(APP, "1").status,
        404,
        "no tag leads to half of it"
    );
    assert_eq!(small.get_manifest(APP, "2").status, 404);
    small.done(&["quota", "rm", "team/"]);
    succeeds(&scene.bring(&small, &["--repo", APP, "--json"]));
    scene.expect_back(&small, APP);
}

#[test]
fn what_is_damaged_or_missing_in_the_backup_is_named_and_no_tag_leads_to_half() {
    let scene = Scene::set();
    let fresh = Landfall::start();
    let layer = scene.layer("one");
    let whole = fs::read(&layer).unwrap();
    fs::write(&layer, noise("something else", whole.len())).unwrap();
    let words = layer.file_name().unwrap().to_str().unwrap();
    fails(&scene.bring(&fresh, &["--repo", APP]), 7, words);
    fs::remove_file(&layer).unwrap();
    let refused = scene.bring(&fresh, &["--repo", APP]);
    fails(&refused, 7, "it is missing");
    fails(&refused, 7, words);
    for tag in ["1", "2"] {
        assert_eq!(fresh.get_manifest(APP, tag).status, 404);
    }
    // Whose blobs are all good comes back all the same.
    succeeds(&scene.bring(&fresh, &["--repo", "other/web", "--json"]));
    fresh.expect_image("other/web", "1", &image("other"));
    fs::write(&layer, whole).unwrap();
    succeeds(&scene.bring(&fresh, &["--repo", APP, "--json"]));
    scene.expect_back(&fresh, APP);
}
