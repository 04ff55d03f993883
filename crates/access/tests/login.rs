//! Logging in: who gets in, what is answered to whom does not, and what it costs.

mod desk;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use access::{Authenticator, Htpasswd, Rejected};
use desk::{BUSY_BEE, Desk, basic, line};

#[tokio::test]
async fn a_file_made_by_the_real_tool_lets_its_user_in() {
    let desk = Desk::open(BUSY_BEE);
    assert_eq!(desk.warned_lines(), []);
    assert_eq!(desk.login("busy", "bee").await.unwrap().name(), Some("busy"));
    assert_eq!(desk.login("busy", "wasp").await, Err(Rejected::Wrong));
    assert_eq!(desk.login("Busy", "bee").await, Err(Rejected::Wrong));
}

#[tokio::test]
async fn every_version_of_bcrypt_counts() {
    let desk = Desk::open(
        "a:$2a$04$abcdefghijklmnopqrstuuuz8dLDKHdaIkqWTeEJl8dWScfl4UwcG\n\
         b:$2b$04$abcdefghijklmnopqrstuuuz8dLDKHdaIkqWTeEJl8dWScfl4UwcG\n\
         y:$2y$04$abcdefghijklmnopqrstuuuz8dLDKHdaIkqWTeEJl8dWScfl4UwcG\n\
         v:$2y$04$abcdefghijklmnopqrstuvuz8dLDKHdaIkqWTeEJl8dWScfl4UwcG\n", // the salt's last character has bits too many
    );
    for name in ["a", "b", "y", "v"] {
        assert!(desk.login(name, "bee").await.is_ok(), "{name}");
        assert_eq!(desk.login(name, "bees").await, Err(Rejected::Wrong), "{name}");
    }
}

#[tokio::test]
async fn one_bad_htpasswd_line_does_not_lock_everyone_out() {
    let text = format!(
        "# who may push\r\n\
         this line has no colon\r\n\
         bob:$apr1$OKFywO.d$caKzLQrxsbmP83JdlsSrQ.\r\n\
         \r\n\
         {}\r\n\
         \t{}  \r\n\
         {}:x\n",
        line("ann", "apple").trim(),
        line("cat", "cherry").trim(),
        "z".repeat(5000),
    );
    let mut text = text.into_bytes();
    text.extend(b"\xFF\n\xFF\xFE:latin\nlast:");
    text.extend(&line("x", "plum").trim().as_bytes()[2..]); // no newline at the end
    let desk = Desk::open(text);
    for (name, password) in [("ann", "apple"), ("cat", "cherry"), ("last", "plum")] {
        assert!(desk.login(name, password).await.is_ok(), "{name}");
    }
    assert_eq!(desk.login("bob", "hunter2").await, Err(Rejected::Wrong));
    assert_eq!(desk.warned_lines(), [2, 3, 7, 8, 9].map(Some));
}

#[tokio::test]
async fn plain_text_in_the_file_is_never_a_password() {
    let desk = Desk::open(format!("eve:apple\n{}", line("ann", "apple")));
    assert_eq!(desk.login("eve", "apple").await, Err(Rejected::Wrong));
    assert!(desk.login("ann", "apple").await.is_ok());
}

#[tokio::test]
async fn the_last_line_of_a_name_counts() {
    let desk = Desk::open([line("ann", "old"), line("ann", "new")].concat());
    assert_eq!(desk.login("ann", "old").await, Err(Rejected::Wrong));
    assert!(desk.login("ann", "new").await.is_ok());
    assert_eq!(desk.warned_lines(), [Some(2)]);
}

#[tokio::test]
async fn an_old_password_does_not_outlive_a_new_one_of_another_kind() {
    let desk = Desk::open(line("bob", "old") + "bob:$apr1$OKFywO.d$caKzLQrxsbmP83JdlsSrQ.\n");
    assert_eq!(desk.login("bob", "old").await, Err(Rejected::Wrong));
}

#[tokio::test]
async fn passwords_may_have_colons_any_script_and_any_bytes() {
    let desk = Desk::open(
        [
            "ann:$2y$04$HYY38LzbHORJKJE/GJpz5.mqvp9j1buzluCiVcV.iZ2be5DZ/1s4K\n", // by the tool, from "pä:ß wörd"
            &line("colon", "a:b:"),
            &line("latin", b"\xE4\xFF"),
            "empty:$2y$04$.isrGCajHnD3y/twCbGRdu1q1mpyLmH2QsPbT9XdmUj/D9lEGyY8a\n", // by the tool, from ""
            &line("蜂", "蜜"),
        ]
        .concat(),
    );
    assert!(desk.login("ann", "pä:ß wörd").await.is_ok());
    assert!(desk.login("colon", "a:b:").await.is_ok());
    assert!(desk.login("latin", b"\xE4\xFF").await.is_ok());
    assert!(desk.login("empty", "").await.is_ok());
    assert_eq!(desk.login("ann", "").await, Err(Rejected::Wrong));
    assert_eq!(desk.login("蜂", "蜜").await.unwrap().name(), Some("蜂"));
}

