//! Backups, as their owner meets them: made while clients push, everything lost, brought back with what was in the trash, and
//! pulled by skopeo; and what the pages about backups and bundles tell a person to type.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use e2e::audit::Audit;
use e2e::command::{Ran, program, run};
use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::image::write_layout;
use e2e::landfall::{self, Landfall, Launch};
use e2e::load::Load;
use e2e::pages::{self, Block};

const CLIENTS: usize = 4;

/// `landfall` with these arguments.
fn says(arguments: &[&str]) -> Ran {
    run(landfall::command().args(arguments))
}

/// Pushes an index of two platforms; its digest.
fn push(machine: &Containers, landfall: &Landfall, name: &str, seed: u64) -> String {
    let layout = machine.folder(&format!("made-{seed}"));
    fs::create_dir(&layout).unwrap();
    let index = write_layout(&layout, &["amd64", "arm64"], &mut Dice::new(seed));
    let from = format!("oci:{}:several", layout.display());
    let to = format!("docker://{}/{name}", landfall.address());
    machine
        .skopeo(&[
            "copy",
            "--all",
            "--preserve-digests",
            "--dest-tls-verify=false",
            &from,
            &to,
        ])
        .succeeded();
    index
}

/// Pulls what was pushed with this seed, and compares every byte.
fn pull(machine: &Containers, landfall: &Landfall, name: &str, seed: u64) {
    let back = machine.folder(&format!("back-{seed}"));
    let _ = fs::remove_dir_all(&back);
    let to = format!("oci:{}:several", back.display());
    let from = format!("docker://{}/{name}", landfall.address());
    machine
        .skopeo(&[
            "copy",
            "--all",
            "--preserve-digests",
            "--src-tls-verify=false",
            &from,
            &to,
        ])
        .succeeded();
    assert_eq!(
        blobs_of(&machine.folder(&format!("made-{seed}"))),
        blobs_of(&back),
        "{name}"
    );
}

fn blobs_of(layout: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(layout.join("blobs/sha256")).unwrap();
    let mut blobs: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read(path).unwrap(),
            )
        })
        .collect();
    blobs.sort();
    blobs
}

#[test]
fn a_backup_under_load_brings_everything_back_after_all_was_lost() {
    let mut dice = Dice::new(Dice::seed_of_run());
    let place = tempfile::tempdir().unwrap();
    let (data, disk) = (place.path().join("data"), place.path().join("disk"));
    fs::create_dir(&data).unwrap();
    fs::create_dir(&disk).unwrap();
    let (data_text, target) = (
        data.display().to_string(),
        disk.join("landfall").display().to_string(),
    );
    let machine = Containers::default();
    let launch = Launch::with_data(&landfall::program(), &data);
    let mut landfall = launch.start();
    let index = push(&machine, &landfall, "team/app:1.0", 5);
    push(&machine, &landfall, "team/app:0.9", 9);
    let deleted = format!("docker://{}/team/app:0.9", landfall.address());
    machine
        .skopeo(&["delete", "--tls-verify=false", &deleted])
        .succeeded();
    let load = Load::start(landfall.address(), CLIENTS, dice.throw());
    let backup = || says(&["backup", "--to", &target, "--data", &data_text]);
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(500 + dice.below(1000)));
        backup().succeeded().says("copied");
    }
    // A server that dies in the middle of one leaves no half of it.
    let dying = std::thread::spawn({
        let (data, target) = (data_text.clone(), target.clone());
        move || drop(says(&["backup", "--to", &target, "--data", &data]))
    });
    std::thread::sleep(Duration::from_millis(dice.below(60)));
    landfall.kill();
    let mut address = load.hold();
    dying.join().unwrap();
    landfall = launch.start();
    *address = landfall.address();
    drop(address);
    std::thread::sleep(Duration::from_millis(500));
    let promised = load.ledger().clone();
    backup().succeeded();
    let attempted = load.ledger().clone();
    println!("{}", load.end().summary());
    landfall.kill();
    fs::remove_dir_all(&data).unwrap();

    says(&["backup", "verify", &target]).succeeded().says("all whole");
    says(&["restore", &target, "--data", &data_text]).succeeded();
    let landfall = launch.start();
    let audit = Audit::of(landfall.address(), &promised, &attempted);
    println!("{}", audit.summary());
    audit.expect_clean();
    pull(&machine, &landfall, "team/app:1.0", 5);
    pull(&machine, &landfall, &format!("team/app@{index}"), 5);
    let here = ["--data", &data_text];
    says(&[&["trash", "restore", "team/app:0.9"][..], &here].concat()).succeeded();
    pull(&machine, &landfall, "team/app:0.9", 9);
    says(&[&["check"][..], &here].concat()).succeeded();
}

/// Types what a page says in `folder`, where `landfall` is in the path.
fn follow(page: &str, folder: &Path, after: impl Fn(&str)) {
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(landfall::program(), bin.join("landfall")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    for block in pages::blocks(&pages::read(&format!("docs/{page}"))) {
        let Block::Run(lines) = block else {
            panic!("{page}: everything in it is done, by one command after the other: {block:?}");
        };
        for line in lines {
            println!("{page}: {line}");
            let mut shell = program("sh");
            landfall::shield(&mut shell);
            run(shell.args(["-euc", &line]).current_dir(folder).env("PATH", &path)).succeeded();
            after(&line);
        }
    }
}

#[test]
fn the_page_about_backups_can_be_followed() {
    let machine = Containers::default();
    let folder = machine.folder("desk");
    fs::create_dir_all(folder.join("disk")).unwrap();
    let data = folder.join("landfall-data");
    fs::create_dir(&data).unwrap();
    let mut landfall = Launch::with_data(&landfall::program(), &data).start();
    let index = push(&machine, &landfall, "team/app:1.0", 6);
    follow("backup.md", &folder, |_| {});
    pull(&machine, &landfall, &format!("team/app-before@{index}"), 6);
    landfall.stop();
    let again = Launch::with_data(&landfall::program(), &folder.join("landfall-new")).start();
    pull(&machine, &again, "team/app:1.0", 6);
}

#[test]
fn the_page_about_sites_without_a_network_can_be_followed() {
    let machine = Containers::default();
    let folder = machine.folder("desk");
    fs::create_dir_all(folder.join("stick")).unwrap();
    let data = folder.join("landfall-data");
    fs::create_dir(&data).unwrap();
    let landfall = Launch::with_data(&landfall::program(), &data).start();
    push(&machine, &landfall, "team/app:1.0", 7);
    follow("air-gap.md", &folder, |line| {
        // What the second bundle is for.
        if line.contains("import ./stick/all.tar") {
            push(&machine, &landfall, "team/app:2.0", 8);
        }
    });
    let site = Launch::with_data(&landfall::program(), &folder.join("site")).start();
    pull(&machine, &site, "team/app:1.0", 7);
    pull(&machine, &site, "team/app:2.0", 8);
}
