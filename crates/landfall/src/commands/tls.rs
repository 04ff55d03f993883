//! `landfall tls`: which certificate there is, how clients learn to trust it, and a renewal at once.
//!
//! Reads the data folder, beside a running server or without one. Exit codes: 1 something cannot be read, 5 there is no
//! local CA or no certificate.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use config::{Listen, Settings, Tls};
use oci::counted;
use serde::Serialize;
use tls::acme::Acme;
use tls::trust::{Client, steps};
use tls::{Facts, Name};

use crate::arguments::whole;
use crate::cli::{Configured, ServeArguments};
use crate::failure::Failure;
use crate::https::{self, Plan};
use crate::output;

/// What to do with certificates.
#[derive(Subcommand, Debug)]
pub(crate) enum TlsCommand {
    /// Show the certificate: names, issuer, until when
    #[command(after_help = "\
Examples:
  landfall tls status --data /var/lib/registry      of the server with this data folder
  landfall tls status --config config.yml --json    of a configuration, for a program")]
    Status(StatusArguments),
    /// Ask the certificate authority for a new certificate now
    #[command(after_help = "\
Examples:
  landfall tls renew registry.example.com           the running server asks within a second; its log says how it went
  landfall tls renew --config config.yml")]
    Renew(StatusArguments),
    /// Print how a client learns to trust the local CA, to be pasted there
    #[command(after_help = "\
Examples:
  landfall tls trust --print docker                 for Docker Engine
  landfall tls trust nas.lan --print podman         of the server with this name
  landfall tls trust nas.lan --print system | sh    for this machine")]
    Trust(TrustArguments),
}

