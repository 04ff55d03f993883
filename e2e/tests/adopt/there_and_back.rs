//! The whole way: an older registry is filled, taken over where it lies, served on, and taken back.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use e2e::client::Client;
use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::image::{Image, write_layout};
use e2e::old_registry::{Holdings, OldRegistry, fingerprint, holdings};

use crate::folder::{answer, landfall_says, serve};

/// Pushes with real clients: indexes, images, a nested repository, a moved tag, a referrer, a half-done upload.
fn fill(old: &OldRegistry, machine: &Containers) -> String {
    for (name, tag, seed) in [
        ("team", "1", 1),
        ("team/app", "1", 2),
        ("team/app", "latest", 3),
        ("team/app", "latest", 4),
        ("alone", "v2.0_rc-1", 5),
    ] {
        let layout = machine.folder(&format!("layout-{seed}"));
        fs::create_dir(&layout).unwrap();
        write_layout(&layout, &["amd64", "arm64"], &mut Dice::new(seed));
        let source = format!("oci:{}:several", layout.display());
        let target = format!("docker://{}/{name}:{tag}", old.address());
        machine
            .skopeo(&["copy", "--all", "--dest-tls-verify=false", &source, &target])
            .succeeded();
    }
    let docker = format!("docker://{}/docker/image:1", old.address());
    let source = format!("oci:{}:several", machine.folder("layout-1").display());
    machine
        .skopeo(&[
            "copy",
            "--format=v2s2",
            "--dest-tls-verify=false",
            &source,
            &docker,
        ])
        .succeeded();

    let mut client = Client::connect(old.address()).unwrap();
    let image = Image::of_layers(vec![Dice::new(9).bytes(40_000)], "amd64", None);
    let signature = Image::of_layers(vec![b"signed".to_vec()], "none", Some(&image.descriptor()));
    for (image, tag) in [(&image, "subject"), (&signature, "signature")] {
        for blob in &image.blobs {
            client
                .push_blob("signed", blob, e2e::client::Way::Stream)
                .unwrap();
        }
        client.push_manifest("signed", tag, &image.manifest).unwrap();
    }
    let session = client.start_upload("alone").unwrap();
    client.append_chunks(&session, b"never finished", 0, 5).unwrap();
    image.descriptor().digest
}

/// What every registry must have in common with what was there.
fn contains(all: &Holdings, part: &Holdings) {
    for (what, is) in part {
        assert_eq!(all.get(what), Some(is), "{what}");
    }
}

