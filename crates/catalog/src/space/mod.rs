//! Where the bytes are: what repositories and images take, what of it is theirs alone, and what deleting them would free.
//!
//! A blob is freed by deleting a set of manifests when no manifest outside the set names it, in any repository; manifests
//! in the trash name their blobs until they are purged. Leases are not looked at: they end by themselves. Exact for what
//! one transaction sees. Shape: steps over at most `limit` rows, so that no reader holds a transaction for long; work is
//! that of what is asked about, whatever else there is. Units: bytes, each blob once; Unix milliseconds.

mod freeable;
mod operations;
mod repositories;
mod tags;

pub use freeable::{Freeable, Named, freeable, is_named_elsewhere, named_by};
pub(crate) use operations::freed_by_operation;
pub use repositories::{BlobSums, RepositoryUsage, TrashOf, list_usage, sum_blobs, trash_of};
pub use tags::{TagSpace, space_of_tags};
