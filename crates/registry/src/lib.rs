//! The domain: push, pull, mount, delete, lists. It alone joins the store (bytes) and the catalog (facts), so the
//! rules about their order live here: bytes first, then row, then answer.
//!
//! Operations take a `Permit`, so nobody can forget to ask for the right. Nothing here knows HTTP.

pub mod adopt;
pub mod backup;
mod blob;
mod bring;
pub mod bundle;
mod check;
mod clock;
mod damage;
mod error;
pub mod export;
mod gone;
mod hashing;
mod history;
mod jobs;
mod list;
mod manifest;
mod mode;
mod pace;
mod policies;
mod pulls;
mod push;
mod quota;
mod recall;
mod repositories;
mod retention;
mod rules;
mod scrub;
mod session;
mod space;
mod trash;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use catalog::Catalog;
use store::FsStore;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use blob::{BlobAsked, KnownBlob};
use manifest::{KnownManifest, ManifestAsked};
use recall::Recall;

pub use blob::{Blob, Content, MountFrom};
pub use catalog::{
    BlobSums, DamageCause, EventKind, Fate, Freeable, Freed, GcStatus, KeptBlob, KeptLink, KeptManifest,
    Limited, MoveTo, Needs, OverQuota, Pause, PauseCause, Pending, PolicyKind, Referrer, Referrers,
    ReferrersPage, ReferrersWanted, Renamed, RepositoryDeleted, RepositorySettings, RepositoryView,
    RepositoryViews, RestoreWish, Restored, RetentionRun, TagEvent, TagMoved, TagSpace, TagView, TagViews,
    TakenTag, TrashEntry, TrashKind, TrashPage, TrashPlace, Untagged, Usage, WhyKept, rules_of_reason,
};
pub use check::{Check, CheckReport, CheckRun, CheckWatcher, Problem};
pub use clock::{Clock, SystemClock};
pub use damage::Damage;
pub use error::Error;
pub use gone::{Gone, Sought};
pub use jobs::{BackupPlan, GcRun, GcWait, NextRetention};
pub use list::TagsPage;
pub use manifest::{ManifestStat, StoredManifest};
pub use mode::Mode;
pub use policies::{Listed, RuleError, RuleSource};
pub use policy::Verdict;
pub use push::{ManifestPush, Precondition, Pushed};
pub use quota::{QuotaRefusal, QuotaUsed};
pub use retention::{Decision, RetentionCursor, RetentionPage, RetentionReport, RetentionTotals};
pub use rules::{IndexRule, Rules, UrlRule, WrittenRules};
pub use scrub::{
    DamagedContent, FileBody, FolderSource, RemoteSource, ScrubRun, ScrubStatus, ScrubWanted, Source,
    SourceContent, SourceError, SourceFailure, SourceName, Sources,
};
pub use space::{RepositorySpace, Space};
pub use store::{BlobFile, Intake};
pub use trash::Emptied;
pub use upload::{Body, BodyCut, Chunk, UploadStatus};

/// Memory for answers of the catalog about manifests, as much about blobs, and a quarter for pages of tags, of referrers
/// and of repositories each.
const RECALL_BYTES: u64 = 4 * 1024 * 1024;
/// How long a probe may take before it counts as failed.
const PROBE_TIME: Duration = Duration::from_secs(10);
/// How long what is under way may take at the end, after its connections are gone.
const CLOSE_TIME: Duration = Duration::from_secs(10);

/// What a probe of a disk that works found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// It takes bytes.
    Writable,
    /// It has no room for them.
    Full,
}

/// One registry: a folder of bytes and a catalog of facts. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    catalog: Catalog,
    store: FsStore,
    clock: Arc<dyn Clock>,
    rules: ArcSwap<Rules>,
    policies: policies::Policies,
    retaining: retention::Retainer,
    /// Manifests that were read lately.
    manifests: Recall<ManifestAsked, KnownManifest>,
    /// Pages of tags that were read lately.
    tag_pages: Recall<list::TagsAsked, Arc<TagsPage>>,
    /// Pages of referrers that were read lately.
    referrer_pages: Recall<list::ReferrersAsked, Arc<ReferrersPage>>,
    /// Pages of repositories that were read lately.
    repository_pages: Recall<list::RepositoriesAsked, Arc<catalog::RepositoriesPage>>,
    /// Blobs that were read lately.
    blobs: Recall<BlobAsked, KnownBlob>,
    sessions: session::Sessions,
    /// Pulls that are not written down yet.
    tally: pulls::Tally,
    /// Memory, in KiB, for what pushes make of their documents.
    desk: Arc<Semaphore>,
    collector: jobs::Collector,
    backups: backup::Desk,
    scrubber: jobs::Scrubber,
    checker: check::Checker,
    /// How to reach what an operator names as a source of right bytes.
    sources: std::sync::OnceLock<Box<scrub::Sources>>,
    /// Transfers and publications that are under way; they go on when their client has left.
    running: TaskTracker,
    closing: AtomicBool,
}

