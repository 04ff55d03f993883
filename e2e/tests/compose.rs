//! The tutorial's compose file with our image in it, nginx in front, and a person who builds, pushes and pulls over HTTPS.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

use std::fs;

use e2e::compose::{Machine, NAME};
use e2e::dice::Dice;
use e2e::image::write_build_folder;

/// The tutorial's own file: the registry's image with a password and a folder, and nginx that waits until it is healthy.
const TUTORIAL: &str = include_str!("../fixtures/tutorial-compose.yml");
const THEIR_IMAGE: &str = "    image: registry:latest";
const OUR_IMAGE: &str = "    image: landfall/landfall:latest";

/// Large enough that nginx's defaults would refuse it.
const LAYER_BYTES: usize = 5_000_000;

fn busy_logs_in_pushes_and_pulls(machine: &Machine) {
    let mut dice = Dice::new(5);
    write_build_folder(
        &machine.at("hello"),
        &[("large", &dice.bytes(LAYER_BYTES)), ("small", &dice.bytes(300))],
    );
    let image = format!("{NAME}/busy/hello");
    machine
        .types(&format!(
            "echo wasp | docker login {NAME} -u busy --password-stdin"
        ))
        .failed()
        .says("unauthorized");
    machine
        .types(&format!(
            "echo bee | docker login {NAME} -u busy --password-stdin"
        ))
        .succeeded()
        .says("Login Succeeded");
    machine
        .types(&format!("docker build -t {image}:1.0 hello"))
        .succeeded();
    let pushed = machine
        .types(&format!("docker push {image}:1.0"))
        .succeeded()
        .stdout();
    let digest = pushed
        .split_whitespace()
        .find(|word| word.starts_with("sha256:"))
        .unwrap();
    for reference in [format!("{image}:1.0"), format!("{image}@{digest}")] {
        machine
            .types(&format!(
                "docker rmi -f $(docker images -q {image}) && docker pull {reference}"
            ))
            .succeeded()
            .says("Downloaded newer image")
            .says(digest);
    }
}

#[test]
fn the_compose_file_of_the_tutorial_works_with_only_the_image_changed() {
    let machine = Machine::default();
    machine.takes_from_packaging("compose-nginx");
    machine.writes("docker-compose.yml", TUTORIAL);
    machine
        .types(&format!(
            "sed -i 's#^{THEIR_IMAGE}$#{OUR_IMAGE}#' docker-compose.yml"
        ))
        .succeeded();
    let ours = fs::read_to_string(machine.at("docker-compose.yml")).unwrap();
    let changed: Vec<_> = TUTORIAL
        .lines()
        .zip(ours.lines())
        .filter(|(old, new)| old != new)
        .collect();
    assert_eq!(
        changed,
        [(THEIR_IMAGE, OUR_IMAGE)],
        "word for word, but for the image"
    );
    assert_eq!(TUTORIAL.lines().count(), ours.lines().count());
    machine.has_nginx();
    machine.makes_certificates();
    machine
        .types("mkdir registry && htpasswd -Bbn busy bee > registry/registry.password")
        .succeeded();
    machine.types("docker-compose up -d").succeeded();
    machine.waits_until_healthy("registry");
    // The engine's DNS, not a file, knows this name.
    machine
        .types("docker-compose exec -T registry landfall healthcheck --url http://registry:5000")
        .succeeded();
    machine.types("docker-compose ps nginx").succeeded().says("Up");
    busy_logs_in_pushes_and_pulls(&machine);
    assert!(
        machine.at("registry/data/landfall").is_dir(),
        "the images are in the folder that the compose file names"
    );
    machine.types("docker-compose restart registry").succeeded();
    machine.waits_until_healthy("registry");
    machine
        .types(&format!("docker pull {NAME}/busy/hello:1.0"))
        .succeeded();
    machine.types("docker-compose down").succeeded();
}

#[test]
fn anybody_who_may_write_the_folder_may_run_it_on_a_read_only_root_without_privileges() {
    let machine = Machine::default();
    let volume = machine.at("volume");
    fs::create_dir(&volume).unwrap();
    machine.types("chown 12345:12345 volume").succeeded();
    machine
        .types(
            "docker run --detach --name own --read-only --user 12345:12345 --cap-drop ALL \
             --security-opt no-new-privileges --publish 5000:5000 --env REGISTRY_AUTH=none \
             --volume \"$PWD/volume:/var/lib/registry\" landfall/landfall",
        )
        .succeeded();
    // A named volume takes over the owner that the image gives its folder.
    machine
        .types(
            "docker run --detach --name named --read-only --user 65532:65532 --cap-drop ALL \
             --security-opt no-new-privileges --publish 5001:5000 --env REGISTRY_AUTH=none \
             --volume images:/var/lib/registry landfall/landfall",
        )
        .succeeded();
    write_build_folder(&machine.at("hello"), &[("file", &Dice::new(6).bytes(200_000))]);
    for port in [5000, 5001] {
        let image = format!("127.0.0.1:{port}/busy/hello");
        machine
            .types(&format!(
                "curl -fsS --retry 20 --retry-connrefused --retry-delay 1 127.0.0.1:{port}/readyz"
            ))
            .succeeded();
        machine
            .types(&format!("docker build -q -t {image} hello && docker push {image} && docker rmi -f $(docker images -q {image}) && docker pull {image}"))
            .succeeded()
            .says("Downloaded newer image");
    }
    machine
        .types("docker exec own landfall healthcheck && docker exec named landfall healthcheck")
        .succeeded();
}

#[test]
fn the_image_says_what_it_is_and_how_to_ask_whether_it_is_well() {
    let machine = Machine::default();
    machine
        .types("docker inspect landfall/landfall --format '{{json .Config}}'")
        .succeeded()
        .says(r#""Test":["CMD","landfall","healthcheck"]"#)
        .says(r#""org.opencontainers.image.licenses":"Apache-2.0""#)
        .says(r#""LANDFALL_IMAGE=1""#)
        .says(r#""/var/lib/registry":{}"#);
    machine
        .types("docker run --rm --read-only landfall/landfall --version")
        .succeeded()
        .says("landfall");
    // An address that others reach, and nobody asked to log in: the image does not start by accident.
    machine
        .types("docker run --rm landfall/landfall")
        .failed()
        .says("auth");
    // Names resolve in an image that holds nothing but the program.
    machine
        .types(
            "docker run --rm --add-host inside.example:127.0.0.1 --env REGISTRY_AUTH=none --detach --name resolving \
             landfall/landfall serve --listen inside.example:5000 && \
             for attempt in $(seq 60); do \
                 docker exec resolving landfall healthcheck --url http://inside.example:5000 && exit 0; sleep 1; \
             done; exit 1",
        )
        .succeeded();
}
