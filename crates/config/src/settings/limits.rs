//! Bounds on what a client may send. Units: bytes.

/// `limits`: bounds on what a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `limits.manifest`.
    pub manifest_bytes_max: u64,
    /// `limits.blob`.
    pub blob_bytes_max: Option<u64>,
    /// `limits.upload_sessions`, per user.
    pub upload_sessions_max: Option<u32>,
}
