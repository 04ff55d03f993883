//! What was measured, and how it is said.
//!
//! Units: a [`Spent`] holds raw counts, seconds and bytes; a [`Unit`] turns it into what is printed, such as MB/s (10^6 bytes)
//! and CPU-s/GiB (2^30 bytes). Shape: a [`Figure`] is the median of some rounds, with the least and the most.

/// What one round took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spent {
    /// Bytes, requests, images: what the case counts.
    pub(crate) units: u64,
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_bytes: u64,
}

/// What a case is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Bytes moved, in a time.
    Throughput,
    /// Things done, in a time.
    Rate,
    /// Time for one thing.
    Latency,
    /// Bytes taken.
    Size,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Throughput => "MB/s",
            Self::Rate => "/s",
            Self::Latency => "ms",
            Self::Size => "MB",
        }
    }

    pub(crate) fn cpu_name(self) -> &'static str {
        match self {
            Self::Throughput => "CPU-s/GiB",
            Self::Rate | Self::Latency => "CPU-us each",
            Self::Size => "",
        }
    }

    pub(crate) fn is_better_when_less(self) -> bool {
        matches!(self, Self::Latency | Self::Size)
    }

    fn value(self, spent: &Spent) -> f64 {
        match self {
            Self::Throughput => real(spent.units) / 1e6 / spent.seconds,
            Self::Rate => real(spent.units) / spent.seconds,
            Self::Latency => spent.seconds * 1e3 / real(spent.units.max(1)),
            Self::Size => real(spent.units) / 1e6,
        }
    }

    fn cpu(self, spent: &Spent) -> Option<f64> {
        let each = spent.cpu_seconds / real(spent.units.max(1));
        match self {
            Self::Throughput => Some(each * real(1 << 30)),
            Self::Rate | Self::Latency => Some(each * 1e6),
            Self::Size => None,
        }
    }
}

/// The median round.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) cpu: Option<f64>,
    /// MB, the most of all rounds.
    pub(crate) peak: Option<f64>,
}

impl Figure {
    /// Nothing, if there was no round.
    pub(crate) fn of(unit: Unit, rounds: &[Spent]) -> Option<Self> {
        let values = sorted(rounds.iter().map(|spent| unit.value(spent)));
        let cpu = sorted(rounds.iter().filter_map(|spent| unit.cpu(spent)));
        let peak = rounds.iter().map(|spent| spent.peak_bytes).max()?;
        Some(Self {
            value: median(&values)?,
            least: *values.first()?,
            most: *values.last()?,
            cpu: median(&cpu),
            peak: (peak > 0).then(|| real(peak) / 1e6),
        })
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

#[expect(clippy::cast_precision_loss, reason = "printed with three digits")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

/// Three digits that say something: `1,430`, `12.3`, `0.87`.
pub(crate) fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => thousands(&format!("{value:.0}")),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

fn thousands(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(units: u64, seconds: f64) -> Spent {
        Spent {
            units,
            seconds,
            cpu_seconds: 0.5,
            peak_bytes: 3_000_000,
        }
    }

    #[test]
    fn the_median_of_three_rounds_is_reported_with_the_extremes() {
        let rounds = [spent(300, 1.0), spent(100, 1.0), spent(200, 1.0)];
        let figure = Figure::of(Unit::Rate, &rounds).unwrap();
        assert_eq!(
            [figure.least, figure.value, figure.most].map(number),
            ["100", "200", "300"]
        );
        assert_eq!(figure.cpu.map(number), Some("2,500".to_owned()));
        assert_eq!(figure.peak.map(number), Some("3.00".to_owned()));
        assert_eq!(Figure::of(Unit::Rate, &[]), None);
    }

    #[test]
    fn every_unit_says_what_it_counts() {
        let gib = spent(1 << 30, 2.0);
        let say = |unit: Unit, spent: &Spent| number(unit.value(spent));
        assert_eq!(say(Unit::Throughput, &gib), "537");
        assert_eq!(Unit::Throughput.cpu(&gib).map(number), Some("0.50".to_owned()));
        assert_eq!(say(Unit::Latency, &spent(4, 0.01)), "2.50");
        assert_eq!(say(Unit::Size, &spent(12_300_000, 1.0)), "12.3");
    }

    #[test]
    fn numbers_have_three_digits() {
        let texts = [1_234_567.8, 128.4, 12.34, 1.234, 0.0].map(number);
        assert_eq!(texts, ["1,234,568", "128", "12.3", "1.23", "0.00"]);
    }
}
