//! `cargo xtask bench`: Landfall, the registries that people come from, and what the machine allows, measured alike in one run.
//!
//! Units: each case says its own. Shape: a case is prepared on every server, warmed up, and measured in rounds that go from
//! server to server, so that a disturbance of the machine meets all of them; the median is reported. Servers run side by side
//! and are idle when it is not their turn. One client of ours drives them all; what it takes is not counted.
//! Fails: with a sentence, if Landfall cannot do a case. A peer that cannot is named in the table.

mod bare;
mod case;
mod compare;
mod content;
mod context;
mod drive;
mod figures;
mod head;
mod json;
mod limits;
mod picture;
mod product;
mod result;
mod seed;
mod server;
mod stock;
mod table;
mod task;
mod tls;
mod usage;
mod wire;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use self::case::Case;
pub(crate) use self::context::Bench;
use self::figures::Figure;
use self::product::{Mode, Product};
use self::result::{Outcome, Run};
use self::server::Server;
use crate::House;
use crate::outcome::{Failure, Tally, check, words};
use crate::programs;

/// How a run is asked for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these cases
    #[arg(long, value_delimiter = ',', value_name = "CASE")]
    only: Vec<String>,
    /// Only these servers
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    servers: Vec<Product>,
    /// One round, smaller: to see that all is well, not to quote
    #[arg(long)]
    quick: bool,
    /// How many manifests the catalog holds for `start-full` [default: 200000, quick: 20000]
    #[arg(long, value_name = "N")]
    manifests: Option<u64>,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the figures as SVG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

/// What `xtask bare` is told.
#[derive(clap::Args)]
pub(crate) struct BareOptions {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    root: PathBuf,
}

const DISTRIBUTION: &str = "github.com/distribution/distribution/v3/cmd/registry";
const DISTRIBUTION_VERSION: &str = "v3.1.2";

/// The bare server, in a process of its own.
pub(crate) fn bare(options: &BareOptions) -> crate::outcome::Outcome {
    let served = bare::serve(options.listen, &options.root);
    served.map_err(|error| Failure::new(format!("the bare server ended: {error}")))?;
    Ok(Tally::ONE)
}

/// All of it.
pub(crate) fn run(house: &House, options: &Options) -> crate::outcome::Outcome {
    let cannot = |error: io::Error| Failure::new(format!("the benchmark stopped: {error}"));
    let began = Instant::now();
    let (cases, comparisons) = chosen(&options.only)?;
    if !comparisons.is_empty() {
        compare::build(house)?;
    }
    let (products, missing) = if cases.is_empty() {
        (Vec::new(), Vec::new())
    } else {
        present(house, &options.servers)?
    };
    let bench = Bench::new(house, options).map_err(cannot)?;
    let machine = limits::measure(&bench.workshop(), bench.large_bytes()).map_err(cannot)?;
    let mut run = Run {
        notes: missing,
        machine,
        outcomes: Vec::new(),
        comparisons: Vec::new(),
    };
    println!("{}", table::of(&run));
    let mut servers = BTreeMap::new();
    for case in &cases {
        let outcome = measure(&bench, case, &products, &mut servers);
        println!("{}", table::block(&outcome));
        run.outcomes.push(outcome);
    }
    drop(servers);
    run.comparisons = compare::run(&bench, &comparisons).map_err(cannot)?;
    fs::remove_dir_all(bench.workshop()).map_err(cannot)?;
    run.notes.extend(bench.notes(house, began));
    println!("\n{}", table::of(&run));
    write(options, &run).map_err(cannot)?;
    verdict(&run)
}

/// The cases, and the comparisons of Landfall with itself.
fn chosen(only: &[String]) -> Result<(Vec<Case>, Vec<&'static str>), Failure> {
    let cases = case::all();
    let names: Vec<&str> = cases.iter().map(|case| case.name).chain(compare::NAMES).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(Failure::new(format!(
            "there is no case {unknown}; there are {}",
            names.join(", ")
        )));
    }
    let is_wanted = |wanted: &str| only.is_empty() || only.iter().any(|name| name == wanted);
    let comparisons = compare::NAMES.into_iter().filter(|name| is_wanted(name));
    let comparisons = comparisons.collect();
    let cases = cases.into_iter().filter(|case| is_wanted(case.name));
    Ok((cases.collect(), comparisons))
}

