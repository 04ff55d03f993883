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
    /// Which of the repositories that had this name it is.
    pub(crate) life: u64,
    pub(crate) links: BTreeMap<usize, Link>,
    pub(crate) live: BTreeMap<usize, Live>,
    pub(crate) trashed: BTreeMap<usize, InTrash>,
    pub(crate) tags: BTreeMap<usize, usize>,
    /// Deletes, and the documents that each took.
    pub(crate) took: BTreeSet<(usize, usize)>,
}

/// That a repository has a blob.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Link {
    /// Whether it is served.
    pub(crate) shown: bool,
    /// When its lease ends; none while an edge held it at the last look.
    pub(crate) review_at: Option<i64>,
}

/// A document that is served.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Live {
    /// Its place in the order of arrival.
    pub(crate) number: u64,
    /// When its lease ends; none while something held it at the last look.
    pub(crate) until: Option<i64>,
    /// The delete that it follows when its lease ends.
    pub(crate) follows: Option<usize>,
    /// The end of its last lease, if nothing held it then.
    pub(crate) loose: Option<i64>,
}

/// A document in the trash.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct InTrash {
    pub(crate) number: u64,
    pub(crate) op: usize,
    pub(crate) purge_at: i64,
}

/// An operation that can be taken back.
#[derive(Clone, Debug)]
pub(crate) struct Undoable {
    pub(crate) number: i64,
    pub(crate) at: i64,
    pub(crate) repo: usize,
    /// Which life of it.
    pub(crate) life: u64,
    /// Whether the whole repository went.
    pub(crate) is_whole: bool,
    pub(crate) tags: BTreeMap<usize, usize>,
    pub(crate) undone: bool,
    /// Whether a rule took a tag, and the manifest follows only later.
    pub(crate) retained: bool,
}

/// A repository that is deleted.
#[derive(Clone, Debug)]
pub(crate) struct Grave {
    pub(crate) op: usize,
    pub(crate) purge_at: i64,
    /// Whether what it held began to go.
    pub(crate) is_closed: bool,
    pub(crate) repo: Repo,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) repos: [Repo; 2],
    pub(crate) graves: Vec<Grave>,
    /// Where the bytes of each blob are.
    pub(crate) stored: BTreeMap<usize, String>,
    /// Where bytes wait for the sweeper, and until when.
    pub(crate) buried: BTreeMap<String, i64>,
    pub(crate) trash: Vec<Undoable>,
    pub(crate) now: i64,
    /// Things that were ever counted: uploads, documents.
    pub(crate) count: u64,
}

/// The later of two ends of a lease.
pub(crate) fn later(one: Option<i64>, other: i64) -> i64 {
    one.map_or(other, |one| one.max(other))
}

impl Repo {
    pub(crate) fn missing(&self, document: usize) -> BTreeSet<Content> {
        let served = |blob: &usize| self.serves(*blob);
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

    pub(crate) fn serves(&self, blob: usize) -> bool {
        self.links.get(&blob).is_some_and(|link| link.shown)
    }

    /// P-PUBLISH (d): the link is there, shown, and leased.
    pub(crate) fn link(&mut self, blob: usize, until: i64) {
        let link = self.links.entry(blob).or_insert(Link {
            shown: true,
            review_at: Some(until),
        });
        link.shown = true;
        link.review_at = link.review_at.map(|at| at.max(until));
    }

    /// A document lost its tag: it has a life of its own now.
    pub(crate) fn keep(&mut self, document: usize, until: i64) {
        if let Some(live) = self.live.get_mut(&document) {
            live.until = Some(later(live.until, until));
            (live.follows, live.loose) = (None, None);
        }
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
        let live = self.live.keys().copied();
        live.filter(|&document| blobs(document).any(|named| named == blob))
            .collect()
    }

    /// Whether a tag, a live index or a live subject holds a document.
    pub(crate) fn is_rooted(&self, document: usize) -> bool {
        self.is_tagged(document)
            || !self.live_parents(document).is_empty()
            || DOCUMENTS[document]
                .subject
                .is_some_and(|subject| self.live.contains_key(&subject))
    }

    /// Brings documents back, with the children that they need and the referrers that went with them; those that were not
    /// live.
    pub(crate) fn revive(&mut self, mut next: Vec<usize>, until: i64) -> BTreeSet<usize> {
        let mut back = BTreeSet::new();
        while let Some(document) = next.pop() {
            if let Some(InTrash { number, .. }) = self.trashed.remove(&document) {
                let live = Live {
                    number,
                    until: Some(until),
                    follows: None,
                    loose: None,
                };
                self.live.insert(document, live);
                back.insert(document);
                next.extend(children(document));
                next.extend(self.went_with(document));
                for blob in blobs(document) {
                    self.links.entry(blob).and_modify(|link| link.shown = true);
                }
            }
        }
        back
    }

    /// What refers to a document, and is in the trash because that was deleted.
    pub(crate) fn went_with(&self, subject: usize) -> Vec<usize> {
        let is_meant = |&(&one, trashed): &(&usize, &InTrash)| {
            DOCUMENTS[one].subject == Some(subject) && self.took.contains(&(trashed.op, subject))
        };
        self.trashed
            .iter()
            .filter(is_meant)
            .map(|(&one, _)| one)
            .collect()
    }

    /// Moves a document to the trash, with what hangs on it alone.
    pub(crate) fn trash(
        &mut self,
        root: usize,
        op: usize,
        now: i64,
        purge_at: i64,
    ) -> (BTreeSet<usize>, BTreeMap<usize, usize>) {
        let (mut gone, mut tags, mut next) = (BTreeSet::new(), BTreeMap::new(), vec![root]);
        while let Some(document) = next.pop() {
            let Some(Live { number, .. }) = self.live.remove(&document) else {
                continue;
            };
            let in_trash = InTrash { number, op, purge_at };
            self.trashed.insert(document, in_trash);
            self.took.insert((op, document));
            gone.insert(document);
            tags.extend(self.tags.extract_if(.., |_, tagged| *tagged == document));
            let referrers = self
                .live
                .keys()
                .copied()
                .filter(|&one| DOCUMENTS[one].subject == Some(document));
            let referrers: Vec<_> = referrers
                .filter(|&one| !self.is_tagged(one) && self.live_parents(one).is_empty())
                .collect();
            next.extend(referrers);
            for child in children(document) {
                if self.is_rooted(child) {
                    continue;
                }
                match self.live.get_mut(&child) {
                    Some(live) if live.until.is_some_and(|until| until > now) => live.follows = Some(op),
                    _ => next.push(child),
                }
            }
        }
        (gone, tags)
    }
}

/// The blobs that a document names.
pub(crate) fn blobs(document: usize) -> impl Iterator<Item = usize> {
    let Document { blobs, children, .. } = &DOCUMENTS[document];
    let listed = children.iter().filter_map(|child| match child {
        Named::Blob(blob) => Some(*blob),
        Named::Document(_) => None,
    });
    blobs.iter().copied().chain(listed)
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
