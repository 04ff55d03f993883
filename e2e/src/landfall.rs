//! The server under test, as a process of its own: started on a free port, killed or stopped by its own process id.
//!
//! Shape: [`Launch`] says how; [`Launch::start`] gives a [`Landfall`] that listens. Dropping it kills it, and prints the end
//! of its log if the test is failing.
//! Fails: `LANDFALL_BIN` not set, a server that ends or stays silent instead of listening.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A server that is not listening after this long will not.
const START_SECONDS_MAX: u64 = 60;
/// Longer than the longest drain: 30 s unless configured.
const STOP_SECONDS_MAX: u64 = 60;
/// A file that changes nothing, so that no configuration of this machine's is found.
const DEFAULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/defaults.yaml");
const LOG_LINES_SHOWN: usize = 30;
const LOG_COLUMNS_SHOWN: usize = 240;

/// The program under test.
#[must_use]
pub fn program() -> PathBuf {
    let path = std::env::var_os("LANDFALL_BIN").expect(
        "LANDFALL_BIN must name the landfall program; `cargo xtask test journeys` builds it and sets this",
    );
    let path = PathBuf::from(path);
    assert!(
        path.is_file(),
        "LANDFALL_BIN names {}, which is not a file",
        path.display()
    );
    path
}

/// The same program, linked to the system's libraries, for a test that puts another clock between: nothing gets between a
/// static program and the kernel. It is the program under test where that one is linked so.
#[must_use]
pub fn linked_program() -> PathBuf {
    std::env::var_os("LANDFALL_LINKED").map_or_else(program, PathBuf::from)
}

/// The program under test as a command, with no setting of the test's own surroundings, variables or files, reaching it.
#[must_use]
pub fn command() -> Command {
    shielded(&program())
}

fn shielded(program: &Path) -> Command {
    let mut command = Command::new(program);
    shield(&mut command);
    command
}

/// The same for a server that another program starts.
pub fn shield(command: &mut Command) {
    remove_settings(command);
    command.env("LANDFALL_CONFIG", DEFAULTS);
}

/// Keeps the variables of the test run, which a server would take for settings, from a command.
pub(crate) fn remove_settings(command: &mut Command) {
    for (name, _) in std::env::vars().filter(|(name, _)| is_setting(name)) {
        command.env_remove(name);
    }
}

/// How to start a server.
#[derive(Clone)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: PathBuf,
}

impl Launch {
    /// This program, with its data in this folder and the folder as its working directory.
    #[must_use]
    pub fn with_data(program: &Path, folder: &Path) -> Self {
        let data = folder.display().to_string();
        let mut launch = Self::with_environment_only(program, folder);
        launch.arguments.extend(["--data".to_owned(), data]);
        launch
    }

    /// This program, told by its environment alone where its data lie.
    #[must_use]
    pub fn with_environment_only(program: &Path, folder: &Path) -> Self {
        Self {
            program: program.to_owned(),
            arguments: ["serve", "--listen", "127.0.0.1:0"].map(str::to_owned).to_vec(),
            environment: Vec::new(),
            folder: folder.to_owned(),
        }
    }

    /// One more variable in the server's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.environment
            .push((name.to_owned(), value.as_ref().display().to_string()));
        self
    }

    /// The folder with its data.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.folder
    }

    /// Starts the process and waits until it listens.
    #[must_use]
    pub fn start(&self) -> Landfall {
        let mut landfall = self.spawn();
        landfall.wait_until_listening();
        landfall
    }

    /// Starts the process, and waits for nothing.
    #[must_use]
    pub fn spawn(&self) -> Landfall {
        let mut command = shielded(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.program.display()));
        let log = Log::default();
        let (sender, listening) = channel();
        log.follow(child.stdout.take().expect("stdout is piped"), sender.clone());
        log.follow(child.stderr.take().expect("stderr is piped"), sender);
        Landfall {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log,
            listening,
            own_folder: None,
        }
    }
}

fn is_setting(name: &str) -> bool {
    name.starts_with("REGISTRY_") || name.starts_with("LANDFALL_")
}

/// A running server.
pub struct Landfall {
    child: Child,
    address: SocketAddr,
    log: Log,
    listening: Receiver<SocketAddr>,
    own_folder: Option<TempDir>,
}

