//! Where a password comes from: a prompt, standard input, a file. Never an argument, which others could read.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

use access::UserName;

use super::user::SetArguments;
use crate::failure::Failure;

pub(super) fn password(arguments: &SetArguments, user: &UserName) -> Result<String, Failure> {
    if let Some(path) = &arguments.password_file {
        return password_from_file(path);
    }
    let stdin = io::stdin();
    if arguments.password_stdin {
        return password_from_stdin();
    }
    if !stdin.is_terminal() {
        return Err(Failure::usage(
            "there is no terminal to ask for the password\n  fix   --password-stdin, --password-file PATH, or run it with a terminal (docker exec -it)",
        ));
    }
    let first = ask(&format!("Password for {}: ", user.as_str()))?;
    if ask("The same again: ")? == first {
        Ok(first)
    } else {
        Err(Failure::failed(
            "LF-AUTH-014",
            "the two passwords differ; nothing was changed",
        ))
    }
}

/// Asks on the terminal, without showing what is typed.
pub(crate) fn ask(prompt: &str) -> Result<String, Failure> {
    rpassword::prompt_password(prompt)
        .map_err(|error| Failure::failed("LF-AUTH-013", format!("the password cannot be read: {error}")))
}

/// The first line of a file.
pub(crate) fn password_from_file(path: &Path) -> Result<String, Failure> {
    std::fs::File::open(path).and_then(first_line).map_err(|error| {
        Failure::failed(
            "LF-AUTH-013",
            format!("the password cannot be read from {}: {error}", path.display()),
        )
    })
}

/// The first line of standard input.
pub(crate) fn password_from_stdin() -> Result<String, Failure> {
    first_line(io::stdin())
        .map_err(|error| Failure::failed("LF-AUTH-013", format!("the password cannot be read: {error}")))
}

/// More than any password has, so that a mistaken file is not read whole.
const SOURCE_BYTES_MAX: u64 = 4096;

/// Without its line end.
fn first_line(source: impl io::Read) -> io::Result<String> {
    let mut text = String::new();
    source.take(SOURCE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
