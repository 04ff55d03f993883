//! What commands print: results on standard output, talk on standard error.
//!
//! A reader that has enough (`landfall config print | head`) closes its end: that ends the command quietly.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::url_login::hidden_in;

/// A line of the result.
pub(crate) fn line(text: impl Display) {
    whole(&format!("{text}\n"));
}

/// The result, line ends included. No password of a URL is in it.
pub(crate) fn whole(text: &str) {
    let text = hidden_in(text);
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        if error.kind() != io::ErrorKind::BrokenPipe {
            eprintln!("error[LF-CLI-001]: the result cannot be written: {error}");
            std::process::exit(1);
        }
        std::process::exit(0);
    }
}

/// The result as one JSON document.
pub(crate) fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(text),
        Err(error) => eprintln!("error[LF-CLI-001]: the result cannot be written as JSON: {error}"),
    }
}

/// Whether people look at standard output, in colour: the rules of no-color.org and `CLICOLOR_FORCE`.
pub(crate) fn is_coloured() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("NO_COLOR") {
        return false;
    }
    let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    forced || !dumb && io::stdout().is_terminal()
}
