//! The query of a request, decoded once.
//!
//! Clients sort it, re-encode it and add to it (`ns=`), so it is a list of pairs and unknown ones are let be.
//! Source: distribution-spec "Pushing blobs", "Listing Referrers"; RFC 3986 section 3.4.

use crate::v2::route::decode;

/// Decoded pairs, in the order of the request.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands after the `?`.
    #[must_use]
    pub fn read(text: Option<&str>) -> Self {
        let pairs = text
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(key, value)| (plain(key), plain(value)))
                .collect(),
        )
    }

    /// The first value of `key`; an empty one counts as absent.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(k, value)| k == key && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Every key, as often as it stands there.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// Every value of `key`, empty ones too.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }
}

fn plain(text: &str) -> String {
    // A `+` stays what it is (RFC 3986): artifact types have it, and no parameter has a blank.
    decode(text).into_owned()
}

/// Percent-encodes a value of a query, all but the unreserved characters of RFC 3986.
#[must_use]
pub fn encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(b));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(b >> 4)]));
            encoded.push(char::from(HEX[usize::from(b & 15)]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_and_strangers_do_not_matter() {
        let query = Query::read(Some("ns=docker.io&digest=sha256%3Aab&_state=&tag=a&tag=b"));
        assert_eq!(query.get("digest"), Some("sha256:ab"));
        assert_eq!(query.get("_state"), None);
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(Query::read(None).get("n"), None);
        assert_eq!(
            Query::read(Some("artifactType=a/b+json")).get("artifactType"),
            Some("a/b+json")
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(text in ".{1,40}") {
            let line = format!("k={}", encode(&text));
            let query = Query::read(Some(&line));
            prop_assert_eq!(query.get("k"), Some(text.as_str()));
        }
    }
}
