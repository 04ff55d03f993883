//! What the other side has: up to which change of which repository, and what became of the names that it knows.
//!
//! A name comes as what was touched since, where the same repository had it all the time; whole, where another got it; and as
//! deleted, where none has it. Source: the notes of the bundles that were made here, or one of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use catalog::{CatalogCopy, Changed};
use oci::RepositoryName;

use super::super::record::{BundleBase, BundleCover, BundleNote, BundleRecord};
use super::contents::{Past, Plan, plan};
use crate::Error;

/// Changes, or names, that are read at once.
const PAGE: usize = 4096;

/// What is known of the other side.
#[derive(Clone, Default)]
pub(super) struct Known {
    pub(super) base: Option<BundleBase>,
    /// Up to where it has each of these repositories.
    pub(super) covers: BTreeMap<String, BundleBase>,
    /// Whether `base` holds for everything that was there by then.
    pub(super) all_of_base: bool,
    /// The names that were in any bundle. Some site may have them.
    pub(super) sent: BTreeSet<String>,
}

/// What changed in a repository.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) tags: HashSet<String>,
    pub(super) manifests: HashSet<String>,
    pub(super) blobs: HashSet<String>,
}

/// What is to be written, and what it continues.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) plans: Vec<Plan>,
    pub(super) covers: Vec<BundleCover>,
}

impl Known {
    /// What whoever has this bundle has.
    pub(super) fn of(record: &BundleRecord) -> Self {
        let upto = BundleBase {
            id: Some(record.id.clone()),
            seq: record.seq,
        };
        let covers = record.covered().into_iter();
        Self {
            covers: covers.map(|cover| (cover.name, upto.clone())).collect(),
            base: Some(upto),
            ..Self::default()
        }
    }

    /// What whoever has the last bundle, and those that it continues, has.
    pub(super) fn of_last(note: BundleNote) -> Self {
        Self {
            base: Some(BundleBase {
                id: Some(note.id),
                seq: note.seq,
            }),
            covers: note.covers,
            ..Self::default()
        }
    }

    /// What is to be remembered once this bundle is written.
    pub(super) fn note(&self, record: &BundleRecord) -> BundleNote {
        let mut covers = match self.base {
            Some(_) => self.covers.clone(),
            None => BTreeMap::new(), // it may be for a site that has nothing yet
        };
        covers.extend(Self::of(record).covers);
        let mut sent = self.sent.clone();
        sent.extend(covers.keys().cloned());
        BundleNote {
            id: record.id.clone(),
            seq: record.seq,
            repositories: sent.into_iter().collect(),
            covers,
        }
    }

    /// Finds out what to write of these repositories, or of all.
    pub(super) fn survey(
        mut self,
        copy: &CatalogCopy,
        wanted: &[RepositoryName],
    ) -> Result<(Self, Survey), Error> {
        let moved = self.moved(copy)?;
        self.fill_in(copy, &moved)?;
        let touched = self.touched(copy)?;
        let mut survey = Survey::default();
        for name in self.names(copy, wanted)? {
            let now = copy.read(|tx| catalog::holder_of(tx, &name))?;
            let cover = self.covers.get(&*name);
            let had_it = moved.get(&*name).map(Vec::as_slice).unwrap_or_default();
            let is_same = cover.is_some_and(|cover| had_it.iter().all(|(seq, _)| *seq <= cover.seq));
            let now = now.map(|now| now.repository);
            let is_sent = self.sent.contains(&*name) || cover.is_some();
            if now.is_none() && !is_sent {
                return Err(Error::RepositoryUnknown(name));
            }
            if !is_same {
                let mut rows: Vec<i64> = had_it.iter().map(|(_, row)| *row).chain(now).collect();
                rows.sort_unstable();
                rows.dedup();
                let past = if is_sent {
                    Past::Sent { now, rows }
                } else {
                    Past::Unknown
                };
                survey.plans.push(plan(copy, &name, now.is_some(), &past)?);
            } else if let (Some(_), Some(touched)) = (now, touched.get(&*name)) {
                survey
                    .plans
                    .push(plan(copy, &name, true, &Past::Touched(touched))?);
            }
            survey.covers.push(BundleCover {
                name: name.to_string(),
                since: cover.filter(|_| is_same).cloned(),
            });
        }
        Ok((self, survey))
    }