/// Which server is meant.
#[derive(Args, Debug)]
pub(crate) struct StatusArguments {
    /// The names that `landfall serve` was given, if neither a configuration nor the data folder says them
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    configured: Configured,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `tls trust`.
#[derive(Args, Debug)]
pub(crate) struct TrustArguments {
    #[command(flatten)]
    server: StatusArguments,
    /// The client
    #[arg(long, value_enum, value_name = "CLIENT")]
    print: For,
    /// The port that clients use, if not the one that the server listens on
    #[arg(long, value_name = "PORT", value_parser = whole::<u16>(1..=u16::MAX.into()))]
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum For {
    /// Docker Engine
    Docker,
    /// podman, skopeo, buildah
    Podman,
    /// containerd and nerdctl
    Containerd,
    /// K3s and RKE2
    K3s,
    /// The machine's own list of authorities
    System,
}

#[derive(Serialize)]
struct Status {
    schema: &'static str,
    /// `files`, `acme` or `local`.
    source: &'static str,
    #[serde(flatten)]
    facts: Facts,
    /// Of the local CA, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_fingerprint: Option<String>,
}

#[derive(Serialize)]
struct Asked {
    schema: &'static str,
    asked: bool,
}

#[derive(Serialize)]
struct Trust {
    schema: &'static str,
    names: Vec<String>,
    steps: String,
    ca: String,
}

/// Runs one of them.
pub(crate) fn run(command: &TlsCommand) -> Result<(), Failure> {
    match command {
        TlsCommand::Status(arguments) => status(arguments),
        TlsCommand::Renew(arguments) => renew(arguments),
        TlsCommand::Trust(arguments) => trust(arguments),
    }
}

/// The server's settings and what they mean for certificates.
fn server(arguments: &StatusArguments) -> Result<(Settings, Tls, Plan), Failure> {
    let serve = ServeArguments {
        names: arguments.names.clone(),
        ..arguments.configured.serve()
    };
    let settings = https::with_names_in_use(serve, super::config::settings)?.settings;
    let tls = settings.tls.clone().ok_or_else(|| {
        Failure::missing(
            "LF-TLS-040",
            "this configuration has no TLS, and no server with a name has run on this data folder\n  fix   name its folder with --data, its configuration with --config, or its name: landfall tls status registry.example.com",
        )
    })?;
    let plan = Plan::of(&tls, &data(&settings)?)?;
    Ok((settings, tls, plan))
}

fn data(settings: &Settings) -> Result<PathBuf, Failure> {
    https::data_folder(settings)
        .ok_or_else(|| Failure::missing("LF-TLS-040", "a store in memory keeps no certificates"))
}

fn status(arguments: &StatusArguments) -> Result<(), Failure> {
    let (_, _, plan) = server(arguments)?;
    let none = || {
        Failure::missing(
            "LF-TLS-041",
            "there is no certificate yet: `landfall serve NAME` makes the first one",
        )
    };
    let now = https::now();
    let refuse = |error: tls::Error| https::refuse(&error);
    let ca = plan
        .local
        .as_ref()
        .and_then(|local| local.kept().transpose())
        .transpose()
        .map_err(refuse)?;
    let (source, facts) = if let Some(files) = &plan.files {
        ("files", files.load(now).map_err(refuse)?.facts)
    } else if let Some(pair) = plan
        .acme
        .as_ref()
        .and_then(|acme| acme.kept(now).transpose())
        .transpose()
        .map_err(refuse)?
    {
        ("acme", pair.facts)
    } else {
        ("local", ca.as_ref().ok_or_else(none)?.pair.facts.clone())
    };
    let status = Status {
        schema: "landfall.tls.status/1",
        source,
        facts,
        ca_fingerprint: ca.map(|ca| ca.fingerprint),
    };
    if arguments.json {
        output::json(&status);
        return Ok(());
    }
    let days = (status.facts.not_after - now).div_euclid(86_400);
    output::line(format_args!("names        {}", status.facts.names.join(", ")));
    output::line(format_args!("from         {source} ({})", status.facts.issuer));
    output::line(format_args!(
        "valid until  {} ({})",
        day(status.facts.not_after),
        counted(days, "day")
    ));
    output::line(format_args!("sha256       {}", status.facts.fingerprint));
    if let Some(fingerprint) = &status.ca_fingerprint {
        output::line(format_args!("local CA     sha256 {fingerprint}"));
    }
    Ok(())
}

fn day(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

fn renew(arguments: &StatusArguments) -> Result<(), Failure> {
    let (_, _, plan) = server(arguments)?;
    let acme = plan.acme.ok_or_else(|| {
        Failure::missing(
            "LF-TLS-042",
            "no certificate authority is asked here: files are read again by themselves when they change, and the local CA renews by itself",
        )
    })?;
    let marker = Acme::renew_marker(&acme.folder);
    let refuse =
        |error: std::io::Error| Failure::failed("LF-TLS-001", format!("{}: {error}", marker.display()));
    std::fs::create_dir_all(&acme.folder).map_err(refuse)?;
    std::fs::write(&marker, b"").map_err(refuse)?;
    if arguments.json {
        output::json(&Asked {
            schema: "landfall.tls.renew/1",
            asked: true,
        });
    } else {
        output::line("asked: the running server orders a certificate now, and its log says how it went");
    }
    Ok(())
}

fn trust(arguments: &TrustArguments) -> Result<(), Failure> {
    let (settings, _, plan) = server(&arguments.server)?;
    let local = plan.local.as_ref().ok_or_else(|| {
        Failure::missing(
            "LF-TLS-043",
            "there is no local CA: the certificate comes from files, and clients trust who signed it",
        )
    })?;
    let kept = local.kept().map_err(|error| https::refuse(&error))?;
    let kept = kept.ok_or_else(|| {
        Failure::missing(
            "LF-TLS-043",
            "there is no local CA yet: `landfall serve NAME` makes it; give the same --data or --config here",
        )
    })?;
    let port = arguments.port.unwrap_or(match &settings.http.listen {
        Listen::Tcp(address) => address.port,
        Listen::Unix(_) => 443,
    });
    let client = match arguments.print {
        For::Docker => Client::Docker,
        For::Podman => Client::Podman,
        For::Containerd => Client::Containerd,
        For::K3s => Client::K3s,
        For::System => Client::System,
    };
    // Where an authority signs for the public names, only the others need the local CA; while it signs for none, all do.
    let local_names = plan.local_names();
    let names: &[Name] = if local_names.is_empty() {
        &plan.names
    } else {
        &local_names
    };
    let text = steps(client, names, port, &kept.ca);
    if arguments.server.json {
        output::json(&Trust {
            schema: "landfall.tls.trust/1",
            names: names.iter().map(ToString::to_string).collect(),
            steps: text,
            ca: kept.ca,
        });
    } else {
        output::whole(&format!(
            "# the local CA of this server, sha256 {}\n{text}",
            kept.fingerprint
        ));
    }
    Ok(())
}
