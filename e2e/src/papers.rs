//! Certificates that openssl makes for one journey, and how a server that presents them is started and looked at.
//!
//! Units: days. Shape: [`Papers`] is a folder with the authority `ca` and what was signed; files are named by what comes
//! before `.pem` and `.key`.
//! Fails: by panic; openssl and curl are needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::command::{Ran, program, run};
use crate::landfall::{self, Landfall, Launch};

/// The registry's name in every document of ours.
pub const NAME: &str = "registry.example.com";
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until something is so.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A folder with an authority and what it signed.
pub struct Papers(TempDir);

impl Default for Papers {
    /// With the authority `ca`.
    fn default() -> Self {
        let papers = Self(TempDir::with_prefix("https-").expect("a temporary folder can be made"));
        fs::create_dir(papers.at("data")).expect("a folder can be made");
        papers.authority("ca");
        papers
    }
}

impl Papers {
    /// A path in the folder.
    #[must_use]
    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, line: &str) {
        let line = format!("cd \"$0\" && {line}");
        run(program("sh").args(["-euc", &line]).arg(self.0.path())).succeeded();
    }

    /// One more authority.
    pub fn authority(&self, name: &str) {
        self.openssl(&format!(
            "openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj '/CN=Authority {name}' -keyout {name}.key -out {name}.pem"
        ));
    }

    /// `<file>.pem` and `<file>.key`, for a host name and a number of days.
    pub fn certificate(&self, file: &str, host: &str, days: i32, authority: &str) {
        self.openssl(&format!(
            "openssl req -newkey rsa:2048 -nodes -subj /CN={host} -keyout {file}.key -out {file}.csr && \
             echo subjectAltName=DNS:{host} > {file}.ext && \
             openssl x509 -req -in {file}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial \
                 -days {days} -extfile {file}.ext -out {file}.pem"
        ));
    }

    /// Lays a file over another at once, as certbot and cert-manager do.
    pub fn replace(&self, name: &str, by: &str) {
        fs::copy(self.at(by), self.at("draft")).expect("a file can be copied");
        fs::rename(self.at("draft"), self.at(name)).expect("a file can be renamed");
    }

    /// How to start a server with these files.
    #[must_use]
    pub fn launch(&self, certificate: &str, key: &str) -> Launch {
        Launch::with_data(&landfall::program(), &self.at("data"))
            .env("REGISTRY_HTTP_TLS_CERTIFICATE", self.at(certificate))
            .env("REGISTRY_HTTP_TLS_KEY", self.at(key))
    }

    /// What a server that cannot start says, and its exit code.
    #[must_use]
    pub fn refused(&self, certificate: &str, key: &str) -> (String, Option<i32>) {
        let mut landfall = self.launch(certificate, key).spawn();
        let status = landfall.wait_for_end();
        (log_once(&landfall, "fix"), status.code())
    }
}

/// The log, once these words are in it.
#[must_use]
pub fn log_once(landfall: &Landfall, words: &str) -> String {
    wait_until(words, || landfall.log().contains(words));
    landfall.log()
}

/// curl, which trusts an authority alone and takes the server for [`NAME`].
#[must_use]
pub fn curl(landfall: &Landfall, authority: &Path, more: &[&str]) -> Ran {
    let port = landfall.address().port();
    run(program("curl")
        .args([
            "-sSf",
            "--resolve",
            &format!("{NAME}:{port}:127.0.0.1"),
            "--cacert",
        ])
        .arg(authority)
        .args(more)
        .arg(format!("https://{NAME}:{port}/healthz")))
}

/// The serial number of the certificate that a new connection gets.
#[must_use]
pub fn serial(landfall: &Landfall) -> String {
    let line = format!(
        "openssl s_client -connect {} -servername {NAME} </dev/null 2>/dev/null | openssl x509 -noout -serial",
        landfall.address()
    );
    run(program("sh").args(["-c", &line])).succeeded().stdout()
}

/// The serial number in a file.
#[must_use]
pub fn serial_in(file: &Path) -> String {
    run(program("openssl")
        .args(["x509", "-noout", "-serial", "-in"])
        .arg(file))
    .succeeded()
    .stdout()
}