impl Registry {
    /// Joins an open store and an open catalog, and brings what a crash left behind in order: upload files without
    /// a row go. Work is proportional to the uploads that were in flight.
    pub async fn open(
        store: FsStore,
        catalog: Catalog,
        clock: Arc<dyn Clock>,
        rules: Rules,
    ) -> Result<Self, Error> {
        backup::local::forget(store.folder());
        let known = catalog.read(catalog::list_upload_ids).await?;
        let reconciled = store.reconcile_uploads(known.into_iter().collect()).await?;
        if reconciled.removed > 0 {
            tracing::info!(
                files = reconciled.removed,
                "removed upload files that no session knows"
            );
        }
        let inner = Inner {
            manifests: Recall::new(RECALL_BYTES),
            tag_pages: Recall::new(RECALL_BYTES / 4),
            referrer_pages: Recall::new(RECALL_BYTES / 4),
            repository_pages: Recall::new(RECALL_BYTES / 4),
            blobs: Recall::new(RECALL_BYTES),
            catalog,
            store,
            collector: jobs::Collector::new(&*clock),
            backups: backup::Desk::default(),
            scrubber: jobs::Scrubber::new(),
            checker: check::Checker::default(),
            sources: std::sync::OnceLock::new(),
            retaining: retention::Retainer::new(clock.now_ms()),
            clock,
            rules: ArcSwap::from_pointee(rules.clone()),
            policies: policies::Policies::new(rules),
            sessions: session::Sessions::default(),
            tally: pulls::Tally::default(),
            desk: Arc::new(Semaphore::new(push::DESK_KIB)),
            running: TaskTracker::new(),
            closing: AtomicBool::new(false),
        };
        let registry = Self {
            inner: Arc::new(inner),
        };
        registry.read_policies().await?;
        registry.put_in_force();
        Ok(registry)
    }

    /// The rules as they are now. An operation asks once, so that it sees the old rules or the new.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        self.inner.rules.load_full()
    }

    /// Replaces the rules; operations that have begun keep those that they asked for.
    pub fn set_rules(&self, rules: Rules) {
        self.inner.policies.write_rules(rules);
        self.put_in_force();
    }

    /// Whether the catalog and the disk answer, in time: what `/readyz` asks. Nothing is written.
    pub async fn ready(&self) -> Result<(), Error> {
        if self.inner.catalog.is_broken() {
            return Err(Error::Broken);
        }
        let asking = async {
            self.inner.catalog.read(|_| Ok(())).await?;
            self.inner.store.free_bytes().await?;
            Ok(())
        };
        tokio::time::timeout(PROBE_TIME, asking)
            .await
            .unwrap_or(Err(Error::Busy))
    }

    /// Whether the disk takes bytes and gives them up again, in time: what `health.storagedriver` asks. A full disk is
    /// an answer and no failure: everything but a push goes on there.
    pub async fn probe(&self) -> Result<Probed, Error> {
        match self.write_a_little().await {
            Ok(()) => Ok(Probed::Writable),
            Err(Error::NoRoom) => Ok(Probed::Full),
            Err(error) => Err(error),
        }
    }

    async fn write_a_little(&self) -> Result<(), Error> {
        self.ready().await?;
        let writing = async {
            let plan = store::Plan {
                algorithm: oci::Algorithm::Sha256,
                size_hint: None,
            };
            let mut upload = self.inner.store.begin(uuid::Uuid::new_v4(), plan).await?;
            let written = async {
                upload.append(Bytes::from_static(b"probe")).await?;
                upload.checkpoint().await
            };
            let written = written.await;
            upload.discard().await;
            written?;
            Ok(())
        };
        tokio::time::timeout(PROBE_TIME, writing)
            .await
            .unwrap_or(Err(Error::Busy))
    }

    /// Waits until the catalog can write no more; never returns while all is well.
    pub async fn broken(&self) {
        self.inner.catalog.broken().await;
    }

    /// Refuses new work, waits for what is under way, and writes down the offsets of open uploads.
    /// Call it after the last request was answered or given up.
    pub async fn close(&self) {
        self.inner.closing.store(true, Ordering::SeqCst);
        self.inner.backups.stop.cancel();
        self.inner.running.close();
        if tokio::time::timeout(CLOSE_TIME, self.inner.running.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                "some transfers did not end in time; their uploads go on from the last offset written down"
            );
        }
        self.park_all().await;
        self.write_pulls().await;
        self.inner.catalog.close().await;
    }

    /// Lets `work` go on even if whoever waits for it leaves.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        if self.inner.closing.load(Ordering::SeqCst) {
            return Err(Error::Closing);
        }
        match self.inner.running.spawn(work).await {
            Ok(outcome) => outcome,
            Err(failed) => Err(Error::Interrupted(failed.to_string())),
        }
    }

    fn now(&self) -> i64 {
        self.inner.clock.now_ms()
    }

    fn may_write(&self) -> Result<(), Error> {
        if self.rules().read_only {
            Err(self.read_only())
        } else {
            Ok(())
        }
    }

    fn may_delete(&self) -> Result<(), Error> {
        self.may_write()?;
        if self.rules().delete_enabled {
            Ok(())
        } else {
            Err(Error::DeleteDisabled)
        }
    }
}
