//! The `/v2/` tree: one module per resource of the spec.
//!
//! A request becomes a `Route`, its sender a `Caller`, and the two go to the one handler for them. Checks come in this
//! order: route, method, login, right, grammar of names, repository, operation; so without a login a missing and a
//! forbidden repository look the same.
//! Source: distribution-spec "API"; RFC 9110.

pub mod base;
pub mod blob;
pub mod manifest;
mod page;
pub mod query;
pub mod range;
pub(crate) mod receive;
pub mod referrers;
pub mod refusal;
pub mod route;
pub mod state;
pub mod tags;
pub mod upload;

use access::Caller;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_LENGTH, EXPECT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use oci::Reference;

use crate::body::{Body, Means};
use crate::connection::Sender;
use crate::context::Context;
use crate::inlet::Inlet;
use crate::origin::Peer;
use crate::outlet::Shortcuts;
use query::Query;
use receive::ClientBody;
use refusal::Refusal;
use route::{Misrouted, Route, Verb};

/// Longest request target, in bytes.
pub const TARGET_MAX: usize = 16 * 1024;
/// Longest headers of a request, together, in bytes.
pub const HEADERS_MAX: usize = 64 * 1024;
/// `Docker-Content-Digest`: the digest of what is served or stored.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// One request, as handlers see it.
pub(crate) struct Exchange<'a> {
    pub(crate) server: &'a Context,
    pub(crate) head: &'a Parts,
    pub(crate) query: Query,
    pub(crate) peer: Peer,
    pub(crate) caller: Caller,
    /// How blobs get out to the sender.
    pub(crate) means: Means,
    /// How bodies of blobs get in, where there is a shortcut.
    pub(crate) inlet: Option<Inlet>,
}

/// What the access log tells of a request beside its answer.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) user: Option<String>,
    pub(crate) route: Option<Route>,
    /// The path of the admin API's route, without what varies in it.
    pub(crate) endpoint: Option<&'static str>,
}

/// Answers one request. `path` is the target's path without `http.prefix`.
pub(crate) async fn answer(
    server: &Context,
    request: Request<Incoming>,
    path: &str,
    sender: Sender,
    told: &mut Told,
) -> Response<Body> {
    let (head, incoming) = request.into_parts();
    server.origin.explain_limits(&head);
    let mut body = ClientBody::new(incoming, server.options.idle_body, sender.farewell.clone());
    let outcome = handle(server, &head, path, sender, &mut body, told).await;
    let mut response = outcome.unwrap_or_else(Refusal::into_response);
    say_what_is_allowed(&mut response, told, &head.method);
    if !body.is_taken() && !head.headers.contains_key(EXPECT) {
        // Reading a little of what was refused lets the client see the answer, and keep its connection.
        body.drain().await;
    }
    finish(&head.method, &mut response);
    response
}

async fn handle(
    server: &Context,
    head: &Parts,
    path: &str,
    sender: Sender,
    body: &mut ClientBody,
    told: &mut Told,
) -> Result<Response<Body>, Refusal> {
    if head
        .uri
        .path_and_query()
        .is_some_and(|target| target.as_str().len() > TARGET_MAX)
    {
        return Err(Refusal::TargetTooLong);
    }
    let header_bytes: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if header_bytes > HEADERS_MAX {
        return Err(Refusal::HeadersTooLong);
    }
    let parsed = match Route::parse(&head.method, path) {
        Err(misrouted @ (Misrouted::Nowhere | Misrouted::Method(_))) => {
            return Err(Refusal::Misrouted(misrouted));
        }
        other => other,
    };
    if head.method == Method::OPTIONS {
        return Ok(options(&parsed));
    }
    if server.is_closing() {
        return Err(Refusal::Closing);
    }
    if server.health.is_starting() {
        return Err(Refusal::Starting);
    }
    if !server.health.is_good() {
        return Err(Refusal::Unfit);
    }
    let authorization = head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let caller = server
        .access
        .authenticate(authorization)
        .await
        .map_err(|rejected| Refusal::Rejected(rejected, server.access.challenge()))?
        .at(server.origin.client(&head.headers, sender.peer).into());
    told.user = caller.name().map(str::to_owned);
    let (route, verb) = parsed.map_err(Refusal::Misrouted)?;
    told.route = Some(route.clone());
    if server.registry.rules().read_only && !matches!(verb, Verb::Get | Verb::Head) {
        return Err(Refusal::Domain(server.registry.read_only()));
    }
    let (outlet, inlet) = match sender.shortcuts(head.version) {
        Some(Shortcuts { outlet, inlet }) => (Some(outlet), Some(inlet)),
        None => (None, None),
    };
    let x = Exchange {
        server,
        head,
        query: Query::read(head.uri.query()),
        peer: sender.peer,
        caller,
        means: Means {
            pool: server.reads.clone(),
            outlet,
        },
        inlet,
    };
    dispatch(&x, route, verb, body)
        .await
        .map_err(|refusal| refusal.seen_by(&x.caller))
}

