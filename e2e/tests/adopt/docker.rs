//! A person with Docker: pushes to the older registry, changes over to Landfall on the same folder, and pulls the same images
//! by tag and by digest; afterwards the older registry can have its folder back.

use std::fs;

use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::docker::{Docker, digest_in};
use e2e::image::write_build_folder;
use e2e::old_registry::{OldRegistry, fingerprint};

use crate::folder::serve;

/// Fetches an image that the engine does not have any more; the digest that it then has.
fn pull(docker: &Docker, reference: &str) -> String {
    docker.forget_all_images();
    let pulled = docker
        .run(&["pull", reference])
        .succeeded()
        .says("Downloaded newer image");
    digest_in(&pulled)
}

#[test]
fn images_that_docker_pushed_to_the_older_registry_are_pulled_from_us() {
    let (machine, docker) = (Containers::default(), Docker::start());
    let root = machine.folder("root");
    fs::create_dir(&root).unwrap();
    let old = OldRegistry::serve(&root);
    let (mut dice, mut pushed) = (Dice::new(21), Vec::new());
    for tag in ["1.0", "2.0"] {
        let folder = docker.folder(&format!("build-{tag}"));
        write_build_folder(
            &folder,
            &[("large", &dice.bytes(400_000)), ("small", &dice.bytes(300))],
        );
        let image = format!("{}/busy/hello:{tag}", old.address());
        docker
            .run(&["build", "--tag", &image, &folder.display().to_string()])
            .succeeded();
        pushed.push((tag, digest_in(&docker.run(&["push", &image]).succeeded())));
        docker.forget_all_images();
    }
    drop(old);
    let prints = fingerprint(&root.join("docker"));

    let mut landfall = serve(&root);
    for (tag, digest) in &pushed {
        let name = format!("{}/busy/hello", landfall.address());
        for reference in [format!("{name}:{tag}"), format!("{name}@{digest}")] {
            assert_eq!(pull(&docker, &reference), *digest, "{reference}");
        }
    }
    landfall.stop();
    assert_eq!(
        fingerprint(&root.join("docker")),
        prints,
        "the old tree is as it was"
    );
    let old = OldRegistry::serve(&root);
    for (tag, digest) in &pushed {
        let image = format!("{}/busy/hello:{tag}", old.address());
        assert_eq!(pull(&docker, &image), *digest, "{image}");
    }
}
