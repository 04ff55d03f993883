//! `_state` of an upload's Location: which byte the answer that carried it left the upload at, signed.
//!
//! A proxy that sends a PATCH twice would append its bytes twice; the second copy carries a state that the upload has
//! left behind, and is refused. Fails: `BadState` for one that we did not sign.
//! Source: the `_state` parameter of the CNCF registry.

use hmac::{Hmac, KeyInit, Mac};
use oci::{Digest, RepositoryName};
use sha2::{Digest as _, Sha256, Sha512};
use uuid::Uuid;

/// Signs and reads states. The key is `http.secret`, or one made at the first start.
#[derive(Clone)]
pub struct StateKey(Hmac<Sha256>);

/// Not a state of ours for this upload.
#[derive(Debug, PartialEq, Eq)]
pub struct BadState;

impl StateKey {
    /// A key of any length.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        // Hashed to the size of HMAC's block, so that a secret of any length is a key.
        Self(Hmac::new(&Sha512::digest(secret)))
    }

    /// `<offset>.<hex of the signature>`.
    #[must_use]
    pub fn sign(&self, name: &RepositoryName, id: Uuid, offset: u64) -> String {
        let tag = self.mac(name, id, offset).finalize().into_bytes();
        format!("{offset}.{}", Digest::Sha256(tag.into()).hex())
    }

    /// The offset in a state that we signed for this upload.
    pub fn read(&self, name: &RepositoryName, id: Uuid, state: &str) -> Result<u64, BadState> {
        let (offset, tag) = state.split_once('.').ok_or(BadState)?;
        let offset = offset.parse().map_err(|_| BadState)?;
        let tag: Digest = format!("sha256:{tag}").parse().map_err(|_| BadState)?;
        self.mac(name, id, offset)
            .verify_slice(tag.raw())
            .map_err(|_| BadState)?;
        Ok(offset)
    }

    fn mac(&self, name: &RepositoryName, id: Uuid, offset: u64) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(id.as_bytes());
        mac.update(&offset.to_be_bytes());
        mac.update(name.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_state_is_good_for_its_own_upload_only() {
        let key = StateKey::new(b"secret");
        let (name, other): (RepositoryName, RepositoryName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let id = Uuid::from_u128(7);
        let state = key.sign(&name, id, 42);
        assert_eq!(key.read(&name, id, &state), Ok(42));
        assert_eq!(key.read(&other, id, &state), Err(BadState));
        assert_eq!(key.read(&name, Uuid::from_u128(8), &state), Err(BadState));
        assert_eq!(key.read(&name, id, &state.replace("42", "43")), Err(BadState));
        assert_eq!(StateKey::new(b"other").read(&name, id, &state), Err(BadState));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,80}") {
            let _ = StateKey::new(b"k").read(&"a".parse().unwrap(), Uuid::nil(), &text);
        }
    }
}
