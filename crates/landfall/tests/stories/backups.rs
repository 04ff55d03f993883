//! Backups by command: of a server that runs and of a folder that none runs on, in good places and bad ones; and the way back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::disk::SmallDisk;
use crate::harness::passwords::bcrypt_line;
use crate::harness::server::{Builder, CommandOutput};
use crate::harness::{Image, Landfall, noise};

const MIB: u64 = 1024 * 1024;

/// `landfall ARGS --data <the server's>`
pub(crate) fn on_data(builder: &Builder, args: &[&str]) -> CommandOutput {
    let data = builder.data_dir().to_str().unwrap();
    builder.run(&[args, &["--data", data]].concat())
}

pub(crate) fn succeeds(output: &CommandOutput) -> Value {
    assert_eq!(output.code, Some(0), "{output:?}");
    serde_json::from_str(&output.stdout).unwrap_or(Value::Null)
}

pub(crate) fn fails(output: &CommandOutput, code: i32, words: &str) {
    assert_eq!(output.code, Some(code), "{output:?}");
    assert!(output.stderr.contains(words), "{words:?} should be in {output:?}");
}

pub(crate) fn image(name: &str) -> Image {
    Image::new(name).layer(noise(name, 200_000))
}

/// Where backups go in a story.
fn target(builder: &Builder) -> (PathBuf, String) {
    let path = builder.home().join("backups");
    let text = path.to_str().unwrap().to_owned();
    (path, text)
}

/// Starts a server with the same home on another folder, and expects this image there.
pub(crate) fn expect_served(builder: &Builder, data: &Path, repo: &str, tag: &str, image: &Image) {
    let landfall = builder.clone().data(data).start();
    landfall.expect_image(repo, tag, image);
    landfall.stop();
}

