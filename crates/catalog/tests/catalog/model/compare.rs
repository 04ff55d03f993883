//! What can be seen of a catalog, next to what the model says of it.

use std::collections::BTreeSet;

use catalog::{Scope, Usage};
use oci::{Reference, RepositoryName};

use super::run::Run;
use super::world::{BLOBS, Content, DOCUMENTS, Grave, REPOS, Repo, TAGS};
use crate::harness::{page_of_referrers, referrers_of, tag};

impl Run<'_> {
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
        for Grave { repo, .. } in &self.model.graves {
            let of_links = |&blob: &usize| self.text(Content::Blob(blob)).len();
            total.manifests += i64::try_from(repo.live.len()).unwrap();
            total.bytes += i64::try_from(repo.links.keys().map(of_links).sum::<usize>()).unwrap();
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
