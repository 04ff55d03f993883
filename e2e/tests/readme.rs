//! The README, followed to the letter on a machine that never saw a registry: every command in it is typed.
//!
//! `cargo run --release` is answered by a program of that name that runs the program under test, which was built before.
//! The machine has an engine, a network and an `/etc/docker` of its own.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use e2e::command::Ran;
use e2e::dice::Dice;
use e2e::docker::Docker;
use e2e::image::write_build_folder;
use e2e::landfall;
use e2e::pages::{self, Block};
use tempfile::TempDir;

const READY_SECONDS_MAX: u64 = 60;

/// A machine with an engine, and the folder in which the reader sits.
struct Reader {
    docker: Docker,
    folder: TempDir,
}

impl Reader {
    fn new() -> Self {
        let folder = TempDir::with_prefix("readme-").unwrap();
        let reader = Self {
            docker: Docker::start_apart(&[]),
            folder,
        };
        let landfall = landfall::program().canonicalize().unwrap();
        let landfall = landfall.display();
        reader.has_program("landfall", &format!("exec {landfall} \"$@\""));
        reader.has_program(
            "cargo",
            &format!("test \"$*\" = 'run --release' || exit 64\nexec {landfall}"),
        );
        write_build_folder(
            reader.folder.path(),
            &[("content", &Dice::new(11).bytes(100_000))],
        );
        reader
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn has_program(&self, name: &str, script: &str) {
        let path = self.at("programs").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Types a command in the folder.
    fn types(&self, command: &str) -> Ran {
        println!("{command}");
        let path = "PATH=$PWD/programs:$PATH";
        self.docker
            .shell(self.folder.path(), &format!("{path}; {command}"))
    }

    /// Starts a server in the folder, and waits until it says that it is ready.
    fn serves(&self, command: &str, ready: &str) -> Server<'_> {
        fs::write(self.at("server.sh"), format!("echo $$ > server.pid\n{command}\n")).unwrap();
        fs::write(self.at("server.log"), "").unwrap();
        self.types("setsid sh server.sh > server.log 2>&1 < /dev/null &")
            .succeeded();
        let server = Server(self);
        let deadline = Instant::now() + Duration::from_secs(READY_SECONDS_MAX);
        while !server.log().contains(ready) {
            assert!(Instant::now() < deadline, "never said {ready}:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }
}

/// A server in the reader's terminal; it ends when it is dropped, as with Ctrl-C.
struct Server<'r>(&'r Reader);

impl Server<'_> {
    fn log(&self) -> String {
        fs::read_to_string(self.0.at("server.log")).unwrap()
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let ended = self
            .0
            .types("group=-$(cat server.pid); kill -TERM $group; while kill -0 $group 2> server.end; do sleep 0.05; done");
        if !std::thread::panicking() {
            ended.succeeded();
            assert!(self.log().contains("stopped"), "{}", self.log());
        }
    }
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let reader = Reader::new();
    fs::write(
        reader.at("config.yml"),
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /var/lib/registry\nhttp:\n  addr: :5000\nauth: none\n",
    )
    .unwrap();
    let mut server: Option<Server<'_>> = None;
    let mut pushed = String::new();
    let (mut starts, mut pulls) = (0, 0);
    for block in pages::blocks(&pages::read("README.md")) {
        match block {
            Block::Serve {
                first,
                server: command,
                ready,
            } => {
                drop(server.take());
                for command in first {
                    reader.types(&command).succeeded();
                }
                server = Some(reader.serves(&command, &ready));
                starts += 1;
            }
            Block::Run(commands) => {
                for command in commands {
                    let ran = reader.types(&command.replace("sha256:…", &pushed)).succeeded();
                    if let Some((_, rest)) = ran.stdout().split_once("digest: ") {
                        rest.split_whitespace()
                            .next()
                            .unwrap_or_default()
                            .clone_into(&mut pushed);
                    }
                    pulls += usize::from(command.starts_with("docker pull"));
                }
            }
            Block::NotRun(_) => {}
            Block::File(..) | Block::Typing(..) | Block::Listening(_) => {
                panic!("nobody here knows how to do this: {block:?}")
            }
        }
    }
    assert_eq!((starts, pulls), (2, 1), "both servers, and a pull");
    assert!(reader.at("landfall-data/landfall").is_dir());
    reader
        .types("docker login --username busy --password wasp 127.0.0.1:5000")
        .failed();
    reader
        .types("docker login --username busy --password bee 127.0.0.1:5000")
        .succeeded();
    assert!(reader.at("data/landfall").is_dir());
}

/// The trap: another registry's configuration lies where Landfall looks, and the data are suddenly elsewhere.
#[test]
fn a_configuration_that_was_left_on_the_machine_is_named_in_the_first_lines() {
    let reader = Reader::new();
    let theirs = reader.docker.folder("etc/registry");
    fs::create_dir_all(&theirs).unwrap();
    fs::write(
        theirs.join("config.yml"),
        format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:5001'}}\n",
            reader.at("theirs").display()
        ),
    )
    .unwrap();
    let server = reader.serves("cargo run --release", "listening on 127.0.0.1:5001");
    let log = server.log();
    let first = log.lines().next().unwrap_or_default();
    assert!(
        first.contains("/etc/docker/registry/config.yml") && first.contains("--config"),
        "{log}"
    );
}

#[test]
fn the_chinese_readme_tells_people_to_do_the_same() {
    assert_eq!(
        pages::blocks(&pages::read("README.md")),
        pages::blocks(&pages::read("README.zh-CN.md"))
    );
}
