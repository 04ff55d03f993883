//! `server::v2::range`: `Range` of a pull, `Content-Range` of a chunk. Source: RFC 9110 section 14.

use server::v2::range::{RANGES_MAX, Span, Wanted, chunk};

/// A size in decimal digits, a line end, and the value of a header; without a size, of 2048 bytes.
///
/// # Panics
/// If a part lies outside the content or the parts are more than all of it, if writing what was read anew reads
/// differently, or if a chunk ends before it starts.
pub fn ranges(data: &[u8]) {
    let (size, header) = size_and_header(data);
    let wanted = Wanted::read(Some(header), size);
    let parts = match &wanted {
        Wanted::Whole => &[][..],
        Wanted::Unsatisfiable => {
            assert_ne!(size, 0, "all of nothing can be had");
            &[]
        }
        Wanted::Part(part) => {
            assert!(!header.contains(&b','));
            std::slice::from_ref(part)
        }
        Wanted::Parts(parts) => {
            assert!(header.contains(&b','));
            assert!((1..=RANGES_MAX).contains(&parts.len()));
            parts
        }
    };
    assert!(
        parts
            .iter()
            .all(|part| part.first <= part.last && part.last < size)
    );
    assert!(parts.iter().map(|part| u128::from(part.len())).sum::<u128>() <= size.into());
    if !parts.is_empty() {
        means_the_same_again(&wanted, parts, size);
    }
    if let Some(span) = chunk(header) {
        assert!(span.first <= span.last);
        let Span { first, last } = span;
        for text in [
            format!("{first}-{last}"),
            format!("bytes {first}-{last}/*"),
            format!("bytes={first}-{last}"),
        ] {
            assert_eq!(chunk(text.as_bytes()), Some(span), "{text}");
        }
    }
}

/// No file is larger: its size is signed where it comes from.
const SIZE_MAX: u64 = i64::MAX.unsigned_abs();

fn size_and_header(data: &[u8]) -> (u64, &[u8]) {
    let Some(end) = data.iter().position(|&b| b == b'\n') else {
        return (2048, data);
    };
    let size = str::from_utf8(&data[..end])
        .ok()
        .and_then(|text| text.parse().ok());
    (size.unwrap_or(2048).min(SIZE_MAX), &data[end + 1..])
}

fn means_the_same_again(wanted: &Wanted, parts: &[Span], size: u64) {
    let spelled: Vec<_> = parts
        .iter()
        .map(|part| format!("{}-{}", part.first, part.last))
        .collect();
    let again = Wanted::read(Some(format!("bytes={}", spelled.join(", ")).as_bytes()), size);
    match (wanted, again) {
        // One of several that could be had stays a list of one; written alone it is a part.
        (Wanted::Parts(parts), Wanted::Part(part)) => assert_eq!(parts.as_slice(), [part]),
        (_, again) => assert_eq!(&again, wanted),
    }
}
