//! The command line: its commands, flags and examples, in one definition.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::adopt::AdoptArguments;
use crate::commands::backup::BackupArguments;
use crate::commands::check::StoreCheckArguments;
use crate::commands::completions::CompletionsArguments;
use crate::commands::doctor::DoctorArguments;
use crate::commands::du::DuArguments;
use crate::commands::export::ExportArguments;
use crate::commands::garbage_collect::GarbageCollectArguments;
use crate::commands::gc::GcCommand;
use crate::commands::healthcheck::HealthcheckArguments;
use crate::commands::import::ImportArguments;
use crate::commands::man::ManArguments;
use crate::commands::mode::ModeArguments;
use crate::commands::policies::{ImmutableCommand, QuotaCommand};
use crate::commands::repo::RepoCommand;
use crate::commands::restore::RestoreArguments;
use crate::commands::retention::RetentionCommand;
use crate::commands::scrub::ScrubCommand;
use crate::commands::tag::TagCommand;
use crate::commands::tls::TlsCommand;
use crate::commands::trash::TrashCommand;
use crate::commands::user::UserCommand;
use crate::commands::version::VersionArguments;
use crate::commands::why::WhyCommand;

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
    #[command(after_help = "\
Examples:
  landfall serve                            on 127.0.0.1:5000, data in ./landfall-data
  landfall serve registry.example.com       HTTPS on 443, with a certificate and a first user
  landfall serve --listen :5000 config.yml  as a configuration file says, on every interface")]
    Serve(ServeArguments),
    /// Check and explain the configuration
    #[command(
        subcommand,
        after_help = "\
Examples:
  landfall config check config.yml            what is wrong with a file, without starting
  landfall config explain http.addr           one setting: its value, where that came from, what it means"
    )]
    Config(ConfigCommand),
    /// Add, list and remove the people who may log in
    #[command(
        subcommand,
        after_help = "\
Examples:
  landfall user add bee                       asks for the password
  landfall user list --json"
    )]
    User(UserCommand),
    /// Look at certificates, renew them, and let clients trust them
    #[command(
        subcommand,
        after_help = "\
Examples:
  landfall tls status                         which certificate is served, and until when
  landfall tls trust --print docker           what lets docker trust this server"
    )]
    Tls(TlsCommand),
    /// Take over what another registry holds, from its folder or its address
    #[command(after_help = "\
Examples:
  landfall adopt /var/lib/registry --dry-run               what is there, what is damaged, what would happen
  landfall adopt /var/lib/registry --data /srv/landfall    bring it; the old folder stays as it was")]
    Adopt(AdoptArguments),
    /// Write what is served as a CNCF registry's folder, as OCI layouts, or as a bundle
    #[command(after_help = "\
Examples:
  landfall export ./back --layout distribution             everything, for registry:2 or registry:3 to serve
  landfall export ./images --layout oci team/app           one repository, for skopeo, podman and others
  landfall export ./new.tar --layout bundle --since last   what came since, for a site without a network")]
    Export(ExportArguments),
    /// Bring a bundle that `export --layout bundle` wrote
    #[command(after_help = "\
Examples:
  landfall import ./new.tar                                into the server that runs here
  landfall import ./new.tar --data /srv/landfall           into a data folder that no server runs on")]
    Import(ImportArguments),
    /// Make a backup while the server goes on working; list backups, and read them back
    #[command(after_help = "\
Examples:
  landfall backup --to /mnt/disk/landfall                  of the server that runs here; only what is new is copied
  landfall backup --to /mnt/disk/landfall --keep 14        and leave the last fourteen")]
    Backup(BackupArguments),
    /// Make a data folder of a backup, or bring one repository of it back
    #[command(after_help = "\
