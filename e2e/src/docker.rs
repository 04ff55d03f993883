//! A private Docker engine: its own socket, data, credentials and containerd, nothing of the machine's.
//!
//! Shape: [`Docker::start`] gives an engine that shares the machine's network and runs no container. [`Docker::start_apart`] gives
//! one with a network, a firewall, host names and trusted certificates of its own: containers run, and ports 80, 443 and 5000 are
//! free, whatever else runs on the machine.
//! Fails: by panic, with the engine's log if it does not come up. Needs root.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::command::{Ran, program, run};
use crate::terminal::Terminal;

const START_SECONDS_MAX: u64 = 60;
/// One that documents use, RFC 5737; an engine apart has it beside 127.0.0.1.
const ADDRESS: &str = "192.0.2.1";
const STOP_SECONDS_MAX: u64 = 30;

/// A running engine and the folder in which it lives.
pub struct Docker {
    folder: TempDir,
    engine: Child,
}

impl Docker {
    /// Starts an engine and waits until it answers.
    #[must_use]
    pub fn start() -> Self {
        // No container is run, so no network is needed, and the machine's firewall stays as it is.
        let quiet = [
            "--insecure-registry=127.0.0.0/8",
            "--bridge=none",
            "--iptables=false",
            "--ip-forward=false",
            "--ip-masq=false",
        ];
        Self::spawn(Command::new("dockerd"), &quiet, new_folder())
    }

    /// Starts an engine with a network of its own, in which these names are the machine itself, and waits until it answers.
    #[must_use]
    pub fn start_apart(names: &[&str]) -> Self {
        Self::apart(&format!("127.0.0.1 localhost {}\n", names.join(" ")))
    }

    /// The same, with names that lead to another address of the machine: Docker looks at no certificate in 127.0.0.0/8.
    #[must_use]
    pub fn start_apart_and_strict(names: &[&str]) -> Self {
        Self::apart(&format!("127.0.0.1 localhost\n{ADDRESS} {}\n", names.join(" ")))
    }

    fn apart(hosts: &str) -> Self {
        let folder = new_folder();
        fs::write(folder.path().join("hosts"), hosts).expect("a file of host names can be written");
        fs::create_dir_all(folder.path().join("etc/certs.d")).expect("a folder for certificates can be made");
        let mut engine = Command::new("unshare");
        engine
            .args(["--net", "--mount", "sh", "-c", APART, ADDRESS])
            .arg(folder.path());
        Self::spawn(engine, &[], folder)
    }

