//! Where the bytes are: per repository and image, what is shared, what deleting would free, and why a digest is kept.
//!
//! Source: docs/space.md.

use crate::harness::{Image, Landfall, digest_of, index, noise};

const LAYER: usize = 100_000;

fn bytes(image: &Image) -> usize {
    image.blobs.iter().map(Vec::len).sum()
}

/// Two repositories that share a layer; in one of them two tags of one image, and an index.
struct House {
    landfall: Landfall,
    one: Image,
    two: Image,
}

fn house() -> House {
    let landfall = Landfall::start();
    let shared = noise("base", LAYER);
    let one = Image::new("one")
        .layer(shared.clone())
        .layer(noise("one's own", 50_000));
    let two = Image::new("two").layer(shared);
    landfall.push("team/app", "v1", &one);
    landfall.push("team/app", "latest", &one);
    landfall.push("other", "v1", &two);
    let child = landfall.push("team/app", "amd64", &Image::new("child"));
    let parent = index(&[child.for_platform("linux", "amd64")]);
    landfall.put_manifest("team/app", "multi", &parent).expect(201);
    House { landfall, one, two }
}

#[test]
fn repositories_are_told_apart_by_what_is_theirs_alone() {
    let House { landfall, one, two } = house();
    let du = landfall.done_json(&["du"]);
    assert_eq!(du["schema"], "landfall.du/1");
    let child = bytes(&Image::new("child"));
    let stored = bytes(&one) + bytes(&two) - LAYER + child;
    assert_eq!(du["usage"]["bytes"], stored);
    let largest = &du["repositories"][0];
    assert_eq!(largest["name"], "team/app");
    assert_eq!(largest["shared"], LAYER);
    assert_eq!(largest["unique"], bytes(&one) - LAYER + child);
    assert_eq!(largest["would_free"], largest["unique"]);
    assert_eq!((&largest["tags"], &largest["pending"]), (&4.into(), &0.into()));
    let other = &du["repositories"][1];
    assert_eq!(
        (&other["unique"], &other["shared"]),
        (&(bytes(&two) - LAYER).into(), &LAYER.into())
    );
    assert!(du["repositories"][2].is_null());
    let text = landfall.done(&["du", "--top", "1"]);
    assert!(text.starts_with("REPOSITORY"), "{text}");
    assert!(text.contains("team/app") && !text.contains("other"), "{text}");
    assert!(text.contains("disk:") && text.contains("free of"), "{text}");
}

#[test]
fn a_tag_frees_what_nothing_else_holds() {
    let House { landfall, one, .. } = house();
    let du = landfall.done_json(&["du", "team/app"]);
    assert_eq!(du["repository"]["name"], "team/app");
    let tags = du["tags"].as_array().unwrap().clone();
    let find = |name: &str| {
        let mut found = tags.iter().filter(|tag| tag["tag"] == name);
        found.next().unwrap_or_else(|| panic!("{name}: {du}")).clone()
    };
    // `latest` leads to the same image, and the index lists `amd64`.
    for held in ["v1", "latest", "amd64"] {
        assert_eq!(find(held)["would_free"], 0, "{held}");
    }
    assert_eq!(find("v1")["unique"], bytes(&one) - LAYER);
    assert_eq!(find("v1")["bytes"], bytes(&one));
    // With the index its child does not go: that has a tag of its own.
    assert_eq!(
        (&find("multi")["manifests"], &find("multi")["would_free"]),
        (&2.into(), &0.into())
    );
    assert_eq!(find("multi")["unique"], bytes(&Image::new("child")));
    landfall.delete_manifest("team/app", "latest").expect(202);
    landfall.delete_manifest("team/app", "amd64").expect(202);
    let du = landfall.done_json(&["du", "team/app", "--top", "1"]);
    let first = &du["tags"][0];
    assert_eq!(
        (&first["tag"], &first["would_free"]),
        (&"v1".into(), &(bytes(&one) - LAYER).into())
    );
    assert!(du["tags"][1].is_null());
    let text = landfall.done(&["du", "team/app"]);
    assert!(text.contains("WOULD FREE") && text.contains("multi"), "{text}");
    let text = landfall.done(&["du", "team/app", "--by", "repo"]);
    assert!(!text.contains("multi") && text.contains("team/app"), "{text}");
}

#[test]
fn what_would_be_free_is_what_waits_once_it_is_deleted() {
    let House { landfall, one, .. } = house();
    landfall.delete_manifest("team/app", "latest").expect(202);
    let would_free = landfall.done_json(&["du", "team/app"])["tags"][0]["would_free"].clone();
    assert_eq!(would_free, bytes(&one) - LAYER);
    landfall
        .delete_manifest("team/app", &one.manifest().digest())
        .expect(202);
    let du = landfall.done_json(&["du", "team/app"]);
    assert_eq!(du["repository"]["trash"], would_free);
    assert!(du["repository"]["trash_gone_by"].is_string(), "{du}");
    assert_eq!(
        landfall.done_json(&["gc", "status"])["pending"]["trash"]["bytes"],
        would_free
    );
    let text = landfall.done(&["du", "team/app"]);
    assert!(text.contains("trash") && text.contains("gone in 9 d"), "{text}");
    // A blob that no manifest names yet, such as of a push under way.
    landfall.push_blob("team/app", b"loose");
    let du = landfall.done_json(&["du", "team/app", "--by", "repo"]);
    assert_eq!(du["repository"]["pending"], 5);
    assert!(du["tags"].is_null());
}

