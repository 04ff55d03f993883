//! What `landfall retention` takes.

use clap::{Args, Subcommand};
use oci::RepositoryName;
use server::api::Untagged;

use crate::admin::{Consent, Target};
use crate::arguments::whole;
use crate::commands::policies::seconds;

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum RetentionCommand {
    /// The rules, when they are applied next, and how that went
    #[command(after_help = "\
Examples:
  landfall retention list
  landfall retention list --json --server https://registry.example.com --user admin")]
    List(ListArguments),
    /// One rule, whole
    #[command(after_help = "\
Examples:
  landfall retention show pr-images
  landfall retention show pr-images --json")]
    Show(NameArguments),
    /// Make a rule, or replace the one of that name whole
    #[command(after_help = "\
Examples:
  landfall retention set team/app --tags 'pr-*' --keep-pulled 30d
  landfall retention set 'team/**' --name releases --keep-last 10 --keep-matching 'semver:>=1.2' --untagged 14d")]
    Set(SetArguments),
    /// Remove a rule that was made by command or API
    #[command(after_help = "\
Examples:
  landfall retention rm pr-images
  landfall retention rm pr-images --json")]
    Rm(NameArguments),
    /// What would go now, and why each other tag stays; nothing is changed
    #[command(after_help = "\
Examples:
  landfall retention dry-run team/app
  landfall retention dry-run --json | jq .totals")]
    DryRun(WhereArguments),
    /// Apply the rules now; what goes can be restored until the undo window ends
    #[command(after_help = "\
Examples:
  landfall retention run team/app           shows what would go, and asks
  landfall retention run --yes              everywhere, without asking")]
    Run(RunArguments),
    /// What runs did, newest first
    #[command(after_help = "\
Examples:
  landfall retention history
  landfall retention history --json")]
    History(ListArguments),
}

/// Arguments of `retention list` and `history`.
#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(super) target: Target,
}

/// Arguments of `retention show` and `rm`.
#[derive(Args, Debug)]
pub(crate) struct NameArguments {
    /// What the rule is called
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) target: Target,
}

/// Arguments of `retention dry-run`.
#[derive(Args, Debug)]
pub(crate) struct WhereArguments {
    /// Only this repository
    #[arg(value_name = "REPO")]
    pub(super) repository: Option<RepositoryName>,
    #[command(flatten)]
    pub(super) target: Target,
}

/// Arguments of `retention run`.
#[derive(Args, Debug)]
pub(crate) struct RunArguments {
    /// Only this repository
    #[arg(value_name = "REPO")]
    pub(super) repository: Option<RepositoryName>,
    #[command(flatten)]
    pub(super) consent: Consent,
    #[command(flatten)]
    pub(super) target: Target,
}

/// Arguments of `retention set`.
#[derive(Args, Debug)]
pub(crate) struct SetArguments {
    /// The repositories that the rule is about: a name or a glob
    #[arg(value_name = "MATCH")]
    pub(super) repositories: String,
    /// What to call it; made of MATCH, if absent
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// The tags that it is about: globs; all tags, if absent
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    pub(super) tags: Vec<String>,
    /// So many tags stay, those that were set last
    #[arg(long, value_name = "N", value_parser = whole::<u32>(0..=u32::MAX.into()))]
    pub(super) keep_last: Option<u32>,
    /// Tags that were set within this time stay
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(super) keep_newer: Option<u64>,
    /// Tags that match stay: a glob, regex:… or semver:…
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    pub(super) keep_matching: Vec<String>,
    /// Tags that were pulled or set within this time stay
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(super) keep_pulled: Option<u64>,
    /// Manifests that nothing holds: keep, or the time after which they go
    #[arg(long, value_name = "keep|TIME", value_parser = untagged)]
    pub(super) untagged: Option<Untagged>,
    #[command(flatten)]
    pub(super) target: Target,
}

fn untagged(text: &str) -> Result<Untagged, String> {
    match text {
        "keep" => Ok(Untagged::Keep),
        _ => seconds(text).map(Untagged::OlderSeconds),
    }
}
