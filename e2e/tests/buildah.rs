//! buildah: login, build, push, pull; and images made step by step, for several platforms, under one index.

use std::fs;

use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::image::write_build_folder;
use e2e::landfall::Landfall;
use e2e::traffic::Traffic;

#[test]
fn a_developer_logs_in_builds_pushes_and_pulls_by_tag_and_by_digest() {
    let landfall = Landfall::start_with_password();
    let machine = Containers::default();
    let buildah = |arguments: &[&str]| machine.buildah(arguments);
    let registry = landfall.address().to_string();
    let login = |password: &str| {
        let password = format!("--password={password}");
        buildah(&[
            "login",
            "--tls-verify=false",
            "--username=busy",
            &password,
            &registry,
        ])
    };
    let push = |from: &str, to: &str| {
        let digest_file = machine.folder("digest").display().to_string();
        buildah(&[
            "push",
            "--tls-verify=false",
            "--digestfile",
            &digest_file,
            from,
            to,
        ])
    };
    write_build_folder(
        &machine.folder("build"),
        &[("content", &Dice::new(3).bytes(1_000_000)), ("more", b"more")],
    );
    let image = format!("{registry}/team/first");
    let tag = format!("{image}:1");
    let build = machine.folder("build").display().to_string();
    buildah(&["build", "--layers", "--tag", &tag, &build]).succeeded();

    push(&tag, &tag).failed().says("unauthorized");
    login("wasp").failed();
    login("bee").succeeded().says("Login Succeeded");
    push(&tag, &tag).succeeded();
    let digest = fs::read_to_string(machine.folder("digest")).unwrap();
    let by_digest = format!("{image}@{}", digest.trim());
    for reference in [&tag, &by_digest] {
        buildah(&["rmi", "--all", "--force"]).succeeded();
        buildah(&["pull", "--tls-verify=false", reference]).succeeded();
        buildah(&["images", "--digests"]).succeeded().says(digest.trim());
    }

    let mut traffic = Traffic::of(&landfall);
    push(&by_digest, &format!("{image}:again")).succeeded();
    assert_eq!(traffic.so_far().sent("team/first"), 0, "all of it is there");
    push(&by_digest, &format!("{registry}/team/second:1")).succeeded();
    let requests = traffic.so_far();
    assert_eq!(requests.mounted("team/second"), 2, "both layers: {requests:?}");
    assert!(
        requests.sent("team/second") <= 1,
        "the configuration: {requests:?}"
    );

    buildah(&["logout", &registry]).succeeded();
    buildah(&["rmi", "--all", "--force"]).succeeded();
    buildah(&["pull", "--tls-verify=false", &tag])
        .failed()
        .says("unauthorized");
}

#[test]
fn an_index_is_made_of_two_platforms_pushed_whole_and_pulled_by_each() {
    let landfall = Landfall::start();
    let machine = Containers::default();
    let buildah = |arguments: &[&str]| machine.buildah(arguments);
    let image = format!("{}/team/several:1", landfall.address());
    let list = "several";

    buildah(&["manifest", "create", list]).succeeded();
    for (platform, seed) in [("amd64", 1), ("arm64", 2)] {
        let content = machine.folder(platform);
        fs::write(&content, Dice::new(seed).bytes(300_000)).unwrap();
        let container = buildah(&["from", "scratch"]).succeeded().stdout();
        buildah(&["config", "--arch", platform, "--os", "linux", &container]).succeeded();
        buildah(&["copy", &container, &content.display().to_string(), "/content"]).succeeded();
        let one = format!("localhost/{platform}");
        buildah(&["commit", "--rm", &container, &one]).succeeded();
        buildah(&["manifest", "add", list, &one]).succeeded();
    }
    let target = format!("docker://{image}");
    buildah(&["manifest", "push", "--all", "--tls-verify=false", list, &target]).succeeded();

    buildah(&["manifest", "rm", list]).succeeded();
    buildah(&["rmi", "--all", "--force"]).succeeded();
    for platform in ["amd64", "arm64"] {
        buildah(&["pull", "--tls-verify=false", "--arch", platform, &image]).succeeded();
        let found = buildah(&[
            "inspect",
            "--type=image",
            "--format={{.OCIv1.Architecture}}",
            &image,
        ])
        .succeeded();
        assert_eq!(found.stdout(), platform);
        buildah(&["rmi", "--all", "--force"]).succeeded();
    }
}
