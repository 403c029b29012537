//! Errors of a single entry.

use std::any::type_name;
use std::error::Error;
use std::fmt;

/// A value could not be written as JSON, a stored value is not of the requested type, or a counter left
/// the range of its type.
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
    Json(Direction, &'static str),
    Overflow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Encode,
    Decode,
}

impl EntryError {
    pub(super) fn new<T: ?Sized>(
        key: &str,
        direction: Direction,
        error: &serde_json::Error,
    ) -> Self {
        use serde_json::error::Category;
        let category = match (error.classify(), direction) {
            (_, Direction::Encode) => "its Serialize failed, or gave map keys that are no text",
            (Category::Data, _) => "the JSON is of another shape",
            (Category::Syntax | Category::Eof | Category::Io, _) => "the JSON is broken",
        };
        Self {
            key: key.into(),
            type_name: type_name::<T>(),
            reason: Reason::Json(direction, category),
        }
    }

    /// The error of a counter of type `T` that would leave the range of its type.
    #[must_use]
    pub fn overflow<T>(key: &str) -> Self {
        Self {
            key: key.into(),
            type_name: type_name::<T>(),
            reason: Reason::Overflow,
        }
    }

    /// Returns the key of the entry.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns whether writing a value failed, rather than reading one.
    #[must_use]
    pub const fn is_encode(&self) -> bool {
        matches!(self.reason, Reason::Json(Direction::Encode, _))
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
            Reason::Json(Direction::Encode, category) => write!(
                f,
                "the session entry `{key}` cannot be written from `{type_name}`: {category}"
            ),
            Reason::Json(Direction::Decode, category) => write!(
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