    fn spawn(mut engine: Command, options: &[&str], folder: TempDir) -> Self {
        let at = |name: &str| folder.path().join(name);
        let log = fs::File::create(at("log")).expect("a log can be made");
        let engine = engine
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .arg("--host")
            .arg(format!("unix://{}", at("docker.sock").display()))
            .args(options)
            .env("PATH", path_with_sbin())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log has two writers"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start dockerd: {error}; is it installed?"));
        let docker = Self { folder, engine };
        docker.wait_until_ready();
        docker
    }

    fn wait_until_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while Instant::now() < deadline {
            let ready = self
                .command()
                .args(["version", "--format", "{{.Server.Version}}"])
                .output();
            if ready.is_ok_and(|output| output.status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        panic!("dockerd is not ready after {START_SECONDS_MAX} s; its log:\n{log}");
    }

    fn command(&self) -> Command {
        self.told_where(program("docker"))
    }

    /// A command that talks to this engine, with this engine's credentials.
    fn told_where(&self, mut command: Command) -> Command {
        command
            .env(
                "DOCKER_HOST",
                format!("unix://{}", self.folder.path().join("docker.sock").display()),
            )
            .env("DOCKER_CONFIG", self.folder.path().join("config"))
            // The builder inside the engine: the other one is a plugin that Debian does not have.
            .env("DOCKER_BUILDKIT", "0");
        command
    }

    /// A line for the shell in a folder, in the engine's own network if it has one: what a person types on that machine.
    #[must_use]
    pub fn shell(&self, folder: &Path, line: &str) -> Ran {
        let mut command = program("nsenter");
        self.enter(&mut command, folder);
        command.arg(line);
        run(&mut self.told_where(command))
    }

    /// The same on a terminal, for what asks or goes on.
    #[must_use]
    pub fn terminal(&self, folder: &Path, line: &str) -> Terminal {
        let mut command = Command::new("nsenter");
        self.enter(&mut command, folder);
        command
            .arg("exec script --quiet --return --flush --command \"$LINE\" /dev/null")
            .env("LINE", line);
        Terminal::on(self.told_where(command), |_| {})
    }

    /// The same for a program that runs until the journey is over.
    #[must_use]
    pub fn background(&self, folder: &Path, line: &str) -> Background {
        let mut command = Command::new("nsenter");
        self.enter(&mut command, folder);
        let child = command
            .arg(format!("exec {line}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Background(child.unwrap_or_else(|error| panic!("cannot run `{line}`: {error}")))
    }

    /// Begins a command that types a line on that machine.
    fn enter(&self, command: &mut Command, folder: &Path) {
        command
            .arg(format!("--target={}", self.engine.id()))
            .args(["--net", "--mount", "--"])
            .arg("sh")
            .args(["-euc", "cd \"$0\" && eval \"$1\""])
            .arg(folder)
            .env("PATH", path_with_sbin());
        crate::landfall::remove_settings(command);
    }

    /// Lets the engine trust a certificate authority for one registry; it looks at each request, so nothing is restarted.
    pub fn trust(&self, registry: &str, authority: &Path) {
        let folder = self.folder("etc/certs.d").join(registry);
        fs::create_dir_all(&folder).expect("a folder for a certificate can be made");
        fs::copy(authority, folder.join("ca.crt")).expect("a certificate can be copied");
    }

    /// `docker` with these arguments.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        run(self.command().args(arguments))
    }

    /// Takes every image away. What it keeps of them is their manifests, which a pull by digest does not ask for again.
    pub fn forget_all_images(&self) {
        self.run(&["image", "prune", "--all", "--force"]).succeeded();
    }

    /// `ctr` with these arguments, on the engine's own containerd.
    #[must_use]
    pub fn ctr(&self, arguments: &[&str]) -> Ran {
        let socket = self.folder.path().join("exec/containerd/containerd.sock");
        run(program("ctr")
            .arg("--address")
            .arg(socket)
            .arg("--namespace=journey")
            .args(arguments))
    }

    /// A path in the engine's folder, for what a journey builds.
    #[must_use]
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The digest that docker named when it had pushed or pulled an image.
#[must_use]
pub fn digest_in(said: &Ran) -> String {
    let words = said.stdout();
    let digest = words.split_whitespace().find(|word| word.starts_with("sha256:"));
    digest
        .unwrap_or_else(|| panic!("docker named no digest:\n{words}"))
        .to_owned()
}

/// A program that ends with the journey.
pub struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The engine's first words: names and trust of its own in place of the machine's, then the engine itself.
const APART: &str = r#"
    ip link set lo up
    ip address add "$0/32" dev lo
    mount --bind "$1/hosts" /etc/hosts
    mount --bind "$1/etc" /etc/docker
    shift
    exec dockerd "$@"
"#;

fn new_folder() -> TempDir {
    TempDir::with_prefix("docker-").expect("a temporary folder can be made")
}

/// dockerd calls `containerd` and `runc` by name; an ordinary login has no `sbin` in its path.
fn path_with_sbin() -> String {
    format!(
        "{}:/usr/local/sbin:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    )
}

impl Drop for Docker {
    fn drop(&mut self) {
        // SIGTERM, so that it ends its containerd and takes its mounts away.
        if let Some(pid) = i32::try_from(self.engine.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while Instant::now() < deadline {
            if let Ok(Some(_)) = self.engine.try_wait() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.engine.kill();
        let _ = self.engine.wait();
        let _ = unmount_below(self.folder.path());
    }
}

/// Takes away what is still mounted under a folder, the innermost first.
pub(crate) fn unmount_below(folder: &Path) -> io::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let below = |point: &&str| Path::new(point).starts_with(folder);
    let points: Vec<&str> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(below)
        .collect();
    for point in points.iter().rev() {
        let _ = program("umount").args(["--lazy", point]).status();
    }
    Ok(())
}
