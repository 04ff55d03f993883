//! Password files made by Apache's `htpasswd`, as people make them.
//!
//! Fails: when the program is not installed (package apache2-utils).

use std::path::{Path, PathBuf};
use std::process::Command;

use super::server::{Builder, Landfall};

/// `htpasswd -nbB -C 4 user password`: bcrypt, at the lowest cost, so that stories do not wait for it.
pub(crate) fn bcrypt_line(user: &str, password: &str) -> String {
    htpasswd(&["-nbB", "-C", "4"], user, password)
}

/// A line of another kind of hash, by the flag of `htpasswd` that makes it (`-m` APR1, `-s` SHA-1, `-d` crypt, `-p` plain text).
pub(crate) fn line_of_kind(flag: &str, user: &str, password: &str) -> String {
    htpasswd(&["-nb", flag], user, password)
}

/// The line, without its line end.
fn htpasswd(flags: &[&str], user: &str, password: &str) -> String {
    let output = Command::new("htpasswd")
        .args(flags)
        .args([user, password])
        .output();
    let output = output.expect("the program htpasswd is installed (package apache2-utils)");
    assert!(
        output.status.success(),
        "htpasswd: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Builder {
    /// Logins by this password file.
    pub(crate) fn htpasswd(self, path: &Path) -> Self {
        let builder = self
            .env("REGISTRY_AUTH", "htpasswd")
            .env("REGISTRY_AUTH_HTPASSWD_REALM", "Registry Realm");
        builder.env("REGISTRY_AUTH_HTPASSWD_PATH", path)
    }
}

impl Landfall {
    /// A server whose password file, which is answered too, has this text.
    pub(crate) fn with_users(text: &str) -> (Self, PathBuf) {
        let builder = Self::builder();
        let path = builder.file("htpasswd", text);
        (builder.htpasswd(&path).start(), path)
    }
}
