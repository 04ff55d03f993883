//! The head of an HTTP/1.1 message, read with as little work as possible: the client and the bare server both live on it.
//!
//! Units: bytes. Shape: [`end`] finds where the head ends, [`Head::parse`] reads the few fields that matter here.
//! Fails: a head that is not HTTP/1.1 gives `None`.
//! Source: RFC 9112.

/// The fields that a benchmark needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    /// The request line or the status line.
    pub(crate) line: &'a str,
    pub(crate) content_length: Option<u64>,
    pub(crate) is_chunked: bool,
    pub(crate) location: Option<&'a str>,
    /// First and last byte, both included.
    pub(crate) range: Option<(u64, u64)>,
    /// The other side closes the connection after this message.
    pub(crate) is_last: bool,
}

/// How many bytes the head has, its empty line included, once all of it is there.
pub(crate) fn end(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|&byte| byte == b'\n') {
        from += at + 1;
        if bytes[from..].starts_with(b"\r\n") {
            return Some(from + 2);
        }
    }
    None
}

impl<'a> Head<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(bytes).ok()?.split("\r\n");
        let mut head = Self {
            line: lines.next()?,
            ..Self::default()
        };
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            head.take(name, value.trim())?;
        }
        Some(head)
    }

    fn take(&mut self, name: &str, value: &'a str) -> Option<()> {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        if is("content-length") {
            self.content_length = Some(value.parse().ok()?);
        } else if is("transfer-encoding") {
            self.is_chunked = value.eq_ignore_ascii_case("chunked");
        } else if is("location") {
            self.location = Some(value);
        } else if is("range") {
            // An upload's `Range: 0-99` in an answer has no unit, and is of no use here.
            self.range = value.strip_prefix("bytes=").and_then(|range| {
                let (first, last) = range.split_once('-')?;
                Some((first.parse().ok()?, last.parse().ok()?))
            });
        } else if is("connection") {
            self.is_last = value.eq_ignore_ascii_case("close");
        }
        Some(())
    }

    /// `HTTP/1.1 200 OK`
    pub(crate) fn status(&self) -> Option<u16> {
        self.line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
    }

    /// `GET /v2/ HTTP/1.1`
    pub(crate) fn request(&self) -> Option<(&'a str, &'a str)> {
        self.line.strip_suffix(" HTTP/1.1")?.split_once(' ')
    }
}

/// The length of a chunk, and how many bytes its line takes; nothing while the line is not whole.
pub(crate) fn chunk(bytes: &[u8]) -> Option<Result<(u64, usize), &'static str>> {
    let line = bytes.iter().position(|&byte| byte == b'\n')?;
    let text = std::str::from_utf8(&bytes[..line]).unwrap_or_default();
    let digits = text.split(';').next().unwrap_or_default().trim();
    let length = u64::from_str_radix(digits, 16).map_err(|_| "not the length of a chunk");
    Some(length.map(|length| (length, line + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let bytes = b"HTTP/1.1 202 Accepted\r\nlocation: /v2/a/blobs/uploads/1\r\nRange: 0-0\r\nContent-Length: 0\r\n\r\nrest";
        let end = end(bytes).unwrap();
        assert_eq!(&bytes[end..], b"rest");
        let head = Head::parse(&bytes[..end]).unwrap();
        assert_eq!(head.status(), Some(202));
        assert_eq!(head.location, Some("/v2/a/blobs/uploads/1"));
        assert_eq!((head.content_length, head.is_chunked), (Some(0), false));
        assert_eq!(head.range, None);
    }

    #[test]
    fn a_request_is_read() {
        let head = Head::parse(
            b"GET /v2/a/blobs/b HTTP/1.1\r\nHost: x\r\nRANGE: bytes=3-9\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
        assert_eq!(head.request(), Some(("GET", "/v2/a/blobs/b")));
        assert_eq!(head.range, Some((3, 9)));
        assert!(head.is_last);
    }

    #[test]
    fn half_a_head_and_what_is_not_a_head_are_told_apart() {
        assert_eq!(end(b"HTTP/1.1 200 OK\r\nA: b\r\n"), None);
        assert_eq!(Head::parse(b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"), None);
        assert_eq!(Head::parse(b"SSH-2.0\r\n\r\n").unwrap().status(), None);
    }

    #[test]
    fn the_length_of_a_chunk_is_read() {
        assert_eq!(chunk(b"1F\r\nx"), Some(Ok((31, 4))));
        assert_eq!(chunk(b"8000;a=b\r\n"), Some(Ok((32768, 10))));
        assert_eq!(chunk(b"80"), None);
        assert!(chunk(b"zz\r\n").unwrap().is_err());
    }
}
