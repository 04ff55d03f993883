//! Whether a bundle fits: what it continues was brought here, and all that its manifests and tags name is in it, or here.
//!
//! Reads every manifest, and no blob. Fails: `Gap` and `DoesNotFit`, with what is missing and the bundle that comes before;
//! `Damaged`.

use std::collections::HashSet;
use std::sync::Arc;

use catalog::BlobState;
use oci::{Digest, Reference, RepositoryName};
use tokio_util::sync::CancellationToken;

use super::BundleError;
use super::import::{Part, blocking, digest_in, import_name};
use super::read::Bundle;
use super::record::{BundleBase, BundleRecord, BundleRepository, content};
use super::tags::{Age, Marks};
use crate::adopt::document;
use crate::{Error, Registry};

/// Blobs that are asked for at once.
const BATCH: usize = 256;
/// No manifest is larger.
pub(super) const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Missing things that are named.
const NAMED_MAX: usize = 10;

/// Refuses a bundle that continues what was not brought here: what it leaves out would be missing for ever.
pub(super) fn check_chain(record: &BundleRecord, marks: &Marks) -> Result<(), BundleError> {
    let (mut before, mut count, mut first): (Option<BundleBase>, _, _) = (None, 0, Vec::new());
    for cover in record.covered() {
        let Some(since) = cover.since else { continue };
        let upto = marks.upto(&cover.name);
        if upto.is_some_and(|upto| upto >= since.seq) {
            continue;
        }
        count += 1;
        if first.len() < NAMED_MAX {
            let upto = upto.map_or_else(|| "never".to_owned(), |upto| format!("up to change {upto}"));
            first.push(format!("{} ({upto})", cover.name));
        }
        // The one that comes first.
        if before.as_ref().is_none_or(|before| since.seq < before.seq) {
            before = Some(since);
        }
    }
    match before {
        None => Ok(()),
        Some(before) => Err(BundleError::Gap { before, count, first }),
    }
}

impl Registry {
    /// Refuses a bundle that names what is neither in it nor here. Reads every manifest, and no blob.
    pub(super) async fn check_fit(
        &self,
        bundle: &Arc<Bundle>,
        parts: &[Part<'_>],
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let (mut count, mut first) = (0, Vec::new());
        for Part { name, about, age } in parts {
            if matches!(age, Age::Earlier(_)) {
                continue; // nothing of it is brought
            }
            if stop.is_cancelled() {
                return Err(BundleError::Stopped.into());
            }
            let wanted = {
                let (bundle, name, about) = (Arc::clone(bundle), name.clone(), (*about).clone());
                blocking(move || wanted(&bundle, &name, &about)).await?
            };
            for batch in wanted.chunks(BATCH) {
                let states = self.states_of(name, batch.to_vec()).await?;
                for (digest, state) in batch.iter().zip(states) {
                    if state == BlobState::Linked || self.has_manifest(name, digest).await? {
                        continue;
                    }
                    count += 1;
                    if first.len() < NAMED_MAX {
                        first.push(format!("{name}@{digest}"));
                    }
                }
            }
        }
        if count == 0 {
            return Ok(());
        }
        let base = bundle.record.base.as_ref().and_then(|base| base.id.clone());
        let base_is_here = match base.clone() {
            Some(id) => {
                let source = import_name(&id);
                self.inner
                    .catalog
                    .read(move |tx| catalog::is_imported(tx, &source))
                    .await?
            }
            None => false,
        };
        Err(BundleError::DoesNotFit {
            base,
            base_is_here,
            count,
            first,
        }
        .into())
    }

    async fn has_manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<bool, Error> {
        let (name, reference, now) = (name.clone(), Reference::Digest(digest.clone()), self.now());
        let found = self
            .inner
            .catalog
            .read(move |tx| catalog::stat_manifest(tx, &name, &reference, now, 0))
            .await?;
        Ok(found.is_some())
    }
}

/// What the manifests and tags of a repository need and the bundle does not hold.
fn wanted(
    bundle: &Bundle,
    name: &RepositoryName,
    about: &BundleRepository,
) -> Result<Vec<Digest>, BundleError> {
    let absent: HashSet<&str> = about.absent.iter().map(String::as_str).collect();
    let mut wanted = HashSet::new();
    for one in &about.manifests {
        let digest = digest_in(bundle.path(), &one.digest)?;
        if one.size > MANIFEST_BYTES_MAX {
            return Err(BundleError::damaged(
                bundle.path(),
                format!("manifest {digest} is too large"),
            ));
        }
        let body = bundle.prove(&content(name, &digest), &digest, MANIFEST_BYTES_MAX)?;
        let document = document::of_bytes(body, name, &digest)
            .map_err(|found| BundleError::damaged(bundle.path(), format!("{digest}: {found}")))?;
        let blobs = document.manifest.blobs.into_iter().map(|edge| edge.digest);
        let children = document.manifest.children.into_iter().map(|child| child.digest);
        wanted.extend(blobs.chain(children));
    }
    let led = about.tags.iter().filter_map(|tag| tag.digest.as_deref());
    for digest in led {
        wanted.insert(digest_in(bundle.path(), digest)?);
    }
    let mut wanted: Vec<Digest> = wanted
        .into_iter()
        .filter(|digest| !absent.contains(digest.to_string().as_str()))
        .filter(|digest| !bundle.holds(&content(name, digest)))
        .collect();
    wanted.sort();
    Ok(wanted)
}
