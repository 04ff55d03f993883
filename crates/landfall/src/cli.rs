//! The command line: its commands, flags and examples, in one definition.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A private container-image registry in one binary.
#[derive(Parser, Debug)]
#[command(
    name = "landfall",
    version,
    after_help = "\
Examples:
  landfall                                  serve on 127.0.0.1:5000, data in ./landfall-data
  landfall serve --listen :5000 config.yml  serve as a configuration file says, on every interface"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run the registry (the default)
    Serve(ServeArguments),
    /// Check and explain the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the version
    Version,
}

/// Where settings come from, beside the environment.
#[derive(Args, Debug, Default)]
pub(crate) struct ServeArguments {
    /// Configuration file, in the format of the CNCF registry
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The same, as a flag
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub(crate) config: Option<PathBuf>,
    /// Address to listen on, such as 127.0.0.1:5000 or :5000 (http.addr)
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Folder for everything that is stored (storage.filesystem.rootdirectory)
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<String>,
    /// A proxy whose X-Forwarded headers are believed: an address, a network, loopback or private (http.trusted_proxies)
    #[arg(long, value_name = "CIDR")]
    pub(crate) trust_proxy: Vec<String>,
}

/// What to do with the configuration.
#[derive(Subcommand, Debug)]
pub(crate) enum ConfigCommand {
    /// Say everything that is wrong with the configuration, without starting
    #[command(after_help = "\
Examples:
  landfall config check                     the configuration that `landfall serve` would use here
  landfall config check config.yml --json   a file, for a program")]
    Check(CheckArguments),
    /// Show settings: value, where it came from, default, meaning
    #[command(after_help = "\
Examples:
  landfall config explain                   every setting
  landfall config explain http.addr         one setting; a section such as `http` works too")]
    Explain(ExplainArguments),
    /// Print the reference of all settings as Markdown
    #[command(hide = true)]
    Reference,
}

/// Arguments of `config check`.
#[derive(Args, Debug)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) serve: ServeArguments,
    /// Answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `config explain`.
#[derive(Args, Debug)]
pub(crate) struct ExplainArguments {
    /// A key or a section
    #[arg(value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `landfall` alone serves, and so does `landfall FILE` or `landfall --data …`.
pub(crate) fn with_default_command(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let implied = match arguments.get(1).map(|first| first.to_string_lossy()) {
        None => true,
        Some(first) if is_file_name(&first) => true,
        Some(first) => first.starts_with("--") && !matches!(&*first, "--help" | "--version"),
    };
    if implied {
        arguments.insert(arguments.len().min(1), "serve".into());
    }
    arguments
}

/// An argument with a slash, or one that ends as YAML files do, is a file.
pub(crate) fn is_file_name(text: &str) -> bool {
    let extension = std::path::Path::new(text).extension().unwrap_or_default();
    text.contains('/') || extension == "yml" || extension == "yaml"
}

impl ServeArguments {
    /// The flags as the settings know them.
    pub(crate) fn flags(&self) -> Vec<config::Flag> {
        let one = |name: &'static str, value: &Option<String>| {
            value
                .iter()
                .map(move |value| config::Flag {
                    name,
                    value: value.clone(),
                })
                .collect::<Vec<_>>()
        };
        let mut flags = one("--listen", &self.listen);
        flags.extend(one("--data", &self.data));
        flags.extend(self.trust_proxy.iter().map(|value| config::Flag {
            name: "--trust-proxy",
            value: value.clone(),
        }));
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn implied(arguments: &[&str]) -> bool {
        let with = with_default_command(arguments.iter().map(OsString::from));
        with.get(1).is_some_and(|command| command == "serve") && with.len() > arguments.len()
    }

    #[test]
    fn serve_is_what_is_meant_where_no_command_stands() {
        assert!(implied(&["landfall"]));
        assert!(implied(&["landfall", "config.yml"]));
        assert!(implied(&["landfall", "/etc/docker/registry/config.yml"]));
        assert!(implied(&["landfall", "--data", "x"]));
        assert!(!implied(&["landfall", "serve"]));
        assert!(!implied(&["landfall", "config", "check"]));
        assert!(!implied(&["landfall", "--version"]));
    }
}
