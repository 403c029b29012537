//! Hashes of what a limit is counted by, so that no key contains an address, an account or a user.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How many bytes of a digest are used: 128 bits, so that nobody finds two subjects with one key.
const LEN: usize = 16;

/// The key of the hash, if the app sets none: then a hash of an address can be found by trying addresses.
const PUBLIC_KEY: &[u8] = b"cloakroom-limit/1";

/// Hashes with HMAC-SHA256.
#[derive(Clone)]
pub(crate) struct Hasher(Arc<[u8]>);

impl Hasher {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(key.into())
    }

    /// Hashes `value`, which is of this kind, to 22 characters of base64url.
    pub(crate) fn hash(&self, kind: &str, value: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(mac(&self.0, &[kind.as_bytes(), value]))
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new(PUBLIC_KEY)
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher(..)")
    }
}

/// Authenticates a list of parts, each with its length, so that their boundaries count.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; LEN] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC accepts a key of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    let digest = mac.finalize().into_bytes();
    std::array::from_fn(|index| digest[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_key_kind_value_and_the_boundary_between_them() {
        let hasher = Hasher::default();
        let hashes = [
            hasher.hash("a", b"b"),
            hasher.hash("ab", b""),
            hasher.hash("", b"ab"),
            hasher.hash("b", b"a"),
            Hasher::new(b"another").hash("a", b"b"),
        ];
        for (index, one) in hashes.iter().enumerate() {
            assert_eq!(one.len(), 22);
            assert!(!hashes[..index].contains(one));
        }
        assert_eq!(hashes[0], hasher.hash("a", b"b"));
    }
}
