//! Manifests and indexes, parsed and validated; the bytes themselves are kept by the caller and never rewritten.
//!
//! Units: `size` is bytes. Shape: an image manifest has `config` and `layers`, an index has `manifests`, nothing has
//! both (CVE-2021-41190: one document must not mean two things). Fails: `ManifestError`.
//! Source: image-spec "Image Manifest", "Image Index", "Content Descriptors"; distribution-spec "Pushing manifests".

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::media_type::{essence, media_types};
use crate::{BadDigest, Digest, MediaType, json};

/// Deepest nesting of a manifest's JSON.
pub const DEPTH_MAX: usize = 64;
/// Most descriptors in one manifest.
pub const DESCRIPTORS_MAX: usize = 10_000;

/// A manifest or an index that follows the rules. Only `parse` makes one.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The type that it is stored and served under.
    pub media_type: MediaType,
    /// What an image manifest configures; none in an index.
    pub config: Option<Descriptor>,
    /// The layers of an image manifest, in order.
    pub layers: Vec<Descriptor>,
    /// The children of an index, in order.
    pub manifests: Vec<Descriptor>,
    /// What this manifest is about, if it refers to another.
    pub subject: Option<Descriptor>,
    /// The declared artifact type, never empty.
    pub artifact_type: Option<String>,
    /// The manifest's own annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A pointer to content.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// What the content is; may be empty where a client left it out.
    pub media_type: String,
    /// The content's address.
    pub digest: Digest,
    /// The content's size in bytes.
    pub size: u64,
    /// Where else the content may be had.
    pub urls: Vec<String>,
    /// For a child of an index: what it runs on.
    pub platform: Option<Platform>,
}

/// What a child of an index runs on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`, `windows`, `unknown`.
    #[serde(default)]
    pub os: String,
    /// `amd64`, `arm64`, `unknown`.
    #[serde(default)]
    pub architecture: String,
    /// `v8` and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Why a document is not a manifest that we store.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not one JSON object, or with duplicate keys, or too deep, or fields of the wrong type.
    #[error("the manifest is not valid: {}", told(.0))]
    Json(#[source] serde_json::Error),
    /// A type that is not stored here.
    #[error(
        "manifests of type {0:?} are not stored here: push an OCI image manifest or index, or a Docker schema 2 \
         manifest or list"
    )]
    MediaType(String),
    /// Neither header nor body tells the type.
    #[error("the manifest's type is not known: send it as Content-Type, or as mediaType in the document")]
    NoMediaType,
    /// Header and body disagree.
    #[error("Content-Type is {header:?} but the document says mediaType {body:?}")]
    TypesDiffer {
        /// What the request said.
        header: String,
        /// What the document says.
        body: String,
    },
    /// Not schema version 2.
    #[error("schemaVersion must be 2")]
    SchemaVersion,
    /// An image manifest without `config`.
    #[error("an image manifest needs a config descriptor")]
    NoConfig,
    /// A document that is an index and an image manifest at once.
    #[error("{field:?} does not belong into a document of type {media_type}")]
    Ambiguous {
        /// The field that is too much.
        field: &'static str,
        /// The document's type.
        media_type: &'static str,
    },
    /// A descriptor whose digest is none.
    #[error("{place}: {source}")]
    Digest {
        /// Which descriptor.
        place: String,
        /// What is wrong with its digest.
        #[source]
        source: BadDigest,
    },
    /// A size that no content has.
    #[error("{0}: size is not a number of bytes")]
    Size(String),
    /// Too many descriptors.
    #[error("a manifest has at most {DESCRIPTORS_MAX} descriptors, this one has {0}")]
    TooMany(usize),
}

/// The fields of a document that mean something to us.
const FIELDS: [&str; 8] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    schema_version: serde_json::Value,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    manifests: Option<Vec<RawDescriptor>>,
    subject: Option<RawDescriptor>,
    #[serde(default, deserialize_with = "null_is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default, deserialize_with = "null_is_empty")]
    media_type: String,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    size: i64,
    #[serde(default, deserialize_with = "null_is_empty")]
    urls: Vec<String>,
    platform: Option<Platform>,
}

fn null_is_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(reader: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(reader)?.unwrap_or_default())
}

impl Manifest {
    /// Parses `body` as what `content_type` (the request's header) or its own `mediaType` says that it is.
    pub fn parse(body: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        let header = content_type.map(essence).filter(|text| !text.is_empty());
        json::check(body, DEPTH_MAX, &FIELDS).map_err(ManifestError::Json)?;
        let document: Document = serde_json::from_slice(body).map_err(|error| {
            // A schema 1 document has other fields; its type is the better thing to name.
            match header.filter(|text| MediaType::parse(text).is_none()) {
                Some(other) => ManifestError::MediaType(shown(other)),
                None => ManifestError::Json(error),
            }
        })?;
        let media_type = document.media_type(header)?;
        if document.schema_version != 2 {
            return Err(ManifestError::SchemaVersion);
        }
        document.shape_fits(media_type)?;
        document.into_manifest(media_type)
    }

