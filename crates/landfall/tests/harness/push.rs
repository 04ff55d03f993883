//! What every client does all day, in one call each: push a blob, push an image, pull them back.
//!
//! Fails: when the server does not answer as distribution-spec says for a push or pull that is in order.

use super::exchange::{Client, Response};
use super::images::{Image, Manifest, digest_of};

/// The digest of nothing.
pub(crate) const EMPTY_SHA256: &str =
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The path and query of a Location, which may be absolute.
fn path_of(location: &str) -> String {
    let Some((_, rest)) = location.split_once("://") else {
        return location.to_owned();
    };
    rest.find('/')
        .map_or_else(|| "/".to_owned(), |slash| rest[slash..].to_owned())
}

impl Response {
    /// Where to go on, as a request target.
    pub(crate) fn location(&self) -> String {
        path_of(self.expect_header("Location"))
    }
}

impl Client {
    /// Begins an upload and answers its Location.
    pub(crate) fn begin_upload(&self, repo: &str) -> String {
        let answer = self
            .post(&format!("/v2/{repo}/blobs/uploads/"))
            .send()
            .expect(202);
        answer.expect_header("Docker-Upload-UUID");
        answer.location()
    }

    /// Begins an upload that has already received these bytes.
    pub(crate) fn begin_upload_with(&self, repo: &str, bytes: &[u8]) -> String {
        self.patch(&self.begin_upload(repo))
            .body(bytes)
            .send()
            .expect(202)
            .location()
    }

    /// POST, then PUT with all bytes, as most clients do.
    pub(crate) fn push_blob(&self, repo: &str, bytes: &[u8]) -> String {
        let digest = digest_of(bytes);
        let answer = self
            .put(&self.begin_upload(repo))
            .query("digest", &digest)
            .body(bytes)
            .send()
            .expect(201);
        assert_eq!(answer.location(), format!("/v2/{repo}/blobs/{digest}"));
        digest
    }

    pub(crate) fn put_manifest(&self, repo: &str, reference: &str, manifest: &Manifest) -> Response {
        let target = format!("/v2/{repo}/manifests/{reference}");
        self.put(&target)
            .header("Content-Type", &manifest.media_type)
            .body(manifest.bytes.clone())
            .send()
    }

    /// Pushes the blobs of an image, then its manifest under a tag.
    pub(crate) fn push(&self, repo: &str, reference: &str, image: &Image) -> Manifest {
        self.push_blobs(repo, image);
        let manifest = image.manifest();
        let answer = self.put_manifest(repo, reference, &manifest).expect(201);
        assert_eq!(
            answer.header("Docker-Content-Digest"),
            Some(&*manifest.digest()),
            "{answer}"
        );
        manifest
    }

    /// Pushes an image under its digest alone.
    pub(crate) fn push_untagged(&self, repo: &str, image: &Image) -> Manifest {
        let digest = image.manifest().digest();
        self.push(repo, &digest, image)
    }

    pub(crate) fn push_blobs(&self, repo: &str, image: &Image) {
        for blob in &image.blobs {
            self.push_blob(repo, blob);
        }
    }

    pub(crate) fn get_manifest(&self, repo: &str, reference: &str) -> Response {
        self.get(&format!("/v2/{repo}/manifests/{reference}")).send()
    }

    pub(crate) fn head_manifest(&self, repo: &str, reference: &str) -> Response {
        self.head(&format!("/v2/{repo}/manifests/{reference}")).send()
    }

    pub(crate) fn delete_manifest(&self, repo: &str, reference: &str) -> Response {
        self.delete(&format!("/v2/{repo}/manifests/{reference}")).send()
    }

    pub(crate) fn get_blob(&self, repo: &str, digest: &str) -> Response {
        self.get(&format!("/v2/{repo}/blobs/{digest}")).send()
    }

    pub(crate) fn head_blob(&self, repo: &str, digest: &str) -> Response {
        self.head(&format!("/v2/{repo}/blobs/{digest}")).send()
    }

    pub(crate) fn delete_blob(&self, repo: &str, digest: &str) -> Response {
        self.delete(&format!("/v2/{repo}/blobs/{digest}")).send()
    }

    pub(crate) fn tags(&self, repo: &str) -> Vec<String> {
        self.get(&format!("/v2/{repo}/tags/list"))
            .send()
            .expect(200)
            .words("tags")
    }

    pub(crate) fn referrers(&self, repo: &str, digest: &str) -> Response {
        self.get(&format!("/v2/{repo}/referrers/{digest}")).send()
    }

    /// The blob is served, byte by byte.
    pub(crate) fn expect_blob(&self, repo: &str, bytes: &[u8]) {
        let digest = digest_of(bytes);
        let answer = self.get_blob(repo, &digest).expect(200);
        assert!(
            answer.body == bytes,
            "blob {digest} comes back with other bytes ({} of {})",
            answer.body.len(),
            bytes.len()
        );
    }

    /// The whole image is served under this reference: manifest and every blob.
    pub(crate) fn expect_image(&self, repo: &str, reference: &str, image: &Image) {
        let answer = self.get_manifest(repo, reference).expect(200);
        assert_eq!(
            answer.body,
            image.manifest().bytes,
            "manifest of {repo}:{reference}"
        );
        for blob in &image.blobs {
            self.expect_blob(repo, blob);
        }
    }
}
