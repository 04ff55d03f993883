//! Logging in at another registry: Basic, or a token from the realm that a 401 names.
//!
//! A password goes only to the host that was named, and to a realm over the same or better protection.
//! Fails: `RemoteError::Login` where the login is refused, `Unexpected` where the realm makes no sense.
//! Source: RFC 7617; the token authentication of the CNCF registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, Method, StatusCode};
use registry::adopt::RemoteError;
use serde::Deserialize;

use super::HttpRemote;
use super::address::{encode, parameters};
use super::answer::{document, shown, unexpected};

/// Name and password.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl HttpRemote {
    /// What to answer a 401 with; none without a login or a way that is known here.
    pub(super) async fn authorize(
        &self,
        address: &str,
        headers: &HeaderMap,
    ) -> Result<Option<String>, RemoteError> {
        let basic = self.login.as_ref().map(|login| {
            let pair = format!("{}:{}", login.user, login.password);
            format!("Basic {}", STANDARD.encode(pair))
        });
        for challenge in headers.get_all(WWW_AUTHENTICATE) {
            let challenge = challenge.to_str().unwrap_or_default();
            let (scheme, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
            if scheme.eq_ignore_ascii_case("basic") {
                return Ok(basic);
            }
            if scheme.eq_ignore_ascii_case("bearer") {
                return self.token(address, rest, basic.as_deref()).await.map(Some);
            }
        }
        Ok(None)
    }

    /// A token from the realm that a challenge names.
    async fn token(
        &self,
        address: &str,
        challenge: &str,
        basic: Option<&str>,
    ) -> Result<String, RemoteError> {
        let parameters = parameters(challenge);
        let Some(realm) = parameters.get("realm") else {
            return Err(unexpected(address, format!("Bearer {challenge}")));
        };
        if address.starts_with("https:") && !realm.starts_with("https:") && basic.is_some() {
            return Err(unexpected(
                address,
                format!("a realm without TLS, {}", shown(realm)),
            ));
        }
        let query: Vec<String> = ["service", "scope"]
            .iter()
            .filter_map(|key| Some(format!("{key}={}", encode(parameters.get(*key)?))))
            .collect();
        let joint = if realm.contains('?') { '&' } else { '?' };
        let from = format!("{realm}{joint}{}", query.join("&"));
        let response = self.ask(&Method::GET, &from, basic, &[]).await?;
        if response.status() != StatusCode::OK {
            return Err(RemoteError::Login {
                address: shown(&from),
            });
        }
        let token: Token = document(&from, response).await?;
        match token.token.or(token.access_token) {
            Some(token) => Ok(format!("Bearer {token}")),
            None => Err(unexpected(&from, "no token".to_owned())),
        }
    }
}
