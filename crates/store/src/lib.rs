//! Bytes: blobs by location, uploads, hashing while receiving, ranges, durability.
//!
//! Shape: `FsStore::begin` -> `Upload` --append--> `Upload` --verify--> `Verified` --publish--> `Published`, whose
//! `Location` the caller writes down; `FsStore::open_blob(location)` -> `BlobFile`, read in ranges.
//! Units: offsets and sizes are bytes (`u64`).
//! Knows nothing of repositories, tags, HTTP or SQL: which digest lies at which location is the caller's to remember.
//! Fails: `Error`, which tells a full disk, a vanished upload, a wrong digest and a broken disk apart.

mod error;
mod files;
mod fs;
mod hash;
mod location;
#[cfg(feature = "testing")]
pub mod testing;

pub use error::Error;
pub use files::{Access, File, Files, HostFiles, Lock, Mount, Reserve, Space};
pub use fs::{
    BlobFile, BlobReader, BootId, Brought, Checkpoint, Forecast, FsOptions, FsStore, InFlight, Inlined,
    Intake, Plan, Published, REREAD_STEP, Reconciled, Reread, Revival, Revived, Room, Seen, Shard, Step,
    Trust, Upload, UploadFile, Verdict, Verified, existing, unfinished_revival,
};
pub use hash::Hasher;
pub use location::{BadLocation, Location};
