//! Rules, retention and the mode over the wire. Durations are seconds, sizes bytes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, GcWaiting, Item, Time};

pub use policy::{ImmutableSpec, QuotaSpec, RetentionSpec, Untagged};

/// What a rule says, by its kind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyRule {
    /// Which tags and untagged manifests go.
    Retention(RetentionSpec),
    /// How much a repository or a namespace may have.
    Quota(QuotaSpec),
    /// Which tags stay as they are.
    ImmutableTags(ImmutableSpec),
}

/// A rule to be made or changed: exactly one of these.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyOrder {
    /// Which tags and untagged manifests go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionSpec>,
    /// How much a repository or a namespace may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaSpec>,
    /// Which tags stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub immutable_tags: Option<ImmutableSpec>,
}

/// A rule, and what is to be known of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// What it is called; of quotas and immutable tags that is what they match.
    pub name: String,
    /// `retention`, `quota` or `immutable_tags`.
    pub kind: String,
    /// Whether it is of the configuration file; it can only be changed there then.
    pub of_file: bool,
    /// Who made or changed it, by command or API.
    pub set_by: Option<String>,
    /// When.
    pub set_at: Option<Time>,
    /// Why it does not count, if it does not.
    pub ignored: Option<String>,
    /// What it says.
    pub rule: PolicyRule,
    /// What is used, of a quota that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<QuotaUsed>,
}

/// What is used of a quota: of a namespace all of it, else what the repository has that uses most.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
pub struct QuotaUsed {
    /// Bytes.
    pub bytes: u64,
    /// The repository that has most; none for a namespace, or where nothing matches.
    pub bytes_in: Option<String>,
    /// Tags.
    pub tags: u64,
    /// The repository that has most.
    pub tags_in: Option<String>,
}

/// What setting a rule did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicySet {
    /// Its name.
    pub name: String,
    /// Whether there was none of that name.
    pub created: bool,
}

/// What removing a rule did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyRemoved {
    /// Its name.
    pub name: String,
}

/// When retention runs, and how it went.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RetentionStatus {
    /// `retention.schedule`
    pub schedule: Option<String>,
    /// When it runs next by itself; none without rules, and while the registry is read-only.
    pub next_at: Option<Time>,
    /// Why it does not run when the schedule says so.
    pub waiting: Option<GcWaiting>,
    /// How many rules there are.
    pub rules: u64,
    /// The newest run.
    pub last_run: Option<RetentionRun>,
}

/// A run of retention.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RetentionRun {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub at: Time,
    /// When it ended; none: it is under way, or its server died.
    pub finished_at: Option<Time>,
    /// Who asked for it; none: the schedule.
    pub actor: Option<String>,
    /// Repositories that rules were about.
    pub repositories: u64,
    /// Tags that went.
    pub tags: u64,
    /// Manifests that went, or go when their lease ends, with what hangs on them.
    pub manifests: u64,
    /// Why it ended early.
    pub error: Option<String>,
}

/// What becomes of a tag, or of an untagged manifest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RetentionDecision {
    /// Whose.
    pub repository: String,
    /// The tag; none: the manifest has none.
    pub tag: Option<String>,
    /// The manifest.
    pub digest: String,
    /// When the tag was set, or since when nothing holds the manifest.
    pub since: Time,
    /// When it was last pulled.
    pub pulled_at: Option<Time>,
    /// Whether it goes.
    pub goes: bool,
    /// The rules that let it go, or why it stays.
    pub reason: String,
}

/// What a run would do, in numbers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RetentionTotals {
    /// Repositories that rules are about.
    pub repositories: u64,
    /// Tags that were looked at.
    pub tags_examined: u64,
    /// Tags that go.
    pub tags_removed: u64,
    /// Manifests without a tag that go.
    pub untagged_removed: u64,
    /// Manifests that go in the end, with what hangs on them.
    pub manifests_removed: u64,
    /// Bytes that are free once the lease and the undo window are over.
    pub bytes_freed: u64,
}

/// Where to run.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionRunRequest {
    /// Only there.
    pub repository: Option<String>,
}

/// What a run did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RetentionReport {
    /// The number of the run.
    pub id: i64,
    /// Repositories that rules were about.
    pub repositories: u64,
    /// Tags that went.
    pub tags: u64,
    /// Manifests that go in the end, with what hangs on them, as `manifests_removed` of a dry run.
    pub manifests: u64,
    /// Of these, those that follow their tags when the lease ends; the others went at once.
    pub manifests_following: u64,
    /// What had changed when its turn came, and stays.
    pub changed: u64,
}

/// Whether writes are taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Mode {
    /// Whether they are refused.
    pub read_only: bool,
    /// Whether the setting `storage.maintenance.readonly.enabled` refuses them.
    pub by_setting: bool,
    /// Whether somebody refuses them, by command or API.
    pub by_command: bool,
    /// Why somebody refuses them, by command or API.
    pub reason: Option<String>,
    /// Who gave the last order.
    pub set_by: Option<String>,
    /// When.
    pub set_at: Option<Time>,
}

/// Whether to take writes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModeRequest {
    /// Whether to refuse them.
    pub read_only: bool,
    /// Why: clients are told.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Item for Policy {
    const LIST: &'static str = "landfall.policy.list/1";
}

impl Document for PolicySet {
    const SCHEMA: &'static str = "landfall.policy.set/1";
}

impl Document for PolicyRemoved {
    const SCHEMA: &'static str = "landfall.policy.removed/1";
}

impl Document for RetentionStatus {
    const SCHEMA: &'static str = "landfall.retention.status/1";
}

impl Item for RetentionRun {
    const LIST: &'static str = "landfall.retention.runs/1";
}

impl Item for RetentionDecision {
    const LIST: &'static str = "landfall.retention.plan/1";
}

impl Document for RetentionTotals {
    const SCHEMA: &'static str = "landfall.retention.totals/1";
}

impl Document for RetentionReport {
    const SCHEMA: &'static str = "landfall.retention.run/1";
}

impl Document for Mode {
    const SCHEMA: &'static str = "landfall.mode/1";
}
