//! What endpoints answer: one object or one page of a list, with the name and version of its shape.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::Page;
use crate::api::{Document, Documented, Item, List};

/// One object.
#[derive(Clone, Debug)]
pub struct Answer<T>(pub T);

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Listing<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl<T> Listing<T> {
    /// A page; `next` is what the next one is asked for by, where there is one: what [`Page::after`] gives back.
    #[must_use]
    pub fn new<K: Serialize>(items: Vec<T>, next: Option<&K>) -> Self {
        Self {
            items,
            next: next.map(Page::cursor),
        }
    }
}

impl<T: Document + Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        json(
            StatusCode::OK,
            &Documented {
                schema: T::SCHEMA.to_owned(),
                value: self.0,
            },
        )
    }
}

impl<T: Item + Serialize> IntoResponse for Listing<T> {
    fn into_response(self) -> Response {
        json(
            StatusCode::OK,
            &List {
                schema: T::LIST.to_owned(),
                items: self.items,
                next: self.next,
            },
        )
    }
}

/// A document of ours. Strings, numbers and lists of them only, so it cannot fail.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    let json = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, json)], text).into_response()
}
