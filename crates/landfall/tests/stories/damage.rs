//! Bytes that the disk did not keep: found, said clearly, named with who needs them, and brought back; and a check that says
//! whether all is well.
//!
//! Source: docs/integrity.md.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use crate::harness::passwords::bcrypt_line;
use crate::harness::{Client, Image, Landfall, digest_of, noise, wait_until};

/// The file of a blob.
fn file_of(landfall: &Landfall, digest: &str) -> PathBuf {
    let hex = digest.trim_start_matches("sha256:");
    let folder = landfall
        .how()
        .data_dir()
        .join("landfall/blobs/sha256")
        .join(&hex[..3]);
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(hex))
        .unwrap()
}

/// Changes one byte of a stored blob.
fn flip(landfall: &Landfall, digest: &str) {
    let file = file_of(landfall, digest);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn quarantine(landfall: &Landfall) -> usize {
    let mut open = vec![landfall.how().data_dir().join("landfall/quarantine")];
    let mut files = 0;
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files += 1;
            }
        }
    }
    files
}

#[test]
fn a_layer_that_rotted_is_found_named_and_healed_by_the_next_push() {
    let landfall = Landfall::start();
    let layer = noise("layer", 300_000);
    let image = Image::new("rotten").layer(layer.clone());
    landfall.push("team/app", "v1", &image);
    landfall.push(
        "team/web",
        "v7",
        &Image::new("good").layer(noise("good", 300_000)),
    );
    let digest = digest_of(&layer);
    assert!(landfall.done(&["check", "--deep"]).ends_with("all is well\n"));
    flip(&landfall, &digest);
    // Who only looks at sizes sees nothing.
    assert!(landfall.done(&["check"]).ends_with("all is well\n"));
    let deep = landfall.does(&["check", "--deep"]);
    assert_eq!(deep.code, Some(7), "{deep:?}");
    assert!(
        deep.stdout
            .contains(&format!("problem: blob {digest}: its bytes have changed")),
        "{deep:?}"
    );
    let run = landfall.does(&["scrub", "run"]);
    assert_eq!(run.code, Some(7), "{run:?}");
    assert!(run.stdout.contains("found 1 damaged"), "{run:?}");
    landfall.log().expect_line(&["a stored blob is damaged", &digest]);
    assert_eq!(quarantine(&landfall), 1);
    let status = landfall.does(&["scrub", "status", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(report["schema"], "landfall.scrub.status/1");
    assert_eq!(report["damaged"], 1);
    let item = &report["items"][0];
    assert_eq!(
        (&item["kind"], &item["cause"]),
        (&"blob".into(), &"changed".into()),
        "{item}"
    );
    assert_eq!(item["needed_by"][0]["repository"], "team/app");
    assert_eq!(item["needed_by"][0]["tags"][0], "v1");
    let text = landfall.does(&["scrub", "status"]).stdout;
    assert!(
        !text.contains("every file was good")
            && text.contains("needed by team/app:v1")
            && text.contains("--repair-from"),
        "{text}"
    );
    let doctor = landfall.does(&["doctor"]);
    assert!(
        doctor.stdout.contains("a blob or manifest is damaged"),
        "{doctor:?}"
    );
    let refused = landfall
        .get_blob("team/app", &digest)
        .expect_error(500, "UNKNOWN");
    assert!(
        refused.message().contains(&digest) && refused.message().contains("push"),
        "{refused}"
    );
    landfall.head_blob("team/app", &digest).expect(404);
    landfall.push("team/app", "v1", &image);
    landfall.expect_image("team/app", "v1", &image);
    assert!(
        landfall
            .done(&["scrub", "status"])
            .contains("nothing is known to be damaged")
    );
    assert!(landfall.done(&["check", "--deep"]).ends_with("all is well\n"));
}

#[test]
fn a_copy_and_another_registry_heal_what_they_have() {
    let other = Landfall::start();
    let landfall = Landfall::start();
    let layers = [noise("a", 200_000), noise("b", 200_000), noise("c", 200_000)];
    for (name, layer) in ["a", "b", "c"].iter().zip(&layers) {
        let image = Image::new(name).layer(layer.clone());
        landfall.push("team/app", name, &image);
        if *name != "a" {
            other.push("team/app", name, &image);
        }
    }
    let digests = layers.each_ref().map(digest_of);
    let copy = landfall.how().home().join("layout/blobs/sha256");
    fs::create_dir_all(&copy).unwrap();
    fs::write(copy.join(digests[0].trim_start_matches("sha256:")), &layers[0]).unwrap();
    // A liar: its name promises what it does not hold.
    fs::write(copy.join(digests[1].trim_start_matches("sha256:")), &layers[0]).unwrap();
    flip(&landfall, &digests[0]);
    fs::remove_file(file_of(&landfall, &digests[1])).unwrap();
    fs::write(file_of(&landfall, &digests[2]), "short").unwrap();
    let layout = landfall.how().home().join("layout");
    let healed = landfall.does(&["scrub", "run", "--repair-from", layout.to_str().unwrap()]);
    assert_eq!(healed.code, Some(7), "{healed:?}");
    assert!(
        healed
            .stdout
            .contains("found 3 damaged; healed 1, 2 not to be had there"),
        "{healed:?}"
    );
    let silent = [
        "scrub",
        "run",
        "--sample",
        "0%",
        "--repair-from",
        "http://127.0.0.1:1",
    ];
    let silent = landfall.does(&silent);
    assert_eq!(silent.code, Some(8), "{silent:?}");
    let address = format!("http://{}", other.address);
    let healed = landfall.does(&["scrub", "run", "--sample", "0%", "--repair-from", &address]);
    assert_eq!(healed.code, Some(0), "{healed:?}");
    assert!(healed.stdout.contains("healed 2, 0 not"), "{healed:?}");
    for (layer, name) in layers.iter().zip(["a", "b", "c"]) {
        landfall.expect_image("team/app", name, &Image::new(name).layer(layer.clone()));
    }
    assert!(landfall.done(&["check", "--deep"]).ends_with("all is well\n"));
    let nowhere = landfall.does(&["scrub", "run", "--repair-from", "/no/such/folder"]);
    assert_eq!(nowhere.code, Some(5), "{nowhere:?}");
    assert!(nowhere.stderr.contains("/no/such/folder"), "{nowhere:?}");
}

#[test]
fn a_folder_at_rest_is_checked_and_scrubbed_too() {
    let landfall = Landfall::start();
    let layer = noise("layer", 200_000);
    let image = Image::new("image").layer(layer.clone());
    landfall.push("team/app", "v1", &image);
    flip(&landfall, &digest_of(&layer));
    let how = landfall.how().clone();
    landfall.stop();
    let data = how.data_dir().to_str().unwrap().to_owned();
    let run = |args: &[&str]| {
        let args: Vec<&str> = args.iter().copied().chain(["--data", &data]).collect();
        how.run(&args)
    };
    let check = run(&["check", "--deep", "--json"]);
    assert_eq!(check.code, Some(7), "{check:?}");
    let report: serde_json::Value = serde_json::from_str(&check.stdout).unwrap();
    assert_eq!(
        (&report["schema"], &report["ok"]),
        (&"landfall.check/1".into(), &false.into())
    );
    assert_eq!(report["problems"].as_array().unwrap().len(), 1);
    assert_eq!(run(&["scrub", "run"]).code, Some(7));
    assert_eq!(run(&["scrub", "status"]).code, Some(7));
    let landfall = how.start();
    landfall.push("team/app", "v1", &image);
    landfall.stop();
    let check = run(&["check", "--deep"]);
    assert_eq!(
        (check.code, check.stdout.ends_with("all is well\n")),
        (Some(0), true),
        "{check:?}"
    );
    let nothing = how.run(&["check", "--data", how.home().join("nothing").to_str().unwrap()]);
    assert_eq!(nothing.code, Some(5), "{nothing:?}");
    assert!(!how.home().join("nothing").exists());
}

#[test]
fn a_scrub_that_is_paused_says_so_over_a_restart() {
    let landfall = Landfall::start();
    assert!(landfall.done(&["scrub", "status"]).contains("20.0 MB a second"));
    assert_eq!(landfall.done(&["scrub", "resume"]), "there was no pause\n");
    landfall.done(&["scrub", "pause"]);
    let landfall = landfall.restart();
    let text = landfall.done(&["scrub", "status"]);
    assert!(
        text.contains("paused by local:") && text.contains("landfall scrub resume"),
        "{text}"
    );
    assert_eq!(landfall.done(&["scrub", "resume"]), "scrubbing goes on\n");
    assert_eq!(landfall.done_json(&["scrub", "resume"])["was_paused"], false);
}

#[test]
fn numbers_for_a_monitoring_system_say_what_is_damaged() {
    let config = "http: {debug: {addr: '127.0.0.1:0', prometheus: {enabled: true}}}";
    let landfall = Landfall::builder().config(config).start();
    let line = landfall.log().expect_line(&["debug server listening on"]);
    let address = line
        .split_whitespace()
        .find_map(|word| word.trim_matches('"').parse().ok());
    let numbers = Client::new(address.unwrap());
    let layer = noise("layer", 200_000);
    landfall.push("team/app", "v1", &Image::new("image").layer(layer.clone()));
    flip(&landfall, &digest_of(&layer));
    landfall.does(&["scrub", "run"]);
    let text = numbers.get("/metrics").send().expect(200);
    let text = String::from_utf8(text.body.clone()).unwrap();
    assert!(text.contains("\nlandfall_blobs_bad 1\n"), "{text}");
    let read = text
        .lines()
        .find_map(|line| line.strip_prefix("landfall_scrub_bytes_total "));
    assert!(
        read.unwrap().parse::<f64>().unwrap() >= 400_000.0,
        "it was read twice: {text}"
    );
}

#[test]
fn what_a_client_could_not_be_sent_is_looked_at_at_once() {
    let landfall = Landfall::start();
    let layer = noise("layer", 3_000_000);
    let image = Image::new("image").layer(layer.clone());
    landfall.push("team/app", "v1", &image);
    let digest = digest_of(&layer);
    landfall.expect_blob("team/app", &layer);
    // The file is open in the server; it is cut under its hands.
    let file = file_of(&landfall, &digest);
    fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(1_000_000)
        .unwrap();
    let cut = std::panic::catch_unwind(AssertUnwindSafe(|| landfall.get_blob("team/app", &digest)));
    assert!(
        cut.is_err() || cut.unwrap().status == 500,
        "never a clean short answer"
    );
    wait_until("the damage is known", || {
        landfall
            .does(&["scrub", "status", "--json"])
            .stdout
            .contains(&digest)
    });
    landfall
        .get_blob("team/app", &digest)
        .expect_error(500, "UNKNOWN");
    landfall.push("team/app", "v1", &image);
    landfall.expect_image("team/app", "v1", &image);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let landfall = Landfall::start();
    for args in [
        &["scrub", "run", "--sample", "101%"][..],
        &["scrub", "run", "--sample", "some"],
        &["scrub", "run", "--rate", "fast"],
        &["scrub", "run", "--rate", "0"],
        &["scrub", "run", "--repair-username", "bee"],
        &["check", "--rate", "50MB/s"],
        &["check", "--relink"],
    ] {
        let output = landfall.does(args);
        assert_eq!(output.code, Some(2), "{args:?}: {output:?}");
    }
    for (target, body) in [
        ("/api/v1/scrub/run", r#"{"sample":10001}"#),
        ("/api/v1/scrub/run", r#"{"rate":0}"#),
        ("/api/v1/scrub/run", r#"{"depth":1}"#),
        ("/api/v1/check", r#"{"rate":0}"#),
        ("/api/v1/check", r#"{"deep":"yes"}"#),
    ] {
        landfall
            .admin("POST", target, body)
            .expect_problem(400, "LF-API-001");
    }
    let nowhere = r#"{"repair_from":{"place":"/no/such/folder"}}"#;
    landfall
        .admin("POST", "/api/v1/scrub/run", nowhere)
        .expect_problem(404, "LF-API-011");
    landfall
        .admin("GET", "/api/v1/check", "")
        .expect_problem(404, "LF-API-011");
    landfall
        .admin("GET", "/api/v1/scrub/damaged?after=x", "")
        .expect_problem(400, "LF-API-001");
}

#[test]
fn only_who_is_on_the_machine_says_where_the_server_goes_for_bytes() {
    let (landfall, _) = Landfall::with_users(&bcrypt_line("admin", "secret"));
    let admin = landfall.as_user("admin", "secret");
    let order = |body: &str| {
        admin
            .post("/api/v1/scrub/run")
            .header("Content-Type", "application/json")
            .body(body)
            .send()
    };
    order(r#"{"repair_from":{"place":"/etc"}}"#).expect_problem(403, "LF-API-016");
    order("{}").expect(200);
}
