//! When something runs: five fields of cron (minute, hour, day of the month, month, day of the week), in UTC.
//!
//! UTC, because a server's own time zone is seldom known in a container, and an hour that does not exist in spring should
//! skip nothing. A field is `*`, or numbers, ranges and steps with commas between: `0,30`, `1-5`, `*/15`; days of the week
//! count from Sunday, 0 or 7, and they and months may be named by three letters. Where both days are given, either is
//! enough. Units: Unix milliseconds. Fails: a sentence that says what is wrong with the expression. Source: crontab(5).

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// A schedule that comes up again and again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    text: Box<str>,
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
    /// Whether one of the two fields for days is `*`: then both must fit, else either.
    both_days: bool,
}

/// Numbers below 64, a bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Set(u64);

struct Field {
    what: &'static str,
    least: u8,
    most: u8,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 5] = [
    Field {
        what: "minute",
        least: 0,
        most: 59,
        names: &[],
    },
    Field {
        what: "hour",
        least: 0,
        most: 23,
        names: &[],
    },
    Field {
        what: "day of the month",
        least: 1,
        most: 31,
        names: &[],
    },
    Field {
        what: "month",
        least: 1,
        most: 12,
        names: &MONTHS,
    },
    Field {
        what: "day of the week",
        least: 0,
        most: 7,
        names: &WEEKDAYS,
    },
];

/// A 29th of February on one day of the week comes within 40 years, also around 2100.
const DAYS_MAX: usize = 41 * 366;

impl Schedule {
    /// Fails for what is no expression, and for one that names no moment at all, such as a 30th of February.
    pub fn new(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts[..] else {
            return Err(format!(
                "{text:?} is no schedule: five fields of cron are expected, such as `0 4 * * *`"
            ));
        };
        let read = |at: usize, part: &str| {
            FIELDS[at]
                .read(part)
                .map_err(|why| format!("{text:?} is no schedule: {why}"))
        };
        let mut weekdays = read(4, weekday)?;
        if weekdays.has(7) {
            weekdays.0 |= 1;
        }
        let schedule = Self {
            text: text.into(),
            minutes: read(0, minute)?,
            hours: read(1, hour)?,
            days: read(2, day)?,
            months: read(3, month)?,
            weekdays,
            both_days: day.starts_with('*') || weekday.starts_with('*'),
        };
        if schedule.after(0).is_none() {
            return Err(format!("{text:?} names no moment that ever comes"));
        }
        Ok(schedule)
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first moment after `ms`; none where the calendar ends.
    #[must_use]
    pub fn after(&self, ms: i64) -> Option<i64> {
        let from = Timestamp::from_millisecond(ms)
            .ok()?
            .to_zoned_datetime(TimeZone::UTC)
            .datetime();
        let mut date = from.date();
        for day in 0..DAYS_MAX {
            // Moments of the first day are only those that are still to come.
            let floor = if day == 0 {
                i32::from(from.hour()) * 60 + i32::from(from.minute())
            } else {
                -1
            };
            if self.has_date(date)
                && let Some(minute) = self.minute_after(floor)
            {
                let hour = i8::try_from(minute / 60).ok()?;
                let at = date.at(hour, i8::try_from(minute % 60).ok()?, 0, 0);
                return milliseconds(at);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn has_date(&self, date: Date) -> bool {
        let has = |set: Set, number: i8| u8::try_from(number).is_ok_and(|number| set.has(number));
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        has(self.months, date.month())
            && if self.both_days {
                day && weekday
            } else {
                day || weekday
            }
    }

    /// The first minute of a day after `floor`, counted from midnight.
    fn minute_after(&self, floor: i32) -> Option<i32> {
        (0..24_u8)
            .filter(|&hour| self.hours.has(hour))
            .flat_map(|hour| {
                (0..60_u8)
                    .filter(|&minute| self.minutes.has(minute))
                    .map(move |minute| (hour, minute))
            })
            .map(|(hour, minute)| i32::from(hour) * 60 + i32::from(minute))
            .find(|&minute| minute > floor)
    }
}

fn milliseconds(at: DateTime) -> Option<i64> {
    Some(
        at.to_zoned_datetime(TimeZone::UTC)
            .ok()?
            .timestamp()
            .as_millisecond(),
    )
}

impl Set {
    fn has(self, number: u8) -> bool {
        self.0 & (1 << number) != 0
    }
}

impl Field {
    fn read(&self, text: &str) -> Result<Set, String> {
        let mut set = Set(0);
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                None => (item, 1),
                Some((range, step)) => {
                    let step = step.parse().ok().filter(|step| (1..=59).contains(step));
                    (
                        range,
                        step.ok_or_else(|| format!("`{item}` has no step for the {}", self.what))?,
                    )
                }
            };
            let (first, last) = match range.split_once('-') {
                _ if range == "*" => (self.least, self.most),
                Some((first, last)) => (self.number(first)?, self.number(last)?),
                // `5/10` is from 5 on.
                None if item.contains('/') => (self.number(range)?, self.most),
                None => (self.number(range)?, self.number(range)?),
            };
            if first > last {
                return Err(format!("`{item}` goes backwards in the {}", self.what));
            }
            for number in (first..=last).step_by(step) {
                set.0 |= 1 << number;
            }
        }
        Ok(set)
    }

    fn number(&self, text: &str) -> Result<u8, String> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named
            .and_then(|at| u8::try_from(at).ok())
            .map(|at| at + self.least);
        named
            .or_else(|| text.parse().ok())
            .filter(|number| (self.least..=self.most).contains(number))
            .ok_or_else(|| format!("`{text}` is no {}: {} to {}", self.what, self.least, self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn next(schedule: &str, after: &str) -> String {
        let after: Timestamp = after.parse().unwrap();
        let next = Schedule::new(schedule)
            .unwrap()
            .after(after.as_millisecond())
            .unwrap();
        Timestamp::from_millisecond(next).unwrap().to_string()
    }

    #[test]
    fn the_next_moment_is_the_first_one_after() {
        assert_eq!(next("0 4 * * *", "2026-11-25T03:59:59Z"), "2026-11-25T04:00:00Z");
        assert_eq!(next("0 4 * * *", "2026-11-25T04:00:00Z"), "2026-11-26T04:00:00Z");
        assert_eq!(
            next("*/15 * * * *", "2026-12-31T23:46:00Z"),
            "2027-01-01T00:00:00Z"
        );
        assert_eq!(
            next("30 9-17/4 * * mon-fri", "2026-11-27T18:00:00Z"),
            "2026-11-30T09:30:00Z"
        );
        assert_eq!(next("0 0 29 2 *", "2026-01-01T00:00:00Z"), "2028-02-29T00:00:00Z");
        assert_eq!(
            next("0 0 29 feb sun", "2026-11-25T00:00:00Z"),
            "2027-02-07T00:00:00Z",
            "either day is enough"
        );
        assert_eq!(next("0 0 * * 7", "2026-11-25T00:00:00Z"), "2026-11-29T00:00:00Z");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for bad in [
            "",
            "daily",
            "* * * *",
            "60 * * * *",
            "0 0 0 4 * *",
            "0 0 30 2 *",
            "a b c d e",
            "5-1 * * * *",
            "*/0 * * * *",
            "0 0 32 * *",
            "0 0 0 * *",
            "1, * * * *",
            "0 24 * * *",
            "- * * * *",
        ] {
            assert!(Schedule::new(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_schedule_panic(text in "[0-9*/, a-z-]{0,20}", ms: i64) {
            let _ = Schedule::new(&text).map(|schedule| schedule.after(ms));
        }
    }
}
