//! The document and the routes are one: each operation in it is served, and nothing is served that is not in it.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use serde_json::Value;
use tower_service::Service as _;

use super::router;

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

async fn ask(method: &Method, path: &str) -> Response<Body> {
    let request = Request::builder().method(method).uri(path).body(Body::empty());
    match router().call(request.unwrap()).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn document() -> Value {
    let response = ask(&Method::GET, "/api/v1/openapi.json").await;
    assert_eq!(response.status(), StatusCode::OK);
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn what_is_documented_is_served_and_nothing_else() {
    let document = document().await;
    assert_eq!(document["openapi"], "3.1.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        let somewhere = path.replace(['{', '}'], "x");
        for method in METHODS {
            let status = ask(&method, &somewhere).await.status();
            let documented = item.get(method.as_str().to_lowercase()).is_some();
            let served = status != StatusCode::NOT_FOUND && status != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(served, documented, "{method} {path}: {status}");
        }
    }
    // Routes come from `Api::at` alone, which documents them.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let is_ours = path.extension().is_some_and(|kind| kind == "rs");
        if is_ours
            && path
                .file_name()
                .is_some_and(|name| name != "endpoint.rs" && name != "tests.rs")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains(".route("), "{}", path.display());
        }
    }
}

#[tokio::test]
async fn every_operation_has_a_name_of_its_own() {
    let document = document().await;
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap_or_default();
            let is_word = |b: u8| b.is_ascii_lowercase() || b == b'_';
            assert!(
                name.starts_with(method) && name.bytes().all(is_word),
                "{method} {path}: {name:?}"
            );
            assert!(names.insert(name.to_owned()), "{name} is there twice");
        }
    }
    for known in [
        "get_openapi_json",
        "post_repositories_by_name_tags_by_tag_rollback",
    ] {
        assert!(names.contains(known), "{known} in {names:?}");
    }
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere_and_requests_take_nothing_unknown() {
    let document = document().await;
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let referred: BTreeSet<&str> = text
        .split("\"#/components/schemas/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    for name in referred {
        assert!(schemas.contains_key(name), "{name}");
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let Some(name) = body.as_str().and_then(|name| name.rsplit('/').next()) else {
                continue;
            };
            assert_eq!(
                schemas[name]["additionalProperties"], false,
                "{path}: {name} takes unknown fields"
            );
        }
    }
}

#[tokio::test]
async fn refusals_are_documents_and_say_what_is_right() {
    for (method, path, status, code, word) in [
        (Method::GET, "/api/v1/nothing", 404, "LF-API-002", "openapi.json"),
        (Method::GET, "/api/v1", 404, "LF-API-002", "openapi.json"),
        (Method::DELETE, "/api/v1/gc", 405, "LF-API-003", "DELETE"),
        (
            Method::GET,
            "/api/v1/gc?limit=3",
            400,
            "LF-API-001",
            "takes no parameters",
        ),
    ] {
        let response = ask(&method, path).await;
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(response.headers()["content-type"], "application/json");
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        let problem: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(problem["error"]["code"], code);
        let message = problem["error"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{message}");
    }
    let response = ask(&Method::DELETE, "/api/v1/gc").await;
    assert!(response.headers()["allow"].to_str().unwrap().contains("GET"));
}
