//! The bytes of an upload, as whoever speaks to the client gives them.
//!
//! Shape: `next` until there are no more; `receive` in its place where `is_direct` says so. Fails: `BodyCut`.

use bytes::Bytes;
use store::Intake;

/// Bytes as they come from a client.
pub trait Body: Send + 'static {
    /// The next bytes; none at the end.
    fn next(&mut self) -> impl Future<Output = Option<Result<Bytes, BodyCut>>> + Send;

    /// Whether more bytes are to come, and can be received where they are needed: by `receive` in place of `next`.
    fn is_direct(&self) -> bool {
        false
    }

    /// Receives into `intake` until that is full or no more comes, and gives it back; `next` says what the matter is
    /// then. None if it was lost, which ends the upload.
    fn receive(&mut self, intake: Intake) -> impl Future<Output = Option<Intake>> + Send {
        std::future::ready(Some(intake))
    }
}

/// The client left before the end of its body.
#[derive(Clone, Copy, Debug)]
pub struct BodyCut;
