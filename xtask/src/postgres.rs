//! A PostgreSQL of our own for the length of a test run: on loopback, in a folder that goes away, with nothing of the
//! machine's own clusters.
//!
//! It runs as the user `postgres` where we are root (it refuses root), trusts everybody on loopback, and does not sync: the
//! tests ask it for correctness, not for durability.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::outcome::{Failure, words};

const START_SECONDS_MAX: u64 = 60;

/// A running server and its folder.
pub(crate) struct Postgres {
    server: Child,
    port: u16,
    folder: TempDir,
}

impl Postgres {
    pub(crate) fn start() -> Result<Self, Failure> {
        let programs =
            programs().ok_or_else(|| Failure::new("PostgreSQL is not installed: `cargo xtask setup`"))?;
        let cannot = |error: io::Error| Failure::new(format!("PostgreSQL cannot be started: {error}"));
        let folder = TempDir::with_prefix("postgres-").map_err(cannot)?;
        let owner = owner().map_err(cannot)?;
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group)).map_err(cannot)?;
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).map_err(cannot)?;
        let command = |name: &str| {
            let mut command = Command::new(programs.join(name));
            command.current_dir(folder.path()).stdin(Stdio::null());
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command
        };
        let data = folder.path().join("data");
        let initdb = [
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ];
        words(command("initdb").args(initdb).arg("--pgdata").arg(&data))
            .ok_or_else(|| Failure::new(format!("{} failed", programs.join("initdb").display())))?;
        let port = free_port().map_err(cannot)?;
        let log = fs::File::create(folder.path().join("log")).map_err(cannot)?;
        let server = command("postgres")
            .arg("-D")
            .arg(&data)
            .args([
                "-p",
                &port.to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "fsync=off",
            ])
            .args(["-c", "max_connections=300", "-c"])
            .arg(format!("unix_socket_directories={}", folder.path().display()))
            .stdout(log.try_clone().map_err(cannot)?)
            .stderr(log)
            .spawn()
            .map_err(cannot)?;
        let postgres = Self { server, port, folder };
        postgres.wait_until_ready(&programs)?;
        Ok(postgres)
    }

    fn wait_until_ready(&self, programs: &Path) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while Instant::now() < deadline {
            let port = self.port.to_string();
            let ready = ["--quiet", "--host=127.0.0.1", "--port", &port];
            if words(Command::new(programs.join("pg_isready")).args(ready)).is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        Err(Failure::new(format!(
            "PostgreSQL does not answer after {START_SECONDS_MAX} s; its log:\n{log}"
        )))
    }

    /// How to reach it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT is its fast shutdown, which also gives its shared memory back.
        if let Some(pid) = i32::try_from(self.server.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::INT);
        }
        let _ = self.server.wait();
    }
}

/// The newest installed server's programs; Debian does not put them in the path.
pub(crate) fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let debian = versions
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse::<u32>().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(_, folder)| folder.join("initdb").is_file())
        .max();
    let in_path =
        || std::env::split_paths(&std::env::var_os("PATH")?).find(|folder| folder.join("initdb").is_file());
    debian.map(|(_, folder)| folder).or_else(in_path)
}

/// User and group to run as: nobody else's unless we are root.
fn owner() -> io::Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let postgres = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|user| user[0] == "postgres");
    let ids = postgres.and_then(|user| Some((user.get(2)?.parse().ok()?, user.get(3)?.parse().ok()?)));
    ids.map(Some).ok_or_else(|| {
        io::Error::other("we are root, PostgreSQL refuses root, and there is no user `postgres`")
    })
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
