//! The Debian package: the program, its unit, its configuration, its manual.
//!
//! Shape: a folder laid out as the package installs it, then `dpkg-deb`, which makes the same bytes of the same folder and
//! `SOURCE_DATE_EPOCH`. Fails: a program that does not run here, or a missing `dpkg-deb`.
//! Source: Debian Policy, chapters 3 to 7 and 10; deb-control(5), deb-conffiles(5).

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::House;
use crate::image::epoch;
use crate::outcome::{Failure, Outcome, check, words};

/// What is installed as it lies in the repository.
const FILES: &[(&str, &str)] = &[
    (
        "packaging/systemd/landfall.service",
        "usr/lib/systemd/system/landfall.service",
    ),
    (
        "packaging/systemd/landfall.socket",
        "usr/lib/systemd/system/landfall.socket",
    ),
    (
        "packaging/systemd/landfall.sysusers",
        "usr/lib/sysusers.d/landfall.conf",
    ),
    ("packaging/debian/landfall.yaml", "etc/landfall/landfall.yaml"),
    ("packaging/debian/copyright", "usr/share/doc/landfall/copyright"),
];
const SCRIPTS: &[&str] = &["postinst", "prerm", "postrm"];

/// Where the finished package lies.
pub(crate) fn path(house: &House) -> PathBuf {
    let machine = words(Command::new("dpkg").arg("--print-architecture")).unwrap_or_default();
    let name = format!("landfall_{}_{machine}.deb", env!("CARGO_PKG_VERSION"));
    house.root.join("target/package").join(name)
}

/// Makes the package of this program.
pub(crate) fn debian(house: &House, program: &Path) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let machine = words(Command::new("dpkg").arg("--print-architecture")).ok_or_else(|| {
        Failure::new("dpkg is missing: a Debian package can be made on a Debian-like machine")
    })?;
    let folder = house.root.join("target/package/root");
    let describe = |error: io::Error| Failure::new(format!("{}: {error}", folder.display()));
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(describe)?;
    }
    lay_out(house, program, &folder).map_err(describe)?;
    describe_itself(house, program, &folder)?;
    let control = control(version, &machine, program)?;
    put(&folder.join("DEBIAN/control"), control.as_bytes(), 0o644).map_err(describe)?;
    put(
        &folder.join("DEBIAN/conffiles"),
        b"/etc/landfall/landfall.yaml\n",
        0o644,
    )
    .map_err(describe)?;
    let package = path(house);
    check(
        Command::new("dpkg-deb")
            .args(["--build", "--root-owner-group"])
            .arg(&folder)
            .arg(&package)
            .env("SOURCE_DATE_EPOCH", epoch(house)?.to_string()),
    )
}

fn lay_out(house: &House, program: &Path, folder: &Path) -> io::Result<()> {
    put(&folder.join("usr/bin/landfall"), &fs::read(program)?, 0o755)?;
    for (from, to) in FILES {
        put(&folder.join(to), &fs::read(house.root.join(from))?, 0o644)?;
    }
    for name in SCRIPTS {
        let from = house.root.join("packaging/debian").join(name);
        put(&folder.join("DEBIAN").join(name), &fs::read(from)?, 0o755)?;
    }
    Ok(())
}

/// Completions and manual pages come out of the program itself.
fn describe_itself(house: &House, program: &Path, folder: &Path) -> Result<(), Failure> {
    let shells = [
        ("bash", "usr/share/bash-completion/completions/landfall"),
        ("zsh", "usr/share/zsh/vendor-completions/_landfall"),
        ("fish", "usr/share/fish/vendor_completions.d/landfall.fish"),
    ];
    let refuse = |what: &str| Failure::new(format!("{} could not write {what}", program.display()));
    for (shell, to) in shells {
        let mut command = Command::new(program);
        command.current_dir(&house.root).args(["completions", shell]);
        let text = words(&mut command).ok_or_else(|| refuse(&format!("completions for {shell}")))?;
        put(&folder.join(to), format!("{text}\n").as_bytes(), 0o644).map_err(|_| refuse(to))?;
    }
    let pages = folder.join("usr/share/man/man1");
    fs::create_dir_all(&pages).map_err(|_| refuse("its manual"))?;
    words(Command::new(program).arg("man").arg(&pages)).ok_or_else(|| refuse("its manual"))?;
    for page in listing(&pages).map_err(|_| refuse("its manual"))? {
        check(Command::new("gzip").args(["-9", "--no-name"]).arg(page))?;
    }
    Ok(())
}

fn listing(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn control(version: &str, machine: &str, program: &Path) -> Result<String, Failure> {
    let depends = match libc_version(program)? {
        Some(libc) => format!("Depends: libc6 (>= {libc})\n"),
        None => String::new(),
    };
    Ok(format!(
        "Package: landfall\n\
         Version: {version}\n\
         Architecture: {machine}\n\
         Maintainer: The Landfall authors <landfall@localhost>\n\
         Section: net\n\
         Priority: optional\n\
         {depends}\
         Recommends: ca-certificates\n\
         Description: private container-image registry\n \
         One program that takes the place of the registry container: same\n \
         configuration, same password file, same clients. What it acknowledges\n \
         is on the disk, also after a power cut.\n"
    ))
}

/// The newest version of glibc whose symbols a program names; none for a static one.
fn libc_version(program: &Path) -> Result<Option<String>, Failure> {
    const MARK: &[u8] = b"\0GLIBC_";
    let bytes = fs::read(program).map_err(|error| Failure::new(format!("{}: {error}", program.display())))?;
    let needs_it = bytes.windows(10).any(|window| window == b"libc.so.6\0");
    let version = |at: usize| -> Option<(u32, u32)> {
        let text: String = bytes[at..]
            .iter()
            .take_while(|byte| **byte != 0)
            .map(|byte| char::from(*byte))
            .collect();
        let mut numbers = text.split('.').map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    let newest = bytes
        .windows(MARK.len())
        .enumerate()
        .filter(|(_, window)| *window == MARK)
        .filter_map(|(at, _)| version(at + MARK.len()))
        .max();
    Ok(newest
        .filter(|_| needs_it)
        .map(|(major, minor)| format!("{major}.{minor}")))
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
