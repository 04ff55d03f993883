//! Rates in bytes a second: `20MB/s`, or any size; `/s` may be left out. 0 is none at all.

use crate::node::Node;
use crate::size::parse_size;
use crate::value::{Misfit, Read, misfit, scalar};

/// So many bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rate(pub(crate) u64);

/// `20MB/s` -> 20000000. Letters in any case; `None` for what is no size.
#[must_use]
pub fn parse_rate(text: &str) -> Option<u64> {
    let text = text.trim();
    let size = text.strip_suffix("/s").or_else(|| text.strip_suffix("/S"));
    parse_size(size.unwrap_or(text).trim_end())
}

impl Read for Rate {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        const RATE: &str = "bytes a second, such as `20MB/s`, or `0`";
        let Some(text) = scalar(node, RATE)? else {
            return Ok(None);
        };
        match parse_rate(text) {
            Some(bytes) => Ok(Some(Self(bytes))),
            None => misfit(node, format!("expected {RATE}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        for (text, bytes) in [
            ("20MB/s", 20_000_000),
            ("50 MiB/s", 52_428_800),
            ("1gb/S", 1_000_000_000),
            ("7MB", 7_000_000),
            ("0", 0),
        ] {
            assert_eq!(parse_rate(text), Some(bytes), "{text}");
        }
        for bad in ["", "/s", "fast", "20MB/h", "-1MB/s", "20Mb/s/s"] {
            assert_eq!(parse_rate(bad), None, "{bad}");
        }
    }
}
