//! buildah: images made step by step, for several platforms, under one index.

use std::fs;

use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::landfall::Landfall;

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
