//! The public identity of a session: its id, and the revision of its last commit.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{Builder, Uuid, Variant, Version};

use crate::clock::Timestamp;
use crate::rng::{Rng, RngError};

/// The public id of a session: a UUIDv7 (RFC 9562, section 5.7).
///
/// It appears in logs, in lists of a user's sessions and in Redis keys. It does not authenticate
/// anybody: only the [`Token`](crate::Token) does, which also contains a secret.
///
/// With serde, an id is its text, as [`Display`](fmt::Display) writes it.
///
/// ```
/// use cloakroom_core::SessionId;
///
/// let id: SessionId = "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b".parse()?;
/// assert_eq!(id.to_string(), "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b");
/// assert_eq!(id.created_at().as_millis(), 0x0191_e0c4_8f2a);
/// # Ok::<(), cloakroom_core::id::ParseIdError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// The length of an id's text, in bytes.
    pub const TEXT_LEN: usize = 36;

    /// Creates an id from a time and ten random bytes, of which 74 bits are used.
    pub(crate) fn from_parts(now: Timestamp, random: &[u8; 10]) -> Self {
        Self(Builder::from_unix_timestamp_millis(now.as_millis(), random).into_uuid())
    }

    /// Creates an id from its sixteen bytes; `None` if they are not a UUIDv7.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let uuid = Uuid::from_bytes(bytes);
        let is_v7 =
            uuid.get_version() == Some(Version::SortRand) && uuid.get_variant() == Variant::RFC4122;
        is_v7.then_some(Self(uuid))
    }

    /// Returns the id's sixteen bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Returns when the id was issued, by the clock of the server that issued it.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&self.0.as_bytes()[..6]);
        Timestamp::from_millis(u64::from_be_bytes(millis))
    }

    /// Appends the id's text to `out`. Faster than [`Display`](fmt::Display), which writes the same.
    pub fn write_into(&self, out: &mut String) {
        let mut text = [0; Self::TEXT_LEN];
        out.push_str(self.0.as_hyphenated().encode_lower(&mut text));
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for SessionId {
    type Err = ParseIdError;

    /// Parses the lower-case hyphenated form that `Display` writes; other forms of a UUID are errors.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Uuid::try_parse(text)
            .ok()
            .and_then(|uuid| Self::from_bytes(uuid.into_bytes()))
            .ok_or(ParseIdError)?;
        let mut canonical = [0; Self::TEXT_LEN];
        if id.0.as_hyphenated().encode_lower(&mut canonical) == text {
            Ok(id)
        } else {
            Err(ParseIdError)
        }
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; Self::TEXT_LEN];
        serializer.serialize_str(self.0.as_hyphenated().encode_lower(&mut text))
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(IdText)
    }
}

/// Reads an id from its text.
struct IdText;

impl Visitor<'_> for IdText {
    type Value = SessionId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a session id: a UUIDv7 in lower-case hyphenated form")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SessionId, E> {
        text.parse().map_err(E::custom)
    }
}

/// The text is not a session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseIdError;

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a session id: expected a UUIDv7 in lower-case hyphenated form")
    }
}

impl Error for ParseIdError {}

/// The revision of a stored record: 64 random bits, drawn for each commit.
///
/// It is not a counter: two writers that start from the same record would write the same number, and
/// a writer whose response was lost could not tell its own commit from the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision(u64);

impl Revision {
    /// Draws a new revision.
    ///
    /// # Errors
    ///
    /// If the random number generator fails.
    pub fn draw(rng: &(impl Rng + ?Sized)) -> Result<Self, RngError> {
        let mut bytes = [0; 8];
        rng.fill(&mut bytes)?;
        Ok(Self(u64::from_be_bytes(bytes)))
    }

    /// Creates a revision from its bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the revision's bits.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Revision {
    /// Writes sixteen lower-case hexadecimal digits, as in a stored record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b";

    #[test]
    fn an_id_is_serialized_as_its_text() {
        let id: SessionId = TEXT.parse().unwrap();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{TEXT}\""));
        assert_eq!(serde_json::from_str::<SessionId>(&json).unwrap(), id);
    }

    #[test]
    fn text_that_is_not_an_id_is_an_error_that_says_what_is_expected() {
        let upper_case = format!("\"{}\"", TEXT.to_uppercase());
        for json in ["7", "null", "\"ada\"", "\"\"", &upper_case] {
            let error = serde_json::from_str::<SessionId>(json).unwrap_err();
            assert!(error.to_string().contains("a UUIDv7"), "{error}");
        }
    }
}
