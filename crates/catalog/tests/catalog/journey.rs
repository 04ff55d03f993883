//! One walk through every operation, for checks of the statements that they run.

mod rules;

use std::sync::Arc;

use catalog::{
    DamageCause, Freed, Guard, Hold, Kept, Limited, MountSource, NewManifest, Orphan, OverQuota, Pause,
    PauseCause, Place, Policy, PolicyKind, Pulls, Quota, Removal, RepositorySettings, RestoreWish, Retaining,
    RunOutcome, Scope, TagMove, Trashed, UploadRow, WouldFree,
};
use oci::{Algorithm, Reference};
use uuid::Uuid;

use crate::harness::{DAY, House, KEEP, LEASE, UNDO, digest, referrers_of, repo, tag};

/// Calls every operation at least once, the ways that fail too.
pub(crate) async fn everything(house: &House) {
    blobs(house).await;
    uploads(house).await;
    manifests(house).await;
    lists(house).await;
    space(house).await;
    trash(house).await;
    history(house).await;
    gc(house).await;
    urgent(house).await;
    damages(house).await;
    rules::rules(house).await;
}

async fn history(house: &House) {
    let (image, now) = (house.push_image("history/a", "one", &["x"]).await, house.now());
    house.push_image("history/a", "two", &["x"]).await;
    let pulls = [Some("x".to_owned()), None].map(|tag| Pulls {
        repo: repo("history/a"),
        digest: image.clone(),
        tag,
        count: 1,
        last_at: now,
    });
    house.write(move |tx| catalog::record_pulls(tx, &pulls)).await;
    for to in [
        catalog::MoveTo::Before,
        catalog::MoveTo::Event(1),
        catalog::MoveTo::Past("sha256:00".to_owned()),
        catalog::MoveTo::Reference(Reference::Digest(image.clone())),
    ] {
        let moving = TagMove {
            repo: repo("history/a"),
            tag: tag("x"),
            to,
            actor: Some("bee".to_owned()),
            now,
            keep_ms: KEEP,
            dry_run: false,
        };
        house.write(move |tx| catalog::move_tag(tx, &moving)).await;
    }
    house
        .write(move |tx| {
            let name = repo("history/a");
            catalog::tag_views(tx, &name, None, 10)?;
            catalog::repository_views(tx, None, 10)?;
            catalog::repository_view(tx, &name)?;
            let settings = RepositorySettings {
                undo_window_ms: Some(DAY),
            };
            catalog::set_repository(tx, &name, settings)?;
            catalog::unlink_blob(tx, &name, &digest("nothing"), now, UNDO, None)?;
            catalog::trash_manifest(tx, &name, &image, now, UNDO, None)?;
            catalog::delete_tag(tx, &name, &tag("x"), now, KEEP, UNDO, None)?;
            for reference in [Reference::Tag(tag("x")), Reference::Digest(image.clone())] {
                catalog::trace_manifest(tx, &name, &reference)?;
                catalog::find_in_trash(tx, &name, Some(&reference), now)?;
            }
            catalog::rename_repository(tx, &name, &repo("other/a"), now, None)?;
            catalog::trace_repository(tx, &name)?;
            let name = repo("other/a");
            let op = catalog::delete_repository(tx, &name, now, UNDO, None)?
                .unwrap()
                .op;
            catalog::find_in_trash(tx, &name, None, now)?;
            catalog::list_trash(tx, None, now, None, 10)?;
            catalog::list_trash(tx, Some(&name), now, None, 10)?;
            catalog::restore(tx, op, &RestoreWish::default(), now, KEEP, None)?;
            let op = catalog::delete_repository(tx, &name, now, UNDO, None)?
                .unwrap()
                .op;
            let elsewhere = RestoreWish {
                as_repository: Some(repo("history/b")),
                ..RestoreWish::default()
            };
            catalog::restore(tx, op, &elsewhere, now, KEEP, None)?;
            catalog::delete_repository(tx, &repo("history/b"), now, UNDO, None)?;
            catalog::trace_blob(tx, &name, &digest("one"))
        })
        .await;
    let blob = house.push_blob("history/c", "blob").await;
    house
        .write(move |tx| {
            let name = repo("history/c");
            catalog::unlink_blob(tx, &name, &blob, now, UNDO, None)?;
            catalog::trace_blob(tx, &name, &blob)?;
            catalog::find_in_trash(tx, &name, Some(&Reference::Digest(blob.clone())), now)?;
            let op = catalog::list_trash(tx, Some(&name), now, None, 10)?.items[0].op;
            catalog::trash_entry(tx, op)?;
            catalog::empty_trash(tx, Some(&name), now, now, None, 10)?;
            catalog::empty_trash(tx, None, now, now, None, 10)?;
            while catalog::purge_repositories(tx, now, 10)? != catalog::RepositoriesPurged::default() {}
            Ok(())
        })
        .await;
}

