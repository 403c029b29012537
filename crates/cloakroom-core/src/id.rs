//! What may be seen of a session's identity: its id, and the stamp of its last commit.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use uuid::{Builder, Uuid, Variant, Version};

use crate::clock::Timestamp;
use crate::entropy::{Entropy, EntropyError};

/// The public name of a session: a UUIDv7 (RFC 9562, section 5.7).
///
/// It appears in logs, in lists of devices and in Redis keys. It opens nothing: that takes the
/// [`Token`](crate::Token), which holds a secret beside it.
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
    /// An id from a moment and ten random bytes, of which 74 bits count.
    pub(crate) fn from_parts(now: Timestamp, random: &[u8; 10]) -> Self {
        Self(Builder::from_unix_timestamp_millis(now.as_millis(), random).into_uuid())
    }

    /// The id in these sixteen bytes, if they are a UUIDv7.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let uuid = Uuid::from_bytes(bytes);
        let is_v7 =
            uuid.get_version() == Some(Version::SortRand) && uuid.get_variant() == Variant::RFC4122;
        is_v7.then_some(Self(uuid))
    }

    /// The id's sixteen bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// When the id was issued, by the clock of the server that did it.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&self.0.as_bytes()[..6]);
        Timestamp::from_millis(u64::from_be_bytes(millis))
    }
}

impl SessionId {
    /// The length of an id's text.
    pub const TEXT_LEN: usize = 36;

    /// Writes the id's text behind what `out` holds: what `Display` does, at a fraction of its price.
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

    /// Reads the hyphenated form that `Display` writes, in lower case, and no other.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Uuid::try_parse(text)
            .ok()
            .and_then(|uuid| Self::from_bytes(uuid.into_bytes()))
            .ok_or(ParseIdError)?;
        let mut canonical = [0; 36];
        if id.0.as_hyphenated().encode_lower(&mut canonical) == text {
            Ok(id)
        } else {
            Err(ParseIdError)
        }
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

/// The stamp of one commit: 64 random bits, new each time.
///
/// Not a counter: a writer must be able to tell its own commit from another's, even when both
/// wrote the same bytes at the same count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision(u64);

impl Revision {
    /// Draws a fresh stamp.
    ///
    /// # Errors
    ///
    /// When the random number generator fails.
    pub fn draw(entropy: &(impl Entropy + ?Sized)) -> Result<Self, EntropyError> {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes)?;
        Ok(Self(u64::from_be_bytes(bytes)))
    }

    /// The stamp with these bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The stamp's bits.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Revision {
    /// Sixteen lower-case hexadecimal digits, as in a stored record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
