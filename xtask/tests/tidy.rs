//! The structure stays visible: every file says what it is, files can be read in one go, crates import downwards only.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, in lines: long enough for a table, short enough to read in one go.
const LINES_MAX: usize = 450;

/// Which crates of ours each crate may import: what ARCHITECTURE.md draws.
const EDGES: [(&str, &[&str]); 10] = [
    ("oci", &[]),
    ("store", &["oci"]),
    ("catalog", &["oci"]),
    ("access", &["oci"]),
    ("config", &[]),
    ("tls", &[]),
    ("registry", &["oci", "store", "catalog", "access"]),
    ("server", &["oci", "access", "registry", "tls"]),
    (
        "landfall",
        &[
            "oci", "store", "catalog", "access", "config", "registry", "server", "tls",
        ],
    ),
    ("fuzz", &["oci", "access", "server"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["crates", "xtask", "e2e", "fuzz"] {
        rust_files(&root().join(folder), &mut found);
    }
    assert!(found.len() > 100, "the files were not found");
    found
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in all_rust_files() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("//!"),
            "{} does not open with what it is for",
            path.display()
        );
    }
}

#[test]
fn files_can_be_read_in_one_go() {
    for path in all_rust_files() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(
            lines <= LINES_MAX,
            "{} has {lines} lines: split it by meaning",
            path.display()
        );
    }
}

#[test]
fn crates_import_downwards_only() {
    for (name, allowed) in EDGES {
        let folder = root().join(if name == "fuzz" {
            "fuzz".into()
        } else {
            format!("crates/{name}")
        });
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let after = manifest.split("[dependencies]").nth(1).unwrap();
        let dependencies = after.split("\n[").next().unwrap();
        for (ours, _) in EDGES {
            let imports = dependencies
                .lines()
                .any(|line| line.split(['.', ' ', '=']).next() == Some(ours));
            assert!(
                !imports || allowed.contains(&ours),
                "{name} must not import {ours}"
            );
        }
    }
}
