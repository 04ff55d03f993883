//! A user and a password in a URL, `https://bee:secret@registry.example.com`: taken where a login is wanted, and shown nowhere.
//!
//! Whoever may list processes reads their arguments. So a password among them is moved to the environment, which only the
//! same user can read, and the program starts itself again without it, before anything else happens: no message, log or
//! process list can show what is not there. Source: RFC 3986 sections 2.1 and 3.2.1.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Where the arguments are kept as they were typed, one a line; no `LANDFALL_…`, for those are settings.
const KEPT: &str = "_LANDFALL_TYPED_URLS";
/// What stands for a password.
const HIDDEN: &str = "***";

/// What a login is.
type NameAndPassword = (String, String);

/// Whether a registry's address is meant, and no folder.
pub(crate) fn is_address(text: &str) -> bool {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// Starts the program again where a password is among its arguments; else nothing happens. Fails: by ending the process.
pub(crate) fn keep_out_of_sight() {
    let typed: Vec<OsString> = env::args_os().collect();
    let shown: Vec<OsString> = typed.iter().map(hidden_argument).collect();
    if typed == shown {
        return;
    }
    let kept: Vec<String> = typed
        .iter()
        .zip(&shown)
        .filter(|(typed, shown)| typed != shown)
        .map(|(typed, _)| value(&typed.to_string_lossy()).to_owned())
        .collect();
    let mut names = shown.into_iter();
    let failed = env::current_exe().map(|program| {
        Command::new(program)
            .arg0(names.next().unwrap_or_default())
            .args(names)
            .env(KEPT, kept.join("\n"))
            .exec()
    });
    let error = failed.unwrap_or_else(|error| error);
    eprintln!(
        "error: the password in a URL cannot be kept out of the list of processes: {error}\n  \
         fix   leave it away, and give it on standard input"
    );
    std::process::exit(2);
}

/// `--flag=URL` as well as `URL`.
fn value(argument: &str) -> &str {
    match argument.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => value,
        _ => argument,
    }
}

fn hidden_argument(argument: &OsString) -> OsString {
    match argument.to_str() {
        Some(text) => {
            let value = value(text);
            let flag = &text[..text.len() - value.len()];
            format!("{flag}{}", hidden(value)).into()
        }
        None => argument.clone(),
    }
}

/// A URL as it may be shown.
pub(crate) fn hidden(url: &str) -> String {
    match split(url) {
        Some((scheme, login, rest)) => match login.split_once(':') {
            Some((user, password)) if !password.is_empty() => format!("{scheme}{user}:{HIDDEN}@{rest}"),
            _ => url.to_owned(),
        },
        None => url.to_owned(),
    }
}

/// A text as it may be shown, whatever URLs stand in it: lines of a configuration file, answers of others.
pub(crate) fn hidden_in(text: &str) -> Cow<'_, str> {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("://") {
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let begin = rest[..at].trim_end_matches(is_scheme).len();
        let is_end = |c: char| c.is_whitespace() || "\"'`<>".contains(c);
        let end = rest[at..].find(is_end).map_or(rest.len(), |end| at + end);
        shown.push_str(&rest[..begin]);
        let url = &rest[begin..end];
        // In a text, unlike among arguments, `http://host:5000/app@sha256:…` is a port and a path.
        let authority = rest[at + 3..end]
            .split(['/', '?', '#'])
            .next()
            .unwrap_or_default();
        let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
        let is_port = !authority.contains('@') && port.bytes().all(|b| b.is_ascii_digit());
        shown.push_str(&if is_port { url.to_owned() } else { hidden(url) });
        rest = &rest[end..];
    }
    if shown.is_empty() {
        return text.into();
    }
    shown.push_str(rest);
    shown.into()
}

/// An argument as it was typed.
pub(crate) fn typed(shown: &str) -> String {
    let kept = env::var(KEPT).unwrap_or_default();
    let found = kept.split('\n').find(|one| hidden(one) == shown);
    found.unwrap_or(shown).to_owned()
}

/// Says how a password is given so that nobody else sees it.
pub(crate) fn warn(flags: &str) {
    eprintln!(
        "warning: a password that is typed stays in the shell's history; {flags} keeps it out of there"
    );
}

/// A URL without its login, and the login: user and password. Fails with what is wrong, in words that show neither.
pub(crate) fn without_login(url: &str) -> Result<(String, Option<NameAndPassword>), &'static str> {
    const BAD: &str = "its user or password is not percent-encoded as it should be";
    let Some((scheme, login, rest)) = split(url) else {
        return Ok((url.to_owned(), None));
    };
    let Some((user, password)) = login.split_once(':') else {
        return Err("it has a user without a password: give both, or neither");
    };
    let user = decoded(user).ok_or(BAD)?;
    let password = decoded(password).ok_or(BAD)?;
    Ok((format!("{scheme}{rest}"), Some((user, password))))
}

/// `https://`, the login and what stands behind its `@`; none where there is no login. A password with a `/`, `?` or `#` that
/// is not encoded is one all the same: better that than to show it.
fn split(url: &str) -> Option<(&str, &str, &str)> {
    let begin = url.find("://")? + "://".len();
    let is_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    if !url[..begin - "://".len()].bytes().all(is_scheme) {
        return None;
    }
    let rest = &url[begin..];
    let authority = rest.find(['/', '?', '#']).map_or(rest, |end| &rest[..end]);
    let at = match authority.rfind('@') {
        Some(at) => at,
        None if authority.contains(':') => rest.rfind('@')?,
        None => return None,
    };
    Some((&url[..begin], &rest[..at], &rest[at + 1..]))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_taken_and_not_shown() {
        for (url, shown, address, password) in [
            (
                "http://bee:s3cr%40t%2F@h:5/p",
                "http://bee:***@h:5/p",
                "http://h:5/p",
                "s3cr@t/",
            ),
            ("HTTPS://bee:p@ss@h", "HTTPS://bee:***@h", "HTTPS://h", "p@ss"),
            (
                "http://bee:p#a/s?s@h:1",
                "http://bee:***@h:1",
                "http://h:1",
                "p#a/s?s",
            ),
            (
                "http://bee:p:w@[::1]:5",
                "http://bee:***@[::1]:5",
                "http://[::1]:5",
                "p:w",
            ),
        ] {
            assert_eq!(hidden(url), shown);
            assert_eq!(hidden(shown), shown, "once is enough");
            let login = Some(("bee".to_owned(), password.to_owned()));
            assert_eq!(without_login(url), Ok((address.to_owned(), login)));
        }
        for plain in [
            "https://registry.example.com/x@y",
            "http://127.0.0.1:5000",
            "/mnt/a:b@c",
            "team/app:1@sha256:ab",
        ] {
            assert_eq!(hidden(plain), plain);
            assert_eq!(without_login(plain), Ok((plain.to_owned(), None)));
        }
        for bad in [
            "http://bee@h",
            "http://bee:%4@h",
            "http://bee:%zz@h",
            "http://bee:%ff@h",
        ] {
            assert!(without_login(bad).is_err(), "{bad}");
        }
        assert_eq!(
            hidden_in(
                "host: https://bee:secret@a.b\n  ^ see `http://bee:p@c` or http://d:5/x@y, \"x://e:f@g\""
            ),
            "host: https://bee:***@a.b\n  ^ see `http://bee:***@c` or http://d:5/x@y, \"x://e:***@g\""
        );
        assert_eq!(hidden_in("nothing: //here"), "nothing: //here");
        let argument = hidden_argument(&"--repair-from=http://bee:secret@h".into());
        assert_eq!(argument, "--repair-from=http://bee:***@h");
    }
}
