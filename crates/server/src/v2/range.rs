//! `Range` of a pull and `Content-Range` of a chunk.
//!
//! Units: bytes; a `Span` is `first..=last`, both ends included, as the RFC counts. Nothing fails: what cannot be
//! read as a range of bytes is ignored, as the RFC asks.
//! Source: RFC 9110 section 14; distribution-spec "Pulling blobs", "Pushing a blob in chunks".

/// Bytes `first..=last`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// The first byte.
    pub first: u64,
    /// The last byte, included.
    pub last: u64,
}

impl Span {
    /// How many bytes it covers.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.last - self.first + 1
    }

    /// Never true: a span has at least one byte.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }
}

/// What a `Range` header asks of content of a known size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Everything: no range, or none that can be read, or more than there is.
    Whole,
    /// One part.
    Part(Span),
    /// Several were asked: these parts, in the order asked, each on its own (clients count them).
    Parts(Vec<Span>),
    /// Nothing of what was asked exists.
    Unsatisfiable,
}

/// Most ranges in one request; more are answered with everything.
pub const RANGES_MAX: usize = 1024;

impl Wanted {
    /// Reads the header against content of `size` bytes.
    #[must_use]
    pub fn read(header: Option<&[u8]>, size: u64) -> Self {
        let Some(list) = header.and_then(list_of_bytes) else {
            return Self::Whole;
        };
        if size == 0 {
            return Self::Whole;
        }
        let asked: Vec<&str> = list.split(',').map(str::trim).collect();
        if asked.len() > RANGES_MAX {
            return Self::Whole;
        }
        let Some(specs) = asked
            .iter()
            .map(|text| Spec::read(text))
            .collect::<Option<Vec<_>>>()
        else {
            return Self::Whole;
        };
        let parts: Vec<Span> = specs.iter().filter_map(|spec| spec.resolve(size)).collect();
        match (specs.len(), parts.as_slice()) {
            (_, []) => Self::Unsatisfiable,
            (1, [span]) => Self::Part(*span),
            _ if parts
                .iter()
                .fold(0_u64, |sum, span| sum.saturating_add(span.len()))
                > size =>
            {
                Self::Whole
            }
            _ => Self::Parts(parts),
        }
    }
}

fn list_of_bytes(header: &[u8]) -> Option<&str> {
    let (unit, list) = std::str::from_utf8(header).ok()?.split_once('=')?;
    unit.trim().eq_ignore_ascii_case("bytes").then_some(list)
}

/// One range as it was asked.
enum Spec {
    From(u64),
    FromTo(u64, u64),
    Last(u64),
}

impl Spec {
    fn read(text: &str) -> Option<Self> {
        match text.split_once('-')? {
            ("", n) => number(n).map(Self::Last),
            (first, "") => number(first).map(Self::From),
            (first, last) => Some(Self::FromTo(number(first)?, number(last)?)),
        }
    }

    /// The bytes that exist of it. `size` is not 0.
    fn resolve(&self, size: u64) -> Option<Span> {
        let end = size - 1;
        match *self {
            Self::From(first) | Self::FromTo(first, _) if first > end => None,
            Self::From(first) => Some(Span { first, last: end }),
            Self::FromTo(first, last) => (first <= last).then(|| Span {
                first,
                last: last.min(end),
            }),
            Self::Last(0) => None,
            Self::Last(n) => Some(Span {
                first: size.saturating_sub(n),
                last: end,
            }),
        }
    }
}

