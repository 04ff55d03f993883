//! The pages of `docs/`, as the tests read them: what a reader writes into files, types, and types at a prompt.
//!
//! Shape: a comment before a block says what becomes of it. `<!-- file: NAME -->` makes that file; `<!-- run -->` types the
//! lines that start with `$ `, in the page's order, in one folder; `<!-- run, typing: TEXT -->` does so on a terminal, and types
//! the text wherever a password is asked for; `<!-- run until it listens -->` starts a server, and presses Ctrl-C once it
//! listens. No other console block may stand in a page.
//! Fails: by panic, naming the page.

use std::fs;
use std::path::{Path, PathBuf};

/// A block that means something to the runner.
#[derive(Debug, PartialEq, Eq)]
pub enum Block {
    /// A file with this name and text.
    File(String, String),
    /// Lines for the shell.
    Run(Vec<String>),
    /// Lines for the shell on a terminal, and what is typed at each prompt.
    Typing(String, Vec<String>),
    /// Lines that each start a server.
    Listening(Vec<String>),
}

/// The text of a page below `docs/`.
#[must_use]
pub fn page(name: &str) -> String {
    let path = folder().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every page in English, by the name that [`page`] takes.
#[must_use]
pub fn all() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("docs can be read");
    let names = entries.map(|entry| entry.expect("an entry can be read").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| Path::new(name).extension().is_some_and(|end| end == "md"));
    names.sort();
    names
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// The blocks of a page, in its order.
#[must_use]
pub fn blocks(name: &str) -> Vec<Block> {
    let page = page(name);
    let mut blocks = Vec::new();
    let mut marker = "";
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let comment = marker.trim_start_matches("<!-- ").trim_end_matches(" -->");
            // What stands behind ` # ` is for the reader, in the reader's language.
            let typed = || {
                let typed = body.iter().filter_map(|line| line.strip_prefix("$ "));
                typed
                    .map(|line| line.split("  # ").next().unwrap_or(line).trim().to_owned())
                    .collect()
            };
            if let Some(name) = comment.strip_prefix("file: ") {
                blocks.push(Block::File(name.to_owned(), body.join("\n") + "\n"));
            } else if let Some(text) = comment.strip_prefix("run, typing: ") {
                blocks.push(Block::Typing(text.to_owned(), typed()));
            } else if comment == "run until it listens" {
                blocks.push(Block::Listening(typed()));
            } else if comment == "run" {
                blocks.push(Block::Run(typed()));
            } else {
                assert_ne!(language, "console", "{name}: nobody runs {body:?}");
            }
            marker = "";
        } else if !line.is_empty() {
            marker = if line.starts_with("<!-- ") { line } else { "" };
        }
    }
    blocks
}