/// The servers that can take part, and why others cannot.
fn present(house: &House, wanted: &[Product]) -> Result<(Vec<Product>, Vec<String>), Failure> {
    programs::install_packages(&["nginx", "openssl", "htpasswd", "go"])?;
    programs::unpack_old_registry(house)?;
    let mut missing = vec!["without zot: it cannot be built as a Go module".to_owned()];
    let is_wanted = |product: Product| wanted.is_empty() || wanted.contains(&product);
    let mut products = Vec::new();
    for product in <Product as clap::ValueEnum>::value_variants() {
        if !is_wanted(*product) {
            continue;
        }
        if *product == Product::Distribution3
            && let Err(failure) = install_distribution(house)
        {
            missing.push(format!("without distribution 3: {}", failure.sentence));
            continue;
        }
        products.push(*product);
    }
    Ok((products, missing))
}

fn install_distribution(house: &House) -> crate::outcome::Outcome {
    let program = house.tools().join("registry");
    let has_version = |text: String| text.contains(DISTRIBUTION_VERSION);
    if words(Command::new("go").args(["version", "-m"]).arg(&program)).is_some_and(has_version) {
        return Ok(Tally::ONE);
    }
    check(
        crate::go::command()?
            .arg("install")
            .arg(format!("{DISTRIBUTION}@{DISTRIBUTION_VERSION}"))
            .env("GOBIN", house.tools()),
    )
}

type Servers = BTreeMap<(Product, Mode), Server>;

fn measure(bench: &Bench<'_>, case: &Case, products: &[Product], kept: &mut Servers) -> Outcome {
    let mut outcome = Outcome::of(case);
    let mut fresh = Servers::new();
    let servers = if case.is_fresh { &mut fresh } else { kept };
    let mut running = Vec::new();
    for &product in products.iter().filter(|product| case.task.suits(**product)) {
        let Some(mode) = product.mode(case.mode) else {
            continue;
        };
        let ready = start(bench, product, mode, servers).and_then(|()| {
            let server = servers.get(&(product, mode)).ok_or(io::ErrorKind::NotFound)?;
            case.task.prepare(bench, server)?;
            case.task.round(bench, server, 0).map(|_| ())
        });
        match ready {
            Ok(()) => running.push((product, mode, Vec::new())),
            Err(error) => outcome.failures.push((product, error.to_string())),
        }
    }
    for number in 1..=bench.rounds() {
        running.retain_mut(|(product, mode, rounds)| {
            let Some(server) = servers.get(&(*product, *mode)) else {
                return false;
            };
            match case.task.round(bench, server, number) {
                Ok(spent) => rounds.push(spent),
                Err(error) => outcome.failures.push((*product, error.to_string())),
            }
            rounds.len() as u64 == number
        });
    }
    for (product, _, rounds) in running {
        outcome
            .figures
            .extend(Figure::of(case.unit, &rounds).map(|figure| (product, figure)));
    }
    outcome
}

fn start(bench: &Bench<'_>, product: Product, mode: Mode, servers: &mut Servers) -> io::Result<()> {
    if let std::collections::btree_map::Entry::Vacant(place) = servers.entry((product, mode)) {
        place.insert(Server::start(bench, product, mode)?);
    }
    Ok(())
}

fn write(options: &Options, run: &Run) -> io::Result<()> {
    if let Some(path) = &options.json {
        fs::write(path, format!("{:#}\n", json::of(run)))?;
    }
    if let Some(path) = &options.picture {
        fs::write(path, picture::of(run))?;
    }
    Ok(())
}

/// A case that Landfall cannot do is a failure.
fn verdict(run: &Run) -> crate::outcome::Outcome {
    let failed = run.outcomes.iter().find_map(|outcome| {
        let (_, why) = outcome
            .failures
            .iter()
            .find(|(product, _)| *product == Product::Landfall)?;
        Some(format!("landfall, {}: {why}", outcome.name))
    });
    failed.map_or(Ok(Tally::ONE), |sentence| Err(Failure::new(sentence)))
}
