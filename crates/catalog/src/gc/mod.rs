//! Garbage collection: what no tag, index, subject or lease holds goes, in steps that run while clients push and pull.
//!
//! Manifest (`review_manifests`, `purge`) -> link (`review_links`) -> blob row and tombstone -> bytes (the sweeper's).
//! Each step asks, in a statement of its own after the row is locked, whether anything points at what it takes; foreign
//! keys hold the same, so no order of steps and no clock can take what an acknowledged push needs. Time only decides
//! when garbage goes. Shape: a step takes what is due, at most `limit` rows, and says what it did; a row that another
//! transaction holds is left for the next time. Work is proportional to the garbage: live rows are never looked at.
//! Source: P-REVIEW-MANIFEST, P-PURGE, P-REVIEW-LINK in ARCHITECTURE.md.

mod holds;
mod orphans;
mod pauses;
mod purge;
mod purge_repositories;
mod review_links;
mod review_manifests;
mod status;
mod why_kept;

pub(crate) use holds::is_sweep_held;
pub use holds::{Hold, place_hold, release_hold, renew_hold};
pub use orphans::{
    Orphan, count_orphans, find_orphan, forget_orphans, list_orphans, note_orphan, unknown_locations,
};
pub use pauses::{Pause, PauseCause, gc_pause, pause_gc, resume_gc};
pub use purge::{Purged, leased_links, purge, purge_trash_of, shorten_leases};
pub use purge_repositories::{RepositoriesPurged, purge_repositories};
pub use review_links::{LinksReviewed, review_links};
pub use review_manifests::{ManifestsReviewed, review_manifests};
pub use status::{GcStatus, Pending, gc_status, next_due};
pub use why_kept::{KeptBlob, KeptLink, KeptManifest, WhyKept, digests_between, why_kept};
