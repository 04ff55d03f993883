//! Sizes in bytes: `4MiB` (powers of 1024), `20GB` (powers of 1000), or a plain number of bytes.

const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// `16KiB` -> 16384. Letters in any case; `None` for other units, which mean 1000 to one and 1024 to another.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit = unit.trim_start();
    let scale = match unit {
        "" => 1,
        _ => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

/// The largest unit that divides: `4MiB`, `20GB`, `1025B`.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let exact = |(_, scale): &&(&str, u64)| bytes != 0 && bytes.is_multiple_of(*scale);
    match UNITS.iter().filter(exact).min_by_key(|(_, scale)| bytes / scale) {
        Some((unit, scale)) => format!("{}{unit}", bytes / scale),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_write_is_read() {
        assert_eq!(parse_size("16KiB"), Some(16_384));
        assert_eq!(parse_size("20GB"), Some(20_000_000_000));
        assert_eq!(parse_size("4 MiB"), Some(4_194_304));
        assert_eq!(parse_size("4mib"), Some(4_194_304));
        assert_eq!(parse_size("512"), Some(512));
        for bad in [
            "",
            "MiB",
            "-1",
            "4M",
            "1.5GB",
            "4 parsecs",
            "99999999999999999999",
            "99999999TiB",
        ] {
            assert_eq!(parse_size(bad), None, "{bad:?}");
        }
        assert_eq!(format_size(4 << 20), "4MiB");
        assert_eq!(format_size(20_000_000_000), "20GB");
        assert_eq!(format_size(0), "0B");
    }

    proptest! {
        #[test]
        fn format_and_parse_are_inverse(bytes: u64) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Some(bytes));
        }

        #[test]
        fn parse_never_panics(text in "\\PC*") {
            let _ = parse_size(&text);
        }
    }
}
