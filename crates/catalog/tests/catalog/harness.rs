//! A catalog of one's own for each story, and short words for what stories do with it.

use std::sync::atomic::{AtomicI64, Ordering};

use catalog::{
    Catalog, Child, Edge, EdgeKind, Error, NewBlob, NewManifest, Place, PostgresOptions, Precondition,
    Published, PutManifest, Referrers, ReferrersPage, ReferrersWanted, SqliteOptions, Tx,
};
use oci::{Digest, Reference, RepositoryName, Tag};
use postgres::{Config, NoTls};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// One day, in milliseconds.
pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;
/// How long a blob stays without a manifest.
pub(crate) const LEASE: i64 = DAY;
/// How long a manifest stays without a tag.
pub(crate) const KEEP: i64 = 7 * DAY;
/// How long what was deleted can come back.
pub(crate) const UNDO: i64 = 7 * DAY;

/// How long a reader may still be sent to bytes that lost their row.
pub(crate) const GRACE: i64 = 60 * 60 * 1000;

/// Runs one story on both engines.
macro_rules! story {
    ($(#[$about:meta])* $name:ident, $body:expr) => {
        mod $name {
            use super::*;

            $(#[$about])*
            #[tokio::test]
            async fn on_sqlite() {
                let house = crate::harness::House::on_sqlite();
                ($body)(&house).await;
                house.close().await;
            }

            $(#[$about])*
            #[tokio::test]
            async fn on_postgres() {
                let house = crate::harness::House::on_postgres();
                ($body)(&house).await;
                house.close().await;
            }
        }
    };
}
pub(crate) use story;

/// A catalog and what must outlive it.
pub(crate) struct House {
    pub(crate) catalog: Catalog,
    now: AtomicI64,
    ground: Ground,
}

enum Ground {
    /// Somebody else's.
    Elsewhere,
    Folder(#[expect(dead_code, reason = "kept until the end")] tempfile::TempDir),
    Schema(Schema),
}

/// A schema of PostgreSQL that goes when its story ends.
pub(crate) struct Schema {
    server: String,
    name: String,
}

impl Schema {
    pub(crate) fn new() -> Self {
        let server = std::env::var("LANDFALL_TEST_POSTGRES").expect(
            "LANDFALL_TEST_POSTGRES is not set, so this cannot be tested on PostgreSQL: run `cargo xtask test`, which \
             starts a server and sets it",
        );
        let name = format!("story_{}", Uuid::new_v4().simple());
        let schema = Self { server, name };
        schema.run(&format!("CREATE SCHEMA {}", schema.name));
        schema
    }

    /// Where a catalog finds its tables in this schema.
    pub(crate) fn url(&self) -> String {
        let mark = if self.server.contains('?') { '&' } else { '?' };
        format!(
            "{}{mark}application_name={}&options=-c%20search_path%3D{}",
            self.server, self.name, self.name
        )
    }

    /// What the server calls the connections of this story.
    pub(crate) fn connection_name(&self) -> &str {
        &self.name
    }

    /// Runs SQL in this schema, beside the catalog; what the server said against it.
    pub(crate) fn try_run(&self, sql: &str) -> Result<(), String> {
        let mut config: Config = self.url().parse().unwrap();
        config.application_name("story");
        let sql = sql.to_owned();
        // A thread of its own: the client must not be used where a runtime is entered.
        let ran = std::thread::spawn(move || config.connect(NoTls)?.batch_execute(&sql))
            .join()
            .unwrap();
        ran.map_err(|error| {
            error
                .as_db_error()
                .map_or(error.to_string(), |said| said.message().to_owned())
        })
    }

    /// Whether one of the story's transactions waits for another.
    pub(crate) fn is_somebody_waiting(&self) -> bool {
        let sql = format!(
            "DO $$ BEGIN ASSERT (SELECT count(*) > 0 FROM pg_stat_activity \
             WHERE application_name = '{}' AND wait_event_type = 'Lock'); END $$",
            self.name
        );
        self.try_run(&sql).is_ok()
    }

    /// Runs SQL that must succeed.
    pub(crate) fn run(&self, sql: &str) {
        self.try_run(sql).unwrap();
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        self.run(&format!("DROP SCHEMA {} CASCADE", self.name));
    }
}

/// How the stories open PostgreSQL: some connections, and a server that need not sync.
pub(crate) fn postgres_options() -> PostgresOptions {
    PostgresOptions {
        connections: 6,
        fsync_required: false,
    }
}

impl House {
    pub(crate) fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog").join("landfall.db");
        let catalog = Catalog::open_sqlite(&path, SqliteOptions::default()).unwrap();
        Self {
            catalog,
            now: AtomicI64::new(1_000_000),
            ground: Ground::Folder(folder),
        }
    }

    pub(crate) fn on_postgres() -> Self {
        let schema = Schema::new();
        let catalog = Catalog::open_postgres(&schema.url(), postgres_options()).unwrap();
        Self {
            catalog,
            now: AtomicI64::new(1_000_000),
            ground: Ground::Schema(schema),
        }
    }

    /// A house around a catalog that the story opened itself.
    pub(crate) fn around(catalog: Catalog) -> Self {
        Self {
            catalog,
            now: AtomicI64::new(1_000_000),
            ground: Ground::Elsewhere,
        }
    }

    pub(crate) async fn close(self) {
        self.catalog.close().await;
    }

    /// The schema of a house on PostgreSQL.
    pub(crate) fn schema(&self) -> &Schema {
        match &self.ground {
            Ground::Schema(schema) => schema,
            Ground::Folder(_) | Ground::Elsewhere => panic!("this house is not on PostgreSQL"),
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Sets the clock.
    pub(crate) fn set(&self, now: i64) {
        self.now.store(now, Ordering::Relaxed);
    }

    /// Lets time go by.
    pub(crate) fn pass(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> T {
        self.catalog.write(operation).await.unwrap()
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> T {
        self.catalog.read(operation).await.unwrap()
    }

    /// Publishes a small blob with this content; its digest.
    pub(crate) async fn push_blob(&self, repo: &str, content: &str) -> Digest {
        let blob = self.blob(repo, content);
        let digest = blob.digest.clone();
        self.write(move |tx| catalog::publish_blob(tx, &blob)).await;
        digest
    }

    /// Publishes a blob that lies at `location`.
    pub(crate) async fn push_file(&self, repo: &str, content: &str, location: &str) -> Published {
        let blob = NewBlob {
            place: Place::File(location.to_owned()),
            ..self.blob(repo, content)
        };
        self.write(move |tx| catalog::publish_blob(tx, &blob)).await
    }

    pub(crate) fn blob(&self, to: &str, content: &str) -> NewBlob {
        NewBlob {
            repo: repo(to),
            digest: digest(content),
            size: content.len() as u64,
            place: Place::Inline(content.as_bytes().to_vec()),
            upload: None,
            now: self.now(),
            lease_ms: LEASE,
            grace_ms: GRACE,
        }
    }

    /// Pushes an image of one layer, with tags; its digest.
    pub(crate) async fn push_image(&self, to: &str, content: &str, tags: &[&str]) -> Digest {
        let layer = self.push_blob(to, content).await;
        let mut image = self.manifest(to, &format!("image of {content}"), tags);
        image.blobs = vec![edge(0, &layer)];
        self.put_stored(image).await
    }

    /// A manifest that names nothing.
    pub(crate) fn manifest(&self, to: &str, body: &str, tags: &[&str]) -> NewManifest {
        NewManifest {
            repo: repo(to),
            digest: digest(body),
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            artifact_type: None,
            annotations: None,
            subject: None,
            blobs: Vec::new(),
            children: Vec::new(),
            body: body.as_bytes().to_vec().into(),
            tags: tags.iter().map(|name| tag(name)).collect(),
            precondition: Precondition::None,
            now: self.now(),
            keep_ms: KEEP,
            actor: Some("bee".to_owned()),
        }
    }

    /// An index that lists these.
    pub(crate) fn index(&self, to: &str, body: &str, tags: &[&str], children: &[&Digest]) -> NewManifest {
        let children = children
            .iter()
            .zip(0..)
            .map(|(digest, ord)| child(ord, digest))
            .collect();
        NewManifest {
            children,
            ..self.manifest(to, body, tags)
        }
    }

    pub(crate) async fn put(&self, new: NewManifest) -> PutManifest {
        self.write(move |tx| catalog::put_manifest(tx, &new)).await
    }

    /// Pushes what must be taken; its digest.
    pub(crate) async fn put_stored(&self, new: NewManifest) -> Digest {
        let digest = new.digest.clone();
        let put = self.put(new).await;
        assert!(matches!(put, PutManifest::Stored { .. }), "{put:?}");
        digest
    }

    /// Locations that the sweeper may take at `now`.
    pub(crate) async fn due(&self, now: i64) -> Vec<String> {
        let due = self.read(move |tx| catalog::due_tombstones(tx, now, 1000)).await;
        due.into_iter().map(|one| one.location).collect()
    }

    /// Collects all that is due, as the server does, and sweeps; the locations that were swept.
    pub(crate) async fn collect(&self) -> Vec<String> {
        let now = self.now();
        loop {
            let worked = self
                .write(move |tx| {
                    let manifests = catalog::review_manifests(tx, now, UNDO, 3)?;
                    let repositories = catalog::purge_repositories(tx, now, 3)?;
                    let purged = catalog::purge(tx, now, LEASE, 3)?;
                    let links = catalog::review_links(tx, now, GRACE, 3)?;
                    let of_repositories =
                        repositories.trashed + repositories.links + repositories.repositories;
                    let of_links = links.kept + links.removed;
                    Ok(manifests.seen + of_repositories + purged.manifests + of_links > 0)
                })
                .await;
            if !worked {
                break;
            }
        }
        let swept = self.due(now).await;
        let gone = swept.clone();
        self.write(move |tx| catalog::finish_tombstones(tx, &gone)).await;
        swept
    }

    /// Where a tag or digest leads now.
    pub(crate) async fn find(&self, from: &str, reference: &str) -> Option<Digest> {
        let (from, reference, now) = (repo(from), reference.parse::<Reference>().unwrap(), self.now());
        let found = self
            .read(move |tx| catalog::stat_manifest(tx, &from, &reference, now, KEEP))
            .await;
        found.map(|record| record.digest)
    }

    /// Whether a repository serves a blob.
    pub(crate) async fn serves(&self, from: &str, blob: &Digest) -> bool {
        let (from, blob, now) = (repo(from), blob.clone(), self.now());
        self.read(move |tx| catalog::find_blob(tx, &from, &blob, now, LEASE))
            .await
            .is_some()
    }
}

pub(crate) fn repo(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

pub(crate) fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

pub(crate) fn digest(content: &str) -> Digest {
    Digest::Sha256(Sha256::digest(content).into())
}

/// The first page of all that refers to `subject`, however large it is.
pub(crate) fn referrers_of(subject: &Digest) -> ReferrersWanted {
    ReferrersWanted {
        subject: subject.clone(),
        types: Vec::new(),
        after: None,
        limit: 10,
        bytes_max: 1 << 20,
        heavy: usize::MAX,
    }
}

pub(crate) fn page_of_referrers(
    tx: &mut Tx<'_>,
    from: &str,
    wanted: &ReferrersWanted,
) -> Result<ReferrersPage, Error> {
    match catalog::list_referrers(tx, &repo(from), wanted)? {
        Referrers::Page(page) => Ok(std::sync::Arc::unwrap_or_clone(page)),
        Referrers::Heavy { bytes } => panic!("{bytes} bytes are too heavy for nobody here"),
    }
}

/// A layer that must be there.
pub(crate) fn edge(ord: i64, digest: &Digest) -> Edge {
    Edge {
        ord,
        digest: digest.clone(),
        size: 1,
        kind: EdgeKind::Layer,
        required: true,
    }
}

/// A child that must be there.
pub(crate) fn child(ord: i64, digest: &Digest) -> Child {
    Child {
        ord,
        digest: digest.clone(),
        size: 1,
        platform: Some("linux/amd64".to_owned()),
        required: true,
    }
}
