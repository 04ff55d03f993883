//! What a bundle says of itself, and where in it things lie.

use std::collections::BTreeMap;

use oci::{Digest, RepositoryName};
use serde::{Deserialize, Serialize};

/// The form that is written here. A higher one is left to those who know it.
pub(super) const FORMAT: u32 = 1;
/// The first entry.
pub(super) const FIRST: &str = "BUNDLE.json";
/// The last entry.
pub(super) const LAST: &str = "END.json";
/// How the last bundle that was made is known in the catalog.
pub(super) const MADE: &str = "bundle made";

/// The first entry of a bundle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BundleRecord {
    /// The form of the bundle.
    pub format: u32,
    /// Its name, which no other has.
    pub id: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// The Landfall that made it.
    pub landfall: String,
    /// Which store it is of.
    pub store: String,
    /// The last change that is in it.
    pub seq: i64,
    /// What it continues; none: it stands for itself.
    pub base: Option<BundleBase>,
    /// What is in it.
    pub repositories: Vec<BundleRepository>,
    /// The names that it brings up to that change, also those of which nothing had to be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covers: Vec<BundleCover>,
}

/// What a bundle continues.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BundleBase {
    /// The bundle, where one was named.
    pub id: Option<String>,
    /// The last change that the other side has.
    pub seq: i64,
}

/// The name of a repository that a bundle brings up to its last change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BundleCover {
    /// The name.
    pub name: String,
    /// What must have been brought of it before; none: nothing, it is whole, or gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<BundleBase>,
}

/// A repository in a bundle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BundleRepository {
    /// Its name.
    pub name: String,
    /// Whether all of it is here, or what came since the base.
    pub whole: bool,
    /// Whether none has this name any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Its manifests, those that others list first.
    pub manifests: Vec<BundleManifest>,
    /// Its tags: all, or those that moved.
    pub tags: Vec<BundleTag>,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What its manifests name and it never had, such as layers that lie elsewhere.
    pub absent: Vec<String>,
}

/// A manifest in a bundle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BundleManifest {
    /// Its digest.
    pub digest: String,
    /// What it is served as.
    pub media_type: String,
    /// Bytes that it has.
    pub size: u64,
}

/// A tag, and how it moved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BundleTag {
    /// Its name.
    pub name: String,
    /// Where it leads; none: it was deleted.
    pub digest: Option<String>,
    /// Where it led before, the last first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// Of one that moved: when that was, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<String>,
}

/// The last entry of a bundle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct BundleEnd {
    /// The bundle.
    pub(super) id: String,
    /// The digest of its first entry.
    pub(super) record: String,
}

/// What is kept of a bundle in the catalog.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct BundleNote {
    pub(super) id: String,
    pub(super) seq: i64,
    /// Of a bundle that was brought: those that it told of. Of the last that was made: those that any told of.
    pub(super) repositories: Vec<String>,
    /// Of the last that was made: up to where the other side has each repository.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) covers: BTreeMap<String, BundleBase>,
}

impl BundleRecord {
    /// The names that it brings up to its last change. Bundles once told only those of which there was something to tell.
    pub(super) fn covered(&self) -> Vec<BundleCover> {
        if !self.covers.is_empty() {
            return self.covers.clone();
        }
        let told = self.repositories.iter();
        told.map(|about| BundleCover {
            name: about.name.clone(),
            since: self.base.clone().filter(|_| !about.whole),
        })
        .collect()
    }

    pub(super) fn note(&self) -> BundleNote {
        BundleNote {
            id: self.id.clone(),
            seq: self.seq,
            repositories: self
                .repositories
                .iter()
                .map(|repository| repository.name.clone())
                .collect(),
            covers: BTreeMap::new(),
        }
    }
}

/// Where content lies in a bundle.
pub(super) fn content(repository: &str, digest: &Digest) -> String {
    format!("{repository}/blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// What lies at a place in a bundle: whose content it is, and which.
pub(super) fn content_at(path: &str) -> Option<(RepositoryName, Digest)> {
    let (rest, hex) = path.rsplit_once('/')?;
    let (rest, algorithm) = rest.rsplit_once('/')?;
    let repository = rest.strip_suffix("/blobs")?;
    Some((
        repository.parse().ok()?,
        format!("{algorithm}:{hex}").parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::{content, content_at};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_are_read_as_they_were_written(name in "[a-z0-9]{1,9}(/blobs|/[a-z]{1,5}){0,3}", raw: [u8; 32]) {
            let digest = oci::Digest::Sha256(raw);
            let (repository, found) = content_at(&content(&name, &digest)).unwrap();
            prop_assert_eq!((repository.to_string(), found), (name, digest));
        }

        #[test]
        fn no_text_is_a_place_outside(text in "[./a-z0-9:]{0,100}") {
            if let Some((repository, digest)) = content_at(&text) {
                prop_assert_eq!(content(&repository, &digest), text);
            }
        }
    }
}