Examples:
  landfall restore /mnt/disk/landfall --data /srv/new      everything, into an empty folder
  landfall restore /mnt/disk/landfall --repo team/app      one repository, into the server that runs here")]
    Restore(RestoreArguments),
    /// See repositories; rename, delete and restore them; give one its own undo window
    #[command(
        subcommand,
        after_help = "\
Examples:
  landfall repo list
  landfall repo set team/app --undo-window 30d
  landfall repo delete team/app --dry-run"
    )]
    Repo(RepoCommand),
    /// See tags and their history; set one back to what it was
    #[command(
        subcommand,
        after_help = "\
Examples:
  landfall tag list team/app
  landfall tag history team/app:latest        who moved it, when, and from where to where
  landfall tag rollback team/app:latest       back to what it was before"
    )]
    Tag(TagCommand),
    /// See what was deleted; bring it back, or end it for good
    #[command(
        subcommand,
        after_help = "\
Examples:
  landfall trash list                         what can come back, and until when
  landfall trash restore team/app:1.2
  landfall trash empty --dry-run"
    )]
    Trash(TrashCommand),
    /// See where the bytes are, and what deleting would free
    Du(DuArguments),
    /// Say why something is as it is
    #[command(
        subcommand,
        after_help = "\
Examples:
  landfall why kept 4bcff6                    all that holds this digest, in every repository
  landfall why kept 4bcff6 --json"
    )]
    Why(WhyCommand),
    /// See what waits to be collected and when it goes; hurry, pause or resume that
    #[command(
        subcommand,
        after_help = "\
Examples:
  landfall gc status                          what waits, and when it is gone
  landfall gc run --urgent team/app --dry-run
  landfall gc pause"
    )]
    Gc(GcCommand),
    /// Compare the catalog with the stored files: rows have their bytes, bytes their rows
    Check(StoreCheckArguments),
    /// See what is damaged and who needs it; read bytes back, and heal them
    #[command(
        subcommand,
        after_help = "\
Examples:
  landfall scrub status                       what is damaged, and who needs it
  landfall scrub run --sample 5% --rate 50MB/s
  landfall scrub run --sample 0% --repair-from /mnt/backup/landfall"
    )]
    Scrub(ScrubCommand),
    /// Say which tags go and which stay; see what that would do, and do it
    #[command(
        subcommand,
        after_help = "\
Examples:
  landfall retention set team/app --tags 'pr-*' --keep-last 10
  landfall retention dry-run                  what would go, and why the rest stays
  landfall retention history"
    )]
    Retention(RetentionCommand),
    /// Limit the bytes and tags of repositories and namespaces
    #[command(
        subcommand,
        after_help = "\
Examples:
  landfall quota set team/ --bytes 50GB       all of team/ together
  landfall quota list"
    )]
    Quota(QuotaCommand),
    /// Say which tags are neither moved nor deleted once they are set
    #[command(
        subcommand,
        after_help = "\
Examples:
  landfall immutable set '**' --tags 'v*'      set once, these stay as they are
  landfall immutable list"
    )]
    Immutable(ImmutableCommand),
    /// Refuse writes while the server runs, or take them again
    Mode(ModeArguments),
    /// Say why there is nothing to collect; for scripts of the older registry
    #[command(hide = true)] // nobody types it: the list fits a screen without it
    GarbageCollect(GarbageCollectArguments),
    /// Look at everything that a server here needs, and say what to mend
    Doctor(DoctorArguments),
    /// Say whether the server is ready, by the exit code
    Healthcheck(HealthcheckArguments),
    /// Print the completions of a shell
    Completions(CompletionsArguments),
    /// Write the manual pages
    Man(ManArguments),
    /// Print the version
    Version(VersionArguments),
}

/// Where settings come from, beside the environment.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ServeArguments {
    /// What clients call this server, for HTTPS; or a configuration file in the format of the CNCF registry
    #[arg(value_name = "NAME|FILE")]
    pub(crate) names: Vec<String>,
    /// The configuration file, as a flag
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the certificate comes from: auto, acme, local, files or off (tls.mode)
    #[arg(long, value_name = "MODE")]
    pub(crate) tls: Option<String>,
    /// Address to listen on, such as 127.0.0.1:5000 or :5000 (http.addr)
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Folder for everything that is stored (storage.filesystem.rootdirectory)
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<String>,
    /// The user that the first start with a name makes
    #[arg(long, value_name = "USER", default_value = "admin")]
    pub(crate) bootstrap_user: BootstrapUser,
    /// A proxy whose X-Forwarded headers are believed: an address, a network, loopback or private (http.trusted_proxies)
    #[arg(long, value_name = "CIDR")]
    pub(crate) trust_proxy: Vec<String>,
}

/// Who may log in first.
#[derive(Clone, Debug)]
pub(crate) struct BootstrapUser(pub(crate) String);

impl Default for BootstrapUser {
    fn default() -> Self {
        Self("admin".into())
    }
}

impl From<String> for BootstrapUser {
    fn from(name: String) -> Self {
        Self(name)
    }
}

/// Which server is meant, for commands that work beside it: what its own `serve` was told.
#[derive(Args, Debug, Default)]
pub(crate) struct Configured {
    /// The server's configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server's data folder (storage.filesystem.rootdirectory)
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
}

impl Configured {
    pub(crate) fn serve(&self) -> ServeArguments {
        ServeArguments {
            config: self.config.clone(),
            data: self.data.clone(),
            ..ServeArguments::default()
        }
    }
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
    /// Print the configuration in force as a file, with the origin of each value
    #[command(after_help = "\
Examples:
  landfall config print                     everything, defaults too
  landfall config print --changed           only what somebody wrote; secrets are shown as ***")]
    Print(PrintArguments),
    /// Write a configuration file to start from
    #[command(after_help = "\
Examples:
  landfall config init                      to standard output
  landfall config init landfall.yaml        into a file, which must not exist yet")]
    Init(InitArguments),
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

/// Arguments of `config print`.
#[derive(Args, Debug)]
pub(crate) struct PrintArguments {
    #[command(flatten)]
    pub(crate) serve: ServeArguments,
    /// Leave defaults away
    #[arg(long)]
    pub(crate) changed: bool,
    /// Answer as JSON, one entry a setting
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `config init`.
#[derive(Args, Debug)]
pub(crate) struct InitArguments {
    /// The file to write
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
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
    /// The configuration file that is named, by flag or as an argument.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let named = || self.names.iter().find(|name| is_file_name(name)).map(Into::into);
        self.config.clone().or_else(named)
    }

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
        flags.extend(one("--tls", &self.tls));
        let names = self.names.iter().filter(|name| !is_file_name(name));
        flags.extend(names.map(|name| config::Flag {
            name: "NAME",
            value: name.clone(),
        }));
        flags.extend(one("--data", &self.data));
        flags.extend(self.trust_proxy.iter().map(|value| config::Flag {
            name: "--trust-proxy",
            value: value.clone(),
        }));
        flags
    }
}

#[cfg(test)]
mod examples;
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
