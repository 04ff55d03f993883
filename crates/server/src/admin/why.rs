//! Why a digest is still there.

use http::{Method, StatusCode};
use oci::{Digest, DigestPrefix};
use serde_json::json;

use super::{Answer, Api, Call, Doc, Path, Refusal};
use crate::api::{Holder, KeptBlob, KeptFile, KeptLink, KeptManifest, WhyKept};

/// Digests that are named where a beginning fits several.
pub(super) const NAMED_MAX: usize = 10;

pub(super) fn routes(api: Api) -> Api {
    api.at(
        &Method::GET,
        "/api/v1/why/kept/{digest}",
        kept,
        Doc::new("Everything that holds a digest, or the one digest that begins so, in every repository")
            .answers::<WhyKept>(),
    )
}

async fn kept(call: Call, Path(digest): Path<String>) -> Result<Answer<WhyKept>, Refusal> {
    let prefix: DigestPrefix = digest
        .parse()
        .map_err(|bad: oci::BadPrefix| Refusal::bad(bad.to_string()))?;
    let found = call.registry().digests_like(&prefix, NAMED_MAX).await?;
    match found.as_slice() {
        [] => Err(Refusal::missing(format!(
            "nothing here has the digest {digest}: nothing holds it, and no byte of it is left"
        ))),
        [one] => Ok(Answer(why(call, one).await?)),
        several => Err(ambiguous(&digest, several)),
    }
}

pub(super) fn ambiguous(prefix: &str, several: &[Digest]) -> Refusal {
    let named: Vec<String> = several.iter().map(ToString::to_string).collect();
    let message = format!(
        "several digests begin with {prefix}: {}; write more of it",
        named.join(", ")
    );
    Refusal::new(StatusCode::CONFLICT, "LF-API-015", message).with_detail(json!({ "digests": named }))
}

async fn why(call: Call, digest: &Digest) -> Result<WhyKept, Refusal> {
    let why = call.registry().why_kept(digest).await?;
    let manifest = |one: registry::KeptManifest| KeptManifest {
        repository: one.repository.to_string(),
        tags: one.tags.iter().map(ToString::to_string).collect(),
        listed_by: holders(one.listed_by),
        subject: one.subject.map(|subject| subject.to_string()),
        leased_until: one.lease_until.map(Into::into),
        trash_op: one.op,
        purge_at: one.purge_at.map(Into::into),
        held: one.held,
    };
    let link = |one: registry::KeptLink| KeptLink {
        repository: one.repository.to_string(),
        named_by: holders(one.named_by),
        leased_until: one.lease_until.map(Into::into),
        deleted: one.hidden,
    };
    Ok(WhyKept {
        digest: digest.to_string(),
        manifests: why.manifests.into_iter().map(manifest).collect(),
        blob: why.blob.map(|blob| KeptBlob {
            bytes: blob.size,
            repositories: blob.links.into_iter().map(link).collect(),
        }),
        files: why
            .tombstones
            .into_iter()
            .map(|(location, until)| KeptFile {
                location,
                until: until.into(),
            })
            .collect(),
    })
}

fn holders(list: Vec<(Digest, Option<i64>)>) -> Vec<Holder> {
    list.into_iter()
        .map(|(digest, purge_at)| Holder {
            digest: digest.to_string(),
            purge_at: purge_at.map(Into::into),
        })
        .collect()
}
