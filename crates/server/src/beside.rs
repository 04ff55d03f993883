//! Plain HTTP where TLS is meant: the way to HTTPS, the local CA's certificate, and answers to an ACME authority.
//!
//! Nothing of the registry is served in the clear: a password that somebody sends here has been seen by the network
//! already, and the answer says so. Health probes are answered, because they hold no secret and few of them speak TLS.
//! Source: RFC 8555 section 8.3; RFC 9110 section 15.4 for redirects.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tls::Certificates;

use crate::body::Body;
use crate::origin::is_authority;

/// What plain HTTP beside a TLS listener needs.
#[derive(Clone)]
pub struct Beside {
    /// Challenges, and the local CA.
    pub certificates: Arc<Certificates>,
    /// Where TLS is.
    pub https_port: u16,
    /// Whether every GET is sent there; else only what asks for a page, and programs get an error that they show.
    pub redirects_programs: bool,
}

/// Answers before, or in place of, everybody else.
#[derive(Clone)]
pub(crate) enum Aside {
    /// Over TLS: only the local CA's certificate.
    Also(Beside),
    /// In the clear: everything.
    Instead(Beside),
}

const CHALLENGES: &str = "/.well-known/acme-challenge/";

impl Aside {
    /// The answer, unless the request is for everybody else.
    pub(crate) fn answer<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let (Self::Also(beside) | Self::Instead(beside)) = self;
        if let Some(ca) = beside.ca(request) {
            return Some(ca);
        }
        match self {
            Self::Also(_) => None,
            Self::Instead(beside) => beside.instead(request),
        }
    }
}

impl Beside {
    fn ca<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        if request.uri().path() != "/ca.pem" || !is_reading(request) {
            return None;
        }
        let pem = self.certificates.ca()?;
        Some(text(
            StatusCode::OK,
            "application/x-pem-file",
            pem.as_bytes().to_vec(),
        ))
    }

    fn instead<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let path = request.uri().path();
        if matches!(path, "/healthz" | "/readyz" | "/startupz") {
            return None;
        }
        if let Some(token) = path.strip_prefix(CHALLENGES) {
            return Some(match self.certificates.answer(token) {
                Some(answer) => text(StatusCode::OK, "application/octet-stream", answer.into_bytes()),
                None => text(StatusCode::NOT_FOUND, TEXT, b"no such challenge\n".to_vec()),
            });
        }
        let url = self.https_url(request);
        let page = request
            .headers()
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|accepted| accepted.contains("text/html"));
        if let Some(url) = &url
            && is_reading(request)
            && (page || self.redirects_programs)
            && let Ok(location) = HeaderValue::from_str(url)
        {
            let mut response = text(
                StatusCode::PERMANENT_REDIRECT,
                TEXT,
                format!("This registry is at {url}\n").into_bytes(),
            );
            response.headers_mut().insert(header::LOCATION, location);
            return Some(response);
        }
        let place = url.unwrap_or_else(|| "its https:// address".into());
        let mut said = format!("This is plain HTTP, and the registry speaks HTTPS: use {place}\n");
        if request.headers().contains_key(header::AUTHORIZATION) {
            said += "The password came without encryption: change it.\n";
        }
        Some(text(StatusCode::BAD_REQUEST, TEXT, said.into_bytes()))
    }

    /// The same address with TLS, if the request says which host it means.
    fn https_url<B>(&self, request: &Request<B>) -> Option<String> {
        let sent = request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let authority = request
            .uri()
            .authority()
            .map(http::uri::Authority::as_str)
            .or(sent)?;
        if !is_authority(authority) {
            return None;
        }
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => authority,
        };
        let target = request
            .uri()
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        Some(match self.https_port {
            443 => format!("https://{host}{target}"),
            port => format!("https://{host}:{port}{target}"),
        })
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

fn is_reading<B>(request: &Request<B>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

fn text(status: StatusCode, kind: &'static str, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::Full(Bytes::from(bytes)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
