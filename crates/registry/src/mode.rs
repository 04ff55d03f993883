//! Read-only, by a command while the server runs: kept in the catalog, so every server on it sees it, and a restart too.
//!
//! The setting `storage.maintenance.readonly` holds as well: writes are taken where neither forbids them.
//! Units: Unix milliseconds.

use catalog::{Policy, PolicyKind};
use serde::{Deserialize, Serialize};

use crate::{Error, Registry};

/// The one row's name.
const NAME: &str = "mode";

/// Whether writes are taken, and who said so.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Mode {
    /// Whether they are refused.
    pub read_only: bool,
    /// Whether the setting alone refuses them already.
    pub by_setting: bool,
    /// Whether somebody refuses them by command.
    pub by_command: bool,
    /// Why, if they said.
    pub reason: Option<String>,
    /// Who gave the last command.
    pub set_by: Option<String>,
    /// When.
    pub set_at: Option<i64>,
}

/// The row's body.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(crate) struct ModeBody {
    pub(crate) read_only: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Registry {
    /// Whether writes are taken.
    #[must_use]
    pub fn mode(&self) -> Mode {
        let by_setting = self.inner.policies.written().read_only;
        let policies = self.inner.policies.in_force();
        let mut mode = Mode {
            read_only: by_setting,
            by_setting,
            ..Mode::default()
        };
        if let Some((body, row)) = &policies.mode {
            mode.read_only |= body.read_only;
            mode.by_command = body.read_only;
            mode.reason.clone_from(&body.reason);
            mode.set_by = Some(row.set_by.clone());
            mode.set_at = Some(row.set_at);
        }
        mode
    }

    /// Refuses writes from now on, or takes them again; for all servers on this catalog, over restarts.
    pub async fn set_mode(&self, read_only: bool, reason: Option<&str>, by: &str) -> Result<Mode, Error> {
        let body = ModeBody {
            read_only,
            reason: reason.map(str::to_owned),
        };
        let policy = Policy {
            kind: PolicyKind::Mode,
            name: NAME.to_owned(),
            body: serde_json::to_string(&body).unwrap_or_default(),
            set_at: self.now(),
            set_by: by.to_owned(),
        };
        // Also on a full disk: it is how writes are taken again.
        self.write_even_when_full(move |tx| catalog::set_policy(tx, &policy))
            .await?;
        self.read_policies().await?;
        tracing::info!(read_only, reason, by, "the mode was set");
        Ok(self.mode())
    }

    /// Why a write is refused.
    #[must_use]
    pub fn read_only(&self) -> Error {
        let mode = self.mode();
        let (true, Some(by)) = (mode.by_command, mode.set_by) else {
            return Error::ReadOnly;
        };
        let why = match mode.reason {
            Some(reason) => format!("{reason} ({by})"),
            None => format!("{by} made it so"),
        };
        let both = if mode.by_setting {
            ", and storage.maintenance.readonly.enabled must be false in the configuration too"
        } else {
            ""
        };
        Error::ReadOnlyMode {
            reason: format!("{why}; pulls work; `landfall mode read-write` takes writes again{both}"),
        }
    }
}
