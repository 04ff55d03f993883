//! Lists of repositories and of referrers: in order, page by page, complete.

use catalog::{NewManifest, Referrer, Referrers, ReferrersWanted};
use oci::Digest;

use crate::harness::{House, UNDO, digest, page_of_referrers, referrers_of, repo, story};

async fn repositories(house: &House, last: Option<&str>, limit: usize) -> (Vec<String>, bool) {
    let last = last.map(str::to_owned);
    let page = house
        .read(move |tx| catalog::list_repositories(tx, last.as_deref(), limit))
        .await;
    (page.names, page.more)
}

story!(
    repositories_are_listed_component_by_component,
    async |house: &House| {
        for name in ["a-b", "a/b", "a", "a/b/c", "a.b", "b", "a0", "a/b-c"] {
            house.push_image(name, "layer", &["latest"]).await;
        }
        let expected = ["a", "a/b", "a/b/c", "a/b-c", "a-b", "a.b", "a0", "b"];
        assert_eq!(
            repositories(house, None, 100).await,
            (expected.map(str::to_owned).to_vec(), false)
        );
        let mut seen = Vec::new();
        loop {
            let last = seen.last().cloned();
            let (names, more) = repositories(house, last.as_deref(), 3).await;
            seen.extend(names);
            if !more {
                break;
            }
        }
        assert_eq!(seen, expected, "no page skips or repeats");
        assert_eq!(
            repositories(house, Some("a/b"), 4).await.0,
            expected[2..6],
            "after a name that is there"
        );
        assert_eq!(
            repositories(house, Some("a/aa\0"), 1).await.0,
            ["a/b"],
            "after a text that is none"
        );
        assert_eq!(repositories(house, Some("zz"), 3).await, (vec![], false));
    }
);

story!(
    only_repositories_with_a_manifest_are_listed,
    async |house: &House| {
        house.push_blob("blobs/only", "layer").await;
        house.push_image("full", "layer", &[]).await;
        let image = house.push_image("emptied", "layer", &["latest"]).await;
        let now = house.now();
        house
            .write(move |tx| catalog::trash_manifest(tx, &repo("emptied"), &image, now, UNDO, None))
            .await;
        assert_eq!(
            repositories(house, None, 1).await,
            (vec!["full".to_owned()], false),
            "no page promises more than there is"
        );
    }
);

async fn referrers(
    house: &House,
    subject: &Digest,
    types: &[&str],
    after: Option<i64>,
    bytes: usize,
    limit: usize,
) -> catalog::ReferrersPage {
    let wanted = ReferrersWanted {
        types: types.iter().map(|&one| one.to_owned()).collect(),
        after,
        limit,
        bytes_max: bytes,
        ..referrers_of(subject)
    };
    house.read(move |tx| page_of_referrers(tx, "a", &wanted)).await
}