#[test]
fn a_question_about_what_is_not_there_is_answered_so() {
    let landfall = Landfall::start();
    let unknown = landfall.does(&["du", "no/such"]);
    assert_eq!(unknown.code, Some(5), "{unknown:?}");
    assert!(
        unknown.stderr.contains("LF-API-011") && unknown.stderr.contains("no/such"),
        "{unknown:?}"
    );
    assert_eq!(landfall.does(&["du", "No/Such"]).code, Some(2));
    assert_eq!(landfall.does(&["du", "--top", "0"]).code, Some(2));
    let by_tag = landfall.does(&["du", "--by", "tag"]);
    assert!(
        by_tag.code == Some(2) && by_tag.stderr.contains("landfall du REPO --by tag"),
        "{by_tag:?}"
    );
    let empty = landfall.done(&["du"]);
    assert!(empty.contains("0 B in 0 blobs"), "{empty}");
    for (target, word) in [
        ("/api/v1/usage/repositories?limit=0", "1 to 1000"),
        ("/api/v1/usage/repositories?limit=many", "limit"),
        ("/api/v1/usage/repositories?after=%00%ff", "escape"),
        ("/api/v1/usage/repositories?after=e30", "next"),
        ("/api/v1/usage/repositories?top=2000", "top"),
        ("/api/v1/usage/repositories?limit=2&limit=3", "more than once"),
        ("/api/v1/usage/repositories/NO", "repository"),
    ] {
        let message = landfall
            .admin("GET", target, "")
            .expect_problem(400, "LF-API-001");
        assert!(message.contains(word), "{target}: {message}");
    }
}

#[test]
fn lists_come_page_by_page_and_a_command_reads_them_all() {
    let landfall = Landfall::start();
    for name in ["a/b", "a-b", "c", "d", "e"] {
        landfall.push(name, "v1", &Image::new(name));
    }
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let target = format!("/api/v1/usage/repositories?limit=2{after}");
        let page = landfall.admin("GET", &target, "").expect(200).json();
        assert_eq!(page["schema"], "landfall.usage.repositories/1");
        let items = page["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["a/b", "a-b", "c", "d", "e"]);
    let image = Image::new("tagged often");
    for number in 0..7 {
        landfall.push("tags", &format!("v{number}"), &image);
    }
    let page = landfall
        .admin("GET", "/api/v1/usage/repositories/tags/tags?limit=7", "")
        .expect(200)
        .json();
    assert_eq!(page["items"].as_array().unwrap().len(), 7);
    assert!(page["next"].is_null());
    let slash = landfall
        .admin("GET", "/api/v1/usage/repositories/a%2Fb", "")
        .expect(200);
    assert_eq!(slash.json()["name"], "a/b");
}

#[test]
fn whoever_asks_why_a_digest_is_kept_learns_all_that_holds_it() {
    let House { landfall, one, .. } = house();
    let manifest = one.manifest().digest();
    let layer = digest_of(noise("base", LAYER));
    let kept = landfall.done_json(&["why", "kept", &manifest]);
    assert_eq!(kept["schema"], "landfall.why.kept/1");
    assert_eq!(kept["manifests"][0]["repository"], "team/app");
    assert_eq!(kept["manifests"][0]["tags"], serde_json::json!(["latest", "v1"]));
    // A beginning is enough, with the algorithm or without.
    for short in [&layer[..20], &layer[7..20]] {
        let kept = landfall.done_json(&["why", "kept", short]);
        assert_eq!(kept["digest"], *layer);
        assert_eq!(kept["blob"]["repositories"].as_array().unwrap().len(), 2);
    }
    let text = landfall.done(&["why", "kept", &layer]);
    assert!(text.contains("in other:") && text.contains(&manifest), "{text}");
    landfall.delete_manifest("team/app", &manifest).expect(202);
    let text = landfall.done(&["why", "kept", &manifest]);
    assert!(text.contains("in the trash (operation "), "{text}");
    let nothing = landfall.does(&["why", "kept", &digest_of("nothing")]);
    assert!(
        nothing.code == Some(5) && nothing.stderr.contains("no byte of it is left"),
        "{nothing:?}"
    );
    for bad in ["abc", "latest", "sha256:", "sha256:XYZ12"] {
        let refused = landfall.does(&["why", "kept", bad]);
        assert!(
            refused.code == Some(2) && refused.stderr.contains("LF-API-001"),
            "{refused:?}"
        );
    }
    let empty = landfall.does(&["why", "kept", ""]);
    assert!(
        empty.code == Some(2) && empty.stderr.contains("not the beginning of a digest"),
        "{empty:?}"
    );
}

#[test]
fn a_beginning_that_several_digests_have_is_answered_with_those() {
    let landfall = Landfall::start();
    // Small blobs until two of them begin alike.
    let mut known = std::collections::BTreeMap::new();
    let (first, second) = (0..u32::MAX)
        .find_map(|number| {
            let digest = digest_of(format!("blob {number}"));
            let before = known.insert(digest[..11].to_owned(), number);
            before.map(|before| (before, number))
        })
        .unwrap();
    let digests = [first, second].map(|number| landfall.push_blob("a", format!("blob {number}").as_bytes()));
    let several = landfall.does(&["why", "kept", &digests[0][..11]]);
    assert_eq!(several.code, Some(6), "{several:?}");
    for digest in &digests {
        assert!(several.stderr.contains(digest), "{several:?}");
    }
    let kept = landfall.done_json(&["why", "kept", &digests[0]]);
    assert_eq!(kept["digest"], *digests[0]);
}
