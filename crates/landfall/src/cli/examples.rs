//! Every example in the help is a command line that the program takes.

use clap::{Command, CommandFactory as _, Parser as _};

use super::{Cli, with_default_command};

/// The words of an example, as a shell makes them; what it says about it stands behind two spaces.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut is_quoted, mut spaces) = (Vec::new(), String::new(), false, 0);
    for c in line.trim().chars() {
        match c {
            '\'' => is_quoted = !is_quoted,
            '|' | '<' | '>' if !is_quoted => break,
            ' ' if !is_quoted => {
                spaces += 1;
                if spaces > 1 {
                    break;
                }
                all.push(std::mem::take(&mut word));
                continue;
            }
            c => word.push(c),
        }
        spaces = 0;
    }
    all.push(word);
    all.retain(|word| !word.is_empty());
    all
}

fn examples(command: &Command, found: &mut Vec<String>) {
    if let Some(help) = command.get_after_help() {
        let text = help.to_string();
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("landfall"));
        found.extend(lines.map(str::to_owned));
    }
    for inner in command.get_subcommands() {
        examples(inner, found);
    }
}

#[test]
fn each_is_a_command_line() {
    let mut found = Vec::new();
    examples(&Cli::command(), &mut found);
    assert!(found.len() > 120, "{} examples", found.len());
    for line in found {
        let arguments = with_default_command(words(&line).into_iter().map(Into::into));
        if let Err(error) = Cli::try_parse_from(arguments) {
            panic!("{line}\n{error}");
        }
    }
}
