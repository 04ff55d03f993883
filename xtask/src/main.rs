//! What developers run, and CI with them: `cargo xtask test`.
//!
//! Shape: `test` is a row of steps, each with its heading and its time; the first that fails ends the run. The last line says
//! `N passed, N failed`, counted over every test, check and journey that ran.
//! Fails: exit code 1, after a sentence that says what to do.

mod archive;
mod bench;
mod checks;
mod conformance;
mod go;
mod image;
mod memory;
mod outcome;
mod package;
mod postgres;
mod programs;
mod release;
mod suites;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand, ValueEnum};

use crate::outcome::{Failure, Outcome, Tally};
use crate::release::Effort;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What developers of Landfall run")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must hold before a change goes in; or only the steps named
    Test { steps: Vec<Step> },
    /// Install the outside programs that the tests use, and nothing else
    Setup,
    /// Peak memory of the server while 1 GiB blobs are pushed and pulled, four at a time
    Memory,
    /// Speed and cost of Landfall, of other registries and of the machine itself, as a table
    Bench(bench::Options),
    /// The server of the benchmark that only receives, hashes, writes and sends
    #[command(hide = true)]
    Bare(bench::BareOptions),
    /// The container image, as an archive for `docker load` in target/image
    Image,
    /// The Debian package, in target/package
    Deb,
}

/// The steps of `test`, in their order.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    Programs,
    Format,
    Lint,
    Licences,
    Unit,
    Docs,
    Release,
    Conformance,
    Journeys,
    Collection,
    Kill,
    PowerCut,
}

impl Step {
    fn heading(self) -> &'static str {
        match self {
            Self::Programs => "outside programs: found, or installed",
            Self::Format => "formatting",
            Self::Lint => "lints, none allowed to warn",
            Self::Licences => "licences, bans and sources of dependencies",
            Self::Unit => "unit and integration tests, catalog on SQLite and PostgreSQL",
            Self::Docs => "documentation builds without a warning",
            Self::Release => "the release program, static, its image and its package",
            Self::Conformance => "OCI conformance, twice",
            Self::Journeys => {
                "journeys with docker, containerd, podman, skopeo, buildah, compose and nginx, and on a full disk"
            }
            Self::Collection => "garbage collection: under load, on a full disk, by a clock that jumps",
            Self::Kill => "kill test: SIGKILL under load",
            Self::PowerCut => "power-cut test: the disk as it was in one moment",
        }
    }

    fn run(self, house: &House) -> Outcome {
        match self {
            Self::Programs => programs::install(house),
            Self::Format => checks::format(house),
            Self::Lint => checks::lint(house),
            Self::Licences => checks::licences(house),
            Self::Unit => suites::unit(house),
            Self::Docs => checks::docs(house),
            Self::Release => checks::release(house),
            Self::Conformance => conformance::run(house),
            Self::Journeys => suites::journeys(house),
            Self::Collection => suites::collection(house),
            Self::Kill => suites::kill(house),
            Self::PowerCut => suites::power_cut(house),
        }
    }
}

/// Names a program to test in place of the release binary.
const PROGRAM: &str = "LANDFALL_BIN";

/// Where things are.
struct House {
    root: PathBuf,
    /// How the program was compiled that is run.
    effort: Effort,
}

impl House {
    /// Programs that are built for the tests alone.
    fn tools(&self) -> PathBuf {
        self.root.join("target/tools/bin")
    }

    /// The program under test: what `LANDFALL_BIN` names (another build, say), else the static one.
    fn landfall(&self) -> PathBuf {
        let given = std::env::var_os(PROGRAM).and_then(|path| std::path::absolute(path).ok());
        given.unwrap_or_else(|| release::path(self, self.effort))
    }

    #[expect(clippy::unused_self, reason = "asked of the house, like the program itself")]
    fn is_given_a_program(&self) -> bool {
        std::env::var_os(PROGRAM).is_some()
    }
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
        .to_owned();
    let command = Arguments::parse().command;
    // What is measured is what people get.
    let effort = match command {
        Command::Bench(_) => Effort::Published,
        _ => Effort::Tested,
    };
    let house = House { root, effort };
    let done = match command {
        Command::Test { steps } => test(&house, &steps),
        Command::Setup => report(&Step::Programs.run(&house)),
        Command::Memory => report(&checks::release(&house).and_then(|_| memory::run(&house))),
        Command::Bench(options) => {
            report(&program_to_measure(&house).and_then(|_| bench::run(&house, &options)))
        }
        Command::Bare(options) => report(&bench::bare(&options)),
        Command::Image => report(&published_image(&house)),
        Command::Deb => {
            report(&release::build_for_package(&house).and_then(|program| package::debian(&house, &program)))
        }
    };
    if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The published program, unless another is given.
fn program_to_measure(house: &House) -> Outcome {
    if house.is_given_a_program() {
        return Ok(Tally::ONE);
    }
    release::build(house, house.effort)
}

fn published_image(house: &House) -> Outcome {
    release::build(house, Effort::Published)?;
    image::assemble(house, &release::path(house, Effort::Published), Effort::Published)
}

fn test(house: &House, chosen: &[Step]) -> bool {
    let steps: Vec<Step> = Step::value_variants()
        .iter()
        .copied()
        .filter(|step| chosen.is_empty() || chosen.contains(step))
        .collect();
    let mut sum = Tally::default();
    let mut problem = None;
    for (number, step) in steps.iter().enumerate() {
        println!("\n=== {}/{} {} ===", number + 1, steps.len(), step.heading());
        let began = Instant::now();
        let outcome = std::panic::catch_unwind(|| step.run(house))
            .unwrap_or_else(|_| Err(Failure::new("stopped by what is written above")));
        let seconds = began.elapsed().as_secs_f32();
        match outcome {
            Ok(tally) => {
                println!("--- {} passed in {seconds:.1} s", tally.passed);
                sum += tally;
            }
            Err(failure) => {
                println!("--- failed after {seconds:.1} s");
                sum += failure.tally;
                problem = Some(format!("{}: {}", step.heading(), failure.sentence));
                break;
            }
        }
    }
    if let Some(problem) = &problem {
        println!("\nerror: {problem}");
    }
    println!("\n{} passed, {} failed", sum.passed, sum.failed);
    problem.is_none()
}

fn report(outcome: &Outcome) -> bool {
    if let Err(failure) = outcome {
        println!("error: {}", failure.sentence);
    }
    outcome.is_ok()
}
