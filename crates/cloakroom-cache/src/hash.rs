//! Hashes of keys, so that neither Redis nor a message contains a user's id.

use std::fmt::{self, Display, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How many bytes of an HMAC are used: 128 bits, so that nobody finds two keys with one hash.
const LEN: usize = 16;

/// The secret, if the app sets none.
pub(crate) const PUBLIC_SECRET: &[u8] = b"cloakroom-cache/1";

/// The hash of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KeyHash([u8; LEN]);

impl KeyHash {
    pub(crate) const fn as_bytes(&self) -> &[u8; LEN] {
        &self.0
    }

    /// Decodes the text that `Display` has written.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({self})")
    }
}

/// Hashes the keys of one cache with HMAC-SHA256.
#[derive(Clone)]
pub(crate) struct KeyHasher(Hmac<Sha256>);

impl KeyHasher {
    pub(crate) fn new(secret: &[u8], name: &str) -> Self {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret).expect("HMAC accepts a key of any length");
        mac.update(&(name.len() as u64).to_be_bytes());
        mac.update(name.as_bytes());
        Self(mac)
    }

    /// Hashes the text of a key.
    pub(crate) fn hash(&self, key: &impl Display) -> KeyHash {
        let mut updates = Updates(self.0.clone());
        write!(updates, "{key}").expect("updating a hash does not fail");
        let digest = updates.0.finalize().into_bytes();
        KeyHash(std::array::from_fn(|index| digest[index]))
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher(..)")
    }
}

struct Updates(Hmac<Sha256>);

impl fmt::Write for Updates {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_secret_name_and_key() {
        let hash =
            |secret: &str, name, key: &str| KeyHasher::new(secret.as_bytes(), name).hash(&key);
        let hashes = [
            hash("secret", "user", "7"),
            hash("other", "user", "7"),
            hash("secret", "role", "7"),
            hash("secret", "user", "8"),
            hash("secret", "use", "r7"),
        ];
        for (index, one) in hashes.iter().enumerate() {
            assert!(!hashes[..index].contains(one));
        }
        assert_eq!(hashes[0], KeyHasher::new(b"secret", "user").hash(&7));
    }

    #[test]
    fn the_text_of_a_hash_can_be_decoded() {
        let hash = KeyHasher::new(b"secret", "user").hash(&7);
        assert_eq!(KeyHash::decode(&hash.to_string()), Some(hash));
        assert_eq!(KeyHash::decode("*"), None);
        assert_eq!(KeyHash::decode(&hash.to_string()[1..]), None);
    }
}
