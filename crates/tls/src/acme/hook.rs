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

pub(super) async fn call(command: &Path, what: &str, name: &str, value: &str) -> Result<(), Error> {
    let fail = |reason: String| Error::Hook {
        command: command.display().to_string(),
        reason,
    };
    let running = Command::new(command)
        .args([what, name, value])
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