#[test]
fn what_an_older_registry_holds_is_served_where_it_lies_and_it_can_go_back() {
    let machine = Containers::default();
    let root = machine.folder("root");
    fs::create_dir(&root).unwrap();
    let old = OldRegistry::serve(&root);
    let subject = fill(&old, &machine);
    let before = holdings(old.address());
    assert!(before.len() > 30, "{before:#?}");
    drop(old);
    let tree = root.join("docker");
    let prints = fingerprint(&tree);

    let mut landfall = serve(&root);
    assert_eq!(
        holdings(landfall.address()),
        before,
        "manifest by manifest, blob by blob"
    );
    let mut client = Client::connect(landfall.address()).unwrap();
    let referrers = client
        .list(&format!("/v2/signed/referrers/{subject}"), "manifests")
        .unwrap();
    assert_eq!(
        referrers.len(),
        1,
        "a referrer is listed although nobody pushed it here"
    );
    assert!(
        landfall.log().contains("took over the older registry's data"),
        "{}",
        landfall.log()
    );
    assert!(
        shares_a_file(&tree, &root.join("landfall/blobs")),
        "large blobs are not copied"
    );
    assert_eq!(fingerprint(&tree), prints, "the old tree is as it was");

    // What is pushed from now on is ours.
    let layout = format!("oci:{}:several", machine.folder("layout-5").display());
    let new = format!("docker://{}/team/new:1", landfall.address());
    machine
        .skopeo(&["copy", "--all", "--dest-tls-verify=false", &layout, &new])
        .succeeded();
    client.delete_manifest("team", "1").unwrap();
    let now = holdings(landfall.address());
    landfall.stop();
    assert_eq!(fingerprint(&tree), prints, "the old tree is as it was");

    // The old registry takes its folder back as it was.
    let old = OldRegistry::serve(&root);
    assert_eq!(holdings(old.address()), before);
    drop(old);

    // A second start does not adopt again, and what was deleted stays deleted, also when asked to adopt again.
    let data = root.display().to_string();
    let again = answer(landfall_says(&["adopt", &data, "--data", &data, "--json"]));
    assert_eq!(again["tags_kept"], 1, "{again:#}");
    assert_eq!(again["linked"], 0, "{again:#}");
    assert_eq!(again["uploads"], 1, "{again:#}");
    assert_eq!(again["damage_count"], 0, "{again:#}");
    let landfall = serve(&root);
    assert_eq!(holdings(landfall.address()), now);
    landfall_says(&["adopt", &data, "--data", &data])
        .failed()
        .says("LF-STO-004");
    drop(landfall);

    // What was pushed here can be served by the older registry too.
    let back = machine.folder("back").display().to_string();
    let exported = answer(landfall_says(&[
        "export",
        &back,
        "--layout",
        "distribution",
        "--data",
        &data,
        "--json",
    ]));
    assert!(exported["linked"].as_u64().unwrap() > 0, "{exported:#}");
    assert_eq!(exported["missing"].as_array().unwrap().len(), 0);
    let old = OldRegistry::serve(Path::new(&back));
    assert_eq!(holdings(old.address()), now);
    drop(old);

    // And that folder can be adopted by a new one.
    let fresh = machine.folder("fresh").display().to_string();
    landfall_says(&["adopt", &back, "--data", &fresh]).succeeded();
    let landfall = serve(Path::new(&fresh));
    contains(&holdings(landfall.address()), &now);
}

#[test]
fn a_repository_leaves_as_an_oci_layout_that_other_tools_read() {
    let machine = Containers::default();
    let root = machine.folder("root");
    fs::create_dir(&root).unwrap();
    let old = OldRegistry::serve(&root);
    fill(&old, &machine);
    drop(old);
    let (root, data) = (
        root.display().to_string(),
        machine.folder("data").display().to_string(),
    );
    landfall_says(&["adopt", &root, "--data", &data])
        .succeeded()
        .says("adopted");

    let images = machine.folder("images").display().to_string();
    landfall_says(&[
        "export", &images, "--layout", "oci", "--data", &data, "team/app", "signed",
    ])
    .succeeded()
    .says("exported 2 repositories");
    landfall_says(&["export", &images, "--layout", "oci", "--data", &data, "nobody"])
        .failed()
        .says("nobody");
    let landfall = serve(Path::new(&data));
    let before = holdings(landfall.address());
    let source = format!("oci:{images}/team/app:latest");
    let target = format!("docker://{}/again/app:latest", landfall.address());
    machine
        .skopeo(&[
            "copy",
            "--all",
            "--preserve-digests",
            "--dest-tls-verify=false",
            &source,
            &target,
        ])
        .succeeded();
    assert_eq!(
        holdings(landfall.address()).get("again/app:latest"),
        before.get("team/app:latest")
    );
}

/// Whether some large file below `ours` is a file below `theirs`.
fn shares_a_file(theirs: &Path, ours: &Path) -> bool {
    let inodes = |root: &Path| -> Vec<u64> {
        let files = fingerprint(root)
            .into_keys()
            .map(|path| fs::metadata(path).unwrap());
        files
            .filter(fs::Metadata::is_file)
            .map(|file| file.ino())
            .collect()
    };
    let theirs = inodes(theirs);
    let ours = inodes(ours);
    !ours.is_empty() && ours.iter().all(|inode| theirs.contains(inode))
}
