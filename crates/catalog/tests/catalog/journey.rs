//! One walk through every operation, for checks of the statements that they run.

use catalog::{Health, Hold, MountSource, NewManifest, Orphan, Pause, PauseCause, Scope, Trashed, UploadRow};
use oci::{Algorithm, Reference};
use uuid::Uuid;

use crate::harness::{DAY, House, KEEP, LEASE, UNDO, digest, referrers_of, repo, tag};

/// Calls every operation at least once, the ways that fail too.
pub(crate) async fn everything(house: &House) {
    blobs(house).await;
    uploads(house).await;
    manifests(house).await;
    lists(house).await;
    trash(house).await;
    gc(house).await;
}

async fn blobs(house: &House) {
    house.push_blob("a", "layer").await;
    house.push_file("a", "file", "here/1").await;
    house.push_file("a", "file", "here/2").await;
    let now = house.now();
    house
        .write(move |tx| {
            catalog::mark_blob(tx, &digest("file"), Some("here/1"), Health::Bad)?;
            catalog::mark_blob(tx, &digest("layer"), None, Health::Good)?;
            catalog::mount_blob(tx, &MountSource::Any, &repo("b"), &digest("layer"), now, LEASE)?;
            catalog::mount_blob(
                tx,
                &MountSource::Repo(repo("a")),
                &repo("c"),
                &digest("layer"),
                now,
                LEASE,
            )?;
            catalog::touch_blob(tx, &repo("c"), &digest("layer"), now, LEASE)?;
            catalog::unlink_blob(tx, &repo("c"), &digest("layer"), now, UNDO, Some("bee"))?;
            catalog::find_blob(tx, &repo("a"), &digest("layer"), now, LEASE)?;
            catalog::inline_bytes(tx, &digest("layer"))?;
            catalog::repos_with_blob(tx, &digest("layer"), 10)?;
            catalog::known_location(tx, "here/1")?;
            let due = catalog::due_tombstones(tx, i64::MAX, 10)?;
            let due: Vec<_> = due.into_iter().map(|one| one.location).collect();
            catalog::finish_tombstones(tx, &due)
        })
        .await;
}

async fn uploads(house: &House) {
    let row = UploadRow {
        id: Uuid::new_v4(),
        repo: repo("a"),
        actor: Some("bee".to_owned()),
        offset: 1,
        algorithm: Algorithm::Sha256,
        hash_state: vec![1],
        boot_id: [0; 16],
        created_at: house.now(),
        expires_at: house.now() + DAY,
    };
    house
        .write(move |tx| {
            catalog::save_checkpoint(tx, &row)?;
            catalog::find_upload(tx, row.id)?;
            catalog::uploads_of(tx, Some("bee"), 10)?;
            catalog::uploads_of(tx, None, 10)?;
            catalog::expired_uploads(tx, i64::MAX, 10)?;
            catalog::list_upload_ids(tx)?;
            catalog::delete_upload(tx, row.id)
        })
        .await;
}

async fn manifests(house: &House) {
    let image = house.push_image("a", "layer", &["latest", "1.0"]).await;
    house.push_image("a", "layer", &["latest"]).await;
    house.push_image("a", "other", &["latest"]).await;
    let mut index = house.index(
        "a",
        "index",
        &["index"],
        &[&image, &digest("layer"), &digest("later")],
    );
    index.children[2].required = false;
    house.put_stored(index).await;
    house.put_stored(house.manifest("a", "later", &[])).await;
    let signature = NewManifest {
        subject: Some(image.clone()),
        artifact_type: Some("signature".to_owned()),
        ..house.manifest("a", "signature", &[])
    };
    house.put_stored(signature).await;
    let now = house.now();
    for reference in [Reference::Tag(tag("latest")), Reference::Digest(image)] {
        house
            .read(move |tx| {
                catalog::find_manifest(tx, &repo("a"), &reference, now, KEEP)?;
                catalog::stat_manifest(tx, &repo("a"), &reference, now, KEEP)
            })
            .await;
    }
    house
        .write(move |tx| catalog::touch_manifest(tx, &repo("a"), &digest("later"), now, KEEP))
        .await;
}

