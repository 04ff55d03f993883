//! Each way to prove a name, and one that takes the place of another.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use crate::scene::{ISSUED, NAME, Scene};

#[test]
fn a_name_is_proven_over_http() {
    let mut scene = Scene::new();
    scene.start_authority();
    scene.start_landfall("http-01", &[]);
    scene.wait_for(ISSUED, 1);
    scene.is_trusted();
}

#[test]
fn a_name_is_proven_by_a_certificate() {
    let mut scene = Scene::new();
    scene.start_authority();
    scene.start_landfall("tls-alpn-01", &[]);
    scene.wait_for(ISSUED, 1);
    scene.is_trusted();
}

#[test]
fn a_name_is_proven_by_a_command_that_sets_dns() {
    let mut scene = Scene::new();
    let hook = scene.at("hook.sh");
    let script = format!(
        "#!/bin/sh\nset -eu\ncase $1 in\npresent) curl -sf -d \"{{\\\"host\\\":\\\"$2.\\\",\\\"value\\\":\\\"$3\\\"}}\" http://127.0.0.1:{0}/set-txt ;;\n\
         cleanup) curl -sf -d \"{{\\\"host\\\":\\\"$2.\\\"}}\" http://127.0.0.1:{0}/clear-txt ; touch {1} ;;\nesac\n",
        scene.ports.dns_manage,
        scene.at("cleaned").display()
    );
    fs::write(&hook, script).expect("a script can be written");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("a script can be made executable");
    scene.start_authority();
    scene.start_landfall(
        "",
        &[(
            "LANDFALL_TLS__ACME__DNS__EXEC",
            hook.to_str().expect("a path is text"),
        )],
    );
    scene.wait_for(ISSUED, 1);
    scene.is_trusted();
    assert!(scene.at("cleaned").exists(), "the record was left behind");
}

#[test]
fn with_port_80_taken_the_name_is_proven_on_port_443() {
    let mut scene = Scene::new();
    let _taken = TcpListener::bind(("127.0.0.1", scene.ports.http)).expect("the port is free");
    scene.start_authority();
    scene.start_landfall("", &[]);
    scene.wait_for(ISSUED, 1);
    scene.is_trusted();
    let log = scene.log("landfall");
    assert!(
        log.contains("choose another with http.plain_addr; going on without plain HTTP"),
        "{log}"
    );
    // No attempt was wasted on the port that is somebody else's.
    assert!(!log.contains("LF-TLS-021"), "{log}");
}

#[test]
fn a_port_80_that_is_closed_from_outside_is_no_obstacle_either() {
    let mut scene = Scene::new();
    scene.looks_at_http = scene.ports.dns_manage; // answers, and knows no proof
    scene.start_authority();
    scene.start_landfall("", &[]);
    scene.wait_for("tls-alpn-01 is tried next", 1);
    scene.wait_for(ISSUED, 1);
    scene.is_trusted();
}

#[test]
fn several_names_share_a_certificate_and_a_private_one_has_the_local_cas() {
    let mut scene = Scene::new();
    scene.start_authority();
    let mut landfall = e2e::landfall::command();
    let names = [NAME, "cache.example.com", "nas.lan", "127.0.0.1"];
    scene.told(&mut landfall, &names, "", &[]);
    scene.spawn("landfall", &mut landfall);
    scene.wait_for(ISSUED, 1);
    scene.is_trusted();
    for (name, issuer) in [
        (NAME, "Pebble"),
        ("cache.example.com", "Pebble"),
        ("nas.lan", "Landfall"),
    ] {
        let seen = scene.issuer_for(name);
        assert!(seen.contains(issuer), "{name}: {seen}");
    }
    scene.wait_for("nas.lan is not a public name", 1);
    scene.wait_for("a local CA signs for nas.lan, 127.0.0.1", 1);
    // What the printed steps are for is told by the data folder alone.
    scene
        .beside(&["tls", "trust", "--print", "docker"])
        .succeeded()
        .says("/certs.d/nas.lan/")
        .does_not_say("cache.example.com");
    scene
        .beside(&["tls", "status"])
        .succeeded()
        .says("acme")
        .says("cache.example.com");
}
