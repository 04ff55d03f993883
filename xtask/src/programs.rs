//! The programs from outside that the tests use: found, or installed, or named as missing.
//!
//! Shape: a table of what is needed from Debian's packages, then the older registry, which is unpacked and not installed,
//! then three programs that are built from source at a fixed version.
//! Fails: with a sentence that names what is missing and how to get it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::House;
use crate::go;
use crate::outcome::{Failure, Outcome, Tally, check, words};
use crate::postgres;

const CONFORMANCE: &str = "github.com/opencontainers/distribution-spec/conformance";
const CONFORMANCE_VERSION: &str = "v0.0.0-20260831232431-97274622c111";
const HELM: &str = "helm.sh/helm/v3/cmd/helm";
const HELM_VERSION: &str = "v3.22.0";
const CARGO_DENY_VERSION: &str = "0.20.2";

/// What is looked for, and the Debian packages that have it; of several, the first that this release knows.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("dockerd", &["docker.io"]),
    ("docker", &["docker-cli", "docker.io"]),
    ("containerd", &["containerd"]),
    ("ctr", &["containerd"]),
    ("runc", &["runc"]),
    ("docker-compose", &["docker-compose"]),
    ("iptables", &["iptables"]),
    ("ip", &["iproute2"]),
    ("unshare", &["util-linux"]),
    ("nsenter", &["util-linux"]),
    ("setpriv", &["util-linux"]),
    ("update-ca-certificates", &["ca-certificates"]),
    ("nginx", &["nginx"]),
    ("openssl", &["openssl"]),
    ("pebble", &["pebble"]),
    ("pebble-challtestsrv", &["pebble"]),
    ("named", &["bind9"]),
    ("faketime", &["faketime"]),
    ("curl", &["curl"]),
    ("dpkg-deb", &["dpkg"]),
    ("systemd-analyze", &["systemd"]),
    ("setpriv", &["util-linux"]),
    ("script", &["bsdutils"]),
    ("podman", &["podman"]),
    ("skopeo", &["skopeo"]),
    ("buildah", &["buildah"]),
    ("htpasswd", &["apache2-utils"]),
    ("initdb", &["postgresql"]),
    ("mkfs.xfs", &["xfsprogs"]),
    ("mkfs.ext4", &["e2fsprogs"]),
    ("losetup", &["mount"]),
    ("mount", &["mount"]),
    ("umount", &["mount"]),
    ("timeout", &["coreutils"]),
    ("tar", &["tar"]),
    ("git", &["git"]),
    ("go", &["golang-go"]),
];

/// The registry that people come from: its package and its program.
const OLD_REGISTRY: &str = "docker-registry";

pub(crate) fn install(house: &House) -> Outcome {
    let all: Vec<_> = PROGRAMS.iter().map(|(name, _)| *name).collect();
    let mut tally = install_packages(&all)?;
    tally += unpack_old_registry(house)?;
    tally += install_conformance(house)?;
    tally += install_helm(house)?;
    tally += install_cargo_deny(house)?;
    Ok(tally)
}

/// Those of [`PROGRAMS`] that have these names.
pub(crate) fn install_packages(wanted: &[&str]) -> Outcome {
    let wanted = || PROGRAMS.iter().filter(|(name, _)| wanted.contains(name));
    let missing: Vec<_> = wanted().filter(|(name, _)| find(name).is_none()).collect();
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        if find("apt-get").is_none() {
            return Err(Failure::new(format!(
                "{names} missing, and there is no apt-get here: install them by hand"
            )));
        }
        if !fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
            return Err(Failure::new(format!(
                "{names} missing, and only root can install packages: run `cargo xtask setup` as root"
            )));
        }
        check(apt_get().arg("update"))?;
        let packages: Vec<_> = missing
            .iter()
            .map(|(_, packages)| known_package(packages))
            .collect();
        check(
            apt_get()
                .args(["install", "--yes", "--no-install-recommends"])
                .args(packages),
        )?;
    }
    for (name, packages) in wanted() {
        let path = find(name).ok_or_else(|| {
            Failure::new(format!(
                "{name} is missing, also after installing {}",
                packages[0]
            ))
        })?;
        println!("{name:<12} {}", path.display());
    }
    Ok(Tally::ONE)
}

