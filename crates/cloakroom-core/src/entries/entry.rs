//! One entry: a key, and its value as JSON text.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Direction, EntryError};

/// Room for the values of most apps, so that few are written in more than one go.
const ROOM: usize = 96;

/// A key, and its value as JSON text. Clones share the text: the working copy, the log of edits and the
/// stored record all hold it.
#[derive(Clone)]
pub struct Entry {
    /// Key and value stand in it; and if it was read, all that it was read with.
    text: Arc<str>,
    key: Range<usize>,
    json: Range<usize>,
}

impl Entry {
    /// Encodes the value of `key` as JSON.
    ///
    /// # Errors
    ///
    /// When the value cannot be written as JSON, such as a map whose keys are not strings.
    #[allow(clippy::missing_panics_doc, reason = "JSON is text")]
    pub fn encode<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<Self, EntryError> {
        let mut text = Vec::with_capacity(key.len() + ROOM);
        text.extend_from_slice(key.as_bytes());
        match serde_json::to_writer(&mut text, value) {
            Ok(()) => Ok(Self::of(key, str::from_utf8(&text).expect("JSON is text"))),
            Err(error) => Err(EntryError::new::<T>(key, Direction::Encode, &error)),
        }
    }

    /// Decodes the value.
    ///
    /// # Errors
    ///
    /// When the JSON is not that of a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, EntryError> {
        serde_json::from_str(self.json())
            .map_err(|error| EntryError::new::<T>(self.key(), Direction::Decode, &error))
    }

    /// The entry whose key and JSON stand in `text`, of which `copy` is a copy. What stands elsewhere, as a
    /// key that was escaped does, gets a text of its own.
    pub(super) fn read(copy: &Arc<str>, text: &str, key: &str, json: &str) -> Self {
        match (place(text, key), place(text, json)) {
            (Some(key), Some(json)) => Self {
                text: Arc::clone(copy),
                key,
                json,
            },
            _ => Self::of(key, &[key, json].concat()),
        }
    }

    /// The entry of a text that begins with its key, and is its JSON from there on.
    fn of(key: &str, text: &str) -> Self {
        Self {
            text: Arc::from(text),
            key: 0..key.len(),
            json: key.len()..text.len(),
        }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.text[self.key.clone()]
    }

    /// The value, as JSON text.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.text[self.json.clone()]
    }

    /// How much of a text that it shares with others is its value; nothing, if the text is its own.
    pub(super) fn len_in_shared_text(&self) -> usize {
        match self.key.len() + self.json.len() == self.text.len() {
            true => 0,
            false => self.json.len(),
        }
    }

    /// How long the text is that it keeps in memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.text.len()
    }
}

/// Where a part of a text stands in it; `None` for what is no part of it.
fn place(text: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= text.len()).then_some(start..end)
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        let is_same = Arc::ptr_eq(&self.text, &other.text) && self.json == other.json;
        is_same || (self.key() == other.key() && self.json() == other.json())
    }
}

impl Eq for Entry {}

impl fmt::Debug for Entry {
    /// Shows the key, and of the value the length alone: it may be anybody's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({:?}, {} bytes)", self.key(), self.json.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_where_it_stands_and_nothing_else_is() {
        let text = "one and another".to_owned();
        assert_eq!(place(&text, &text[4..7]), Some(4..7));
        assert_eq!(place(&text, &text), Some(0..text.len()));
        assert_eq!(place(&text[4..], &text[..3]), None);
        assert_eq!(place(&text[..7], &text[4..]), None);
        assert_eq!(place(&text, "and"), None);
    }

    #[test]
    fn entries_are_the_same_by_what_they_say() {
        let text = r#"{"a":1,"b":1}"#;
        let copy = Arc::from(text);
        let read = |key: Range<usize>, json: Range<usize>| {
            Entry::read(&copy, text, &text[key], &text[json])
        };
        let (a, b) = (read(2..3, 5..6), read(8..9, 11..12));
        assert_eq!(a, Entry::encode("a", &1).unwrap());
        assert_eq!(b, Entry::encode("b", &1).unwrap());
        assert_ne!(a, b);
        assert_ne!(a, Entry::encode("a", &2).unwrap());
    }
}
