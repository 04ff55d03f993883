//! Docker: the tutorial's settings, a password file from the real `htpasswd`, and a person who builds, pushes and pulls.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

use std::fs;

use e2e::command::{program, run};
use e2e::dice::Dice;
use e2e::docker::{Docker, digest_in};
use e2e::image::write_build_folder;
use e2e::landfall::{self, Landfall, Launch};
use e2e::traffic::Traffic;

/// The registry as the well-known tutorial sets it up: four variables, a password file, a folder.
fn registry_of_the_tutorial(folder: &std::path::Path) -> Landfall {
    let password_file = folder.join("registry.password");
    let line = run(program("htpasswd").args(["-Bbn", "busy", "bee"]))
        .succeeded()
        .stdout();
    fs::write(&password_file, format!("{line}\n")).unwrap();
    fs::create_dir(folder.join("data")).unwrap();
    Launch::with_environment_only(&landfall::program(), folder)
        .env("REGISTRY_AUTH", "htpasswd")
        .env("REGISTRY_AUTH_HTPASSWD_REALM", "Registry")
        .env("REGISTRY_AUTH_HTPASSWD_PATH", &password_file)
        .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", folder.join("data"))
        .start()
}

#[test]
fn a_developer_logs_in_pushes_and_pulls_by_tag_and_by_digest() {
    let folder = tempfile::tempdir().unwrap();
    let landfall = registry_of_the_tutorial(folder.path());
    let docker = Docker::start();
    let registry = landfall.address().to_string();
    let image = format!("{registry}/team/first");
    let mut dice = Dice::new(1);
    let layers = [dice.bytes(3_000_000), dice.bytes(500)];
    write_build_folder(
        &docker.folder("build"),
        &[("large", &layers[0]), ("small", &layers[1])],
    );
    let build = docker.folder("build").display().to_string();

    docker
        .run(&["build", "--tag", &format!("{image}:1"), &build])
        .succeeded();
    docker
        .run(&["push", &format!("{image}:1")])
        .failed()
        .says("no basic auth credentials");
    docker
        .run(&["login", "--username", "busy", "--password", "wasp", &registry])
        .failed()
        .says("unauthorized");
    docker
        .run(&["login", "--username", "busy", "--password", "bee", &registry])
        .succeeded()
        .says("Login Succeeded");
    let pushed = docker
        .run(&["push", &format!("{image}:1")])
        .succeeded()
        .says("1: digest: sha256:");
    let digest = digest_in(&pushed);

    for reference in [
        format!("{image}:1"),
        format!("{image}:1@{digest}"),
        format!("{image}@{digest}"),
    ] {
        docker.forget_all_images();
        docker
            .run(&["pull", &reference])
            .succeeded()
            .says("Downloaded newer image")
            .says(&digest);
        let saved = docker.folder("saved.tar").display().to_string();
        let id = docker
            .run(&["images", "--quiet", "--no-trunc"])
            .succeeded()
            .stdout();
        docker.run(&["save", "--output", &saved, &id]).succeeded();
        let saved = fs::read(docker.folder("saved.tar")).unwrap();
        assert!(
            saved.windows(500).any(|bytes| bytes == layers[1]),
            "{reference} came back without its small layer"
        );
    }

    docker.run(&["logout", &registry]).succeeded();
    docker.forget_all_images();
    docker
        .run(&["pull", &format!("{image}:1")])
        .failed()
        .says("no basic auth credentials");
}

#[test]
fn layers_that_the_registry_has_are_not_sent_again() {
    let landfall = Landfall::start();
    let docker = Docker::start();
    let registry = landfall.address();
    let mut dice = Dice::new(2);
    let layers = [dice.bytes(2_000_000), dice.bytes(1000)];
    write_build_folder(
        &docker.folder("build"),
        &[("base", &layers[0]), ("more", &layers[1])],
    );
    let build = docker.folder("build").display().to_string();

    let first = format!("{registry}/team/first:1");
    let mut traffic = Traffic::of(&landfall);
    docker.run(&["build", "--tag", &first, &build]).succeeded();
    docker.run(&["push", &first]).succeeded().says(": Pushed");
    assert_eq!(
        traffic.so_far().sent("team/first"),
        3,
        "two layers and a configuration"
    );
    docker
        .run(&["push", &first])
        .succeeded()
        .says("Layer already exists")
        .does_not_say(": Pushed");
    assert_eq!(traffic.so_far().sent("team/first"), 0);

    let second = format!("{registry}/team/second:1");
    docker.run(&["tag", &first, &second]).succeeded();
    docker
        .run(&["push", &second])
        .succeeded()
        .says("Mounted from team/first")
        .does_not_say(": Pushed");
    let requests = traffic.so_far();
    assert_eq!(requests.mounted("team/second"), 2, "{requests:?}");
    assert!(
        requests.sent("team/second") <= 1,
        "the configuration: {requests:?}"
    );

    docker.forget_all_images();
    docker.run(&["pull", &second]).succeeded();
}

#[test]
fn images_of_two_platforms_become_one_and_each_machine_gets_its_own() {
    let landfall = Landfall::start();
    let docker = Docker::start();
    let name = format!("{}/team/several", landfall.address());
    for (platform, seed) in [("amd64", 5), ("arm64", 6)] {
        let build = docker.folder(platform);
        write_build_folder(&build, &[("content", &Dice::new(seed).bytes(20_000))]);
        let (build, tag) = (build.display().to_string(), format!("{name}:{platform}"));
        let on = format!("--platform=linux/{platform}");
        docker.run(&["build", &on, "--tag", &tag, &build]).succeeded();
        docker.run(&["push", &tag]).succeeded();
    }
    let several = format!("{name}:1");
    let (amd64, arm64) = (format!("{name}:amd64"), format!("{name}:arm64"));
    docker
        .run(&["manifest", "create", "--insecure", &several, &amd64, &arm64])
        .succeeded();
    let digest = docker
        .run(&["manifest", "push", "--insecure", &several])
        .succeeded()
        .stdout();
    docker
        .run(&["manifest", "inspect", "--insecure", &several])
        .succeeded()
        .says("amd64")
        .says("arm64");
    for reference in [several, format!("{name}@{digest}")] {
        for platform in ["amd64", "arm64"] {
            docker.forget_all_images();
            let on = format!("--platform=linux/{platform}");
            docker.run(&["pull", &on, &reference]).succeeded();
            let found = docker
                .run(&["image", "inspect", "--format={{.Architecture}}", &reference])
                .succeeded();
            assert_eq!(found.stdout(), platform);
        }
    }
}

#[test]
fn a_tag_moves_and_the_old_image_stays_under_its_digest() {
    let landfall = Landfall::start();
    let docker = Docker::start();
    let name = format!("{}/team/app", landfall.address());
    let tag = format!("{name}:latest");
    let mut digests = Vec::new();
    for seed in [3, 4] {
        write_build_folder(
            &docker.folder("build"),
            &[("content", &Dice::new(seed).bytes(10_000))],
        );
        docker
            .run(&[
                "build",
                "--tag",
                &tag,
                &docker.folder("build").display().to_string(),
            ])
            .succeeded();
        digests.push(digest_in(&docker.run(&["push", &tag]).succeeded()));
    }
    docker.forget_all_images();
    docker.run(&["pull", &tag]).succeeded().says(&digests[1]);
    docker
        .run(&["pull", &format!("{name}@{}", digests[0])])
        .succeeded()
        .says(&digests[0]);
    assert_ne!(digests[0], digests[1]);
}
