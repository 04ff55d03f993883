//! Facts about the bytes: which repository may serve which blob, manifests and what they name, tags and their
//! history, trash, uploads, usage. In SQLite or in PostgreSQL, by one set of queries.
//!
//! Shape: an operation is a function over [`Tx`], in the module of its noun, and is one transaction; [`Catalog`] runs it.
//! No SQL, no connection and no cursor leaves this crate. Where bytes lie is a text to it, and HTTP it does not know.
//! Units: times are Unix milliseconds and come in as arguments; sizes are bytes. Fails: [`Error`].
//! Words: a *link* lets a repository serve a blob; an *edge* is what a manifest names; edge, link, blob row and durable
//! bytes each imply the next (I4), and foreign keys hold that.

mod audit;
mod blobs;
mod catalog;
mod contents;
mod edges;
mod engine;
mod error;
mod gc;
mod history;
mod imports;
mod links;
mod manifests;
mod put;
mod referrers;
mod repos;
mod restore;
mod schema;
mod sql;
mod stamps;
mod tags;
mod tombstones;
mod trash;
mod uploads;
mod usage;
mod users;

pub use audit::audit;
pub use blobs::{
    BlobRecord, Health, NewBlob, Place, Published, Unlinked, find_blob, inline_bytes, known_location,
    mark_blob, publish_blob, stored_file, touch_blob, unlink_blob,
};
pub use catalog::{Catalog, Plan};
pub use contents::{HeldBlob, HeldManifest, HeldTag, held_blobs, held_manifests, held_tags};
pub use engine::{PostgresOptions, SqliteOptions};
pub use error::{Cause, Error};
pub use gc::{
    GcStatus, Hold, KeptBlob, KeptLink, KeptManifest, LinksReviewed, ManifestsReviewed, Orphan, Pause,
    PauseCause, Pending, Purged, WhyKept, count_orphans, find_orphan, forget_orphans, gc_pause, gc_status,
    list_orphans, next_due, note_orphan, pause_gc, place_hold, purge, release_hold, renew_hold, resume_gc,
    review_links, review_manifests, unknown_locations, why_kept,
};
pub use history::{EventKind, TagEvent, tag_history};
pub use imports::{
    AdoptedBlob, AdoptedManifest, AdoptedTag, BlobState, Import, TagOutcome, adopt_blobs, adopt_manifest,
    adopt_tag, advance_import, begin_import, blob_states, finish_import, is_imported,
};
pub use links::{MountSource, mount_blob, repos_with_blob, should_renew};
pub use manifests::{ManifestRecord, find_manifest, stat_manifest, touch_manifest};
pub use put::{Child, Edge, EdgeKind, NewManifest, Precondition, PutManifest, put_manifest};
pub use referrers::{Referrer, Referrers, ReferrersPage, ReferrersWanted, list_referrers};
pub use repos::{RepositoriesPage, list_repositories, repo_exists};
pub use restore::{Restored, restore};
pub use sql::Tx;
pub use stamps::{Aspect, Stamp};
pub use tags::{TagPage, delete_tag, list_tags, weigh_tags};
pub use tombstones::{Tombstone, due_tombstones, finish_tombstones, postpone_tombstones};
pub use trash::{Trashed, trash_manifest};
pub use uploads::{
    UploadRow, delete_upload, expired_uploads, find_upload, list_upload_ids, save_checkpoint, uploads_of,
};
pub use usage::{Scope, Usage, usage};
