//! HTTPS with certificate files and with the local CA, as people meet it: curl, openssl, Docker, and the log.
//!
//! Certificates come from an authority that openssl makes for each journey. Docker runs in a network of its own, where
//! ports 80 and 443 are free.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use e2e::command::{program, run};
use e2e::dice::Dice;
use e2e::docker::Docker;
use e2e::image::write_build_folder;
use e2e::landfall::{self, Landfall};
use e2e::papers::{NAME, Papers, curl, log_once, serial, serial_in, wait_until};
use tempfile::TempDir;

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

/// A server that was started in the engine's network; ended by its own process id.
struct Started<'a> {
    docker: &'a Docker,
    folder: &'a Path,
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        let _ = self.docker.shell(self.folder, "kill $(cat pid)");
        if std::thread::panicking() {
            eprintln!(
                "{}",
                fs::read_to_string(self.folder.join("log")).unwrap_or_default()
            );
        }
    }
}

#[test]
fn docker_trusts_the_local_ca_as_the_printed_steps_say() {
    let folder = TempDir::with_prefix("local-ca-").unwrap();
    let docker = Docker::start_apart_and_strict(&[NAME]);
    let types = |line: &str| docker.shell(folder.path(), line);
    let server = landfall::program().display().to_string();
    let setting = concat!("LANDFALL_CONFIG=", env!("CARGO_MANIFEST_DIR"), "/defaults.yaml");
    let started = Started {
        docker: &docker,
        folder: folder.path(),
    };
    types(&format!(
        "{setting} {server} serve {NAME} --tls local --data data >log 2>&1 </dev/null & echo $! >pid"
    ))
    .succeeded();
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    wait_until("the server listens", || log().contains("listening on"));

    let login = fs::read_to_string(folder.path().join("data/landfall/first-login")).unwrap();
    let word = |name: &str| {
        let line = login.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    fs::write(folder.path().join("password"), word("password ")).unwrap();
    let login = format!(
        "docker login {NAME} -u {} --password-stdin <password",
        word("user ")
    );
    types(&login)
        .failed()
        .says("certificate signed by unknown authority");

    // The steps are for a person who is not root; root has no sudo to need.
    types("mkdir bin && printf '#!/bin/sh\\nexec \"$@\"\\n' >bin/sudo && chmod +x bin/sudo").succeeded();
    types(&format!(
        "env -u LANDFALL_BIN {setting} {server} tls trust {NAME} --data data --print docker >steps && \
         PATH=\"$PWD/bin:$PATH\" sh -eu steps"
    ))
    .succeeded();
    types(&login).succeeded().says("Login Succeeded");

    write_build_folder(
        &folder.path().join("hello"),
        &[("file", &Dice::new(9).bytes(2_000_000))],
    );
    let image = format!("{NAME}/team/hello:1");
    types(&format!(
        "docker build -q -t {image} hello && docker push {image}"
    ))
    .succeeded();
    types(&format!(
        "docker rmi -f $(docker images -q {image}) && docker pull {image}"
    ))
    .succeeded()
    .says("Downloaded newer image");
    drop(started);
    wait_until("the server ends", || log().contains("msg=stopped"));
}
