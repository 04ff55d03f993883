//! Which server: `--server`, else `LANDFALL_SERVER`, else the socket of the one that runs here, as `--data` and `--config` say.
//!
//! A password comes from a prompt, standard input or the file that `LANDFALL_PASSWORD_FILE` names, never from an argument.
//! Fails: 2 where nothing says who logs in, 3 for a configuration that cannot be used.

use std::env;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use config::Settings;

use super::Api;
use crate::cli::Configured;
use crate::client::Server;
use crate::commands::config::settings;
use crate::commands::password;
use crate::failure::Failure;
use crate::url_login::hidden;

/// Which server is asked, and by whom.
#[derive(Args, Debug)]
pub(crate) struct Target {
    /// The server's URL, if it is not the one that runs here; also LANDFALL_SERVER
    #[arg(long, value_name = "URL")]
    server: Option<Server>,
    /// Who logs in at that URL; the password is asked for, or in the file of LANDFALL_PASSWORD_FILE
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    configured: Configured,
    /// Answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A server, or its data at rest.
pub(crate) enum Reach {
    /// One that runs.
    Running(Api),
    /// None that answers here; a data folder may be held by one all the same, and says so when it is opened.
    AtRest(Box<Settings>),
}

impl Target {
    /// Whether a server at a URL is meant, and not the one that runs here.
    pub(crate) fn is_remote(&self) -> bool {
        self.server.is_some() || env::var_os("LANDFALL_SERVER").is_some_and(|text| !text.is_empty())
    }

    /// What the server that runs here was told.
    pub(crate) fn configured(&self) -> &Configured {
        &self.configured
    }

    /// The server's API, ready to be asked.
    pub(crate) fn open(&self) -> Result<Api, Failure> {
        match self.url()? {
            Some(server) => {
                let authorization = self.login(&server)?;
                Ok(Api::new(server, Some(authorization)))
            }
            None => Ok(Api::new(self.socket()?, None)),
        }
    }

    /// The server's API if one runs, or what is known of the data folder that it would run on.
    pub(crate) fn reach(&self) -> Result<Reach, Failure> {
        if self.url()?.is_some() {
            return self.open().map(Reach::Running);
        }
        let settings = settings(&self.configured.serve())?.settings;
        let socket = settings.admin_socket();
        if socket.is_some_and(|path| crate::socket::connect(&path).is_ok()) {
            return self.open().map(Reach::Running);
        }
        Ok(Reach::AtRest(Box::new(settings)))
    }

    fn url(&self) -> Result<Option<Server>, Failure> {
        if let Some(server) = &self.server {
            return Ok(Some(server.clone()));
        }
        match env::var("LANDFALL_SERVER") {
            Ok(text) if !text.is_empty() => text
                .parse()
                .map(Some)
                .map_err(|error| Failure::usage(format!("LANDFALL_SERVER is {:?}: {error}", hidden(&text)))),
            _ => Ok(None),
        }
    }

    fn socket(&self) -> Result<Server, Failure> {
        if self.user.is_some() || self.password_stdin {
            return Err(Failure::usage(
                "a login is for a server at a URL; the socket of the one that runs here needs none\n  \
                 fix   --server URL, or leave --user and --password-stdin away",
            ));
        }
        let settings = settings(&self.configured.serve())?.settings;
        let path = settings.admin_socket().ok_or_else(|| {
            Failure::usage(
                "a server that keeps everything in memory has its socket in a temporary folder\n  \
                 fix   set admin.socket in its configuration, and name that with --config",
            )
        })?;
        Ok(Server::at_socket(path))
    }

    fn login(&self, server: &Server) -> Result<String, Failure> {
        let Some(user) = &self.user else {
            return Err(Failure::usage(format!(
                "nothing says who logs in at {server}\n  fix   --user NAME, for one of the server's `admin.users`"
            )));
        };
        if server.is_open_to_the_network() {
            eprintln!("warning: the password goes to {server} in the clear");
        }
        let password = self.password(user, server)?;
        Ok(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    fn password(&self, user: &str, server: &Server) -> Result<String, Failure> {
        if self.password_stdin {
            return password::password_from_stdin();
        }
        if let Some(path) = env::var_os("LANDFALL_PASSWORD_FILE").filter(|path| !path.is_empty()) {
            return password::password_from_file(&PathBuf::from(path));
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::usage(
                "there is no terminal to ask for the password\n  \
                 fix   --password-stdin, or LANDFALL_PASSWORD_FILE=PATH in the environment",
            ));
        }
        password::ask(&format!("Password of {user} at {server}: "))
    }
}
