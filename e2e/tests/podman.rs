//! podman: login, build, push, pull, on a machine that shares nothing with Docker.

use std::fs;

use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::image::write_build_folder;
use e2e::landfall::Landfall;
use e2e::traffic::Traffic;

#[test]
fn a_developer_logs_in_pushes_and_pulls_by_tag_and_by_digest() {
    let landfall = Landfall::start_with_password();
    let registry = landfall.address().to_string();
    let machine = Containers::default();
    let podman = |arguments: &[&str]| machine.podman(arguments);
    write_build_folder(
        &machine.folder("build"),
        &[("content", &Dice::new(1).bytes(1_000_000)), ("more", b"more")],
    );
    let build = machine.folder("build").display().to_string();
    let image = format!("{registry}/team/first");
    let tag = format!("{image}:1");
    let digest_file = machine.folder("digest").display().to_string();

    podman(&["build", "--tag", &tag, &build]).succeeded();
    podman(&["push", "--tls-verify=false", &tag])
        .failed()
        .says("unauthorized");
    podman(&[
        "login",
        "--tls-verify=false",
        "--username=busy",
        "--password=wasp",
        &registry,
    ])
    .failed();
    podman(&[
        "login",
        "--tls-verify=false",
        "--username=busy",
        "--password=bee",
        &registry,
    ])
    .succeeded();
    podman(&["push", "--tls-verify=false", "--digestfile", &digest_file, &tag]).succeeded();
    let digest = fs::read_to_string(machine.folder("digest")).unwrap();

    for reference in [tag.clone(), format!("{image}@{digest}")] {
        podman(&["rmi", "--all", "--force"]).succeeded();
        podman(&["pull", "--tls-verify=false", &reference]).succeeded();
        podman(&["images", "--digests"]).succeeded().says(&digest);
    }
    let mut traffic = Traffic::of(&landfall);
    let pulled = format!("{image}@{digest}");
    podman(&["push", "--tls-verify=false", &pulled, &format!("{image}:again")]).succeeded();
    assert_eq!(traffic.so_far().sent("team/first"), 0, "all of it is there");
    let other = format!("{registry}/team/second:1");
    podman(&["push", "--tls-verify=false", &pulled, &other]).succeeded();
    let requests = traffic.so_far();
    assert_eq!(requests.mounted("team/second"), 2, "both layers: {requests:?}");
    assert!(
        requests.sent("team/second") <= 1,
        "the configuration: {requests:?}"
    );
    podman(&[
        "search",
        "--tls-verify=false",
        "--list-tags",
        &format!("{registry}/team/second"),
    ])
    .succeeded()
    .says("1");

    podman(&["logout", &registry]).succeeded();
    podman(&["rmi", "--all", "--force"]).succeeded();
    podman(&["pull", "--tls-verify=false", &tag])
        .failed()
        .says("unauthorized");
}

#[test]
fn one_build_for_two_platforms_is_pushed_whole_and_each_machine_gets_its_own() {
    let landfall = Landfall::start();
    let machine = Containers::default();
    let podman = |arguments: &[&str]| machine.podman(arguments);
    let build = machine.folder("build");
    write_build_folder(&build, &[("content", &Dice::new(2).bytes(100_000))]);
    let image = format!("{}/team/several", landfall.address());
    let target = format!("docker://{image}:1");
    let digest_file = machine.folder("digest").display().to_string();
    podman(&[
        "build",
        // With its cache, this version takes the first platform's image for the second one's.
        "--no-cache",
        "--platform=linux/amd64,linux/arm64",
        "--manifest=several",
        &build.display().to_string(),
    ])
    .succeeded();
    podman(&[
        "manifest",
        "push",
        "--all",
        "--tls-verify=false",
        "--digestfile",
        &digest_file,
        "several",
        &target,
    ])
    .succeeded();
    podman(&["manifest", "rm", "several"]).succeeded();
    let digest = fs::read_to_string(machine.folder("digest")).unwrap();
    for reference in [format!("{image}:1"), format!("{image}@{}", digest.trim())] {
        for platform in ["amd64", "arm64"] {
            podman(&["rmi", "--all", "--force"]).succeeded();
            podman(&["pull", "--tls-verify=false", "--arch", platform, &reference]).succeeded();
            let found = podman(&["image", "inspect", "--format={{.Architecture}}", &reference]).succeeded();
            assert_eq!(found.stdout(), platform, "{reference}");
        }
    }
}
