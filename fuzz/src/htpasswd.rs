//! `access::Users`: the lines of a password file. Source: Apache's `htpasswd -B`.

use std::path::Path;

use access::{Fault, Users, Warning};

/// `htpasswd -Bbn landfall bee`, with a name that no other line is likely to have.
const GOOD: &[u8] = b"landfall:$2y$05$CAltBbVsVDIAwI5US5xFOeI8EGj5Vvl9addlyOktSpnY.r/y1rlRK";

/// Any bytes as the text of a password file.
///
/// # Panics
/// If bad lines lock out a good one, if line numbers or the ends of lines change what a file says, or if warnings
/// flood or repeat what stands behind a colon.
pub fn htpasswd(data: &[u8]) {
    let (users, warnings) = parse(data);
    assert!(warnings.len() <= Users::WARNINGS_MAX + 2, "a flood of warnings");
    for warning in &warnings {
        let text = warning.to_string();
        assert!(text.len() < 1200 && !text.contains(char::is_control), "{text:?}");
        assert!(
            !secrets(data).any(|secret| text.contains(secret)),
            "a warning repeats a secret"
        );
    }
    if is_utf16(data) {
        return;
    }
    let with_good = [data, b"\n", GOOD].concat();
    assert!(
        parse(&with_good).0.contains("landfall"),
        "bad lines lock out a good one"
    );
    if !data.starts_with(b"\xEF\xBB\xBF") {
        let below_comment = [b"# comment\n", data].concat();
        let (same, moved) = parse(&below_comment);
        assert_eq!(same.count(), users.count(), "a comment changes who can log in");
        assert_eq!(
            lines(&moved, 1),
            lines(&warnings, 0),
            "line numbers do not follow the lines"
        );
    }
    let crlf = data.split(|&b| b == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]);
    let (same, as_before) = parse(&crlf);
    if !warnings
        .iter()
        .chain(&as_before)
        .any(|warning| warning.fault == Fault::TooLong)
    {
        assert_eq!(
            same.count(),
            users.count(),
            "the ends of lines change who can log in"
        );
    }
}

fn parse(text: &[u8]) -> (Users, Vec<Warning>) {
    Users::parse(Path::new("/auth/htpasswd"), text)
}

fn is_utf16(data: &[u8]) -> bool {
    data.starts_with(b"\xFF\xFE") || data.starts_with(b"\xFE\xFF")
}

/// The line numbers, as they were `above` lines further up.
fn lines(warnings: &[Warning], above: usize) -> Vec<Option<usize>> {
    warnings
        .iter()
        .map(|warning| warning.line.map(|line| line - above))
        .collect()
}

/// What stands behind the first colon of a line, where it is long enough not to be there by chance: longer than any
/// text of ours, and than what is shown of a name.
fn secrets(data: &[u8]) -> impl Iterator<Item = &str> {
    data.split(|&b| b == b'\n')
        .filter_map(|line| str::from_utf8(line).ok()?.split_once(':'))
        .map(|(_, secret)| secret.trim())
        .filter(|secret| secret.len() > 300)
}
