//! Undo, as people with Docker meet it: one pushes, another deletes, a third pulls in vain, reads in docker's own error how it
//! comes back, types that, and pulls again.
//!
//! Shape: the desk builds and pushes, the other machine pulls; an engine keeps the manifests that it has seen, so the
//! other machine has seen none of what it must not find.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

use std::fs;
use std::os::unix::fs::symlink;

use e2e::command::{Ran, program, run};
use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::docker::{Docker, digest_in};
use e2e::image::write_build_folder;
use e2e::landfall::{self, Landfall, Launch};
use serde_json::Value;
use tempfile::TempDir;

/// Who pushes and pulls, and the colleague who deletes.
const BUSY: [&str; 2] = ["busy", "bee"];
const WASP: [&str; 2] = ["wasp", "sting"];

/// A registry, the folder of who looks after it, and two machines with Docker.
struct Scene {
    folder: TempDir,
    landfall: Landfall,
    desk: Docker,
    other: Docker,
    dice: Dice,
    base: Vec<u8>,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let folder = TempDir::with_prefix("undo-").unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("bin")).unwrap();
        symlink(landfall::program(), at("bin/landfall")).unwrap();
        let line = |[name, password]: [&str; 2]| {
            run(program("htpasswd").args(["-Bbn", name, password]))
                .succeeded()
                .stdout()
        };
        fs::write(at("passwords"), format!("{}\n{}\n", line(BUSY), line(WASP))).unwrap();
        // Where a command that is typed in the folder looks for it.
        fs::create_dir(at("landfall-data")).unwrap();
        let landfall = Launch::with_data(&landfall::program(), &at("landfall-data"))
            .env("REGISTRY_AUTH", "htpasswd")
            .env("REGISTRY_AUTH_HTPASSWD_REALM", "Registry")
            .env("REGISTRY_AUTH_HTPASSWD_PATH", at("passwords"))
            .start();
        let (desk, other) = (Docker::start(), Docker::start());
        for docker in [&desk, &other] {
            let [name, password] = BUSY;
            let registry = landfall.address().to_string();
            docker
                .run(&["login", "--username", name, "--password", password, &registry])
                .succeeded();
        }
        let mut dice = Dice::new(seed);
        let base = dice.bytes(400_000);
        Self {
            folder,
            landfall,
            desk,
            other,
            dice,
            base,
        }
    }

    fn named(&self, at: &str) -> String {
        format!("{}/{at}", self.landfall.address())
    }

    /// Builds an image with the same first layer as all the others, and pushes it under these names.
    fn push(&mut self, names: &[&str]) -> String {
        let (folder, own) = (self.desk.folder("build"), self.dice.bytes(20_000));
        write_build_folder(&folder, &[("base", &self.base), ("own", &own)]);
        let folder = folder.display().to_string();
        let digests = names.iter().map(|at| {
            let image = self.named(at);
            self.desk.run(&["build", "--tag", &image, &folder]).succeeded();
            digest_in(&self.desk.run(&["push", &image]).succeeded())
        });
        let digests: Vec<String> = digests.collect();
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
        digests[0].clone()
    }

    /// What the other machine, which has no image, says to a pull.
    fn pull(&self, at: &str) -> Ran {
        self.other.forget_all_images();
        self.other.run(&["pull", &self.named(at)])
    }

    /// Pulls this image there, with every layer of it.
    fn pulls(&self, at: &str, digest: &str) {
        let pulled = self.pull(at).succeeded().says("Downloaded newer image");
        assert_eq!(digest_in(&pulled), digest, "{at}");
    }

    /// What docker says to a pull of something that was deleted: what was, by whom, and the command that brings it back.
    fn is_told(&self, at: &str, what: &str, by: &str) -> String {
        let refused = self
            .pull(at)
            .failed()
            .says(&format!("{what} was deleted "))
            .says(&format!(" by {by}; `landfall "))
            .says("` brings it back until ");
        refused.words().split('`').nth(1).unwrap().to_owned()
    }

    /// A line that somebody types on the registry's machine.
    fn types(&self, line: &str) -> Ran {
        println!("{line}");
        let (bin, path) = (self.folder.path().join("bin"), std::env::var("PATH").unwrap());
        let mut shell = program("sh");
        landfall::shield(&mut shell);
        let shell = shell.args(["-euc", line]).current_dir(self.folder.path());
        run(shell.env("PATH", format!("{}:{path}", bin.display())))
    }

    /// The life of a tag, the oldest step first: what happened, and by whom.
    fn history(&self, at: &str) -> Vec<(String, String)> {
        let said = self
            .types(&format!("landfall tag history {at} --json"))
            .succeeded();
        let document: Value = serde_json::from_str(&said.stdout()).unwrap();
        let steps = document["items"].as_array().unwrap();
        let word = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
        steps
            .iter()
            .rev()
            .map(|step| (word(step, "kind"), word(step, "by")))
            .collect()
    }
}

