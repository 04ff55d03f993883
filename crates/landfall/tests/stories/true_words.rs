//! What commands say is true, and no secret is in it: why nothing may be written, what a file is that was given instead of
//! another one, what can come back, and addresses with a password.
//!
//! Source: docs/commands.md, docs/limits.md, docs/integrity.md.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::backups::{fails, image, on_data, succeeds};
use crate::harness::passwords::bcrypt_line;
use crate::harness::server::CommandOutput;
use crate::harness::{Landfall, digest_of, noise};

const APP: &str = "team/app";

/// Commands that change what is stored.
fn writes(landfall: &Landfall) -> Vec<(String, CommandOutput)> {
    let to = landfall.how().home().join("backups").display().to_string();
    let bundle = landfall.how().home().join("all.tar").display().to_string();
    [
        &["gc", "run", "--urgent", APP, "--yes"][..],
        &["retention", "run", "--yes"],
        &["restore", &to, "--repo", APP],
        &["import", &bundle],
        &["repo", "rename", APP, "prod/app", "--yes"],
        &["repo", "delete", APP, "--yes"],
        &["tag", "delete", "team/app:1", "--yes"],
        &["tag", "set", "team/app:2", "1", "--yes"],
        &["tag", "rollback", "team/app:1", "--yes"],
        &["trash", "restore", "team/app:gone"],
        &["trash", "empty", "--yes"],
        &["scrub", "run"],
    ]
    .into_iter()
    .map(|args| (args.join(" "), landfall.does(args)))
    .collect()
}

#[test]
fn whatever_is_refused_in_read_only_mode_names_the_reason_and_the_way_out() {
    let landfall = Landfall::start();
    landfall.push(APP, "1", &image("wrong"));
    landfall.push(APP, "1", &image("one"));
    landfall.push(APP, "gone", &image("gone"));
    let (to, bundle) = ("backups", "all.tar");
    let at = |name: &str| landfall.how().home().join(name).display().to_string();
    landfall.done(&["backup", "--to", &at(to)]);
    landfall.done(&["export", &at(bundle), "--layout", "bundle"]);
    landfall.done(&["tag", "delete", "team/app:gone", "--yes"]);
    landfall.done(&["mode", "read-only", "--reason", "moving the disks"]);
    let by_command = |landfall: &Landfall| {
        for (line, refused) in writes(landfall) {
            let words = ["moving the disks (local:", "`landfall mode read-write`"];
            assert!(
                refused.code == Some(6) && words.iter().all(|word| refused.stderr.contains(word)),
                "{line}: {refused:?}"
            );
        }
        let pushed = landfall
            .post(&format!("/v2/{APP}/blobs/uploads/"))
            .send()
            .to_string();
        assert!(pushed.contains("moving the disks") && pushed.contains("landfall mode read-write"));
        let deleted = landfall.delete_manifest(APP, "1").to_string();
        assert!(deleted.contains("landfall mode read-write"), "{deleted}");
    };
    by_command(&landfall);
    assert!(!landfall.does(&["gc", "run"]).stdout.contains("readonly"));
    let builder = landfall.stop();
    // Both: one of them is not enough.
    let landfall = builder
        .clone()
        .env("LANDFALL_STORAGE__MAINTENANCE__READONLY__ENABLED", "true")
        .start();
    by_command(&landfall);
    let refused = landfall.does(&["repo", "delete", APP, "--yes"]);
    fails(&refused, 6, "storage.maintenance.readonly.enabled must be false");
    landfall.done(&["mode", "read-write"]);
    for (line, refused) in writes(&landfall) {
        assert!(
            refused.code == Some(6)
                && refused
                    .stderr
                    .contains("by its configuration (storage.maintenance.readonly.enabled)")
                && !refused.stderr.contains("landfall mode"),
            "{line}: {refused:?}"
        );
    }
}

