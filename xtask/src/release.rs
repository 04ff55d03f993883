//! The program as it is given to people: static, without symbols, without the paths of the machine that built it.
//!
//! Shape: glibc, linked in. Its resolver reads `/etc/hosts` and DNS without loading anything, which is what an image needs;
//! the Debian package links to the system's libc instead, and follows its `nsswitch.conf`.
//! Fails: what the compiler says.

use std::fs;
use std::path::PathBuf;

use crate::House;
use crate::checks::cargo;
use crate::outcome::{Failure, Outcome, Tally, check};

/// How much the compiler tries.
#[derive(Clone, Copy)]
pub(crate) enum Effort {
    /// What the tests use: the profile `release`.
    Tested,
    /// What is published: the profile `dist`.
    Published,
}

impl Effort {
    fn profile(self) -> &'static str {
        match self {
            Self::Tested => "release",
            Self::Published => "dist",
        }
    }
}

fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Where the static program lies once it is built.
pub(crate) fn path(house: &House, effort: Effort) -> PathBuf {
    let folder = house.root.join("target").join(triple());
    folder.join(effort.profile()).join("landfall")
}

/// Builds the static program.
pub(crate) fn build(house: &House, effort: Effort) -> Outcome {
    // A target that is named keeps these flags from build scripts and macros, which cannot be static.
    let tally = check(
        cargo(house)
            .args(["build", "--locked", "--package", "landfall", "--profile"])
            .args([effort.profile(), "--target", &triple()])
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                flags(house, &["-Ctarget-feature=+crt-static"]),
            ),
    )?;
    say_size(&path(house, effort))?;
    Ok(tally)
}

/// Builds the program as a distribution's package wants it, and says where it lies.
pub(crate) fn build_for_package(house: &House) -> Result<PathBuf, Failure> {
    check(
        cargo(house)
            .args(["build", "--locked", "--package", "landfall", "--profile", "dist"])
            .env("CARGO_ENCODED_RUSTFLAGS", flags(house, &[])),
    )?;
    Ok(house.root.join("target/dist/landfall"))
}

fn flags(house: &House, more: &[&str]) -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".cargo"))
    });
    let mut flags = vec![
        "-Cstrip=symbols".to_owned(),
        format!("--remap-path-prefix={}=/landfall", house.root.display()),
    ];
    flags.extend(home.map(|home| format!("--remap-path-prefix={}=/cargo", home.display())));
    flags.extend(more.iter().map(|&flag| flag.to_owned()));
    flags.join("\u{1f}")
}

fn say_size(program: &std::path::Path) -> Outcome {
    let size = fs::metadata(program)
        .map_err(|error| Failure::new(format!("{} cannot be found: {error}", program.display())))?
        .len();
    println!("static program: {}, {} KiB", program.display(), size / 1024);
    Ok(Tally::ONE)
}
