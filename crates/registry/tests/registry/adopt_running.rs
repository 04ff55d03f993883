//! Adopting from a registry that runs and is not well: what one piece of it answers never decides about the rest, and who
//! only looks fetches nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use oci::{Digest, RepositoryName};
use registry::adopt::{
    Damage, Fetched, Found, Presence, Progress, Remote, RemoteError, Report, Watcher, survey_from,
};
use registry::{BodyCut, Error};
use tokio_util::sync::CancellationToken;

use crate::house::{House, Pieces, digest_of, image, noise, read};

struct Silence;

impl Watcher for Silence {
    fn progress(&mut self, _: &Progress) {}
    fn damage(&mut self, _: &Damage) {}
}

/// What it answers to one request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// An error of the server's, as the CNCF registry answers for an empty link.
    Fault,
    /// The connection breaks in the middle, each time.
    Breaks,
    /// Nothing.
    Gone,
}

/// A registry with one image for each tag, and moods for some addresses.
#[derive(Default)]
struct Unwell {
    tags: HashMap<String, Vec<String>>,
    manifests: HashMap<String, Vec<u8>>,
    blobs: HashMap<Digest, Vec<u8>>,
    moods: HashMap<String, Mood>,
    fetched: AtomicUsize,
}

impl Unwell {
    /// An image of one layer; the layer's digest.
    fn put(&mut self, name: &str, tag: &str, seed: u64) -> Digest {
        let (layer, config) = (noise(seed, 40_000), format!("config of {seed}").into_bytes());
        let digest = digest_of(&layer);
        let manifest = image(&digest_of(&config), std::slice::from_ref(&digest));
        for blob in [layer, config] {
            self.blobs.insert(digest_of(&blob), blob);
        }
        self.manifests
            .insert(format!("{name}@{}", digest_of(&manifest)), manifest.clone());
        self.manifests.insert(format!("{name}@{tag}"), manifest);
        self.tags.entry(name.to_owned()).or_default().push(tag.to_owned());
        digest
    }

    fn ask(&self, address: String) -> Result<bool, RemoteError> {
        match self.moods.get(&address) {
            Some(Mood::Fault) => Err(RemoteError::Unexpected {
                address,
                answer: "500 Internal Server Error".to_owned(),
            }),
            Some(Mood::Gone) => Err(RemoteError::Unreachable {
                address,
                source: "gone".into(),
            }),
            Some(Mood::Breaks) => Ok(false),
            None => Ok(true),
        }
    }
}

impl Remote for Unwell {
    type Blob = Pieces;

    fn address(&self) -> String {
        "http://old.example".to_owned()
    }

    async fn repositories(&self) -> Result<Vec<String>, RemoteError> {
        Ok(self.tags.keys().cloned().collect())
    }

    async fn tags(&self, name: &RepositoryName) -> Result<Vec<String>, RemoteError> {
        self.ask(format!("{name}/tags"))?;
        Ok(self.tags.get(&**name).cloned().unwrap_or_default())
    }

    async fn manifest(&self, name: &RepositoryName, reference: &str) -> Result<Option<Fetched>, RemoteError> {
        let address = format!("{name}@{reference}");
        self.ask(address.clone())?;
        let body = self.manifests.get(&address).cloned();
        Ok(body.map(|body| Fetched {
            body: body.into(),
            digest: None,
        }))
    }

    async fn referrers(&self, name: &RepositoryName, _: &Digest) -> Result<Vec<Digest>, RemoteError> {
        self.ask(format!("{name}/referrers"))?;
        Ok(Vec::new())
    }

    async fn blob_presence(&self, _: &RepositoryName, digest: &Digest) -> Result<Presence, RemoteError> {
        self.ask(digest.to_string())?;
        let found = self.blobs.get(digest);
        Ok(found.map_or(Presence::Absent, |_| Presence::Here))
    }

    async fn blob(
        &self,
        _: &RepositoryName,
        digest: &Digest,
        from: u64,
    ) -> Result<Option<Pieces>, RemoteError> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        let is_well = self.ask(digest.to_string())?;
        let rest = |bytes: &Vec<u8>| Bytes::copy_from_slice(&bytes[usize::try_from(from).unwrap()..]);
        Ok(self.blobs.get(digest).map(rest).map(|bytes| {
            let pieces = if is_well {
                vec![Ok(bytes)]
            } else {
                vec![Err(BodyCut)]
            };
            Pieces(pieces.into_iter())
        }))
    }
}

