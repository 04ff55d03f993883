//! Retention: which tags and untagged manifests the rules let go, and their removal.
//!
//! Shape: a walk over the repositories that rules are about is a sequence of small steps, each from a [`RetentionCursor`] to
//! the next, so that a dry run can be shown page by page. A run is the same walk, whose decisions are done, each looked at
//! once more, in small transactions on the maintenance lane. So a run does what a dry run shows, but for what changed
//! between. One process runs it at a time. Units: Unix milliseconds.
//! Fails: `RetentionBusy`, `RetentionWaits` (the clock jumped), `ReadOnly`, `Rule` (a rule cannot be used).

mod run;
mod walk;

use catalog::{Freed, RetentionRun};
use oci::{Digest, RepositoryName, Tag};
use policy::Verdict;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Registry};

/// Tags that are looked at together.
const STEP: usize = 256;

/// What becomes of a tag, or of an untagged manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Whose.
    pub repository: RepositoryName,
    /// The tag; none: the manifest has none.
    pub tag: Option<Tag>,
    /// The manifest.
    pub digest: Digest,
    /// When the tag was set, or since when nothing holds the manifest.
    pub since: i64,
    /// When it was last pulled.
    pub pulled_at: Option<i64>,
    /// What becomes of it.
    pub verdict: Verdict,
    /// What a run needs to know to do it: of a tag the event that set it and its place, else when the last lease ended.
    pub(crate) mark: (i64, i64),
}

/// Some decisions.
#[derive(Clone, Default, Debug)]
pub struct RetentionPage {
    /// Repository by repository, tags from the newest on, then untagged manifests, those without a tag for longest first.
    pub decisions: Vec<Decision>,
    /// Where to go on; none at the end.
    pub next: Option<RetentionCursor>,
}

/// A place in the walk.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct RetentionCursor {
    /// The repository that is under way, or the last one that was; none at the start.
    repository: Option<String>,
    stage: Stage,
}

#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
enum Stage {
    /// The repository is done.
    #[default]
    Done,
    /// Its tags, after this one; and how many each rule has counted.
    Tags {
        created_at: i64,
        after: Option<(i64, i64)>,
        counts: Vec<u32>,
    },
    /// Its untagged manifests, after this one.
    Loose {
        created_at: i64,
        after: Option<(i64, i64)>,
    },
}

/// What a run would do.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RetentionTotals {
    /// Repositories that rules are about and that have something.
    pub repositories: u64,
    /// Tags that were looked at.
    pub tags_examined: u64,
    /// Tags that go.
    pub tags_removed: u64,
    /// Manifests without a tag that go.
    pub untagged_removed: u64,
    /// What the disk would have more room by, once the lease and the undo window are over.
    pub freed: Freed,
}

/// What a run did.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RetentionReport {
    /// Its number.
    pub id: i64,
    /// Repositories that rules were about and that had something.
    pub repositories: u64,
    /// Tags that went.
    pub tags: u64,
    /// Manifests that go in the end, with what hangs on them, as a dry run counts them.
    pub manifests: u64,
    /// Of these, those that follow their tags when the lease ends; the others went at once.
    pub following: u64,
    /// What had changed when its turn came, and stays.
    pub changed: u64,
}

/// What this process knows of its runs.
pub(crate) struct Retainer {
    /// Held for a run.
    turn: tokio::sync::Mutex<()>,
    /// Who we are, among servers on one catalog.
    owner: String,
    /// When this process began.
    pub(crate) started_at: i64,
}

impl Retainer {
    pub(crate) fn new(now: i64) -> Self {
        Self {
            turn: tokio::sync::Mutex::default(),
            owner: Uuid::new_v4().to_string(),
            started_at: now,
        }
    }
}

impl Registry {
    /// Runs of retention before `before`, newest first.
    pub async fn retention_history(
        &self,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<RetentionRun>, Error> {
        Ok(self
            .inner
            .catalog
            .read(move |tx| catalog::list_runs(tx, before, limit))
            .await?)
    }
}
