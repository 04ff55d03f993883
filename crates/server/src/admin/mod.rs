//! The admin API, `/api/v1`: JSON over HTTP with a login, and over the server's unix socket without one.
//!
//! **How to add an endpoint and its command** (follow `gc`):
//! 1. Wire types: a file in `admin/types/`, re-exported there, so `server::api` has them. Answers derive `Serialize, Deserialize,
//!    ToSchema` and implement [`Document`](crate::api::Document) (one object) or [`Item`](crate::api::Item) (an item of a list);
//!    what a request carries also has `#[serde(deny_unknown_fields)]`. Times are [`Time`](crate::api::Time), sizes bytes.
//! 2. Handlers: `admin/<noun>.rs` with `routes(api)`, one line a route with its [`Doc`]; named in `api` below. A handler takes
//!    [`Call`] (who, and the server), `Path<String>`, [`Params`] (what `Doc::query` names), [`Page`] (with `Doc::paged`),
//!    [`Given<T>`] (the JSON body, with `Doc::takes`), and returns `Result<Answer<T>, Refusal>` or `Result<Listing<T>, Refusal>`.
//! 3. It makes one or two calls of `registry`; a new `registry::Error` gets its place in `refusal.rs`. OpenAPI follows by itself.
//! 4. The command: a file in `landfall/src/commands/` that flattens `admin::Target`, opens it, and calls `get`, `list`, `post`, …
//!    with the same types; its line in `landfall/src/cli.rs` and `main.rs`, its row in `docs/commands.md` (both languages).
//! 5. Its stories in `landfall/tests/stories/`, bad input too.
//!
//! Shape: `answer` lets in and reads the body; then one axum router, whose routes look at query and body before a handler does. Fails: [`Refusal`], one JSON document for all.

mod backup;
mod call;
mod check;
mod endpoint;
mod gc;
mod mode;
mod policies;
mod refusal;
mod reply;
mod repositories;
mod request;
mod retention;
mod scrub;
mod shape;
mod tags;
mod trash;
pub mod types;
mod usage;
mod why;

use std::sync::Arc;

use axum::response::IntoResponse as _;
use http::header::{CACHE_CONTROL, EXPECT};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Uri};
use hyper::body::Incoming;
use tower_service::Service as _;

use call::Way;
pub use call::{Call, Door};
pub use endpoint::{Api, Doc, Label};
pub use refusal::Refusal;
pub use reply::{Answer, Listing};
pub use request::{Given, Page, Params, Path};

use crate::body::Body;
use crate::connection::Sender;
use crate::context::Context;
use crate::v2::Told;
use crate::v2::receive::ClientBody;

/// Where it is.
pub(crate) const ROOT: &str = "/api/v1";
/// Most bytes of a request's body.
const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// Every route, each with its documentation.
fn api() -> Api {
    let api = gc::routes(Api::default());
    let api = why::routes(api);
    let api = backup::routes(api);
    let api = scrub::routes(api);
    let api = check::routes(api);
    let api = usage::routes(api);
    let api = policies::routes(api);
    let api = retention::routes(api);
    let api = tags::routes(api);
    let api = trash::routes(api);
    let api = repositories::routes(api);
    mode::routes(api)
}

/// The routes, and the document that describes them.
pub(crate) fn router() -> axum::Router {
    api().into_router()
}

/// Whether a path, without `http.prefix`, belongs to the admin API.
pub(crate) fn serves(path: &str) -> bool {
    path.strip_prefix(ROOT)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The answer where the server itself is at fault.
pub(crate) fn fault() -> Response<Body> {
    let error = registry::Error::Interrupted("a fault of the server".into());
    Refusal::from(error).into_response().map(Body::Page)
}

/// Answers one request. `path` is the target's path without `http.prefix`.
pub(crate) async fn answer(
    server: &Arc<Context>,
    router: axum::Router,
    request: Request<Incoming>,
    path: &str,
    sender: Sender,
    told: &mut Told,
) -> Response<Body> {
    let (head, incoming) = request.into_parts();
    let expects = head.headers.contains_key(EXPECT);
    let mut body = ClientBody::new(incoming, server.options.idle_body, sender.farewell);
    let way = Way {
        door: sender.door,
        peer: sender.peer,
    };
    let outcome = handle(server, router, head, path, way, &mut body, told).await;
    let mut response = outcome.unwrap_or_else(|refusal| refusal.into_response().map(Body::Page));
    if !body.is_taken() && !expects {
        // Reading a little of what was refused lets the client see the answer, and keep its connection.
        body.drain().await;
    }
    told.endpoint = response.extensions().get::<Label>().map(|label| label.0);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn handle(
    server: &Arc<Context>,
    mut router: axum::Router,
    mut head: Parts,
    path: &str,
    way: Way,
    body: &mut ClientBody,
    told: &mut Told,
) -> Result<Response<Body>, Refusal> {
    if server.is_closing() {
        return Err(registry::Error::Closing.into());
    }
    if server.health.is_starting() {
        return Err(Refusal::starting());
    }
    let call = Call::admit(Arc::clone(server), way, &head.headers).await?;
    told.user = Some(call.actor().to_owned());
    let given = if matches!(head.method, Method::GET | Method::HEAD) {
        bytes::Bytes::new()
    } else {
        request::refuse_other_sites(&head.headers)?;
        read(body).await?
    };
    request::check_escapes("path", path)?;
    request::check_escapes("query", head.uri.query().unwrap_or_default())?;
    head.uri = without_prefix(&head.uri, path)?;
    head.extensions.insert(call);
    let request = Request::from_parts(head, axum::body::Body::from(given));
    match router.call(request).await {
        Ok(response) => Ok(response.map(Body::Page)),
        Err(never) => match never {},
    }
}

async fn read(body: &mut ClientBody) -> Result<bytes::Bytes, Refusal> {
    let Some(stream) = body.take() else {
        return Ok(bytes::Bytes::new());
    };
    match stream.collect(0, BODY_BYTES_MAX).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Refusal::too_large(BODY_BYTES_MAX)),
        Err(registry::BodyCut) => Err(Refusal::bad("the body of the request ended early")),
    }
}

fn without_prefix(uri: &Uri, path: &str) -> Result<Uri, Refusal> {
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    target
        .parse()
        .map_err(|_| Refusal::bad("the target of the request is not a path"))
}

#[cfg(test)]
mod tests;
