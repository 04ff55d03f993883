//! What a page tells its reader to type.
//!
//! Shape: `<!-- file: NAME -->` before a block makes that file. `<!-- run -->` before a console block types its commands,
//! those that start with `$ `, and what they go on with after a line that ends in `\`. `<!-- serve: WORDS -->` does the same,
//! but the last command is a server, which goes on while the page is read, and says WORDS when it is ready.
//! `<!-- run, typing: TEXT -->` types them on a terminal, and the text wherever a password is asked for; `<!-- run until it
//! listens -->` starts servers, and presses Ctrl-C once each listens. A console block that cannot be run says why:
//! `<!-- not run: REASON -->`. No other console block may stand in a page.
//! Fails: by panic, for a console block without a mark.

use std::fs;
use std::path::{Path, PathBuf};

/// A block that means something to who follows the page.
#[derive(Debug, PartialEq, Eq)]
pub enum Block {
    /// A file's name and text.
    File(String, String),
    /// Commands to type.
    Run(Vec<String>),
    /// Commands to type, and a server.
    Serve {
        /// What comes before it.
        first: Vec<String>,
        /// What starts it.
        server: String,
        /// What it says when it is ready.
        ready: String,
    },
    /// Commands for a terminal, and what is typed at each prompt.
    Typing(String, Vec<String>),
    /// Commands that each start a server.
    Listening(Vec<String>),
    /// Commands that cannot be typed here.
    NotRun(Vec<String>),
}

/// A page by its path in this repository.
#[must_use]
pub fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every page of `docs/` in English, by its name there.
#[must_use]
pub fn all() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let entries = fs::read_dir(folder).expect("docs can be read");
    let names = entries.map(|entry| entry.expect("an entry can be read").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| Path::new(name).extension().is_some_and(|end| end == "md"));
    names.sort();
    names
}

/// The blocks of a page that are marked.
#[must_use]
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut mark = "";
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let mark = std::mem::take(&mut mark);
            let mark = mark.trim_start_matches("<!-- ").trim_end_matches(" -->");
            if let Some(name) = mark.strip_prefix("file: ") {
                blocks.push(Block::File(name.to_owned(), body.join("\n") + "\n"));
            } else if let Some(ready) = mark.strip_prefix("serve: ") {
                let mut first = commands(&body);
                let server = first.pop().expect("a block that serves has a command");
                let ready = ready.to_owned();
                blocks.push(Block::Serve { first, server, ready });
            } else if let Some(text) = mark.strip_prefix("run, typing: ") {
                blocks.push(Block::Typing(text.to_owned(), commands(&body)));
            } else if mark == "run until it listens" {
                blocks.push(Block::Listening(commands(&body)));
            } else if mark == "run" {
                blocks.push(Block::Run(commands(&body)));
            } else if mark.starts_with("not run: ") {
                blocks.push(Block::NotRun(commands(&body)));
            } else {
                assert_ne!(language, "console", "neither run nor explained: {body:?}");
            }
        } else if !line.is_empty() {
            mark = if line.starts_with("<!-- ") { line } else { "" };
        }
    }
    blocks
}

/// What is typed in a console block; what the machine says back is left out.
fn commands(body: &[&str]) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in body {
        if goes_on {
            if let Some(command) = commands.last_mut() {
                command.push('\n');
                command.push_str(line);
            }
        } else if let Some(line) = line.strip_prefix("$ ") {
            // What stands behind ` # ` is for the reader, in the reader's language.
            commands.push(line.split("  # ").next().unwrap_or(line).trim().to_owned());
        } else {
            continue;
        }
        goes_on = line.ends_with('\\');
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_its_reader_reads_it() {
        let page = "\
Text.

<!-- file: a.txt -->
```text
one
two
```

<!-- run -->
```console
$ first     # for the reader
said
$ second \\
    goes on
said too
```

<!-- serve: ready -->
```console
$ before
$ server
```

<!-- not run: too long -->
```console
$ never
```

```text
no command
```
";
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            blocks(page),
            [
                Block::File("a.txt".into(), "one\ntwo\n".into()),
                Block::Run(words(&["first", "second \\\n    goes on"])),
                Block::Serve {
                    first: words(&["before"]),
                    server: "server".into(),
                    ready: "ready".into()
                },
                Block::NotRun(words(&["never"])),
            ]
        );
    }
}
