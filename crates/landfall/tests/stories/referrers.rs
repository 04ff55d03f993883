//! Signatures, SBOMs and attestations are found by what they are about, before and after their subject is there.
//!
//! Source: distribution-spec "Listing Referrers", end-12a and end-12b, "Pushing Manifests with Subject" and "Backward Compatibility".

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Image, Landfall, Manifest, Response, digest_of, sha512_of, types};

const REPO: &str = "team/app";
const ABSENT: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
const SBOM: &str = "application/vnd.example.sbom+json";
const SIGNATURE: &str = "application/vnd.example.signature+json";

fn entries(answer: Response) -> Vec<Value> {
    let answer = answer.expect(200).with_header("Content-Type", types::OCI_INDEX);
    let document = answer.json();
    assert_eq!(
        (&document["schemaVersion"], &document["mediaType"]),
        (&json!(2), &json!(types::OCI_INDEX))
    );
    document["manifests"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .clone()
}

fn digests(answer: Response) -> BTreeSet<String> {
    entries(answer)
        .iter()
        .map(|entry| entry["digest"].as_str().unwrap().to_owned())
        .collect()
}

fn filtered(landfall: &Landfall, digest: &str, query: &str) -> Response {
    landfall
        .get(&format!("/v2/{REPO}/referrers/{digest}?{query}"))
        .send()
}

#[test]
fn nobody_refers_to_what_is_unknown_and_that_is_no_error() {
    let landfall = Landfall::start();
    assert!(entries(landfall.referrers("never/seen", ABSENT)).is_empty());
    landfall.push(REPO, "latest", &Image::new("alone"));
    assert!(entries(landfall.referrers(REPO, ABSENT)).is_empty());
    assert!(entries(landfall.referrers(REPO, &Image::new("alone").manifest().digest())).is_empty());
    assert!(entries(landfall.referrers(REPO, &sha512_of("x"))).is_empty());
    landfall
        .referrers(REPO, "sha256:nonsense")
        .expect_error(400, "DIGEST_INVALID");
    landfall
        .referrers("never/seen", "latest")
        .expect_error(400, "DIGEST_INVALID");
}

#[test]
fn a_referrer_is_listed_with_all_that_it_says_of_itself() {
    let landfall = Landfall::start();
    let subject = landfall.push(REPO, "latest", &Image::new("subject"));
    let annotations = json!({"org.example.one": "1", "ü": "ß \"quoted\""});
    let sbom = Image::artifact("sbom", SBOM, &subject.descriptor()).set("annotations", annotations.clone());
    landfall.push_blobs(REPO, &sbom);
    for reference in [sbom.manifest().digest(), "sbom-tag".to_owned()] {
        let put = landfall
            .put_manifest(REPO, &reference, &sbom.manifest())
            .expect(201);
        put.with_header("OCI-Subject", &subject.digest());
    }
    let manifest = sbom.manifest();
    let expected = json!({
        "mediaType": types::OCI_MANIFEST, "digest": manifest.digest(), "size": manifest.bytes.len(),
        "artifactType": SBOM, "annotations": annotations,
    });
    assert_eq!(entries(landfall.referrers(REPO, &subject.digest())), [expected]);
    assert!(entries(landfall.referrers("other/app", &subject.digest())).is_empty());
    landfall
        .put_manifest(REPO, "latest", &subject)
        .expect(201)
        .without_header("OCI-Subject");
}

#[test]
fn the_subject_may_come_later_or_never() {
    let landfall = Landfall::start();
    let subject = Image::new("late subject");
    let sbom = Image::artifact("early", SBOM, &subject.manifest().descriptor());
    landfall.push_blobs(REPO, &sbom);
    let put = landfall
        .put_manifest(REPO, &sbom.manifest().digest(), &sbom.manifest())
        .expect(201);
    put.with_header("OCI-Subject", &subject.manifest().digest());
    let expected = BTreeSet::from([sbom.manifest().digest()]);
    assert_eq!(
        digests(landfall.referrers(REPO, &subject.manifest().digest())),
        expected
    );
    landfall.push(REPO, "latest", &subject);
    assert_eq!(
        digests(landfall.referrers(REPO, &subject.manifest().digest())),
        expected
    );
}

#[test]
fn the_artifact_type_falls_back_to_the_config_for_images_only() {
    let landfall = Landfall::start();
    let subject = landfall.push(REPO, "latest", &Image::new("types"));
    let plain = Image::new("plain")
        .config("application/vnd.example.config+json", b"{}".to_vec())
        .set("subject", subject.descriptor());
    let empty = Image::artifact("empty type", "", &subject.descriptor());
    let plain = landfall.push_untagged(REPO, &plain);
    let empty = landfall.push_untagged(REPO, &empty);
    let bare_index = json!({"schemaVersion": 2, "mediaType": types::OCI_INDEX, "manifests": [], "subject": subject.descriptor()});
    let bare_index = Manifest::of(types::OCI_INDEX, &bare_index);
    landfall
        .put_manifest(REPO, &bare_index.digest(), &bare_index)
        .expect(201)
        .with_header("OCI-Subject", &subject.digest());
    let typed_index = json!({
        "schemaVersion": 2, "mediaType": types::OCI_INDEX, "manifests": [], "subject": subject.descriptor(), "artifactType": SBOM,
    });
    let typed_index = Manifest::of(types::OCI_INDEX, &typed_index);
    landfall
        .put_manifest(REPO, &typed_index.digest(), &typed_index)
        .expect(201);
    let all = entries(landfall.referrers(REPO, &subject.digest()));
    let entry = |manifest: &Manifest| {
        all.iter()
            .find(|entry| entry["digest"] == manifest.digest())
            .unwrap_or_else(|| panic!("{all:?}"))
    };
    assert_eq!(
        entry(&plain)["artifactType"],
        "application/vnd.example.config+json"
    );
    assert_eq!(entry(&empty)["artifactType"], types::OCI_EMPTY);
    assert_eq!(entry(&typed_index)["artifactType"], SBOM);
    assert!(
        entry(&bare_index).get("artifactType").is_none(),
        "{}",
        entry(&bare_index)
    );
    assert!(entry(&plain).get("annotations").is_none_or(Value::is_object));
    assert_eq!(entry(&bare_index)["mediaType"], types::OCI_INDEX);
    let found = digests(filtered(
        &landfall,
        &subject.digest(),
        "artifactType=application/vnd.example.config%2Bjson",
    ));
    assert_eq!(
        found,
        BTreeSet::from([plain.digest()]),
        "the filter sees the computed type"
    );
}

#[test]
fn the_filter_keeps_what_was_asked_and_says_that_it_did() {
    let landfall = Landfall::start();
    let subject = landfall.push(REPO, "latest", &Image::new("filtered"));
    let sbom = landfall.push_untagged(REPO, &Image::artifact("s1", SBOM, &subject.descriptor()));
    let signature = landfall.push_untagged(REPO, &Image::artifact("s2", SIGNATURE, &subject.descriptor()));
    landfall
        .referrers(REPO, &subject.digest())
        .expect(200)
        .without_header("OCI-Filters-Applied");
    let by = |query: &str| {
        let answer = filtered(&landfall, &subject.digest(), query).expect(200);
        digests(answer.with_header("OCI-Filters-Applied", "artifactType"))
    };
    let (sbom_type, signature_type) = (SBOM.replace('+', "%2B"), SIGNATURE.replace('+', "%2B"));
    assert_eq!(
        by(&format!("artifactType={sbom_type}")),
        BTreeSet::from([sbom.digest()])
    );
    assert_eq!(
        by(&format!("artifactType={signature_type}")),
        BTreeSet::from([signature.digest()])
    );
    let both = by(&format!("artifactType={sbom_type}&artifactType={signature_type}"));
    assert_eq!(both, BTreeSet::from([sbom.digest(), signature.digest()]));
    assert!(by("artifactType=application/none").is_empty());
    let none = filtered(&landfall, ABSENT, "artifactType=application/none").expect(200);
    assert!(entries(none.with_header("OCI-Filters-Applied", "artifactType")).is_empty());
}

#[test]
fn a_deleted_referrer_leaves_the_list_at_once() {
    let landfall = Landfall::start();
    let subject = landfall.push(REPO, "latest", &Image::new("deleting"));
    let one = landfall.push_untagged(REPO, &Image::artifact("one", SBOM, &subject.descriptor()));
    let two = landfall.push_untagged(REPO, &Image::artifact("two", SBOM, &subject.descriptor()));
    let listed = || digests(landfall.referrers(REPO, &subject.digest()));
    // Asked for each time, so that an answer that was kept would be seen.
    assert_eq!(listed().len(), 2);
    landfall.delete_manifest(REPO, &one.digest()).expect(202);
    assert_eq!(listed(), BTreeSet::from([two.digest()]));
    landfall.done(&["trash", "restore", &format!("{REPO}@{}", one.digest())]);
    assert_eq!(listed().len(), 2);
    landfall.done(&["repo", "delete", REPO, "--yes"]);
    assert_eq!(listed().len(), 0);
    landfall.done(&["repo", "restore", REPO]);
    assert_eq!(listed().len(), 2);
    landfall.delete_manifest(REPO, &one.digest()).expect(202);
    assert_eq!(listed(), BTreeSet::from([two.digest()]));
    landfall.push_untagged(REPO, &Image::artifact("one", SBOM, &subject.descriptor()));
    assert_eq!(digests(landfall.referrers(REPO, &subject.digest())).len(), 2);
}

#[test]
fn referrers_without_a_tag_go_with_their_subject() {
    let landfall = Landfall::start();
    let subject = landfall.push(REPO, "latest", &Image::new("going"));
    let loose = landfall.push_untagged(REPO, &Image::artifact("loose", SBOM, &subject.descriptor()));
    let held = landfall.push(
        REPO,
        "held",
        &Image::artifact("held", SBOM, &subject.descriptor()),
    );
    let of_loose = landfall.push_untagged(REPO, &Image::artifact("of loose", SIGNATURE, &loose.descriptor()));
    landfall.delete_manifest(REPO, &subject.digest()).expect(202);
    assert_eq!(
        digests(landfall.referrers(REPO, &subject.digest())),
        BTreeSet::from([held.digest()])
    );
    landfall.head_manifest(REPO, &loose.digest()).expect(404);
    landfall.head_manifest(REPO, &of_loose.digest()).expect(404);
    assert!(entries(landfall.referrers(REPO, &loose.digest())).is_empty());
    landfall.head_manifest(REPO, "held").expect(200);
}

#[test]
fn a_subject_may_be_named_by_sha512() {
    let landfall = Landfall::start();
    let subject = json!({"mediaType": types::OCI_MANIFEST, "digest": sha512_of("subject"), "size": 7});
    let sbom = Image::artifact("about sha512", SBOM, &subject);
    landfall.push_blobs(REPO, &sbom);
    let put = landfall.put_manifest(REPO, "sbom", &sbom.manifest()).expect(201);
    put.with_header("OCI-Subject", &sha512_of("subject"));
    assert_eq!(
        digests(landfall.referrers(REPO, &sha512_of("subject"))),
        BTreeSet::from([sbom.manifest().digest()])
    );
}

#[test]
fn the_fallback_tag_of_old_clients_is_a_tag_like_any_other() {
    let landfall = Landfall::start();
    let subject = landfall.push(REPO, "latest", &Image::new("fallback"));
    let sbom = landfall.push_untagged(
        REPO,
        &Image::artifact("fallback sbom", SBOM, &subject.descriptor()),
    );
    let tag = subject.digest().replace(':', "-");
    let fallback = crate::harness::index(&[sbom.descriptor()]);
    landfall.put_manifest(REPO, &tag, &fallback).expect(201);
    assert_eq!(landfall.get_manifest(REPO, &tag).expect(200).body, fallback.bytes);
    assert_eq!(landfall.tags(REPO), ["latest".to_owned(), tag]);
    assert_eq!(
        digests(landfall.referrers(REPO, &subject.digest())),
        BTreeSet::from([sbom.digest()])
    );
    landfall
        .put_manifest(
            REPO,
            &format!("{}.sig", subject.digest().replace(':', "-")),
            &sbom,
        )
        .expect(201);
}

#[test]
fn small_pages_hold_every_referrer_once() {
    let landfall = Landfall::start();
    let subject = landfall.push(REPO, "latest", &Image::new("paged"));
    let mut pushed = BTreeSet::new();
    for n in 0..7 {
        let kind = if n % 2 == 0 { SBOM } else { SIGNATURE };
        pushed.insert(
            landfall
                .push_untagged(
                    REPO,
                    &Image::artifact(&format!("paged {n}"), kind, &subject.descriptor()),
                )
                .digest(),
        );
    }
    let mut seen = Vec::new();
    let mut next = Some(format!("/v2/{REPO}/referrers/{}?n=3", subject.digest()));
    while let Some(target) = next {
        let page = landfall.get(&target).send().expect(200);
        next = page.next_page();
        let entries = entries(page);
        assert!(entries.len() == 3 || next.is_none());
        seen.extend(
            entries
                .iter()
                .map(|entry| entry["digest"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), pushed);
    let filter = format!("artifactType={}&n=2", SBOM.replace('+', "%2B"));
    let first = filtered(&landfall, &subject.digest(), &filter).expect(200);
    let second = landfall
        .get(&first.next_page().unwrap())
        .send()
        .expect(200)
        .with_header("OCI-Filters-Applied", "artifactType");
    let types: Vec<Value> = [entries(first), entries(second)]
        .concat()
        .iter()
        .map(|entry| entry["artifactType"].clone())
        .collect();
    assert_eq!(types, vec![json!(SBOM); 4]);
}

#[test]
fn ten_thousand_referrers_with_big_annotations_come_in_pages_under_four_mib() {
    const COUNT: usize = 10_000;
    let landfall = Landfall::start();
    let subject = landfall.push(REPO, "latest", &Image::new("popular"));
    let template = Image::artifact("popular", SBOM, &subject.descriptor())
        .set("annotations", json!({"filler": "x".repeat(1500)}));
    landfall.push_blobs(REPO, &template);
    let pushed: BTreeSet<String> = std::thread::scope(|scope| {
        let pushers: Vec<_> = (0..8)
            .map(|part| {
                scope.spawn({
                    let (landfall, template) = (&landfall, &template);
                    move || push_part(landfall, template, part, COUNT)
                })
            })
            .collect();
        pushers
            .into_iter()
            .flat_map(|pusher| pusher.join().unwrap())
            .collect()
    });
    assert_eq!(pushed.len(), COUNT);
    let mut seen = BTreeSet::new();
    let mut pages = 0;
    let mut next = Some(format!("/v2/{REPO}/referrers/{}", subject.digest()));
    while let Some(target) = next {
        let page = landfall.get(&target).send().expect(200);
        assert!(
            page.body.len() < 4 * 1024 * 1024,
            "a page of {} bytes",
            page.body.len()
        );
        next = page.next_page();
        assert!(
            next.is_none() || page.body.len() > 3 * 1024 * 1024,
            "pages are as full as fits: {}",
            page.body.len()
        );
        pages += 1;
        for entry in entries(page) {
            assert!(
                seen.insert(entry["digest"].as_str().unwrap().to_owned()),
                "listed twice: {entry}"
            );
        }
    }
    assert_eq!(seen, pushed);
    assert!((4..=7).contains(&pages), "{pages} pages");
}

/// Pushes every eighth of `count` artifacts over one connection.
fn push_part(landfall: &Landfall, template: &Image, part: usize, count: usize) -> Vec<String> {
    let mut connection = landfall.connect();
    let push = |n| {
        let manifest = template.clone().set("number", n).manifest();
        let digest = digest_of(&manifest.bytes);
        let put = landfall
            .put(&format!("/v2/{REPO}/manifests/{digest}"))
            .header("Content-Type", &manifest.media_type);
        put.body(manifest.bytes).send_on(&mut connection).expect(201);
        digest
    };
    (part..count).step_by(8).map(push).collect()
}
