//! The mistakes that people make when they follow a tutorial: each has a sentence that says what to do, and an exit code.
//!
//! Needs root (to drop it, and to mount a small disk). Exit codes: 1 failed, 3 configuration, 6 held, 9 no room.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use crate::harness::Landfall;
use crate::harness::disk::SmallDisk;
use crate::harness::passwords::bcrypt_line;
use crate::harness::server::{Builder, Refusal};

const NOBODY: u32 = 65534;

/// The sentence, with what differs from run to run replaced.
fn expect(refusal: &Refusal, code: i32, home: &Path, text: &str) {
    let said = refusal.text.replace(home.to_str().unwrap(), "HOME");
    assert_eq!(refusal.code, Some(code), "{said}");
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("time=")).collect();
    assert_eq!(lines.join("\n"), text.trim_end());
}

/// A command of the program as a user that is not root, in a home that this user may enter.
fn as_nobody(builder: &Builder, args: &[&str]) -> std::process::Output {
    fs::set_permissions(builder.home(), fs::Permissions::from_mode(0o755)).unwrap();
    let id = NOBODY.to_string();
    let mut command = Command::new("setpriv");
    builder.shield(&mut command);
    command
        .args(["--reuid", &id, "--regid", &id, "--clear-groups"])
        .arg(env!("CARGO_BIN_EXE_landfall"))
        .args(args)
        .arg("--data")
        .arg(builder.data_dir())
        .output()
        .expect("setpriv runs (package util-linux)")
}

