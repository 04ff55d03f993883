//! The collector in the model, and its steps done to both; and what must be left when all windows have passed.

use std::collections::BTreeSet;

use super::run::Run;
use super::world::{Content, Grave, InTrash, Live, Model, Repo, blobs, children, later};
use crate::harness::{DAY, GRACE, KEEP, LEASE, UNDO};

impl Model {
    /// Everything that is due; the locations that the sweeper takes.
    pub(crate) fn collect(&mut self) -> BTreeSet<String> {
        let begun: Vec<i64> = self.trash.iter().map(|op| op.at).collect();
        let graves = self.graves.iter_mut();
        for repo in self.repos.iter_mut().chain(graves.map(|grave| &mut grave.repo)) {
            repo.review(&begun, self.now);
        }
        for grave in self.graves.iter_mut().filter(|grave| grave.purge_at <= self.now) {
            grave.end(self.now);
        }
        let mut gone = Vec::new();
        let graves = self.graves.iter_mut();
        let graves = graves.map(|grave| (&mut grave.repo, grave.is_closed));
        for (repo, is_closed) in self.repos.iter_mut().map(|repo| (repo, false)).chain(graves) {
            repo.purge(self.now, is_closed);
            gone.extend(repo.review_links(self.now));
        }
        for blob in gone {
            let graves = self.graves.iter().map(|grave| &grave.repo);
            if self
                .repos
                .iter()
                .chain(graves)
                .all(|repo| !repo.links.contains_key(&blob))
            {
                // The second repository whose link went finds nothing.
                if let Some(location) = self.stored.remove(&blob) {
                    self.buried.insert(location, self.now + GRACE);
                }
            }
        }
        let now = self.now;
        self.buried
            .extract_if(.., |_, not_before| *not_before <= now)
            .map(|(location, _)| location)
            .collect()
    }
}

impl Grave {
    /// P-PURGE-REPOSITORY: all that is live goes to the trash, due at once, and leases end.
    fn end(&mut self, now: i64) {
        self.is_closed = true;
        for (document, live) in std::mem::take(&mut self.repo.live) {
            let in_trash = InTrash {
                number: live.number,
                op: self.op,
                purge_at: now,
            };
            self.repo.trashed.insert(document, in_trash);
        }
        self.repo.tags.clear();
        for link in self.repo.links.values_mut() {
            link.review_at = link.review_at.map(|at| at.min(now));
        }
    }
}

impl Repo {
    /// P-REVIEW-MANIFEST.
    fn review(&mut self, begun: &[i64], now: i64) {
        let due = self.live.iter().filter_map(|(&document, live)| {
            let until = live.until.filter(|&until| until <= now)?;
            Some((until, live.number, document))
        });
        let due: BTreeSet<_> = due.collect();
        for (_, _, document) in due {
            let is_rooted = self.is_rooted(document);
            let Some(live) = self.live.get_mut(&document) else {
                continue;
            };
            match live.follows {
                Some(op) if !is_rooted => {
                    self.trash(document, op, now, (begun[op] + UNDO).max(now));
                }
                _ => {
                    live.loose = live.until.filter(|_| !is_rooted);
                    (live.until, live.follows) = (None, None);
                }
            }
        }
    }

    /// P-PURGE: indexes before their children. What was told where nobody can push any more is no promise.
    fn purge(&mut self, now: i64, is_closed: bool) {
        loop {
            let all: Vec<usize> = self.live.keys().chain(self.trashed.keys()).copied().collect();
            let is_listed = |one: usize| {
                all.iter()
                    .any(|&parent| children(parent).any(|child| child == one))
            };
            let due = self
                .trashed
                .iter()
                .find(|&(&one, trashed)| trashed.purge_at <= now && !is_listed(one));
            let Some((&document, _)) = due else { return };
            self.trashed.remove(&document);
            for blob in blobs(document) {
                self.links.entry(blob).and_modify(|link| {
                    link.review_at = Some(if is_closed {
                        now
                    } else {
                        later(link.review_at, now + LEASE)
                    });
                });
            }
        }
    }

    /// P-REVIEW-LINK; the blobs whose links went.
    fn review_links(&mut self, now: i64) -> Vec<usize> {
        let all = self.live.keys().chain(self.trashed.keys());
        let named: BTreeSet<usize> = all.flat_map(|&document| blobs(document)).collect();
        let is_due = |at: Option<i64>| at.is_some_and(|at| at <= now);
        for (blob, link) in &mut self.links {
            if is_due(link.review_at) && named.contains(blob) {
                link.review_at = None;
            }
        }
        let gone = self.links.extract_if(.., |_, link| is_due(link.review_at));
        gone.map(|(blob, _)| blob).collect()
    }
}

