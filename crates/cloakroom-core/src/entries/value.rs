//! A value, kept as JSON text.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Direction, EntryError};

/// One value, as JSON text. Clones share it: the working copy, the log of edits and the stored record
/// all hold it.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Part);

impl Value {
    pub(super) const fn new(json: Part) -> Self {
        Self(json)
    }

    /// How much of a longer text it is; nothing, if it is all of its own.
    pub(super) fn len_in_shared_text(&self) -> usize {
        match self.0.range.len() {
            len if len < self.0.whole.len() => len,
            _ => 0,
        }
    }

    /// How long the text is that it keeps in memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.0.whole.len()
    }

    /// The JSON text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Value {
    /// Shows the length alone: the text may be anybody's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.get().len())
    }
}

/// Encodes a value as JSON.
///
/// # Errors
///
/// When the value cannot be written as JSON, such as a map whose keys are not strings.
pub fn encode<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<Value, EntryError> {
    match serde_json::to_string(value) {
        Ok(json) => Ok(Value(Part::from(Arc::from(json)))),
        Err(error) => Err(EntryError::new::<T>(key, Direction::Encode, &error)),
    }
}

/// Decodes the value of `key`.
///
/// # Errors
///
/// When the JSON is not that of a `T`.
pub fn decode<T: DeserializeOwned>(key: &str, value: &Value) -> Result<T, EntryError> {
    serde_json::from_str(value.get())
        .map_err(|error| EntryError::new::<T>(key, Direction::Decode, &error))
}

/// A text, or a part of a longer one that it shares with others.
#[derive(Clone)]
pub(super) struct Part {
    whole: Arc<str>,
    range: Range<usize>,
}

impl Part {
    /// What stands in `text`, of which `whole` is a copy; a copy of its own for what stands elsewhere.
    pub(super) fn of(whole: &Arc<str>, text: &str, part: &str) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
        let range = start..start.wrapping_add(part.len());
        match whole.get(range.clone()) {
            Some(same) if same == part => Self {
                whole: Arc::clone(whole),
                range,
            },
            _ => Self::from(Arc::from(part)),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.whole[self.range.clone()]
    }
}

impl From<Arc<str>> for Part {
    fn from(whole: Arc<str>) -> Self {
        let range = 0..whole.len();
        Self { whole, range }
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Part {}
