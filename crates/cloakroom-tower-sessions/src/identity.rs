//! Derives the key and the digest of a record from the id in a tower-sessions cookie.

use std::fmt;

use cloakroom_core::{Digest, SessionId};
use sha2::{Digest as _, Sha256};

/// The key of a tower-sessions session in the store, and the digest that its record must have.
///
/// Both are hashes of the realm and the id. So read access to the store does not reveal any id, which is the
/// value of a cookie.
#[derive(Clone)]
pub(crate) struct Identity {
    key: SessionId,
    digest: Digest,
}

impl Identity {
    /// Computes the identity of an id (its sixteen bytes) in a realm.
    pub(crate) fn of(realm: &str, id: [u8; 16]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash(b"cloakroom/tower-sessions/place/1\0", realm, id)[..16]);
        // Stores require a UUIDv7: these are its version and variant. The other 122 bits are from the hash.
        bytes[6] = (bytes[6] & 0x0f) | 0x70;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let digest = hash(b"cloakroom/tower-sessions/digest/1\0", realm, id);
        Self {
            key: SessionId::from_bytes(bytes).expect("these are the bits of a UUIDv7"),
            digest: Digest::from_bytes(digest),
        }
    }

    /// Returns the id under which the record is stored.
    pub(crate) const fn key(&self) -> SessionId {
        self.key
    }

    /// Returns the digest that the record must have.
    pub(crate) const fn digest(&self) -> Digest {
        self.digest
    }
}

fn hash(purpose: &[u8], realm: &str, id: [u8; 16]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(purpose);
    // The length comes first, so that two different pairs of realm and id never hash the same bytes.
    hasher.update((realm.len() as u64).to_be_bytes());
    hasher.update(realm.as_bytes());
    hasher.update(id);
    hasher.finalize().into()
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.key).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_digest_depend_on_realm_and_id_and_reveal_neither() {
        let one = Identity::of("a", [7; 16]);
        assert_eq!(one.key(), Identity::of("a", [7; 16]).key());
        for other in [Identity::of("b", [7; 16]), Identity::of("a", [8; 16])] {
            assert_ne!(one.key(), other.key());
            assert_ne!(one.digest(), other.digest());
        }
        assert_ne!(one.key().as_bytes(), &[7; 16]);
    }
}
