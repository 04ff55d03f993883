//! Addresses and the small grammars around them: what a `Location` or a `Link` leads to, what a challenge asks for.
//!
//! Source: RFC 3986 section 5.2, as far as registries use it; RFC 9110 section 11.2.

use std::collections::HashMap;

use http::Uri;

/// Whether a login for one address may go to the other.
pub(super) fn same_host(a: &str, b: &str) -> bool {
    let origin = |text: &str| {
        let uri = text.parse::<Uri>().ok()?;
        Some((uri.scheme()?.clone(), uri.authority()?.clone()))
    };
    origin(a).is_some() && origin(a) == origin(b)
}

/// A `Location` or `Link`, as seen from the address that sent it.
pub(super) fn absolute(from: &str, to: &str) -> String {
    if to.contains("://") {
        return to.to_owned();
    }
    let origin = from.find("://").map_or(0, |at| at + 3);
    let end = from[origin..].find('/').map_or(from.len(), |at| origin + at);
    if to.starts_with('/') {
        format!("{}{to}", &from[..end])
    } else {
        let folder = from.split('?').next().unwrap_or(from);
        let folder = folder.rfind('/').filter(|at| *at >= end).unwrap_or(end);
        format!("{}/{to}", &from[..folder])
    }
}

/// `realm="…",service="…"` as pairs; a comma within quotes belongs to its value.
pub(super) fn parameters(text: &str) -> HashMap<String, String> {
    let mut pairs = HashMap::new();
    let mut rest = text.trim();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        pairs.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        rest = next.trim_start_matches([',', ' ']);
    }
    pairs
}

/// A value of a query.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:,".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_scope_does_not_end_it() {
        let found = parameters(r#"realm="https://a/token",service=reg,scope="repository:a/b:pull,push""#);
        assert_eq!(found["realm"], "https://a/token");
        assert_eq!(found["service"], "reg");
        assert_eq!(found["scope"], "repository:a/b:pull,push");
    }

    #[test]
    fn addresses_are_made_whole_and_a_login_stays_with_its_host() {
        let from = "https://a:5000/v2/_catalog?n=1";
        assert_eq!(
            absolute(from, "/v2/_catalog?last=b"),
            "https://a:5000/v2/_catalog?last=b"
        );
        assert_eq!(
            absolute(from, "_catalog?last=b"),
            "https://a:5000/v2/_catalog?last=b"
        );
        assert_eq!(absolute(from, "https://b/x"), "https://b/x");
        assert!(same_host(from, "https://a:5000/other"));
        assert!(!same_host(from, "http://a:5000/other"));
        assert!(!same_host(from, "https://cdn.a/other"));
    }
}
