//! A certificate that cannot be had stops nothing, and the log says why and what to do.

use std::net::TcpListener;

use crate::scene::{ISSUED, NAME, Scene};

#[test]
fn an_authority_that_is_away_stops_nothing() {
    let mut scene = Scene::new();
    scene.start_landfall("http-01", &[]);
    scene.wait_for("serving with the one at hand meanwhile, and trying again", 1);
    let log = scene.log("landfall");
    for words in [
        "LF-TLS-020",
        "Connection refused",
        "why   this machine does not reach the authority",
        "fix ",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    assert!(
        log.contains("it is ordered now, and the local CA serves meanwhile"),
        "{log}"
    );
    assert!(
        scene.issuer().contains("Landfall"),
        "the local CA does not serve meanwhile"
    );
    scene.start_authority();
    scene.wait_for(ISSUED, 1);
    scene.is_trusted();
}

#[test]
fn a_proof_that_cannot_be_found_is_told_way_by_way_with_what_to_mend() {
    let mut scene = Scene::new();
    scene.looks_at_http = scene.ports.dns_manage;
    scene.looks_at_https = scene.ports.dns_manage;
    scene.start_authority();
    scene.start_landfall("", &[]);
    scene.wait_for("serving with the one at hand meanwhile", 1);
    let log = scene.log("landfall");
    for words in [
        "LF-TLS-021",
        NAME,
        "why   http-01: ",
        "port 80 has to be open from outside",
        "why   tls-alpn-01: ",
        "fix   mend that, then: landfall tls renew",
        "retry_seconds=600",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    assert!(scene.issuer().contains("Landfall"));
}

#[test]
fn the_local_ca_stands_by_with_a_broken_key_too() {
    let mut scene = Scene::new();
    scene.start_authority();
    scene.start_landfall("", &[]);
    scene.wait_for(ISSUED, 1);
    scene.end("landfall");
    std::fs::write(scene.at("data/landfall/tls/local/ca.key"), b"not a key").expect("a file can be written");
    scene.start_landfall("", &[]);
    scene.wait_for("the old files were set aside as", 1);
    scene.wait_for("listening on", 2);
    scene.is_trusted();
}

#[test]
fn a_server_whose_authority_takes_connections_and_stays_silent_serves_all_the_same() {
    let mut scene = Scene::new();
    let silent = TcpListener::bind(("127.0.0.1", scene.ports.acme)).expect("the port is free");
    scene.start_landfall("", &[]);
    scene.wait_for("listening on", 1);
    assert!(scene.issuer().contains("Landfall"));
    drop(silent);
}
