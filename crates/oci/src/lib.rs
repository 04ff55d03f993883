//! The nouns of the OCI specifications, parsed once and valid ever after: digests, names, tags, references,
//! media types, descriptors, manifests, and the error codes of the wire.
//!
//! No I/O, no async, no other crate of ours. Text from outside becomes one of these types here; inside, no
//! function takes a string that means a name.
//! Source: opencontainers/distribution-spec 1.1 and opencontainers/image-spec 1.1.

mod code;
mod counted;
mod digest;
mod digest_prefix;
mod json;
mod manifest;
mod media_type;
mod name;

pub use code::Code;
pub use counted::{counted, either};
pub use digest::{Algorithm, BadDigest, Digest};
pub use digest_prefix::{BadPrefix, DigestPrefix};
pub use manifest::{DEPTH_MAX, DESCRIPTORS_MAX, Descriptor, Manifest, ManifestError, Platform};
pub use media_type::{MediaType, media_types};
pub use name::{BadName, Reference, RepositoryName, Tag};