#[test]
fn of_a_file_that_is_something_else_nothing_is_shown() {
    let landfall = Landfall::start();
    let secret = "busy:$2y$10$canary-that-nobody-may-see\n".repeat(40);
    let file = landfall.how().file("letters", &secret).display().to_string();
    let at = |name: &str| landfall.how().home().join(name);
    landfall.push("a", "1", &image("one"));
    let to = at("backups").display().to_string();
    landfall.done(&["backup", "--to", &to]);
    for record in fs::read_dir(at("backups/backups")).unwrap() {
        fs::write(
            record.unwrap().path(),
            format!("{{\"format\": 1, \"time\": \"{}\"", "canary".repeat(9)),
        )
        .unwrap();
    }
    let check = |landfall: &crate::harness::server::Builder| {
        for (args, code, words) in [
            (
                &["import", &file][..],
                7,
                "a file that `landfall export --layout bundle` wrote was expected",
            ),
            (&["import", "/etc/passwd"], 7, "was expected"),
            (&["restore", &file, "--repo", "a"], 6, "Not a directory"),
            (&["restore", &to, "--repo", "a"], 7, "at its line 1 column"),
        ] {
            let refused = on_data(landfall, args);
            fails(&refused, code, words);
            let shown = format!("{}{}", refused.stdout, refused.stderr);
            for word in ["canary", "busy", "root:", "nologin"] {
                assert!(!shown.contains(word), "{args:?} shows {word}: {refused:?}");
            }
        }
        let listed = landfall.run(&["backup", "list", &to]);
        assert!(!listed.stdout.contains("canary"), "{listed:?}");
    };
    check(landfall.how());
    let log = landfall.log().to_string();
    assert!(!log.contains("canary") && !log.contains("nologin"), "{log}");
    check(&landfall.stop());
}

#[test]
fn a_folder_without_backups_is_told_from_one_that_is_not_there() {
    let builder = Landfall::builder();
    let at = |name: &str| builder.home().join(name).display().to_string();
    fs::create_dir(at("empty")).unwrap();
    let listed = builder.run(&["backup", "list", &at("empty")]);
    assert_eq!(
        (listed.code, &*listed.stdout),
        (Some(0), &*format!("there is no backup in {} yet\n", at("empty")))
    );
    let listed = succeeds(&builder.run(&["backup", "list", &at("empty"), "--json"]));
    assert_eq!(listed["items"], serde_json::json!([]));
    for command in ["list", "verify"] {
        let missing = builder.run(&["backup", command, &at("missing")]);
        fails(&missing, 5, "is no folder that is there");
    }
    fails(
        &builder.run(&["backup", "verify", &at("empty")]),
        5,
        "holds no backup",
    );
}

