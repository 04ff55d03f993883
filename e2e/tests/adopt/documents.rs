//! What the page about coming from another registry tells a person to type is typed here, in a folder as the page has it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use e2e::command::{program, run};
use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::image::Image;
use e2e::landfall;
use e2e::old_registry::{OldRegistry, fingerprint, holdings};

use crate::folder::{Tree, without_settings};

/// The lines after `$ ` of a page's console blocks, and whether they are to be run.
fn lines(page: &str) -> Vec<(bool, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let page = fs::read_to_string(path).unwrap();
    let (mut found, mut is_run) = (Vec::new(), false);
    for line in page.lines() {
        if let Some(marker) = line.strip_prefix("<!-- ") {
            is_run = marker.starts_with("run ");
            assert!(is_run || marker.starts_with("not run: "), "{line}");
        } else if let Some(typed) = line.strip_prefix("$ ") {
            found.push((is_run, typed.to_owned()));
        }
    }
    found
}

#[test]
fn the_page_can_be_followed_and_the_chinese_one_says_the_same() {
    let machine = Containers::default();
    let tree = Tree(machine.folder("registry").join("data"));
    let image = Image::of_layers(vec![Dice::new(1).bytes(100_000)], "amd64", None);
    tree.put("team/app", "1.0", &image);
    let before = fingerprint(&tree.0);
    fs::create_dir(machine.folder("bin")).unwrap();
    symlink(landfall::program(), machine.folder("bin").join("landfall")).unwrap();
    let page = lines("adopt.md");
    assert!(page.iter().filter(|(is_run, _)| *is_run).count() >= 5, "{page:?}");
    for (_, line) in page.iter().filter(|(is_run, _)| *is_run) {
        println!("{line}");
        let path = format!(
            "{}:{}",
            machine.folder("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let mut shell = program("sh");
        shell
            .args(["-c", line])
            .current_dir(machine.folder("."))
            .env("PATH", path);
        run(without_settings(&mut shell)).succeeded();
    }
    // Everything was there already, so giving it back changed no file; only an index of the tag's history may be new.
    let after = fingerprint(&tree.0.join("docker/registry/v2/blobs"));
    assert!(after.iter().all(|(path, print)| before.get(path) == Some(print)));
    let old = OldRegistry::serve(&tree.0);
    assert!(holdings(old.address()).contains_key("team/app:1.0"));
    assert_eq!(lines("zh-CN/adopt.md"), page);
}
