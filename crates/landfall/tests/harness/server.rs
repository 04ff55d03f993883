//! `landfall serve` as a child process, with a home of its own that lives as long as somebody holds it.
//!
//! Shape: [`Builder`] says how to start; [`Landfall`] runs; `restart`, `stop` (SIGTERM) and `kill` (SIGKILL) end it. The home
//! (data folder, configuration and password files) is kept over restarts and removed at the end.
//! Fails: when the server does not start, does not end, or has panicked anywhere in its life.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::exchange::Client;
use super::journal::Journal;
use super::process::{Elsewhere, Process};

/// How to start a server. Every start with the same builder uses the same home.
#[derive(Clone)]
pub(crate) struct Builder {
    home: Arc<TempDir>,
    data: PathBuf,
    pass_data: bool,
    listen: Option<String>,
    env: Vec<(String, OsString)>,
    args: Vec<OsString>,
}

impl Builder {
    /// A setting in the environment.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// One more argument of `serve`.
    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A configuration file with this text, given as `serve FILE`.
    pub(crate) fn config(self, yaml: &str) -> Self {
        let path = self.file("landfall.yaml", yaml);
        self.arg(path)
    }

    /// Another data folder than the one in the home.
    pub(crate) fn data(mut self, data: impl Into<PathBuf>) -> Self {
        self.data = data.into();
        self
    }

    /// Starts without `--data`.
    pub(crate) fn without_data(mut self) -> Self {
        self.pass_data = false;
        self
    }

    /// Another address than `127.0.0.1:0`; `None` leaves `--listen` away.
    pub(crate) fn listen(mut self, listen: Option<&str>) -> Self {
        self.listen = listen.map(str::to_owned);
        self
    }

