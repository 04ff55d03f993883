//! Somebody lists tags and repositories, page by page, and meets each one once, in the order that scripts rely on.
//!
//! Source: distribution-spec "Listing Tags", end-8a and end-8b; the CNCF registry's `_catalog`, whose order puts `a/b` before `a-b`.

use std::collections::BTreeSet;

use crate::harness::{Image, Landfall, Response};

const REPO: &str = "team/app";

fn with_tags(tags: &[&str]) -> Landfall {
    let landfall = Landfall::start();
    tag_all(&landfall, REPO, tags);
    landfall
}

fn tag_all(landfall: &Landfall, repo: &str, tags: &[&str]) {
    let image = Image::new("listed");
    landfall.push_blobs(repo, &image);
    for tag in tags {
        landfall.put_manifest(repo, tag, &image.manifest()).expect(201);
    }
}

fn list(landfall: &Landfall, query: &str) -> Response {
    landfall.get(&format!("/v2/{REPO}/tags/list?{query}")).send()
}

/// Follows Link to the end; every page, and how many there were.
fn pages(landfall: &Landfall, first: &str, key: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(target) = next {
        let page = landfall.get(&target).send().expect(200);
        pages.push(page.words(key));
        next = page.next_page();
        assert!(pages.len() < 1000, "pages without end");
    }
    pages
}

#[test]
fn an_unknown_repository_has_no_list_and_a_known_one_an_empty_list() {
    let landfall = Landfall::start();
    landfall
        .get("/v2/never/seen/tags/list")
        .send()
        .expect_error(404, "NAME_UNKNOWN");
    tag_all(&landfall, REPO, &["only"]);
    landfall.delete_manifest(REPO, "only").expect(202);
    let answer = list(&landfall, "")
        .expect(200)
        .with_header("Content-Type", "application/json");
    assert_eq!(answer.json(), serde_json::json!({"name": REPO, "tags": []}));
}

#[test]
fn a_repository_with_only_untagged_manifests_has_an_empty_list() {
    let landfall = Landfall::start();
    landfall.push_untagged(REPO, &Image::new("untagged"));
    assert!(landfall.tags(REPO).is_empty());
}

#[test]
fn tags_come_in_the_order_of_their_bytes() {
    let landfall = with_tags(&["a", "1.9", "A", "_x", "1.10", "latest", "a-b", "a.b", "a_b"]);
    assert_eq!(
        landfall.tags(REPO),
        ["1.10", "1.9", "A", "_x", "a", "a-b", "a.b", "a_b", "latest"]
    );
    let answer = list(&landfall, "").expect(200);
    assert_eq!(answer.json()["name"], REPO);
    assert_eq!(answer.next_page(), None);
}

#[test]
fn pages_of_tags_hold_each_tag_once() {
    let landfall = with_tags(&["a", "b", "c", "d", "e"]);
    let first = format!("/v2/{REPO}/tags/list?n=2");
    assert_eq!(
        pages(&landfall, &first, "tags"),
        [vec!["a", "b"], vec!["c", "d"], vec!["e"]]
    );
    assert_eq!(
        list(&landfall, "n=2").next_page().unwrap(),
        format!("/v2/{REPO}/tags/list?n=2&last=b")
    );
    let exact = list(&landfall, "n=5").expect(200);
    assert_eq!((exact.words("tags").len(), exact.next_page()), (5, None));
    let exact = list(&landfall, "n=2&last=c").expect(200);
    assert_eq!(
        (exact.words("tags"), exact.next_page()),
        (vec!["d".to_owned(), "e".to_owned()], None)
    );
}

#[test]
fn a_page_can_start_anywhere() {
    let landfall = with_tags(&["a", "c", "e"]);
    for (query, expected) in [
        ("last=a", vec!["c", "e"]),
        ("last=b", vec!["c", "e"]),
        ("last=c", vec!["e"]),
        ("last=e", vec![]),
        ("last=zzz", vec![]),
        ("last=", vec!["a", "c", "e"]),
        ("last=A", vec!["a", "c", "e"]),
        ("last=b&n=1", vec!["c"]),
        ("last=%63", vec!["e"]),
    ] {
        let answer = list(&landfall, query).expect(200);
        assert_eq!(answer.words("tags"), expected, "?{query}");
    }
}

#[test]
fn a_list_may_grow_and_shrink_while_it_is_read() {
    let landfall = with_tags(&["a", "b", "c", "d"]);
    let next = list(&landfall, "n=2").next_page().unwrap();
    landfall.delete_manifest(REPO, "b").expect(202);
    tag_all(&landfall, REPO, &["aa", "cc"]);
    assert_eq!(landfall.get(&next).send().expect(200).words("tags"), ["c", "cc"]);
}

