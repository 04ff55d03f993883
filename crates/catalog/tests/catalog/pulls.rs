//! Pulls: counted by tag and by digest, kept as long as the manifest.

use catalog::{Pulls, Scope};

use crate::harness::{DAY, House, LEASE, UNDO, repo, story};

async fn pulled(house: &House, digest: &oci::Digest, tag: Option<&str>, count: u64) {
    let pulls = [Pulls {
        repo: repo("a"),
        digest: digest.clone(),
        tag: tag.map(str::to_owned),
        count,
        last_at: house.now(),
    }];
    house.write(move |tx| catalog::record_pulls(tx, &pulls)).await;
}

story!(
    pulls_by_tag_and_by_digest_are_told_with_the_tag,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["1.0", "latest"]).await;
        pulled(house, &image, Some("latest"), 3).await;
        house.pass(DAY);
        pulled(house, &image, Some("latest"), 2).await;
        pulled(house, &image, None, 1).await;
        let views = house
            .read(|tx| catalog::tag_views(tx, &repo("a"), None, 10))
            .await;
        let told: Vec<_> = views
            .items
            .iter()
            .map(|tag| (&*tag.tag, tag.pulls, tag.last_pull_at))
            .collect();
        let now = Some(house.now());
        assert_eq!(told, [("1.0", 1, now), ("latest", 6, now)]);
        assert_eq!(views.items[0].pushed_by.as_deref(), Some("bee"));
        let view = house
            .read(|tx| catalog::repository_view(tx, &repo("a")))
            .await
            .unwrap();
        assert_eq!((view.pulls, view.last_pull_at), (6, now));
        assert_eq!(
            view.usage,
            house
                .read(|tx| catalog::usage(tx, &Scope::Repository(repo("a"))))
                .await
        );
    }
);

story!(
    pulls_of_what_is_gone_do_no_harm_and_leave_nothing,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["latest"]).await;
        pulled(house, &image, Some("latest"), 1).await;
        let (wanted, now) = (image.clone(), house.now());
        house
            .write(move |tx| catalog::trash_manifest(tx, &repo("a"), &wanted, now, UNDO, None))
            .await;
        pulled(house, &image, Some("latest"), 1).await;
        house.pass(UNDO + LEASE);
        house.collect().await;
        pulled(house, &image, None, 1).await;
        let (wanted, now) = (image.clone(), house.now());
        let other = [Pulls {
            repo: repo("nowhere"),
            digest: wanted,
            tag: None,
            count: 1,
            last_at: now,
        }];
        house.write(move |tx| catalog::record_pulls(tx, &other)).await;
        house.push_image("a", "layer", &["latest"]).await;
        let views = house
            .read(|tx| catalog::tag_views(tx, &repo("a"), None, 10))
            .await;
        assert_eq!((views.items[0].pulls, views.items[0].last_pull_at), (0, None));
    }
);
