//! Bytes, as text.

use std::fmt;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes that an entry keeps as base64: a third longer than the bytes. A `Vec<u8>` is kept as a list of
/// numbers, which is three to four times as long.
///
/// Such a list can be read as well, so an entry may change from `Vec<u8>` to this type.
///
/// ```
/// use cloakroom_core::Entries;
/// use cloakroom_core::entries::Base64;
///
/// let mut entries = Entries::new();
/// entries.set("key", &Base64(vec![7; 32]))?;
/// assert_eq!(entries.get("key")?, Some(Base64(vec![7; 32])));
///
/// entries.set("key", &vec![7_u8; 32])?;
/// assert_eq!(entries.get("key")?, Some(Base64(vec![7; 32])));
/// # Ok::<(), cloakroom_core::EntryError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Base64(
    /// The bytes.
    pub Vec<u8>,
);

impl From<Vec<u8>> for Base64 {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Base64 {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Base64 {
    /// Shows the length only, since the bytes may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base64({} bytes)", self.0.len())
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(&self.0, &STANDARD))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BytesVisitor).map(Self)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64, or a list of bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
        STANDARD
            .decode(text)
            .map_err(|_| E::custom("it is not base64"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = list.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_converted_from_a_list_and_to_a_slice() {
        let bytes = Base64::from(vec![7, 8, 9]);
        assert_eq!(bytes, Base64(vec![7, 8, 9]));
        assert_eq!(bytes.as_ref(), [7, 8, 9]);
    }
}
