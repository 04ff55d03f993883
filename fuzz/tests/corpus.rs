//! Everything that the corpus holds, and everything that is nearly it, is survived; on any compiler.

#![expect(clippy::unwrap_used, reason = "a corpus that cannot be read fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

use fuzz::TARGETS;

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn the_corpus_holds() {
    for (name, target) in TARGETS {
        let files = corpus(name);
        assert!((5..100).contains(&files.len()), "{name}: {} files", files.len());
        for file in files {
            println!("{}", file.display());
            target(&fs::read(&file).unwrap());
        }
    }
}

#[test]
fn what_is_cut_anywhere_holds() {
    for (name, target) in TARGETS {
        for file in corpus(name) {
            println!("{}", file.display());
            let data = fs::read(&file).unwrap();
            let step = data.len() / 1000 + 1;
            (0..data.len()).step_by(step).for_each(|end| target(&data[..end]));
        }
    }
}

#[test]
fn what_has_one_byte_changed_holds() {
    for (name, target) in TARGETS {
        for file in corpus(name) {
            println!("{}", file.display());
            let mut data = fs::read(&file).unwrap();
            let step = data.len() / 300 + 1;
            for at in (0..data.len()).step_by(step) {
                let byte = data[at];
                for change in [
                    0,
                    b'"',
                    b'\n',
                    b'%',
                    b'/',
                    0xFF,
                    byte ^ 0x20,
                    byte.wrapping_add(1),
                ] {
                    data[at] = change;
                    target(&data);
                }
                data[at] = byte;
            }
        }
    }
}

#[test]
fn every_target_has_its_program_and_its_corpus() {
    let names = |folder: &str| {
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    };
    let targets: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
}
