//! containerd, whose client is also that of Kubernetes, nerdctl and Docker's newer image store.

use std::fs;

use e2e::command::{program, run};
use e2e::dice::Dice;
use e2e::docker::Docker;
use e2e::image::write_layout;
use e2e::landfall::{self, Launch};

#[test]
fn an_index_of_several_platforms_goes_up_and_comes_down_again() {
    let folder = tempfile::tempdir().unwrap();
    let password_file = folder.path().join("htpasswd");
    run(program("htpasswd")
        .args(["-Bbc"])
        .arg(&password_file)
        .args(["busy", "bee"]))
    .succeeded();
    let landfall = Launch::with_data(&landfall::program(), folder.path())
        .env("REGISTRY_AUTH", "htpasswd")
        .env("REGISTRY_AUTH_HTPASSWD_REALM", "Registry")
        .env("REGISTRY_AUTH_HTPASSWD_PATH", &password_file)
        .start();
    let docker = Docker::start();
    let layout = docker.folder("layout");
    fs::create_dir(&layout).unwrap();
    let index = write_layout(&layout, &["amd64", "arm64", "riscv64"], &mut Dice::new(1));
    let archive = docker.folder("layout.tar");
    run(program("tar")
        .arg("--create")
        .arg("--file")
        .arg(&archive)
        .arg("--directory")
        .arg(&layout)
        .arg("."))
    .succeeded();
    let archive = archive.display().to_string();
    let image = format!("{}/team/several:1", landfall.address());
    let local = "local/imported:several";

    docker
        .ctr(&[
            "images",
            "import",
            "--all-platforms",
            "--no-unpack",
            "--base-name=local/imported",
            &archive,
        ])
        .succeeded();
    docker
        .ctr(&["images", "push", "--plain-http", &image, local])
        .failed();
    docker
        .ctr(&[
            "images",
            "push",
            "--plain-http",
            "--user=busy:wasp",
            &image,
            local,
        ])
        .failed()
        .says("unauthorized");
    docker
        .ctr(&["images", "push", "--plain-http", "--user=busy:bee", &image, local])
        .succeeded();

    docker.ctr(&["images", "remove", "--sync", local]).succeeded();
    docker
        .ctr(&[
            "content",
            "fetch",
            "--plain-http",
            "--user=busy:bee",
            "--all-platforms",
            &image,
        ])
        .succeeded();
    docker
        .ctr(&["images", "list"])
        .succeeded()
        .says(&index)
        .says("linux/amd64,linux/arm64,linux/riscv64");
    docker
        .ctr(&["images", "check"])
        .succeeded()
        .says("complete")
        .does_not_say("incomplete");
}
