//! `admin`: names that somebody can have, and a socket whose path programs can name.
//!
//! Units: bytes. Source: unix(7) for the length of a socket's path.

use std::path::{Path, PathBuf};

use crate::finding::{Code, Finding, Report};
use crate::node::Node;
use crate::reader::Reader;
use crate::settings::{Admin, Storage};
use crate::value::Texts;

/// Longest path of a unix socket that the kernel takes.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Who works with the admin API, and where it is on this machine.
pub(crate) fn admin(read: Reader<'_>, storage: &Storage, report: &mut Report) -> Admin {
    users(read, report);
    let admin = Admin {
        users: read.read::<Texts>("admin.users").0,
        socket: read.optional("admin.socket"),
    };
    let usual = || storage.folder().map(|folder| folder.join("admin.sock"));
    let (setting, socket): (_, Option<PathBuf>) = match &admin.socket {
        Some(socket) => ("admin.socket", Some(socket.clone())),
        None => ("storage.filesystem.rootdirectory", usual()),
    };
    if let Some(socket) = socket {
        reachable(read, setting, &socket, report);
    }
    admin
}

/// A name that nobody can log in by is a slip: who wrote it thinks that somebody is an admin.
fn users(read: Reader<'_>, report: &mut Report) {
    let entry = read.entry("admin.users");
    let items = entry.map_or(&[][..], |entry| entry.node.items());
    let mut seen: Vec<&str> = Vec::new();
    for item in items {
        // A value that is no text was reported before.
        let name = match item.text() {
            Some(name) => name,
            None if item.is_blank() => "",
            None => continue,
        };
        let wrong = if name.trim().is_empty() {
            Some("a name is expected: who has none cannot log in")
        } else if name.contains(':') || name.contains(char::is_control) {
            Some("no user is called so: a password file has a line of `name:hash` for each")
        } else {
            None
        };
        if let Some(why) = wrong {
            report.push(
                Finding::error(
                    Code::BadValue,
                    &item.origin,
                    format!("`admin.users` cannot hold {name:?}"),
                )
                .label(why)
                .advise("for nobody, write `admin.users: []`"),
            );
        } else if seen.contains(&name) {
            report.push(again(item, name));
        }
        seen.push(name);
    }
}

fn again(item: &Node, name: &str) -> Finding {
    Finding::warning(
        Code::NoEffect,
        &item.origin,
        format!("`admin.users` names {name} twice"),
    )
    .label("once is enough")
}

fn reachable(read: Reader<'_>, setting: &'static str, socket: &Path, report: &mut Report) {
    let bytes = socket.as_os_str().len();
    if bytes <= SOCKET_PATH_BYTES_MAX {
        return;
    }
    let title = format!(
        "the path of the admin socket has {bytes} bytes, of which the system takes {SOCKET_PATH_BYTES_MAX}"
    );
    report.push(
        Finding::warning(Code::SocketPathLong, &read.origin(setting), title)
            .label(format!("{} is out of reach for most programs", socket.display()))
            .advise("the commands of landfall reach it all the same, by --data or --config")
            .advise("for others, such as curl: a shorter `admin.socket`, such as `/run/landfall/admin.sock`"),
    );
}
