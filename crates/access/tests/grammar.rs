//! The password file's grammar, its warnings word for word, and inputs that nobody would write.

mod desk;

use std::path::Path;

use access::{BadHash, Credentials, Fault, Users, Warning};
use desk::BUSY_BEE;
use proptest::prelude::*;

fn parse(text: impl AsRef<[u8]>) -> (Users, Vec<Warning>) {
    Users::parse(Path::new("/auth/htpasswd"), text.as_ref())
}

fn warnings(text: impl AsRef<[u8]>) -> Vec<String> {
    parse(text)
        .1
        .iter()
        .map(|warning| format!("{} {warning}", warning.code()))
        .collect()
}

#[test]
fn hashes_of_other_kinds_are_named() {
    for (hash, kind) in [
        ("$apr1$OKFywO.d$caKzLQrxsbmP83JdlsSrQ.", "MD5 (apr1)"),
        ("$1$OKFywO.d$caKzLQrxsbmP83JdlsSrQ.", "MD5 (crypt)"),
        ("{SHA}kX7kbbDNpMRzm7F2s89oiA99upU=", "SHA-1"),
        ("{SSHA}kX7kbbDNpMRzm7F2s89oiA99upU=", "salted SHA-1"),
        (
            "$5$5tIKj2IAl9ilfbnM$gAXaC//tvZTot5vfxwCUYFuD2xeqMpiPKhGxZs1EYg7",
            "SHA-256 (crypt)",
        ),
        ("$6$Hkm/VG4O5GnVupe1$0VubfD4Q", "SHA-512 (crypt)"),
        (
            "$y$j9T$abcdefgh$oDzur6onD7QjbazCougLE1QSQZWUm64rV9Lx79y2Zn7",
            "yescrypt",
        ),
        ("$argon2id$v=19$m=65536", "Argon2"),
        (
            "$2x$05$CAltBbVsVDIAwI5US5xFOeI8EGj5Vvl9addlyOktSpnY.r/y1rlRK",
            "bcrypt of a faulty version ($2x$)",
        ),
        ("$9$x", "an unknown kind of hash"),
        ("feRScBpH.tNSs", "DES (crypt)"),
        ("bee", "plain text"),
    ] {
        let (users, warnings) = parse(format!("bob:{hash}"));
        assert_eq!(users.count(), 0);
        let fault = Fault::Hash {
            user: "bob".into(),
            why: BadHash::Kind(kind),
        };
        assert_eq!(warnings[0].fault, fault);
        assert_eq!((warnings[0].line, warnings[0].code()), (Some(1), "LF-AUTH-008"));
    }
}

#[test]
fn warnings_name_the_line_and_the_way_out() {
    let text = format!("# ours\n{BUSY_BEE}alice:\nbob:hunter2\n:x\nnothing\nbusy:$2y$05$CAlt\n");
    assert_eq!(
        warnings(text),
        [
            "LF-AUTH-007 line 4 of /auth/htpasswd is not a usable entry (\"alice\" has no hash); \"alice\" cannot \
             log in until: landfall user passwd <name> --file /auth/htpasswd",
            "LF-AUTH-008 line 5 of /auth/htpasswd has plain text for \"bob\", and only bcrypt counts; \"bob\" cannot \
             log in until: landfall user passwd <name> --file /auth/htpasswd",
            "LF-AUTH-007 line 6 of /auth/htpasswd is not a usable entry (no name in front of the colon)",
            "LF-AUTH-007 line 7 of /auth/htpasswd is not a usable entry (no colon between name and hash)",
            "LF-AUTH-011 line 8 of /auth/htpasswd names \"busy\" again: this line counts, the earlier one does not",
            "LF-AUTH-007 line 8 of /auth/htpasswd has a bcrypt hash for \"busy\" that is cut or changed; \"busy\" \
             cannot log in until: landfall user passwd <name> --file /auth/htpasswd",
            "LF-AUTH-010 /auth/htpasswd has no entry that can be used: nobody can log in until: landfall user add \
             <name> --file /auth/htpasswd",
        ]
    );
}

#[test]
fn a_hash_that_would_take_hours_is_refused() {
    let with_cost = |cost: &str| BUSY_BEE.replace("$05$", &format!("${cost}$"));
    for cost in ["04", "10", "17"] {
        assert_eq!(parse(with_cost(cost)).0.count(), 1, "{cost}");
    }
    for cost in [18, 31] {
        let fault = Fault::Hash {
            user: "busy".into(),
            why: BadHash::Cost(cost),
        };
        assert_eq!(parse(with_cost(&cost.to_string())).1[0].fault, fault);
    }
    for cost in ["00", "03", "32", "99", "+5", " 5", "5", "005"] {
        let fault = Fault::Hash {
            user: "busy".into(),
            why: BadHash::Damaged,
        };
        assert_eq!(parse(with_cost(cost)).1[0].fault, fault, "{cost}");
    }
}

