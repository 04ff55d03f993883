//! DNS-01 through a command of the operator: `COMMAND present|cleanup NAME VALUE`.
//!
//! NAME is the record's full name (`_acme-challenge.registry.example.com`), VALUE the text that it has to hold. The command
//! ends once the record can be seen by everybody. Fails: exit code other than 0, or longer than `TIME`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::Error;

const TIME: Duration = Duration::from_mins(10);

/// A record that is set, and removed by `remove`.
pub(super) struct Record {
    command: std::path::PathBuf,
    name: String,
    value: String,
}

impl Record {
    pub(super) async fn set(command: &Path, host: &str, value: String) -> Result<Self, Error> {
        let record = Self {
            command: command.into(),
            name: format!("_acme-challenge.{host}"),
            value,
        };
        record.call("present").await?;
        Ok(record)
    }

    pub(super) async fn remove(self) {
        if let Err(error) = self.call("cleanup").await {
            tracing::warn!("{error}");
        }
    }

    async fn call(&self, what: &str) -> Result<(), Error> {
        let fail = |reason: String| Error::Hook {
            command: self.command.display().to_string(),
            reason,
        };
        let running = Command::new(&self.command)
            .args([what, &self.name, &self.value])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(TIME, running)
            .await
            .map_err(|_| fail(format!("{what} took longer than {} s", TIME.as_secs())))?
            .map_err(|error| fail(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said.trim().chars().take(500).collect();
        Err(fail(format!("{what} ended with {}: {said}", output.status)))
    }
}
