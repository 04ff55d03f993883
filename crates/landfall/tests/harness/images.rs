//! Things to push: bytes that never repeat by accident, images, indexes and artifacts.
//!
//! Shape: an [`Image`] is a manifest that is still a JSON value, with the blobs it names; [`Manifest`] is its final bytes.
//! Source: image-spec "Image Manifest", "Image Index", "Descriptor".

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};

/// Media types, in the spelling of the specs.
pub(crate) mod types {
    pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    pub(crate) const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
    pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    pub(crate) const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
}

/// `sha256:…` of some bytes.
pub(crate) fn digest_of(bytes: impl AsRef<[u8]>) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes.as_ref())))
}

/// `sha512:…` of some bytes.
pub(crate) fn sha512_of(bytes: impl AsRef<[u8]>) -> String {
    format!("sha512:{}", hex(&Sha512::digest(bytes.as_ref())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// So many bytes without a pattern, always the same for the same seed.
pub(crate) fn noise(seed: &str, size: usize) -> Vec<u8> {
    let mut state = Sha256::digest(seed.as_bytes())[..8]
        .iter()
        .fold(1_u64, |sum, &byte| sum << 8 | u64::from(byte))
        | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// `{mediaType, digest, size}` of some bytes.
pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest_of(bytes), "size": bytes.len()})
}

/// A manifest as it goes over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
}

impl Manifest {
    pub(crate) fn new(media_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            media_type: media_type.to_owned(),
            bytes: bytes.into(),
        }
    }

    pub(crate) fn of(media_type: &str, document: &Value) -> Self {
        Self::new(media_type, document.to_string())
    }

    pub(crate) fn digest(&self) -> String {
        digest_of(&self.bytes)
    }

    pub(crate) fn descriptor(&self) -> Value {
        descriptor(&self.media_type, &self.bytes)
    }

    /// Its descriptor as the child of an index, with a platform.
    pub(crate) fn for_platform(&self, os: &str, architecture: &str) -> Value {
        let mut descriptor = self.descriptor();
        descriptor["platform"] = json!({"os": os, "architecture": architecture});
        descriptor
    }
}

/// An OCI index of these descriptors.
pub(crate) fn index(children: &[Value]) -> Manifest {
    let document = json!({"schemaVersion": 2, "mediaType": types::OCI_INDEX, "manifests": children});
    Manifest::of(types::OCI_INDEX, &document)
}

/// An image or artifact with its blobs.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) document: Value,
    pub(crate) blobs: Vec<Vec<u8>>,
}

impl Image {
    /// An OCI image with a config and one small layer, both made from the seed.
    pub(crate) fn new(seed: &str) -> Self {
        Self::bare(seed).layer(noise(seed, 700))
    }

    /// An OCI image without layers.
    pub(crate) fn bare(seed: &str) -> Self {
        let config = json!({"os": "linux", "architecture": "amd64", "author": seed, "rootfs": {"type": "layers", "diff_ids": []}});
        let document =
            json!({"schemaVersion": 2, "mediaType": types::OCI_MANIFEST, "config": null, "layers": []});
        Self {
            document,
            blobs: Vec::new(),
        }
        .config(types::OCI_CONFIG, config.to_string().into_bytes())
    }

    /// A Docker image, schema 2, with one small layer.
    pub(crate) fn docker(seed: &str) -> Self {
        let mut image = Self::new(seed).set("mediaType", types::DOCKER_MANIFEST);
        image.document["config"]["mediaType"] = types::DOCKER_CONFIG.into();
        image.document["layers"][0]["mediaType"] = types::DOCKER_LAYER.into();
        image
    }

    /// An artifact about a subject, with the empty config and one small blob.
    pub(crate) fn artifact(seed: &str, artifact_type: &str, subject: &Value) -> Self {
        let image = Self::new(seed).config(types::OCI_EMPTY, b"{}".to_vec());
        image
            .set("artifactType", artifact_type)
            .set("subject", subject.clone())
    }

    pub(crate) fn layer(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.document["layers"]
            .as_array_mut()
            .unwrap()
            .push(descriptor(types::OCI_LAYER, &bytes));
        self.blobs.push(bytes);
        self
    }

    /// Another config.
    pub(crate) fn config(mut self, media_type: &str, bytes: Vec<u8>) -> Self {
        self.document["config"] = descriptor(media_type, &bytes);
        self.blobs.push(bytes);
        self
    }

    /// Sets a field of the manifest.
    pub(crate) fn set(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.document[field] = value.into();
        self
    }

    /// Leaves a field of the manifest out.
    pub(crate) fn without(mut self, field: &str) -> Self {
        self.document.as_object_mut().unwrap().remove(field);
        self
    }

    pub(crate) fn manifest(&self) -> Manifest {
        let media_type = self.document["mediaType"].as_str().unwrap_or(types::OCI_MANIFEST);
        Manifest::of(media_type, &self.document)
    }
}
