//! Adopting from a registry that runs: the one of Debian with passwords, and a small one of our own that wants tokens and
//! drops connections.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use e2e::client::{Client, Found, Way, digest};
use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::image::Image;
use e2e::landfall;
use e2e::old_registry::{OldRegistry, holdings};

use crate::folder::{Tree, answer, landfall_says, serve};

fn image(seed: u64) -> Image {
    Image::of_layers(vec![Dice::new(seed).bytes(300_000)], "amd64", None)
}

/// `landfall adopt` with a password on its standard input; its exit code and its words.
fn adopt_as(user: &str, password: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = Command::new(landfall::program())
        .args(["adopt", "--username", user, "--password-stdin"])
        .args(arguments)
        .env_clear()
        .env(
            "LANDFALL_CONFIG",
            concat!(env!("CARGO_MANIFEST_DIR"), "/defaults.yaml"),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    let output = child.wait_with_output().unwrap();
    let words = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&words).into_owned())
}

#[test]
fn a_running_registry_is_brought_over_with_its_login_and_again_costs_nothing() {
    let machine = Containers::default();
    let tree = Tree(machine.folder("root"));
    for (name, tag, seed) in [("team", "1", 1), ("team/app", "1", 2), ("team/app", "2", 3)] {
        tree.put(name, tag, &image(seed));
    }
    let open = OldRegistry::serve(&tree.0);
    let before = holdings(open.address());
    drop(open);
    let passwords = machine.folder("htpasswd");
    let made = e2e::command::run(e2e::command::program("htpasswd").args(["-Bbn", "busy", "letmein"]));
    std::fs::write(&passwords, made.succeeded().stdout() + "\n").unwrap();
    let old = OldRegistry::serve_with_passwords(&tree.0, &passwords);
    let (address, data) = (format!("http://{}", old.address()), machine.folder("data"));
    let to = data.display().to_string();

    landfall_says(&["adopt", &address, "--data", &to])
        .failed()
        .says("refuses this login");
    let (code, words) = adopt_as("busy", "wrong", &[&address, "--data", &to]);
    assert_eq!(code, Some(4), "{words}");
    assert!(!words.contains("wrong"), "a password is never shown: {words}");
    let (code, words) = adopt_as("busy", "letmein", &[&address, "--data", &to]);
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("adopted 2 repositories, 3 tags"), "{words}");
    let (_, words) = adopt_as("busy", "letmein", &[&address, "--data", &to]);
    assert!(words.contains("fetched and hashed 0 blobs"), "{words}");
    drop(old);
    let (code, words) = adopt_as("busy", "letmein", &[&address, "--data", &to]);
    assert_eq!(code, Some(8), "{words}");
    assert!(words.contains("does not answer"), "{words}");

    let mut landfall = serve(&data);
    assert_eq!(holdings(landfall.address()), before);
    // What was moved here is not moved back by the source.
    let mut client = Client::connect(landfall.address()).unwrap();
    let newer = image(4);
    for blob in &newer.blobs {
        client.push_blob("team", blob, Way::PostPut).unwrap();
    }
    client.push_manifest("team", "1", &newer.manifest).unwrap();
    landfall.stop();
    let old = OldRegistry::serve(&tree.0);
    let address = format!("http://{}", old.address());
    let again = answer(landfall_says(&[
        "adopt", &address, "--data", &to, "--repo", "team", "--json",
    ]));
    assert_eq!(
        (&again["repositories"], &again["tags_kept"]),
        (&1.into(), &1.into()),
        "{again:#}"
    );
}

/// One image under `team:1`, for who brings a token; blobs come in two halves, with a broken connection between them.
struct Fussy {
    image: Image,
    broken: AtomicUsize,
}

const BASIC: &str = "Basic YnVzeTpsZXRtZWlu"; // busy:letmein