async fn lists(house: &House) {
    house
        .read(|tx| {
            catalog::list_tags(tx, &repo("a"), None, Some(10))?;
            catalog::list_repositories(tx, None, 10)?;
            catalog::weigh_tags(tx, &repo("a"), None)?;
            let mut wanted = referrers_of(&digest("image of layer"));
            catalog::list_referrers(tx, &repo("a"), &wanted)?;
            wanted.types.push("signature".to_owned());
            catalog::list_referrers(tx, &repo("a"), &wanted)?;
            catalog::tag_history(tx, &repo("a"), &tag("latest"), None, 10)?;
            catalog::repo_exists(tx, &repo("a"))?;
            catalog::usage(tx, &Scope::Everything)?;
            catalog::usage(tx, &Scope::Namespace(String::new()))
        })
        .await;
}

async fn trash(house: &House) {
    let now = house.now();
    house
        .write(move |tx| {
            catalog::delete_tag(tx, &repo("a"), &tag("latest"), now, KEEP, Some("bee"))?;
            let trashed = catalog::trash_manifest(tx, &repo("a"), &digest("index"), now, UNDO, Some("bee"))?;
            let Trashed::Done { op, .. } = trashed else {
                panic!("{trashed:?}")
            };
            catalog::restore(tx, op, now, KEEP, None)?;
            catalog::unlink_blob(tx, &repo("b"), &digest("layer"), now, UNDO, None)
        })
        .await;
    // The first blob that was deleted, and the first two pushes that set tags.
    for op in 1..=3 {
        house
            .write(move |tx| catalog::restore(tx, op, now, KEEP, None))
            .await;
    }
}

async fn gc(house: &House) {
    let image = house.push_image("gc", "garbage", &["garbage"]).await;
    house
        .put_stored(house.index("gc", "garbage index", &["index"], &[&image]))
        .await;
    house.push_file("gc", "garbage file", "gc/1").await;
    let now = house.now();
    house
        .write(move |tx| {
            let sweep = catalog::place_hold(tx, &Hold::Sweep, "backup", None)?.unwrap();
            catalog::place_hold(tx, &Hold::Repository(repo("gc")), "court", Some(now))?;
            catalog::place_hold(tx, &Hold::Manifest(repo("gc"), image.clone()), "court", Some(now))?;
            catalog::renew_hold(tx, sweep, now)?;
            catalog::trash_manifest(tx, &repo("gc"), &digest("garbage index"), now, 0, None)?;
            catalog::delete_tag(tx, &repo("gc"), &tag("garbage"), now, KEEP, None)?;
            catalog::why_kept(tx, &image, "gc/", now)?;
            catalog::why_kept(tx, &digest("garbage"), "gc/", now)?;
            catalog::review_manifests(tx, now + KEEP, UNDO, 100)?;
            catalog::trash_manifest(tx, &repo("gc"), &image, now, 0, None)?;
            catalog::purge(tx, now, LEASE, 100)?;
            catalog::review_links(tx, now + KEEP, 0, 100)?;
            catalog::gc_status(tx, now)?;
            catalog::next_due(tx)?;
            catalog::release_hold(tx, sweep)?;
            catalog::pause_gc(
                tx,
                &Pause {
                    cause: PauseCause::Operator,
                    by: "bee".to_owned(),
                    until: now + 1,
                },
            )?;
            catalog::gc_pause(tx, now)?;
            catalog::resume_gc(tx, now)?;
            let orphan = Orphan {
                location: "gc/2".to_owned(),
                size: 1,
                first_seen: now,
                incarnation: 1,
            };
            catalog::note_orphan(tx, &orphan)?;
            catalog::count_orphans(tx)?;
            catalog::unknown_locations(tx, &[orphan.location])?;
            let orphans = catalog::list_orphans(tx, "", 10)?;
            let orphans: Vec<_> = orphans.into_iter().map(|one| one.location).collect();
            catalog::forget_orphans(tx, &orphans)
        })
        .await;
}
