//! Adoption that is killed half-way, and folders that the older registry fills further.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::client::{Client, digest};
use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::http::{Connection, Request};
use e2e::image::Image;
use e2e::landfall::{self, Launch};
use e2e::old_registry::fingerprint;

use crate::folder::{Tree, answer, landfall_says, serve, status};

const REPOSITORIES: u64 = 80;
/// Names of ours that show that the work is under way.
const HALF_WAY: usize = 20;
const SECONDS_MAX: u64 = 60;

fn image(seed: u64) -> Image {
    Image::of_layers(vec![Dice::new(seed).bytes(60_000)], "amd64", None)
}

fn name(number: u64) -> String {
    format!("team-{}/app-{number}", number % 7)
}

#[test]
fn adoption_that_was_killed_goes_on_and_brings_everything() {
    let machine = Containers::default();
    let tree = Tree(machine.folder("root"));
    let manifests: Vec<String> = (0..REPOSITORIES)
        .map(|number| tree.put(&name(number), "1", &image(number)))
        .collect();
    let prints = fingerprint(&tree.0);
    let (root, data) = (tree.0.display().to_string(), machine.folder("data"));
    let to = data.display().to_string();

    let mut running = Command::new(landfall::program())
        .args(["adopt", &root, "--data", &to])
        .env_clear()
        .env(
            "LANDFALL_CONFIG",
            concat!(env!("CARGO_MANIFEST_DIR"), "/defaults.yaml"),
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(SECONDS_MAX);
    while files_below(&data.join("landfall/blobs")) < HALF_WAY {
        assert!(
            running.try_wait().unwrap().is_none(),
            "it ended before it could be killed"
        );
        assert!(Instant::now() < deadline, "nothing is adopted");
    }
    running.kill().unwrap();
    running.wait().unwrap();

    let rest = answer(landfall_says(&["adopt", &root, "--data", &to, "--json"]));
    assert!(rest["resumed_after"].is_string(), "{rest:#}");
    assert!(
        rest["repositories"].as_u64().unwrap() < REPOSITORIES,
        "what was done is not done again"
    );
    assert_eq!(fingerprint(&tree.0), prints);

    // What is added later comes with the next run; what is here already costs nothing.
    let added = tree.put(&name(0), "2", &image(1000));
    let more = answer(landfall_says(&["adopt", &root, "--data", &to, "--json"]));
    assert_eq!(more["linked"], 1, "{more:#}");
    assert_eq!(more["manifests_new"], 1, "{more:#}");
    assert_eq!(more["repositories"], REPOSITORIES, "{more:#}");

    let landfall = serve(&data);
    let mut client = Client::connect(landfall.address()).unwrap();
    for (number, manifest) in (0..).zip(&manifests) {
        let pulled = client.pull_manifest(&name(number), "1").unwrap().unwrap();
        assert_eq!(digest(&pulled.body), *manifest);
        for blob in &image(number).blobs {
            let digest = digest(blob);
            let found = client.pull_blob(&name(number), &digest).unwrap();
            assert_eq!(found, e2e::client::Found::Bytes(digest, blob.len() as u64));
        }
    }
    assert!(client.pull_manifest(&name(0), &added).unwrap().is_some());
}

#[test]
fn while_a_folder_is_taken_over_clients_are_told_to_come_again() {
    let machine = Containers::default();
    let tree = Tree(machine.folder("root"));
    for number in 0..5 * REPOSITORIES {
        tree.put(&name(number), "1", &image(number));
    }
    let root = &tree.0;
    let launch = Launch::with_environment_only(&landfall::program(), root.parent().unwrap())
        .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", root);
    let mut landfall = launch.start();
    let mut connection = Connection::open(landfall.address()).unwrap();
    let answer = connection.send(Request::new("GET", "/v2/")).unwrap();
    assert_eq!(answer.status, 503, "{}", String::from_utf8_lossy(&answer.body));
    assert!(answer.header("retry-after").is_some());
    assert!(String::from_utf8_lossy(&answer.body).contains("starting"));
    assert_eq!(status(landfall.address(), "/startupz"), 503);
    assert_eq!(status(landfall.address(), "/readyz"), 503);
    assert_eq!(status(landfall.address(), "/healthz"), 200, "it is alive");
    // Told to stop, it stops, and the next start goes on.
    landfall.stop();
    drop(landfall);
    let landfall = serve(root);
    let mut client = Client::connect(landfall.address()).unwrap();
    let names = client.list("/v2/_catalog?n=100", "repositories").unwrap();
    assert_eq!(names.len() as u64, 5 * REPOSITORIES);
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path()),
            _ => 1,
        })
        .sum()
}
