//! What is wrong with an entry.

use std::any::type_name;
use std::error::Error;
use std::fmt;

/// A value could not be written as JSON, or what is stored is of another type.
///
/// It names the key and the type, and never the value, which may be anybody's data: so the JSON
/// parser's own text, which quotes what it found, is not kept as its source.
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
                (_, Direction::Encode) => "its Serialize failed, or gave map keys that are no text",
                (Category::Data, _) => "the JSON is of another shape",
                (Category::Syntax | Category::Eof | Category::Io, _) => "the JSON is broken",
            },
        }
    }

    /// The key of the entry.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether a value could not be written, rather than not be read.
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
