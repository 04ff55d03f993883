//! How answers look to people: tables, sizes, times.

use server::api::Time;

use crate::output;

/// A table: columns as wide as their widest cell; numbers to the right.
pub(crate) struct Table {
    /// Headers; one that begins with `>` is a column of numbers.
    headers: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headers: &[&'static str]) -> Self {
        Self {
            headers: headers.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// On standard output.
    pub(crate) fn print(&self) {
        output::whole(&self.text());
    }

    fn text(&self) -> String {
        let titles: Vec<String> = self
            .headers
            .iter()
            .map(|title| title.trim_start_matches('>').to_owned())
            .collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&titles).chain(&self.rows).collect();
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..titles.len()).map(width).collect();
        let mut text = String::new();
        for line in lines {
            let mut shown = String::new();
            for ((cell, width), title) in line.iter().zip(&widths).zip(&self.headers) {
                let pad = " ".repeat(width - cell.chars().count());
                if title.starts_with('>') {
                    shown.extend([&pad, cell.as_str(), "  "]);
                } else {
                    shown.extend([cell.as_str(), &pad, "  "]);
                }
            }
            text.push_str(shown.trim_end());
            text.push('\n');
        }
        text
    }
}

const MINUTE_MS: i64 = 60 * 1000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A time to come, as the time until then; `now` for what is due, `–` for none.
pub(crate) fn until(time: Option<Time>, now: Time) -> String {
    let Some(time) = time else { return "–".to_owned() };
    let ms = time.0.saturating_sub(now.0);
    if ms <= 0 {
        "now".to_owned()
    } else {
        format!("in {}", span(ms))
    }
}

/// A span, in its largest unit, and never less than it is.
fn span(ms: i64) -> String {
    let units = [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min"), (1000, "s")];
    let (unit, name) = units
        .into_iter()
        .find(|(unit, _)| ms >= 2 * unit)
        .unwrap_or((1000, "s"));
    format!("{} {name}", ms.unsigned_abs().div_ceil(unit.unsigned_abs()))
}

/// The time of this machine.
pub(crate) fn now() -> Time {
    Time(jiff::Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["NAME", ">SIZE"]);
        table.row(["a".into(), "9 B".into()]);
        table.row(["längest".into(), "12.0 MB".into()]);
        assert_eq!(
            table.text(),
            "NAME        SIZE\na            9 B\nlängest  12.0 MB\n"
        );
    }

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let at = |ms: i64| until(Some(Time(ms)), Time(0));
        assert_eq!(at(7 * DAY_MS), "in 7 d");
        assert_eq!(at(25 * HOUR_MS), "in 25 h");
        assert_eq!(at(90_500), "in 91 s");
        assert_eq!(at(0), "now");
        assert_eq!(until(None, Time(0)), "–");
    }
}
