//! Holds a server against a ledger: what was promised must be there, whole; what was not must be there whole or not at all.
//!
//! Shape: [`Audit::of`] asks for everything, [`Audit::of_manifests`] for some; both give a list of faults in plain words.
//! Fails: never by itself; [`Audit::expect_clean`] panics with the faults.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::client::{Client, Found, Trouble, digest};
use crate::ledger::{Key, Ledger, Manifest};

const FAULTS_SHOWN: usize = 30;

/// What a look at a server has found.
pub struct Audit {
    client: Client,
    seen: BTreeMap<Key, bool>,
    manifests: usize,
    tags: usize,
    faults: Vec<String>,
}

impl Audit {
    /// Asks for everything in a ledger. `promised` is the ledger at the moment that counts, `attempted` the same ledger when
    /// the last request that may have had an effect was sent.
    #[must_use]
    pub fn of(address: SocketAddr, promised: &Ledger, attempted: &Ledger) -> Self {
        let mut audit = Self::begin(address);
        audit.note(|audit| audit.blobs(promised, attempted));
        audit.note(|audit| audit.all_manifests(promised, attempted));
        audit.note(|audit| audit.all_tags(promised, attempted));
        audit.note(|audit| audit.lists(promised, attempted));
        audit
    }

    /// Asks for these manifests, of which something was acknowledged.
    #[must_use]
    pub fn of_manifests(address: SocketAddr, manifests: &[(Key, Manifest)]) -> Self {
        let mut audit = Self::begin(address);
        for (key, manifest) in manifests {
            audit.note(|audit| audit.manifest(key, manifest, Some(manifest)));
        }
        audit
    }

    fn begin(address: SocketAddr) -> Self {
        let client = Client::connect(address).expect("a server that listens can be asked");
        Self {
            client,
            seen: BTreeMap::new(),
            manifests: 0,
            tags: 0,
            faults: Vec::new(),
        }
    }

    fn note(&mut self, look: impl FnOnce(&mut Self) -> Result<(), Trouble>) {
        if let Err(trouble) = look(self) {
            self.faults.push(format!("{trouble:?}"));
        }
    }

    /// What was wrong.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// One line for a person: how much was looked at.
    #[must_use]
    pub fn summary(&self) -> String {
        let (blobs, faults) = (
            self.seen.values().filter(|&&whole| whole).count(),
            self.faults.len(),
        );
        format!(
            "found whole: {blobs} blobs, {} manifests, {} tags; faults: {faults}",
            self.manifests, self.tags
        )
    }

    /// Demands that nothing was wrong.
    pub fn expect_clean(&self) {
        let shown = self
            .faults
            .iter()
            .take(FAULTS_SHOWN)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n");
        assert!(
            self.faults.is_empty(),
            "{} faults, of which the first:\n{shown}",
            self.faults.len()
        );
    }

    fn blobs(&mut self, promised: &Ledger, attempted: &Ledger) -> Result<(), Trouble> {
        for key in attempted.blobs.keys() {
            let whole = self.blob(key)?;
            if promised.has_blob(key) && !whole {
                self.faults
                    .push(format!("acknowledged blob {key:?} is not served whole"));
            }
        }
        Ok(())
    }

    /// True if it is served and is what its digest says; a fault if it is served and is not.
    fn blob(&mut self, key: &Key) -> Result<bool, Trouble> {
        if let Some(&whole) = self.seen.get(key) {
            return Ok(whole);
        }
        let whole = match self.client.pull_blob(&key.0, &key.1)? {
            Found::Nothing => false,
            Found::Bytes(digest, _) if digest == key.1 => true,
            Found::Bytes(digest, length) => {
                self.faults.push(format!(
                    "blob {key:?} is served with {length} bytes that hash to {digest}"
                ));
                false
            }
        };
        self.seen.insert(key.clone(), whole);
        Ok(whole)
    }

    fn all_manifests(&mut self, promised: &Ledger, attempted: &Ledger) -> Result<(), Trouble> {
        for (key, manifest) in &attempted.manifests {
            self.manifest(key, manifest, promised.manifests.get(key))?;
        }
        Ok(())
    }

