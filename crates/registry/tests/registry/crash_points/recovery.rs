//! What must hold on what a stop left: every fact, every invariant, every row with its bytes and every file with its row;
//! and when everything is deleted and all windows have passed, nothing is left.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use catalog::{Catalog, SqliteOptions};
use oci::{Digest, Reference};
use registry::{Clock, Registry};
use rusqlite::Connection;
use store::testing::SimDisk;
use store::{Access, Files, FsStore};

use super::facts::Facts;
use super::story::{ALL_WINDOWS, ROOT, options, rules};
use crate::check::{self, DEEP};
use crate::house::{StoppedClock, delete, digest_of, pull, push, read};

/// Opens what is left, and looks.
pub(super) async fn look_at(name: &str, disk: SimDisk, catalog: &Path, facts: &Facts, now: i64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("landfall.db");
    std::fs::copy(catalog, &path).unwrap();
    let clock = Arc::new(StoppedClock::default());
    clock.set(now);
    let store = FsStore::open(Path::new(ROOT), Arc::new(disk.clone()), options())
        .unwrap_or_else(|error| panic!("{name}: the store does not open: {error}"));
    let catalog = Catalog::open_sqlite(&path, SqliteOptions { readers: 1 }).unwrap();
    let ticking: Arc<dyn Clock> = clock.clone();
    let registry = Registry::open(store, catalog, ticking, rules())
        .await
        .unwrap_or_else(|error| panic!("{name}: the registry does not open: {error}"));
    let left = Left {
        name,
        registry,
        disk,
        rows: Mutex::new(Connection::open(&path).unwrap()),
        clock,
    };
    left.facts(facts).await;
    left.rows_and_files_agree().await;
    // What the collector does now breaks none of it, and the clock stands still.
    left.registry.gc_run().await.unwrap();
    left.facts(facts).await;
    left.nothing_stays().await;
    left.registry.close().await;
}

struct Left<'a> {
    name: &'a str,
    registry: Registry,
    disk: SimDisk,
    rows: Mutex<Connection>,
    clock: Arc<StoppedClock>,
}

impl Left<'_> {
    async fn facts(&self, facts: &Facts) {
        let name = self.name;
        for ((repository, digest), &is_served) in &facts.blobs {
            let served = read(&self.registry, repository, digest).await;
            assert_eq!(served.is_ok(), is_served, "{name}: blob {digest} in {repository}");
            assert!(
                served.is_err() || served.ok().as_ref() == facts.contents.get(digest),
                "{name}: blob {digest} is torn"
            );
        }
        for (digest, blobs) in &facts.named {
            for repository in ["a", "b"] {
                let reference = Reference::Digest(digest.clone());
                let found = self.registry.manifest(&pull(repository), &reference).await;
                let certain = facts.manifests.get(&(repository.to_owned(), digest.clone()));
                assert!(
                    certain.is_none_or(|&is_served| is_served == found.is_ok()),
                    "{name}: manifest {digest} in {repository}"
                );
                let Ok(found) = found else { continue };
                assert_eq!(digest_of(&found.body), *digest, "{name}");
                for blob in blobs {
                    let served = read(&self.registry, repository, blob).await;
                    let whole = served.ok();
                    assert!(
                        whole.as_ref() == facts.contents.get(blob),
                        "{name}: {digest} is served in {repository} without its blob {blob}"
                    );
                }
            }
        }
        for ((repository, tag), leads_to) in &facts.tags {
            let reference: Reference = tag.parse().unwrap();
            let found = self
                .registry
                .stat_manifest(&pull(repository), &reference)
                .await
                .ok();
            assert_eq!(
                found.map(|found| found.digest).as_ref(),
                leads_to.as_ref(),
                "{name}: tag {repository}:{tag}"
            );
        }
        if let Some((id, sent)) = facts.upload
            && let Ok(status) = self.registry.upload_status(&push("a"), id).await
        {
            assert!(status.offset <= sent, "{name}: more bytes than were sent");
        }
    }

    /// Every row has its bytes, and every file its row or a place aside, after the first look for orphans.
    async fn rows_and_files_agree(&self) {
        let (_, problems) = check::check(&self.registry, DEEP).await;
        assert!(problems.is_empty(), "{}: {problems:#?}", self.name);
        self.registry.scan_orphans().await.unwrap();
        let (report, problems) = check::check(&self.registry, DEEP).await;
        assert!(problems.is_empty(), "{}: {problems:#?}", self.name);
        assert_eq!(
            (report.unknown, report.left_uploads),
            (0, 0),
            "{}: files without a row",
            self.name
        );
    }

    /// Everything is deleted, and all windows pass.
    async fn nothing_stays(&self) {
        for repository in ["a", "b"] {
            let live = self.live(repository);
            for digest in live {
                let reference = Reference::Digest(digest);
                self.registry
                    .delete_manifest(&delete(repository), &reference)
                    .await
                    .unwrap();
            }
        }
        for _ in 0..5 {
            self.clock.advance(ALL_WINDOWS);
            self.registry.gc_run().await.unwrap();
            self.registry.scan_orphans().await.unwrap();
            self.registry.reap(false).await.unwrap();
        }
        for folder in ["blobs", "uploads", "quarantine"] {
            let left = self.files(folder);
            assert!(left.is_empty(), "{}: {left:?} stay", self.name);
        }
        for table in [
            "blobs",
            "repo_blobs",
            "manifests",
            "manifest_bodies",
            "tombstones",
            "uploads",
            "orphans",
        ] {
            let sql = format!("SELECT COUNT(*) FROM {table}");
            assert_eq!(self.number(&sql), 0, "{}: rows stay in {table}", self.name);
        }
    }

    fn live(&self, repository: &str) -> Vec<Digest> {
        let sql = format!(
            "SELECT lower(hex(m.digest)) FROM manifests m JOIN repos r ON r.id = m.repo_id
             WHERE r.name = '{repository}' AND r.deleted_at IS NULL AND m.trashed_at IS NULL"
        );
        let digests = self.texts(&sql).into_iter();
        digests
            .map(|hex| format!("sha256:{}", &hex[2..]).parse().unwrap())
            .collect()
    }

    fn number(&self, sql: &str) -> i64 {
        let rows = self.rows.lock().unwrap();
        rows.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn texts(&self, sql: &str) -> Vec<String> {
        let rows = self.rows.lock().unwrap();
        let mut statement = rows.prepare(sql).unwrap();
        let found = statement.query_map([], |row| row.get(0)).unwrap();
        found.map(Result::unwrap).collect()
    }

    /// Every file below one of our folders.
    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let (mut found, mut next) = (Vec::new(), vec![Path::new(ROOT).join("landfall").join(folder)]);
        while let Some(path) = next.pop() {
            if self.disk.open(&path, Access::Read).is_ok() {
                found.push(path);
            } else if let Ok(names) = self.disk.list(&path) {
                next.extend(names.into_iter().map(|name| path.join(name)));
            }
        }
        found
    }
}