async fn blobs(house: &House) {
    house.push_blob("a", "layer").await;
    house.push_file("a", "file", "here/1").await;
    house.push_file("a", "file", "here/2").await;
    let now = house.now();
    house
        .write(move |tx| {
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

async fn damages(house: &House) {
    house.push_file("damaged", "bytes", "damaged/1").await;
    house.push_image("damaged", "small", &["latest"]).await;
    let now = house.now();
    house
        .write(move |tx| {
            catalog::suspect(tx, "damaged/1")?;
            let due = catalog::due_for_scrub(tx, now, (i64::MIN, 0), 10)?;
            catalog::mark_good(tx, &due, now)?;
            for what in [Kept::Blobs, Kept::Manifests] {
                catalog::sift(tx, what, 0, 10, |_, _| true)?;
                let walk = catalog::find_walk(tx, what)?;
                catalog::save_walk(tx, what, walk)?;
            }
            catalog::pause_scrub(tx, "bee", now + 1)?;
            catalog::scrub_pause(tx, now)?;
            catalog::resume_scrub(tx, now)?;
            catalog::oldest_verified(tx)?;
            catalog::count_suspects(tx)?;
            catalog::mark_bad(tx, &digest("bytes"), Some("damaged/1"), DamageCause::Missing, now)?;
            catalog::mark_bad(tx, &digest("small"), None, DamageCause::Changed, now)?;
            catalog::mark_manifest_bad(tx, &digest("image of small"), now)?;
            catalog::list_damages(tx, 0, 10)?;
            catalog::find_damage(tx, &digest("image of small"))?;
            catalog::who_needs(tx, &digest("bytes"))?;
            catalog::heal_blob(tx, &digest("bytes"), &Place::File("damaged/2".to_owned()), now, 0)?;
            catalog::heal_manifest(tx, &digest("image of small"), b"image of small")?;
            catalog::count_damages(tx)?;
            catalog::recorded_blobs(tx, 0, 10)?;
            catalog::recorded_bodies(tx, 0, 10)?;
            catalog::list_tombstones(tx, "", 10)?;
            catalog::list_uploads(tx, Uuid::nil(), 10)?;
            catalog::owners(tx, &["damaged/2".to_owned(), "nowhere".to_owned()])
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

async fn space(house: &House) {
    house
        .read(move |tx| {
            catalog::freeable(
                tx,
                &[(repo("a"), digest("image of layer")), (repo("a"), digest("none"))],
            )?;
            catalog::list_usage(tx, "", 10)?;
            catalog::sum_blobs(tx, &repo("a"), 0, 10)?;
            catalog::space_of_tags(tx, &repo("a"), "", 10)?;
            catalog::digests_between(tx, (&digest("layer"), &digest("layer")), ("a", "b"), 3)?;
            catalog::trash_of(tx, &repo("a"))
        })
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
            catalog::delete_tag(tx, &repo("a"), &tag("latest"), now, KEEP, UNDO, Some("bee"))?;
            let trashed = catalog::trash_manifest(tx, &repo("a"), &digest("index"), now, UNDO, Some("bee"))?;
            let Trashed::Done { op, .. } = trashed else {
                panic!("{trashed:?}")
            };
            catalog::restore(tx, op, &catalog::RestoreWish::default(), now, KEEP, None)?;
            catalog::unlink_blob(tx, &repo("b"), &digest("layer"), now, UNDO, None)
        })
        .await;
    // The first blob that was deleted, and the first two pushes that set tags.
    for op in 1..=3 {
        house
            .write(move |tx| catalog::restore(tx, op, &catalog::RestoreWish::default(), now, KEEP, None))
            .await;
    }
}

async fn urgent(house: &House) {
    let now = house.now();
    house
        .write(move |tx| {
            let (leased, _) = catalog::leased_links(tx, &repo("a"), now, 0, 10)?;
            catalog::shorten_leases(tx, &repo("a"), &leased, now)?;
            catalog::purge_trash_of(tx, &repo("a"), now, LEASE, 10)
        })
        .await;
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
            catalog::delete_tag(tx, &repo("gc"), &tag("garbage"), now, KEEP, UNDO, None)?;
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
