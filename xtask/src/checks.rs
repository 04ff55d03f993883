//! The checks that cargo and its companions make.

use std::process::Command;

use crate::House;
use crate::image;
use crate::outcome::{Outcome, check};
use crate::package;
use crate::release::{self, Effort};

/// `cargo` at the root of the workspace.
pub(crate) fn cargo(house: &House) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(&house.root);
    command
}

pub(crate) fn format(house: &House) -> Outcome {
    check(cargo(house).args(["fmt", "--all", "--check"]))
}

pub(crate) fn lint(house: &House) -> Outcome {
    let clippy = [
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ];
    check(cargo(house).args(clippy))
}

pub(crate) fn docs(house: &House) -> Outcome {
    let doc = [
        "doc",
        "--locked",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ];
    check(cargo(house).args(doc).env("RUSTDOCFLAGS", "--deny warnings"))
}

/// The program under test, and the image and the package of it.
pub(crate) fn release(house: &House) -> Outcome {
    if !house.is_given_a_program() {
        release::build(house, Effort::Tested)?;
    }
    println!("under test: {}", house.landfall().display());
    let mut tally = image::assemble(house, &house.landfall(), Effort::Tested)?;
    tally += package::debian(house, &house.landfall())?;
    Ok(tally)
}

/// Licences, bans and sources need nothing but the lock file. Advisories need their database, which comes from the network:
/// where it can neither be fetched nor found, that check does not happen, and the output says so.
pub(crate) fn licences(house: &House) -> Outcome {
    let deny = || {
        let mut command = Command::new(house.tools().join("cargo-deny"));
        command.current_dir(&house.root).arg("--locked");
        command
    };
    let mut tally = check(deny().args(["check", "bans", "licenses", "sources"]))?;
    let fetched = deny()
        .args(["fetch", "db"])
        .output()
        .is_ok_and(|output| output.status.success());
    if fetched {
        tally += check(deny().args(["check", "--disable-fetch", "advisories"]))?;
    } else {
        println!(
            "NOT CHECKED: security advisories; their database (github.com/RustSec/advisory-db) cannot be reached from here"
        );
    }
    Ok(tally)
}
