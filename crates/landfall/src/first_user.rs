//! The first user of a server that has a name: made once, with a password that only its owner can read.
//!
//! Shape: `<data>/landfall/htpasswd` with one user, and `<data>/landfall/first-login` (0600) with the name and the password.
//! The password goes to that file and nowhere else, and the file goes when the user has logged in. Fails: a folder that cannot be written, a name that is none.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use access::{Draft, NewPassword, UserName};
use config::{Auth, Settings};

use crate::failure::{Failure, with_causes};

/// Without letters that look alike.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789-";
const LENGTH: usize = 20;
/// In the data folder, beside the password file.
const FILE: &str = "first-login";

/// Makes the user if the data folder's own password file is the one that counts and is not there yet. Blocks.
pub(crate) fn make(settings: &Settings, name: &str) -> Result<Option<PathBuf>, Failure> {
    let (Auth::Htpasswd { path, .. }, Some(own)) = (&settings.auth, settings.storage.password_file()) else {
        return Ok(None);
    };
    if *path != own || own.exists() {
        return Ok(None);
    }
    let refuse = |error: io::Error| {
        Failure::failed(
            "LF-AUTH-030",
            format!("the first user cannot be made: {}: {error}", own.display()),
        )
    };
    let user = UserName::parse(name).map_err(|error| Failure::usage(format!("--bootstrap-user: {error}")))?;
    let folder = own.parent().unwrap_or(Path::new("."));
    if let Some(root) = folder.parent() {
        std::fs::create_dir_all(root).map_err(refuse)?;
    }
    if !folder.exists() {
        DirBuilder::new().mode(0o700).create(folder).map_err(refuse)?;
    }
    let text = password().map_err(|error| Failure::failed("LF-AUTH-030", error))?;
    let password =
        NewPassword::parse(&text, &user, false).map_err(|error| Failure::failed(error.code(), error))?;
    let hash = password
        .hash(NewPassword::COST_DEFAULT)
        .map_err(|error| Failure::failed("LF-AUTH-030", with_causes(&error)))?;
    // The password first: a crash in between makes it anew, and never leaves a user whom nobody knows.
    let login = folder.join(FILE);
    write_private(&login, format!("user {name}\npassword {text}\n").as_bytes()).map_err(refuse)?;
    let refuse = |error: access::WriteError| Failure::failed(error.code(), with_causes(&error));
    let mut draft = Draft::open(&own).map_err(refuse)?;
    draft.set(&user, &hash);
    draft.save().map_err(refuse)?;
    Ok(Some(login))
}

/// The user whose first login is still to come, and the file that tells the password: it goes once it was used. Blocks.
pub(crate) fn waiting(settings: &Settings) -> Option<(String, PathBuf)> {
    let own = settings.storage.password_file()?;
    if !matches!(&settings.auth, Auth::Htpasswd { path, .. } if *path == own) {
        return None;
    }
    let path = own.with_file_name(FILE);
    let text = std::fs::read_to_string(&path).ok()?;
    let user = text.lines().find_map(|line| line.strip_prefix("user "))?;
    Some((user.to_owned(), path))
}

/// Who has logged in knows the password, and nobody else has to find it.
pub(crate) fn used(path: &Path) {
    match std::fs::remove_file(path) {
        Ok(()) => tracing::info!("the first user has logged in: {} was removed", path.display()),
        Err(error) => tracing::warn!(
            "the first user has logged in, and {} cannot be removed: {error}; delete it by hand",
            path.display()
        ),
    }
}

/// Five random bits a letter: 100 in all.
fn password() -> Result<String, getrandom::Error> {
    let mut random = [0_u8; LENGTH];
    getrandom::fill(&mut random)?;
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
    Ok(random.iter().map(letter).collect())
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
