//! The part of the walk that is about rules.

use super::*;

/// Rules about everything, which forbid nothing that is done after them.
struct Everywhere;

impl Guard for Everywhere {
    fn has_immutable(&self) -> bool {
        true
    }

    fn immutable_by(&self, _: &str, _: &str) -> Option<String> {
        None
    }

    fn has_quotas(&self) -> bool {
        true
    }

    fn quotas_of(&self, _: &str) -> Vec<Quota> {
        [true, false].into_iter().map(large).collect()
    }
}

fn large(is_namespace: bool) -> Quota {
    Quota {
        name: "large".to_owned(),
        is_namespace,
        bytes: Some(i64::MAX),
        tags: Some(i64::MAX),
    }
}

pub(super) async fn rules(house: &House) {
    house.catalog.set_guard(Arc::new(Everywhere));
    let image = house.push_image("rules/a", "old", &["old", "older"]).await;
    let loose = house.push_image("rules/a", "loose", &[]).await;
    let now = house.now() + 2 * KEEP;
    house
        .write(move |tx| {
            catalog::review_manifests(tx, now, UNDO, 1000)?;
            let name = repo("rules/a");
            catalog::find_retained(tx, &name)?;
            catalog::list_retained(tx, "rules/", Some("rules/0"), 10)?;
            let (states, _) = catalog::tag_states(tx, &name, None, 10)?;
            let page = catalog::list_loose(tx, &name, now, None, 10)?;
            let mut freeing = WouldFree::default();
            freeing.tag(tx, &name, &tag("old"))?;
            freeing.tag(tx, &name, &tag("older"))?;
            freeing.untagged(tx, &name, &loose)?;
            while freeing.step(tx, 10)? {}
            while freeing.sum(tx, &mut Freed::default(), 10)? {}
            let turn = catalog::take_turn(tx, "retention", "us", now, now + DAY)?.unwrap();
            let run = catalog::begin_run(tx, now, true, Some("bee"))?;
            let mut batch: Vec<_> = page
                .manifests
                .into_iter()
                .map(|one| Removal::Untagged {
                    digest: one.digest,
                    loose_at: one.loose_at,
                    reason: String::new(),
                })
                .collect();
            batch.extend(states.into_iter().map(|one| Removal::Tag {
                tag: one.tag,
                event: one.event,
                ranked_at: one.ranked_at,
                pulled_at: one.pulled_at,
                reason: String::new(),
            }));
            let with = Retaining {
                repo: name.clone(),
                turn: turn.clone(),
                now,
                keep_ms: KEEP,
                undo_ms: UNDO,
                actor: None,
            };
            let removed = catalog::retain(tx, &with, &batch)?.unwrap();
            assert_eq!(
                (removed.tags, removed.manifests, removed.untagged.len()),
                (2, 1, 1)
            );
            let mut following = WouldFree::default();
            following.lost_tags(removed.untagged);
            while following.count(tx, 10)?.is_none() {}
            for op in removed.ops {
                catalog::restore(tx, op, &RestoreWish::default(), now, KEEP, None)?;
            }
            catalog::finish_run(tx, run, now, &RunOutcome::default())?;
            catalog::last_scheduled_run(tx)?;
            catalog::list_runs(tx, None, 10)?;
            catalog::end_turn(tx, &turn)?;
            let policy = Policy {
                kind: PolicyKind::Quota,
                name: "large".to_owned(),
                body: "{}".to_owned(),
                set_at: now,
                set_by: "bee".to_owned(),
            };
            catalog::set_policy(tx, &policy)?;
            catalog::list_policies(tx)?;
            catalog::remove_policy(tx, PolicyKind::Quota, "large")?;
            catalog::would_pass(tx, &name, &[large(true), large(false)], (1, 1))?;
            for (is_namespace, limited) in [
                (true, Limited::Bytes),
                (true, Limited::Tags),
                (false, Limited::Bytes),
                (false, Limited::Tags),
            ] {
                let over = OverQuota {
                    quota: String::new(),
                    is_namespace,
                    limited,
                    used: 1,
                    limit: 1,
                    wanted: 1,
                };
                catalog::biggest(tx, &name, &over)?;
            }
            catalog::stat_manifest(tx, &name, &Reference::Digest(image.clone()), now, KEEP)
        })
        .await;
}