/// Digits only; a number too large for any content stands for the largest.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Reads `Content-Range` of a chunk: `a-b`; `bytes a-b/x` and `bytes=a-b` are understood too.
/// `None` for anything else, and where the end lies before the start.
#[must_use]
pub fn chunk(header: &[u8]) -> Option<Span> {
    let text = std::str::from_utf8(header).ok()?.trim();
    let text = text
        .strip_prefix("bytes")
        .map_or(text, |rest| rest.trim_start_matches([' ', '=']));
    let text = text.split_once('/').map_or(text, |(span, _)| span);
    let (first, last) = text.split_once('-')?;
    let strict = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse().ok())?
    };
    let (first, last): (u64, u64) = (strict(first)?, strict(last)?);
    (first <= last && last < u64::MAX).then_some(Span { first, last })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(header: &str, size: u64) -> Wanted {
        Wanted::read(Some(header.as_bytes()), size)
    }

    fn span(first: u64, last: u64) -> Span {
        Span { first, last }
    }

    #[test]
    fn one_range() {
        assert_eq!(read("bytes=500-1499", 2048), Wanted::Part(span(500, 1499)));
        assert_eq!(read("bytes=500-", 2048), Wanted::Part(span(500, 2047)));
        assert_eq!(read("bytes=-500", 2048), Wanted::Part(span(1548, 2047)));
        assert_eq!(read("bytes=2000-5000", 2048), Wanted::Part(span(2000, 2047)));
        assert_eq!(read("Bytes= 0-0", 2048), Wanted::Part(span(0, 0)));
        assert_eq!(
            read("bytes=-9999999999999999999999", 10),
            Wanted::Part(span(0, 9))
        );
    }

    #[test]
    fn outside_is_unsatisfiable() {
        for header in [
            "bytes=500-0",
            "bytes=5000-10000",
            "bytes=2048-",
            "bytes=-0",
            "bytes=9999999999999999999999-",
        ] {
            assert_eq!(read(header, 2048), Wanted::Unsatisfiable, "{header}");
        }
    }

    #[test]
    fn what_is_no_range_of_bytes_is_ignored() {
        for header in [
            "items=0-1",
            "bytes=abc",
            "bytes=",
            "bytes=1",
            "bytes=-",
            "bytes=+1-2",
            "bytes=1-2,x",
            "0-1",
            "",
        ] {
            assert_eq!(read(header, 2048), Wanted::Whole, "{header}");
        }
        assert_eq!(read("bytes=0-0", 0), Wanted::Whole);
        assert_eq!(Wanted::read(None, 5), Wanted::Whole);
    }

    #[test]
    fn several_ranges_stay_apart_and_in_order() {
        assert_eq!(
            read("bytes=0-9, 20-29,5-6", 2048),
            Wanted::Parts(vec![span(0, 9), span(20, 29), span(5, 6)])
        );
        assert_eq!(read("bytes=0-9,5000-", 2048), Wanted::Parts(vec![span(0, 9)]));
        assert_eq!(read("bytes=0-2000,0-2000", 2048), Wanted::Whole);
        let many = |n: usize| format!("bytes={}", vec!["0-0"; n].join(","));
        assert!(matches!(read(&many(RANGES_MAX), 2048), Wanted::Parts(_)));
        assert_eq!(read(&many(RANGES_MAX + 1), 2048), Wanted::Whole);
    }

    #[test]
    fn chunks_are_spelled_in_three_ways() {
        for text in ["20-29", "bytes 20-29/100", "bytes=20-29", "bytes 20-29/*"] {
            assert_eq!(chunk(text.as_bytes()), Some(span(20, 29)), "{text}");
        }
        for bad in [
            "",
            "20",
            "29-20",
            "a-b",
            "-5",
            "5-",
            "+1-2",
            "1-18446744073709551615",
            "1-99999999999999999999",
        ] {
            assert_eq!(chunk(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parts_lie_inside_and_never_exceed_the_whole(header in "bytes=[-0-9, ]{0,60}", size in 0_u64..5000) {
            let parts = match read(&header, size) {
                Wanted::Part(part) => vec![part],
                Wanted::Parts(parts) => parts,
                Wanted::Whole | Wanted::Unsatisfiable => vec![],
            };
            prop_assert!(parts.iter().all(|part| part.first <= part.last && part.last < size));
            prop_assert!(parts.iter().map(|part| part.len()).sum::<u64>() <= size);
        }

        #[test]
        fn any_bytes_are_survived(header in proptest::collection::vec(any::<u8>(), 0..60), size: u64) {
            let _ = Wanted::read(Some(&header), size);
            let _ = chunk(&header);
        }
    }
}
