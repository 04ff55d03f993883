//! The servers that are compared: which there are, and the configuration that each is started with.
//!
//! Shape: every registry gets a configuration file of the same few lines. Peers write no line per request and keep blob
//! descriptors in memory, as their own images are configured; Landfall runs with its defaults, and writes that line. nginx and the bare server are no registries but
//! limits: what serving files, and receiving durably, cost at least.
//! Fails: a program that is not installed.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use e2e::papers::Papers;

use crate::House;
use crate::programs;

/// One of those that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Product {
    Landfall,
    /// Debian's docker-registry.
    Distribution2,
    Distribution3,
    Nginx,
    /// Ours, and only what the work itself needs.
    Bare,
}

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    Plain,
    /// Basic authentication from an htpasswd file.
    Password,
    Tls,
}

pub(crate) const USER: &str = "bench";
pub(crate) const PASSWORD: &str = "as-fast-as-the-machine";

impl Product {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Landfall => "landfall",
            Self::Distribution2 => "distribution 2.8",
            Self::Distribution3 => "distribution 3",
            Self::Nginx => "nginx",
            Self::Bare => "bare server",
        }
    }

    /// Another registry, as against a limit.
    pub(crate) fn is_peer(self) -> bool {
        matches!(self, Self::Distribution2 | Self::Distribution3)
    }

    /// The mode in which it takes part in a case: a limit knows no passwords, and the bare server no TLS.
    pub(crate) fn mode(self, wanted: Mode) -> Option<Mode> {
        match (self, wanted) {
            (Self::Bare, Mode::Tls) => None,
            (Self::Bare | Self::Nginx, Mode::Password) => Some(Mode::Plain),
            _ => Some(wanted),
        }
    }

    /// How it is started: with its data in `folder`, listening on `address`.
    pub(crate) fn command(
        self,
        house: &House,
        mode: Mode,
        folder: &Path,
        address: SocketAddr,
        papers: &Papers,
    ) -> io::Result<Command> {
        let config = folder.join("config");
        let data = folder.join("data");
        fs::create_dir_all(&data)?;
        let mut command = match self {
            Self::Landfall => {
                fs::write(
                    &config,
                    registry_config(mode, &data, address, papers, "storage:\n"),
                )?;
                let mut command = bare_command(&house.landfall());
                command.arg("serve").env("LANDFALL_CONFIG", &config);
                command
            }
            Self::Distribution2 | Self::Distribution3 => {
                let storage = "log:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  cache:\n    blobdescriptor: inmemory\n";
                fs::write(&config, registry_config(mode, &data, address, papers, storage))?;
                let program = match self {
                    Self::Distribution2 => programs::old_registry(house),
                    _ => house.tools().join("registry"),
                };
                let mut command = bare_command(&program);
                // Version 3 would look for a collector of traces.
                command
                    .arg("serve")
                    .arg(&config)
                    .env("OTEL_TRACES_EXPORTER", "none");
                command
            }
            Self::Nginx => {
                fs::write(&config, nginx_config(mode, folder, address, papers))?;
                let mut command = bare_command(Path::new("nginx"));
                command
                    .arg("-e")
                    .arg(folder.join("errors"))
                    .arg("-c")
                    .arg(&config);
                command
            }
            Self::Bare => {
                let mut command = bare_command(&std::env::current_exe()?);
                command
                    .arg("bare")
                    .arg("--listen")
                    .arg(address.to_string())
                    .arg("--root")
                    .arg(&data);
                command
            }
        };
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(command)
    }
}

/// No variable of the surroundings reaches a server: each product takes some for settings.
fn bare_command(program: &Path) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    let program = folders
        .iter()
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .unwrap_or_else(|| program.to_owned());
    let mut command = Command::new(program);
    command.env_clear().env("PATH", path);
    command
}

fn registry_config(mode: Mode, data: &Path, address: SocketAddr, papers: &Papers, storage: &str) -> String {
    let (certificate, key) = (papers.at("server.pem"), papers.at("server.key"));
    let mode = match mode {
        Mode::Plain => String::new(),
        Mode::Tls => format!(
            "  tls:\n    certificate: {}\n    key: {}\n",
            certificate.display(),
            key.display()
        ),
        Mode::Password => format!(
            "auth:\n  htpasswd:\n    realm: bench\n    path: {}\n",
            papers.at("htpasswd").display()
        ),
    };
    format!(
        "version: 0.1\n{storage}  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n{mode}",
        data.display()
    )
}

fn nginx_config(mode: Mode, folder: &Path, address: SocketAddr, papers: &Papers) -> String {
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let user = if is_root { "user root;" } else { "" };
    let (listen, tls) = if mode == Mode::Tls {
        let (certificate, key) = (papers.at("server.pem"), papers.at("server.key"));
        let tls = format!(
            "ssl_protocols TLSv1.3; ssl_certificate {}; ssl_certificate_key {};",
            certificate.display(),
            key.display()
        );
        (format!("{address} ssl"), tls)
    } else {
        (address.to_string(), String::new())
    };
    let folder = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {folder}/temporary;\n"))
        .concat();
    format!(
        "daemon off; worker_processes auto; pid {folder}/pid; {user}\n\
         events {{ worker_connections 8192; }}\n\
         http {{\n  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 600;\n\
         {temporary}  server {{ listen {listen}; {tls} root {folder}/data; }}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_take_part_where_they_can() {
        assert_eq!(Product::Bare.mode(Mode::Tls), None);
        assert_eq!(Product::Nginx.mode(Mode::Tls), Some(Mode::Tls));
        assert_eq!(Product::Bare.mode(Mode::Password), Some(Mode::Plain));
        assert_eq!(Product::Landfall.mode(Mode::Password), Some(Mode::Password));
    }
}