#[tokio::test]
async fn long_passwords_count_up_to_72_bytes_as_in_the_tool_that_hashed_them() {
    let desk = Desk::open(
        "x80:$2y$05$atMJPB1.a210pUhl18fqV.li9Bl3H2HlSbJH1llDIyBzJCQcgJ.H6\n\
         y72:$2y$04$b5O1IXho4op7WnmTfCG4y.h45W8gVQ9j5zzfVY.FVxbHQ2spQxKP.\n", // both by the tool
    );
    assert!(desk.login("x80", "x".repeat(80)).await.is_ok());
    assert!(desk.login("x80", "x".repeat(72)).await.is_ok());
    assert!(desk.login("y72", "y".repeat(72)).await.is_ok());
    assert!(desk.login("y72", "y".repeat(73)).await.is_ok());
    assert_eq!(desk.login("y72", "y".repeat(71)).await, Err(Rejected::Wrong));
    assert_eq!(
        desk.login("y72", "y".repeat(71) + "z").await,
        Err(Rejected::Wrong)
    );
}

#[tokio::test]
async fn a_password_with_nul_is_refused_where_bcrypt_would_take_it() {
    let desk = Desk::open(BUSY_BEE);
    for password in [&b"bee\0bee"[..], b"bee\0", b"\0", b"bee\0wasp"] {
        assert_eq!(desk.login("busy", password).await, Err(Rejected::Malformed));
    }
    assert_eq!(desk.login("busy\0", "bee").await, Err(Rejected::Malformed));
    assert_eq!(desk.bcrypts(), 0);
}

#[tokio::test]
async fn headers_that_clients_send_are_understood() {
    let desk = Desk::open(line("ab", "c")); // YWI6Yw==
    for good in [
        "Basic YWI6Yw==",
        "basic YWI6Yw==",
        "BASIC   YWI6Yw",
        "bAsIc YWI6Yw= ",
        " Basic YWI6Yw==",
    ] {
        let caller = desk.authenticator.authenticate(Some(good.as_bytes())).await;
        assert_eq!(caller.unwrap().name(), Some("ab"), "{good}");
    }
}

#[tokio::test]
async fn headers_that_are_no_login_are_refused_without_work() {
    let desk = Desk::open(line("ab", "c"));
    let long = format!("Basic {}", "A".repeat(10_000));
    for bad in [
        "",
        " ",
        "Basic",
        "Basic ",
        "Basic !!",
        "Basic YW=I6Yw",
        "Basic YWI=",
        "Bearer YWI6Yw==",
        "BasicYWI6Yw==",
        "Basic Y",
        &long,
    ] {
        let answer = desk.authenticator.authenticate(Some(bad.as_bytes())).await;
        assert_eq!(answer, Err(Rejected::Malformed), "{bad}");
    }
    let answer = desk.authenticator.authenticate(Some(b"Basic \xFF\xFE")).await;
    assert_eq!(answer, Err(Rejected::Malformed));
    assert_eq!(desk.bcrypts(), 0);
}

#[tokio::test]
async fn no_header_and_an_empty_login_are_asked_to_log_in() {
    let desk = Desk::open(BUSY_BEE);
    assert_eq!(
        desk.authenticator.authenticate(None).await,
        Err(Rejected::Missing)
    );
    assert_eq!(
        desk.authenticator.authenticate(Some(b"Basic Og==")).await,
        Err(Rejected::Missing)
    );
}

#[tokio::test]
async fn bcrypt_is_computed_once_per_credential_not_once_per_request() {
    let desk = Desk::open([line("ann", "apple"), line("bob", "apple")].concat());
    for _ in 0..50 {
        desk.login("ann", "apple").await.unwrap();
    }
    assert_eq!(desk.bcrypts(), 1);
    desk.login("bob", "apple").await.unwrap();
    assert_eq!(desk.bcrypts(), 2);
}

