//! `landfall user`: the password file without another tool, and without a password in an argument, a log or a message.
//!
//! Exit codes: 1 refused, 2 wrong usage, 5 no such user, 6 the user exists.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::harness::passwords::bcrypt_line;
use crate::harness::server::{Builder, CommandOutput};
use crate::harness::{Landfall, wait_until};

const PASSWORD: &str = "correct horse battery";

fn with_input(builder: &Builder, args: &[&str], input: &str) -> CommandOutput {
    let mut command = builder.command();
    finish(command.args(args), input)
}

fn finish(command: &mut Command, input: &str) -> CommandOutput {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that does not read its input may be gone already.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    CommandOutput {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn from_nothing_to_a_login_without_another_tool() {
    let builder = Landfall::builder();
    let data = builder.data_dir().to_str().unwrap().to_owned();
    let add = ["user", "add", "busy", "--password-stdin", "--data", &data];
    let added = with_input(&builder, &add, &format!("{PASSWORD}\n"));
    assert_eq!(added.code, Some(0), "{added:?}");
    assert_eq!(added.stdout, format!("added busy to {data}/landfall/htpasswd\n"));
    // Everybody may reach it now: there is a login.
    let landfall = builder.listen(Some("0.0.0.0:0")).start();
    let port = landfall.log().expect_line(&["listening on"]);
    let port: u16 = port
        .split("0.0.0.0:")
        .nth(1)
        .unwrap()
        .trim_matches('"')
        .trim()
        .parse()
        .unwrap();
    let client = crate::harness::Client::new(([127, 0, 0, 1], port).into());
    assert_eq!(client.get("/v2/").send().status, 401);
    assert_eq!(client.as_user("busy", PASSWORD).get("/v2/").send().status, 200);
    // A running server takes up what changes, by itself.
    let how = landfall.how();
    let changed = with_input(
        how,
        &["user", "passwd", "busy", "--password-stdin", "--data", &data],
        "another good one\n",
    );
    assert_eq!(changed.code, Some(0), "{changed:?}");
    wait_until("the new password counts", || {
        client
            .as_user("busy", "another good one")
            .get("/v2/")
            .send()
            .status
            == 200
    });
    assert_eq!(client.as_user("busy", PASSWORD).get("/v2/").send().status, 401);
    assert!(!landfall.log().contains("good one") && !landfall.log().contains("horse"));
}

#[test]
fn a_file_that_people_have_is_kept_line_by_line() {
    let line = bcrypt_line("ann", "bee");
    let builder = Landfall::builder();
    let path = builder.file("htpasswd", format!("# team\r\n{line}\r\nbob:$apr1$x$y\r\n"));
    let builder = builder.htpasswd(&path);
    let added = with_input(&builder, &["user", "add", "busy", "--password-stdin"], PASSWORD);
    assert_eq!(added.code, Some(0), "{added:?}");
    let text = fs::read_to_string(&path).unwrap();
    let rest = format!("# team\r\n{line}\r\nbob:$apr1$x$y\r\n");
    assert!(
        text.starts_with(&rest) && text[rest.len()..].starts_with("busy:$2y$10$"),
        "{text}"
    );
    let listed = builder.run(&["user", "list"]);
    assert_eq!(
        (listed.code, &*listed.stdout),
        (Some(0), "ann\nbob  (cannot log in)\nbusy\n")
    );
    assert!(
        listed.stderr.contains("LF-AUTH-008") && listed.stderr.contains("line 3"),
        "{listed:?}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&builder.run(&["user", "list", "--json"]).stdout).unwrap();
    assert_eq!(json["users"][2]["name"], "busy");
    assert_eq!(json["users"][1]["usable"], false);
    assert_eq!(builder.run(&["user", "rm", "busy"]).code, Some(0));
    assert_eq!(fs::read_to_string(&path).unwrap(), rest);
    // And Apache's own program agrees with what we write.
    with_input(
        &builder,
        &["user", "add", "busy", "--password-stdin", "--cost", "11"],
        PASSWORD,
    );
    let checked = Command::new("htpasswd")
        .arg("-vb")
        .arg(&path)
        .args(["busy", PASSWORD])
        .status()
        .unwrap();
    assert!(checked.success());
}

#[test]
fn weak_passwords_and_impossible_names_are_refused_with_the_way_out() {
    let builder = Landfall::builder();
    let file = builder.home().join("htpasswd");
    let file = file.to_str().unwrap();
    let add = |name: &str, password: &str, more: &[&str]| {
        let mut args = vec!["user", "add", name, "--password-stdin", "--file", file];
        args.extend(more);
        with_input(&builder, &args, password)
    };
    let weak = add("busy", "bee\n", &[]);
    assert_eq!(weak.code, Some(1), "{weak:?}");
    assert_eq!(
        weak.stderr,
        "error[LF-AUTH-015]: the password is 3 characters and easily guessed; use 8 characters or more that nobody guesses, or --allow-weak\n"
    );
    assert_eq!(add("busy", &"x1".repeat(37), &[]).code, Some(1));
    assert_eq!(add("busy", "", &["--allow-weak"]).code, Some(1));
    assert!(add("a:b", PASSWORD, &[]).stderr.contains("LF-AUTH-012"));
    assert!(add("a\nb", PASSWORD, &[]).stderr.contains("LF-AUTH-012"));
    assert!(
        add("busy", PASSWORD, &["--cost", "9"])
            .stderr
            .contains("10 to 17")
    );
    assert!(!fs::exists(file).unwrap(), "nothing was made");
    assert_eq!(add("busy", "bee\n", &["--allow-weak"]).code, Some(0));
    let again = add("busy", PASSWORD, &[]);
    assert!(
        again.code == Some(6) && again.stderr.contains("landfall user passwd busy"),
        "{again:?}"
    );
    for command in ["passwd", "rm"] {
        let args = ["user", command, "nobody", "--file", file];
        let missing = with_input(&builder, &args, "");
        assert!(
            missing.code == Some(5) && missing.stderr.contains("LF-AUTH-017"),
            "{missing:?}"
        );
    }
}

#[test]
fn without_a_terminal_and_without_a_source_it_ends_at_once() {
    let builder = Landfall::builder();
    let output = builder.run(&["user", "add", "busy", "--file", "htpasswd"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("--password-stdin"), "{output:?}");
    let secret = builder.file("secret", format!("{PASSWORD}\n"));
    let from_file = [
        "user",
        "add",
        "busy",
        "--file",
        "htpasswd",
        "--password-file",
        secret.to_str().unwrap(),
        "--json",
    ];
    let output = builder.run(&from_file);
    let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(json["schema"], "landfall.user.add/1");
    assert_eq!(json["file_made"], true);
}

#[test]
fn a_terminal_is_asked_twice_and_shows_nothing() {
    let builder = Landfall::builder();
    let program = env!("CARGO_BIN_EXE_landfall");
    let type_in = |typed: &str| {
        let line = format!("{program} user add busy --file htpasswd");
        let mut script = Command::new("script"); // makes a terminal
        script
            .args(["-qec", &line, "/dev/null"])
            .current_dir(builder.home());
        finish(&mut script, typed)
    };
    let differing = type_in("correct horse battery\nsomething different\n");
    assert!(
        differing.code == Some(1) && differing.stdout.contains("differ"),
        "{differing:?}"
    );
    assert!(!builder.home().join("htpasswd").exists());
    let output = type_in("correct horse battery\ncorrect horse battery\n");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(
        output.stdout.contains("Password for busy:") && output.stdout.contains("added busy"),
        "{output:?}"
    );
}