fn referrer(house: &House, n: usize, subject: &Digest, artifact_type: Option<&str>) -> NewManifest {
    NewManifest {
        subject: Some(subject.clone()),
        artifact_type: artifact_type.map(str::to_owned),
        annotations: n.is_multiple_of(2).then(|| format!(r#"{{"n":"{n}"}}"#)),
        ..house.manifest("a", &format!("referrer {n}"), &[])
    }
}

fn digests(entries: &[Referrer]) -> Vec<Digest> {
    entries.iter().map(|entry| entry.digest.clone()).collect()
}

story!(
    referrers_of_something_unknown_are_an_empty_list,
    async |house: &House| {
        assert!(
            referrers(house, &digest("nothing"), &[], None, 1000, 10)
                .await
                .entries
                .is_empty()
        );
        house.push_image("a", "layer", &[]).await;
        let page = referrers(house, &digest("nothing"), &["x"], None, 1000, 10).await;
        assert_eq!((page.entries.len(), page.next), (0, None));
    }
);

story!(
    referrers_are_filtered_paged_and_complete,
    async |house: &House| {
        let subject = digest("a subject that nobody pushed");
        let mut all = Vec::new();
        for n in 0..25 {
            let kind = ["sbom", "signature"].get(n % 3).copied();
            all.push((house.put_stored(referrer(house, n, &subject, kind)).await, kind));
        }
        house
            .put_stored(referrer(house, 99, &digest("other"), Some("sbom")))
            .await;
        for types in [
            &[][..],
            &["sbom"],
            &["signature", "sbom"],
            &["sbom", "sbom"],
            &["none"],
        ] {
            let wanted =
                |kind: Option<&str>| types.is_empty() || kind.is_some_and(|kind| types.contains(&kind));
            let expected: Vec<_> = all
                .iter()
                .filter(|(_, kind)| wanted(*kind))
                .map(|(digest, _)| digest.clone())
                .collect();
            for limit in [1, 4, 25, 1000] {
                let (mut seen, mut after) = (Vec::new(), None);
                loop {
                    let page = referrers(house, &subject, types, after, 1 << 20, limit).await;
                    assert!(page.entries.len() <= limit);
                    seen.extend(digests(&page.entries));
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                    assert!(!page.entries.is_empty());
                }
                assert_eq!(seen, expected, "{types:?} by {limit}");
            }
        }
        let first = &referrers(house, &subject, &[], None, 1 << 20, 1).await.entries[0];
        assert_eq!(first.artifact_type.as_deref(), Some("sbom"));
        assert_eq!(first.annotations.as_deref(), Some(r#"{"n":"0"}"#));
        assert_eq!(first.size, "referrer 0".len() as u64);
    }
);

story!(
    a_page_of_referrers_stays_within_its_bytes_but_is_never_empty,
    async |house: &House| {
        let subject = digest("subject");
        for n in 0..6 {
            let annotations = Some(format!(r#"{{"big":"{}"}}"#, "x".repeat(10_000)));
            house
                .put_stored(NewManifest {
                    annotations,
                    ..referrer(house, n, &subject, None)
                })
                .await;
        }
        let (mut after, mut sizes) = (None, Vec::new());
        loop {
            let page = referrers(house, &subject, &[], after, 25_000, 100).await;
            sizes.push(page.entries.len());
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(sizes, [2, 2, 2]);
        let page = referrers(house, &subject, &[], None, 10, 100).await;
        assert_eq!(
            page.entries.len(),
            1,
            "an entry that is too large alone still comes"
        );
        assert!(page.next.is_some());
    }
);

story!(
    a_page_that_is_too_heavy_is_weighed_and_not_read,
    async |house: &House| {
        let subject = digest("subject");
        for n in 0..3 {
            let annotations = Some(format!(r#"{{"big":"{}"}}"#, "x".repeat(10_000)));
            house
                .put_stored(NewManifest {
                    annotations,
                    ..referrer(house, n, &subject, None)
                })
                .await;
        }
        let look = async |heavy: usize| {
            let wanted = ReferrersWanted {
                heavy,
                ..referrers_of(&subject)
            };
            house
                .read(move |tx| catalog::list_referrers(tx, &repo("a"), &wanted))
                .await
        };
        let Referrers::Heavy { bytes } = look(20_000).await else {
            panic!("three times 10 000 bytes are more than 20 000");
        };
        assert!((30_000..35_000).contains(&bytes), "{bytes}");
        let Referrers::Page(page) = look(bytes).await else {
            panic!("now there is room for it");
        };
        assert_eq!((page.entries.len(), page.next), (3, None));
    }
);

story!(
    a_deleted_referrer_leaves_the_list_at_once,
    async |house: &House| {
        let subject = digest("subject");
        let one = house.put_stored(referrer(house, 1, &subject, None)).await;
        let two = house.put_stored(referrer(house, 2, &subject, None)).await;
        let now = house.now();
        house
            .write(move |tx| catalog::trash_manifest(tx, &repo("a"), &one, now, UNDO, None))
            .await;
        assert_eq!(
            digests(&referrers(house, &subject, &[], None, 1 << 20, 10).await.entries),
            [two]
        );
    }
);