#[test]
fn a_damaged_backup_says_what_how_much_and_what_to_do() {
    let landfall = Landfall::start();
    let to = landfall.how().home().join("backups");
    let text = to.display().to_string();
    landfall.push("a", "1", &image("one"));
    landfall.done(&["backup", "--to", &text]);
    let digest = digest_of(noise("one", 200_000));
    let hex = digest.trim_start_matches("sha256:");
    let blob = to.join("blobs/sha256").join(&hex[..3]).join(hex);
    fs::remove_file(&blob).unwrap();
    let found = landfall.how().run(&["backup", "verify", &text]);
    for words in [
        "error[LF-BAK-003]: 1 blob is missing or damaged\n",
        &format!("landfall backup --to {text}"),
        "--partial",
    ] {
        fails(&found, 7, words);
    }
    assert!(
        found
            .stdout
            .contains(&format!("{digest}: it is missing; named by")),
        "{found:?}"
    );
    assert!(found.stdout.contains("read 1 backup, "), "{found:?}");
    assert!(
        !found.stderr.contains("0 "),
        "what is none is not counted: {found:?}"
    );
    // What it says mends it.
    landfall.done(&["backup", "--to", &text]);
    let found = landfall.how().run(&["backup", "verify", &text]);
    assert_eq!(found.code, Some(0), "{found:?}");
    let record = fs::read_dir(to.join("backups"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(record, "{}").unwrap();
    let found = landfall.how().run(&["backup", "verify", &text]);
    fails(&found, 7, "1 backup cannot be brought back\n");
    fails(&found, 7, "landfall backup list");
}

#[test]
fn without_an_undo_window_nothing_is_promised() {
    let landfall = Landfall::start();
    for tag in ["1", "2"] {
        landfall.push(APP, tag, &image(tag));
    }
    landfall.done(&["repo", "set", APP, "--undo-window", "0"]);
    let shown = landfall.done(&["repo", "show", APP]);
    assert!(
        shown.contains("undo window  0: what is deleted cannot be brought back"),
        "{shown}"
    );
    let never = "without an undo window the trash does not bring it back";
    let said = landfall.done(&["tag", "delete", "team/app:1", "--yes"]);
    assert!(said.contains(never) && !said.contains("until"), "{said}");
    landfall
        .delete_manifest(APP, &image("2").manifest().digest())
        .expect(202);
    let refused = landfall.get_manifest(APP, "2").to_string();
    assert!(refused.contains("the time to bring it back is over"), "{refused}");
    let list = landfall.done_json(&["trash", "list"]);
    assert_eq!(
        list["items"],
        serde_json::json!([]),
        "nothing there can come back"
    );
    let plan = landfall.done(&["repo", "delete", APP, "--dry-run"]);
    assert!(
        plan.contains("could not come back: its undo window is 0"),
        "{plan}"
    );
    let said = landfall.done(&["repo", "delete", APP, "--yes"]);
    assert!(said.contains(never), "{said}");
    // The same where the configuration says so, for which a repository has no word of its own.
    let landfall = landfall.stop().env("LANDFALL_TRASH__UNDO_WINDOW", "0").start();
    landfall.push("b", "1", &image("one"));
    assert!(
        landfall
            .done(&["repo", "show", "b"])
            .contains("as the registry says (trash.undo_window)")
    );
    assert!(landfall.done(&["tag", "delete", "b:1", "--yes"]).contains(never));
    assert!(landfall.done(&["repo", "delete", "b", "--yes"]).contains(never));
}

/// Changes one byte of a stored layer, and has the server find that.
fn damage(landfall: &Landfall, layer: &[u8]) {
    let digest = digest_of(layer);
    let hex = digest.trim_start_matches("sha256:");
    let folder = landfall
        .how()
        .data_dir()
        .join("landfall/blobs/sha256")
        .join(&hex[..3]);
    let file = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&file).unwrap();
    bytes[0] ^= 1;
    fs::write(file, bytes).unwrap();
    assert_eq!(landfall.does(&["scrub", "run"]).code, Some(7));
}

#[test]
fn a_password_in_an_address_works_and_is_shown_nowhere() {
    let password = "p@ss/w0rd #canary";
    let (source, _) = Landfall::with_users(&bcrypt_line("bee", password));
    let layer = noise("one", 200_000);
    source.as_user("bee", password).push(APP, "1", &image("one"));
    let place = source.address.to_string();
    let typed = format!("http://bee:p%40ss%2Fw0rd%20%23canary@{place}");
    let landfall = Landfall::start();
    landfall.push(APP, "1", &image("one"));
    damage(&landfall, &layer);
    let mut shown = String::new();
    let wrong = landfall.does(&[
        "scrub",
        "run",
        "--sample",
        "0%",
        "--repair-from",
        &typed.replace("w0rd", "canary"),
    ]);
    fails(&wrong, 4, "refuses this login");
    shown.extend([&*wrong.stdout, &*wrong.stderr]);
    let healed = landfall.does(&["scrub", "run", "--sample", "0%", "--repair-from", &typed]);
    assert!(
        healed.code == Some(0)
            && healed.stdout.contains("healed 1")
            && healed.stderr.contains("--repair-password-stdin"),
        "{healed:?}"
    );
    shown.extend([&*healed.stdout, &*healed.stderr]);
    landfall.expect_image(APP, "1", &image("one"));
    let api = format!(
        r#"{{"sample": 0, "repair_from": {{"place": "{typed}", "username": "bee", "password": "x"}}}}"#
    );
    let twice = landfall.admin("POST", "/api/v1/scrub/run", &api).to_string();
    assert!(
        twice.contains("it has a login, and another one was given"),
        "{twice}"
    );
    shown.push_str(&twice);
    let mut offline = landfall.how().clone();
    offline = offline.data(landfall.how().home().join("adopted"));
    let adopted = on_data(&offline, &["adopt", &typed, "--repo", APP]);
    assert!(
        adopted.code == Some(0) && adopted.stdout.contains("adopted 1 repository, 1 tag, 1 manifest"),
        "{adopted:?}"
    );
    shown.extend([&*adopted.stdout, &*adopted.stderr]);
    shown.push_str(&landfall.log().to_string());
    assert!(!shown.contains("canary") && !shown.contains("w0rd"), "{shown}");
}

#[test]
fn an_address_with_a_password_is_refused_unseen_where_no_login_is_taken() {
    let landfall = Landfall::start();
    let mut shown = String::new();
    for (args, words) in [
        (
            &[
                "scrub",
                "run",
                "--repair-from",
                "http://bee:%zzcanary@127.0.0.1:1",
            ][..],
            "percent-encoded",
        ),
        (
            &["scrub", "run", "--repair-from", "ftp://bee:canary@127.0.0.1"],
            "begins with http:// or https://",
        ),
        (
            &["gc", "status", "--server", "http://bee:canary@127.0.0.1:1"],
            "no name and password in a URL",
        ),
        (
            &["gc", "status", "--server=http://bee:canary/1@127.0.0.1:1"],
            "no name and password in a URL",
        ),
        (
            &["backup", "--to", "http://bee:canary@127.0.0.1:1/x"],
            "a disk of the server's machine",
        ),
        (
            &["restore", "http://bee:canary@127.0.0.1:1/x", "--repo", "a"],
            "a disk of the server's machine",
        ),
        (
            &["import", "http://bee:canary@127.0.0.1:1/x"],
            "a disk of the server's machine",
        ),
    ] {
        let refused = landfall.does(args);
        fails(&refused, 2, words);
        shown.extend([&*refused.stdout, &*refused.stderr]);
    }
    let refused = landfall.how().run(&["adopt", "ftp://bee:canary@127.0.0.1"]);
    fails(&refused, 2, "begins with http:// or https://");
    shown.extend([&*refused.stdout, &*refused.stderr]);
    let unset = landfall
        .how()
        .clone()
        .env("LANDFALL_SERVER", "http://bee:canary@127.0.0.1:1");
    let refused = unset.run(&["gc", "status"]);
    fails(&refused, 2, "LANDFALL_SERVER");
    shown.extend([&*refused.stdout, &*refused.stderr]);
    // What is written in a configuration file is not shown either, as it stands there or as JSON.
    let file = landfall
        .how()
        .file("url.yml", "http: {host: 'https://bee:canary@example.com'}\n")
        .display()
        .to_string();
    for more in [&[][..], &["--json"]] {
        let refused = landfall
            .how()
            .run(&[&["config", "check", &file][..], more].concat());
        fails(&refused, 3, "");
        assert!(
            format!("{refused:?}").contains("bee:***@example.com"),
            "{refused:?}"
        );
        shown.extend([&*refused.stdout, &*refused.stderr]);
    }
    shown.push_str(&landfall.log().to_string());
    assert!(!shown.contains("canary") && !shown.contains("w0rd"), "{shown}");
}

#[test]
fn nobody_who_lists_processes_sees_a_password() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = silent.local_addr().unwrap();
    let builder = Landfall::builder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    builder.shield(&mut command);
    let mut adopt = command
        .args([
            "adopt",
            &format!("http://bee:canary@{place}"),
            "--dry-run",
            "--data",
        ])
        .arg(builder.data_dir())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It has begun to ask, and goes on for as long as nobody answers.
    let asks = silent.accept();
    let shown = fs::read(format!("/proc/{}/cmdline", adopt.id())).unwrap();
    adopt.kill().unwrap();
    adopt.wait().unwrap();
    drop(asks);
    let shown = String::from_utf8_lossy(&shown).replace('\0', " ");
    assert!(
        shown.contains(&format!("adopt http://bee:***@{place} --dry-run")) && !shown.contains("canary"),
        "{shown}"
    );
}
