//! The rules that hold for every answer under `/v2/`, whatever it is about. Each exchange of each story is held against them.
//!
//! Source: distribution-spec "Error Codes", "API" and "Warnings"; RFC 9110 sections 8.6, 9.3.2, 15.5.6.

use super::exchange::Response;

const CODES: [&str; 19] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DENIED",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "PAGINATION_NUMBER_INVALID",
    "RANGE_INVALID",
    "SIZE_INVALID",
    "TAG_INVALID",
    "TOOMANYREQUESTS",
    "UNAUTHORIZED",
    "UNAVAILABLE",
    "UNKNOWN",
    "UNSUPPORTED",
];

/// Panics if the answer breaks a rule.
pub(crate) fn hold(method: &str, target: &str, answer: &Response) {
    let path = target.split('?').next().unwrap_or_default();
    if !(path == "/v2" || path.starts_with("/v2/") || path.starts_with("/reg/v2/")) {
        return;
    }
    let story = format!("{method} {target} ->\n{answer}");
    assert_eq!(
        answer.header("Docker-Distribution-Api-Version"),
        Some("registry/2.0"),
        "on every answer: {story}"
    );
    assert!(
        answer.header("Content-Encoding").is_none(),
        "never compressed: {story}"
    );
    assert!(
        answer.header("Set-Cookie").is_none(),
        "no cookies on /v2: {story}"
    );
    assert!(answer.header("Date").is_some(), "always a Date: {story}");
    if let Some(kind) = answer.header("Content-Type")
        && !kind.starts_with("multipart/byteranges")
    {
        assert!(!kind.contains(';'), "Content-Type without parameters: {story}");
    }
    if let 200..300 | 400..600 = answer.status
        && method != "HEAD"
        && answer.status != 204
    {
        let length = answer.body.len().to_string();
        assert_eq!(
            answer.header("Content-Length"),
            Some(&*length),
            "every body has its length: {story}"
        );
    }
    if answer.status >= 400 && method != "HEAD" {
        error_document(answer, &story);
    }
    match answer.status {
        401 => assert!(
            answer.header("WWW-Authenticate").is_some(),
            "401 has a challenge: {story}"
        ),
        405 => assert!(
            answer.header("Allow").is_some(),
            "405 says what is allowed: {story}"
        ),
        429 | 503 => assert!(
            answer.header("Retry-After").is_some(),
            "says when to come back: {story}"
        ),
        _ => {}
    }
}

fn error_document(answer: &Response, story: &str) {
    assert_eq!(
        answer.header("Content-Type"),
        Some("application/json"),
        "errors are JSON: {story}"
    );
    let document = answer.json();
    let errors = document["errors"]
        .as_array()
        .unwrap_or_else(|| panic!("no list of errors: {story}"));
    assert!(!errors.is_empty(), "an empty list of errors: {story}");
    for error in errors {
        let code = error["code"].as_str().unwrap_or_default();
        assert!(CODES.contains(&code), "unknown code {code:?}: {story}");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "an error without a message: {story}");
    }
}
