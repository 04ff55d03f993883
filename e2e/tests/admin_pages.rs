//! The pages about history, space, damage, rules and the admin API, followed to the letter beside a running server: every
//! command in them is typed, on a machine where ports are free.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use e2e::command::Ran;
use e2e::dice::Dice;
use e2e::docker::{Docker, digest_in};
use e2e::image::write_build_folder;
use e2e::landfall;
use e2e::pages::{self, Block};
use tempfile::TempDir;

const READY_SECONDS_MAX: u64 = 60;
const PASSWORD: &str = "a long sentence of bees";
/// Where the server says that it is ready.
const READY: &str = "listening on 127.0.0.1:5000";

/// A machine with an engine, and the folder in which the admin sits.
struct Admin {
    docker: Docker,
    folder: TempDir,
}

impl Admin {
    fn new() -> Self {
        let folder = TempDir::with_prefix("admin-").unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        symlink(landfall::program(), folder.path().join("bin/landfall")).unwrap();
        write_build_folder(folder.path(), &[("content", &Dice::new(12).bytes(100_000))]);
        Self {
            docker: Docker::start_apart(&[]),
            folder,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn line(command: &str) -> String {
        let defaults = concat!(env!("CARGO_MANIFEST_DIR"), "/defaults.yaml");
        format!(
            "export PATH=\"$PWD/bin:$PATH\" LANDFALL_CONFIG='{defaults}' PASSWORD='{PASSWORD}'; {command}"
        )
    }

    fn types(&self, command: &str) -> Ran {
        println!("{command}");
        self.docker.shell(self.folder.path(), &Self::line(command))
    }

    /// Starts a server in the folder, and waits until it says that it is ready.
    fn serves(&self, command: &str, ready: &str) -> Server<'_> {
        fs::write(
            self.at("server.sh"),
            format!("echo $$ > server.pid\nexec {command}\n"),
        )
        .unwrap();
        fs::write(self.at("server.log"), "").unwrap();
        self.types("setsid sh server.sh > server.log 2>&1 < /dev/null &")
            .succeeded();
        let deadline = Instant::now() + Duration::from_secs(READY_SECONDS_MAX);
        let log = || fs::read_to_string(self.at("server.log")).unwrap();
        while !log().contains(ready) {
            assert!(Instant::now() < deadline, "never said {ready}:\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Server(self)
    }

    /// Does what a page says, as its reader does; how many commands were typed.
    fn follow(&self, page: &str) -> usize {
        self.follow_and_look(page, |_| {})
    }

    /// The same for who looks what came of each command.
    fn follow_and_look(&self, page: &str, look: impl Fn(&str)) -> usize {
        let (mut typed, mut server) = (0, None);
        for block in pages::blocks(&pages::read(&format!("docs/{page}"))) {
            match block {
                Block::Run(lines) => {
                    for line in lines {
                        let ran = self.types(&line).succeeded();
                        assert!(
                            !ran.stdout().starts_with("{\"error\""),
                            "{line}: {}",
                            ran.stdout()
                        );
                        typed += 1;
                        look(&line);
                    }
                }
                Block::Typing(text, lines) => {
                    for line in lines {
                        let mut terminal = self.docker.terminal(self.folder.path(), &Self::line(&line));
                        terminal.shows("Password for").types(&text);
                        terminal.shows("The same again").types(&text);
                        let (code, shown) = terminal.ends();
                        assert_eq!(code, Some(0), "{shown}");
                    }
                }
                Block::Serve {
                    first,
                    server: command,
                    ready,
                } => {
                    for line in first {
                        self.types(&line).succeeded();
                    }
                    server = Some(self.serves(&command, &ready));
                }
                Block::NotRun(_) => {}
                Block::File(..) | Block::Listening(_) => {
                    panic!("nobody here knows how to do this: {block:?}")
                }
            }
        }
        drop(server);
        typed
    }
}

/// A running server; it ends when it is dropped.
struct Server<'a>(&'a Admin);

impl Drop for Server<'_> {
    fn drop(&mut self) {
        self.0
            .types("kill -TERM $(cat server.pid); while kill -0 $(cat server.pid) 2> server.end; do sleep 0.05; done")
            .succeeded();
    }
}

#[test]
fn the_page_about_the_admin_api_can_be_followed() {
    let admin = Admin::new();
    assert!(admin.follow("api.md") >= 6);
}

/// What the page promises of docker is so: the earlier image after a rollback, help where something was deleted, and all of
/// it back.
#[test]
fn the_page_about_history_can_be_followed() {
    let admin = Admin::new();
    let _server = admin.serves("landfall serve", READY);
    let push = |tag: &str, seed: u64| {
        write_build_folder(
            admin.folder.path(),
            &[("content", &Dice::new(seed).bytes(100_000))],
        );
        let image = format!("127.0.0.1:5000/team/app:{tag}");
        let line = format!("docker build --tag {image} . > built && docker push {image}");
        digest_in(&admin.types(&line).succeeded())
    };
    let pull = |tag: &str| {
        admin.docker.forget_all_images();
        admin.types(&format!("docker pull 127.0.0.1:5000/team/app:{tag}"))
    };
    let good = push("latest", 13);
    assert_eq!(push("1.2", 13), good);
    let wrong = push("latest", 14);
    assert_eq!(digest_in(&pull("latest").succeeded()), wrong);
    let page = pages::read("docs/history.md");
    // All of it but who and when.
    let what = "not found: manifest unknown: team/app:1.2 was deleted ";
    let how = "; `landfall trash restore team/app:1.2` brings it back until ";
    let typed = admin.follow_and_look("history.md", |line| {
        if line.contains("tag rollback") && line.contains("--yes") {
            assert_eq!(digest_in(&pull("latest").succeeded()), good);
        } else if line.contains("tag delete") {
            let told = pull("1.2").failed();
            assert!(
                page.contains(what) && page.contains(how),
                "the page shows what docker says"
            );
            told.says(what).says(how);
        } else if line.contains("trash restore") || line.contains("repo restore") {
            assert_eq!(digest_in(&pull("1.2").succeeded()), good);
        } else if line.contains("repo delete") {
            pull("1.2").failed().says("`landfall trash restore team/app`");
        }
    });
    assert!(typed >= 9);
}

#[test]
fn the_page_about_space_can_be_followed() {
    let admin = Admin::new();
    let _server = admin.serves("landfall serve", READY);
    for line in [
        "docker build --tag 127.0.0.1:5000/team/app:1.0 .",
        "docker push 127.0.0.1:5000/team/app:1.0",
    ] {
        admin.types(line).succeeded();
    }
    assert!(admin.follow("space.md") >= 8);
}

#[test]
fn the_page_about_damage_can_be_followed() {
    let admin = Admin::new();
    let _server = admin.serves("landfall serve", READY);
    for line in [
        "docker build --tag 127.0.0.1:5000/team/app:1.0 .",
        "docker push 127.0.0.1:5000/team/app:1.0",
    ] {
        admin.types(line).succeeded();
    }
    assert!(admin.follow("integrity.md") >= 7);
}

#[test]
fn the_pages_about_rules_can_be_followed() {
    let admin = Admin::new();
    let _server = admin.serves("landfall serve", READY);
    for line in [
        "docker build --tag 127.0.0.1:5000/team/app:1.0 .",
        "docker push 127.0.0.1:5000/team/app:1.0",
    ] {
        admin.types(line).succeeded();
    }
    assert!(admin.follow("retention.md") >= 7);
    assert!(admin.follow("limits.md") >= 10);
}