async fn adopt(house: &House, remote: Arc<Unwell>) -> Result<Report, Error> {
    let (registry, stop) = (house.open().await, CancellationToken::new());
    let adopted = registry.adopt_from(remote, &[], &mut Silence, &stop).await;
    registry.close().await;
    adopted
}

fn damages(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = report.damages.iter().map(Damage::to_string).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn an_error_for_one_tag_blob_list_or_referrer_is_told_and_the_rest_comes() {
    let (house, mut old) = (House::new(), Unwell::default());
    let good = old.put("good", "1", 1);
    old.put("good", "hollow", 2);
    let faulty = old.put("good", "2", 3);
    let breaking = old.put("good", "3", 4);
    old.put("lost", "1", 5);
    let lonely = old.put("lonely", "1", 6);
    for (address, mood) in [
        ("good@hollow".to_owned(), Mood::Fault),
        (faulty.to_string(), Mood::Fault),
        (breaking.to_string(), Mood::Breaks),
        ("lost/tags".to_owned(), Mood::Fault),
        ("lonely/referrers".to_owned(), Mood::Fault),
    ] {
        old.moods.insert(address, mood);
    }
    let report = adopt(&house, Arc::new(old)).await.unwrap();
    let told = damages(&report);
    for (place, reason) in [
        ("good:hollow".to_owned(), "500 Internal Server Error"),
        (format!("good/blobs/{faulty}"), "500 Internal Server Error"),
        (format!("good/blobs/{breaking}"), "broke off"),
        ("lost".to_owned(), "500 Internal Server Error"),
        ("lonely/referrers/".to_owned(), "500 Internal Server Error"),
    ] {
        let found = told
            .iter()
            .filter(|line| line.starts_with(&place) && line.contains(reason));
        assert_eq!(found.count(), 1, "{place}: {told:#?}");
    }
    assert_eq!(told.len(), 5, "each is told once: {told:#?}");
    assert_eq!((report.repositories, report.tags), (3, 4), "{report:?}");
    let registry = house.open().await;
    assert_eq!(read(&registry, "good", &good).await.unwrap(), noise(1, 40_000));
    assert_eq!(
        read(&registry, "lonely", &lonely).await.unwrap(),
        noise(6, 40_000)
    );
    assert!(read(&registry, "good", &faulty).await.is_err());
}

#[tokio::test]
async fn a_registry_that_goes_away_ends_the_run_and_the_next_one_goes_on() {
    let (house, mut old) = (House::new(), Unwell::default());
    old.put("a", "1", 1);
    let late = old.put("b", "1", 2);
    old.moods.insert("b@1".to_owned(), Mood::Gone);
    let mut old = Arc::new(old);
    let gone = adopt(&house, Arc::clone(&old)).await;
    assert!(
        matches!(gone, Err(Error::Remote(RemoteError::Unreachable { .. }))),
        "{gone:?}"
    );
    Arc::get_mut(&mut old).unwrap().moods.clear();
    let report = adopt(&house, old).await.unwrap();
    assert_eq!(report.resumed_after.as_deref(), Some("a"));
    assert_eq!((report.tags, report.damage_count), (1, 0), "{report:?}");
    let registry = house.open().await;
    assert_eq!(read(&registry, "b", &late).await.unwrap(), noise(2, 40_000));
}

#[tokio::test]
async fn who_only_looks_learns_the_same_and_fetches_no_blob() {
    let (house, mut old) = (House::new(), Unwell::default());
    old.put("a", "1", 1);
    old.put("a/b", "1", 1);
    old.put("a/b", "2", 2);
    let missing = old.put("c", "1", 3);
    old.blobs.remove(&missing);
    old.moods.insert("a/b@2".to_owned(), Mood::Fault);
    let (old, stop) = (Arc::new(old), CancellationToken::new());
    let seen = survey_from(Arc::clone(&old), &[], &mut Silence, &stop)
        .await
        .unwrap();
    assert_eq!(old.fetched.load(Ordering::SeqCst), 0);
    let report = adopt(&house, Arc::clone(&old)).await.unwrap();
    assert_eq!(damages(&seen), damages(&report));
    assert!(matches!(
        seen.damages.iter().find(|damage| damage.path.starts_with("a")),
        Some(Damage {
            found: Found::Unreadable { .. },
            ..
        })
    ));
    assert_eq!(
        (seen.repositories, seen.tags, seen.manifests, seen.blobs),
        (report.repositories, report.tags, report.manifests, report.blobs),
        "{seen:?}\n{report:?}"
    );
    stop.cancel();
    let stopped = survey_from(old, &[], &mut Silence, &stop).await;
    assert!(matches!(stopped, Err(Error::Closing)), "{stopped:?}");
}
