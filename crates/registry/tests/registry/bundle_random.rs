//! Random histories of a source, and random bundles of it at a site: after a last bundle of everything both lead alike.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use registry::RestoreWish;
use registry::bundle::Since;
use registry::{Error, Registry};
use tokio_util::sync::CancellationToken;

use crate::house::{House, delete, image, pull, push, push_in_parts, push_manifest};

const REPOSITORIES: [&str; 3] = ["a", "b/b", "c"];
const TAGS: [&str; 3] = ["1", "2", "3"];

#[derive(Clone, Debug)]
enum Step {
    Push(usize, usize, u8),
    Untag(usize, usize),
    Delete(usize),
    /// The repository that was deleted last comes back, if it can.
    Restore,
    Rename(usize, usize),
    Export(Option<usize>, Base),
    /// A bundle that was brought is brought once more.
    Again(usize),
}

#[derive(Clone, Debug)]
enum Base {
    None,
    Last,
    File(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (repository, tag) = (|| 0..REPOSITORIES.len(), || 0..TAGS.len());
    let base = prop_oneof![
        1 => Just(Base::None),
        4 => Just(Base::Last),
        2 => (0usize..8).prop_map(Base::File),
    ];
    prop_oneof![
        6 => (repository(), tag(), 0u8..5).prop_map(|(at, tag, image)| Step::Push(at, tag, image)),
        2 => (repository(), tag()).prop_map(|(at, tag)| Step::Untag(at, tag)),
        1 => repository().prop_map(Step::Delete),
        1 => Just(Step::Restore),
        2 => (repository(), repository()).prop_map(|(from, to)| Step::Rename(from, to)),
        5 => (proptest::option::of(repository()), base).prop_map(|(scope, base)| Step::Export(scope, base)),
        1 => (0usize..8).prop_map(Step::Again),
    ]
}

async fn push_small(registry: &Registry, at: &str, seed: u8) {
    let repository = at.split(':').next().unwrap();
    let config = format!("config {seed}");
    let config = push_in_parts(registry, repository, config.as_bytes())
        .await
        .unwrap();
    push_manifest(registry, at, image(&config, &[])).await.unwrap();
}

/// Where every tag leads.
async fn state(registry: &Registry) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for repository in REPOSITORIES {
        for tag in TAGS {
            let found = registry.manifest(&pull(repository), &tag.parse().unwrap()).await;
            if let Ok(found) = found {
                all.insert(format!("{repository}:{tag}"), found.stat.digest.to_string());
            }
        }
    }
    all
}

struct Sites {
    house: House,
    here: Registry,
    there: Registry,
    place: tempfile::TempDir,
    bundles: Vec<PathBuf>,
    deleted: Option<(usize, i64)>,
}

impl Sites {
    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Push(at, tag, image) => {
                push_small(&self.here, &format!("{}:{}", REPOSITORIES[at], TAGS[tag]), image).await;
            }
            Step::Untag(at, tag) => {
                // What is not there cannot go.
                let tag = TAGS[tag].parse().unwrap();
                let _ = self.here.delete_manifest(&delete(REPOSITORIES[at]), &tag).await;
            }
            Step::Delete(at) => {
                if let Ok(deleted) = self.here.delete_repository(&delete(REPOSITORIES[at])).await {
                    self.deleted = Some((at, deleted.op));
                }
            }
            Step::Restore => {
                if let Some((at, op)) = self.deleted.take() {
                    let wish = RestoreWish::default();
                    // Its name may be another's by now.
                    let _ = self.here.restore(&push(REPOSITORIES[at]), op, wish, None).await;
                }
            }
            Step::Rename(from, to) => {
                let (from, to) = (delete(REPOSITORIES[from]), push(REPOSITORIES[to]));
                let _ = self.here.rename_repository(&from, &to).await;
            }
            Step::Export(scope, ref base) => self.export(scope, base).await,
            Step::Again(number) => {
                if let Some(path) = self.bundles.get(number).cloned() {
                    self.import(path).await;
                }
            }
        }
    }

    async fn export(&mut self, scope: Option<usize>, base: &Base) {
        self.house.clock.advance(1000);
        let path = self.place.path().join(self.bundles.len().to_string());
        let since = match base {
            Base::Last if !self.bundles.is_empty() => Some(Since::Last),
            Base::File(number) => self.bundles.get(*number).cloned().map(Since::Bundle),
            _ => None,
        };
        let scope: Vec<_> = scope
            .iter()
            .map(|&at| REPOSITORIES[at].parse().unwrap())
            .collect();
        let stop = CancellationToken::new();
        match self.here.write_bundle(&path, &scope, since, |_| {}, &stop).await {
            Ok(_) => {}
            Err(Error::RepositoryUnknown(_)) => return,
            Err(error) => panic!("{error:?}"),
        }
        self.bundles.push(path.clone());
        self.import(path).await;
    }

    async fn import(&self, path: PathBuf) {
        let stop = CancellationToken::new();
        let imported = self.there.import_bundle(&path, None, |_| {}, &stop).await;
        imported.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn after_all_bundles_the_site_leads_where_the_source_does(steps in proptest::collection::vec(step(), 4..24)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (source, site) = runtime.block_on(async {
            let (house, other) = (House::new(), House::new());
            let (here, there) = (house.open().await, other.open().await);
            let mut sites = Sites { house, here, there, place: tempfile::tempdir().unwrap(), bundles: Vec::new(), deleted: None };
            for step in &steps {
                sites.take(step).await;
            }
            sites.export(None, &Base::Last).await;
            let states = (state(&sites.here).await, state(&sites.there).await);
            sites.here.close().await;
            sites.there.close().await;
            states
        });
        prop_assert_eq!(source, site);
    }
}
