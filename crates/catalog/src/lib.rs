//! Facts about the bytes: which repository may serve which blob, manifests and what they name, tags and their
//! history, trash, uploads, usage. In SQLite or in PostgreSQL, by one set of queries.
//!
//! Shape: an operation is a function over [`Tx`], in the module of its noun, and is one transaction; [`Catalog`] runs it.
//! No SQL, no connection and no cursor leaves this crate. Where bytes lie is a text to it, and HTTP it does not know.
//! Units: times are Unix milliseconds and come in as arguments; sizes are bytes. Fails: [`Error`].
//! Words: a *link* lets a repository serve a blob; an *edge* is what a manifest names; edge, link, blob row and durable
//! bytes each imply the next (I4), and foreign keys hold that.

mod audit;
mod backups;
mod blobs;
mod brought;
mod catalog;
mod contents;
mod copy;
mod damages;
mod edges;
mod emptying;
mod engine;
mod error;
mod gc;
mod guard;
mod history;
mod imports;
mod leases;
mod links;
mod manifests;
mod names;
mod policies;
mod pulls;
mod pushes;
mod put;
mod quota;
mod recorded;
mod referrers;
mod repos;
mod restore;
mod retention;
mod revive;
mod rollback;
mod schema;
mod scrub;
mod space;
mod sql;
mod stamps;
mod tag_views;
mod tags;
mod tombstones;
mod traces;
mod trash;
mod trash_views;
mod uploads;
mod usage;
mod users;

pub use audit::{AUDIT_RULES, audit, audit_rule};
pub use backups::{
    Change, Changed, StoredBlob, blobs_of, changes_since, last_change, missing_of, stored_blobs,
    stored_blobs_between, tags_to, wake_copy,
};
pub use blobs::{
    BlobRecord, Health, NewBlob, Place, Published, Unlinked, find_blob, inline_bytes, known_location,
    publish_blob, stored_file, touch_blob, unlink_blob,
};
pub use brought::{BroughtTag, TagBrought, bring_tag, link_stored};
pub use catalog::{Catalog, Plan};
pub use contents::{HeldBlob, HeldManifest, HeldTag, held_blobs, held_manifests, held_tags};
pub use copy::{CatalogCopy, CopyFacts};
pub use damages::{
    Cause as DamageCause, Damaged, Needs, count_damages, find_damage, heal_blob, heal_manifest, list_damages,
    mark_bad, mark_manifest_bad, mark_restored, suspect, who_needs,
};
pub use emptying::{Emptied, empty_trash};
pub use engine::{PostgresOptions, SqliteOptions};
pub use error::{Cause, Error};
pub use gc::{
    GcStatus, Hold, KeptBlob, KeptLink, KeptManifest, LinksReviewed, ManifestsReviewed, Orphan, Pause,
    PauseCause, Pending, Purged, RepositoriesPurged, WhyKept, count_orphans, digests_between, find_orphan,
    forget_orphans, gc_pause, gc_status, leased_links, list_orphans, next_due, note_orphan, pause_gc,
    place_hold, purge, purge_repositories, purge_trash_of, release_hold, renew_hold, resume_gc, review_links,
    review_manifests, shorten_leases, unknown_locations, why_kept,
};
pub use guard::{Guard, ImmutableTags, Quota, may_go};
pub use history::{EventKind, TagEvent, tag_history};
pub use imports::{
    AdoptedBlob, AdoptedManifest, AdoptedTag, BlobState, Import, TagOutcome, adopt_blobs, adopt_manifest,
    adopt_tag, advance_import, begin_import, blob_states, finish_import, import_cursor, is_imported,
    last_import,
};
pub use leases::{Turn, end_turn, take_turn};
pub use links::{MountSource, mount_blob, repos_with_blob, should_renew};
pub use manifests::{ManifestRecord, find_manifest, stat_manifest, touch_manifest};
pub use names::{Holder, NameMoved, change_time, holder_of, led_to, names_moved, tags_ever};
pub use policies::{Policy, PolicyKind, list_policies, remove_policy, set_policy};
pub use pulls::{Pulls, record_pulls};
pub use put::{Child, Edge, EdgeKind, NewManifest, Precondition, PutManifest, put_manifest};
pub use quota::{Limited, OverQuota, biggest, usage_under, would_pass};
pub use recorded::{
    Owner, RecordedBlob, RecordedBody, RecordedUpload, list_tombstones, list_uploads, owners, recorded_blobs,
    recorded_bodies,
};
pub use referrers::{Referrer, Referrers, ReferrersPage, ReferrersWanted, list_referrers};
pub use repos::{
    Renamed, RepositoriesPage, RepositoryDeleted, RepositorySettings, RepositoryView, RepositoryViews,
    delete_repository, list_repositories, may_rename, rename_repository, repo_exists, repository_view,
    repository_views, set_repository,
};
pub use restore::{RestoreWish, Restored, TakenTag, restore};
pub use retention::{
    Freed, LooseManifest, LoosePage, Removal, Removed, RetainedRepository, Retaining, RetentionRun,
    RunOutcome, TagState, TagsAfter, WouldFree, begin_run, find_retained, finish_run, last_scheduled_run,
    list_loose, list_retained, list_runs, retain, retention_reason, rules_of_reason, tag_states,
};
pub use rollback::{MoveTo, TagMove, TagMoved, move_tag};
pub use scrub::{
    Due, Kept, Sifted, Walk, count_suspects, due_for_scrub, find_walk, mark_good, oldest_verified,
    pause_scrub, resume_scrub, save_walk, scrub_pause, sift,
};
pub use space::{
    BlobSums, Freeable, Named, RepositoryUsage, TagSpace, TrashOf, freeable, is_named_elsewhere, list_usage,
    named_by, space_of_tags, sum_blobs, trash_of,
};
pub use sql::Tx;
pub use stamps::{Aspect, Stamp};
pub use tag_views::{TagView, TagViews, tag_views};
pub use tags::{TagPage, Untagged, delete_tag, list_tags, weigh_tags};
pub use tombstones::{Tombstone, due_tombstones, finish_tombstones, postpone_tombstones};
pub use traces::{Fate, Trace, trace_blob, trace_manifest, trace_repository};
pub use trash::{Trashed, trash_manifest};
pub use trash_views::{
    TrashEntry, TrashKind, TrashPage, TrashPlace, find_in_trash, has_name, has_or_had_name, in_trash_between,
    list_trash, repository_of, trash_entry,
};
pub use uploads::{
    UploadRow, delete_upload, expired_uploads, find_upload, list_upload_ids, save_checkpoint, uploads_of,
};
pub use usage::{Scope, Usage, usage};
