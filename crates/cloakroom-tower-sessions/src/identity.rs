//! From the id in a tower-sessions cookie to the place of its record, which does not show it.

use std::fmt;

use cloakroom_core::{Digest, SessionId};
use sha2::{Digest as _, Sha256};

/// Where records of tower-sessions' ids stand, and what proves that one is the id's own.
///
/// Both are hashes of the realm and the id: who reads the store learns no id that a browser could
/// present.
#[derive(Clone)]
pub(crate) struct Identity {
    place: SessionId,
    digest: Digest,
}

impl Identity {
    /// The identity of an id (its sixteen bytes) in a realm.
    pub(crate) fn of(realm: &str, id: [u8; 16]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash(b"cloakroom/tower-sessions/place/1\0", realm, id)[..16]);
        // The bits of a UUIDv7, which is what stores take; the other 122 are the hash's.
        bytes[6] = (bytes[6] & 0x0f) | 0x70;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let digest = hash(b"cloakroom/tower-sessions/digest/1\0", realm, id);
        Self {
            place: SessionId::from_bytes(bytes).expect("these are the bits of a UUIDv7"),
            digest: Digest::from_bytes(digest),
        }
    }

    /// Under what the record stands.
    pub(crate) const fn place(&self) -> SessionId {
        self.place
    }

    /// What the record holds of the id.
    pub(crate) const fn digest(&self) -> Digest {
        self.digest
    }
}

fn hash(purpose: &[u8], realm: &str, id: [u8; 16]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(purpose);
    // The length first, so that no realm and id read as another realm and id.
    hasher.update((realm.len() as u64).to_be_bytes());
    hasher.update(realm.as_bytes());
    hasher.update(id);
    hasher.finalize().into()
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.place).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_and_digest_depend_on_the_realm_and_the_id_and_show_neither() {
        let one = Identity::of("a", [7; 16]);
        assert_eq!(one.place(), Identity::of("a", [7; 16]).place());
        for other in [Identity::of("b", [7; 16]), Identity::of("a", [8; 16])] {
            assert_ne!(one.place(), other.place());
            assert_ne!(one.digest(), other.digest());
        }
        assert_ne!(one.place().as_bytes(), &[7; 16]);
    }
}
