//! `hasty`: the parts of `landfall serve` with windows of seconds, and a collector that never rests.
//!
//! The settings of Landfall do not allow such windows, because no client is that fast for sure; the journeys and the
//! benchmark that must see garbage go cannot wait for hours. Left out: configuration, logins, TLS.
//! Shape: `hasty serve --listen ADDRESS --data FOLDER` serves until SIGTERM, and takes orders at its door (`door.rs`).
//! `hasty check --data FOLDER` holds the rows of a stopped one against its files (`check.rs`), exit code 7 if they differ.
//! `hasty fill --data FOLDER --manifests N` makes a catalog large (`fill.rs`).
//! Units: `HASTY_LEASE_MS`, `HASTY_UNDO_MS`, `HASTY_GRACE_MS` and `HASTY_ORPHAN_MS` are milliseconds.
//! Fails: with exit code 1 and a sentence.

mod check;
mod door;
mod fill;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

/// What went wrong, for the person who runs the test.
pub(crate) type Trouble = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let done = run(&Arguments(std::env::args().skip(1).collect()));
    done.unwrap_or_else(|trouble| {
        eprintln!("hasty: {trouble}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, Trouble> {
    let data = PathBuf::from(arguments.value("--data")?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(32)
        .build()?;
    match arguments.0.first().map(String::as_str) {
        Some("serve") => {
            let listen = arguments.value("--listen")?.parse()?;
            runtime.block_on(serve::serve(&data, listen))?;
            Ok(ExitCode::SUCCESS)
        }
        Some("check") => {
            let report = runtime.block_on(check::of(&data))?;
            println!("{report}");
            Ok(ExitCode::from(if report.is_clean() { 0 } else { 7 }))
        }
        Some("fill") => {
            fill::manifests(&data, arguments.value("--manifests")?.parse()?)?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("say `serve`, `check` or `fill`".into()),
    }
}

struct Arguments(Vec<String>);

impl Arguments {
    /// What follows the name.
    fn value(&self, name: &str) -> Result<&str, Trouble> {
        let at = self.0.iter().position(|argument| argument == name);
        let value = at.and_then(|at| self.0.get(at + 1));
        value
            .map(String::as_str)
            .ok_or_else(|| format!("{name} is missing").into())
    }
}
