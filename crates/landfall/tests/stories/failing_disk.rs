//! A disk that does not take a flush: the server ends rather than acknowledge what may not be there, and what was
//! acknowledged before is there at the next start.
//!
//! The fault is a small library in front of the system's, which fails the flushes of the catalog's log for as long as a
//! certain file exists. Needs a C compiler, as the build of SQLite does.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::harness::server::Builder;
use crate::harness::{Image, Landfall};

const REPO: &str = "team/app";
const FAULT: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd) {
    const char *when = getenv("FLUSHES_FAIL_WHILE");
    char link[64], path[4096];
    if (when == NULL || access(when, F_OK) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    return length > 4 && memcmp(path + length - 4, "-wal", 4) == 0;
}

int fdatasync(int fd) {
    if (fails(fd)) { errno = EIO; return -1; }
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

int fsync(int fd) {
    if (fails(fd)) { errno = EIO; return -1; }
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(fd);
}
"#;

/// The same server on a disk whose flushes fail while the second answer exists.
fn on_a_failing_disk(builder: Builder) -> (Builder, PathBuf) {
    let source = builder.file("fault.c", FAULT);
    let library = builder.home().join("fault.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output()
        .expect("a C compiler is installed (package gcc), as the build needs it too");
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    let fails_while = builder.home().join("the-disk-fails");
    let builder = builder
        .env("LD_PRELOAD", library)
        .env("FLUSHES_FAIL_WHILE", &fails_while);
    (builder, fails_while)
}

#[test]
fn a_flush_that_fails_ends_the_server_and_acknowledges_nothing() {
    let (builder, fails_while) = on_a_failing_disk(Landfall::builder());
    let mut landfall = builder.start();
    let before = Image::new("before");
    landfall.push(REPO, "before", &before);
    let after = Image::new("after");
    landfall.push_blobs(REPO, &after);
    fs::write(&fails_while, "").unwrap();
    let mut connection = landfall.connect();
    let put = landfall
        .put(&format!("/v2/{REPO}/manifests/after"))
        .header("Content-Type", &after.manifest().media_type)
        .body(after.manifest().bytes)
        .to_bytes();
    connection.try_send(put).ok();
    // An answer may be lost with the process; a good one there must not be.
    if let Ok(answer) = connection.try_answer(false) {
        assert!(answer.status >= 500, "{answer}");
    }
    assert_eq!(landfall.ended(), Some(1));
    assert!(landfall.log().contains("LF-STO-002"), "{}", landfall.log());
    assert!(landfall.log().contains("check the disk"), "{}", landfall.log());
    fs::remove_file(&fails_while).unwrap();
    drop(landfall);
    let landfall = builder.start();
    landfall.expect_image(REPO, "before", &before);
    landfall.push(REPO, "after", &after);
    landfall.expect_image(REPO, "after", &after);
    landfall.stop();
}