impl Fussy {
    fn start(image: Image) -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let broken = AtomicUsize::new(0);
        let fussy = Arc::new(Self { image, broken });
        let (server, base) = (Arc::clone(&fussy), address.clone());
        // Ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (server, base) = (Arc::clone(&server), base.clone());
                std::thread::spawn(move || server.answer(&stream, &base));
            }
        });
        (fussy, address)
    }

    fn answer(&self, mut stream: &TcpStream, base: &str) {
        let mut lines = BufReader::new(stream.take(64 * 1024))
            .lines()
            .map_while(Result::ok);
        let target = lines.next().unwrap_or_default();
        let target = target.split(' ').nth(1).unwrap_or_default().to_owned();
        let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let field = |name: &str| {
            let fields = head.iter().filter_map(|line| line.split_once(": "));
            let mut found = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.to_owned())
        };
        let authorization = field("authorization").unwrap_or_default();
        let mut send = |status: &str, more: &str, length: usize, body: &[u8]| {
            let head =
                format!("HTTP/1.1 {status}\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(body));
        };
        if target.starts_with("/token") {
            let right = authorization == BASIC && target.contains("scope=repository:team:pull");
            let body = if right { r#"{"token":"t0ken"}"# } else { "{}" };
            let status = if right { "200 OK" } else { "401 Unauthorized" };
            return send(status, "", body.len(), body.as_bytes());
        }
        if authorization != "Bearer t0ken" {
            let challenge = format!(
                "WWW-Authenticate: Bearer realm=\"{base}/token\",service=\"fussy\",scope=\"repository:team:pull\"\r\n"
            );
            return send("401 Unauthorized", &challenge, 0, b"");
        }
        if target.starts_with("/v2/_catalog") {
            let body = br#"{"repositories":["team"]}"#;
            return send("200 OK", "", body.len(), body);
        }
        if target.contains("/tags/list") {
            let body = br#"{"name":"team","tags":["1"]}"#;
            return send("200 OK", "", body.len(), body);
        }
        if target.contains("/manifests/1") {
            let body = &self.image.manifest;
            return send("200 OK", "", body.len(), body);
        }
        let asked = target.rsplit('/').next().unwrap_or_default();
        let Some(blob) = self.image.blobs.iter().find(|blob| digest(blob) == asked) else {
            return send("404 Not Found", "", 0, b"");
        };
        let from =
            field("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        match from {
            Some(from) => send("206 Partial Content", "", blob.len() - from, &blob[from..]),
            None if blob.len() < 1000 => send("200 OK", "", blob.len(), blob),
            None => {
                self.broken.fetch_add(1, Ordering::SeqCst);
                send("200 OK", "", blob.len(), &blob[..blob.len() / 2]);
            }
        }
    }
}

#[test]
fn a_token_is_fetched_and_a_broken_transfer_goes_on_where_it_broke() {
    let machine = Containers::default();
    let data = machine.folder("data");
    let to = data.display().to_string();
    let (fussy, address) = Fussy::start(image(1));
    let (code, words) = adopt_as("busy", "letmein", &[&address, "--data", &to]);
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(
        fussy.broken.load(Ordering::SeqCst),
        1,
        "the second half was asked for alone"
    );
    let landfall = serve(&data);
    let mut client = Client::connect(landfall.address()).unwrap();
    for blob in &fussy.image.blobs {
        let digest = digest(blob);
        let found = client.pull_blob("team", &digest).unwrap();
        assert_eq!(found, Found::Bytes(digest, blob.len() as u64));
    }
    assert_eq!(
        client.pull_manifest("team", "1").unwrap().unwrap().body,
        fussy.image.manifest
    );
}

#[test]
fn content_that_is_not_what_its_digest_says_is_left_out() {
    let machine = Containers::default();
    let to = machine.folder("data").display().to_string();
    let mut image = image(1);
    let tree = Tree(machine.folder("root"));
    tree.put("team", "1", &image);
    image.blobs[0][7] ^= 1;
    std::fs::write(tree.data(&digest(&self::image(1).blobs[0])), &image.blobs[0]).unwrap();
    let old = OldRegistry::serve(&tree.0);
    let address = format!("http://{}", old.address());
    let report = answer(landfall_says(&["adopt", &address, "--data", &to, "--json"]));
    assert_eq!(report["damages"][0]["found"], "wrong_hash", "{report:#}");
    assert_eq!(report["tags"], 1, "{report:#}");
}
