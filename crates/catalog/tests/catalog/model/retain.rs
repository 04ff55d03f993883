//! Retention in the model, done to both: a tag goes and its manifest follows when its lease ends; what nothing holds goes
//! at once; and each comes back.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{Removal, Removed, Retaining, Tx};

use super::run::Run;
use super::world::{TAGS, Undoable};
use crate::harness::{KEEP, LEASE, UNDO, tag};

impl Run<'_> {
    async fn remove(
        &self,
        repo: usize,
        find: impl Fn(&mut Tx<'_>) -> Result<Vec<Removal>, catalog::Error> + Send + 'static,
    ) -> Removed {
        let (repo, now) = (self.name(repo), self.model.now);
        let removed = self.house.write(move |tx| {
            let turn = catalog::take_turn(tx, "retention", "model", now, now + LEASE)?
                .expect("nobody else wants it");
            let with = Retaining {
                repo: repo.clone(),
                turn,
                now,
                keep_ms: KEEP,
                undo_ms: UNDO,
                actor: None,
            };
            let batch = find(tx)?;
            catalog::retain(tx, &with, &batch)
        });
        removed.await.expect("the turn is ours")
    }

    pub(super) async fn retain(&mut self, repo: usize, number: usize) {
        let name = self.name(repo);
        let find = move |tx: &mut Tx<'_>| {
            let (states, _) = catalog::tag_states(tx, &name, None, 10)?;
            let one = states.into_iter().find(|state| *state.tag == *tag(TAGS[number]));
            Ok(one
                .map(|one| Removal::Tag {
                    tag: one.tag,
                    event: one.event,
                    ranked_at: one.ranked_at,
                    pulled_at: one.pulled_at,
                    reason: "a rule".to_owned(),
                })
                .into_iter()
                .collect())
        };
        let removed = self.remove(repo, find).await;
        let (now, op) = (self.model.now, self.model.trash.len());
        let model = &mut self.model.repos[repo];
        let Some(document) = model.tags.remove(&number) else {
            assert_eq!(removed, Removed::default());
            return;
        };
        model.keep(document, now + KEEP);
        let is_rooted = model.is_rooted(document);
        if let Some(live) = model.live.get_mut(&document).filter(|_| !is_rooted) {
            live.follows = Some(op);
        }
        assert_eq!(
            (removed.tags, removed.untagged.len()),
            (1, usize::from(!is_rooted))
        );
        self.model.trash.push(Undoable {
            number: removed.ops[0],
            at: now,
            repo,
            life: self.model.repos[repo].life,
            is_whole: false,
            tags: BTreeMap::from([(number, document)]),
            undone: false,
            retained: true,
        });
    }

    pub(super) async fn retain_loose(&mut self, repo: usize) {
        let (name, now) = (self.name(repo), self.model.now);
        let find = move |tx: &mut Tx<'_>| {
            let page = catalog::list_loose(tx, &name, now, None, 100)?;
            assert_eq!(page.next, None);
            let removal = |one: catalog::LooseManifest| Removal::Untagged {
                digest: one.digest,
                loose_at: one.loose_at,
                reason: "a rule".to_owned(),
            };
            Ok(page.manifests.into_iter().map(removal).collect())
        };
        let removed = self.remove(repo, find).await;
        let model = &mut self.model.repos[repo];
        let loose = model.live.iter().filter_map(|(&document, live)| {
            // Also where nobody has looked at it since its lease ended, unless it follows a delete.
            let ended = live.until.filter(|&until| until <= now && live.follows.is_none());
            let since = live.loose.or(ended).filter(|_| !model.is_rooted(document))?;
            Some((since, live.number, document))
        });
        let loose: BTreeSet<_> = loose.collect();
        let (mut ops, mut gone) = (removed.ops.iter(), 0);
        for (_, _, document) in loose {
            if !model.live.contains_key(&document) {
                continue;
            }
            let (trashed, tags) = model.trash(document, self.model.trash.len(), now, now + UNDO);
            assert!(tags.is_empty());
            gone += trashed.len();
            self.model.trash.push(Undoable {
                number: *ops.next().expect("as many operations as there are in the model"),
                at: now,
                repo,
                life: model.life,
                is_whole: false,
                tags,
                undone: false,
                retained: false,
            });
        }
        assert_eq!((ops.next(), removed.manifests), (None, gone));
    }
}
