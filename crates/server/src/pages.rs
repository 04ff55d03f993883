//! What is served beside `/v2/`: the root and the health probes. No login, no details.
//!
//! Source: `/` of the CNCF registry, which load balancers probe.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::routing::get;
use http::StatusCode;

use crate::context::Live;

/// The routes.
pub(crate) fn router(live: Arc<Live>) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/healthz", get(alive))
        .route("/startupz", get(started))
        .route("/readyz", get(ready))
        .fallback(nowhere)
        .with_state(live)
}

/// Whether a path is a probe, which is answered everywhere.
pub(crate) fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/startupz" | "/readyz")
}

async fn root(State(live): State<Arc<Live>>) -> impl IntoResponse {
    let status = if live.now().health.is_good() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        [(CACHE_CONTROL, "no-cache")],
        "Landfall, a container-image registry. Its API is at /v2/.\n",
    )
}

async fn alive() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-cache")], "ok\n")
}

async fn started(State(live): State<Arc<Live>>) -> impl IntoResponse {
    let (status, text) = if live.now().health.is_starting() {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "adopting what the older registry left; the log shows how far\n",
        )
    } else {
        (StatusCode::OK, "ok\n")
    };
    (status, [(CACHE_CONTROL, "no-cache")], text)
}

async fn ready(State(live): State<Arc<Live>>) -> impl IntoResponse {
    let context = live.now();
    let good = !context.is_closing()
        && !context.health.is_starting()
        && context.health.is_good()
        && context.registry.ready().await.is_ok();
    let (status, text) = if good {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    };
    (status, [(CACHE_CONTROL, "no-cache")], text)
}

async fn nowhere() -> impl IntoResponse {
    (
        StatusCode::NOT_FOUND,
        "Nothing is here. The registry's API is at /v2/.\n",
    )
}
