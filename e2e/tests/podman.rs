//! podman: login, build, push, pull, on a machine that shares nothing with Docker.

use std::fs;

use e2e::command::{program, run};
use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::image::write_build_folder;
use e2e::landfall::{self, Launch};

#[test]
fn a_developer_logs_in_pushes_and_pulls_by_tag_and_by_digest() {
    let folder = tempfile::tempdir().unwrap();
    let line = run(program("htpasswd").args(["-Bbn", "busy", "bee"]))
        .succeeded()
        .stdout();
    fs::write(folder.path().join("htpasswd"), line).unwrap();
    let landfall = Launch::with_data(&landfall::program(), folder.path())
        .env("REGISTRY_AUTH", "htpasswd")
        .env("REGISTRY_AUTH_HTPASSWD_REALM", "Registry")
        .env("REGISTRY_AUTH_HTPASSWD_PATH", folder.path().join("htpasswd"))
        .start();
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
    let other = format!("{registry}/team/second:1");
    podman(&["push", "--tls-verify=false", &format!("{image}@{digest}"), &other]).succeeded();
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
