//! The manifests of a source: bytes that are always hashed, and become what a push of them would have become, except
//! that nothing they name has to be there.
//!
//! A Docker schema 1 document is kept as it is and served under its own type; it could not be pushed any more.
//! Fails: `Found`, what is wrong with it.

use std::fs;
use std::io::Read;
use std::path::Path;

use catalog::{Child, Edge, EdgeKind, NewManifest, Precondition};
use oci::{Digest, Manifest, RepositoryName, media_types};
use serde::Deserialize;
use store::Hasher;

use super::report::Found;

/// Docker schema 1, signed: its type is not in the document.
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// A manifest of the source.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) manifest: NewManifest,
    pub(super) is_index: bool,
    pub(super) is_schema1: bool,
    /// Layers that it says are elsewhere.
    pub(super) foreign: Vec<Digest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schema1 {
    schema_version: u8,
    fs_layers: Vec<Schema1Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schema1Layer {
    blob_sum: String,
}

/// Reads the manifest `digest` of `repo` from its file. Blocks.
pub(super) fn read(
    path: &Path,
    repo: &RepositoryName,
    digest: &Digest,
    bytes_max: u64,
) -> Result<Document, Found> {
    let body = read_body(path, digest, bytes_max)?;
    let actual = Hasher::digest(digest.algorithm(), &body);
    if actual != *digest {
        return Err(Found::WrongHash {
            digest: digest.to_string(),
        });
    }
    of_bytes(body, repo, digest)
}

fn read_body(path: &Path, digest: &Digest, bytes_max: u64) -> Result<Vec<u8>, Found> {
    let refused = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Found::missing(digest),
        _ => Found::unreadable(&error),
    };
    if !fs::metadata(path).map_err(refused)?.is_file() {
        return Err(Found::Foreign); // a pipe would be waited for
    }
    let file = fs::File::open(path).map_err(refused)?;
    let mut body = Vec::new();
    file.take(bytes_max + 1)
        .read_to_end(&mut body)
        .map_err(|error| Found::unreadable(&error))?;
    match body.len() as u64 {
        0 => Err(Found::EmptyData {
            digest: digest.to_string(),
        }),
        size if size > bytes_max => Err(Found::NotAManifest {
            reason: format!("it has more than {bytes_max} bytes"),
        }),
        _ => Ok(body),
    }
}

/// What a push of these bytes would store.
pub(crate) fn of_bytes(body: Vec<u8>, repo: &RepositoryName, digest: &Digest) -> Result<Document, Found> {
    let parsed = match Manifest::parse(&body, None) {
        Ok(parsed) => parsed,
        Err(error) => {
            return schema1(&body, repo, digest).ok_or_else(|| Found::NotAManifest {
                reason: error.to_string(),
            });
        }
    };
    let foreign = parsed.layers.iter().filter(|layer| layer.is_foreign());
    let foreign = foreign.map(|layer| layer.digest.clone()).collect();
    let config = parsed.config.iter().map(|config| (config, EdgeKind::Config));
    let layers = parsed.layers.iter().map(|layer| (layer, EdgeKind::Layer));
    let blobs = config
        .chain(layers)
        .zip(0..)
        .map(|((descriptor, kind), ord)| Edge {
            ord,
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            kind,
            required: false,
        });
    let children = parsed.manifests.iter().zip(0..).map(|(child, ord)| Child {
        ord,
        digest: child.digest.clone(),
        size: child.size,
        platform: child.platform.as_ref().map(crate::push::platform_text),
        required: false,
    });
    let annotations = (!parsed.annotations.is_empty())
        .then(|| serde_json::to_string(&parsed.annotations).ok())
        .flatten();
    let manifest = NewManifest {
        media_type: parsed.media_type.as_str().to_owned(),
        artifact_type: parsed.listed_artifact_type().map(str::to_owned),
        annotations,
        subject: parsed.subject.as_ref().map(|subject| subject.digest.clone()),
        blobs: blobs.collect(),
        children: children.collect(),
        ..bare(repo, digest, body)
    };
    let is_index = [media_types::OCI_INDEX, media_types::DOCKER_LIST].contains(&manifest.media_type.as_str());
    Ok(Document {
        manifest,
        is_index,
        is_schema1: false,
        foreign,
    })
}

fn schema1(body: &[u8], repo: &RepositoryName, digest: &Digest) -> Option<Document> {
    let parsed: Schema1 = serde_json::from_slice(body).ok()?;
    if parsed.schema_version != 1 {
        return None;
    }
    let mut digests: Vec<Digest> = parsed
        .fs_layers
        .iter()
        .filter_map(|layer| layer.blob_sum.parse().ok())
        .collect();
    digests.sort();
    digests.dedup(); // an empty layer stands there once for each step that changed nothing
    let edge = |(digest, ord): (Digest, i64)| Edge {
        ord,
        digest,
        size: 0,
        kind: EdgeKind::Layer,
        required: false,
    };
    let manifest = NewManifest {
        media_type: SCHEMA_1.to_owned(),
        blobs: digests.into_iter().zip(0..).map(edge).collect(),
        ..bare(repo, digest, body.to_vec())
    };
    Some(Document {
        manifest,
        is_index: false,
        is_schema1: true,
        foreign: Vec::new(),
    })
}

/// A manifest of which only the bytes are known.
fn bare(repo: &RepositoryName, digest: &Digest, body: Vec<u8>) -> NewManifest {
    NewManifest {
        repo: repo.clone(),
        digest: digest.clone(),
        media_type: String::new(),
        artifact_type: None,
        annotations: None,
        subject: None,
        blobs: Vec::new(),
        children: Vec::new(),
        body: body.into(),
        tags: Vec::new(),
        precondition: Precondition::None,
        now: 0,
        keep_ms: 0,
        actor: None,
    }
}
