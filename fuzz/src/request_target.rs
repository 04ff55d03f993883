//! `server::v2::route::Route` and `Query`: method and request target. Source: distribution-spec "Endpoints".

use std::fmt::Write as _;

use http::Method;
use oci::{Reference, RepositoryName};
use server::v2::query::{Query, encode};
use server::v2::route::{Misrouted, Route, Verb};

/// A method, a blank, and a request target under `/v2`.
///
/// # Panics
/// If a route holds what its grammar forbids or what was not asked, if escaping the path or writing the route anew leads elsewhere, if
/// `Allow` and what is let through differ, or if a query's values do not survive being written.
pub fn request_target(data: &[u8]) {
    let Some((method, target)) = str::from_utf8(data).ok().and_then(|text| text.split_once(' ')) else {
        return;
    };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return;
    };
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)));
    if path.starts_with("/v2") {
        follow(&method, path);
    }
    read(query);
}

fn follow(method: &Method, path: &str) {
    let found = Route::parse(method, path);
    if !path.contains('%') {
        assert_eq!(
            Route::parse(method, &escaped(path)),
            found,
            "escaping leads elsewhere"
        );
    }
    match found {
        Ok((route, verb)) => {
            assert!(
                route
                    .allow()
                    .split(", ")
                    .any(|allowed| allowed == method.as_str())
            );
            if let Some(name) = route.repository() {
                assert_eq!(name.parse::<RepositoryName>().as_ref(), Ok(name));
                assert!(
                    name.split('/')
                        .all(|part| !part.is_empty() && part != "." && part != "..")
                );
            }
            let written = written(&route);
            assert_eq!(Route::parse(method, &written), Ok((route.clone(), verb)));
            if !path.contains('%') {
                assert_eq!(
                    written.trim_end_matches('/'),
                    path.trim_end_matches('/'),
                    "not what was asked"
                );
            }
            the_same_place_for_every_verb(&route, path);
        }
        Err(Misrouted::Method(allow)) => {
            assert!(allow.split(", ").all(|allowed| allowed != method.as_str()));
        }
        Err(_) => {}
    }
}

/// What is allowed is let through, to the same place.
fn the_same_place_for_every_verb(route: &Route, path: &str) {
    for allowed in route.allow().split(", ") {
        let method = Method::from_bytes(allowed.as_bytes()).unwrap_or_default();
        let again = Route::parse(&method, path);
        assert_eq!(again.as_ref().map(|(route, _)| route), Ok(route));
        assert_eq!(
            again.map(|(_, verb)| verb == Verb::Put),
            Ok(method == Method::PUT)
        );
    }
}

/// The path with every byte after `/v2` escaped; the slashes too, since decoding comes first.
fn escaped(path: &str) -> String {
    let mut escaped = String::from("/v2");
    for byte in path.bytes().skip(escaped.len()) {
        let _ = write!(escaped, "%{byte:02x}"); // a String takes everything
    }
    escaped
}

/// The path that a client would write.
fn written(route: &Route) -> String {
    match route {
        Route::Base => "/v2/".into(),
        Route::Catalog => "/v2/_catalog".into(),
        Route::Extensions => "/v2/_oci/ext/discover".into(),
        Route::Tags(name) => format!("/v2/{name}/tags/list"),
        Route::Manifest(name, Reference::Tag(tag)) => format!("/v2/{name}/manifests/{tag}"),
        Route::Manifest(name, Reference::Digest(digest)) => format!("/v2/{name}/manifests/{digest}"),
        Route::Blob(name, digest) => format!("/v2/{name}/blobs/{digest}"),
        Route::Uploads(name) => format!("/v2/{name}/blobs/uploads/"),
        Route::Upload(name, id) => format!("/v2/{name}/blobs/uploads/{id}"),
        Route::Referrers(name, digest) => format!("/v2/{name}/referrers/{digest}"),
    }
}

fn read(query: Option<&str>) {
    let read = Query::read(query);
    for key in ["digest", "n", "last", "tag", "mount", "from", "_state", ""] {
        for value in read.all(key) {
            let again = format!("x=&{}={}&y", encode(key), encode(value));
            assert!(
                Query::read(Some(&again)).all(key).any(|same| same == value),
                "{value:?} is lost"
            );
        }
    }
}
