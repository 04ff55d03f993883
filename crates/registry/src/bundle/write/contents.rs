//! What a bundle holds of one repository: found out first, and written then, from the same copy of the catalog.

use std::collections::{BTreeSet, HashSet};

use catalog::{CatalogCopy, HeldBlob, HeldManifest, TagEvent};
use oci::{Digest, Reference, RepositoryName, Tag};
use serde_json::json;
use std::io::Read;
use store::FsStore;
use tokio_util::sync::CancellationToken;

use super::super::BundleError;
use super::super::record::{BundleManifest, BundleRepository, BundleTag, content};
use super::known::Touched;
use super::pen::Pen;
use super::{Placed, time_text};
use crate::Error;

/// Rows that are read at once.
const PAGE: usize = 256;
/// Manifests that are: each may be large.
const MANIFESTS: usize = 64;

/// Steps in the history of a tag that are told, so that the other side knows an old state of it.
const HISTORY: usize = 100;

/// A repository that is to be written.
pub(super) struct Plan {
    name: RepositoryName,
    pub(super) about: BundleRepository,
    /// What it has of blobs; none: all that its manifests name.
    blobs: Option<Vec<Digest>>,
}

/// What the other side may have of a name.
pub(super) enum Past<'a> {
    /// Nothing.
    Unknown,
    /// Everything but this.
    Touched(&'a Touched),
    /// Whatever one of the repositories that had the name ever was; `now` is the one that has it.
    Sent { now: Option<i64>, rows: Vec<i64> },
}

/// Finds out what to write: all, or what was touched and is still there; of a name that none has, how to take away what was.
pub(super) fn plan(
    copy: &CatalogCopy,
    name: &RepositoryName,
    is_here: bool,
    past: &Past<'_>,
) -> Result<Plan, Error> {
    let touched = match past {
        Past::Touched(touched) => Some(*touched),
        Past::Unknown | Past::Sent { .. } => None,
    };
    let mut about = BundleRepository {
        name: name.to_string(),
        whole: touched.is_none(),
        deleted: !is_here,
        manifests: Vec::new(),
        tags: Vec::new(),
        blobs: 0,
        bytes: 0,
        absent: Vec::new(),
    };
    let (mut changed, mut unchanged) = (Vec::new(), Vec::new());
    each_manifest(copy, name, |held| {
        let digest = held.digest.to_string();
        if touched.is_some() {
            let is_changed = touched.is_some_and(|touched| touched.manifests.contains(&digest));
            if is_changed { &mut changed } else { &mut unchanged }.push(held.id);
        }
        if touched.is_none_or(|touched| touched.manifests.contains(&digest)) {
            let missing = copy.read(|tx| catalog::missing_of(tx, held.id))?;
            about.absent.extend(missing.iter().map(ToString::to_string));
            about.manifests.push(BundleManifest {
                digest,
                media_type: held.media_type,
                size: held.body.len() as u64,
            });
        }
        Ok(())
    })?;
    about.absent.sort();
    about.absent.dedup();
    let fresh = only_of(copy, &changed, &unchanged)?;
    let mut blobs = touched.is_some().then(Vec::new);
    each_blob(copy, name, |blob| {
        let is_wanted = touched.is_none_or(|touched| {
            fresh.contains(&blob.digest) || touched.blobs.contains(&blob.digest.to_string())
        });
        if is_wanted {
            about.blobs += 1;
            about.bytes += blob.size;
            if let Some(blobs) = &mut blobs {
                blobs.push(blob.digest);
            }
        }
        Ok(())
    })?;
    about.tags = match touched {
        None => every_tag(copy, name, past)?,
        Some(touched) => moved_tags(copy, name, touched)?,
    };
    if let Some(blobs) = &mut blobs {
        blobs.sort();
    }
    Ok(Plan {
        name: name.clone(),
        about,
        blobs,
    })
}