fn steps(steps: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |&(what, by): &(&str, &str)| (what.to_owned(), by.to_owned());
    steps.iter().map(owned).collect()
}

/// Who types commands on the registry's machine, by the name that the history has for it: whoever runs the test.
fn local() -> String {
    let user = run(program("id").args(["--user", "--name"])).succeeded().stdout();
    format!("local:{user}")
}

#[test]
fn a_tag_that_a_colleague_deleted_comes_back_by_the_command_that_docker_prints() {
    let mut scene = Scene::new(31);
    let local = local();
    let digest = scene.push(&["team/app:1.2", "team/app:stable"]);
    scene.pulls("team/app:1.2", &digest);

    scene
        .types("landfall tag delete team/app:1.2 --yes")
        .succeeded()
        .says("`landfall trash restore team/app:1.2`");
    let command = scene.is_told("team/app:1.2", "team/app:1.2", &local);
    assert_eq!(command, "landfall trash restore team/app:1.2");
    // The image is nobody's to lose: its other tag and its digest lead to it.
    scene.pulls("team/app:stable", &digest);
    scene.pulls(&format!("team/app@{digest}"), &digest);

    scene
        .types("landfall trash list")
        .succeeded()
        .says("team/app:1.2")
        .does_not_say("stable");
    scene.types(&command).succeeded().says("team/app:1.2");
    scene.pulls("team/app:1.2", &digest);
    scene
        .types("landfall trash list")
        .succeeded()
        .does_not_say("team/app:1.2");
    let life = [("set", "busy"), ("deleted", &local), ("restored", &local)];
    assert_eq!(scene.history("team/app:1.2"), steps(&life));
    assert_eq!(scene.history("team/app:stable"), steps(&[("set", "busy")]));
}

#[test]
fn an_image_that_a_client_deleted_comes_back_with_all_its_tags() {
    let mut scene = Scene::new(32);
    let local = local();
    let digest = scene.push(&["team/app:1.2", "team/app:stable"]);
    let neighbour = scene.push(&["team/app:2.0", "team/tools:1"]);

    // By DELETE of the manifest, after a look at where the tag leads.
    let image = format!("docker://{}", scene.named("team/app:1.2"));
    let creds = format!("--creds={}", WASP.join(":"));
    Containers::default()
        .skopeo(&["delete", "--tls-verify=false", &creds, &image])
        .succeeded();
    for at in ["team/app:1.2", "team/app:stable"] {
        let command = scene.is_told(at, at, "wasp");
        assert_eq!(command, format!("landfall trash restore {at}"));
    }
    let by_digest = format!("team/app@{digest}");
    let command = scene.is_told(&by_digest, &by_digest, "wasp");
    assert_eq!(command, format!("landfall trash restore {by_digest}"));
    // They share a layer with it, one of them in the same repository.
    scene.pulls("team/app:2.0", &neighbour);
    scene.pulls("team/tools:1", &neighbour);

    scene
        .types("landfall trash list")
        .succeeded()
        .says(&digest[.."sha256:".len() + 12])
        .says("(1.2, stable)")
        .says("wasp");
    scene.types(&command).succeeded();
    for at in ["team/app:1.2", "team/app:stable", &by_digest] {
        scene.pulls(at, &digest);
    }
    let life = [("set", "busy"), ("trashed", "wasp"), ("restored", &local)];
    for at in ["team/app:1.2", "team/app:stable"] {
        assert_eq!(scene.history(at), steps(&life), "{at}");
    }
    assert_eq!(scene.history("team/app:2.0"), steps(&[("set", "busy")]));
}

#[test]
fn a_push_over_the_wrong_tag_and_a_repository_that_was_deleted_are_taken_back() {
    let mut scene = Scene::new(33);
    let local = local();
    let good = scene.push(&["team/app:latest"]);
    let wrong = scene.push(&["team/app:latest"]);
    scene.pulls("team/app:latest", &wrong);

    scene
        .types("landfall tag rollback team/app:latest --yes")
        .succeeded()
        .says(&good[.."sha256:".len() + 12]);
    scene.pulls("team/app:latest", &good);
    let life = [("set", "busy"), ("set", "busy"), ("rolled_back", &local)];
    assert_eq!(scene.history("team/app:latest"), steps(&life));

    scene.types("landfall repo delete team/app --yes").succeeded();
    let command = scene.is_told("team/app:latest", "repository team/app", &local);
    assert_eq!(command, "landfall trash restore team/app");
    scene.types(&command).succeeded();
    scene.pulls("team/app:latest", &good);
    scene.pulls(&format!("team/app@{wrong}"), &wrong);
    assert_eq!(scene.history("team/app:latest"), steps(&life));
}
