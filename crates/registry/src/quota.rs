//! Quotas before the bytes have come, and words for a refusal: used, limit, and what is biggest.
//!
//! The limit itself is held by the catalog, in the transaction that adds (`catalog::quota`). Units: bytes.

use catalog::Guard;
use oci::{Digest, RepositoryName};

use crate::{Error, Registry};

impl Registry {
    /// Whether so many bytes fit, if they are not here yet. Promises nothing; repositories without a quota ask nobody.
    pub(crate) async fn room_for(
        &self,
        repository: &RepositoryName,
        digest: Option<&Digest>,
        bytes: u64,
    ) -> Result<(), Error> {
        let policies = self.inner.policies.in_force();
        if !policies.has_quotas() {
            return Ok(());
        }
        let quotas = policies.quotas_of(repository);
        if quotas.is_empty() {
            return Ok(());
        }
        let (asked, digest, now) = (repository.clone(), digest.cloned(), self.now());
        let over = self
            .inner
            .catalog
            .read(move |tx| {
                if let Some(digest) = &digest
                    && catalog::find_blob(tx, &asked, digest, now, 0)?.is_some()
                {
                    return Ok(None);
                }
                catalog::would_pass(tx, &asked, &quotas, bytes)
            })
            .await?;
        match over {
            None => Ok(()),
            Some(over) => {
                let error = catalog::Error::OverQuota(Box::new(over)).into();
                Err(self.say_biggest(repository, error).await)
            }
        }
    }

    /// Adds to a refusal by a quota what is biggest, where room can be made.
    pub(crate) async fn say_biggest(&self, repository: &RepositoryName, error: Error) -> Error {
        let Error::OverQuota(mut refusal) = error else {
            return error;
        };
        let (asked, over) = (repository.clone(), refusal.over.clone());
        match self
            .inner
            .catalog
            .read(move |tx| catalog::biggest(tx, &asked, &over))
            .await
        {
            Ok(biggest) => refusal.biggest = biggest,
            Err(error) => tracing::debug!(%error, "what is biggest could not be read"),
        }
        Error::OverQuota(refusal)
    }
}
