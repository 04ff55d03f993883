//! What the journeys share: commands of the program under test, a server on an adopted root, and a tree that is written by
//! hand as the older registry writes it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::client::digest;
use e2e::command::{Ran, program, run};
use e2e::http::{Connection, Request};
use e2e::image::Image;
use e2e::landfall::{self, Landfall, Launch};
use serde_json::Value;

/// Longer than any adoption of a test's folder takes.
const ADOPTION_SECONDS_MAX: u64 = 120;

/// Runs the program under test with these arguments, and no setting of this machine's.
pub(crate) fn landfall_says(arguments: &[&str]) -> Ran {
    let mut command = program(&landfall::program().display().to_string());
    run(without_settings(command.args(arguments)))
}

/// Takes every setting out of a program's environment.
pub(crate) fn without_settings(command: &mut Command) -> &mut Command {
    let settings = |name: &String| name.starts_with("REGISTRY_") || name.starts_with("LANDFALL_");
    for name in std::env::vars().map(|(name, _)| name).filter(settings) {
        command.env_remove(name);
    }
    let defaults = concat!(env!("CARGO_MANIFEST_DIR"), "/defaults.yaml");
    command.env("LANDFALL_CONFIG", defaults)
}

/// A JSON answer.
pub(crate) fn answer(ran: Ran) -> Value {
    serde_json::from_str(&ran.succeeded().stdout()).unwrap()
}

/// A server whose root directory is `root`, as the older registry's environment names it; adoption is over.
pub(crate) fn serve(root: &Path) -> Landfall {
    let landfall = Launch::with_environment_only(&landfall::program(), root.parent().unwrap())
        .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", root)
        .start();
    let deadline = Instant::now() + Duration::from_secs(ADOPTION_SECONDS_MAX);
    while status(landfall.address(), "/startupz") != 200 {
        // Until then clients are told to come again.
        assert!(
            Instant::now() < deadline,
            "adoption does not end; log:\n{}",
            landfall.log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    landfall
}

pub(crate) fn status(address: SocketAddr, target: &str) -> u16 {
    let mut connection = Connection::open(address).unwrap();
    connection.send(Request::new("GET", target)).unwrap().status
}

/// A tree written by hand.
pub(crate) struct Tree(pub(crate) PathBuf);

impl Tree {
    pub(crate) fn base(&self) -> PathBuf {
        self.0.join("docker/registry/v2")
    }

    pub(crate) fn repository(&self, name: &str) -> PathBuf {
        self.base().join("repositories").join(name)
    }

    pub(crate) fn data(&self, digest: &str) -> PathBuf {
        let hex = &digest["sha256:".len()..];
        self.base()
            .join("blobs/sha256")
            .join(&hex[..2])
            .join(hex)
            .join("data")
    }

    pub(crate) fn layer_link(&self, name: &str, digest: &str) -> PathBuf {
        self.repository(name)
            .join("_layers")
            .join(digest.replace(':', "/"))
            .join("link")
    }

    pub(crate) fn revision_link(&self, name: &str, digest: &str) -> PathBuf {
        let revisions = self.repository(name).join("_manifests/revisions");
        revisions.join(digest.replace(':', "/")).join("link")
    }

    pub(crate) fn tag_link(&self, name: &str, tag: &str) -> PathBuf {
        self.repository(name)
            .join("_manifests/tags")
            .join(tag)
            .join("current/link")
    }

    pub(crate) fn write(path: &Path, bytes: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Puts an image under a tag; its manifest's digest.
    pub(crate) fn put(&self, name: &str, tag: &str, image: &Image) -> String {
        for blob in &image.blobs {
            let digest = digest(blob);
            Self::write(&self.data(&digest), blob);
            Self::write(&self.layer_link(name, &digest), digest.as_bytes());
        }
        let digest = digest(&image.manifest);
        Self::write(&self.data(&digest), &image.manifest);
        Self::write(&self.revision_link(name, &digest), digest.as_bytes());
        let index = self
            .repository(name)
            .join("_manifests/tags")
            .join(tag)
            .join("index");
        Self::write(
            &index.join(digest.replace(':', "/")).join("link"),
            digest.as_bytes(),
        );
        Self::write(&self.tag_link(name, tag), digest.as_bytes());
        digest
    }
}
