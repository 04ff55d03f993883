//! One sequence of steps, done to a catalog and to the model at once, each answer compared.

use std::collections::BTreeSet;

use catalog::{
    EdgeKind, MountSource, NewBlob, NewManifest, Place, Precondition, PutManifest, Restored, Scope, Trashed,
    Unlinked, Usage,
};
use oci::{Digest, Reference, RepositoryName};

use super::world::{
    BLOBS, Content, DOCUMENTS, Document, InTrash, Live, Model, Named, REPOS, Repo, TAGS, Undoable, blobs,
    children, later,
};
use super::{Step, WAITS};
use crate::harness::{House, KEEP, LEASE, UNDO, child, digest, edge, page_of_referrers, referrers_of, tag};

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

    fn documents<'d>(&self, documents: impl IntoIterator<Item = &'d usize>) -> BTreeSet<Digest> {
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
                    catalog::delete_tag(tx, &name, &tag(TAGS[number]), now, KEEP, None)
                };
                let expected = self.model.repos[repo].tags.remove(&number);
                assert_eq!(self.house.write(untag).await, expected.is_some());
                if let Some(old) = expected {
                    self.model.repos[repo].keep(old, now + KEEP);
                }
            }
            Step::Trash { repo, document } => self.trash(repo, document).await,
            Step::Restore => self.restore().await,
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
        let number = match model.trashed.remove(&document) {
            Some(back) => back.number,
            None => model.live.get(&document).map_or(fresh, |live| live.number),
        };
        let until = model.live.get(&document).and_then(|live| live.until);
        let live = Live {
            number,
            until: Some(later(until, kept)),
            follows: None,
        };
        model.live.insert(document, live);
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
            .filter(|&(_, trashed)| trashed.op == op)
            .map(|(&one, _)| one)
            .collect();
        if next.is_empty() {
            assert_eq!(restored, Restored::Gone);
            return;
        }
        for live in model.live.values_mut().filter(|live| live.follows == Some(op)) {
            live.follows = None;
        }
        let mut back = BTreeSet::new();
        while let Some(document) = next.pop() {
            if let Some(InTrash { number, .. }) = model.trashed.remove(&document) {
                let live = Live {
                    number,
                    until: Some(now + KEEP),
                    follows: None,
                };
                model.live.insert(document, live);
                back.insert(document);
                next.extend(children(document));
                for blob in blobs(document) {
                    model.links.entry(blob).and_modify(|link| link.shown = true);
                }
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
                assert_eq!(served, model.serves(blob), "blob {blob} in {name}");
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
