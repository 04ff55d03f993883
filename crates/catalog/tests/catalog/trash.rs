//! Deleting a manifest: it and what hangs on it alone go to the trash, and nothing else does.

use catalog::{NewManifest, Trashed};
use oci::Digest;

use crate::harness::{House, KEEP, UNDO, digest, repo, story, tag};

async fn trash(house: &House, from: &str, manifest: &Digest) -> Trashed {
    let (from, manifest, now) = (repo(from), manifest.clone(), house.now());
    house
        .write(move |tx| catalog::trash_manifest(tx, &from, &manifest, now, UNDO, Some("bee")))
        .await
}

fn went(trashed: Trashed) -> Vec<Digest> {
    let Trashed::Done { mut manifests, .. } = trashed else {
        panic!("{trashed:?}")
    };
    manifests.sort();
    manifests
}

fn sorted(digests: &[&Digest]) -> Vec<Digest> {
    let mut digests: Vec<_> = digests.iter().map(|&digest| digest.clone()).collect();
    digests.sort();
    digests
}

fn referrer(house: &House, body: &str, subject: &Digest, tags: &[&str]) -> NewManifest {
    NewManifest {
        subject: Some(subject.clone()),
        ..house.manifest("a", body, tags)
    }
}

story!(
    all_tags_of_a_deleted_manifest_are_gone_at_once,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["x", "y", "z"]).await;
        let other = house.push_image("a", "other", &["other"]).await;
        let Trashed::Done { tags, manifests, .. } = trash(house, "a", &image).await else {
            panic!()
        };
        assert_eq!(
            (tags, manifests),
            (vec![tag("x"), tag("y"), tag("z")], vec![image.clone()])
        );
        for reference in ["x", "y", "z", &image.to_string()] {
            assert_eq!(house.find("a", reference).await, None);
        }
        assert_eq!(house.find("a", "other").await, Some(other));
        assert_eq!(
            trash(house, "a", &image).await,
            Trashed::Unknown,
            "a second delete finds nothing"
        );
        assert_eq!(trash(house, "none", &image).await, Trashed::Unknown);
    }
);

story!(
    the_same_manifest_in_another_repository_stays,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["latest"]).await;
        house.push_image("b", "layer", &["latest"]).await;
        trash(house, "a", &image).await;
        assert_eq!(house.find("b", "latest").await, Some(image));
    }
);

story!(a_push_brings_a_deleted_manifest_back, async |house: &House| {
    let image = house.push_image("a", "layer", &["latest"]).await;
    trash(house, "a", &image).await;
    assert_eq!(house.push_image("a", "layer", &["latest"]).await, image);
    assert_eq!(house.find("a", "latest").await, Some(image));
    let usage = house
        .read(|tx| catalog::usage(tx, &catalog::Scope::Repository(repo("a"))))
        .await;
    assert_eq!((usage.manifests, usage.trashed, usage.tags), (1, 0, 1));
});

story!(
    referrers_go_with_their_subject_unless_a_tag_or_an_index_holds_them,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["latest"]).await;
        let signature = house.put_stored(referrer(house, "signature", &image, &[])).await;
        let countersigned = house
            .put_stored(referrer(house, "countersigned", &signature, &[]))
            .await;
        let tagged = house
            .put_stored(referrer(house, "tagged", &image, &["keep"]))
            .await;
        let listed = house.put_stored(referrer(house, "listed", &image, &[])).await;
        house
            .put_stored(house.index("a", "index", &["index"], &[&listed]))
            .await;
        let gone = went(trash(house, "a", &image).await);
        assert_eq!(gone, sorted(&[&image, &signature, &countersigned]));
        for kept in [&tagged, &listed] {
            assert!(house.find("a", &kept.to_string()).await.is_some());
        }
    }
);

story!(
    children_go_with_their_index_once_nothing_else_holds_them,
    async |house: &House| {
        let alone = house.push_image("a", "alone", &[]).await;
        let shared = house.push_image("a", "shared", &[]).await;
        let tagged = house.push_image("a", "tagged", &["keep"]).await;
        let index = house
            .put_stored(house.index("a", "index", &["latest"], &[&alone, &shared, &tagged]))
            .await;
        house
            .put_stored(house.index("a", "second", &["second"], &[&shared]))
            .await;
        house.pass(KEEP + 1);
        let fresh = house.push_image("a", "fresh", &[]).await;
        let outer = house
            .put_stored(house.index("a", "outer", &["outer"], &[&index, &fresh]))
            .await;
        assert_eq!(
            trash(house, "a", &index).await,
            Trashed::ListedBy(vec![outer.clone()])
        );
        let now = house.now();
        house
            .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag("latest"), now, 0, 0, None))
            .await;
        house.pass(1);
        let gone = went(trash(house, "a", &outer).await);
        assert_eq!(gone, sorted(&[&outer, &index, &alone]));
        for kept in [&shared, &tagged, &fresh] {
            assert!(house.find("a", &kept.to_string()).await.is_some());
        }
    }
);

story!(
    deleting_everything_leaves_counters_at_what_is_still_stored,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["x"]).await;
        trash(house, "a", &image).await;
        let usage = house
            .read(|tx| catalog::usage(tx, &catalog::Scope::Everything))
            .await;
        assert_eq!(
            (usage.blobs, usage.manifests, usage.tags, usage.trashed),
            (1, 0, 0, 1)
        );
        assert_eq!(house.find("a", &digest("image of layer").to_string()).await, None);
    }
);