async fn dispatch(
    x: &Exchange<'_>,
    route: Route,
    verb: Verb,
    body: &mut ClientBody,
) -> Result<Response<Body>, Refusal> {
    match (route, verb) {
        (Route::Base, _) => Ok(base::ping()),
        (Route::Catalog, _) => base::catalog(x).await,
        (Route::Extensions, _) => Ok(base::extensions()),
        (Route::Tags(name), _) => tags::list(x, &name).await,
        (Route::Referrers(name, digest), _) => referrers::list(x, &name, &digest).await,
        (Route::Blob(name, digest), Verb::Delete) => blob::delete(x, &name, &digest).await,
        (Route::Blob(name, digest), Verb::Head) => blob::stat(x, &name, &digest).await,
        (Route::Blob(name, digest), _) => blob::pull(x, &name, &digest).await,
        (Route::Manifest(name, reference), Verb::Put) => manifest::push(x, &name, reference, body).await,
        (Route::Manifest(name, reference), Verb::Delete) => manifest::delete(x, &name, &reference).await,
        (Route::Manifest(name, reference), Verb::Head) => manifest::stat(x, &name, &reference).await,
        (Route::Manifest(name, reference), _) => manifest::pull(x, &name, &reference).await,
        (Route::Uploads(name), _) => upload::begin(x, &name, body).await,
        (Route::Upload(name, id), Verb::Patch) => upload::append(x, &name, id, body).await,
        (Route::Upload(name, id), Verb::Put) => upload::finish(x, &name, id, body).await,
        (Route::Upload(name, id), Verb::Delete) => upload::cancel(x, &name, id).await,
        (Route::Upload(name, id), _) => upload::status(x, &name, id).await,
    }
}

fn options(parsed: &Result<(Route, Verb), Misrouted>) -> Response<Body> {
    let allow = parsed
        .as_ref()
        .map_or("GET, HEAD, OPTIONS", |(route, _)| route.allow());
    let mut response = Response::new(Body::Empty);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// A 405 that the domain decided (read-only, still in use) names the methods that are left.
fn say_what_is_allowed(response: &mut Response<Body>, told: &Told, refused: &Method) {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED || response.headers().contains_key(ALLOW) {
        return;
    }
    let all = told.route.as_ref().map_or("", Route::allow);
    let left: Vec<&str> = all
        .split(", ")
        .filter(|method| *method != refused.as_str())
        .collect();
    put(response.headers_mut(), ALLOW, &left.join(", "));
}

/// What every answer under `/v2/` carries.
fn finish(method: &Method, response: &mut Response<Body>) {
    let bodiless = matches!(
        response.status(),
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    let headers = response.headers_mut();
    headers.insert(
        "docker-distribution-api-version",
        HeaderValue::from_static("registry/2.0"),
    );
    if !bodiless && !headers.contains_key(CONTENT_LENGTH) {
        let size = http_body::Body::size_hint(response.body())
            .exact()
            .unwrap_or_default();
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(size));
    }
    if *method == Method::HEAD {
        *response.body_mut() = Body::Empty;
    }
}

/// The answer to a request that ran into a fault of ours.
pub(crate) fn fault(method: &Method) -> Response<Body> {
    let error = registry::Error::Interrupted("a fault of the server".into());
    let mut response = Refusal::Domain(error).into_response();
    finish(method, &mut response);
    response
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}

/// A JSON answer; the type carries no parameters, because clients compare it whole.
pub(crate) fn json(document: Vec<u8>, media_type: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(document));
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A header whose value we made ourselves out of checked parts.
pub(crate) fn put(headers: &mut HeaderMap, name: impl http::header::IntoHeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Whether a list of entity tags (`If-Match`, `If-None-Match`) names this digest. Quoted or not; `*` names all.
pub(crate) fn names_digest(list: Option<&HeaderValue>, digest: &str) -> bool {
    let tags = list.and_then(|list| list.to_str().ok()).unwrap_or_default();
    tags.split(',')
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
        .any(|tag| tag == digest || tag == "*")
}

impl Exchange<'_> {
    /// A header as text, if it is there and is text.
    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A link to a path of ours, as clients reach it.
    pub(crate) fn link(&self, path: &str) -> String {
        self.server.origin.link(self.head, self.peer, path)
    }

    pub(crate) fn manifest_link(&self, name: &str, reference: &Reference) -> String {
        self.link(&format!("/v2/{name}/manifests/{reference}"))
    }
}
