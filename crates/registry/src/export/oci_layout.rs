//! OCI image layouts: `<repository>/{oci-layout,index.json,blobs}`, one for each repository.
//!
//! `index.json` lists every tag under its name, and what no tag and no index leads to without one, so nothing is lost.
//! Source: image-spec "Image Layout", "Pre-Defined Annotation Keys".

use std::collections::HashSet;

use catalog::HeldManifest;
use oci::{Digest, Manifest, RepositoryName, media_types};
use serde::Serialize;

use super::place::Target;
use crate::Error;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Entry>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Annotations>,
}

#[derive(Serialize)]
struct Annotations {
    #[serde(rename = "org.opencontainers.image.ref.name")]
    name: String,
}

impl Target<'_> {
    pub(super) async fn oci(&mut self, name: &RepositoryName) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let page = self.blobs(name, after).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for blob in page {
                let path = self.path(&content(name, &blob.digest));
                self.put_blob(blob, path).await?;
            }
        }
        let (loose, mut reached) = self.oci_manifests(name).await?;
        let mut manifests = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.tags(name, &after).await?;
            let Some(last) = page.last() else { break };
            after = last.tag.to_string();
            for held in page {
                self.exported.tags += 1;
                manifests.push(Entry {
                    media_type: held.media_type,
                    digest: held.digest.to_string(),
                    size: held.size,
                    annotations: Some(Annotations {
                        name: held.tag.to_string(),
                    }),
                });
                reached.insert(held.digest);
            }
        }
        let untagged = loose.into_iter().filter(|(digest, _)| !reached.contains(digest));
        manifests.extend(untagged.map(|(_, entry)| entry));
        let index = Index {
            schema_version: 2,
            media_type: media_types::OCI_INDEX,
            manifests,
        };
        let index =
            serde_json::to_vec_pretty(&index).map_err(|error| Error::Interrupted(error.to_string()))?;
        let layout = br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec();
        self.put(self.path(&format!("{name}/oci-layout")), layout).await?;
        self.put(self.path(&format!("{name}/index.json")), index).await
    }

    /// Writes the manifests; all of them, and those that an index lists.
    async fn oci_manifests(
        &mut self,
        name: &RepositoryName,
    ) -> Result<(Vec<(Digest, Entry)>, HashSet<Digest>), Error> {
        let (mut all, mut listed) = (Vec::new(), HashSet::new());
        let mut after = 0;
        loop {
            let page = self.manifests(name, after).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for HeldManifest {
                digest,
                media_type,
                body,
                ..
            } in page
            {
                if let Ok(parsed) = Manifest::parse(&body, Some(&media_type)) {
                    listed.extend(parsed.manifests.into_iter().map(|child| child.digest));
                }
                let entry = Entry {
                    media_type,
                    digest: digest.to_string(),
                    size: body.len() as u64,
                    annotations: None,
                };
                self.put(self.path(&content(name, &digest)), body).await?;
                self.exported.manifests += 1;
                all.push((digest, entry));
            }
        }
        Ok((all, listed))
    }
}

fn content(name: &RepositoryName, digest: &Digest) -> String {
    format!("{name}/blobs/{}/{}", digest.algorithm(), digest.hex())
}