    /// What a referrers list says of this manifest: its artifact type, else an image manifest's config type.
    /// Source: distribution-spec "Listing Referrers".
    #[must_use]
    pub fn listed_artifact_type(&self) -> Option<&str> {
        let config = || self.config.as_ref().map(|config| config.media_type.as_str());
        self.artifact_type
            .as_deref()
            .or_else(config)
            .filter(|text| !text.is_empty())
    }
}

impl Document {
    fn media_type(&self, header: Option<&str>) -> Result<MediaType, ManifestError> {
        let body = self.media_type.as_deref().filter(|text| !text.is_empty());
        let text = match (header, body) {
            (Some(header), Some(body)) if header != body => {
                return Err(ManifestError::TypesDiffer {
                    header: shown(header),
                    body: shown(body),
                });
            }
            (Some(text), _) | (None, Some(text)) => text,
            (None, None) if self.manifests.is_some() => media_types::OCI_INDEX,
            (None, None) if self.config.is_some() && self.layers.is_some() => media_types::OCI_MANIFEST,
            (None, None) => return Err(ManifestError::NoMediaType),
        };
        // The header has lost its parameters; in a document there must be none, or it could not be pushed again
        // under the type that it is served with.
        MediaType::parse(text)
            .filter(|media_type| media_type.as_str() == text)
            .ok_or_else(|| ManifestError::MediaType(shown(text)))
    }

    fn shape_fits(&self, media_type: MediaType) -> Result<(), ManifestError> {
        let foreign = [
            ("config", self.config.is_some() && media_type.is_index()),
            ("layers", self.layers.is_some() && media_type.is_index()),
            ("manifests", self.manifests.is_some() && !media_type.is_index()),
        ];
        match foreign.into_iter().find(|(_, there)| *there) {
            Some((field, _)) => Err(ManifestError::Ambiguous {
                field,
                media_type: media_type.as_str(),
            }),
            None if self.config.is_none() && !media_type.is_index() => Err(ManifestError::NoConfig),
            None => Ok(()),
        }
    }

    fn into_manifest(self, media_type: MediaType) -> Result<Manifest, ManifestError> {
        let layers = self.layers.unwrap_or_default();
        let manifests = self.manifests.unwrap_or_default();
        let single = usize::from(self.config.is_some()) + usize::from(self.subject.is_some());
        let count = layers.len() + manifests.len() + single;
        if count > DESCRIPTORS_MAX {
            return Err(ManifestError::TooMany(count));
        }
        Ok(Manifest {
            media_type,
            config: self.config.map(|raw| raw.check("config")).transpose()?,
            layers: check_all(layers, "layers")?,
            manifests: check_all(manifests, "manifests")?,
            subject: self.subject.map(|raw| raw.check("subject")).transpose()?,
            artifact_type: self.artifact_type.filter(|text| !text.is_empty()),
            annotations: self.annotations,
        })
    }
}

fn check_all(raw: Vec<RawDescriptor>, list: &str) -> Result<Vec<Descriptor>, ManifestError> {
    raw.into_iter()
        .enumerate()
        .map(|(i, raw)| raw.check(&format!("{list}[{i}]")))
        .collect()
}

impl RawDescriptor {
    fn check(self, place: &str) -> Result<Descriptor, ManifestError> {
        let digest = self.digest.parse().map_err(|source| ManifestError::Digest {
            place: place.to_owned(),
            source,
        })?;
        let size = u64::try_from(self.size).map_err(|_| ManifestError::Size(place.to_owned()))?;
        Ok(Descriptor {
            media_type: self.media_type,
            digest,
            size,
            urls: self.urls,
            platform: self.platform,
        })
    }
}

impl Descriptor {
    /// True for a layer that may be absent because it says where else it is.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        !self.urls.is_empty() && media_types::FOREIGN_LAYERS.contains(&self.media_type.as_str())
    }
}

fn shown(text: &str) -> String {
    text.chars().take(120).collect()
}

/// What the JSON reader says, without the text that it may repeat from the document whole.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.len() <= 300 {
        return text;
    }
    format!(
        "{}… at line {} column {}",
        shown(&text),
        error.line(),
        error.column()
    )
}

#[cfg(test)]
mod tests;
