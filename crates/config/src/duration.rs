//! Durations as the CNCF registry writes them (Go: `10s`, `1h30m`, `1.5h`, `250ms`), and days: `7d`.
//!
//! Never negative. Source: Go `time.ParseDuration`.

use std::fmt::Write as _;
use std::time::Duration;

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// `1h30m` -> 90 minutes. `None` for anything that is not a sequence of number and unit; `0` needs no unit.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds: u64 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, tail) = after.split_at(unit_end);
        let (_, scale) = UNITS
            .iter()
            .find(|(name, _)| *name == unit || (*name == "µs" && unit == "μs"))?;
        nanoseconds = nanoseconds.checked_add(scaled(number, *scale)?)?;
        rest = tail;
    }
    Some(Duration::from_nanos(nanoseconds))
}

/// `1.5` times `scale`, cut below one nanosecond, without floating point.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let mut total = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?.checked_mul(scale)?
    };
    if !fraction.is_empty() {
        let digits = &fraction[..fraction.len().min(18)]; // beyond: less than a nanosecond of a day
        let tenths = 10_u128.pow(u32::try_from(digits.len()).ok()?);
        let part = u128::from(digits.parse::<u64>().ok()?) * u128::from(scale) / tenths;
        total = total.checked_add(u64::try_from(part).ok()?)?;
    }
    Some(total)
}

/// The shortest form that [`parse_duration`] reads back exactly: `7d`, `1h30m`, `0s`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    for (unit, scale) in UNITS.iter().rev().filter(|(unit, _)| *unit != "µs") {
        if left / scale > 0 {
            let _ = write!(text, "{}{unit}", left / scale);
            left %= scale;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_write_is_read() {
        let seconds = |text| parse_duration(text).map(|d| d.as_secs());
        assert_eq!(seconds("10s"), Some(10));
        assert_eq!(seconds("1h30m"), Some(5400));
        assert_eq!(seconds("168h"), Some(604_800));
        assert_eq!(seconds("7d"), Some(604_800));
        assert_eq!(seconds("7d12h"), Some(648_000));
        assert_eq!(seconds("1.5h"), Some(5400));
        assert_eq!(seconds(".5m"), Some(30));
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("3us"), parse_duration("3µs"));
        for bad in [
            "",
            "-1s",
            "10",
            "s",
            "1.2.3s",
            "1 h",
            "ten",
            "1w",
            ".s",
            "99999999999999999999s",
            "300000000d",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn format_and_parse_are_inverse(nanoseconds: u64) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }

        #[test]
        fn parse_never_panics(text in "\\PC*") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn parse_never_panics_near_the_grammar(text in "[0-9.dhmsuµn+-]{0,24}") {
            let _ = parse_duration(&text);
        }
    }
}