    /// Writes a file into the home and says where it is.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data
    }

    /// Starts and waits until it listens.
    pub(crate) fn start(&self) -> Landfall {
        let mut process = self.spawn();
        let Some(address) = process.log.wait_for("the address", address_in) else {
            let status = process.wait();
            panic!("the server did not start ({status}):\n{}", process.log);
        };
        Landfall {
            client: Client::new(address),
            builder: self.clone(),
            process,
        }
    }

    /// Starts a server that listens where no [`Client`] can reach it, and waits until it says so.
    pub(crate) fn start_elsewhere(&self, place: &str) -> Elsewhere {
        let process = self.spawn();
        process.log.expect_line(&["listening on", place]);
        Elsewhere(process)
    }

    /// Starts a server that must refuse to run, and answers how it ended and all that it said.
    pub(crate) fn start_refused(&self) -> Refusal {
        let mut process = self.spawn();
        if let Some(address) = process.log.wait_for("the refusal", address_in) {
            panic!(
                "the server should have refused to start, but listens on {address}:\n{}",
                process.log
            );
        }
        let status = process.wait();
        Refusal {
            code: status.code(),
            text: process.log.to_string(),
        }
    }

    /// Runs another command than `serve` with the same environment, to its end.
    pub(crate) fn run(&self, args: &[&str]) -> CommandOutput {
        let output = self.command().args(args).output().expect("landfall runs");
        CommandOutput {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The program with this home and environment, without arguments.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        self.shield(&mut command);
        command
    }

    /// Gives a command this home and environment, and keeps everything else of the machine's from it.
    pub(crate) fn shield(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env("RUST_BACKTRACE", "1")
            // Else a configuration of the machine would be found, where another registry is installed.
            .env(
                "REGISTRY_CONFIGURATION_PATH",
                self.file("empty.yml", "version: 0.1\n"),
            )
            .current_dir(self.home.path())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
    }

    fn spawn(&self) -> Process {
        let mut command = self.command();
        command.arg("serve");
        if let Some(listen) = &self.listen {
            command.args(["--listen", listen]);
        }
        let in_env = self
            .env
            .iter()
            .any(|(name, _)| name == "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY");
        if self.pass_data && !in_env {
            command.arg("--data").arg(&self.data);
        }
        command
            .args(&self.args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Process::start(command)
    }
}

/// A server that would not run.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

impl Refusal {
    /// It ended because the configuration is invalid, and its message holds all of `words`.
    pub(crate) fn expect_invalid_configuration(&self, words: &[&str]) {
        assert_eq!(
            self.code,
            Some(3),
            "exit code of a server with an invalid configuration:\n{}",
            self.text
        );
        self.expect_words(words);
    }

    pub(crate) fn expect_words(&self, words: &[&str]) {
        let text = self.text.to_lowercase();
        for word in words {
            assert!(
                text.contains(&word.to_lowercase()),
                "the refusal should speak of {word:?}:\n{}",
                self.text
            );
        }
    }
}

/// A command that has run to its end.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A running server; as a client it is anonymous.
pub(crate) struct Landfall {
    client: Client,
    builder: Builder,
    process: Process,
}

impl Deref for Landfall {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Landfall {
    /// A server with an empty data folder and nothing configured.
    pub(crate) fn start() -> Self {
        Self::builder().start()
    }

    pub(crate) fn builder() -> Builder {
        let home = tempfile::Builder::new()
            .prefix("landfall-story-")
            .tempdir()
            .unwrap();
        let data = home.path().join("data");
        let listen = Some("127.0.0.1:0".to_owned());
        Builder {
            home: Arc::new(home),
            data,
            pass_data: true,
            listen,
            env: Vec::new(),
            args: Vec::new(),
        }
    }

    pub(crate) fn log(&self) -> &Journal {
        &self.process.log
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Most bytes of memory that the process ever had resident.
    pub(crate) fn memory_peak(&self) -> u64 {
        self.process.memory_peak()
    }

    pub(crate) fn how(&self) -> &Builder {
        &self.builder
    }

    /// Sends SIGTERM and does not wait.
    pub(crate) fn ask_to_stop(&self) {
        kill_process(Pid::from_child(&self.process.child), Signal::TERM).unwrap();
    }

    /// SIGTERM: drains and ends with 0.
    pub(crate) fn stop(mut self) -> Builder {
        self.ask_to_stop();
        self.expect_drained();
        self.builder.clone()
    }

    /// Waits until the process has ended, as a drained server does.
    pub(crate) fn expect_drained(&mut self) {
        let status = self.process.wait();
        assert!(
            status.success(),
            "a drained server exits with 0, not {status}:\n{}",
            self.process.log
        );
    }

    /// Waits until the process has ended by itself; its exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.process.wait().code()
    }

    /// SIGKILL, as the kernel's memory killer or a power cut of the process would.
    pub(crate) fn kill(mut self) -> Builder {
        self.process.child.kill().unwrap();
        self.process.wait();
        self.builder.clone()
    }

    /// Stops and starts again on the same data.
    pub(crate) fn restart(self) -> Self {
        self.stop().start()
    }

    /// The files of unfinished uploads.
    pub(crate) fn upload_files(&self) -> Vec<PathBuf> {
        files_below(&self.builder.data.join("landfall/uploads"))
    }

    /// The stored copies of a blob that is too big to lie in the catalog.
    pub(crate) fn blob_files(&self, digest: &str) -> Vec<PathBuf> {
        let (_, hex) = digest.split_once(':').unwrap();
        let names = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(hex);
        files_below(&self.builder.data.join("landfall/blobs"))
            .into_iter()
            .filter(names)
            .collect()
    }
}

/// `listening on 127.0.0.1:41234`, wherever it stands in the line.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (before, rest) = line.split_once("listening on ")?;
    if before.ends_with("debug server ") {
        return None;
    }
    let end = rest
        .find(|c: char| !(c.is_ascii_hexdigit() || "[]:.".contains(c)))
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// All files below a folder; none when it does not exist.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(files_below(&entry.path())),
            Ok(_) => files.push(entry.path()),
            Err(_) => {} // went away while we looked
        }
    }
    files
}
