//! Certificates from an authority: each way to prove a name, renewal under traffic, and an authority that is away.
//!
//! Real parts: `pebble` as the authority, `pebble-challtestsrv` as the DNS that it asks, curl as the client. Nothing leaves
//! the machine; every port is one that was free a moment ago.

#![expect(
    clippy::expect_used,
    reason = "a harness: what goes wrong here ends the test, with its reason"
)]

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::command::{program, run};
use tempfile::TempDir;

const NAME: &str = "registry.example.com";
const PATIENCE: Duration = Duration::from_mins(2);

struct Ports {
    https: u16,
    http: u16,
    acme: u16,
    manage: u16,
    dns: u16,
    dns_manage: u16,
}

/// A folder, the ports, and the processes of one journey.
struct Scene {
    folder: TempDir,
    ports: Ports,
    running: Vec<(&'static str, Child)>,
}

fn free_ports() -> Ports {
    let held: Vec<_> = (0..6)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a port is free"))
        .collect();
    let port = |index: usize| {
        held[index]
            .local_addr()
            .expect("a listener has an address")
            .port()
    };
    Ports {
        https: port(0),
        http: port(1),
        acme: port(2),
        manage: port(3),
        dns: port(4),
        dns_manage: port(5),
    }
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            folder: TempDir::with_prefix("acme-").expect("a temporary folder can be made"),
            ports: free_ports(),
            running: Vec::new(),
        };
        run(program("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
            ])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(scene.at("authority.key"))
            .arg("-out")
            .arg(scene.at("authority.pem")))
        .succeeded();
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{}", scene.ports.acme),
            "managementListenAddress": format!("127.0.0.1:{}", scene.ports.manage),
            "certificate": scene.at("authority.pem"),
            "privateKey": scene.at("authority.key"),
            "httpPort": scene.ports.http,
            "tlsPort": scene.ports.https,
        }});
        fs::write(scene.at("pebble.json"), config.to_string()).expect("a file can be written");
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn spawn(&mut self, name: &'static str, command: &mut Command) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.at(&format!("{name}.log")));
        let log = log.expect("a log can be made");
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log has two writers"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        self.running.push((name, child));
    }

    fn start_authority(&mut self) {
        let address = |port: u16| format!("127.0.0.1:{port}");
        let mut dns = Command::new("pebble-challtestsrv");
        dns.args([
            "-defaultIPv4",
            "127.0.0.1",
            "-defaultIPv6",
            "",
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
        ])
        .args([
            "-dns01",
            &address(self.ports.dns),
            "-management",
            &address(self.ports.dns_manage),
        ]);
        self.spawn("dns", &mut dns);
        let mut pebble = Command::new("pebble");
        pebble
            .arg("-config")
            .arg(self.at("pebble.json"))
            .args(["-dnsserver", &address(self.ports.dns)])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", "0");
        self.spawn("pebble", &mut pebble);
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.ports.acme)).is_err() {
            assert!(
                Instant::now() < deadline,
                "pebble does not listen:\n{}",
                self.log("pebble")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn start_landfall(&mut self, challenge: &str, more: &[(&str, &Path)]) {
        let mut landfall = e2e::landfall::command();
        landfall
            .args([
                "serve",
                NAME,
                "--tls",
                "acme",
                "--listen",
                &format!("127.0.0.1:{}", self.ports.https),
                "--data",
            ])
            .arg(self.at("data"))
            .env(
                "LANDFALL_HTTP__PLAIN_ADDR",
                format!("127.0.0.1:{}", self.ports.http),
            )
            .env(
                "LANDFALL_TLS__ACME__DIRECTORY",
                format!("https://127.0.0.1:{}/dir", self.ports.acme),
            )
            .env("LANDFALL_TLS__ACME__CA_ROOT", self.at("authority.pem"))
            .env("LANDFALL_TLS__ACME__EMAIL", "bee@example.com")
            .env("LANDFALL_TLS__ACME__CHALLENGES", format!("[{challenge}]"))
            .envs(more.iter().copied());
        self.spawn("landfall", &mut landfall);
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.at(&format!("{name}.log"))).unwrap_or_default()
    }

    fn wait_for(&self, what: &str, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.log("landfall").matches(what).count() < times {
            assert!(
                Instant::now() < deadline,
                "no {what:?} in the log:\n{}\n---- pebble\n{}",
                self.log("landfall"),
                self.log("pebble")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The certificate that a client sees.
    fn issuer(&self) -> String {
        let seen = run(program("sh").arg("-c").arg(format!(
            "openssl s_client -connect 127.0.0.1:{} -servername {NAME} </dev/null 2>/dev/null | openssl x509 -noout -issuer -serial",
            self.ports.https
        )));
        seen.succeeded().stdout()
    }

    /// A request that trusts the authority's root alone.
    fn is_trusted(&self) {
        let manage = format!("https://127.0.0.1:{}", self.ports.manage);
        run(program("curl")
            .args(["-sfk", &format!("{manage}/roots/0"), "-o"])
            .arg(self.at("root.pem")))
        .succeeded();
        run(program("curl")
            .args([
                "-sf",
                "--resolve",
                &format!("{NAME}:{}:127.0.0.1", self.ports.https),
                "--cacert",
            ])
            .arg(self.at("root.pem"))
            .arg(format!("https://{NAME}:{}/healthz", self.ports.https)))
        .succeeded()
        .says("ok");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

const ISSUED: &str = "a certificate was issued and is in use";

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
    scene.start_landfall("dns-01", &[("LANDFALL_TLS__ACME__DNS__EXEC", &hook)]);
    scene.wait_for(ISSUED, 1);
    scene.is_trusted();
    assert!(scene.at("cleaned").exists(), "the record was left behind");
}

#[test]
fn a_renewal_cuts_no_running_download() {
    let mut scene = Scene::new();
    scene.start_authority();
    scene.start_landfall("http-01", &[]);
    scene.wait_for(ISSUED, 1);
    let before = scene.issuer();
    // A connection that was opened before and is used after.
    let port = scene.ports.https;
    let mut running = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "(printf 'GET /healthz HTTP/1.1\\r\\nHost: {NAME}\\r\\n\\r\\n'; while [ ! -e {1} ]; do sleep 0.1; done; \
             printf 'GET /healthz HTTP/1.1\\r\\nHost: {NAME}\\r\\nConnection: close\\r\\n\\r\\n'; sleep 1) \
             | openssl s_client -quiet -connect 127.0.0.1:{port} -servername {NAME} >{0} 2>/dev/null",
            scene.at("answers").display(),
            scene.at("renewed").display()
        ))
        .spawn()
        .expect("a shell can be started");
    let deadline = Instant::now() + PATIENCE;
    let answers = |scene: &Scene| {
        fs::read_to_string(scene.at("answers"))
            .unwrap_or_default()
            .matches("200 OK")
            .count()
    };
    while answers(&scene) < 1 {
        assert!(Instant::now() < deadline, "the first request is not answered");
        std::thread::sleep(Duration::from_millis(50));
    }
    run(e2e::landfall::command()
        .args(["tls", "renew", NAME, "--data"])
        .arg(scene.at("data"))
        .env(
            "LANDFALL_TLS__ACME__DIRECTORY",
            format!("https://127.0.0.1:{}/dir", scene.ports.acme),
        ))
    .succeeded();
    scene.wait_for(ISSUED, 2);
    assert_ne!(scene.issuer(), before, "the new certificate is not presented");
    fs::write(scene.at("renewed"), b"").expect("a file can be written");
    running.wait().expect("a shell can be waited for");
    assert_eq!(answers(&scene), 2, "the connection did not survive the renewal");
}

#[test]
fn an_authority_that_is_away_stops_nothing() {
    let mut scene = Scene::new();
    scene.start_landfall("http-01", &[]);
    scene.wait_for("serving with the one at hand meanwhile, and trying again", 1);
    assert!(
        scene.issuer().contains("Landfall"),
        "the local CA does not serve meanwhile"
    );
    scene.start_authority();
    scene.wait_for(ISSUED, 1);
    scene.is_trusted();
}