#[test]
fn a_hash_is_60_characters_of_the_right_alphabet() {
    let good = BUSY_BEE.trim();
    assert_eq!(parse(good).0.count(), 1);
    for bad in [
        &good[..good.len() - 1],
        &format!("{good}A"),
        &format!("{good}:x"),
        &good.replace('I', "_"),
    ] {
        let fault = Fault::Hash {
            user: "busy".into(),
            why: BadHash::Damaged,
        };
        assert_eq!(parse(bad).1[0].fault, fault, "{bad}");
    }
}

#[test]
fn what_windows_does_to_a_text_file_is_understood_or_named() {
    let marked = [b"\xEF\xBB\xBF", BUSY_BEE.replace('\n', "\r\n").as_bytes()].concat();
    let (users, warnings) = parse(marked);
    assert!(users.contains("busy") && warnings.is_empty());
    let utf16: Vec<u8> = [0xFEFF]
        .into_iter()
        .chain(BUSY_BEE.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let (users, warnings) = parse(utf16);
    assert_eq!(users.count(), 0);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].to_string().contains("PowerShell"), "{}", warnings[0]);
}

#[test]
fn lines_count_up_to_4_kib() {
    let hash = &BUSY_BEE.trim()["busy".len()..];
    let name = |line_bytes: usize| "n".repeat(line_bytes - hash.len());
    assert_eq!(parse(name(4096) + hash + "\r\n").0.count(), 1);
    let (users, warnings) = parse(name(4097) + hash + "\n");
    assert_eq!((users.count(), &warnings[0].fault), (0, &Fault::TooLong));
}

#[test]
fn a_file_of_another_kind_makes_a_handful_of_warnings() {
    let (_, warnings) = parse("not a password file\n".repeat(10_000));
    assert_eq!(warnings.len(), Users::WARNINGS_MAX + 2);
    assert!(
        warnings
            .iter()
            .any(|warning| warning.fault == Fault::More(10_000 - Users::WARNINGS_MAX))
    );
}

#[test]
fn names_in_warnings_are_quoted_and_cut() {
    let text = &warnings(format!("{}\":x", "n".repeat(1000)))[0];
    assert!(text.len() < 400 && !text.contains("\"\""), "{text}");
    assert_eq!(parse("a\u{1b}[2Jb:x").1[0].fault, Fault::BadName);
}

#[test]
fn nothing_that_prints_shows_a_password_or_a_hash() {
    let hash = &BUSY_BEE.trim()["busy:".len()..];
    let text = format!(
        "{BUSY_BEE}bob:canary-password\ncanary-password\ncat:$apr1$canary-password\n{hash}\ndan:{hash}x\n"
    );
    let (users, warnings) = parse(&text);
    let texts: Vec<_> = warnings.iter().map(Warning::to_string).collect();
    let login = Credentials::parse(&desk::basic("busy", "canary-password"));
    let shown = format!("{users:?} {warnings:?} {texts:?} {login:?}");
    assert!(
        !shown.contains("canary") && !shown.contains(&hash[7..]) && !shown.contains("Y2FuYXJ5"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn any_bytes_parse(text in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let (users, warnings) = parse(&text);
        prop_assert!(users.count() == 0 || !warnings.iter().any(|warning| warning.fault == Fault::Nobody));
    }

    #[test]
    fn near_misses_parse(
        text in "([a-c]{0,2}:?(\\$2[aby]\\$[0-9]{0,3}\\$[./A-Za-z0-9]{50,54})?[\\r\\t#é]{0,2}\\n?){0,8}"
    ) {
        let _ = parse(text);
    }

    #[test]
    fn a_good_line_counts_whatever_stands_around_it(
        before in proptest::collection::vec(any::<u8>(), 0..200),
        after in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assume!(!before.starts_with(b"\xFF\xFE") && !before.starts_with(b"\xFE\xFF"));
        let text = [&before, &b"\n"[..], BUSY_BEE.as_bytes(), &after].concat();
        prop_assert!(parse(text).0.contains("busy"));
    }

    #[test]
    fn any_header_parses(header in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Credentials::parse(&header);
    }

    #[test]
    fn any_token_parses(token in "[A-Za-z0-9+/=]{0,40}") {
        let _ = Credentials::parse(format!("Basic {token}").as_bytes());
    }

    #[test]
    fn what_a_client_encodes_is_what_is_read(name in "[^:\0]{0,20}", password in "[^\0]{0,100}") {
        let read = Credentials::parse(&desk::basic(&name, &password)).unwrap();
        prop_assert_eq!(read.name(), name);
    }
}
