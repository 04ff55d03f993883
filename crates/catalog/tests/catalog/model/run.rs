//! One sequence of steps, done to a catalog and to the model at once, each answer compared.

use std::collections::BTreeSet;

use catalog::{
    EdgeKind, MountSource, NewManifest, Precondition, PutManifest, Restored, Scope, Trashed, Unlinked, Usage,
};
use oci::{Digest, Reference, RepositoryName};

use super::Step;
use super::world::{
    BLOBS, Content, DOCUMENTS, Document, Model, Named, REPOS, Repo, TAGS, Undoable, children,
};
use crate::harness::{House, KEEP, LEASE, UNDO, child, digest, edge, page_of_referrers, referrers_of, tag};

/// One sequence, in names of its own, so that many share a catalog.
pub(crate) struct Run<'h> {
    pub(crate) house: &'h House,
    pub(crate) id: u32,
    pub(crate) model: Model,
}

impl Run<'_> {
    fn text(&self, content: Content) -> String {
        match content {
            Content::Blob(n) => format!("{} blob {n}", self.id),
            Content::Document(n) => format!("{} document {n}", self.id),
        }
    }

    fn digest(&self, content: Content) -> Digest {
        digest(&self.text(content))
    }

    fn digests(&self, contents: impl IntoIterator<Item = Content>) -> BTreeSet<Digest> {
        contents.into_iter().map(|content| self.digest(content)).collect()
    }

    fn documents<'d>(&self, documents: impl IntoIterator<Item = &'d usize>) -> BTreeSet<Digest> {
        self.digests(documents.into_iter().map(|&document| Content::Document(document)))
    }

    fn name(&self, repo: usize) -> RepositoryName {
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
            Step::Untag { repo, tag: number } => {
                let name = self.name(repo);
                let untag = move |tx: &mut catalog::Tx<'_>| {
                    catalog::delete_tag(tx, &name, &tag(TAGS[number]), now, KEEP, None)
                };
                let expected = self.model.repos[repo].tags.remove(&number);
                assert_eq!(self.house.write(untag).await, expected.is_some());
                if let Some(until) = expected.and_then(|old| self.model.repos[repo].live.get_mut(&old)) {
                    *until = (*until).max(now + KEEP);
                }
            }
            Step::Trash { repo, document } => self.trash(repo, document).await,
            Step::Restore => self.restore().await,
            Step::Wait => self.model.now += KEEP + 1,
        }
    }

    async fn push_blob(&mut self, repo: usize, blob: usize) {
        let content = self.text(Content::Blob(blob));
        let new = self.house.blob(&self.name(repo), &content);
        let published = self.house.write(move |tx| catalog::publish_blob(tx, &new)).await;
        let is_new = self.model.stored.insert(blob);
        assert_eq!(published == catalog::Published::New, is_new);
        self.model.repos[repo].known = true;
        self.model.repos[repo].links.insert(blob, true);
    }

    async fn mount(&mut self, from: Option<usize>, into: usize, blob: usize) {
        let source = from.map_or(MountSource::Any, |from| MountSource::Repo(self.name(from)));
        let (name, wanted, now) = (self.name(into), self.digest(Content::Blob(blob)), self.model.now);
        let mount =
            move |tx: &mut catalog::Tx<'_>| catalog::mount_blob(tx, &source, &name, &wanted, now, LEASE);
        let serves = |repo: usize| self.model.repos[repo].links.get(&blob) == Some(&true);
        let expected = from.map_or_else(|| serves(0) || serves(1), serves);
        assert_eq!(self.house.write(mount).await, expected);
        if expected {
            self.model.repos[into].known = true;
            self.model.repos[into].links.insert(blob, true);
        }
    }

    async fn unlink(&mut self, repo: usize, blob: usize) {
        let (name, wanted, now) = (self.name(repo), self.digest(Content::Blob(blob)), self.model.now);
        let unlink =
            move |tx: &mut catalog::Tx<'_>| catalog::unlink_blob(tx, &name, &wanted, now, UNDO, None);
        let unlinked = self.house.write(unlink).await;
        let namers = self.model.repos[repo].live_namers(blob);
        match self.model.repos[repo].links.get_mut(&blob) {
            Some(served @ true) if namers.is_empty() => {
                *served = false;
                assert_eq!(unlinked, Unlinked::Hidden);
            }
            Some(true) => {
                let Unlinked::Referenced { by } = unlinked else {
                    panic!("{unlinked:?}")
                };
                assert_eq!(by.into_iter().collect::<BTreeSet<_>>(), self.documents(&namers));
            }
            Some(false) | None => assert_eq!(unlinked, Unlinked::Unknown),
        }
    }

    async fn put(&mut self, repo: usize, document: usize, tags: &[usize], absent: bool) {
        let put = self.house.put(self.manifest(repo, document, tags, absent)).await;
        let missing = self.model.repos[repo].missing(document);
        let kept = self.model.now + KEEP;
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
        model.trashed.remove(&document);
        let until = model.live.entry(document).or_insert(kept);
        *until = (*until).max(kept);
        for &tag in tags {
            if let Some(old) = model.tags.insert(tag, document).filter(|&old| old != document)
                && let Some(until) = model.live.get_mut(&old)
            {
                *until = (*until).max(kept);
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
            let (gone, tags) = self.model.repos[repo].trash(document, op, now);
            assert_eq!(
                manifests.into_iter().collect::<BTreeSet<_>>(),
                self.documents(&gone)
            );
            self.model.trash.push(Undoable {
                number,
                repo,
                tags,
                undone: false,
            });
        }
    }

    /// Takes the newest delete back that was not yet.
    async fn restore(&mut self) {
        let Some(op) = self.model.trash.iter().rposition(|op| !op.undone) else {
            return;
        };
        let Undoable {
            number, repo, tags, ..
        } = self.model.trash[op].clone();
        let now = self.model.now;
        let restored = self
            .house
            .write(move |tx| catalog::restore(tx, number, now, KEEP, None))
            .await;
        // One that cannot be taken back is not asked for again.
        self.model.trash[op].undone = true;
        let model = &mut self.model.repos[repo];
        let mut next: Vec<_> = model
            .trashed
            .iter()
            .filter(|&(_, &in_op)| in_op == op)
            .map(|(&one, _)| one)
            .collect();
        if next.is_empty() {
            assert_eq!(restored, Restored::Gone);
            return;
        }
        let mut back = BTreeSet::new();
        while let Some(document) = next.pop() {
            if model.trashed.remove(&document).is_some() {
                model.live.insert(document, now + KEEP);
                back.insert(document);
                next.extend(children(document));
                let Document { blobs, children, .. } = &DOCUMENTS[document];
                let listed = children.iter().filter_map(|child| match child {
                    Named::Blob(blob) => Some(blob),
                    Named::Document(_) => None,
                });
                model
                    .links
                    .extend(blobs.iter().chain(listed).map(|&blob| (blob, true)));
            }
        }
        for (tag, document) in tags {
            if model.live.contains_key(&document) {
                model.tags.entry(tag).or_insert(document);
            }
        }
        let Restored::Done { manifests, .. } = restored else {
            panic!("{restored:?}")
        };
        assert_eq!(
            manifests.into_iter().collect::<BTreeSet<_>>(),
            self.documents(&back)
        );
    }

    /// Everything that can be seen is what the model says.
    pub(crate) async fn compare(&self) {
        let mut total = Usage::default();
        for repo in 0..REPOS.len() {
            let model = &self.model.repos[repo];
            let name = self.name(repo);
            for blob in 0..BLOBS {
                let served = self.house.serves(&name, &self.digest(Content::Blob(blob))).await;
                assert_eq!(
                    served,
                    model.links.get(&blob) == Some(&true),
                    "blob {blob} in {name}"
                );
            }
            for document in 0..DOCUMENTS.len() {
                let wanted = self.digest(Content::Document(document));
                let found = self.house.find(&name, &wanted.to_string()).await.is_some();
                assert_eq!(
                    found,
                    model.live.contains_key(&document),
                    "document {document} in {name}"
                );
                let expected = model
                    .live
                    .keys()
                    .filter(|&&one| DOCUMENTS[one].subject == Some(document));
                let (listed, wanted) = (name.clone(), referrers_of(&wanted));
                let list = move |tx: &mut catalog::Tx<'_>| page_of_referrers(tx, &listed, &wanted);
                let page = self.house.read(list).await;
                let digests: BTreeSet<_> = page.entries.into_iter().map(|entry| entry.digest).collect();
                assert_eq!(
                    digests,
                    self.documents(expected),
                    "referrers of {document} in {name}"
                );
            }
            self.compare_tags(&name, model).await;
            let scope = Scope::Repository(name);
            let usage = self.house.read(move |tx| catalog::usage(tx, &scope)).await;
            let count = |n: usize| i64::try_from(n).unwrap();
            let bytes = model
                .links
                .keys()
                .map(|&blob| count(self.text(Content::Blob(blob)).len()))
                .sum();
            let expected = Usage {
                bytes,
                blobs: count(model.links.len()),
                manifests: count(model.live.len()),
                tags: count(model.tags.len()),
                trashed: count(model.trashed.len()),
            };
            assert_eq!(usage, expected);
            total.manifests += usage.manifests;
            total.bytes += usage.bytes;
        }
        let scope = Scope::Namespace(format!("run{}", self.id));
        let usage = self.house.read(move |tx| catalog::usage(tx, &scope)).await;
        assert_eq!((usage.manifests, usage.bytes), (total.manifests, total.bytes));
    }

    async fn compare_tags(&self, name: &RepositoryName, model: &Repo) {
        let listed = name.clone();
        let page = self
            .house
            .read(move |tx| catalog::list_tags(tx, &listed, None, None))
            .await;
        let expected: Vec<_> = model.tags.keys().map(|&tag| TAGS[tag].to_owned()).collect();
        assert_eq!((page.known, page.tags), (model.known, expected));
        for (number, text) in TAGS.into_iter().enumerate() {
            let expected = model
                .tags
                .get(&number)
                .map(|&document| self.digest(Content::Document(document)));
            assert_eq!(self.house.find(name, text).await, expected);
            let wanted = name.clone();
            let history =
                move |tx: &mut catalog::Tx<'_>| catalog::tag_history(tx, &wanted, &tag(text), None, 1);
            let last = self.house.read(history).await.into_iter().next();
            assert_eq!(
                last.and_then(|event| event.new),
                expected,
                "a tag is what its last event says"
            );
        }
        let reference = Reference::Tag(tag("none"));
        assert_eq!(self.house.find(name, &reference.to_string()).await, None);
    }
}
