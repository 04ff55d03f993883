//! `landfall user`: the people of the password file that the server uses.
//!
//! Passwords come from a prompt, standard input or a file, never from an argument. Without a terminal and without a
//! source the command ends at once. Exit codes: 5 no such user, 6 the user exists.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use access::{Draft, HashFailure, NewPassword, Unfit, UserName, WriteError};
use clap::{Args, Subcommand};
use config::Auth;
use serde::Serialize;

use crate::arguments::whole;
use crate::cli::Configured;
use crate::failure::{Failure, with_causes};
use crate::{output, wiring};

/// What to do with the users.
#[derive(Subcommand, Debug)]
pub(crate) enum UserCommand {
    /// Add a user; makes the password file if there is none
    #[command(after_help = "\
Examples:
  landfall user add busy                              asks for the password
  echo \"$PASSWORD\" | landfall user add ci --password-stdin --data /var/lib/registry")]
    Add(SetArguments),
    /// Give a user a new password
    #[command(after_help = "\
Examples:
  landfall user passwd busy                           asks for the password
  landfall user passwd ci --password-file ./ci.secret --file /auth/htpasswd")]
    Passwd(SetArguments),
    /// List the users
    #[command(after_help = "\
Examples:
  landfall user list                                  of the server that is configured here
  landfall user list --file ./htpasswd --json         of a file, for a program")]
    List(ListArguments),
    /// Remove a user
    #[command(after_help = "\
Examples:
  landfall user rm busy
  landfall user rm ci --file /auth/htpasswd --json")]
    Rm(RmArguments),
}

/// Which password file.
#[derive(Args, Debug)]
pub(crate) struct FileArguments {
    /// Password file, if not the one that the server uses
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    #[command(flatten)]
    configured: Configured,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `user add` and `user passwd`.
#[derive(Args, Debug)]
pub(crate) struct SetArguments {
    /// The user's name
    name: String,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password_file")]
    pub(super) password_stdin: bool,
    /// Read the password from the first line of a file
    #[arg(long, value_name = "PATH")]
    pub(super) password_file: Option<PathBuf>,
    /// Cost of the bcrypt hash, 10 to 17: each step doubles the time of a login
    #[arg(long, value_name = "N", default_value_t = NewPassword::COST_DEFAULT, value_parser = whole::<u32>(0..=u32::MAX.into()))]
    cost: u32,
    /// Accept a password that is easily guessed
    #[arg(long)]
    allow_weak: bool,
    #[command(flatten)]
    file: FileArguments,
}

/// Arguments of `user list`.
#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    file: FileArguments,
}

/// Arguments of `user rm`.
#[derive(Args, Debug)]
pub(crate) struct RmArguments {
    /// The user's name
    name: String,
    #[command(flatten)]
    file: FileArguments,
}

#[derive(Serialize)]
struct Done<'a> {
    schema: &'static str,
    user: &'a str,
    file: &'a Path,
    file_made: bool,
}

#[derive(Serialize)]
struct List<'a> {
    schema: &'static str,
    file: &'a Path,
    users: Vec<User>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct User {
    name: String,
    line: usize,
    /// Whether they can log in.
    usable: bool,
    cost: Option<u8>,
}

/// Runs one of them.
pub(crate) fn run(command: &UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Add(arguments) => set(arguments, true),
        UserCommand::Passwd(arguments) => set(arguments, false),
        UserCommand::List(arguments) => list(arguments),
        UserCommand::Rm(arguments) => remove(arguments),
    }
}

fn set(arguments: &SetArguments, new: bool) -> Result<(), Failure> {
    let user = UserName::parse(&arguments.name).map_err(unfit)?;
    let target = Target::find(&arguments.file)?;
    // Before the password is asked for: who is told to choose another name has not typed in vain.
    check_presence(&target.read()?, &user, new)?;
    let text = super::password::password(arguments, &user)?;
    let password = NewPassword::parse(&text, &user, arguments.allow_weak).map_err(unfit)?;
    let hash = password.hash(arguments.cost).map_err(|failure| match failure {
        HashFailure::Cost(cost) => unfit(cost),
        other => Failure::failed("LF-AUTH-005", with_causes(&other)),
    })?;
    target.make_folder()?;
    let mut draft = Draft::open(&target.path).map_err(refused)?;
    check_presence(&draft, &user, new)?;
    draft.set(&user, &hash);
    let (path, made) = (draft.path().to_owned(), !draft.exists());
    draft.save().map_err(refused)?;
    if arguments.file.json {
        output::json(&Done {
            schema: if new {
                "landfall.user.add/1"
            } else {
                "landfall.user.passwd/1"
            },
            user: user.as_str(),
            file: &path,
            file_made: made,
        });
    } else if new {
        output::line(format_args!("added {} to {}", user.as_str(), path.display()));
    } else {
        output::line(format_args!(
            "changed the password of {} in {}",
            user.as_str(),
            path.display()
        ));
    }
    target.talk(made);
    Ok(())
}

fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let target = Target::find(&arguments.file)?;
    let draft = target.read()?;
    if !draft.exists() {
        return Err(refused(WriteError::Unusable(access::Error::Missing(target.path))));
    }
    let (listed, warnings) = draft.list();
    let last = |name: &str| {
        listed
            .iter()
            .rev()
            .find(|one| one.name == name)
            .map(|one| one.line)
    };
    let users: Vec<User> = listed
        .iter()
        .filter(|one| last(&one.name) == Some(one.line))
        .map(|one| User {
            name: one.name.clone(),
            line: one.line,
            usable: one.cost.is_ok(),
            cost: one.cost.ok(),
        })
        .collect();
    let warnings: Vec<String> = warnings
        .iter()
        .map(|warning| format!("[{}] {warning}", warning.code()))
        .collect();
    if arguments.file.json {
        output::json(&List {
            schema: "landfall.user.list/1",
            file: draft.path(),
            users,
            warnings,
        });
        return Ok(());
    }
    for user in &users {
        let shown = user.name.replace(char::is_control, "?");
        match user.cost {
            Some(_) => output::line(shown),
            None => output::line(format_args!("{shown}  (cannot log in)")),
        }
    }
    for warning in &warnings {
        eprintln!("warning{warning}");
    }
    Ok(())
}

fn remove(arguments: &RmArguments) -> Result<(), Failure> {
    let user = UserName::parse(&arguments.name).map_err(unfit)?;
    let target = Target::find(&arguments.file)?;
    let mut draft = target.read()?;
    check_presence(&draft, &user, false)?;
    draft.remove(&user);
    let nobody = draft.list().0.is_empty();
    let path = draft.path().to_owned();
    draft.save().map_err(refused)?;
    if arguments.file.json {
        output::json(&Done {
            schema: "landfall.user.rm/1",
            user: user.as_str(),
            file: &path,
            file_made: false,
        });
    } else {
        output::line(format_args!("removed {} from {}", user.as_str(), path.display()));
    }
    if nobody {
        eprintln!("nobody is left in it: nobody can log in until  landfall user add NAME");
    }
    Ok(())
}

fn check_presence(draft: &Draft, user: &UserName, new: bool) -> Result<(), Failure> {
    let (name, path) = (user.as_str(), draft.path().display());
    match (draft.contains(user), new) {
        (true, true) => Err(Failure::held(
            "LF-AUTH-016",
            format!("{path} has a user {name:?} already\n  fix   landfall user passwd {name}"),
        )),
        (false, false) => Err(Failure::missing(
            "LF-AUTH-017",
            format!(
                "{path} has no user {name:?}\n  fix   landfall user list shows those it has; landfall user add {name} adds this one"
            ),
        )),
        _ => Ok(()),
    }
}

/// The password file that is meant, and what should be said about it.
struct Target {
    path: PathBuf,
    /// It is the data folder's own, so its folder may be made.
    own: bool,
    /// `auth: none`.
    unused: bool,
}

impl Target {
    fn find(arguments: &FileArguments) -> Result<Self, Failure> {
        if let Some(path) = &arguments.file {
            return Ok(Self {
                path: path.clone(),
                own: false,
                unused: false,
            });
        }
        // The settings as they will be once the data folder has a password file: that is what we are here for.
        let read = |path: &Path| match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.ends_with("landfall/htpasswd") => {
                Ok(Vec::new())
            }
            other => other,
        };
        let loaded = wiring::load_with(&arguments.configured.serve(), &read)
            .map_err(|problems| Failure::configuration(problems.render()))?;
        let own = loaded.settings.storage.password_file();
        let (path, unused) = match (&loaded.settings.auth, own.clone()) {
            (Auth::Htpasswd { path, .. }, _) => (path.clone(), false),
            (auth, Some(path)) => (path, *auth == Auth::None),
            (_, None) => {
                return Err(Failure::usage(
                    "storage.inmemory keeps no password file\n  fix   name one: landfall user … --file PATH, and set auth.htpasswd.path to it",
                ));
            }
        };
        Ok(Self {
            own: own.as_ref() == Some(&path),
            path,
            unused,
        })
    }

    /// As it stands; a file (and, for our own, a folder) that is not there has nobody.
    fn read(&self) -> Result<Draft, Failure> {
        match Draft::open(&self.path) {
            Err(WriteError::NoFolder(_)) if self.own => Ok(Draft::nobody(&self.path)),
            other => other.map_err(refused),
        }
    }

    /// Makes the data folder as far as it is missing, for whoever owns what is there: the server may not be root.
    fn make_folder(&self) -> Result<(), Failure> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        if !self.own || folder.exists() {
            return Ok(());
        }
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let mut missing: Vec<&Path> = folder.ancestors().take_while(|path| !path.exists()).collect();
        let owner = folder.ancestors().find_map(|path| std::fs::metadata(path).ok());
        while let Some(path) = missing.pop() {
            let private = path.ends_with("landfall");
            let made = std::fs::DirBuilder::new()
                .mode(if private { 0o700 } else { 0o755 })
                .create(path)
                .and_then(|()| match &owner {
                    Some(owner) if owner.uid() != 0 && rustix::process::geteuid().is_root() => {
                        std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))
                    }
                    _ => Ok(()),
                });
            made.map_err(|source| {
                refused(WriteError::Refused {
                    path: path.to_owned(),
                    source,
                })
            })?;
        }
        Ok(())
    }

    fn talk(&self, made: bool) {
        if self.unused {
            eprintln!(
                "warning: `auth: none` is configured, so nobody is asked for a password until that is removed"
            );
        } else if made && self.own {
            eprintln!(
                "a server that runs on this folder asks for passwords after SIGHUP or a restart; later changes it reads by itself"
            );
        }
    }
}

fn unfit(error: Unfit) -> Failure {
    Failure::failed(error.code(), error)
}

fn refused(error: WriteError) -> Failure {
    match &error {
        WriteError::NoRoom(_) => Failure::no_room(error.code(), error),
        _ => Failure::failed(error.code(), with_causes(&error)),
    }
}
