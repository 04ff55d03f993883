//! Generated images: layers of random bytes, a config, a manifest. No base image, no download.
//!
//! Shape: an [`Image`] is for the small client; [`write_build_folder`] is a folder that a builder of images understands;
//! [`write_layout`] is an OCI layout with an index of several platforms.
//! Source: image-spec "Image Manifest", "Image Layout", "Image Index".

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::client::{MANIFEST_TYPE, digest};
use crate::dice::Dice;

const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const TAR_BLOCK: usize = 512;

/// Blobs and the manifest that names them.
#[derive(Debug, Clone)]
pub struct Image {
    /// The layers and, last, the config.
    pub blobs: Vec<Vec<u8>>,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
}

impl Image {
    /// An image of these layers; with a subject it is a referrer.
    #[must_use]
    pub fn of_layers(layers: Vec<Vec<u8>>, platform: &str, subject: Option<&Descriptor>) -> Self {
        let diff_ids: Vec<_> = layers.iter().map(|layer| digest(layer)).collect();
        let config = json!({"architecture": platform, "os": "linux",
            "config": {"Cmd": ["/hello"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = config.to_string().into_bytes();
        let mut manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPE,
            "config": Descriptor::of(CONFIG_TYPE, &config).json(),
            "layers": layers.iter().map(|layer| Descriptor::of(LAYER_TYPE, layer).json()).collect::<Vec<_>>()});
        if let Some(subject) = subject {
            manifest["subject"] = subject.json();
        }
        let mut blobs = layers;
        blobs.push(config);
        Self {
            blobs,
            manifest: manifest.to_string().into_bytes(),
        }
    }

    /// The manifest's descriptor.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(MANIFEST_TYPE, &self.manifest)
    }
}

/// What names content from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    media_type: &'static str,
    /// `sha256:<hex>`.
    pub digest: String,
    /// Bytes.
    pub size: usize,
}

impl Descriptor {
    fn of(media_type: &'static str, bytes: &[u8]) -> Self {
        Self {
            media_type,
            digest: digest(bytes),
            size: bytes.len(),
        }
    }

    fn json(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.size})
    }
}

/// A folder with a `Dockerfile` that makes an image of these files, each in a layer of its own.
pub fn write_build_folder(folder: &Path, layers: &[(&str, &[u8])]) {
    fs::create_dir_all(folder).expect("a build folder can be made");
    let mut recipe = "FROM scratch\n".to_owned();
    for (name, bytes) in layers {
        fs::write(folder.join(name), bytes).expect("a layer can be written");
        recipe = recipe + "COPY " + name + " /" + name + "\n";
    }
    recipe.push_str("CMD [\"/hello\"]\n");
    fs::write(folder.join("Dockerfile"), recipe).expect("a recipe can be written");
}

/// An OCI layout whose one entry, tagged `several`, is an index over an image for each platform. Gives the index's digest.
pub fn write_layout(folder: &Path, platforms: &[&str], dice: &mut Dice) -> String {
    let shared = tar_of("shared", &dice.bytes(200_000));
    let entries: Vec<Value> = platforms
        .iter()
        .map(|platform| {
            let own = tar_of("own", &dice.bytes(50_000));
            let image = Image::of_layers(vec![shared.clone(), own], platform, None);
            image.blobs.iter().for_each(|blob| write_blob(folder, blob));
            write_blob(folder, &image.manifest);
            let mut entry = image.descriptor().json();
            entry["platform"] = json!({"architecture": platform, "os": "linux"});
            entry
        })
        .collect();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries})
        .to_string()
        .into_bytes();
    write_blob(folder, &index);
    let index = Descriptor::of(INDEX_TYPE, &index);
    let mut entry = index.json();
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "several"});
    let entrance = json!({"schemaVersion": 2, "manifests": [entry]});
    fs::write(folder.join("index.json"), entrance.to_string()).expect("index.json can be written");
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
        .expect("oci-layout can be written");
    index.digest
}

fn write_blob(layout: &Path, bytes: &[u8]) {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("a layout can be made");
    fs::write(blobs.join(&digest(bytes)["sha256:".len()..]), bytes).expect("a blob can be written");
}

/// A tar archive of one file, as clients that unpack layers want it.
fn tar_of(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; TAR_BLOCK];
    let mut put =
        |offset: usize, text: &str| header[offset..offset + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", bytes.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(bytes);
    archive.resize(archive.len().next_multiple_of(TAR_BLOCK) + 2 * TAR_BLOCK, 0);
    archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_an_archive_that_tar_reads() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("layer.tar");
        fs::write(&file, tar_of("hello", b"world")).unwrap();
        let mut tar = crate::command::program("tar");
        let tar = tar.args(["--extract", "--to-stdout", "--file"]).arg(&file);
        assert_eq!(crate::command::run(tar).succeeded().stdout(), "world");
    }
}