/// The older registry, without its package: that brings a configuration in `/etc`, where a Landfall that somebody starts
/// on this machine would find it and take it for its own. Where it is installed already, that one serves.
pub(crate) fn unpack_old_registry(house: &House) -> Outcome {
    let program = old_registry(house);
    if program.is_file() {
        println!("{OLD_REGISTRY:<12} {}", program.display());
        return Ok(Tally::ONE);
    }
    let cannot = |what: &str, error: std::io::Error| Failure::new(format!("{what}: {error}"));
    let folder = house.root.join("target/tools").join(OLD_REGISTRY);
    fs::create_dir_all(&folder).map_err(|error| cannot("a folder for a package", error))?;
    let mut download = apt_get();
    download.args(["download", OLD_REGISTRY]).current_dir(&folder);
    if check(&mut download).is_err() {
        // The lists are missing or old: only root can renew them, and the failure says so.
        check(apt_get().arg("update"))?;
        check(&mut download)?;
    }
    let package = newest_package(&folder).map_err(|error| cannot("the downloaded package", error))?;
    check(
        Command::new("dpkg-deb")
            .arg("--extract")
            .arg(package)
            .arg(&folder),
    )?;
    fs::create_dir_all(house.tools()).map_err(|error| cannot("a folder for programs", error))?;
    fs::copy(folder.join("usr/bin").join(OLD_REGISTRY), &program)
        .map_err(|error| cannot("the unpacked program", error))?;
    println!("{OLD_REGISTRY:<12} {} (unpacked)", program.display());
    Ok(Tally::ONE)
}

/// Where the older registry's program is, or will be once it was unpacked.
pub(crate) fn old_registry(house: &House) -> PathBuf {
    find(OLD_REGISTRY).unwrap_or_else(|| house.tools().join(OLD_REGISTRY))
}

/// The package that was downloaded last into a folder.
fn newest_package(folder: &Path) -> std::io::Result<PathBuf> {
    let mut newest = None;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|end| end == "deb") {
            let found = (entry.metadata()?.modified()?, entry.path());
            newest = newest.max(Some(found));
        }
    }
    newest
        .map(|(_, path)| path)
        .ok_or_else(|| std::io::Error::other("apt-get left none"))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn known_package<'a>(packages: &[&'a str]) -> &'a str {
    let known = |package: &&&str| {
        words(Command::new("apt-cache").args(["show", "--no-all-versions", package]))
            .is_some_and(|text| !text.is_empty())
    };
    packages
        .iter()
        .find(known)
        .unwrap_or(&packages[packages.len() - 1])
}

/// A program in the path, or where programs for root are, which an ordinary path leaves out.
fn find(name: &str) -> Option<PathBuf> {
    if name == "initdb" {
        return postgres::programs().map(|folder| folder.join(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// The OCI conformance program, at the version whose verdict we give.
fn install_conformance(house: &House) -> Outcome {
    let program = house.tools().join("conformance");
    let module = format!("{CONFORMANCE}@{CONFORMANCE_VERSION}");
    let has_version = |text: String| text.contains(CONFORMANCE_VERSION);
    if !words(Command::new("go").args(["version", "-m"]).arg(&program)).is_some_and(has_version) {
        check(
            go::command()?
                .args(["install", &module])
                .env("GOBIN", house.tools()),
        )?;
    }
    println!("conformance  {} {CONFORMANCE_VERSION}", program.display());
    Ok(Tally::ONE)
}

/// What reads the chart as a cluster's owner would.
pub(crate) fn helm(house: &House) -> PathBuf {
    house.tools().join("helm")
}

/// Debian has no package of it, so it is built from its module, like the conformance program.
fn install_helm(house: &House) -> Outcome {
    let program = helm(house);
    let has_version = |text: String| text.contains(HELM_VERSION);
    if !words(Command::new("go").args(["version", "-m"]).arg(&program)).is_some_and(has_version) {
        check(
            go::command()?
                .args(["install", &format!("{HELM}@{HELM_VERSION}")])
                .env("GOBIN", house.tools()),
        )?;
    }
    println!("helm         {} {HELM_VERSION}", program.display());
    Ok(Tally::ONE)
}

fn install_cargo_deny(house: &House) -> Outcome {
    let program = house.tools().join("cargo-deny");
    let version = words(Command::new(&program).arg("--version")).unwrap_or_default();
    if version != format!("cargo-deny {CARGO_DENY_VERSION}") {
        let root = house.root.join("target/tools");
        let package = format!("cargo-deny@{CARGO_DENY_VERSION}");
        check(
            Command::new("cargo")
                .args(["install", "--quiet", "--locked", "--root"])
                .arg(root)
                .arg(package),
        )?;
    }
    println!("cargo-deny   {} {CARGO_DENY_VERSION}", program.display());
    Ok(Tally::ONE)
}
