//! Which path means what.

use super::*;
use proptest::prelude::*;

const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ID: &str = "0c5a5f5e-8a43-4a6e-9a52-1f0e3b1f7a11";

fn get(path: &str) -> Result<Route, Misrouted> {
    Route::parse(&Method::GET, path).map(|(route, _)| route)
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

#[test]
fn every_endpoint_of_the_spec_has_its_route() {
    assert_eq!(get("/v2"), Ok(Route::Base));
    assert_eq!(get("/v2/"), Ok(Route::Base));
    assert_eq!(get("/v2/_catalog"), Ok(Route::Catalog));
    assert_eq!(get("/v2/_oci/ext/discover"), Ok(Route::Extensions));
    assert_eq!(get("/v2/a/b/tags/list"), Ok(Route::Tags(name("a/b"))));
    assert_eq!(
        get("/v2/a/manifests/1.0"),
        Ok(Route::Manifest(name("a"), "1.0".parse().unwrap()))
    );
    assert_eq!(
        get(&format!("/v2/a/blobs/{D}")),
        Ok(Route::Blob(name("a"), D.parse().unwrap()))
    );
    assert_eq!(
        get(&format!("/v2/a/referrers/{D}")),
        Ok(Route::Referrers(name("a"), D.parse().unwrap()))
    );
    assert_eq!(
        get(&format!("/v2/a/blobs/uploads/{ID}")),
        Ok(Route::Upload(name("a"), ID.parse().unwrap()))
    );
    for path in ["/v2/a/blobs/uploads", "/v2/a/blobs/uploads/"] {
        assert_eq!(
            Route::parse(&Method::POST, path),
            Ok((Route::Uploads(name("a")), Verb::Post))
        );
    }
}

#[test]
fn a_name_may_contain_the_words_of_the_routes() {
    let manifest = |repo: &str, tag: &str| Ok(Route::Manifest(name(repo), tag.parse().unwrap()));
    assert_eq!(
        get("/v2/a/blobs/uploads/manifests/x"),
        manifest("a/blobs/uploads", "x")
    );
    assert_eq!(
        get("/v2/a/manifests/b/manifests/list"),
        manifest("a/manifests/b", "list")
    );
    assert_eq!(get("/v2/x/tags/tags/list"), Ok(Route::Tags(name("x/tags"))));
    assert_eq!(get("/v2/tags/manifests/list"), manifest("tags", "list"));
    assert_eq!(
        get(&format!("/v2/blobs/blobs/{D}")),
        Ok(Route::Blob(name("blobs"), D.parse().unwrap()))
    );
}

#[test]
fn escapes_are_decoded_once() {
    let escaped = D.replace(':', "%3A");
    assert_eq!(
        get(&format!("/v2/a%2Fb/blobs/{escaped}")),
        Ok(Route::Blob(name("a/b"), D.parse().unwrap()))
    );
    assert!(matches!(get("/v2/a%252Fb/tags/list"), Err(Misrouted::Name(_))));
    for trick in [
        "/v2/a%00/tags/list",
        "/v2/a/../b/tags/list",
        "/v2/a/%2e%2e/tags/list",
        "/v2/a//b/tags/list",
        "/v2/%/tags/list",
        "/v2/%ff/tags/list",
    ] {
        assert!(matches!(get(trick), Err(Misrouted::Name(_))), "{trick}");
    }
}

#[test]
fn what_is_wrong_is_told_apart() {
    assert_eq!(get("/v2/a"), Err(Misrouted::Nowhere));
    assert_eq!(get("/v2/a/b/c"), Err(Misrouted::Nowhere));
    assert_eq!(get("/v2x/a/tags/list"), Err(Misrouted::Nowhere));
    assert_eq!(
        Route::parse(&Method::PUT, "/v2/a/tags/list"),
        Err(Misrouted::Method(READ))
    );
    assert_eq!(get("/v2/a/manifests/.bad"), Err(Misrouted::NoManifest));
    assert!(matches!(
        Route::parse(&Method::PUT, "/v2/a/manifests/.bad"),
        Err(Misrouted::Tag(_))
    ));
    assert!(matches!(
        get("/v2/a/manifests/sha256:bad"),
        Err(Misrouted::Digest(_))
    ));
    assert!(matches!(get("/v2/A/tags/list"), Err(Misrouted::Name(_))));
    assert!(matches!(get("/v2/manifests/x"), Err(Misrouted::Name(_))));
    assert_eq!(get("/v2/a/blobs/uploads/x"), Err(Misrouted::NoUpload));
    assert_eq!(
        get(&format!("/v2/a/blobs/uploads/{}", ID.to_uppercase())),
        Err(Misrouted::NoUpload)
    );
}

proptest! {
    #[test]
    fn nothing_panics(path in "/v2/.{0,120}") {
        let _ = get(&path);
    }
}
