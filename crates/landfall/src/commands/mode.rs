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
    let causes = causes(&mode);
    if causes.is_empty() {
        output::line("read-write");
    }
    for (cause, _) in causes {
        output::line(format!("read-only, {cause}"));
    }
    Ok(())
}

/// Who refuses writes, and how that ends; nobody while they are taken.
pub(super) fn causes(mode: &Mode) -> Vec<(String, &'static str)> {
    let mut causes = Vec::new();
    if mode.by_setting {
        causes.push((
            "by the setting storage.maintenance.readonly.enabled".to_owned(),
            "storage.maintenance.readonly.enabled: false in the configuration, then SIGHUP or a new start",
        ));
    }
    if mode.by_command {
        let by = mode.set_by.as_deref().unwrap_or_default();
        let why = mode
            .reason
            .as_ref()
            .map_or(String::new(), |reason| format!(": {reason}"));
        causes.push((format!("by {by}{why}"), "landfall mode read-write"));
    }
    causes
}
