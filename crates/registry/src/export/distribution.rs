//! The tree of the CNCF registry: `docker/registry/v2/{blobs,repositories}`.
//!
//! Written into the folder that was adopted, it gives the old registry what came since: content and links that are there
//! stay as they are, and tags are set to where they point now.

use catalog::HeldManifest;
use oci::{Digest, RepositoryName};

use super::place::Target;
use crate::Error;

impl Target<'_> {
    pub(super) async fn distribution(&mut self, name: &RepositoryName) -> Result<(), Error> {
        let repository = format!("docker/registry/v2/repositories/{name}");
        let mut after = 0;
        loop {
            let page = self.blobs(name, after).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for blob in page {
                let digest = blob.digest.clone();
                let path = self.path(&data(&digest));
                if self.put_blob(blob, path).await? {
                    self.link(&format!("{repository}/_layers/{}/link", folder(&digest)), &digest)
                        .await?;
                }
            }
        }
        let mut after = 0;
        loop {
            let page = self.manifests(name, after).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for HeldManifest { digest, body, .. } in page {
                self.put(self.path(&data(&digest)), body).await?;
                let link = format!("{repository}/_manifests/revisions/{}/link", folder(&digest));
                self.link(&link, &digest).await?;
                self.exported.manifests += 1;
            }
        }
        let mut after = String::new();
        loop {
            let page = self.tags(name, &after).await?;
            let Some(last) = page.last() else { break };
            after = last.tag.to_string();
            for held in page {
                let tag = format!("{repository}/_manifests/tags/{}", held.tag);
                self.link(
                    &format!("{tag}/index/{}/link", folder(&held.digest)),
                    &held.digest,
                )
                .await?;
                self.link(&format!("{tag}/current/link"), &held.digest).await?;
                self.exported.tags += 1;
            }
        }
        Ok(())
    }

    async fn link(&self, path: &str, digest: &Digest) -> Result<(), Error> {
        self.put(self.path(path), digest.to_string().into_bytes()).await
    }
}

/// `sha256/<hex>`.
fn folder(digest: &Digest) -> String {
    format!("{}/{}", digest.algorithm(), digest.hex())
}

fn data(digest: &Digest) -> String {
    let hex = digest.hex();
    format!(
        "docker/registry/v2/blobs/{}/{}/{hex}/data",
        digest.algorithm(),
        &hex[..2]
    )
}