#[tokio::test]
async fn a_right_password_is_remembered_for_five_minutes_only() {
    let desk = Desk::open(line("ann", "apple"));
    desk.login("ann", "apple").await.unwrap();
    desk.pass(290);
    desk.login("ann", "apple").await.unwrap();
    assert_eq!(desk.bcrypts(), 1);
    desk.pass(20);
    desk.login("ann", "apple").await.unwrap();
    assert_eq!(desk.bcrypts(), 2);
}

#[tokio::test]
async fn unknown_users_cost_what_a_wrong_password_costs_and_nothing_wrong_is_remembered() {
    let desk = Desk::open([line("ann", "apple"), "bob:plain\n".into()].concat());
    for (attempt, name) in (1..).zip(["ann", "ann", "nobody", "nobody", "bob", ""]) {
        assert_eq!(desk.login(name, "wrong").await, Err(Rejected::Wrong));
        assert_eq!(desk.bcrypts(), attempt, "{name}");
    }
}

#[tokio::test]
async fn an_empty_file_lets_nobody_in_and_says_so() {
    let desk = Desk::open("");
    assert_eq!(desk.login("", "x").await, Err(Rejected::Wrong));
    let warnings = desk.warnings.lock().unwrap();
    assert!(
        warnings[0].to_string().contains("nobody can log in"),
        "{}",
        warnings[0]
    );
}

#[tokio::test]
async fn without_authentication_everybody_is_let_in_whatever_they_send() {
    for header in [
        None,
        Some(&b"Basic Og=="[..]),
        Some(b"rubbish"),
        Some(&basic("ann", "x")),
    ] {
        assert_eq!(
            Authenticator::Open.authenticate(header).await.unwrap().name(),
            None
        );
    }
    assert_eq!(Authenticator::Open.challenge(), None);
}

#[tokio::test]
async fn a_realm_cannot_break_out_of_its_quotes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("htpasswd");
    std::fs::write(&file, BUSY_BEE).unwrap();
    let challenge = |realm| {
        let (file, _) = Htpasswd::open(&file, Arc::new(SystemTime::now)).unwrap();
        Authenticator::htpasswd(realm, file).unwrap().challenge().unwrap()
    };
    assert_eq!(challenge("Registry Realm"), r#"Basic realm="Registry Realm""#);
    assert_eq!(challenge(r#"a "b" \c"#), r#"Basic realm="a \"b\" \\c""#);
    assert_eq!(
        challenge("a\r\nSet-Cookie: b"),
        r#"Basic realm="a  Set-Cookie: b""#
    );
}

fn refusal(path: &Path) -> String {
    match Htpasswd::open(path, Arc::new(SystemTime::now)) {
        Err(error) => format!("{}: {error}", error.code()),
        Ok(_) => "not refused".to_owned(),
    }
}

#[test]
fn a_directory_in_place_of_the_file_says_how_to_fix_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("registry.password");
    std::fs::create_dir(&path).unwrap();
    let text = refusal(&path);
    assert!(text.starts_with("LF-STO-003: "), "{text}");
    for part in [
        "is a directory",
        "bind mount",
        "rmdir ./registry.password",
        "touch ./registry.password",
    ] {
        assert!(text.contains(part), "{text}");
    }
    // The configuration that Debian ships for the older registry names the folder that it lies in itself.
    std::fs::write(path.join("config.yml"), "version: 0.1\n").unwrap();
    let text = refusal(&path);
    assert!(
        text.starts_with("LF-STO-003: ") && !text.contains("rmdir"),
        "{text}"
    );
    assert!(
        text.contains("auth.htpasswd.path") && text.contains("registry.password/htpasswd"),
        "{text}"
    );
}

#[test]
fn a_missing_file_says_how_to_make_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("htpasswd");
    let make = format!("landfall user add <name> --file {}", path.display());
    let text = refusal(&path);
    assert!(
        text.starts_with("LF-AUTH-001: ") && text.contains("does not exist") && text.contains(&make),
        "{text}"
    );
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    assert_eq!(refusal(&path), text);
}

#[test]
fn a_device_a_huge_file_and_one_that_cannot_be_read_are_refused() {
    assert!(refusal(Path::new("/dev/zero")).starts_with("LF-AUTH-002: "));
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(Htpasswd::FILE_BYTES_MAX + 1).unwrap();
    let text = refusal(file.path());
    assert!(
        text.starts_with("LF-AUTH-004: ") && text.contains("16 MiB"),
        "{text}"
    );
    assert!(refusal(Path::new("/proc/self/mem")).starts_with("LF-AUTH-003: "));
    let below_a_file = file.path().join("htpasswd");
    assert!(refusal(&below_a_file).starts_with("LF-AUTH-003: "));
}
