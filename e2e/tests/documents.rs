//! What the documents tell a person to type is typed here, and the Chinese pages tell the same.
//!
//! Shape: in a page, `<!-- file: NAME -->` before a block makes that file, `<!-- run -->` before a console block types its
//! lines that start with `$ `, in the page's order, in one folder. A console block that cannot be run says why:
//! `<!-- not run: REASON -->`. No other console block may stand in a page.

use std::fs;
use std::path::PathBuf;

use e2e::compose::Machine;
use e2e::dice::Dice;
use e2e::image::write_build_folder;

#[derive(Debug, PartialEq)]
enum Block {
    File(String, String),
    Run(Vec<String>),
    NotRun(Vec<String>),
}

fn page(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks that mean something to the runner.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut marker = "";
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let comment = marker.trim_start_matches("<!-- ").trim_end_matches(" -->");
            let typed = || body.iter().filter_map(|line| line.strip_prefix("$ "));
            // What stands behind ` # ` is for the reader, in the reader's language.
            let typed = || typed().map(|line| line.split("  # ").next().unwrap_or(line).trim().to_owned());
            if let Some(name) = comment.strip_prefix("file: ") {
                blocks.push(Block::File(name.to_owned(), body.join("\n") + "\n"));
            } else if comment == "run" {
                blocks.push(Block::Run(typed().collect()));
            } else if comment.starts_with("not run: ") {
                blocks.push(Block::NotRun(typed().collect()));
            } else {
                assert_ne!(language, "console", "neither run nor explained: {body:?}");
            }
            marker = "";
        } else if !line.is_empty() {
            marker = if line.starts_with("<!-- ") { line } else { "" };
        }
    }
    blocks
}

/// Does what a page says, as its reader does.
fn follow(machine: &Machine, name: &str, after: &dyn Fn(&str)) {
    let blocks = blocks(&page(name));
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
            Block::NotRun(_) => {}
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
    follow(&prepared(), "from-registry.md", &|_| {});
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
fn the_chinese_pages_tell_people_to_do_the_same() {
    for name in ["behind-a-proxy.md", "from-registry.md", "lan.md", "tutorial.md"] {
        assert_eq!(
            blocks(&page(name)),
            blocks(&page(&format!("zh-CN/{name}"))),
            "{name}"
        );
    }
}