impl Landfall {
    /// A server with a folder of its own, open to everybody on this machine.
    #[must_use]
    pub fn start() -> Self {
        let folder = TempDir::with_prefix("landfall-").expect("a temporary folder can be made");
        let mut landfall = Launch::with_data(&program(), folder.path()).start();
        landfall.own_folder = Some(folder);
        landfall
    }

    /// A server with a folder of its own, for `busy` with the password `bee`, as the tool `htpasswd` wrote it down.
    #[must_use]
    pub fn start_with_password() -> Self {
        let folder = TempDir::with_prefix("landfall-").expect("a temporary folder can be made");
        let passwords = folder.path().join("registry.password");
        let line = crate::command::run(crate::command::program("htpasswd").args(["-Bbn", "busy", "bee"]))
            .succeeded()
            .stdout();
        fs::write(&passwords, format!("{line}\n")).expect("a password file can be written");
        let mut landfall = Launch::with_data(&program(), folder.path())
            .env("REGISTRY_AUTH", "htpasswd")
            .env("REGISTRY_AUTH_HTPASSWD_REALM", "Registry")
            .env("REGISTRY_AUTH_HTPASSWD_PATH", &passwords)
            .start();
        landfall.own_folder = Some(folder);
        landfall
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.0.lock().expect("no reader of the log panics").join("\n")
    }

    fn wait_until_listening(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while Instant::now() < deadline {
            if let Ok(address) = self.listening.recv_timeout(Duration::from_millis(100)) {
                self.address = address;
                return;
            }
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                panic!(
                    "the server ended ({status}) instead of listening; its log:\n{}",
                    self.log()
                );
            }
        }
        panic!(
            "the server does not listen after {START_SECONDS_MAX} s; its log:\n{}",
            self.log()
        );
    }

    /// `SIGKILL`: no drain, no goodbye.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child can be waited for");
    }

    /// `SIGTERM`, and demands that it drains and ends well.
    pub fn stop(&mut self) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a child has a process id");
        kill_process(pid, Signal::TERM).expect("a child can be signalled");
        let status = self.wait_for_end();
        assert!(
            status.success(),
            "after SIGTERM the server ended with {status}; its log:\n{}",
            self.log()
        );
    }

    /// Waits until the process has ended by itself.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!(
            "the server has not ended after {STOP_SECONDS_MAX} s; its log:\n{}",
            self.log()
        );
    }
}

impl Drop for Landfall {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log.0.lock().map(|lines| lines.clone()).unwrap_or_default();
            eprintln!("---- the end of the server's log ----");
            for line in &log[log.len().saturating_sub(LOG_LINES_SHOWN)..] {
                eprintln!("{}", line.chars().take(LOG_COLUMNS_SHOWN).collect::<String>());
            }
            eprintln!("----");
        }
    }
}

/// The lines of both streams, in the order in which they came.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Reads a stream to its end on a thread, so that the server never blocks on a full pipe.
    fn follow(&self, stream: impl Read + Send + 'static, listening: Sender<SocketAddr>) {
        let lines = Arc::clone(&self.0);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if let Some(address) = address_in(&line) {
                    let _ = listening.send(address);
                }
                if let Ok(mut lines) = lines.lock() {
                    lines.push(line);
                }
            }
        });
    }
}

/// The address in a line that says `listening on 127.0.0.1:5000`.
fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = line.split_once("listening on ")?.1;
    rest.split(|c: char| c.is_whitespace() || c == '"' || c == ',')
        .next()?
        .parse()
        .ok()
}

/// How many parts of unfinished uploads lie in a data folder.
#[must_use]
pub fn parts_below(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => parts_below(&entry.path()),
            _ => usize::from(entry.path().extension().is_some_and(|end| end == "part")),
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::address_in;

    #[test]
    fn the_address_is_found_in_every_form_of_log() {
        let address = Some("127.0.0.1:5000".parse().unwrap());
        for line in [
            "INFO listening on 127.0.0.1:5000",
            r#"time="x" level=info msg="listening on 127.0.0.1:5000" version=1"#,
            r#"{"message":"listening on 127.0.0.1:5000","level":"INFO"}"#,
        ] {
            assert_eq!(address_in(line), address, "{line}");
        }
        assert_eq!(address_in("listening on a socket"), None);
    }
}