impl Plan {
    /// Writes content and layout; `each` hears of the size of every blob.
    pub(super) fn write(
        &self,
        store: &FsStore,
        copy: &CatalogCopy,
        pen: &mut Pen,
        placed: &mut Placed,
        stop: &CancellationToken,
        each: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        each_blob(copy, &self.name, |blob| {
            let is_wanted = self
                .blobs
                .as_ref()
                .is_none_or(|blobs| blobs.binary_search(&blob.digest).is_ok());
            if !is_wanted {
                return Ok(());
            }
            if stop.is_cancelled() {
                return Err(BundleError::Stopped.into());
            }
            let (digest, size) = (blob.digest.clone(), blob.size);
            let path = content(&self.name, &digest);
            if let Some(first) = placed.get(&digest) {
                pen.link(&path, first)?;
            } else {
                self.write_blob(store, pen, &path, blob)?;
                placed.insert(digest, path);
            }
            each(size);
            Ok(())
        })?;
        let mut wanted = self.about.manifests.iter().peekable();
        each_manifest(copy, &self.name, |held| {
            // Both are in the order in which they came.
            if wanted
                .next_if(|next| next.digest == held.digest.to_string())
                .is_none()
            {
                return Ok(());
            }
            let path = content(&self.name, &held.digest);
            match placed.get(&held.digest) {
                Some(first) if *first == path => {} // an index may list what is a blob there too
                Some(first) => pen.link(&path, first)?,
                None => {
                    pen.put(&path, &held.body)?;
                    placed.insert(held.digest, path);
                }
            }
            Ok(())
        })?;
        if self.about.deleted {
            return Ok(());
        }
        self.write_layout(pen)
    }

    fn write_blob(&self, store: &FsStore, pen: &mut Pen, path: &str, blob: HeldBlob) -> Result<(), Error> {
        let damaged = |why: String| BundleError::Source {
            digest: blob.digest.to_string(),
            repository: self.name.to_string(),
            why,
        };
        let Some(location) = &blob.location else {
            return Ok(pen.put(path, &blob.inline.unwrap_or_default())?);
        };
        let location = location
            .parse()
            .map_err(|error: store::BadLocation| damaged(error.to_string()))?;
        let source = store
            .read_whole(&location, blob.size)
            .map_err(|error| damaged(error.to_string()))?;
        let mut proving = Proving {
            source,
            hashing: store::Hasher::new(blob.digest.algorithm()),
        };
        pen.stream(path, blob.size, &mut proving)?
            .map_err(|error| damaged(error.to_string()))?;
        let actual = proving.hashing.finish();
        if actual != blob.digest {
            return Err(damaged(format!("its bytes are those of {actual}")).into());
        }
        Ok(())
    }

    /// What makes the folder an image layout.
    fn write_layout(&self, pen: &mut Pen) -> Result<(), Error> {
        let described = |digest: &str| self.about.manifests.iter().find(|one| one.digest == digest);
        let entries = self.about.tags.iter().filter_map(|tag| {
            let manifest = described(tag.digest.as_deref()?)?;
            Some(json!({
                "mediaType": manifest.media_type, "digest": manifest.digest, "size": manifest.size,
                "annotations": {"org.opencontainers.image.ref.name": tag.name},
            }))
        });
        let index = json!({
            "schemaVersion": 2, "mediaType": oci::media_types::OCI_INDEX, "manifests": entries.collect::<Vec<_>>(),
        });
        let index =
            serde_json::to_vec_pretty(&index).map_err(|error| Error::Interrupted(error.to_string()))?;
        pen.put(
            &format!("{}/oci-layout", self.name),
            br#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        Ok(pen.put(&format!("{}/index.json", self.name), &index)?)
    }
}

/// Bytes that are hashed as they are read.
struct Proving {
    source: store::BlobReader,
    hashing: store::Hasher,
}

impl Read for Proving {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.hashing.update(&buffer[..read]);
        Ok(read)
    }
}

fn each_manifest(
    copy: &CatalogCopy,
    name: &RepositoryName,
    mut each: impl FnMut(HeldManifest) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut after = 0;
    loop {
        let page = copy.read(|tx| catalog::held_manifests(tx, name, after, MANIFESTS))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        page.into_iter().try_for_each(&mut each)?;
    }
}

