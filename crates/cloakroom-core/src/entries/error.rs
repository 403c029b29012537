//! Errors of a single entry.

use std::any::type_name;
use std::error::Error;
use std::fmt;

use serde_json::error::Category;

use super::checked::Refusal;

/// A value cannot be kept as JSON, a stored value is not of the requested type, or a counter left the range of
/// its type.
///
/// The error names the key and the type, and never the value, which may be personal data. For the same
/// reason it has no source: the JSON parser's message quotes what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryError {
    key: Box<str>,
    type_name: &'static str,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Encode(&'static str),
    Decode(&'static str),
    Overflow,
}

impl EntryError {
    pub(super) fn encode<T: ?Sized>(key: &str, refusal: Option<Refusal>) -> Self {
        let reason = Reason::Encode(match refusal {
            None => "its Serialize failed, or it has map keys that JSON cannot hold",
            Some(Refusal::NotFinite) => {
                "it contains a float that is NaN or infinite, which JSON cannot hold"
            }
            Some(Refusal::SomeOfNull) => {
                "it contains `Some` of a value that JSON writes as null, and that would be read as `None`"
            }
            Some(Refusal::TooDeep) => {
                "it has more than 127 levels of lists, maps and enum variants"
            }
        });
        Self::new::<T>(key, reason)
    }

    pub(super) fn decode<T: ?Sized>(key: &str, error: &serde_json::Error) -> Self {
        let reason = Reason::Decode(match error.classify() {
            Category::Data if error.to_string().starts_with("missing field") => {
                "the JSON lacks a required field"
            }
            Category::Data => "the JSON is of another shape",
            Category::Syntax | Category::Eof | Category::Io => "the JSON is broken",
        });
        Self::new::<T>(key, reason)
    }

    fn new<T: ?Sized>(key: &str, reason: Reason) -> Self {
        Self {
            key: key.into(),
            type_name: type_name::<T>(),
            reason,
        }
    }

    /// The error of a counter of type `T` that would leave the range of its type.
    #[must_use]
    pub fn overflow<T>(key: &str) -> Self {
        Self::new::<T>(key, Reason::Overflow)
    }

    /// Returns the key of the entry.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the name of the type that the value was to be written from, or read as.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Returns whether writing a value failed, rather than reading one.
    #[must_use]
    pub const fn is_encode(&self) -> bool {
        matches!(self.reason, Reason::Encode(_))
    }

    /// Returns whether a stored value is not of the requested type.
    #[must_use]
    pub const fn is_decode(&self) -> bool {
        matches!(self.reason, Reason::Decode(_))
    }

    /// Whether a counter would have left the range of its type.
    #[must_use]
    pub const fn is_overflow(&self) -> bool {
        matches!(self.reason, Reason::Overflow)
    }
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, type_name) = (&self.key, self.type_name);
        match self.reason {
            Reason::Encode(category) => write!(
                f,
                "the session entry `{key}` cannot be written from `{type_name}`: {category}"
            ),
            Reason::Decode(category) => write!(
                f,
                "the session entry `{key}` cannot be read as `{type_name}`: {category}"
            ),
            Reason::Overflow => write!(
                f,
                "the session entry `{key}` cannot be incremented: the sum does not fit into `{type_name}`"
            ),
        }
    }
}

impl Error for EntryError {}
