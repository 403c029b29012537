//! One entry: a key, and its value as JSON text.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::checked;
use super::error::EntryError;

/// The capacity reserved for a value, in bytes: enough for most, so that few are reallocated.
const VALUE_CAPACITY: usize = 96;

/// A key, and its value as JSON text.
///
/// Clones share the text: the working copy, the log of edits and the stored record all refer to it.
#[derive(Clone)]
pub struct Entry {
    /// Contains key and value. If the entry was read from a record, it is the whole record's JSON.
    text: Arc<str>,
    key: Range<usize>,
    json: Range<usize>,
}

impl Entry {
    /// Encodes the value of `key` as JSON.
    ///
    /// # Errors
    ///
    /// If the value cannot be written as JSON, such as a map whose keys are lists; or if reading it would not
    /// return the same value, because JSON writes it as `null` (a float that is not finite, `Some(None)`), or
    /// because it has more than 127 levels of lists, maps and enum variants.
    #[allow(clippy::missing_panics_doc, reason = "JSON is text")]
    pub fn encode<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<Self, EntryError> {
        let mut text = Vec::with_capacity(key.len() + VALUE_CAPACITY);
        text.extend_from_slice(key.as_bytes());
        match checked::write(&mut text, value) {
            Ok(()) => Ok(Self::of(key, str::from_utf8(&text).expect("JSON is text"))),
            Err(refusal) => Err(EntryError::encode::<T>(key, refusal)),
        }
    }

    /// Decodes the value. Returns `None` if it is `null` and a `T` is never written as that.
    ///
    /// # Errors
    ///
    /// If the JSON is not that of a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<Option<T>, EntryError> {
        match serde_json::from_str(self.json()) {
            Ok(value) => Ok(Some(value)),
            Err(_) if self.json() == "null" => Ok(None),
            Err(error) => Err(EntryError::decode::<T>(self.key(), &error)),
        }
    }

    /// Creates an entry whose key and JSON are slices of `text`, and which refers to `copy`, a copy of
    /// `text`. If one of them is not a slice of `text`, as a key with escapes, the entry gets its own text.
    pub(super) fn read(copy: &Arc<str>, text: &str, key: &str, json: &str) -> Self {
        match (range_in(text, key), range_in(text, json)) {
            (Some(key), Some(json)) => Self {
                text: Arc::clone(copy),
                key,
                json,
            },
            _ => Self::of(key, &[key, json].concat()),
        }
    }

    /// Creates an entry from a text that is the key followed by the JSON.
    fn of(key: &str, text: &str) -> Self {
        Self {
            text: Arc::from(text),
            key: 0..key.len(),
            json: key.len()..text.len(),
        }
    }

    /// Returns the entry under another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self::of(key, &[key, self.json()].concat())
    }

    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.text[self.key.clone()]
    }

    /// Returns the length of the key.
    pub(super) fn key_len(&self) -> usize {
        self.key.len()
    }

    /// Returns the value as JSON text.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.text[self.json.clone()]
    }

    /// Returns the length of the value if it is in a text that other entries share; zero if the text
    /// belongs to this entry only.
    pub(super) fn len_in_shared_text(&self) -> usize {
        if self.key.len() + self.json.len() == self.text.len() {
            0
        } else {
            self.json.len()
        }
    }

    /// Returns the length of the text that the entry keeps in memory.
    #[cfg(test)]
    pub(super) fn text_len(&self) -> usize {
        self.text.len()
    }
}

/// Returns the range of `part` in `text`; `None` if it is not a slice of `text`.
fn range_in(text: &str, part: &str) -> Option<Range<usize>> {
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
    /// Shows the key and the length of the value, which may be personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({:?}, {} bytes)", self.key(), self.json.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_a_slice_is_found_and_other_text_has_none() {
        let text = "one and another".to_owned();
        assert_eq!(range_in(&text, &text[4..7]), Some(4..7));
        assert_eq!(range_in(&text, &text), Some(0..text.len()));
        assert_eq!(range_in(&text[4..], &text[..3]), None);
        assert_eq!(range_in(&text[..7], &text[4..]), None);
        assert_eq!(range_in(&text, "and"), None);
    }

    #[test]
    fn entries_are_equal_if_key_and_json_are() {
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