    /// Every repository that got or lost a name, by the name; only where the other side may know it.
    fn moved(&self, copy: &CatalogCopy) -> Result<BTreeMap<String, Vec<(i64, i64)>>, Error> {
        let (mut moved, mut after) = (BTreeMap::<String, Vec<(i64, i64)>>::new(), 0);
        if self.base.is_none() && self.sent.is_empty() {
            return Ok(moved);
        }
        loop {
            let page = copy.read(|tx| catalog::names_moved(tx, after, PAGE))?;
            let Some(last) = page.last() else { return Ok(moved) };
            after = last.seq;
            for one in page {
                moved.entry(one.name).or_default().push((one.seq, one.repository));
            }
        }
    }

    /// Where everything up to a change is there: which repositories that is.
    fn fill_in(
        &mut self,
        copy: &CatalogCopy,
        moved: &BTreeMap<String, Vec<(i64, i64)>>,
    ) -> Result<(), Error> {
        let Some(base) = self.base.clone().filter(|_| self.all_of_base) else {
            return Ok(());
        };
        let Some(at) = copy.read(|tx| catalog::change_time(tx, base.seq))? else {
            return Ok(());
        };
        for name in every_name(copy)? {
            let named = copy.read(|tx| catalog::holder_of(tx, &name))?;
            // One of the same moment may be later: it comes whole.
            if named.is_some_and(|named| named.created_at < at) {
                self.covers.insert(name.to_string(), base.clone());
            }
        }
        for (name, had_it) in moved {
            if had_it.iter().any(|(seq, _)| *seq > base.seq) {
                self.covers.insert(name.clone(), base.clone());
            }
        }
        Ok(())
    }

    /// The names that are wanted, each of which must be or have been there.
    fn names(&self, copy: &CatalogCopy, wanted: &[RepositoryName]) -> Result<Vec<RepositoryName>, Error> {
        let mut names = if wanted.is_empty() {
            let known = self.covers.keys().chain(&self.sent);
            let mut all = every_name(copy)?;
            all.extend(known.filter_map(|name| name.parse().ok()));
            all
        } else {
            wanted.to_vec()
        };
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// What changed in each repository since the other side had it.
    fn touched(&self, copy: &CatalogCopy) -> Result<BTreeMap<String, Touched>, Error> {
        let mut all: BTreeMap<String, Touched> = BTreeMap::new();
        let Some(mut after) = self.covers.values().map(|cover| cover.seq).min() else {
            return Ok(all);
        };
        loop {
            let page = copy.read(|tx| catalog::changes_since(tx, after, PAGE))?;
            let Some(last) = page.last() else { return Ok(all) };
            after = last.seq;
            for change in page {
                let Some(repository) = change.repository else {
                    continue;
                };
                let cover = self.covers.get(&repository);
                if cover.is_none_or(|cover| change.seq <= cover.seq) {
                    continue;
                }
                let touched = all.entry(repository).or_default();
                match change.what {
                    Changed::Tag(name) => touched.tags.insert(name),
                    Changed::Manifest(digest) => touched.manifests.insert(digest),
                    Changed::Blob(digest) => touched.blobs.insert(digest),
                    Changed::Other => false,
                };
            }
        }
    }
}

/// The repositories that have a manifest.
fn every_name(copy: &CatalogCopy) -> Result<Vec<RepositoryName>, Error> {
    let (mut all, mut last): (Vec<RepositoryName>, Option<String>) = (Vec::new(), None);
    loop {
        let page = copy.read(|tx| catalog::list_repositories(tx, last.as_deref(), PAGE))?;
        all.extend(page.names.iter().filter_map(|name| name.parse().ok()));
        last = page.names.last().cloned();
        if !page.more {
            return Ok(all);
        }
    }
}
