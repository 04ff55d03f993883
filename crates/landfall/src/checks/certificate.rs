//! The certificates of this server, from files, from an authority and from the local CA: whether chain and key fit together,
//! for whom they are, and until when.
//!
//! Units: seconds since 1970.

use std::path::Path;

use config::Settings;
use tls::{Facts, Pair};

use super::{Check, State};
use crate::https::{self, Plan};

const NAME: &str = "certificate";
const DAY: i64 = 24 * 3600;
/// Renewal of files is due.
const SOON: i64 = 14 * DAY;

/// Nothing where the server speaks plain HTTP. `data` is `<rootdirectory>/landfall`.
pub(crate) fn look(settings: &Settings, data: &Path) -> Vec<Check> {
    let Some(tls) = &settings.tls else {
        return Vec::new();
    };
    let now = https::now();
    let plan = match Plan::of(tls, data) {
        Ok(plan) => plan,
        Err(failure) => return vec![Check::refused(NAME, &failure.to_string())],
    };
    if let Some(files) = &plan.files {
        return vec![match read(&files.certificate, &files.key) {
            Ok(pair) => {
                let check = judge(&of_file(&files.certificate), &pair.facts, &tls.names, now);
                linked(check, &pair, &files.certificate)
            }
            Err(check) => check,
        }];
    }
    let mut checks = Vec::new();
    if let Some(acme) = &plan.acme {
        let names: Vec<_> = acme.names.iter().map(ToString::to_string).collect();
        let of = Source {
            what: format!("that of {}", super::clock::host_of(&acme.directory)),
            soon: None,
            renewal: "the log of the server says why it was not renewed; then: landfall tls renew",
        };
        // One that is over is looked at too.
        checks.push(match acme.kept(i64::MIN) {
            Ok(Some(pair)) => judge(&of, &pair.facts, &names, now),
            Ok(None) => Check::note(
                NAME,
                format!(
                    "none of {} yet: the local CA serves until there is one",
                    acme.directory
                ),
            ),
            Err(error) => Check::refused(NAME, &error.to_string()),
        });
    }
    if let Some(local) = &plan.local {
        let of = Source {
            what: "that of the local CA".to_owned(),
            soon: None,
            renewal: "a running server renews it by itself: start it, or see its log",
        };
        match local.kept() {
            Ok(Some(issued)) => checks.push(judge(&of, &issued.pair.facts, &tls.names, now)),
            Ok(None) if plan.acme.is_none() => checks.push(Check::note(
                NAME,
                "none yet: `landfall serve` makes a local CA and a certificate",
            )),
            Ok(None) => {}
            Err(error) => checks.push(Check::refused(NAME, &error.to_string())),
        }
    }
    checks
}

fn read(certificate: &Path, key: &Path) -> Result<Pair, Check> {
    let text = |path: &Path| {
        std::fs::read(path).map_err(|error| {
            let found = format!("{} cannot be read: {error}", path.display());
            Check::problem(
                NAME,
                found,
                "let the user that Landfall runs as read it, or correct http.tls",
            )
        })
    };
    let pair = Pair::parse(&text(certificate)?, &text(key)?, certificate, key);
    pair.map_err(|error| Check::refused(NAME, &error.to_string()))
}

/// Whether clients find the way from the certificate to an authority that they know.
fn linked(check: Check, pair: &Pair, file: &Path) -> Check {
    if check.state == State::Problem {
        return check;
    }
    let file = file.display();
    if pair.is_signed_within() == Some(false) {
        return Check::problem(
            NAME,
            format!("none of the further certificates in {file} signed the first: clients refuse it"),
            "put the certificate of its issuer behind it, and no other; authorities call that file the full chain",
        );
    }
    if pair.is_alone() {
        let issuer = &pair.facts.issuer;
        return Check::note(
            NAME,
            format!(
                "{}; it stands there alone: clients that do not know {issuer} themselves need its certificate behind it",
                check.found
            ),
        );
    }
    check
}

/// Whose certificate is judged.
struct Source {
    what: String,
    /// How long before its end a renewal is overdue; else after five sixths of its life, when a third try would be late.
    soon: Option<i64>,
    renewal: &'static str,
}

fn of_file(file: &Path) -> Source {
    Source {
        what: file.display().to_string(),
        soon: Some(SOON),
        renewal: "renew it; the server takes up the new file by itself",
    }
}

fn judge(of: &Source, facts: &Facts, wanted: &[String], now: i64) -> Check {
    let day = |second: i64| {
        jiff::Timestamp::from_second(second)
            .map_or_else(|_| "?".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
    };
    let what = &of.what;
    let found = format!(
        "{what} is for {} until {}",
        facts.names.join(", "),
        day(facts.not_after)
    );
    let soon = of.soon.unwrap_or((facts.not_after - facts.not_before) / 6);
    if now > facts.not_after {
        let found = format!("{what} expired on {}: clients refuse it", day(facts.not_after));
        Check::problem(NAME, found, of.renewal)
    } else if now < facts.not_before {
        let found = format!("{what} is valid only from {}", day(facts.not_before));
        Check::problem(NAME, found, "check the clock of this machine, or wait")
    } else if let Some(name) = wanted.iter().find(|name| !facts.covers(name)) {
        let fix = format!("get one for {name} too, or take the name out of tls.names");
        Check::problem(NAME, format!("{found}, not for {name}"), fix)
    } else if facts.not_after - now < soon {
        Check::problem(NAME, found, of.renewal)
    } else {
        Check::good(NAME, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_names_are_judged() {
        let facts = Facts {
            names: vec!["*.example.com".into()],
            issuer: String::new(),
            not_before: 100 * DAY,
            not_after: 200 * DAY,
            fingerprint: String::new(),
        };
        let state = |names: &[&str], day: i64| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            judge(&of_file(Path::new("/c.pem")), &facts, &names, day * DAY).state
        };
        assert_eq!(state(&["r.example.com"], 150), State::Good);
        for (name, day) in [
            ("r.example.com", 99),
            ("r.example.com", 190),
            ("r.example.com", 201),
            ("a.b.example.com", 150),
        ] {
            assert_eq!(state(&[name], day), State::Problem, "{name} on day {day}");
        }
    }
}
