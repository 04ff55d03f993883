//! Folders as years of full disks, killed processes and curious people leave them.

use std::fs;

use e2e::client::{Client, Found, digest};
use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::image::Image;
use e2e::old_registry::fingerprint;
use serde_json::Value;

use crate::folder::{Tree, answer, landfall_says, serve};

fn image(seed: u64) -> Image {
    let mut dice = Dice::new(seed);
    Image::of_layers(vec![dice.bytes(60_000), dice.bytes(30_000)], "amd64", None)
}

/// Breaks a little of everything; what must be told of it, by path.
fn plant(tree: &Tree) -> Vec<(String, &'static str)> {
    let mut told = Vec::new();
    let mut tell = |path: &std::path::Path, found| {
        let short = path.strip_prefix(&tree.0).unwrap().display().to_string();
        told.push((short, found));
    };
    let put = |name: &str, tag: &str, seed| {
        let image = image(seed);
        let manifest = tree.put(name, tag, &image);
        let layers: Vec<String> = image.blobs.iter().map(|blob| digest(blob)).collect();
        (manifest, layers)
    };

    let (manifest, _) = put("broken/empty-tag", "gone", 2);
    put("broken/empty-tag", "fine", 3);
    let link = tree.tag_link("broken/empty-tag", "gone");
    Tree::write(&link, b"");
    tell(&link, "empty_link");

    let link = tree.tag_link("broken/empty-tag", "nonsense");
    Tree::write(&link, b"sha256:not-a-digest");
    tell(&link, "bad_link");

    let link = tree.tag_link("broken/empty-tag", "dangling");
    Tree::write(&link, digest(b"no such manifest").as_bytes());
    tell(&link, "tag_to_nothing");

    let folder = tree.repository("broken/empty-tag").join("_manifests/tags/hollow");
    fs::create_dir_all(&folder).unwrap();
    tell(&folder.join("current/link"), "tag_without_manifest");

    let link = tree.revision_link("broken/empty-tag", &digest(b"another manifest"));
    Tree::write(&link, manifest.as_bytes());
    tell(&link, "stray_link");

    let (manifest, layers) = put("broken/layers", "1", 4);
    fs::remove_file(tree.data(&layers[0])).unwrap();
    tell(&tree.layer_link("broken/layers", &layers[0]), "missing_data");
    fs::write(tree.data(&layers[1]), vec![0; 30_000]).unwrap();
    tell(&tree.layer_link("broken/layers", &layers[1]), "wrong_hash");
    tell(
        &tree.revision_link("broken/layers", &manifest),
        "missing_reference",
    );

    let (_, layers) = put("broken/short", "1", 5);
    fs::write(tree.data(&layers[0]), b"").unwrap();
    tell(&tree.layer_link("broken/short", &layers[0]), "empty_data");
    fs::write(tree.data(&layers[1]), b"short").unwrap();
    tell(&tree.layer_link("broken/short", &layers[1]), "wrong_size");

    let (manifest, _) = put("broken/manifest", "1", 6);
    fs::write(tree.data(&manifest), b"{}").unwrap();
    tell(&tree.revision_link("broken/manifest", &manifest), "wrong_hash");

    let nonsense = digest(b"not a manifest");
    Tree::write(&tree.data(&nonsense), b"not a manifest");
    let link = tree.revision_link("broken/manifest", &nonsense);
    Tree::write(&link, nonsense.as_bytes());
    tell(&link, "not_a_manifest");

    put("Broken_Name", "1", 7);
    tell(&tree.repository("Broken_Name"), "bad_name");
    let stranger = tree.repository("broken").join("notes.txt");
    Tree::write(&stranger, b"do not delete");
    tell(&stranger, "foreign");
    // A write that was cut off is no damage.
    Tree::write(
        &tree
            .tag_link("broken/empty-tag", "fine")
            .with_file_name("link.42.tmp"),
        b"sha",
    );
    Tree::write(
        &tree.repository("broken").join("_uploads/4242/startedat"),
        b"2019-01-01T00:00:00Z",
    );
    told
}

fn damages(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = report["damages"].as_array().unwrap().iter();
    list.map(|damage| (text(&damage["path"]), text(&damage["found"])))
        .collect()
}

#[test]
fn damage_is_told_and_left_out_and_never_stops_the_rest() {
    let machine = Containers::default();
    let tree = Tree(machine.folder("root"));
    let whole = image(1);
    let good = tree.put("good", "1", &whole);
    let told = plant(&tree);
    let prints = fingerprint(&tree.0);
    let (root, data) = (
        tree.0.display().to_string(),
        machine.folder("data").display().to_string(),
    );

    let dry = answer(landfall_says(&[
        "adopt",
        &root,
        "--data",
        &data,
        "--dry-run",
        "--json",
    ]));
    assert!(!machine.folder("data").exists(), "a dry run makes nothing");
    assert!(dry["linked"].as_u64() > Some(0), "{dry:#}");
    let report = answer(landfall_says(&["adopt", &root, "--data", &data, "--json"]));
    for report in [&dry, &report] {
        let found = damages(report);
        for (path, what) in &told {
            assert!(
                found.contains(&(path.clone(), (*what).to_owned())),
                "{path}: {what} is missing in {found:#?}"
            );
        }
        assert_eq!(report["uploads"], 1, "{report:#}");
    }
    assert_eq!(dry["damages"], report["damages"], "a dry run tells the truth");
    assert_eq!(
        fingerprint(&tree.0),
        prints,
        "nothing is repaired or removed at the source"
    );

    let landfall = serve(&machine.folder("data"));
    let mut client = Client::connect(landfall.address()).unwrap();
    let pulled = client.pull_manifest("good", "1").unwrap().unwrap();
    assert_eq!(pulled.body, whole.manifest);
    assert_eq!(pulled.header("docker-content-digest"), Some(good.as_str()));
    assert_eq!(
        client.list("/v2/broken/empty-tag/tags/list", "tags").unwrap(),
        ["fine"]
    );
    let hollow = digest(&image(4).blobs[0]);
    assert_eq!(
        client.pull_blob("broken/layers", &hollow).unwrap(),
        Found::Nothing
    );
    let wrong = digest(&image(4).blobs[1]);
    assert_eq!(client.pull_blob("broken/layers", &wrong).unwrap(), Found::Nothing);
    assert!(
        client.pull_manifest("broken/layers", "1").unwrap().is_some(),
        "served as it is"
    );
    assert!(client.pull_manifest("broken/manifest", "1").unwrap().is_none());

    // A push repairs what was lost.
    for blob in &image(4).blobs {
        client
            .push_blob("broken/layers", blob, e2e::client::Way::PostPut)
            .unwrap();
    }
    assert!(matches!(
        client.pull_blob("broken/layers", &hollow).unwrap(),
        Found::Bytes(..)
    ));
}

#[test]
fn a_folder_without_a_registry_is_named_and_nothing_is_made() {
    let machine = Containers::default();
    let empty = machine.folder("empty");
    fs::create_dir(&empty).unwrap();
    let (empty, data) = (
        empty.display().to_string(),
        machine.folder("data").display().to_string(),
    );
    landfall_says(&["adopt", &empty, "--data", &data, "--dry-run"])
        .failed()
        .says("holds no registry");
    assert!(!machine.folder("data").exists());
}
