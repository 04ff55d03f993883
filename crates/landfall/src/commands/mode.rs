//! `landfall mode`: whether the registry takes writes, and the orders to refuse them and to take them again.

use clap::{Args, ValueEnum};
use server::api::{Mode, ModeRequest};

use crate::admin::{Target, print_json};
use crate::failure::Failure;
use crate::output;

/// Arguments of `mode`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall mode                             what holds now
  landfall mode read-only --reason 'moving to new disks until 14:00'")]
pub(crate) struct ModeArguments {
    /// What is to hold; only shown, if absent
    #[arg(value_enum, value_name = "MODE")]
    mode: Option<Wanted>,
    /// Why: clients are told
    #[arg(long, value_name = "TEXT", requires = "mode")]
    reason: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Whether writes are taken.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Wanted {
    /// Pushes and deletes are refused; pulls work
    ReadOnly,
    /// Everything works
    ReadWrite,
}

/// Shows it, or sets it.
pub(crate) fn run(arguments: &ModeArguments) -> Result<(), Failure> {
    let api = arguments.target.open()?;
    let mode: Mode = match arguments.mode {
        None => api.get("/api/v1/mode")?,
        Some(wanted) => api.post(
            "/api/v1/mode",
            &ModeRequest {
                read_only: wanted == Wanted::ReadOnly,
                reason: arguments.reason.clone(),
            },
        )?,
    };
    if arguments.target.json {
        print_json(mode);
        return Ok(());
    }
    let by = mode.set_by.as_deref().unwrap_or_default();
    match (mode.read_only, mode.by_setting, &mode.reason) {
        (false, ..) => output::line("read-write"),
        (true, true, _) => output::line("read-only, by the setting storage.maintenance.readonly"),
        (true, false, Some(reason)) => output::line(format!("read-only, by {by}: {reason}")),
        (true, false, None) => output::line(format!("read-only, by {by}")),
    }
    Ok(())
}