#[test]
fn a_server_that_runs_makes_its_backup_and_a_stopped_one_is_backed_up_too() {
    let landfall = Landfall::start();
    let (_, to) = target(landfall.how());
    landfall.push("team/app", "1", &image("one"));
    let made = succeeds(&on_data(landfall.how(), &["backup", "--to", &to, "--json"]));
    assert_eq!(made["state"], "made", "{made}");
    assert_eq!(made["backup"]["tags"], 1);
    landfall.push("team/app", "2", &image("two"));
    let made = succeeds(&on_data(landfall.how(), &["backup", "--to", &to, "--json"]));
    assert_eq!(made["copied"], 1, "{made}");
    let status = succeeds(&on_data(landfall.how(), &["backup", "status", "--json"]));
    assert_eq!(
        (&status["job"]["id"], &status["job"]["outcome"]["state"]),
        (&json!(2), &json!("made"))
    );
    let builder = landfall.stop();
    let made = succeeds(&on_data(&builder, &["backup", "--to", &to, "--json"]));
    assert_eq!(made["copied"], 0, "{made}");
    let said = on_data(&builder, &["backup", "--to", &to, "--keep", "2"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.stdout.contains("not in it:") && said.stderr.contains("disk of the data"),
        "{said:?}"
    );
    let listed = succeeds(&builder.run(&["backup", "list", &to, "--json"]));
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
    let verified = succeeds(&builder.run(&["backup", "verify", &to, "--json"]));
    assert_eq!(
        (&verified["is_whole"], &verified["blobs"]),
        (&json!(true), &json!(2))
    );

    let new = builder.home().join("new");
    let restored = builder.run(&["restore", &to, "--data", new.to_str().unwrap()]);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    expect_served(&builder, &new, "team/app", "1", &image("one"));
    expect_served(&builder, &new, "team/app", "2", &image("two"));
    let again = builder.run(&["restore", &to, "--data", new.to_str().unwrap()]);
    fails(&again, 6, "is not empty");
    assert!(!again.stderr.contains("disk failed"), "no disk did: {again:?}");
}

#[test]
fn places_that_are_none_are_refused_in_words() {
    let landfall = Landfall::start();
    landfall.push("a", "1", &image("one"));
    let home = landfall.how().home().to_owned();
    let at = |name: &str| home.join(name).to_str().unwrap().to_owned();
    fs::create_dir(home.join("letters")).unwrap();
    fs::write(home.join("letters/dear.txt"), "bee").unwrap();
    let check = |builder: &Builder| {
        let to = |path: &str| on_data(builder, &["backup", "--to", path]);
        fails(&to(&at("data/backups")), 6, "lies in the data folder");
        fails(&to(&at("not/mounted")), 5, "is its disk mounted?");
        fails(&to(&at("letters")), 6, "dear.txt");
        fails(&on_data(builder, &["backup"]), 2, "--to FOLDER");
        fails(&to(&at("letters/dear.txt")), 6, "LF-BAK-001");
    };
    let check_both = |builder: &Builder| {
        fails(
            &on_data(builder, &["backup", "--to", &at("x"), "--keep", "0"]),
            2,
            "--keep",
        );
        fails(
            &builder.run(&["backup", "list", &at("letters")]),
            5,
            "holds no backup",
        );
        fails(
            &builder.run(&["restore", &at("letters"), "--data", &at("new")]),
            5,
            "holds no backup",
        );
        fails(
            &builder.run(&["backup", "--to", &at("x"), "--data", &at("nowhere")]),
            5,
            "holds no registry",
        );
    };
    check_both(landfall.how());
    // The server says the same as the command alone, but for what only it knows.
    let builder = landfall.stop();
    check(&builder);
    let landfall = builder.start();
    let to = |path: &str| on_data(landfall.how(), &["backup", "--to", path]);
    fails(&to(&at("data/backups")), 6, "lies in the data folder");
    fails(&to(&at("not/mounted")), 5, "is its disk mounted?");
    fails(&to(&at("letters")), 6, "dear.txt");
    assert!(!home.join("not").exists() && !home.join("data/backups").exists());
}

#[test]
fn a_disk_that_fills_up_or_takes_no_writes_costs_nothing_that_was_there() {
    let disk = SmallDisk::mount(12 * MIB);
    let landfall = Landfall::start();
    let to = disk.path().join("landfall");
    let to = to.to_str().unwrap();
    landfall.push("a", "1", &Image::new("small").layer(noise("small", 2_000_000)));
    succeeds(&on_data(landfall.how(), &["backup", "--to", to, "--json"]));
    landfall.push("a", "2", &Image::new("large").layer(noise("large", 20_000_000)));
    fails(
        &on_data(landfall.how(), &["backup", "--to", to]),
        9,
        "Earlier backups are whole",
    );
    let listed = succeeds(&landfall.how().run(&["backup", "list", to, "--json"]));
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    let remount = |how: &str| {
        let status = Command::new("mount").args(["-o", how]).arg(disk.path()).status();
        assert!(status.unwrap().success());
    };
    remount("remount,ro");
    let refused = on_data(landfall.how(), &["backup", "--to", to]);
    fails(&refused, 1, "Read-only file system");
    let verified = landfall.how().run(&["backup", "verify", to]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let new = landfall.how().home().join("new");
    let restored = landfall
        .how()
        .run(&["restore", to, "--data", new.to_str().unwrap()]);
    assert_eq!(
        restored.code,
        Some(0),
        "a disk that takes no writes can be restored from: {restored:?}"
    );
    remount("remount,rw,size=64m");
    let made = succeeds(&on_data(landfall.how(), &["backup", "--to", to, "--json"]));
    assert_eq!(made["copied"], 1, "{made}");
    landfall.expect_image("a", "2", &Image::new("large").layer(noise("large", 20_000_000)));
}

#[test]
fn a_server_whose_own_disk_is_full_can_be_backed_up() {
    let disk = SmallDisk::mount(256 * MIB);
    let landfall = Landfall::builder().data(disk.path().join("data")).start();
    let (_, to) = target(landfall.how());
    landfall.push("a", "1", &image("one"));
    let _ballast = disk.fill_but(0);
    let made = succeeds(&on_data(landfall.how(), &["backup", "--to", &to, "--json"]));
    assert_eq!(made["copied"], 1, "{made}");
    assert_eq!(landfall.how().run(&["backup", "verify", &to]).code, Some(0));
    landfall.expect_image("a", "1", &image("one"));
}

#[test]
fn a_damaged_backup_is_told_and_refused_and_what_is_left_can_be_had() {
    let landfall = Landfall::start();
    let (path, to) = target(landfall.how());
    landfall.push("a", "1", &image("one"));
    landfall.push("b", "1", &image("two"));
    succeeds(&on_data(landfall.how(), &["backup", "--to", &to, "--json"]));
    let damaged = image("one");
    let layer = crate::harness::digest_of(noise("one", 200_000));
    let hex = layer.strip_prefix("sha256:").unwrap();
    let file = path.join("blobs/sha256").join(&hex[..3]).join(hex);
    fs::write(&file, noise("something else", 200_000)).unwrap();
    fails(&landfall.how().run(&["backup", "verify", &to]), 7, "LF-BAK-003");
    let new = landfall.how().home().join("new");
    let new_text = new.to_str().unwrap();
    let restore = ["restore", &to, "--data", new_text];
    fails(&landfall.how().run(&restore), 7, "missing or damaged");
    assert!(!new.join("landfall").exists());
    let partial = landfall.how().run(&[&restore[..], &["--partial"]].concat());
    fails(&partial, 7, &layer);
    assert!(
        partial.stdout.contains("5 blobs,") && !partial.stdout.contains("every blob"),
        "one of six is not there: {partial:?}"
    );
    let restored = landfall.how().clone().data(&new).start();
    restored.expect_image("b", "1", &image("two"));
    restored.get_blob("a", &layer).expect_error(500, "UNKNOWN");
    restored.push("a", "1", &damaged);
    restored.expect_image("a", "1", &damaged);
}

#[test]
fn one_repository_comes_back_into_a_server_that_runs() {
    let landfall = Landfall::start();
    let (_, to) = target(landfall.how());
    landfall.push("team/app", "1", &image("one"));
    succeeds(&on_data(landfall.how(), &["backup", "--to", &to, "--json"]));
    landfall.push("team/app", "1", &image("wrong"));
    landfall.push("team/app", "2", &image("new"));
    let back = succeeds(&on_data(
        landfall.how(),
        &["restore", &to, "--repo", "team/app", "--json"],
    ));
    assert_eq!((&back["state"], &back["tags"]), (&json!("restored"), &json!(1)));
    landfall.expect_image("team/app", "1", &image("one"));
    landfall.expect_image("team/app", "2", &image("new"));
    assert_eq!(back["tags_besides"], 1, "{back}");
    let history = landfall.done(&["tag", "history", "team/app:1"]);
    assert!(history.contains("restored from backup 20"), "{history}");
    let again = on_data(landfall.how(), &["restore", &to, "--repo", "team/app"]);
    assert!(
        again.stdout.contains("1 tag is not in the backup, and stays"),
        "{again:?}"
    );
    let copied = on_data(
        landfall.how(),
        &["restore", &to, "--repo", "team/app", "--as", "team/before"],
    );
    assert_eq!(copied.code, Some(0), "{copied:?}");
    landfall.expect_image("team/before", "1", &image("one"));
    fails(
        &on_data(landfall.how(), &["restore", &to, "--repo", "nobody/knows"]),
        5,
        "nobody/knows",
    );
    fails(
        &on_data(landfall.how(), &["restore", &to, "--repo", "Not/A/Name"]),
        2,
        "Not/A/Name",
    );
    let builder = landfall.stop();
    let back = on_data(
        &builder,
        &["restore", &to, "--repo", "team/app", "--as", "offline"],
    );
    assert_eq!(back.code, Some(0), "{back:?}");
    expect_served(&builder, builder.data_dir(), "offline", "1", &image("one"));
}

#[test]
fn over_http_an_admin_uses_the_configured_folder_and_no_other() {
    let builder = Landfall::builder();
    let (path, to) = target(&builder);
    let users = builder.file("htpasswd", bcrypt_line("admin", "bee"));
    let landfall = builder
        .env("REGISTRY_AUTH", "htpasswd")
        .env("REGISTRY_AUTH_HTPASSWD_REALM", "story")
        .env("REGISTRY_AUTH_HTPASSWD_PATH", users)
        .env("LANDFALL_BACKUP__TO", &path)
        .start();
    let admin = landfall.as_user("admin", "bee");
    let post = |path: &str, body: &Value| {
        let request = admin.post(path).header("Content-Type", "application/json");
        request.body(body.to_string()).send()
    };
    for (path, body, advice) in [
        ("/api/v1/backup", json!({"to": "/tmp/elsewhere"}), "backup.to"),
        (
            "/api/v1/backup/restore",
            json!({"from": "/etc", "repository": "a"}),
            "backup.to",
        ),
        (
            "/api/v1/bundles/export",
            json!({"file": "/tmp/bundle.tar"}),
            "over the socket there",
        ),
        (
            "/api/v1/bundles/import",
            json!({"file": "/etc/passwd"}),
            "over the socket there",
        ),
    ] {
        let refused = post(path, &body).expect(403);
        assert!(refused.to_string().contains(advice), "{refused}");
    }
    admin.get("/api/v1/backup/list?folder=/etc").send().expect(403);
    for body in [
        json!({"keep": 0}),
        json!({"keep": "many"}),
        json!({"too": "/tmp"}),
    ] {
        post("/api/v1/backup", &body).expect(400);
    }
    let job = post("/api/v1/backup", &json!({})).expect(200).json();
    assert_eq!(job["schema"], "landfall.backup.job/1");
    let ended = || admin.get("/api/v1/backup").send().expect(200).json()["job"].clone();
    crate::harness::wait_until("the backup is made", || ended()["outcome"]["state"] == "made");
    let listed = admin.get("/api/v1/backup/list?limit=1").send().expect(200).json();
    assert_eq!(
        (listed["items"].as_array().unwrap().len(), &listed["next"]),
        (1, &Value::Null)
    );
    assert!(Path::new(&to).join("BACKUP").exists());
}

#[test]
fn a_plan_is_told_and_one_that_cannot_be_kept_is_refused() {
    let builder = Landfall::builder();
    let (_, to) = target(&builder);
    let plan = |yaml: &str| builder.clone().config(&format!("version: 0.1\nbackup: {yaml}\n"));
    let words = [
        ("{schedule: '30 2 * * *'}", "`backup.schedule` needs `backup.to`"),
        ("{to: /x, schedule: every night}", "no schedule"),
        ("{to: /x, schedule: '30 2 30 2 *'}", "never"),
        ("{to: /x, keep: 0}", "at least 1"),
        ("{to: /x, keep: some}", "backup.keep"),
        ("{to: backups}", "from `/` on"),
    ];
    for (yaml, word) in words {
        plan(yaml).start_refused().expect_invalid_configuration(&[word]);
    }
    let landfall = plan(&format!("{{to: {to}, schedule: '30 2 29 2 *', keep: 3}}")).start();
    let status = succeeds(&on_data(landfall.how(), &["backup", "status", "--json"]));
    assert_eq!(status["to"], to, "{status}");
    let next = status["next_at"].as_str().unwrap_or_default();
    assert!(next.contains("-02-29T02:30:00"), "{status}");
    landfall.push("a", "1", &image("one"));
    let made = succeeds(&on_data(landfall.how(), &["backup", "--json"]));
    assert_eq!(
        made["copied"], 1,
        "without a word it goes where the plan goes: {made}"
    );
}
