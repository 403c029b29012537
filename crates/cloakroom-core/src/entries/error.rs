//! Errors of a single entry.

use std::any::type_name;
use std::error::Error;
use std::fmt;

/// A value could not be written as JSON, or a stored value is not of the requested type.
///
/// The error names the key and the type, and never the value, which may be personal data. For the same
/// reason it has no source: the JSON parser's message quotes what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryError {
    key: Box<str>,
    type_name: &'static str,
    direction: Direction,
    category: &'static str,
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
        Self {
            key: key.into(),
            type_name: type_name::<T>(),
            direction,
            category: match (error.classify(), direction) {
                (_, Direction::Encode) => {
                    "its Serialize implementation failed, or a map key is not a string"
                }
                (Category::Data, _) => "the JSON has another shape",
                (Category::Syntax | Category::Eof | Category::Io, _) => "the JSON is invalid",
            },
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
        matches!(self.direction, Direction::Encode)
    }
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.direction {
            Direction::Encode => "written from",
            Direction::Decode => "read as",
        };
        write!(
            f,
            "the session entry `{}` cannot be {verb} `{}`: {}",
            self.key, self.type_name, self.category
        )
    }
}

impl Error for EntryError {}
