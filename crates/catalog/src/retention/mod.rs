//! Retention in the catalog: what is known of tags and untagged manifests, their removal, and the runs.
//!
//! Which of them go is decided above, by rules; here it is only done, and only to what is still as it was when that was
//! decided. A tag goes as if somebody deleted it (P-UNTAG). Its manifest, where nothing else holds it then, follows into the
//! trash when the lease ends that every loss of a tag gives (P-REVIEW-MANIFEST): a pusher may have been told that it is
//! here. An untagged manifest had that time already and goes at once (P-TRASH). Each has an operation of its own, so that
//! each can be brought back. Units: Unix milliseconds.

mod facts;
mod freed;
mod reason;
mod remove;
mod runs;

pub use facts::{
    LooseManifest, LoosePage, RetainedRepository, TagState, TagsAfter, find_retained, list_loose,
    list_retained, tag_states,
};
pub use freed::{Freed, WouldFree};
pub use reason::{retention_reason, rules_of_reason};
pub use remove::{Removal, Removed, Retaining, retain};
pub use runs::{RetentionRun, RunOutcome, begin_run, finish_run, last_scheduled_run, list_runs};