#[test]
fn numbers_of_a_page_are_checked() {
    let landfall = with_tags(&["a", "b"]);
    let none = list(&landfall, "n=0").expect(200);
    assert!(
        none.words("tags").is_empty() && none.next_page().is_none(),
        "{none}"
    );
    for n in ["-1", "x", "1.5", "", "0x10"] {
        let answer = list(&landfall, &format!("n={n}"));
        let catalog = landfall.get(&format!("/v2/_catalog?n={n}")).send();
        if n.is_empty() {
            assert!(
                matches!((answer.status, catalog.status), (200, 200) | (400, 400)),
                "{answer}\n{catalog}"
            );
        } else {
            answer.expect_error(400, "PAGINATION_NUMBER_INVALID");
            catalog.expect_error(400, "PAGINATION_NUMBER_INVALID");
        }
    }
    for n in ["99999", "99999999999999999999999999"] {
        let all = list(&landfall, &format!("n={n}")).expect(200);
        assert_eq!((all.words("tags").len(), all.next_page()), (2, None));
    }
}

#[test]
fn too_large_a_page_is_clamped_and_goes_on_by_link() {
    let config = "tags: {maxtags: 3}\ncatalog: {maxentries: 2}\n";
    let landfall = Landfall::builder().config(config).start();
    tag_all(&landfall, REPO, &["a", "b", "c", "d", "e"]);
    let first = list(&landfall, "n=99999").expect(200);
    assert_eq!(first.words("tags"), ["a", "b", "c"]);
    assert_eq!(
        landfall
            .get(&first.next_page().unwrap())
            .send()
            .expect(200)
            .words("tags"),
        ["d", "e"]
    );
    for repo in ["r1", "r2", "r3"] {
        landfall.push(repo, "latest", &Image::new("r"));
    }
    let first = landfall.get("/v2/_catalog?n=10000").send().expect(200);
    assert_eq!(first.words("repositories"), ["r1", "r2"]);
    let rest = landfall.get(&first.next_page().unwrap()).send().expect(200);
    assert_eq!(
        (rest.words("repositories"), rest.next_page()),
        (vec!["r3".to_owned(), REPO.to_owned()], None)
    );
}

#[test]
fn the_catalog_orders_by_component_and_never_skips() {
    let landfall = Landfall::start();
    let names = [
        "b", "a-b", "a/b", "a", "a.b/c", "a/b/c", "a0", "a_b", "a/b-c", "a/b.c",
    ];
    for name in names {
        landfall.push(name, "latest", &Image::new("catalog"));
    }
    let expected = [
        "a", "a/b", "a/b/c", "a/b-c", "a/b.c", "a-b", "a.b/c", "a0", "a_b", "b",
    ];
    assert_eq!(
        landfall
            .get("/v2/_catalog")
            .send()
            .expect(200)
            .words("repositories"),
        expected
    );
    for n in 1..=names.len() {
        let pages = pages(&landfall, &format!("/v2/_catalog?n={n}"), "repositories");
        assert!(
            pages[..pages.len() - 1].iter().all(|page| page.len() == n),
            "{pages:?}"
        );
        assert_eq!(
            pages.len(),
            names.len().div_ceil(n),
            "no page too many: {pages:?}"
        );
        assert_eq!(pages.concat(), expected, "n={n}");
    }
    let after = landfall
        .get("/v2/_catalog?last=a%2Fb%2Fc")
        .send()
        .expect(200)
        .words("repositories");
    assert_eq!(after, expected[3..]);
}

#[test]
fn an_empty_catalog_is_a_list() {
    let landfall = Landfall::start();
    let answer = landfall
        .get("/v2/_catalog")
        .send()
        .expect(200)
        .with_header("Content-Type", "application/json");
    assert_eq!(answer.json(), serde_json::json!({"repositories": []}));
    landfall.push("a", "latest", &Image::new("a"));
    let none = landfall.get("/v2/_catalog?n=0").send().expect(200);
    assert!(
        none.words("repositories").is_empty() && none.next_page().is_none(),
        "{none}"
    );
}

#[test]
fn repositories_without_a_manifest_are_not_in_the_catalog() {
    let landfall = Landfall::start();
    landfall.push_blob("only/blobs", b"x");
    landfall.begin_upload("only/uploads");
    landfall.push_untagged("only/untagged", &Image::new("untagged"));
    assert_eq!(
        landfall.get("/v2/_catalog").send().words("repositories"),
        ["only/untagged"]
    );
    let digest = Image::new("untagged").manifest().digest();
    landfall.delete_manifest("only/untagged", &digest).expect(202);
    assert!(
        landfall
            .get("/v2/_catalog")
            .send()
            .words("repositories")
            .is_empty()
    );
}

#[test]
fn without_n_the_catalog_gives_a_hundred_and_a_link() {
    let landfall = Landfall::start();
    let image = Image::new("hundred");
    for n in 0..101 {
        landfall.push(&format!("many/r{n:03}"), "latest", &image);
    }
    let first = landfall.get("/v2/_catalog").send().expect(200);
    assert_eq!(first.words("repositories").len(), 100);
    assert_eq!(
        first.next_page().as_deref(),
        Some("/v2/_catalog?n=100&last=many%2Fr099")
    );
    let all: BTreeSet<String> = pages(&landfall, "/v2/_catalog", "repositories")
        .concat()
        .into_iter()
        .collect();
    assert_eq!(all.len(), 101);
}

#[test]
fn without_n_all_tags_come() {
    let tags: Vec<String> = (0..150).map(|n| format!("t{n:03}")).collect();
    let landfall = with_tags(&tags.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(landfall.tags(REPO), tags);
}
