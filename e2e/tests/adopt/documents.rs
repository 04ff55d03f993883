//! What the page about coming from another registry, and the page of commands, tell a person to type is typed here, on a machine
//! where ports are free and `registry.example.com` is another registry, over HTTPS and with a password.

use std::fs;
use std::os::unix::fs::symlink;

use e2e::command::{program, run};
use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::docker::{Background, Docker};
use e2e::image::Image;
use e2e::landfall;
use e2e::old_registry::{OldRegistry, fingerprint, holdings};
use e2e::pages::{self, Block};
use e2e::papers::{NAME, Papers};

use crate::folder::{Tree, landfall_says};

const PASSWORD: &str = "a long sentence of bees";

/// A folder in which somebody works, on a machine apart.
struct Desk {
    docker: Docker,
    machine: Containers,
    papers: Papers,
}

impl Desk {
    /// With `landfall` in the path and nothing configured.
    fn new() -> Self {
        let desk = Self {
            docker: Docker::start_apart(&[NAME]),
            machine: Containers::default(),
            papers: Papers::default(),
        };
        fs::create_dir(desk.machine.folder("bin")).unwrap();
        symlink(landfall::program(), desk.machine.folder("bin/landfall")).unwrap();
        desk
    }

    /// The line as this person's shell has it.
    fn line(&self, line: &str) -> String {
        let at = |name: &str| self.machine.folder(name).display().to_string();
        let defaults = concat!(env!("CARGO_MANIFEST_DIR"), "/defaults.yaml");
        format!(
            "export PATH=\"{}:$PATH\" LANDFALL_CONFIG='{defaults}' SSL_CERT_FILE='{}' PASSWORD='{PASSWORD}'; {line}",
            at("bin"),
            self.papers.at("ca.pem").display()
        )
    }

    /// Another registry, at a name of its own; it goes with what is answered.
    fn has_a_registry_with(&self, tree: &Tree) -> Background {
        self.papers.certificate("old", NAME, 9, "ca");
        let htpasswd = run(program("htpasswd").args(["-Bbn", "busy", PASSWORD]));
        fs::write(self.papers.at("htpasswd"), htpasswd.succeeded().stdout() + "\n").unwrap();
        let at = |name: &str| self.papers.at(name).display().to_string();
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '127.0.0.1:443', tls: {{certificate: {}, key: {}}}}}\nauth: {{htpasswd: {{realm: old, path: {}}}}}\n",
            tree.0.display(),
            at("old.pem"),
            at("old.key"),
            at("htpasswd")
        );
        fs::write(self.papers.at("config.yml"), config).unwrap();
        let folder = self.papers.at(".");
        let registry = self
            .docker
            .background(&folder, "docker-registry serve config.yml");
        self.docker
            .shell(
                &folder,
                &format!("curl -sS --retry 60 --retry-connrefused --retry-delay 1 --cacert ca.pem https://{NAME}/v2/"),
            )
            .succeeded();
        registry
    }

    /// Does what a page says, as its reader does.
    fn follow(&self, page: &str) {
        let folder = self.machine.folder(".");
        for block in pages::blocks(&pages::read(&format!("docs/{page}"))) {
            match block {
                Block::File(..) | Block::Serve { .. } | Block::NotRun(_) => {
                    panic!("{page} makes no file, keeps no server, and everything in it is done: {block:?}")
                }
                Block::Run(lines) => {
                    for line in lines {
                        println!("{page}: {line}");
                        self.docker.shell(&folder, &self.line(&line)).succeeded();
                    }
                }
                Block::Typing(text, lines) => {
                    for line in lines {
                        println!("{page}, on a terminal: {line}");
                        let mut terminal = self.docker.terminal(&folder, &self.line(&line));
                        terminal.shows("Password for").types(&text);
                        terminal.shows("The same again").types(&text);
                        let (code, shown) = terminal.ends();
                        assert_eq!(code, Some(0), "{shown}");
                    }
                }
                Block::Listening(lines) => {
                    for line in lines {
                        println!("{page}, until it listens: {line}");
                        // The program itself: a shell that waits for it may take Ctrl-C for its own end, and tell that instead.
                        let line = self.line(&format!("exec env {line}"));
                        let mut terminal = self.docker.terminal(&folder, &line);
                        terminal
                            .shows("listening on")
                            .shows("took over the older registry's data");
                        terminal.interrupts();
                        let (code, shown) = terminal.ends();
                        assert_eq!(code, Some(0), "{shown}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_page_about_another_registry_can_be_followed() {
    let desk = Desk::new();
    let image = |seed| Image::of_layers(vec![Dice::new(seed).bytes(100_000)], "amd64", None);
    let tree = Tree(desk.machine.folder("registry").join("data"));
    tree.put("team/app", "1.0", &image(1));
    let other = Tree(desk.papers.at("other"));
    other.put("far/away", "1.0", &image(2));
    let before = fingerprint(&tree.0);
    let running = desk.has_a_registry_with(&other);
    desk.follow("adopt.md");
    drop(running);
    // No content that was there already was written again, whatever was added beside it.
    let after = fingerprint(&tree.0);
    let content: Vec<_> = before
        .iter()
        .filter(|(path, _)| path.contains("/blobs/") && path.ends_with("/data"))
        .collect();
    assert_eq!(content.len(), 3, "{before:#?}");
    for (path, print) in content {
        assert_eq!(after.get(path), Some(print), "{path}");
    }
    let old = OldRegistry::serve(&tree.0);
    let held = holdings(old.address());
    for tag in ["team/app:1.0", "far/away:1.0"] {
        assert!(held.contains_key(tag), "{tag}: {held:#?}");
    }
}

#[test]
fn the_page_of_commands_can_be_followed() {
    let desk = Desk::new();
    desk.follow("commands.md");
    let data = desk.machine.folder("landfall-data").display().to_string();
    landfall_says(&["user", "list", "--data", &data])
        .succeeded()
        .says("busy");
}
