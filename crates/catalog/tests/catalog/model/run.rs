//! One sequence of steps, done to a catalog and to the model at once, each answer compared.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{
    EdgeKind, MountSource, NewBlob, NewManifest, Place, Precondition, PutManifest, RestoreWish, Restored,
    Trashed, Unlinked,
};
use oci::{Digest, RepositoryName};

use super::world::{
    Content, DOCUMENTS, Document, Grave, Live, Model, Named, REPOS, Repo, TAGS, Undoable, later,
};
use super::{Step, WAITS};
use crate::harness::{House, KEEP, LEASE, UNDO, child, digest, edge, tag};

/// One sequence, in names of its own, so that many share a catalog.
pub(crate) struct Run<'h> {
    pub(crate) house: &'h House,
    pub(crate) id: u32,
    pub(crate) model: Model,
}

impl Run<'_> {
    pub(super) fn text(&self, content: Content) -> String {
        match content {
            Content::Blob(n) => format!("{} blob {n}", self.id),
            Content::Document(n) => format!("{} document {n}", self.id),
        }
    }

    pub(super) fn digest(&self, content: Content) -> Digest {
        digest(&self.text(content))
    }

    fn digests(&self, contents: impl IntoIterator<Item = Content>) -> BTreeSet<Digest> {
        contents.into_iter().map(|content| self.digest(content)).collect()
    }

    pub(super) fn documents<'d>(&self, documents: impl IntoIterator<Item = &'d usize>) -> BTreeSet<Digest> {
        self.digests(documents.into_iter().map(|&document| Content::Document(document)))
    }

    pub(super) fn name(&self, repo: usize) -> RepositoryName {
        format!("run{}/{}", self.id, REPOS[repo]).parse().unwrap()
    }

    fn manifest(&self, repo: usize, document: usize, tags: &[usize], absent: bool) -> NewManifest {
        let Document {
            blobs,
            children,
            subject,
        } = &DOCUMENTS[document];
        let names: Vec<&str> = tags.iter().map(|&tag| TAGS[tag]).collect();
        let body = self.text(Content::Document(document));
        let mut new = self.house.manifest(&self.name(repo), &body, &names);
        new.blobs = blobs
            .iter()
            .zip(0..)
            .map(|(&blob, ord)| edge(ord, &self.digest(Content::Blob(blob))))
            .collect();
        new.children = children
            .iter()
            .zip(0..)
            .map(|(named, ord)| match named {
                Named::Document(document) => child(ord, &self.digest(Content::Document(*document))),
                Named::Blob(blob) => child(ord, &self.digest(Content::Blob(*blob))),
            })
            .collect();
        new.subject = subject.map(|subject| self.digest(Content::Document(subject)));
        new.precondition = if absent {
            Precondition::TagAbsent
        } else {
            Precondition::None
        };
        new.now = self.model.now;
        assert!(new.blobs.iter().all(|edge| edge.kind == EdgeKind::Layer));
        new
    }

    pub(crate) async fn apply(&mut self, step: Step) {
        let now = self.model.now;
        match step {
            Step::PushBlob { repo, blob } => self.push_blob(repo, blob).await,
            Step::Mount { from, into, blob } => self.mount(from, into, blob).await,
            Step::Unlink { repo, blob } => self.unlink(repo, blob).await,
            Step::Put {
                repo,
                document,
                tags,
                absent,
            } => self.put(repo, document, &tags, absent).await,
            Step::Push { repo, document, tags } => self.push(repo, document, &tags).await,
            Step::Untag { repo, tag: number } => {
                let name = self.name(repo);
                let untag = move |tx: &mut catalog::Tx<'_>| {
                    catalog::delete_tag(tx, &name, &tag(TAGS[number]), now, KEEP, UNDO, None)
                };
                let expected = self.model.repos[repo].tags.remove(&number);
                assert_eq!(self.house.write(untag).await.is_some(), expected.is_some());
                if let Some(old) = expected {
                    self.model.repos[repo].keep(old, now + KEEP);
                }
            }
            Step::Trash { repo, document } => self.trash(repo, document).await,
            Step::Retain { repo, tag } => self.retain(repo, tag).await,
            Step::RetainLoose { repo } => self.retain_loose(repo).await,
            Step::Restore => self.restore().await,
            Step::DeleteRepo { repo } => self.delete_repo(repo).await,
            Step::Look { repo, blob } => self.look(repo, blob).await,
            Step::LookUp { repo, document } => self.look_up(repo, document).await,
            Step::Collect => self.collect().await,
            Step::Wait(wait) => self.model.now += WAITS[wait],
        }
    }

    pub(super) async fn push_blob(&mut self, repo: usize, blob: usize) {
        let content = self.text(Content::Blob(blob));
        self.model.count += 1;
        let location = format!("{}/{blob}/{}", self.id, self.model.count);
        let new = NewBlob {
            place: Place::File(location.clone()),
            now: self.model.now,
            ..self.house.blob(&self.name(repo), &content)
        };
        let published = self.house.write(move |tx| catalog::publish_blob(tx, &new)).await;
        let is_new = !self.model.stored.contains_key(&blob);
        assert_eq!(published == catalog::Published::New, is_new);
        if is_new {
            self.model.stored.insert(blob, location);
        } else {
            self.model.buried.insert(location, self.model.now);
        }
        self.model.repos[repo].known = true;
        self.model.repos[repo].link(blob, self.model.now + LEASE);
    }

    async fn mount(&mut self, from: Option<usize>, into: usize, blob: usize) {
        let source = from.map_or(MountSource::Any, |from| MountSource::Repo(self.name(from)));
        let (name, wanted, now) = (self.name(into), self.digest(Content::Blob(blob)), self.model.now);
        let mount =
            move |tx: &mut catalog::Tx<'_>| catalog::mount_blob(tx, &source, &name, &wanted, now, LEASE);
        let serves = |repo: usize| self.model.repos[repo].serves(blob);
        let expected = from.map_or_else(|| serves(0) || serves(1), serves);
        assert_eq!(self.house.write(mount).await, expected);
        if expected {
            self.model.repos[into].known = true;
            self.model.repos[into].link(blob, now + LEASE);
        }
    }

    async fn unlink(&mut self, repo: usize, blob: usize) {
        let (name, wanted, now) = (self.name(repo), self.digest(Content::Blob(blob)), self.model.now);
        let unlink =
            move |tx: &mut catalog::Tx<'_>| catalog::unlink_blob(tx, &name, &wanted, now, UNDO, None);
        let unlinked = self.house.write(unlink).await;
        let namers = self.model.repos[repo].live_namers(blob);
        match self.model.repos[repo].links.get_mut(&blob) {
            Some(link) if link.shown && namers.is_empty() => {
                (link.shown, link.review_at) = (false, Some(now + UNDO));
                assert_eq!(unlinked, Unlinked::Hidden);
            }
            Some(link) if link.shown => {
                let Unlinked::Referenced { by } = unlinked else {
                    panic!("{unlinked:?}")
                };
                assert_eq!(by.into_iter().collect::<BTreeSet<_>>(), self.documents(&namers));
            }
            Some(_) | None => assert_eq!(unlinked, Unlinked::Unknown),
        }
    }

    pub(super) async fn put(&mut self, repo: usize, document: usize, tags: &[usize], absent: bool) {
        let put = self.house.put(self.manifest(repo, document, tags, absent)).await;
        let missing = self.model.repos[repo].missing(document);
        let kept = self.model.now + KEEP;
        self.model.count += 1;
        let fresh = self.model.count;
        let model = &mut self.model.repos[repo];
        if !missing.is_empty() {
            let PutManifest::Missing(named) = put else {
                panic!("{put:?}")
            };
            assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), self.digests(missing));
            return;
        }
        if absent && tags.first().is_some_and(|first| model.tags.contains_key(first)) {
            assert_eq!(put, PutManifest::PreconditionFailed);
            return;
        }
        let created = !model.live.contains_key(&document);
        assert_eq!(put, PutManifest::Stored { created });
        model.known = true;
        let back = model.trashed.remove(&document);
        let referrers = back.map(|_| model.went_with(document));
        let number = match back {
            Some(back) => back.number,
            None => model.live.get(&document).map_or(fresh, |live| live.number),
        };
        let until = model.live.get(&document).and_then(|live| live.until);
        let live = Live {
            number,
            until: Some(later(until, kept)),
            follows: None,
            loose: None,
        };
        model.live.insert(document, live);
        model.revive(referrers.unwrap_or_default(), kept);
        for &tag in tags {
            if let Some(old) = model.tags.insert(tag, document).filter(|&old| old != document) {
                model.keep(old, kept);
            }
        }
    }

    async fn trash(&mut self, repo: usize, document: usize) {
        let (name, wanted, now) = (
            self.name(repo),
            self.digest(Content::Document(document)),
            self.model.now,
        );
        let trash =
            move |tx: &mut catalog::Tx<'_>| catalog::trash_manifest(tx, &name, &wanted, now, UNDO, None);
        let trashed = self.house.write(trash).await;
        let parents = self.model.repos[repo].live_parents(document);
        if !self.model.repos[repo].live.contains_key(&document) {
            assert_eq!(trashed, Trashed::Unknown);
        } else if !parents.is_empty() {
            let Trashed::ListedBy(by) = trashed else {
                panic!("{trashed:?}")
            };
            assert_eq!(by.into_iter().collect::<BTreeSet<_>>(), self.documents(&parents));
        } else {
            let Trashed::Done {
                op: number,
                manifests,
                ..
            } = trashed
            else {
                panic!("{trashed:?}")
            };
            let op = self.model.trash.len();
            let (gone, tags) = self.model.repos[repo].trash(document, op, now, now + UNDO);
            assert_eq!(
                manifests.into_iter().collect::<BTreeSet<_>>(),
                self.documents(&gone)
            );
            self.model.trash.push(Undoable {
                number,
                at: now,
                repo,
                life: self.model.repos[repo].life,
                is_whole: false,
                tags,
                undone: false,
                retained: false,
            });
        }
    }

    async fn delete_repo(&mut self, repo: usize) {
        let (name, now) = (self.name(repo), self.model.now);
        let delete = move |tx: &mut catalog::Tx<'_>| catalog::delete_repository(tx, &name, now, UNDO, None);
        let deleted = self.house.write(delete).await;
        assert_eq!(deleted.is_some(), self.model.repos[repo].known);
        let Some(deleted) = deleted else { return };
        self.model.count += 1;
        let fresh = Repo {
            life: self.model.count,
            ..Repo::default()
        };
        let old = std::mem::replace(&mut self.model.repos[repo], fresh);
        self.model.trash.push(Undoable {
            number: deleted.op,
            at: now,
            repo,
            life: old.life,
            is_whole: true,
            tags: BTreeMap::new(),
            undone: false,
            retained: false,
        });
        self.model.graves.push(Grave {
            op: self.model.trash.len() - 1,
            purge_at: now + UNDO,
            is_closed: false,
            repo: old,
        });
    }

    /// Takes the newest delete back that was not yet.
    async fn restore(&mut self) {
        let Some(op) = self.model.trash.iter().rposition(|op| !op.undone) else {
            return;
        };
        let Undoable {
            number,
            at,
            repo,
            life,
            is_whole,
            tags,
            retained,
            ..
        } = self.model.trash[op].clone();
        let now = self.model.now;
        let restored = self
            .house
            .write(move |tx| catalog::restore(tx, number, &RestoreWish::default(), now, KEEP, None))
            .await;
        // One that cannot be taken back is not asked for again.
        self.model.trash[op].undone = true;
        let graves = self.model.graves.iter().map(|grave| &grave.repo);
        let mut trashed = graves
            .chain(&self.model.repos)
            .flat_map(|one| one.trashed.values());
        if retained && at + UNDO <= now && !trashed.any(|one| one.op == op) {
            assert_eq!(restored, Restored::Gone);
            return;
        }
        if is_whole {
            return self.restore_repo(op, repo, &restored);
        }
        if self.model.repos[repo].life != life {
            assert_eq!(restored, Restored::RepositoryDeleted(self.name(repo)));
            return;
        }
        let model = &mut self.model.repos[repo];
        let next: Vec<_> = model
            .trashed
            .iter()
            .filter(|&(_, trashed)| trashed.op == op)
            .map(|(&one, _)| one)
            .collect();
        let before = model.clone();
        for live in model.live.values_mut().filter(|live| live.follows == Some(op)) {
            live.follows = None;
        }
        let mut back = model.revive(next, now + KEEP);
        let (mut set, mut taken) = (false, false);
        for (tag, document) in tags {
            if let Some(&current) = model.tags.get(&tag) {
                taken |= current != document;
                continue;
            }
            back.extend(model.revive(vec![document], now + KEEP));
            if model.live.contains_key(&document) {
                model.tags.insert(tag, document);
                set = true;
            }
        }
        if back.is_empty() && !set {
            // Nothing was done, then.
            *model = before;
            if taken {
                assert!(matches!(restored, Restored::Taken(_)), "{restored:?}");
            } else {
                assert_eq!(restored, Restored::Gone);
            }
            return;
        }
        let Restored::Done { manifests, .. } = restored else {
            panic!("{restored:?}")
        };
        assert_eq!(
            manifests.into_iter().collect::<BTreeSet<_>>(),
            self.documents(&back)
        );
    }

    fn restore_repo(&mut self, op: usize, repo: usize, restored: &Restored) {
        let grave = self
            .model
            .graves
            .iter()
            .position(|grave| grave.op == op && !grave.is_closed);
        let Some(grave) = grave else {
            assert_eq!(*restored, Restored::Gone);
            return;
        };
        if self.model.repos[repo].known {
            assert_eq!(*restored, Restored::NameTaken(self.name(repo)));
            return;
        }
        assert_eq!(*restored, Restored::Repository(self.name(repo)));
        self.model.repos[repo] = self.model.graves.remove(grave).repo;
    }
}
