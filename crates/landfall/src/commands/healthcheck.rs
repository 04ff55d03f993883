//! `landfall healthcheck`: exit 0 if the server is ready, 1 if not. For container images that have no other program.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::cli::Configured;
use crate::client::Server;
use crate::failure::Failure;
use crate::output;

/// Longest wait for the answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Arguments of `healthcheck`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall healthcheck                                 the server that is configured here
  landfall healthcheck --url http://127.0.0.1:5000     a server at this address")]
pub(crate) struct HealthcheckArguments {
    /// Where the server is, if not at the configured address
    #[arg(long, value_name = "URL")]
    url: Option<Server>,
    #[command(flatten)]
    configured: Configured,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Health {
    schema: &'static str,
    ready: bool,
    server: String,
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Asks `/readyz`.
pub(crate) fn run(arguments: &HealthcheckArguments) -> Result<(), Failure> {
    let server = if let Some(url) = &arguments.url {
        url.clone()
    } else {
        let settings = super::config::settings(&arguments.configured.serve())?.settings;
        Server::of(&settings).without_path()
    };
    let mut answer = server.ask("GET", "/readyz", &[], b"", LIMIT);
    if answer.is_err() && arguments.url.is_none() {
        answer = Server::with_a_name()
            .ask("GET", "/readyz", &[], b"", LIMIT)
            .or(answer);
    }
    let (status, failure) = match &answer {
        Ok(answer) if answer.status == 200 => (Some(200), None),
        Ok(answer) => (
            Some(answer.status),
            Some(format!("{server} is not ready: it answers {}", answer.status)),
        ),
        Err(error) => (None, Some(error.to_string())),
    };
    if arguments.json {
        output::json(&Health {
            schema: "landfall.healthcheck/1",
            ready: failure.is_none(),
            server: server.to_string(),
            status,
            error: failure.clone(),
        });
    } else if failure.is_none() {
        output::line("ready");
    }
    match failure {
        None => Ok(()),
        Some(text) => Err(Failure::failed("LF-SRV-003", text)),
    }
}
