//! `access::Credentials`: what `Authorization: Basic …` says. Source: RFC 7617.

use access::Credentials;

/// Any bytes as the value of an `Authorization` header.
///
/// # Panics
/// If a name has a colon, or reading depends on the case of the scheme or on blanks around the token.
pub fn authorization(data: &[u8]) {
    let read = Credentials::parse(data);
    if let Ok(credentials) = &read {
        assert!(!credentials.name().contains([':', '\0']));
        assert_eq!(format!("{credentials:?}"), "Credentials(hidden)");
    }
    let blanks = [b"  ", data, b" "].concat();
    if blanks.len() <= 8192 {
        assert_eq!(
            Credentials::parse(&blanks),
            read,
            "blanks around it change what it says"
        );
    }
    if let Some(space) = data.trim_ascii_start().iter().position(|&b| b == b' ') {
        let start = data.len() - data.trim_ascii_start().len();
        let mut louder = data.to_vec();
        louder[..start + space].make_ascii_uppercase();
        assert_eq!(
            Credentials::parse(&louder),
            read,
            "the case of the scheme changes what it says"
        );
    }
}
