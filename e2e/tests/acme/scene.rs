//! The authority, the DNS that it asks, the server under test, and what can be asked of them.
//!
//! Real parts: `pebble` as the authority, `pebble-challtestsrv` as the DNS, curl and openssl as clients. Nothing leaves the
//! machine; every port is one that was free a moment ago. Fails: by panic, with the logs.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::command::{Ran, program, run};
use tempfile::TempDir;

pub(crate) const NAME: &str = "registry.example.com";
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) struct Ports {
    pub(crate) https: u16,
    pub(crate) http: u16,
    pub(crate) acme: u16,
    pub(crate) manage: u16,
    pub(crate) dns: u16,
    pub(crate) dns_manage: u16,
}

/// A folder, the ports, and the processes of one journey.
pub(crate) struct Scene {
    folder: TempDir,
    pub(crate) ports: Ports,
    /// Where the authority looks for proofs: our ports, unless a journey says otherwise.
    pub(crate) looks_at_http: u16,
    pub(crate) looks_at_https: u16,
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
    pub(crate) fn new() -> Self {
        let ports = free_ports();
        let scene = Self {
            folder: TempDir::with_prefix("acme-").expect("a temporary folder can be made"),
            looks_at_http: ports.http,
            looks_at_https: ports.https,
            ports,
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
        scene
    }

    fn write_config(&self) {
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.ports.acme),
            "managementListenAddress": format!("127.0.0.1:{}", self.ports.manage),
            "certificate": self.at("authority.pem"),
            "privateKey": self.at("authority.key"),
            "httpPort": self.looks_at_http,
            "tlsPort": self.looks_at_https,
        }});
        fs::write(self.at("pebble.json"), config.to_string()).expect("a file can be written");
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn spawn(&mut self, name: &'static str, command: &mut Command) {
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

    /// The authority, with a DNS in which every name is this machine.
    pub(crate) fn start_authority(&mut self) {
        let address = |port: u16| format!("127.0.0.1:{port}");
        let mut dns = Command::new("pebble-challtestsrv");
        dns.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-dns01", &address(self.ports.dns)])
            .args(["-management", &address(self.ports.dns_manage)]);
        self.spawn("dns", &mut dns);
        self.start_pebble();
    }

    /// The authority alone; something else answers on the port of its DNS.
    pub(crate) fn start_pebble(&mut self) {
        self.write_config();
        let mut pebble = Command::new("pebble");
        pebble
            .arg("-config")
            .arg(self.at("pebble.json"))
            .args(["-dnsserver", &format!("127.0.0.1:{}", self.ports.dns)])
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

    /// The server, which may prove its name in these ways; empty is the default.
    pub(crate) fn start_landfall(&mut self, challenges: &str, more: &[(&str, &str)]) {
        let mut landfall = e2e::landfall::command();
        self.told(&mut landfall, &[NAME, "--tls", "acme"], challenges, more);
        self.spawn("landfall", &mut landfall);
    }

    /// What a server of this scene is told; `names` are what follows `serve`.
    pub(crate) fn told(
        &self,
        landfall: &mut Command,
        names: &[&str],
        challenges: &str,
        more: &[(&str, &str)],
    ) {
        landfall
            .arg("serve")
            .args(names)
            .args(["--listen", &format!("127.0.0.1:{}", self.ports.https), "--data"])
            .arg(self.at("data"))
            .env(
                "LANDFALL_HTTP__PLAIN_ADDR",
                format!("127.0.0.1:{}", self.ports.http),
            )
            .env("LANDFALL_TLS__ACME__DIRECTORY", self.directory())
            .env("LANDFALL_TLS__ACME__CA_ROOT", self.at("authority.pem"))
            .env("LANDFALL_TLS__ACME__EMAIL", "bee@example.com")
            .envs(more.iter().copied());
        if !challenges.is_empty() {
            landfall.env("LANDFALL_TLS__ACME__CHALLENGES", format!("[{challenges}]"));
        }
    }

    pub(crate) fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.ports.acme)
    }

    /// A command beside the server, told no more than where the data lies.
    pub(crate) fn beside(&self, arguments: &[&str]) -> Ran {
        let mut command = e2e::landfall::command();
        command
            .args(arguments)
            .arg("--data")
            .arg(self.at("data"))
            .env("LANDFALL_TLS__ACME__DIRECTORY", self.directory());
        run(&mut command)
    }

    /// Ends one of the programs, by its own process id.
    pub(crate) fn end(&mut self, name: &str) {
        for (_, child) in self.running.iter_mut().filter(|(known, _)| *known == name) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.at(&format!("{name}.log"))).unwrap_or_default()
    }

    pub(crate) fn wait_for(&self, what: &str, times: usize) {
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

    /// The certificate that a client of this name sees.
    pub(crate) fn issuer(&self) -> String {
        self.issuer_for(NAME)
    }

    pub(crate) fn issuer_for(&self, name: &str) -> String {
        let seen = run(program("sh").arg("-c").arg(format!(
            "openssl s_client -connect 127.0.0.1:{} -servername {name} </dev/null 2>/dev/null | openssl x509 -noout -issuer -serial",
            self.ports.https
        )));
        seen.succeeded().stdout()
    }

    /// A request that trusts the authority's root alone.
    pub(crate) fn is_trusted(&self) {
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

pub(crate) const ISSUED: &str = "a certificate was issued and is in use";
