//! Landfall against itself: the same work in two circumstances of one run, and their ratio, which no machine's speed changes.
//!
//! Units: each comparison says its own; less is better. Shape: the server is `hasty` (`e2e/hasty`), whose windows are
//! nothing here and whose collector rests until it is told to go on; the median of the rounds is reported.
//! Fails: with what the server refuses.

mod garbage;
mod live;
mod pages;

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use e2e::hasty::Door;

use super::Bench;
use super::figures::number;
use super::server::Server;
use super::stock;
use crate::House;
use crate::checks::cargo;
use crate::outcome::{Outcome, Tally, check};

/// One figure in two circumstances.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) name: &'static str,
    pub(crate) heading: &'static str,
    pub(crate) unit: &'static str,
    /// What is ordinary, and what is hoped to be like it.
    pub(crate) sides: [(String, f64); 2],
    /// The ratio must not be above this, where somebody said so.
    pub(crate) goal: Option<f64>,
}

impl Comparison {
    pub(crate) fn ratio(&self) -> f64 {
        let [(_, ordinary), (_, other)] = &self.sides;
        other / ordinary
    }

    /// As it stands in the table.
    pub(crate) fn block(&self) -> String {
        let heading = format!("{} [{}]", self.heading, self.name);
        let mut text = format!("{heading:<66} {:>9}\n", self.unit);
        for (side, value) in &self.sides {
            let _ = writeln!(text, "  {side:<64} {:>9}", number(*value));
        }
        let goal = self
            .goal
            .map(|goal| format!(" (at most {} is the goal)", number(goal)))
            .unwrap_or_default();
        let _ = writeln!(text, "  -> {:.2} times{goal}", self.ratio());
        text
    }
}

/// As `--only` names them.
pub(crate) const NAMES: [&str; 3] = ["gc-live", "gc-cost", "tag-page"];

/// Those of these names.
pub(crate) fn run(bench: &Bench<'_>, names: &[&'static str]) -> io::Result<Vec<Comparison>> {
    let mut done = Vec::new();
    let mut say = |comparison: Comparison| {
        println!("{}", comparison.block());
        done.push(comparison);
    };
    if names.contains(&"gc-live") {
        say(live::compare(bench)?);
    }
    let of_sizes = ["gc-cost", "tag-page"].map(|name| names.contains(&name));
    if of_sizes.contains(&true) {
        let servers = of_both_sizes(bench)?;
        if of_sizes[0] {
            say(garbage::compare(bench, &servers)?);
        }
        if of_sizes[1] {
            say(pages::compare(bench, &servers)?);
        }
    }
    Ok(done)
}

/// A server, and how many tagged manifests it has.
type Sized = (Server, u64);

const SMALL: u64 = 1_000;
const LARGE: u64 = 1_000_000;
const LARGE_QUICK: u64 = 20_000;

/// Catalogs of two sizes, each with the one image that cases pull, and copies of its manifest.
fn of_both_sizes(bench: &Bench<'_>) -> io::Result<[Sized; 2]> {
    let large = if bench.is_quick { LARGE_QUICK } else { LARGE };
    Ok([filled(bench, SMALL)?, filled(bench, large)?])
}

fn filled(bench: &Bench<'_>, manifests: u64) -> io::Result<Sized> {
    let server = start(bench)?;
    stock::image(&server)?;
    let folder = server.end()?;
    let mut fill = Command::new(program(bench.house));
    fill.arg("fill").arg("--data").arg(folder.path().join("data"));
    let done = fill.args(["--manifests", &manifests.to_string()]).status()?;
    if !done.success() {
        return Err(io::Error::other("the catalog cannot be filled"));
    }
    let server = Server::start_hasty(&program(bench.house), folder)?;
    order(&server, "pause")?;
    Ok((server, manifests))
}

/// A server whose collector rests.
fn start(bench: &Bench<'_>) -> io::Result<Server> {
    let folder = bench.folder(super::product::Product::Landfall)?;
    let server = Server::start_hasty(&program(bench.house), folder)?;
    order(&server, "pause")?;
    Ok(server)
}

fn order(server: &Server, order: &str) -> io::Result<String> {
    let answer = Door::of(&server.data()).and_then(|mut door| door.ask(order));
    let answer = answer.map_err(|trouble| io::Error::other(format!("{order}: {trouble:?}")))?;
    if answer.starts_with("error") {
        return Err(io::Error::other(format!("{order}: {answer}")));
    }
    Ok(answer)
}

/// What `HASTY_BIN` names, else the program that [`build`] makes.
fn program(house: &House) -> PathBuf {
    std::env::var_os("HASTY_BIN").map_or_else(|| house.root.join("target/release/hasty"), PathBuf::from)
}

/// Builds the server, unless one is given.
pub(crate) fn build(house: &House) -> Outcome {
    if std::env::var_os("HASTY_BIN").is_some() {
        return Ok(Tally::ONE);
    }
    check(cargo(house).args(["build", "--locked", "--release", "--package", "hasty"]))
}

fn median(mut values: Vec<f64>) -> io::Result<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.get(values.len() / 2).copied();
    middle.ok_or_else(|| io::Error::other("there was no round"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_says_both_figures_and_their_ratio() {
        let comparison = Comparison {
            name: "gc-live",
            heading: "p99 of pulls",
            unit: "ms",
            sides: [("at rest".to_owned(), 2.0), ("collecting".to_owned(), 2.5)],
            goal: Some(1.5),
        };
        let text = comparison.block();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("p99 of pulls [gc-live]") && lines[0].ends_with("ms"));
        assert!(lines[1].contains("at rest") && lines[1].ends_with("2.00"));
        assert_eq!(lines[3], "  -> 1.25 times (at most 1.50 is the goal)");
    }
}
