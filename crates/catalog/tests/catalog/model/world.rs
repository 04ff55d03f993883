//! The world of the model: what there is to push, and what two repositories then hold.

use std::collections::{BTreeMap, BTreeSet};

pub(crate) const REPOS: [&str; 2] = ["one", "two"];
pub(crate) const TAGS: [&str; 2] = ["x", "y"];
pub(crate) const BLOBS: usize = 4;

/// What a document names: blobs, other documents or blobs as children, and a subject.
pub(crate) struct Document {
    pub(crate) blobs: &'static [usize],
    pub(crate) children: &'static [Named],
    pub(crate) subject: Option<usize>,
}

#[derive(Clone, Copy)]
pub(crate) enum Named {
    Document(usize),
    Blob(usize),
}

pub(crate) const DOCUMENTS: [Document; 7] = [
    Document {
        blobs: &[0],
        children: &[],
        subject: None,
    },
    Document {
        blobs: &[0, 1],
        children: &[],
        subject: None,
    },
    Document {
        blobs: &[2],
        children: &[],
        subject: Some(0),
    },
    Document {
        blobs: &[],
        children: &[],
        subject: Some(2),
    },
    Document {
        blobs: &[],
        children: &[Named::Document(0), Named::Document(1), Named::Document(2)],
        subject: None,
    },
    Document {
        blobs: &[],
        children: &[Named::Document(4), Named::Blob(3)],
        subject: Some(1),
    },
    Document {
        blobs: &[],
        children: &[Named::Document(3)],
        subject: None,
    },
];

/// A repository as the model sees it.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Repo {
    pub(crate) known: bool,
    /// Blobs that were ever linked; true while they are served.
    pub(crate) links: BTreeMap<usize, bool>,
    pub(crate) live: BTreeMap<usize, i64>,
    pub(crate) trashed: BTreeMap<usize, usize>,
    pub(crate) tags: BTreeMap<usize, usize>,
}

/// An operation that can be taken back.
#[derive(Clone, Debug)]
pub(crate) struct Undoable {
    pub(crate) number: i64,
    pub(crate) repo: usize,
    pub(crate) tags: BTreeMap<usize, usize>,
    pub(crate) undone: bool,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) repos: [Repo; 2],
    pub(crate) stored: BTreeSet<usize>,
    pub(crate) trash: Vec<Undoable>,
    pub(crate) now: i64,
}

impl Repo {
    pub(crate) fn missing(&self, document: usize) -> BTreeSet<Content> {
        let served = |blob: &usize| self.links.get(blob) == Some(&true);
        let Document { blobs, children, .. } = &DOCUMENTS[document];
        let blobs = blobs
            .iter()
            .filter(|blob| !served(blob))
            .map(|&blob| Content::Blob(blob));
        let children = children.iter().filter_map(|child| match *child {
            Named::Document(child) => (!self.live.contains_key(&child)).then_some(Content::Document(child)),
            Named::Blob(blob) => (!served(&blob)).then_some(Content::Blob(blob)),
        });
        blobs.chain(children).collect()
    }

    pub(crate) fn live_parents(&self, document: usize) -> BTreeSet<usize> {
        self.live
            .keys()
            .copied()
            .filter(|&parent| children(parent).any(|child| child == document))
            .collect()
    }

    pub(crate) fn is_tagged(&self, document: usize) -> bool {
        self.tags.values().any(|&tagged| tagged == document)
    }

    pub(crate) fn live_namers(&self, blob: usize) -> BTreeSet<usize> {
        let names = |document: &usize| {
            let Document { blobs, children, .. } = &DOCUMENTS[*document];
            blobs.contains(&blob)
                || children
                    .iter()
                    .any(|child| matches!(child, Named::Blob(named) if *named == blob))
        };
        self.live.keys().copied().filter(names).collect()
    }

    /// Moves a document to the trash, with what hangs on it alone.
    pub(crate) fn trash(
        &mut self,
        root: usize,
        op: usize,
        now: i64,
    ) -> (BTreeSet<usize>, BTreeMap<usize, usize>) {
        let (mut gone, mut tags, mut next) = (BTreeSet::new(), BTreeMap::new(), vec![root]);
        while let Some(document) = next.pop() {
            if self.live.remove(&document).is_none() {
                continue;
            }
            self.trashed.insert(document, op);
            gone.insert(document);
            tags.extend(self.tags.extract_if(.., |_, tagged| *tagged == document));
            let free = |repo: &Self, one: usize| !repo.is_tagged(one) && repo.live_parents(one).is_empty();
            let referrers = self
                .live
                .keys()
                .copied()
                .filter(|&one| DOCUMENTS[one].subject == Some(document));
            let referrers: Vec<_> = referrers.filter(|&one| free(self, one)).collect();
            let lonely = children(document).filter(|child| {
                let kept = self.live.get(child).is_none_or(|&until| until > now);
                let subject_lives = DOCUMENTS[*child]
                    .subject
                    .is_some_and(|subject| self.live.contains_key(&subject));
                !kept && !subject_lives && free(self, *child)
            });
            let lonely: Vec<_> = lonely.collect();
            next.extend(referrers);
            next.extend(lonely);
        }
        (gone, tags)
    }
}

pub(crate) fn children(document: usize) -> impl Iterator<Item = usize> {
    DOCUMENTS[document]
        .children
        .iter()
        .filter_map(|child| match child {
            Named::Document(child) => Some(*child),
            Named::Blob(_) => None,
        })
}

/// Something with a digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Content {
    Blob(usize),
    Document(usize),
}
