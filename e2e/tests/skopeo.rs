//! skopeo: images that are copied, looked at, synchronised and deleted without any local storage.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

use std::fs;
use std::path::Path;

use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::image::write_layout;
use e2e::landfall::Landfall;
use e2e::traffic::Traffic;

#[test]
fn an_index_of_several_platforms_is_copied_there_and_back_byte_for_byte() {
    let landfall = Landfall::start();
    let machine = Containers::default();
    let skopeo = |arguments: &[&str]| machine.skopeo(arguments);
    fs::create_dir(machine.folder("layout")).unwrap();
    let index = write_layout(&machine.folder("layout"), &["amd64", "arm64"], &mut Dice::new(1));
    let layout = format!("oci:{}:several", machine.folder("layout").display());
    let image = format!("docker://{}/team/several", landfall.address());
    let tag = format!("{image}:1");

    skopeo(&[
        "copy",
        "--all",
        "--preserve-digests",
        "--dest-tls-verify=false",
        &layout,
        &tag,
    ])
    .succeeded();
    skopeo(&["inspect", "--raw", "--tls-verify=false", &tag])
        .succeeded()
        .says("arm64");
    skopeo(&["inspect", "--tls-verify=false", "--override-arch=arm64", &tag])
        .succeeded()
        .says(&index);
    skopeo(&[
        "inspect",
        "--config",
        "--tls-verify=false",
        "--override-arch=arm64",
        &tag,
    ])
    .succeeded()
    .says("arm64");
    skopeo(&["list-tags", "--tls-verify=false", &image])
        .succeeded()
        .says("\"1\"");

    let back = machine.folder("back");
    let by_digest = format!("{image}@{index}");
    let target = format!("oci:{}:several", back.display());
    skopeo(&[
        "copy",
        "--all",
        "--preserve-digests",
        "--src-tls-verify=false",
        &by_digest,
        &target,
    ])
    .succeeded();
    assert_eq!(
        blobs_of(&machine.folder("layout")),
        blobs_of(&back),
        "what came back is what was sent"
    );

    let copy = format!("docker://{}/other/copy:1", landfall.address());
    skopeo(&[
        "copy",
        "--all",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        &tag,
        &copy,
    ])
    .succeeded();
    skopeo(&["inspect", "--tls-verify=false", &copy])
        .succeeded()
        .says(&index);
}

#[test]
fn a_person_logs_in_copies_by_tag_and_by_digest_and_logs_out() {
    let landfall = Landfall::start_with_password();
    let machine = Containers::default();
    let skopeo = |arguments: &[&str]| machine.skopeo(arguments);
    let registry = landfall.address().to_string();
    let login = |password: &str| {
        let password = format!("--password={password}");
        skopeo(&[
            "login",
            "--tls-verify=false",
            "--username=busy",
            &password,
            &registry,
        ])
    };
    let copy = |from: &str, to: &str| {
        let plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
        skopeo(
            &[
                &["copy", "--all", "--preserve-digests"][..],
                &plain[..],
                &[from, to][..],
            ]
            .concat(),
        )
    };
    let local = |name: &str| format!("oci:{}:several", machine.folder(name).display());
    let remote = |rest: &str| format!("docker://{registry}/team/{rest}");
    fs::create_dir(machine.folder("made")).unwrap();
    let index = write_layout(&machine.folder("made"), &["amd64", "arm64"], &mut Dice::new(3));
    let made = blobs_of(&machine.folder("made"));

    copy(&local("made"), &remote("first:1"))
        .failed()
        .says("unauthorized");
    login("wasp").failed().says("invalid username/password");
    login("bee").succeeded().says("Login Succeeded");
    copy(&local("made"), &remote("first:1")).succeeded();
    fs::remove_dir_all(machine.folder("made")).unwrap();
    for (number, reference) in ["first:1", &format!("first@{index}")].into_iter().enumerate() {
        let back = number.to_string();
        copy(&remote(reference), &local(&back)).succeeded();
        assert_eq!(blobs_of(&machine.folder(&back)), made, "{reference}");
    }

    let mut traffic = Traffic::of(&landfall);
    copy(&local("0"), &remote("first:again")).succeeded();
    assert_eq!(traffic.so_far().sent("team/first"), 0, "all of it is there");
    copy(&local("0"), &remote("second:1")).succeeded();
    let requests = traffic.so_far();
    assert!(requests.mounted("team/second") >= 3, "each layer: {requests:?}");
    assert!(
        requests.sent("team/second") <= 2,
        "the configurations: {requests:?}"
    );

    skopeo(&["logout", &registry]).succeeded();
    copy(&remote("first:1"), &local("late"))
        .failed()
        .says("unauthorized");
}

#[test]
fn a_repository_is_synchronised_to_a_folder_and_an_image_is_deleted() {
    let landfall = Landfall::start();
    let machine = Containers::default();
    let skopeo = |arguments: &[&str]| machine.skopeo(arguments);
    let name = format!("{}/team/app", landfall.address());
    for (tag, seed) in [("1", 1), ("2", 2)] {
        let layout = machine.folder(tag);
        fs::create_dir(&layout).unwrap();
        write_layout(&layout, &["amd64"], &mut Dice::new(seed));
        let target = format!("docker://{name}:{tag}");
        let layout = format!("oci:{}:several", layout.display());
        skopeo(&["copy", "--all", "--dest-tls-verify=false", &layout, &target]).succeeded();
    }

    let folder = machine.folder("synchronised");
    let target = folder.display().to_string();
    skopeo(&[
        "sync",
        "--all",
        "--src=docker",
        "--dest=dir",
        "--src-tls-verify=false",
        &name,
        &target,
    ])
    .succeeded();
    for tag in ["1", "2"] {
        assert!(
            folder.join(format!("app:{tag}/manifest.json")).is_file(),
            "{tag} was synchronised"
        );
    }
    let source = format!("{}/app:1", folder.display());
    let again = format!("docker://{}/again/app:1", landfall.address());
    skopeo(&[
        "copy",
        "--all",
        "--dest-tls-verify=false",
        &format!("dir:{source}"),
        &again,
    ])
    .succeeded();

    skopeo(&["delete", "--tls-verify=false", &format!("docker://{name}:1")]).succeeded();
    skopeo(&[
        "inspect",
        "--raw",
        "--tls-verify=false",
        &format!("docker://{name}:1"),
    ])
    .failed()
    .says("manifest unknown");
    skopeo(&["list-tags", "--tls-verify=false", &format!("docker://{name}")])
        .succeeded()
        .does_not_say("\"1\"")
        .says("\"2\"");
    skopeo(&["inspect", "--raw", "--tls-verify=false", &again]).succeeded();
}

fn blobs_of(layout: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(layout.join("blobs/sha256"))
        .unwrap()
        .map(Result::unwrap);
    let mut blobs: Vec<_> = entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    blobs.sort();
    blobs
}
