//! What a server with a name looks at before it serves, and what it says: clock, DNS, ports, data folder, disk.

use std::fs;
use std::process::Command;

use e2e::command::{program, run};

use crate::scene::{NAME, Scene};

/// What comes next runs in a place where the host names are those of the scene's file.
fn place(scene: &Scene, unshare: &mut Command) {
    unshare
        .args([
            "--mount",
            "sh",
            "-euc",
            "mount --bind \"$0\" /etc/hosts; exec \"$@\"",
        ])
        .arg(scene.at("hosts"));
    e2e::landfall::shield(unshare);
}

/// The server in a place where these are the host names, under a clock that is set like this (`faketime -f`).
fn start(scene: &mut Scene, hosts: &str, clock: Option<&str>) {
    fs::write(scene.at("hosts"), hosts).expect("a file can be written");
    let mut command = Command::new("unshare");
    place(scene, &mut command);
    if let Some(clock) = clock {
        command
            // It stays between, so its end has to be that of the server.
            .args(["faketime", "-f", clock, "setpriv", "--pdeathsig", "KILL"])
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .arg(e2e::landfall::linked_program());
    } else {
        command.arg(e2e::landfall::program());
    }
    scene.told(&mut command, &[NAME], "", &[]);
    scene.spawn("landfall", &mut command);
    scene.wait_for("listening on", 1);
}

#[test]
fn what_is_in_order_is_told_too() {
    let mut scene = Scene::new();
    scene.start_authority();
    start(&mut scene, &format!("127.0.0.1 localhost {NAME}\n"), None);
    let log = scene.log("landfall");
    for line in [
        "preflight ✓ clock: ",
        "s of 127.0.0.1:",
        "preflight ✓ name: registry.example.com leads to this host (127.0.0.1)",
        "is bound, for HTTPS",
        "is bound, for plain HTTP",
        "preflight ✓ data folder: ",
        "preflight ✓ disk: ",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
}

#[test]
fn a_name_that_leads_elsewhere_is_pointed_out_by_serve_and_by_doctor() {
    let mut scene = Scene::new();
    scene.start_authority();
    start(
        &mut scene,
        &format!("127.0.0.1 localhost {NAME}\n203.0.113.7 {NAME}\n"),
        None,
    );
    let log = scene.log("landfall");
    assert!(log.contains("LF-TLS-032"), "{log}");
    assert!(
        log.contains("leads to 203.0.113.7, which is no address of this host"),
        "{log}"
    );
    assert!(log.contains("beside 127.0.0.1, which is"), "{log}");
    let mut doctor = program("unshare");
    place(&scene, &mut doctor);
    doctor
        .arg(e2e::landfall::program())
        .args(["doctor", NAME, "--data"])
        .arg(scene.at("data"))
        .env("LANDFALL_TLS__ACME__DIRECTORY", scene.directory());
    run(&mut doctor)
        .says("leads to 203.0.113.7, which is no address of this host")
        .says("beside 127.0.0.1, which is");
}

#[test]
fn a_clock_that_differs_from_the_authoritys_is_told_with_how_much() {
    let mut scene = Scene::new();
    scene.start_authority();
    start(&mut scene, "127.0.0.1 localhost\n", Some("+10d"));
    let log = scene.log("landfall");
    for words in [
        "LF-TLS-030",
        "10 days ahead of 127.0.0.1",
        "timedatectl set-ntp true",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    // The authority's own certificate looks expired now, and that is told too.
    scene.wait_for("set the clock right if it is wrong", 1);
}

#[test]
fn a_clock_that_cannot_be_is_told_without_an_authority() {
    let mut scene = Scene::new();
    start(&mut scene, "127.0.0.1 localhost\n", Some("@2001-01-01 00:00:00"));
    let log = scene.log("landfall");
    assert!(
        log.contains("LF-TLS-030") && log.contains("which cannot be"),
        "{log}"
    );
}
