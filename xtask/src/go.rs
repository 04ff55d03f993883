//! A Go that is new enough for the conformance program, also where the distribution's is not.
//!
//! Go's own toolchains are modules (`golang.org/toolchain`), checked against Go's checksum database like any other; an older
//! Go cannot switch to one by itself, but it can download one.
//! Fails: with a sentence, when there is no Go, or no way to fetch a newer one.
//! Source: "Go Toolchains", go.dev/doc/toolchain.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::outcome::{Failure, check, words};

/// From 1.21 on, Go fetches the toolchain that a module asks for.
const MINOR_MIN: u32 = 21;
const TOOLCHAIN: &str = "golang.org/toolchain@v0.0.1-go1.26.8";

/// A `go` to build with.
pub(crate) fn command() -> Result<Command, Failure> {
    let version = words(Command::new("go").arg("version")).unwrap_or_default();
    if minor(&version).is_some_and(|minor| minor >= MINOR_MIN) {
        return Ok(Command::new("go"));
    }
    println!("{version} is too old; fetching a newer one");
    let platform = words(Command::new("go").args(["env", "GOOS", "GOARCH"]))
        .unwrap_or_default()
        .replace('\n', "-");
    let module = format!("{TOOLCHAIN}.{platform}");
    check(
        Command::new("go")
            .args(["mod", "download", &module])
            .current_dir("/"),
    )?;
    let cache = words(Command::new("go").args(["env", "GOMODCACHE"])).unwrap_or_default();
    let root = PathBuf::from(cache).join(&module);
    make_runnable(&root)
        .map_err(|error| Failure::new(format!("{} cannot be made runnable: {error}", root.display())))?;
    let mut command = Command::new(root.join("bin/go"));
    command.env_remove("GOROOT");
    Ok(command)
}

/// `go version go1.26.8 linux/amd64`
fn minor(version: &str) -> Option<u32> {
    let rest = version.split_once("go1.")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Modules hold no executables, so these files come without the right to be run.
fn make_runnable(root: &Path) -> std::io::Result<()> {
    let tools = fs::read_dir(root.join("pkg/tool"))?.collect::<Result<Vec<_>, _>>()?;
    for folder in tools.iter().map(fs::DirEntry::path).chain([root.join("bin")]) {
        for entry in fs::read_dir(folder)? {
            fs::set_permissions(entry?.path(), fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::minor;

    #[test]
    fn the_version_of_go_is_read() {
        assert_eq!(minor("go version go1.26.8 linux/amd64"), Some(26));
        assert_eq!(minor("go version go1.19 linux/arm64"), Some(19));
        assert_eq!(minor(""), None);
    }
}
