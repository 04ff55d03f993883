//! The digest of a stream, with a middle state that can be written down and taken up again.
//!
//! State: as `sha2` serialises it (SHA-256: 105 bytes, SHA-512: 209), readable by any 0.11 release of that crate.
//! Fails: a state of another length or shape gives none.
//! Source: FIPS 180-4.

use oci::{Algorithm, Digest};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256, Sha512};

/// A running hash.
#[derive(Clone, Debug)]
pub struct Hasher(Running);

#[derive(Clone, Debug)]
enum Running {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// Of nothing yet.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self(Running::Sha256(Sha256::new())),
            Algorithm::Sha512 => Self(Running::Sha512(Sha512::new())),
        }
    }

    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Running::Sha256(hasher) => hasher.update(bytes),
            Running::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all of them.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.0 {
            Running::Sha256(hasher) => Digest::Sha256(hasher.finalize().into()),
            Running::Sha512(hasher) => Digest::Sha512(Box::new(hasher.finalize().into())),
        }
    }

    /// The digest of `bytes`.
    #[must_use]
    pub fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let mut hasher = Self::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    pub(crate) fn state(&self) -> Vec<u8> {
        match &self.0 {
            Running::Sha256(hasher) => hasher.serialize().to_vec(),
            Running::Sha512(hasher) => hasher.serialize().to_vec(),
        }
    }

    /// The hasher that gave `state`.
    pub(crate) fn from_state(algorithm: Algorithm, state: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Sha256 => {
                let state = SerializedState::<Sha256>::try_from(state).ok()?;
                Sha256::deserialize(&state)
                    .ok()
                    .map(|hasher| Self(Running::Sha256(hasher)))
            }
            Algorithm::Sha512 => {
                let state = SerializedState::<Sha512>::try_from(state).ok()?;
                Sha512::deserialize(&state)
                    .ok()
                    .map(|hasher| Self(Running::Sha512(hasher)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_state_goes_on_where_it_stopped(bytes in proptest::collection::vec(any::<u8>(), 0..700), cut in 0_usize..700) {
            let cut = cut.min(bytes.len());
            for algorithm in Algorithm::ALL {
                let mut first = Hasher::new(algorithm);
                first.update(&bytes[..cut]);
                let mut second = Hasher::from_state(algorithm, &first.state()).unwrap();
                prop_assert_eq!(first.state(), second.state());
                second.update(&bytes[cut..]);
                prop_assert_eq!(second.finish(), Hasher::digest(algorithm, &bytes));
            }
        }

        #[test]
        fn a_broken_state_never_panics(state in proptest::collection::vec(any::<u8>(), 0..300)) {
            for algorithm in Algorithm::ALL {
                let _ = Hasher::from_state(algorithm, &state);
            }
        }
    }

    #[test]
    fn known_answers() {
        let text = |algorithm, bytes| Hasher::digest(algorithm, bytes).to_string();
        assert_eq!(
            text(Algorithm::Sha256, b""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert!(text(Algorithm::Sha512, b"abc").starts_with("sha512:ddaf35a193617abacc417349ae204131"));
    }
}
