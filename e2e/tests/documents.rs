//! What the documents tell a person to type is typed here, and the Chinese pages tell the same. The page about adopting has
//! its own journey, in `adopt/documents.rs`; those about history, space and the admin API are followed in `admin_pages.rs`.
//!
//! Shape: see [`e2e::pages`] for what the comments in a page mean.

use std::fs;
use std::path::PathBuf;

use e2e::compose::Machine;
use e2e::dice::Dice;
use e2e::image::write_build_folder;
use e2e::pages::{self, Block};

fn blocks(name: &str) -> Vec<Block> {
    pages::blocks(&pages::read(&format!("docs/{name}")))
}

/// Does what a page says, as its reader does.
fn follow(machine: &Machine, name: &str, after: &dyn Fn(&str)) {
    let blocks = blocks(name);
    assert!(
        blocks.iter().any(|block| matches!(block, Block::Run(_))),
        "{name} tells nothing to do"
    );
    for block in blocks {
        match block {
            Block::File(name, text) => machine.writes(&name, text),
            Block::Run(lines) => lines.iter().for_each(|line| {
                println!("{name}: {line}");
                machine.types(line).succeeded();
                if line.contains("up -d") {
                    machine.waits_until_healthy("registry");
                }
                after(line);
            }),
            Block::Typing(text, lines) => lines.iter().for_each(|line| {
                println!("{name}, on a terminal: {line}");
                let mut terminal = machine.sits_at(line);
                terminal.shows("Password for").types(&text);
                terminal.shows("The same again").types(&text);
                let (code, shown) = terminal.ends();
                assert_eq!(code, Some(0), "{shown}");
                assert!(!shown.contains(&text), "a password is not shown: {shown}");
                after(line);
            }),
            Block::Serve { .. } | Block::Listening(_) | Block::NotRun(_) => {
                panic!(
                    "{name}: what serves in these pages runs in a container, and everything is done: {block:?}"
                )
            }
        }
    }
}

/// The reader has a name, certificates for it, and an image to build.
fn prepared() -> Machine {
    let machine = Machine::default();
    machine.has_nginx();
    machine.makes_certificates();
    write_build_folder(&machine.at("hello"), &[("file", &Dice::new(8).bytes(3_000_000))]);
    machine
}

/// The journeys run as root, who may have no `sudo`.
fn as_root(machine: &Machine) {
    machine
        .types("command -v sudo || { mount -t tmpfs none /usr/local/sbin; printf '#!/bin/sh\\nexec \"$@\"\\n' > /usr/local/sbin/sudo; chmod +x /usr/local/sbin/sudo; }")
        .succeeded();
}

#[test]
fn behind_a_proxy() {
    let machine = prepared();
    follow(&machine, "behind-a-proxy.md", &|_| {});
    for (shown, packaged) in [
        ("docker-compose.yml", "docker-compose.yml"),
        ("nginx/registry.conf", "nginx/registry.conf"),
    ] {
        let packaged = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../packaging/compose-nginx")
            .join(packaged);
        assert_eq!(
            fs::read_to_string(machine.at(shown)).unwrap(),
            fs::read_to_string(packaged).unwrap(),
            "the page shows what packaging/ holds"
        );
    }
}

#[test]
fn coming_from_the_registry_container() {
    let machine = prepared();
    machine.has_the_older_registry();
    follow(&machine, "from-registry.md", &|line| {
        // The older image has no health check, so a person waits until it answers.
        if line.contains("up -d") {
            machine
                .types("curl -sS -o /dev/null --retry 60 --retry-all-errors --retry-delay 1 http://127.0.0.1:5000/v2/")
                .succeeded();
        }
    });
    machine
        .types("docker-compose exec -T registry landfall version")
        .failed(); // it is the older one that gave the image back
}

/// A machine without the world around it: no public authority answers, so the registry makes do with its own.
#[test]
fn without_a_public_name() {
    let machine = prepared();
    as_root(&machine);
    follow(&machine, "lan.md", &|_| {});
}

#[test]
fn the_tutorial() {
    let machine = prepared();
    as_root(&machine);
    // What a public certificate would save the reader.
    follow(&machine, "tutorial.md", &|line| {
        if line.contains("user add") {
            machine
                .types("docker-compose exec -T registry landfall tls trust --print docker | sh")
                .succeeded();
        }
    });
}

#[test]
fn every_page_with_commands_is_followed_and_the_chinese_ones_tell_people_to_do_the_same() {
    let followed = [
        "adopt.md",
        "air-gap.md",
        "backup.md",
        "api.md",
        "behind-a-proxy.md",
        "commands.md",
        "from-registry.md",
        "history.md",
        "integrity.md",
        "lan.md",
        "limits.md",
        "retention.md",
        "space.md",
        "tutorial.md",
    ];
    for name in pages::all() {
        let blocks = blocks(&name);
        assert!(
            blocks.is_empty() || followed.contains(&name.as_str()),
            "nobody does what {name} says"
        );
        if !blocks.is_empty() {
            assert_eq!(blocks, self::blocks(&format!("zh-CN/{name}")), "{name}");
        }
    }
}
