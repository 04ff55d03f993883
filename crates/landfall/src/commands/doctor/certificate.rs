//! The certificate files of `http.tls`: whether they fit together, for whom they are, and until when.
//!
//! Units: seconds since 1970.

use std::path::Path;

use config::{Settings, TlsSource};
use tls::{Facts, Pair};

use super::Check;

const NAME: &str = "certificate";
const DAY: i64 = 24 * 3600;
/// Renewal is due.
const SOON: i64 = 14 * DAY;

/// Nothing where the server makes or orders its certificates itself, or speaks plain HTTP.
pub(super) fn look(settings: &Settings) -> Option<Check> {
    let tls = settings.tls.as_ref()?;
    let TlsSource::Files { certificate, key } = &tls.source else {
        return None;
    };
    Some(match read(certificate, key) {
        Ok(facts) => judge(
            &facts,
            certificate,
            &tls.names,
            jiff::Timestamp::now().as_second(),
        ),
        Err(check) => check,
    })
}

fn read(certificate: &Path, key: &Path) -> Result<Facts, Check> {
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
    pair.map(|pair| pair.facts)
        .map_err(|error| Check::refused(NAME, &error.to_string()))
}

fn judge(facts: &Facts, file: &Path, wanted: &[String], now: i64) -> Check {
    let day = |second: i64| {
        jiff::Timestamp::from_second(second)
            .map_or_else(|_| "?".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
    };
    let file = file.display();
    let found = format!(
        "{file} is for {} until {}",
        facts.names.join(", "),
        day(facts.not_after)
    );
    if now > facts.not_after {
        let found = format!("{file} expired on {}: clients refuse it", day(facts.not_after));
        Check::problem(
            NAME,
            found,
            "renew it; the server takes up the new file by itself",
        )
    } else if now < facts.not_before {
        let found = format!("{file} is valid only from {}", day(facts.not_before));
        Check::problem(NAME, found, "check the clock of this machine, or wait")
    } else if let Some(name) = wanted.iter().find(|name| !facts.covers(name)) {
        let fix = format!("get one for {name} too, or take the name out of tls.names");
        Check::problem(NAME, format!("{found}, not for {name}"), fix)
    } else if facts.not_after - now < SOON {
        Check::problem(
            NAME,
            found,
            "renew it now; the server takes up the new file by itself",
        )
    } else {
        Check::good(NAME, found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
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
            judge(&facts, Path::new("/c.pem"), &names, day * DAY).state
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
