//! podman, buildah and skopeo with storage and credentials of their own, in a folder that goes away.
//!
//! Storage is the `vfs` driver: it works on every file system, at the price of copies, and the images here are small.
//! Fails: by panic. Needs root, as these clients do without user namespaces.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::command::{Ran, program, run};
use crate::docker::unmount_below;

/// A person's machine with these clients on it, and nothing on it yet.
pub struct Containers {
    folder: TempDir,
}

impl Default for Containers {
    fn default() -> Self {
        let machine = Self {
            folder: TempDir::with_prefix("containers-").expect("a temporary folder can be made"),
        };
        std::fs::write(machine.folder("auth.json"), "{}").expect("a file of credentials can be made");
        machine
    }
}

impl Containers {
    /// `podman` with these arguments.
    #[must_use]
    pub fn podman(&self, arguments: &[&str]) -> Ran {
        let options = ["--cgroup-manager=cgroupfs", "--events-backend=none"];
        self.run(
            "podman",
            &[self.storage(), options.map(str::to_owned).to_vec()].concat(),
            arguments,
        )
    }

    /// `buildah` with these arguments.
    #[must_use]
    pub fn buildah(&self, arguments: &[&str]) -> Ran {
        self.run("buildah", &self.storage(), arguments)
    }

    /// `skopeo` with these arguments.
    #[must_use]
    pub fn skopeo(&self, arguments: &[&str]) -> Ran {
        // It copies between places that the journey names, and what it copies is nobody's release.
        self.run("skopeo", &["--insecure-policy".to_owned()], arguments)
    }

    fn storage(&self) -> Vec<String> {
        let at = |name: &str| self.folder(name).display().to_string();
        vec![
            "--storage-driver=vfs".to_owned(),
            "--root".to_owned(),
            at("root"),
            "--runroot".to_owned(),
            at("run"),
        ]
    }

    fn run(&self, name: &str, options: &[String], arguments: &[&str]) -> Ran {
        run(program(name)
            .args(options)
            .args(arguments)
            .env("REGISTRY_AUTH_FILE", self.folder("auth.json"))
            .env("TMPDIR", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("CONTAINERS_CONF", "/dev/null"))
    }

    /// A path in the clients' folder, for what a journey builds.
    #[must_use]
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        let _ = unmount_below(self.folder.path());
    }
}
