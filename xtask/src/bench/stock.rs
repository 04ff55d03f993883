//! What a server must hold before it can be measured, put there once, over the wire; on nginx's tree as files.
//!
//! Units: bytes. Shape: every function may be called again and again, and works the first time.
//! Fails: what the connection or the disk says.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::json;

use super::content::{Content, small};
use super::product::Product;
use super::server::Server;
use super::wire::{MANIFEST_TYPE, Wire};

/// The repository that most cases work on.
pub(crate) const REPOSITORY: &str = "bench/shelf";
pub(crate) const TAG: &str = "latest";
const CONFIG_BYTES: usize = 1024;
const LAYER_BYTES: usize = 8 * 1024;

/// Two blobs and the manifest that names them.
pub(crate) struct Image {
    pub(crate) config: Blob,
    pub(crate) layer: Blob,
    pub(crate) manifest: Vec<u8>,
}

/// A small blob.
pub(crate) struct Blob {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: String,
}

impl Blob {
    pub(crate) fn new(number: u64, bytes: usize) -> Self {
        let bytes = small(number, bytes);
        Self {
            digest: e2e::client::digest(&bytes),
            bytes,
        }
    }
}

impl Image {
    /// The image of this number, always the same, and unlike every other.
    pub(crate) fn new(number: u64) -> Self {
        let config = Blob::new(number, CONFIG_BYTES);
        let layer = Blob::new(number, LAYER_BYTES);
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest, "size": CONFIG_BYTES},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer.digest, "size": LAYER_BYTES}]});
        Self {
            config,
            layer,
            manifest: manifest.to_string().into_bytes(),
        }
    }

    /// As a client pushes it: each blob by POST and PUT, then the manifest under a tag.
    pub(crate) fn push(
        &self,
        server: &Server,
        wire: &mut Wire,
        repository: &str,
        tag: &str,
    ) -> io::Result<()> {
        push_small(server, wire, repository, &self.config)?;
        push_small(server, wire, repository, &self.layer)?;
        let target = format!("/v2/{repository}/manifests/{tag}");
        wire.ask(&server.endpoint.manifest_put(&target, &self.manifest), 201)?;
        Ok(())
    }
}

pub(crate) fn blob_target(digest: &str) -> String {
    format!("/v2/{REPOSITORY}/blobs/{digest}")
}

pub(crate) fn manifest_target(reference: &str) -> String {
    format!("/v2/{REPOSITORY}/manifests/{reference}")
}

/// Opens an upload; the target of what ends it with this digest.
pub(crate) fn begin_upload(
    server: &Server,
    wire: &mut Wire,
    repository: &str,
    digest: &str,
) -> io::Result<String> {
    let session = session(server, wire, repository)?;
    Ok(ending(&session, digest))
}

pub(crate) fn session(server: &Server, wire: &mut Wire, repository: &str) -> io::Result<String> {
    let target = format!("/v2/{repository}/blobs/uploads/");
    let answer = wire.ask(&server.endpoint.request("POST", &target, b""), 202)?;
    Ok(answer.location()?.to_owned())
}

pub(crate) fn ending(session: &str, digest: &str) -> String {
    let joint = if session.contains('?') { '&' } else { '?' };
    format!("{session}{joint}digest={digest}")
}

pub(crate) fn push_small(server: &Server, wire: &mut Wire, repository: &str, blob: &Blob) -> io::Result<()> {
    let target = begin_upload(server, wire, repository, &blob.digest)?;
    wire.ask(&server.endpoint.request("PUT", &target, &blob.bytes), 201)?;
    Ok(())
}

/// One large blob.
pub(crate) fn large(server: &Server, content: &Content) -> io::Result<()> {
    server.stock(&content.digest, || {
        if server.product == Product::Nginx {
            let mut file = File::create(nginx_file(server, &blob_target(&content.digest))?)?;
            content.each_block(|block| file.write_all(block))?;
            return file.sync_all();
        }
        let mut wire = Wire::open(&server.endpoint)?;
        let target = begin_upload(server, &mut wire, REPOSITORY, &content.digest)?;
        wire.write(
            &server
                .endpoint
                .head("PUT", &target, &format!("Content-Length: {}", content.bytes)),
        )?;
        content.send(&mut wire)?;
        wire.answer(201)?;
        Ok(())
    })
}

/// One small blob.
pub(crate) fn small_blob(server: &Server, blob: &Blob) -> io::Result<()> {
    server.stock(&blob.digest, || {
        if server.product == Product::Nginx {
            return fs::write(nginx_file(server, &blob_target(&blob.digest))?, &blob.bytes);
        }
        push_small(server, &mut Wire::open(&server.endpoint)?, REPOSITORY, blob)
    })
}

/// One image under a tag and its digest; the digest.
pub(crate) fn image(server: &Server) -> io::Result<String> {
    let image = Image::new(0);
    let digest = image_digest();
    server.stock("image", || {
        if server.product == Product::Nginx {
            fs::write(nginx_file(server, &manifest_target(TAG))?, &image.manifest)?;
            return fs::write(nginx_file(server, &manifest_target(&digest))?, &image.manifest);
        }
        let mut wire = Wire::open(&server.endpoint)?;
        image.push(server, &mut wire, REPOSITORY, TAG)?;
        let target = manifest_target(&digest);
        wire.ask(&server.endpoint.manifest_put(&target, &image.manifest), 201)?;
        Ok(())
    })?;
    Ok(digest)
}

/// The digest of that image's manifest.
pub(crate) fn image_digest() -> String {
    e2e::client::digest(&Image::new(0).manifest)
}

fn nginx_file(server: &Server, target: &str) -> io::Result<PathBuf> {
    let path = server.data().join(target.trim_start_matches('/'));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(path)
}
