//! What the operator decided: limits, what may be deleted, what a manifest must bring with it.
//!
//! Units: sizes are bytes, durations milliseconds.

use oci::{Descriptor, Platform};
use policy::{ImmutableRule, QuotaRule, RetentionRule, Schedule};
use regex::Regex;

use crate::Error;

/// The registry's rules. Defaults are those of the documentation.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one switch of the settings, and they do not depend on each other"
)]
pub struct Rules {
    /// `storage.maintenance.readonly.enabled`: every write is refused.
    pub read_only: bool,
    /// `storage.delete.enabled`.
    pub delete_enabled: bool,
    /// `limits.manifest`: largest manifest, inclusive.
    pub manifest_bytes_max: u64,
    /// `limits.blob`: largest blob, inclusive; none is no limit.
    pub blob_bytes_max: Option<u64>,
    /// `limits.upload_sessions`: most open uploads of one user; none is no limit.
    pub upload_sessions_max: Option<u64>,
    /// `storage.inline_max`: blobs up to this lie in the catalog.
    pub inline_bytes_max: u64,
    /// `gc.lease`: how long an unreferenced blob is safe.
    pub lease_ms: i64,
    /// `trash.undo_window`: how long what was deleted can be brought back.
    pub undo_window_ms: i64,
    /// `gc.read_grace`: how long a reader may still be sent to bytes that nothing names any more.
    pub read_grace_ms: i64,
    /// `gc.orphan_hold`: how long stored bytes that no row knew lie aside before they go.
    pub orphan_hold_ms: i64,
    /// How long nothing is collected after a start: clients could not renew what they count on while the server was
    /// away, and a clock that was wrong at the boot is set right soon after it.
    pub gc_start_delay_ms: i64,
    /// `scrub.rate`: how many bytes a second are read back to see whether they are still what they should be; 0 is none.
    pub scrub_bytes_per_second: u64,
    /// How long an untagged manifest is safe, where that is longer than the lease. Rules say the rest, by `older`.
    pub untagged_keep_ms: i64,
    /// `storage.maintenance.uploadpurging.age`: an upload idle for longer is gone; none keeps it for good.
    pub upload_idle_ms: Option<i64>,
    /// `storage.maintenance.uploadpurging.dryrun`: expired uploads are counted, and go on living.
    pub upload_purge_dry: bool,
    /// `validation.manifests.indexes.platforms`.
    pub index: IndexRule,
    /// `validation.disabled`: a manifest may name what is not here, and any URL.
    pub references_checked: bool,
    /// `validation.manifests.urls`.
    pub urls: UrlRule,
    /// The rules of the file about repositories and tags.
    pub written: WrittenRules,
}

/// `retention`, `quotas` and `immutable_tags`: rules made by command or API hold beside them.
#[derive(Clone, Default, Debug)]
pub struct WrittenRules {
    /// `retention.schedule`; none: retention runs only when somebody asks for it.
    pub schedule: Option<Schedule>,
    /// `retention.rules`.
    pub retention: Vec<RetentionRule>,
    /// `quotas`.
    pub quotas: Vec<QuotaRule>,
    /// `immutable_tags`.
    pub immutable: Vec<ImmutableRule>,
}

/// Which children an index must bring.
#[derive(Clone, Debug, Default)]
pub enum IndexRule {
    /// All of them.
    #[default]
    All,
    /// None: sparse indexes are fine.
    None,
    /// Those for these platforms.
    Listed(Vec<Platform>),
}

/// Where foreign layers may point to. Both empty: anywhere on http or https.
#[derive(Clone, Debug, Default)]
pub struct UrlRule {
    /// A URL must match one of these, if there are any.
    pub allow: Vec<Regex>,
    /// A URL must match none of these.
    pub deny: Vec<Regex>,
}

const MINUTE_MS: i64 = 60 * 1000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

impl Default for Rules {
    fn default() -> Self {
        Self {
            read_only: false,
            delete_enabled: true,
            manifest_bytes_max: 4 * 1024 * 1024,
            blob_bytes_max: None,
            upload_sessions_max: None,
            inline_bytes_max: 16 * 1024,
            lease_ms: DAY_MS,
            undo_window_ms: 7 * DAY_MS,
            read_grace_ms: 60 * MINUTE_MS,
            orphan_hold_ms: 7 * DAY_MS,
            gc_start_delay_ms: 10 * MINUTE_MS,
            scrub_bytes_per_second: 20 * 1000 * 1000,
            untagged_keep_ms: 0,
            upload_idle_ms: Some(7 * DAY_MS),
            upload_purge_dry: false,
            index: IndexRule::All,
            references_checked: true,
            urls: UrlRule::default(),
            written: WrittenRules::default(),
        }
    }
}

impl IndexRule {
    /// Must this child of an index be here?
    pub(crate) fn requires(&self, child: &Descriptor) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Listed(platforms) => child.platform.as_ref().is_some_and(|has| {
                platforms
                    .iter()
                    .any(|wanted| wanted.os == has.os && wanted.architecture == has.architecture)
            }),
        }
    }
}

impl UrlRule {
    /// Refuses a descriptor that points to where it must not.
    pub(crate) fn check(&self, descriptor: &Descriptor) -> Result<(), Error> {
        for url in &descriptor.urls {
            let web = url.starts_with("http://") || url.starts_with("https://");
            let allowed = self.allow.is_empty() || self.allow.iter().any(|rule| rule.is_match(url));
            let denied = self.deny.iter().any(|rule| rule.is_match(url));
            if !web || url.contains('#') || !allowed || denied {
                return Err(Error::UrlRefused {
                    url: url.chars().take(200).collect(),
                });
            }
        }
        Ok(())
    }
}