fn each_blob(
    copy: &CatalogCopy,
    name: &RepositoryName,
    mut each: impl FnMut(HeldBlob) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut after = 0;
    loop {
        let page = copy.read(|tx| catalog::held_blobs(tx, name, after, PAGE))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        page.into_iter().try_for_each(&mut each)?;
    }
}

/// Blobs that changed manifests name and no unchanged one does: they may have been here before, but were in no bundle.
fn only_of(copy: &CatalogCopy, changed: &[i64], unchanged: &[i64]) -> Result<HashSet<Digest>, Error> {
    let mut only = HashSet::new();
    for &manifest in changed {
        only.extend(copy.read(|tx| catalog::blobs_of(tx, manifest))?);
    }
    for &manifest in unchanged {
        if only.is_empty() {
            break;
        }
        for digest in copy.read(|tx| catalog::blobs_of(tx, manifest))? {
            only.remove(&digest);
        }
    }
    Ok(only)
}

fn every_tag(copy: &CatalogCopy, name: &RepositoryName, past: &Past<'_>) -> Result<Vec<BundleTag>, Error> {
    let (now, rows) = match past {
        Past::Sent { now, rows } => (*now, rows.as_slice()),
        Past::Unknown | Past::Touched(_) => (None, [].as_slice()),
    };
    let former: Vec<i64> = rows.iter().copied().filter(|&row| Some(row) != now).collect();
    let (mut tags, mut after) = (Vec::new(), String::new());
    loop {
        let page = copy.read(|tx| catalog::held_tags(tx, name, &after, PAGE))?;
        let Some(last) = page.last() else { break };
        after = last.tag.to_string();
        for held in page {
            let history = copy.read(|tx| catalog::tag_history(tx, name, &held.tag, None, HISTORY))?;
            let mut before = before(&history);
            before.extend(led(copy, &former, &held.tag)?);
            tags.push(BundleTag {
                name: held.tag.to_string(),
                digest: Some(held.digest.to_string()),
                before,
                moved: None,
            });
        }
    }
    let there: HashSet<&str> = tags.iter().map(|tag| tag.name.as_str()).collect();
    let mut gone = BTreeSet::new();
    for &row in rows {
        let mut after = String::new();
        loop {
            let page = copy.read(|tx| catalog::tags_ever(tx, row, &after, PAGE))?;
            let Some(last) = page.last() else { break };
            after.clone_from(last);
            gone.extend(page.into_iter().filter(|name| !there.contains(name.as_str())));
        }
    }
    for name in gone {
        tags.push(BundleTag {
            before: led(copy, rows, &name)?.into_iter().collect(),
            name,
            digest: None,
            moved: None,
        });
    }
    Ok(tags)
}

/// Where a tag of these repositories ever led.
fn led(copy: &CatalogCopy, rows: &[i64], tag: &str) -> Result<BTreeSet<String>, Error> {
    let mut led = BTreeSet::new();
    for &row in rows {
        let found = copy.read(|tx| catalog::led_to(tx, row, tag, HISTORY))?;
        led.extend(found.iter().map(ToString::to_string));
    }
    Ok(led)
}

fn before(history: &[TagEvent]) -> Vec<String> {
    let olds = history.iter().filter_map(|event| event.old.as_ref());
    olds.map(ToString::to_string).collect()
}

fn moved_tags(copy: &CatalogCopy, name: &RepositoryName, touched: &Touched) -> Result<Vec<BundleTag>, Error> {
    let mut names: Vec<&String> = touched.tags.iter().collect();
    names.sort();
    let mut tags = Vec::new();
    for text in names {
        let Ok(tag) = text.parse::<Tag>() else { continue };
        let (found, history) = copy.read(|tx| {
            let reference = Reference::Tag(tag.clone());
            let found = catalog::find_manifest(tx, name, &reference, 0, 0)?;
            Ok((found, catalog::tag_history(tx, name, &tag, None, HISTORY)?))
        })?;
        tags.push(BundleTag {
            name: text.clone(),
            digest: found.map(|(record, _)| record.digest.to_string()),
            before: before(&history),
            moved: history.first().map(|event| time_text(event.at)),
        });
    }
    Ok(tags)
}
