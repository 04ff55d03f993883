//! The clock: certificates, lock files and logs need one that is about right.
//!
//! Units: seconds since 1970. What the certificate authority says about the time is asked for over HTTPS without a look at its
//! certificate: with a wrong clock that would fail, and the answer decides about a sentence only.
//! Source: RFC 9110 section 6.6.1 (`Date`).

use std::time::Duration;

use super::Check;
use crate::client::Server;

const NAME: &str = "clock";
/// When this program was written; an earlier clock is wrong.
const WRITTEN: i64 = 1_767_225_600; // 2026-01-01
/// A clock so far ahead is wrong too.
const FAR: i64 = 4_102_444_800; // 2100-01-01
/// Seconds; more than any answer takes, and less than what a certificate is dated back.
const APART_MAX: u64 = 300;
const FIX: &str = "timedatectl set-ntp true, or the time of the machine below, where this is a virtual one";

/// `authority` is what another clock says, and whose.
pub(crate) fn clock(now: i64, authority: Option<(i64, &str)>) -> Check {
    let shown = jiff::Timestamp::from_second(now).map_or_else(
        |_| "far from now".to_owned(),
        |now| now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    );
    if !(WRITTEN..FAR).contains(&now) {
        let found =
            format!("it says {shown}, which cannot be: certificates would seem expired or not yet valid");
        return Check::problem(NAME, found, FIX).code("LF-TLS-030");
    }
    match authority {
        None => Check::good(NAME, shown),
        Some((theirs, whose)) => {
            let apart = now.abs_diff(theirs);
            if apart <= APART_MAX {
                Check::good(NAME, format!("{shown}, within {} s of {whose}", apart.max(1)))
            } else {
                let side = if now > theirs { "ahead of" } else { "behind" };
                let found = format!(
                    "it says {shown}, {} {side} {whose}: certificates would seem expired or not yet valid",
                    about(apart)
                );
                Check::problem(NAME, found, FIX).code("LF-TLS-030")
            }
        }
    }
}

fn about(seconds: u64) -> String {
    match seconds {
        0..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// What the clock of this URL's server says; nothing if it cannot be asked. Blocks up to `limit`.
pub(crate) fn of_server(url: &str, limit: Duration) -> Option<i64> {
    let server = url.parse::<Server>().ok()?.of_anyone();
    let answer = server.ask("GET", "", &[], b"", limit).ok()?;
    let date = answer.header("date")?;
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    parser.parse_timestamp(date).ok().map(jiff::Timestamp::as_second)
}

/// The host in a URL, for sentences.
pub(crate) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn a_clock_that_cannot_be_is_told_without_asking_anybody() {
        for wrong in [0, 1_600_000_000, 5_000_000_000] {
            let check = clock(wrong, None);
            assert_eq!(
                (check.state, check.code),
                (State::Problem, Some("LF-TLS-030")),
                "{check:?}"
            );
        }
        assert_eq!(clock(NOW, None).state, State::Good);
    }

    #[test]
    fn a_clock_that_differs_from_the_authoritys_is_told_with_how_much() {
        for (apart, words) in [
            (600, "10 min ahead of ca.example"),
            (-7_200, "2 h behind"),
            (864_000, "10 days ahead"),
        ] {
            let check = clock(NOW + apart, Some((NOW, "ca.example")));
            assert_eq!(check.state, State::Problem);
            assert!(check.found.contains(words), "{check:?}");
        }
        let near = clock(NOW + 2, Some((NOW, "ca.example")));
        assert!(
            near.state == State::Good && near.found.contains("within 2 s of ca.example"),
            "{near:?}"
        );
    }
}
