//! `oci::Manifest`: manifests and indexes as clients push them. Source: image-spec "Image Manifest", "Image Index".

#![expect(clippy::expect_used, reason = "a target tells by panicking")]

use oci::{DEPTH_MAX, DESCRIPTORS_MAX, Descriptor, Digest, Manifest, MediaType, media_types};
use serde_json::Value;

/// The `Content-Type` headers that each body is tried with.
const TYPES: [Option<&str>; 6] = [
    None,
    Some(media_types::OCI_MANIFEST),
    Some(media_types::OCI_INDEX),
    Some(media_types::DOCKER_MANIFEST),
    Some(media_types::DOCKER_LIST),
    Some("text/plain; charset=utf-8"),
];

/// Any bytes as the body of a manifest.
///
/// # Panics
/// If one body means both an image and an index, if what is read is not what the JSON says, if a digest does not
/// survive being written, if a limit does not hold, or if the text of an error repeats much of the body.
pub fn manifest(data: &[u8]) {
    let mut kinds: Vec<bool> = Vec::new();
    for content_type in TYPES {
        match Manifest::parse(data, content_type) {
            Ok(manifest) => {
                agrees_with_json(&manifest, data);
                means_the_same_again(&manifest, data);
                kinds.push(manifest.media_type.is_index());
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.len() < 1000, "{} bytes of error", text.len());
            }
        }
    }
    kinds.dedup();
    assert!(kinds.len() <= 1, "one body means both an image and an index");
}

fn agrees_with_json(manifest: &Manifest, data: &[u8]) {
    let json: Value = serde_json::from_slice(data).expect("what is a manifest is JSON");
    assert!(depth(&json) <= DEPTH_MAX, "nested too deeply");
    assert_eq!(json["schemaVersion"], 2);
    assert_eq!(manifest.config.is_none(), manifest.media_type.is_index());
    assert!(
        if manifest.media_type.is_index() {
            &manifest.layers
        } else {
            &manifest.manifests
        }
        .is_empty()
    );
    assert!(manifest.layers.len() + manifest.manifests.len() <= DESCRIPTORS_MAX);
    list_agrees(&manifest.layers, &json["layers"]);
    list_agrees(&manifest.manifests, &json["manifests"]);
    for (descriptor, json) in [
        (&manifest.config, &json["config"]),
        (&manifest.subject, &json["subject"]),
    ] {
        assert_eq!(descriptor.is_none(), json.is_null());
        if let Some(descriptor) = descriptor {
            agrees(descriptor, json);
        }
    }
}

fn list_agrees(descriptors: &[Descriptor], json: &Value) {
    let entries = json.as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(descriptors.len(), entries.len());
    descriptors
        .iter()
        .zip(entries)
        .for_each(|(descriptor, json)| agrees(descriptor, json));
}

fn agrees(descriptor: &Descriptor, json: &Value) {
    let digest = descriptor.digest.to_string();
    assert_eq!(json["digest"].as_str(), Some(digest.as_str()));
    assert_eq!(digest.parse::<Digest>().as_ref(), Ok(&descriptor.digest));
    assert_eq!(json["size"].as_u64().unwrap_or(0), descriptor.size);
    assert_eq!(json["mediaType"].as_str().unwrap_or(""), descriptor.media_type);
}

/// Blanks and the order of keys do not matter, nor does saying the type that it was found to have.
fn means_the_same_again(manifest: &Manifest, data: &[u8]) {
    let json: Value = serde_json::from_slice(data).expect("what is a manifest is JSON");
    let data = serde_json::to_vec(&json).expect("JSON can be written");
    let again = Manifest::parse(&data, Some(manifest.media_type.as_str())).expect("it was a manifest before");
    assert_eq!(
        MediaType::parse(again.media_type.as_str()),
        Some(manifest.media_type)
    );
    assert_eq!(format!("{again:?}"), format!("{manifest:?}"));
}

fn depth(json: &Value) -> usize {
    match json {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