impl Run<'_> {
    pub(crate) async fn collect(&mut self) {
        let expected = self.model.collect();
        self.house.set(self.model.now);
        let swept = self.house.collect().await;
        // The catalog is shared with the sequences before this one.
        let ours = format!("{}/", self.id);
        let swept: BTreeSet<_> = swept
            .into_iter()
            .filter(|location| location.starts_with(&ours))
            .collect();
        assert_eq!(swept, expected);
    }

    pub(crate) async fn push(&mut self, repo: usize, document: usize, tags: &[usize]) {
        let mut missing = self.model.repos[repo].missing(document);
        while let Some(first) = missing.pop_first() {
            match first {
                Content::Blob(blob) => self.push_blob(repo, blob).await,
                Content::Document(child) => Box::pin(self.push(repo, child, &[])).await,
            }
            missing = self.model.repos[repo].missing(document);
        }
        self.put(repo, document, tags, false).await;
    }

    pub(crate) async fn look(&mut self, repo: usize, blob: usize) {
        let (name, wanted, now) = (self.name(repo), self.digest(Content::Blob(blob)), self.model.now);
        let look = move |tx: &mut catalog::Tx<'_>| {
            let found = catalog::find_blob(tx, &name, &wanted, now, LEASE)?;
            if found.as_ref().is_some_and(|found| found.renew) {
                assert!(catalog::touch_blob(tx, &name, &wanted, now, LEASE)?);
            }
            Ok(found)
        };
        let found = self.house.write(look).await;
        let location = found.and_then(|found| found.location);
        let link = self.model.repos[repo].links.get_mut(&blob);
        let Some(link) = link.filter(|link| link.shown) else {
            assert_eq!(location, None);
            return;
        };
        if link.review_at.is_some_and(|at| at < now + LEASE / 2) {
            link.review_at = Some(later(link.review_at, now + LEASE));
        }
        assert_eq!(location.as_ref(), self.model.stored.get(&blob));
    }

    pub(crate) async fn look_up(&mut self, repo: usize, document: usize) {
        let wanted = self.digest(Content::Document(document));
        let (name, now) = (self.name(repo), self.model.now);
        let look = move |tx: &mut catalog::Tx<'_>| {
            let reference = oci::Reference::Digest(wanted.clone());
            let found = catalog::stat_manifest(tx, &name, &reference, now, KEEP)?;
            if found.as_ref().is_some_and(|found| found.renew) {
                assert!(catalog::touch_manifest(tx, &name, &wanted, now, KEEP)?);
            }
            Ok(found.is_some())
        };
        let found = self.house.write(look).await;
        let live = self.model.repos[repo].live.get_mut(&document);
        assert_eq!(found, live.is_some());
        let must_renew = |live: &Live| {
            live.until
                .or(live.loose)
                .is_some_and(|until| until < now + KEEP / 2)
        };
        if let Some(live) = live.filter(|live| must_renew(live)) {
            live.until = Some(later(live.until, now + KEEP));
            live.loose = None;
        }
    }

    /// All windows pass. What a live document names is there; nothing else is.
    pub(crate) async fn finish(&mut self) {
        for _ in 0..6 {
            self.model.now += KEEP + DAY;
            self.collect().await;
        }
        for Grave { repo, .. } in &self.model.graves {
            assert!(repo.live.is_empty() && repo.trashed.is_empty() && repo.links.is_empty());
        }
        let mut needed = BTreeSet::new();
        for repo in &self.model.repos {
            assert!(repo.trashed.is_empty());
            let named: BTreeSet<usize> = repo.live.keys().flat_map(|&document| blobs(document)).collect();
            assert_eq!(repo.links.keys().copied().collect::<BTreeSet<_>>(), named);
            assert!(named.iter().all(|&blob| repo.serves(blob)));
            assert!(
                repo.live
                    .values()
                    .all(|live| live.until.is_none() && live.follows.is_none())
            );
            needed.extend(named);
        }
        assert_eq!(self.model.stored.keys().copied().collect::<BTreeSet<_>>(), needed);
        assert!(self.model.buried.is_empty());
        self.compare().await;
    }
}