    fn manifest(
        &mut self,
        key: &Key,
        manifest: &Manifest,
        promised: Option<&Manifest>,
    ) -> Result<(), Trouble> {
        let promised = promised.map(|promised| &promised.history);
        let allowed = manifest.history.allowed(promised);
        let was_promised = promised.is_some_and(|promised| promised.acknowledged.is_some());
        let Some(answer) = self.client.pull_manifest(&key.0, &key.1)? else {
            if was_promised && !allowed.contains(&false) {
                self.faults
                    .push(format!("acknowledged manifest {key:?} is not served"));
            }
            return Ok(());
        };
        if !allowed.contains(&true) {
            self.faults.push(format!("deleted manifest {key:?} is served"));
        }
        if digest(&answer.body) != key.1 {
            self.faults
                .push(format!("manifest {key:?} is served with other bytes"));
        }
        for blob in &manifest.blobs {
            if !self.blob(&(key.0.clone(), blob.clone()))? {
                self.faults
                    .push(format!("manifest {key:?} is served, its blob {blob} is not"));
            }
        }
        self.manifests += 1;
        Ok(())
    }

    fn all_tags(&mut self, promised: &Ledger, attempted: &Ledger) -> Result<(), Trouble> {
        for (key, tag) in &attempted.tags {
            let promised = promised.tags.get(key);
            let acknowledged = promised.and_then(|tag| tag.acknowledged);
            let allowed = tag.allowed(promised);
            let stands = self
                .client
                .pull_manifest(&key.0, &key.1)?
                .map(|answer| digest(&answer.body));
            let never_set = acknowledged.is_none() && stands.is_none();
            if !never_set && !allowed.contains(&stands) {
                self.faults.push(format!(
                    "tag {key:?} stands at {stands:?}, allowed are {allowed:?}"
                ));
            }
            self.tags += usize::from(stands.is_some());
        }
        Ok(())
    }

    /// The lists agree with what is served: nothing half visible, nothing forgotten.
    fn lists(&mut self, promised: &Ledger, attempted: &Ledger) -> Result<(), Trouble> {
        let names: BTreeSet<&String> = attempted.manifests.keys().map(|(name, _)| name).collect();
        let catalog = self.client.list("/v2/_catalog?n=1000", "repositories")?;
        for name in names {
            let is_promised = promised.manifests.iter().any(|((other, digest), manifest)| {
                other == name && manifest.is_certain() && is_untouched(attempted, other, digest)
            });
            if is_promised && !catalog.contains(name) {
                self.faults
                    .push(format!("repository {name} is missing in the catalog"));
            }
            let listed = self.client.list(&format!("/v2/{name}/tags/list?n=50"), "tags")?;
            for tag in &listed {
                if self.client.pull_manifest(name, tag)?.is_none() {
                    self.faults.push(format!("{name}:{tag} is listed and not served"));
                }
            }
            let certain = promised
                .tags
                .iter()
                .filter(|((other, _), tag)| other == name && matches!(tag.certain(), Some(Some(_))));
            for ((_, tag), _) in certain {
                let untouched = promised
                    .tags
                    .get(&(name.clone(), tag.clone()))
                    .map(|tag| tag.attempts.len())
                    == attempted
                        .tags
                        .get(&(name.clone(), tag.clone()))
                        .map(|tag| tag.attempts.len());
                if untouched && !listed.contains(tag) {
                    self.faults
                        .push(format!("{name}:{tag} is acknowledged and not listed"));
                }
            }
        }
        self.referrers(promised, attempted)
    }

    fn referrers(&mut self, promised: &Ledger, attempted: &Ledger) -> Result<(), Trouble> {
        let certain = promised.manifests.iter().filter(|((name, digest), manifest)| {
            manifest.is_certain() && is_untouched(attempted, name, digest)
        });
        for ((name, digest), manifest) in certain {
            let Some(subject) = &manifest.subject else {
                continue;
            };
            let listed = self
                .client
                .list(&format!("/v2/{name}/referrers/{subject}"), "manifests")?;
            if !listed.contains(digest) {
                self.faults.push(format!(
                    "{name}: referrer {digest} is not listed at its subject {subject}"
                ));
            }
        }
        Ok(())
    }
}

/// True if nobody asked for anything else since a manifest was surely there.
fn is_untouched(attempted: &Ledger, name: &str, digest: &str) -> bool {
    let key = (name.to_owned(), digest.to_owned());
    attempted.manifests.get(&key).is_some_and(Manifest::is_certain)
}
