//! Where a password comes from: a prompt, standard input, a file. Never an argument, which others could read.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

use access::UserName;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

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
    // What is typed as soon as the question is there must not be shown either, so the echo ends before it.
    let _silence = Silence::begin();
    rpassword::prompt_password(prompt)
        .map_err(|error| Failure::failed("LF-AUTH-013", format!("the password cannot be read: {error}")))
}

/// While it lives the terminal shows nothing that is typed.
struct Silence {
    terminal: File,
    before: Termios,
}

impl Silence {
    /// None where there is no terminal to silence; then the question fails by itself.
    fn begin() -> Option<Self> {
        let terminal = File::options().read(true).write(true).open("/dev/tty").ok()?;
        let before = tcgetattr(&terminal).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Now, &silent).ok()?;
        Some(Self { terminal, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// The first line of a file.
pub(crate) fn password_from_file(path: &Path) -> Result<String, Failure> {
    File::open(path).and_then(first_line).map_err(|error| {
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
