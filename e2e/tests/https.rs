//! HTTPS with certificate files, as people meet it: curl, openssl, and the log.
//!
//! Certificates come from an authority that openssl makes for each journey.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use e2e::command::{program, run};
use e2e::landfall::Landfall;
use e2e::papers::{NAME, Papers, curl, log_once, serial, serial_in, wait_until};

/// A connection that stays open from one request to the next.
struct Open(Child);

impl Open {
    fn to(landfall: &Landfall) -> Self {
        let child = Command::new("openssl")
            .args(["s_client", "-quiet", "-servername", NAME, "-connect"])
            .arg(landfall.address().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    fn asks(&mut self, reader: &mut impl std::io::BufRead) {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
        self.0
            .stdin
            .as_mut()
            .unwrap()
            .write_all(request.as_bytes())
            .unwrap();
        let mut lines = reader.lines().map(Result::unwrap);
        assert!(lines.next().unwrap().starts_with("HTTP/1.1 200"));
        // The head, and the one line of the body.
        assert!(lines.any(|line| line.is_empty()));
        assert_eq!(lines.next().unwrap(), "ok");
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn new_files_serve_new_connections_and_cut_no_open_one() {
    let papers = Papers::default();
    for file in ["now", "next"] {
        papers.certificate(file, NAME, 5, "ca");
    }
    let (first, second) = (
        serial_in(&papers.at("now.pem")),
        serial_in(&papers.at("next.pem")),
    );
    let landfall = papers.launch("now.pem", "now.key").start();
    curl(&landfall, &papers.at("ca.pem"), &[]).succeeded().says("ok");
    assert_eq!(serial(&landfall), first);
    let mut open = Open::to(&landfall);
    let mut answers = BufReader::new(open.0.stdout.take().unwrap());
    open.asks(&mut answers);

    papers.replace("now.key", "next.key");
    papers.replace("now.pem", "next.pem");
    wait_until("the new certificate", || serial(&landfall) == second);
    open.asks(&mut answers);
    curl(&landfall, &papers.at("ca.pem"), &[]).succeeded().says("ok");
    wait_until("a word in the log", || {
        landfall.log().contains("was read again and is in use")
    });
}

#[test]
fn new_files_that_cannot_be_used_change_nothing_and_are_named_in_the_log() {
    let papers = Papers::default();
    for (file, days) in [("now", 5), ("next", 5), ("old", -1)] {
        papers.certificate(file, NAME, days, "ca");
    }
    let first = serial_in(&papers.at("now.pem"));
    fs::copy(papers.at("now.pem"), papers.at("kept.pem")).unwrap();
    fs::write(papers.at("broken.pem"), "not a certificate").unwrap();
    let landfall = papers.launch("now.pem", "now.key").start();
    let (certificate, key) = (papers.at("now.pem"), papers.at("now.key"));
    let named = |code: &str, files: &[&Path]| {
        let log = log_once(&landfall, code);
        let line = log.lines().find(|line| line.contains(code)).unwrap();
        assert!(line.contains("level=error"), "{line}");
        for file in files {
            assert!(line.contains(&file.display().to_string()), "{line}");
        }
        assert_eq!(serial(&landfall), first);
        curl(&landfall, &papers.at("ca.pem"), &[]).succeeded().says("ok");
    };
    papers.replace("now.pem", "broken.pem");
    named("LF-TLS-002", &[&certificate]);
    papers.replace("now.pem", "next.pem");
    named("LF-TLS-004", &[&certificate, &key]);
    fs::remove_file(&certificate).unwrap();
    named("LF-TLS-001", &[&certificate]);
    papers.replace("now.key", "old.key");
    papers.replace("now.pem", "old.pem");
    named("LF-TLS-005", &[&certificate]);
    // What fits is taken up, after all that.
    papers.replace("now.key", "next.key");
    papers.replace("now.pem", "next.pem");
    let second = serial_in(&papers.at("next.pem"));
    wait_until("the new certificate", || serial(&landfall) == second);
}

#[test]
fn clients_show_a_certificate_where_that_is_asked() {
    let papers = Papers::default();
    papers.authority("stranger");
    papers.certificate("server", NAME, 5, "ca");
    papers.certificate("friend", "friend.example.com", 5, "ca");
    papers.certificate("other", "friend.example.com", 5, "stranger");
    let landfall = papers
        .launch("server.pem", "server.key")
        .env(
            "REGISTRY_HTTP_TLS_CLIENTCAS",
            format!("[{}]", papers.at("ca.pem").display()),
        )
        .start();
    let shows = |name: &str| {
        let file = |end: &str| papers.at(&format!("{name}.{end}")).display().to_string();
        let (certificate, key) = (file("pem"), file("key"));
        curl(
            &landfall,
            &papers.at("ca.pem"),
            &["--cert", &certificate, "--key", &key],
        )
    };
    curl(&landfall, &papers.at("ca.pem"), &[])
        .failed()
        .says("certificate required");
    shows("other").failed().says("unknown ca");
    shows("friend").succeeded().says("ok");
}

#[test]
fn a_client_that_is_too_old_is_refused() {
    let papers = Papers::default();
    papers.certificate("server", NAME, 5, "ca");
    let launch = papers.launch("server.pem", "server.key");
    let old = ["--tls-max", "1.2"];
    let landfall = launch.start();
    curl(&landfall, &papers.at("ca.pem"), &old).succeeded();
    drop(landfall);
    let landfall = launch.env("REGISTRY_HTTP_TLS_MINIMUMTLS", "tls1.3").start();
    curl(&landfall, &papers.at("ca.pem"), &old)
        .failed()
        .says("protocol version");
    curl(&landfall, &papers.at("ca.pem"), &[]).succeeded();
}

#[test]
fn plain_http_on_the_https_port_is_told_where_to_go() {
    let papers = Papers::default();
    papers.certificate("server", NAME, 5, "ca");
    let landfall = papers.launch("server.pem", "server.key").start();
    let port = landfall.address().port();
    let plain = |more: &[&str]| {
        run(program("curl")
            .args(["-sS", "--write-out", "\n%{http_code} %{redirect_url}"])
            .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")])
            .args(more)
            .arg(format!("http://{NAME}:{port}/v2/")))
        .succeeded()
    };
    let place = format!("https://{NAME}:{port}/v2/");
    plain(&[])
        .says(&format!(
            "This is plain HTTP, and the registry speaks HTTPS: use {place}"
        ))
        .says("\n400");
    plain(&["--user", "busy:bee"]).says("change it").says("\n400");
    // A browser goes there by itself.
    plain(&["--header", "Accept: text/html"]).says(&format!("\n308 {place}"));
}

#[test]
fn files_that_cannot_be_used_stop_the_start_with_a_sentence_that_names_them() {
    let papers = Papers::default();
    for (file, host, days) in [("good", NAME, 5), ("next", NAME, 5), ("old", NAME, -1)] {
        papers.certificate(file, host, days, "ca");
    }
    fs::write(papers.at("broken"), "neither certificate nor key").unwrap();
    for (certificate, key, code, words) in [
        (
            "good.pem",
            "next.key",
            "LF-TLS-004",
            "does not belong to the certificate",
        ),
        ("old.pem", "old.key", "LF-TLS-005", "expired on"),
        ("none.pem", "good.key", "LF-TLS-001", "http.tls.certificate"),
        ("good.pem", "none.key", "LF-TLS-001", "http.tls.key"),
        ("broken", "good.key", "LF-TLS-002", "holds no certificate"),
        ("good.pem", "broken", "LF-TLS-003", "holds no private key"),
    ] {
        let (said, exit) = papers.refused(certificate, key);
        let at_fault: &[&str] = match code {
            "LF-TLS-004" => &[certificate, key],
            _ if certificate == "good.pem" => &[key],
            _ => &[certificate],
        };
        for file in at_fault {
            assert!(
                said.contains(&papers.at(file).display().to_string()),
                "{file}: {said}"
            );
        }
        assert!(said.contains(code) && said.contains(words), "{code}: {said}");
        assert_eq!(exit, Some(1), "{said}");
    }
}

#[test]
fn a_certificate_for_another_name_is_pointed_out_and_serves() {
    let papers = Papers::default();
    papers.certificate("other", "other.example.com", 5, "ca");
    let landfall = papers
        .launch("other.pem", "other.key")
        .env("REGISTRY_HTTP_HOST", format!("https://{NAME}"))
        .start();
    let log = log_once(
        &landfall,
        "is for other.example.com, not for registry.example.com",
    );
    assert!(log.contains("level=warn") && log.contains(&papers.at("other.pem").display().to_string()));
    curl(&landfall, &papers.at("ca.pem"), &[])
        .failed()
        .says("subject");
    curl(&landfall, &papers.at("ca.pem"), &["--insecure"]).succeeded();
}

#[test]
fn new_authorities_of_clients_are_taken_up_and_broken_ones_are_not() {
    let papers = Papers::default();
    papers.authority("stranger");
    papers.certificate("server", NAME, 5, "ca");
    papers.certificate("friend", "friend.example.com", 5, "ca");
    papers.certificate("other", "friend.example.com", 5, "stranger");
    fs::copy(papers.at("ca.pem"), papers.at("clients.pem")).unwrap();
    fs::write(papers.at("broken.pem"), "no certificate").unwrap();
    let landfall = papers
        .launch("server.pem", "server.key")
        .env(
            "REGISTRY_HTTP_TLS_CLIENTCAS",
            format!("[{}]", papers.at("clients.pem").display()),
        )
        .start();
    let is_let_in = |name: &str| {
        let (certificate, key) = (
            papers.at(&format!("{name}.pem")),
            papers.at(&format!("{name}.key")),
        );
        let shown = [
            "--cert",
            certificate.to_str().unwrap(),
            "--key",
            key.to_str().unwrap(),
        ];
        curl(&landfall, &papers.at("ca.pem"), &shown).is_well()
    };
    assert!(is_let_in("friend") && !is_let_in("other"));
    papers.replace("clients.pem", "broken.pem");
    let _ = log_once(&landfall, "the old ones stay in use");
    assert!(is_let_in("friend") && !is_let_in("other"));
    papers.replace("clients.pem", "stranger.pem");
    wait_until("the new authority counts", || is_let_in("other"));
    assert!(
        !is_let_in("friend"),
        "whom the new file leaves out is still let in"
    );
}
