//! Which address the client asks, and what it makes of an answer.

use super::*;

#[test]
fn urls_are_read_as_people_write_them() {
    let shown = |text: &str| text.parse::<Server>().map(|server| server.to_string());
    assert_eq!(
        shown("http://localhost:5000/"),
        Ok("http://localhost:5000".into())
    );
    assert_eq!(
        shown("http://[::1]:5000/reg/"),
        Ok("http://[::1]:5000/reg".into())
    );
    assert_eq!(
        shown("http://r.example.com"),
        Ok("http://r.example.com:80".into())
    );
    for wrong in ["localhost:5000", "http://", "http://x:y", "ftp://x"] {
        assert!(shown(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn answers_are_read_whole_or_not_at_all() {
    let body = |text: &[u8]| Answer::parse(text, false).map(|answer| answer.body);
    assert_eq!(
        body(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        Some(b"ok".to_vec())
    );
    assert_eq!(body(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"), None);
    assert_eq!(
        body(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1;x\r\n!\r\n0\r\n\r\n"),
        Some(b"ok!".to_vec())
    );
    assert_eq!(body(b"SSH-2.0-x\r\n\r\n"), None);
}
