//! Leave to do what cannot be taken back: the plan is shown first, then somebody says yes.
//!
//! Without a terminal and without `--yes` nobody can: exit 2, at once.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::Args;

use crate::failure::Failure;
use crate::output;

/// How leave is given.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Consent {
    /// Do it without asking
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Show the plan, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl Consent {
    /// Shows the plan and asks. False where nothing is to be done.
    pub(crate) fn asked(self, plan: &str, question: &str) -> Result<bool, Failure> {
        if self.dry_run {
            output::whole(plan);
            return Ok(false);
        }
        // Who said yes beforehand reads the result alone.
        if self.yes {
            return Ok(true);
        }
        eprint!("{plan}");
        if !io::stdin().is_terminal() {
            return Err(Failure::usage(
                "there is no terminal to ask on; nothing was changed\n  fix   --yes to do it, --dry-run to look only",
            ));
        }
        eprint!("{question} [y/N] ");
        io::stderr().flush().ok();
        let mut answer = String::new();
        io::stdin()
            .lock()
            .read_line(&mut answer)
            .map_err(|error| Failure::failed("LF-CLI-007", format!("the answer cannot be read: {error}")))?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(true);
        }
        eprintln!("nothing was changed");
        Ok(false)
    }
}
