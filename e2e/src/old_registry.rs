//! The registry that people come from: Debian's `docker-registry`, with a folder and a configuration of its own, and what
//! any registry holds, written down so that two can be compared.
//!
//! Fails: by panic. The machine's own configuration of that program is not looked at. The program is the one that
//! `cargo xtask setup` unpacked, or else the machine's.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::digest;
use crate::http::{Body, Connection, Request, Response};

const START_SECONDS_MAX: u64 = 60;
/// Where `cargo xtask setup` puts it: its package is not installed, because of the configuration that it brings.
const UNPACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/bin/docker-registry");
/// Every type of manifest, so that none is converted.
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// A running registry of the older kind.
pub struct OldRegistry {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl OldRegistry {
    /// Serves `root`, and waits until it answers.
    #[must_use]
    pub fn serve(root: &Path) -> Self {
        Self::start(root, None)
    }

    /// The same, for those alone who are in this password file.
    #[must_use]
    pub fn serve_with_passwords(root: &Path, htpasswd: &Path) -> Self {
        Self::start(root, Some(htpasswd))
    }

    fn start(root: &Path, htpasswd: Option<&Path>) -> Self {
        let folder = TempDir::with_prefix("old-registry-").expect("a temporary folder can be made");
        let address = free_address();
        let login = htpasswd.map(|file| {
            format!(
                "auth:\n  htpasswd:\n    realm: old\n    path: {}\n",
                file.display()
            )
        });
        let config = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  delete:\n    enabled: true\n  \
             filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n{}",
            root.display(),
            login.unwrap_or_default()
        );
        let file = folder.path().join("config.yml");
        fs::write(&file, config).expect("a configuration can be written");
        let program = if Path::new(UNPACKED).is_file() {
            UNPACKED
        } else {
            "docker-registry"
        };
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REGISTRY_")) {
            command.env_remove(name);
        }
        let child = command
            .args(["serve"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot start docker-registry: {error}; `cargo xtask setup` gets it")
            });
        let mut registry = Self {
            child,
            address,
            _folder: folder,
        };
        registry.wait();
        registry
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while TcpStream::connect(self.address).is_err() {
            let ended = self.child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "docker-registry ended instead of listening");
            assert!(Instant::now() < deadline, "docker-registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for OldRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("a listener has an address")
}

/// Everything that clients can see: by path, the digest and type of a manifest and what its bytes hash to, or what a
/// blob's do.
pub type Holdings = BTreeMap<String, String>;

/// Looks at every repository, tag, manifest and blob of the registry at `address`.
#[must_use]
pub fn holdings(address: SocketAddr) -> Holdings {
    let mut connection = Connection::open(address).expect("the registry can be reached");
    let mut holdings = Holdings::new();
    let catalog = json(&get(&mut connection, "/v2/_catalog?n=1000"));
    for name in strings(&catalog["repositories"]) {
        let tags = get(&mut connection, &format!("/v2/{name}/tags/list"));
        for tag in strings(&json(&tags)["tags"]) {
            let digest = manifest(&mut connection, &name, &tag, &mut holdings);
            holdings.insert(format!("{name}:{tag}"), digest);
        }
    }
    holdings
}

/// Takes note of a manifest and of everything below it; its digest.
fn manifest(connection: &mut Connection, name: &str, reference: &str, holdings: &mut Holdings) -> String {
    let response = get(connection, &format!("/v2/{name}/manifests/{reference}"));
    assert_eq!(response.status, 200, "{name} {reference}");
    let header = |name: &str| response.header(name).unwrap_or_default().to_owned();
    let (address, media_type) = (header("docker-content-digest"), header("content-type"));
    assert_eq!(digest(&response.body), address, "{name} {reference}");
    let known = holdings.insert(
        format!("{name}@{address}"),
        format!("{media_type} {} bytes", response.body.len()),
    );
    if known.is_some() {
        return address;
    }
    let document = json(&response);
    for child in document["manifests"].as_array().into_iter().flatten() {
        manifest(
            connection,
            name,
            child["digest"].as_str().unwrap_or_default(),
            holdings,
        );
    }
    let layers = document["layers"].as_array().into_iter().flatten();
    for blob in layers.chain(document.get("config")) {
        let address = blob["digest"].as_str().unwrap_or_default();
        let response = get(connection, &format!("/v2/{name}/blobs/{address}"));
        holdings.insert(
            format!("{name}@{address}"),
            format!("{} {}", response.status, digest(&response.body)),
        );
    }
    address
}

fn get(connection: &mut Connection, target: &str) -> Response {
    let headers = [("Accept", ACCEPT)];
    let request = Request {
        method: "GET",
        target,
        headers: &headers,
        body: Body::Empty,
    };
    connection.send(request).expect("the registry answers")
}

fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_default()
}

fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

/// Every file and folder below `root`: mode, owner, time of change, size, and what its bytes hash to or where it leads.
/// Not the number of names, which a hard link elsewhere changes.
#[must_use]
pub fn fingerprint(root: &Path) -> BTreeMap<String, String> {
    let mut prints = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let found = fs::symlink_metadata(&path).expect("a file of the tree can be looked at");
        let content = if found.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder of the tree can be read");
            open.extend(entries.map(|entry| entry.expect("an entry can be read").path()));
            String::new()
        } else if found.is_symlink() {
            fs::read_link(&path)
                .expect("a link can be read")
                .display()
                .to_string()
        } else {
            digest(&fs::read(&path).expect("a file of the tree can be read"))
        };
        let print = format!(
            "{:o} {}:{} {}.{:09} {} {} {content}",
            found.mode(),
            found.uid(),
            found.gid(),
            found.mtime(),
            found.mtime_nsec(),
            found.ino(),
            if found.is_dir() { 0 } else { found.len() },
        );
        prints.insert(path.display().to_string(), print);
    }
    prints
}