fn serve_as_nobody(builder: &Builder) -> Refusal {
    let output = as_nobody(builder, &["serve", "--listen", "127.0.0.1:0"]);
    Refusal {
        code: output.status.code(),
        text: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn the_password_file_is_missing() {
    let builder = Landfall::builder();
    let path = builder.home().join("registry.password");
    let builder = builder.htpasswd(&path);
    expect(
        &builder.start_refused(),
        1,
        builder.home(),
        "\
error[LF-AUTH-001]: HOME/registry.password does not exist
  why   it is the password file, and without it nobody could log in
  fix   make it:  landfall user add <name> --file HOME/registry.password
        or, in a container, mount it there (htpasswd -B makes such files too)",
    );
}

#[test]
fn a_directory_is_in_the_place_of_the_password_file() {
    let builder = Landfall::builder();
    let path = builder.home().join("registry.password");
    fs::create_dir(&path).unwrap();
    let builder = builder.htpasswd(&path);
    expect(
        &builder.start_refused(),
        1,
        builder.home(),
        "\
error[LF-STO-003]: HOME/registry.password is a directory
  why   a bind mount of a file that does not exist on the host makes a directory in its place
  fix   docker compose down && rmdir ./registry.password && touch ./registry.password && docker compose up -d
        then, in the container:  landfall user add <name>
        (./registry.password: the left side of the mount, on the host)",
    );
}

/// As the configuration that Debian ships for the older registry has it: the folder of that configuration itself.
#[test]
fn a_folder_of_other_things_is_named_as_the_password_file() {
    let builder = Landfall::builder();
    let path = builder.home().join("registry");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("config.yml"), "version: 0.1\n").unwrap();
    let builder = builder.htpasswd(&path);
    expect(
        &builder.start_refused(),
        1,
        builder.home(),
        "\
error[LF-STO-003]: HOME/registry is a directory
  why   the password file is meant, and this is a folder with other files in it
  fix   name the file itself, such as HOME/registry/htpasswd, in auth.htpasswd.path or REGISTRY_AUTH_HTPASSWD_PATH
        and make it, if it is not there:  landfall user add <name> --file HOME/registry/htpasswd",
    );
}

#[test]
fn the_password_file_is_empty() {
    let (landfall, path) = Landfall::with_users("");
    let line = landfall.log().expect_line(&["nobody can log in"]);
    let sentence = "has no entry that can be used: nobody can log in until: landfall user add <name> --file";
    assert!(
        line.contains(sentence) && line.contains(path.to_str().unwrap()),
        "{line}"
    );
}

#[test]
fn the_password_file_has_the_line_ends_of_windows() {
    let (landfall, _) = Landfall::with_users(&format!("{}\r\n", bcrypt_line("busy", "bee")));
    assert_eq!(landfall.as_user("busy", "bee").get("/v2/").send().status, 200);
    landfall.log().expect_clean();
}

#[test]
fn the_password_file_may_not_be_read() {
    let builder = Landfall::builder();
    let path = builder.file("registry.password", bcrypt_line("busy", "bee"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let builder = builder.htpasswd(&path);
    expect(
        &serve_as_nobody(&builder),
        1,
        builder.home(),
        "\
error[LF-AUTH-003]: HOME/registry.password cannot be read: Permission denied (os error 13)
  fix   let the user that Landfall runs as read it, e.g.  chmod 0640 HOME/registry.password  and its group",
    );
}

#[test]
fn the_port_is_in_use() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let builder = Landfall::builder().listen(Some(&address.to_string()));
    expect(
        &builder.start_refused(),
        1,
        builder.home(),
        &format!(
            "\
error[LF-SRV-002]: cannot listen on {address}: Address already in use (os error 98)
  fix   stop what listens there, or choose another with --listen"
        ),
    );
}

#[test]
fn the_data_folder_may_not_be_written() {
    let builder = Landfall::builder();
    fs::create_dir(builder.data_dir()).unwrap();
    expect(
        &serve_as_nobody(&builder),
        1,
        builder.home(),
        "\
error[LF-STO-001]: cannot make HOME/data/landfall: Permission denied (os error 13)
  why   HOME/data belongs to user 0 (mode 755), and this server runs as user 65534
  fix   chown -R 65534 HOME/data        or run the server as user 0",
    );
    // And with the fix it starts far enough to listen.
    chown(builder.data_dir(), Some(NOBODY), Some(NOBODY)).unwrap();
    let doctor = as_nobody(&builder, &["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(
        said.contains("✓ disk") && !said.contains("cannot be written"),
        "{said}"
    );
}

#[test]
fn the_disk_is_full() {
    let disk = SmallDisk::mount(1024 * 1024);
    let _ballast = disk.fill_but(0);
    let builder = Landfall::builder().data(disk.path().join("data"));
    let refusal = builder.start_refused();
    expect(
        &refusal,
        9,
        disk.path(),
        "\
error[LF-STO-005]: the disk of HOME/data is full
  fix   make room, then start again; nothing was changed",
    );
}

#[test]
fn a_key_has_a_typo() {
    let builder = Landfall::builder().config("version: 0.1\nlog:\n  levl: debug\n");
    expect(
        &builder.start_refused(),
        3,
        builder.home(),
        "\
error[LF-CFG-012]: unknown key `levl`
 ┌─ HOME/landfall.yaml:3:3
3│   levl: debug
 │   ^^^^ did you mean `level`?
 = least important lines to write; see `landfall config explain log.level`",
    );
}

#[test]
fn a_line_is_indented_wrongly() {
    let builder = Landfall::builder().config("version: 0.1\nhttp:\n  addr: 127.0.0.1:0\n   prefix: /reg/\n");
    let refusal = builder.start_refused();
    refusal.expect_invalid_configuration(&["landfall.yaml:4:", "LF-CFG-002"]);
    // A section that lost its indentation is known by its word.
    let builder = Landfall::builder().config("version: 0.1\nstorage:\nfilesystem:\n  rootdirectory: /x\n");
    expect(
        &builder.start_refused(),
        3,
        builder.home(),
        "\
error[LF-CFG-012]: unknown key `filesystem`
 ┌─ HOME/landfall.yaml:3:1
3│ filesystem:
 │ ^^^^^^^^^^ did you mean `storage.filesystem`?
 = see `landfall config explain storage.filesystem`",
    );
}

#[test]
fn a_second_server_has_the_folder() {
    let first = Landfall::start();
    let refusal = first.how().start_refused();
    expect(
        &refusal,
        6,
        first.how().home(),
        &format!(
            "\
error[LF-STO-004]: HOME/data/landfall is in use by process {}: stop that server, or give this one another root directory",
            first.pid()
        ),
    );
}
