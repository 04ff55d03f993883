//! The beginning of a digest, as people type it: `sha256:ab12`, or `ab12`.
//!
//! Shape: the ranges of digests that begin so, one for each algorithm that may be meant. Fails: `BadPrefix`.

use std::str::FromStr;

use crate::{Algorithm, Digest};

/// The beginning of a digest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DigestPrefix {
    algorithms: Vec<Algorithm>,
    hex: String,
}

/// Why a text is not the beginning of a digest.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "not the beginning of a digest: expected sha256: and {} or more lower-case hex digits, or the digits alone",
    DigestPrefix::DIGITS_MIN
)]
pub struct BadPrefix;

impl DigestPrefix {
    /// Fewer digits than this say too little.
    pub const DIGITS_MIN: usize = 4;

    /// The first and the last digest that begin so, both included, by algorithm.
    pub fn ranges(&self) -> impl Iterator<Item = (Digest, Digest)> {
        self.algorithms.iter().filter_map(|algorithm| {
            let filled = |digit: char| {
                let missing = (algorithm.bytes() * 2).checked_sub(self.hex.len())?;
                let hex: String = self
                    .hex
                    .chars()
                    .chain(std::iter::repeat_n(digit, missing))
                    .collect();
                format!("{algorithm}:{hex}").parse().ok()
            };
            Some((filled('0')?, filled('f')?))
        })
    }
}

impl FromStr for DigestPrefix {
    type Err = BadPrefix;

    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let (algorithms, hex) = match text.split_once(':') {
            Some((name, hex)) => (vec![name.parse().map_err(|_| BadPrefix)?], hex),
            None => (Algorithm::ALL.to_vec(), text),
        };
        let longest = algorithms.iter().map(|algorithm| algorithm.bytes() * 2).max();
        let is_hex = hex
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        if !is_hex || hex.len() < Self::DIGITS_MIN || Some(hex.len()) > longest {
            return Err(BadPrefix);
        }
        Ok(Self {
            algorithms,
            hex: hex.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_range_of_each_algorithm_that_may_be_meant() {
        let both: DigestPrefix = "abc1".parse().unwrap();
        assert_eq!(both.ranges().count(), 2);
        let one: DigestPrefix = "sha256:abc12".parse().unwrap();
        let (low, high) = one.ranges().next().unwrap();
        assert_eq!(low.hex(), format!("abc12{}", "0".repeat(59)));
        assert_eq!(high.hex(), format!("abc12{}", "f".repeat(59)));
        let whole: DigestPrefix = low.to_string().parse().unwrap();
        assert_eq!(whole.ranges().next(), Some((low.clone(), low)));
        // Too long for one of the two, so the other is meant.
        let long: DigestPrefix = "a".repeat(65).parse().unwrap();
        assert_eq!(long.ranges().count(), 1);
    }

    #[test]
    fn what_is_no_beginning_is_refused() {
        let long = format!("sha256:{}", "a".repeat(65));
        for text in [
            "",
            "abc",
            "sha256:",
            "sha256:ab",
            "sha1:abcdef",
            "ABCDEF",
            "latest",
            "a:b:c",
            &long,
        ] {
            assert_eq!(text.parse::<DigestPrefix>(), Err(BadPrefix), "{text}");
        }
    }
}
