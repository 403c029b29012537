//! A session's data: keys to values, each value kept as raw JSON until it is asked for.

mod error;
mod value;

use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::sync::Arc;

use serde::de::{DeserializeOwned, Deserializer as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use self::error::EntryError;
use self::value::Part;
pub use self::value::{Value, decode, encode};

/// Whether a key is the library's own: those that begin with `$` are.
#[must_use]
pub fn is_reserved(key: &str) -> bool {
    key.starts_with('$')
}

/// The entries of a session. Reading one of twenty decodes one.
///
/// ```
/// use cloakroom_core::Entries;
///
/// let mut entries = Entries::new();
/// entries.set("cart", &[3, 5])?;
/// assert_eq!(entries.get::<Vec<u32>>("cart")?, Some(vec![3, 5]));
/// assert_eq!(entries.get::<Vec<u32>>("wishes")?, None);
/// let error = entries.get::<String>("cart").unwrap_err();
/// assert_eq!(error.key(), "cart");
/// # Ok::<(), cloakroom_core::EntryError>(())
/// ```
#[derive(Clone, Default)]
pub struct Entries {
    /// In the order of their keys. Shared until somebody edits them: a request holds what is stored and
    /// its own copy.
    list: Arc<Vec<Entry>>,
    /// The length of all of it as one JSON object, less the outer braces.
    len: usize,
    /// What the text that was read holds of entries that are gone, about.
    stale: usize,
}

/// So much of what is gone may be kept along, besides as much as there is.
const STALE: usize = 1024;

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    key: Part,
    value: Value,
}

impl Entries {
    /// No entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads entries from a JSON object. Of a key that stands there twice, the last value counts.
    ///
    /// # Errors
    ///
    /// When the text is not a JSON object.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        let mut parser = serde_json::Deserializer::from_str(json);
        let entries = parser.deserialize_map(FromJson(json))?;
        parser.end()?;
        Ok(entries)
    }

    /// Writes the entries as a JSON object, in the order of their keys.
    pub(crate) fn write_json(&self, out: &mut String) {
        out.push('{');
        for (index, entry) in self.list.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            let key = entry.key.as_str();
            match is_plain(key) {
                true => out.extend(["\"", key, "\""]),
                false => out.push_str(&json_key(key)),
            }
            out.push(':');
            out.push_str(entry.value.get());
        }
        out.push('}');
    }

    /// The length of the JSON object, in bytes.
    #[must_use]
    pub fn json_len(&self) -> usize {
        // Each entry counts its comma; the last has none.
        2 + self.len.saturating_sub(1)
    }

    /// The length of the JSON object without the library's own entries, see [`is_reserved`]: what an
    /// app's limit is about.
    #[must_use]
    pub fn json_len_of_the_app(&self) -> usize {
        // Reserved keys stand together, in the order of keys.
        let from = self.list.partition_point(|entry| entry.key.as_str() < "$");
        let reserved = self.list[from..].iter();
        let reserved = reserved.take_while(|entry| is_reserved(entry.key.as_str()));
        let reserved: usize = reserved.map(Entry::json_len).sum();
        2 + (self.len - reserved).saturating_sub(1)
    }

    /// The value of `key`, decoded.
    ///
    /// # Errors
    ///
    /// When there is one, and it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, EntryError> {
        let value = self.get_raw(key);
        value.map(|value| decode(key, value)).transpose()
    }

    /// The JSON of `key`.
    #[must_use]
    pub fn get_raw(&self, key: &str) -> Option<&Value> {
        let place = self.find(key).ok()?;
        Some(&self.list[place].value)
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    ///
    /// When the value cannot be written as JSON.
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), EntryError> {
        let value = encode(key, value)?;
        self.set_raw(&key.into(), value);
        Ok(())
    }

    /// Sets `key` to a value that is JSON already.
    pub fn set_raw(&mut self, key: &Arc<str>, value: Value) {
        self.put(Entry {
            key: Part::from(Arc::clone(key)),
            value,
        });
    }

    fn put(&mut self, entry: Entry) {
        self.len += entry.json_len();
        let place = match self.list.last() {
            // What is stored comes in order.
            Some(last) if last.key.as_str() < entry.key.as_str() => Err(self.list.len()),
            _ => self.find(entry.key.as_str()),
        };
        let list = Arc::make_mut(&mut self.list);
        match place {
            Ok(place) => {
                let old = mem::replace(&mut list[place], entry);
                self.forget(&old);
            }
            Err(place) => list.insert(place, entry),
        }
    }

    /// Takes an entry that is gone off the books, and off the text when that holds little else.
    fn forget(&mut self, old: &Entry) {
        self.len -= old.json_len();
        self.stale += old.value.len_in_shared_text();
        self.leave_stale_text();
    }

    fn leave_stale_text(&mut self) {
        if self.stale <= self.len + STALE {
            return;
        }
        let mut json = String::with_capacity(self.json_len());
        self.write_json(&mut json);
        if let Ok(fresh) = Self::from_json(&json) {
            *self = fresh;
        }
    }

    /// Where `key` stands, or where it would.
    fn find(&self, key: &str) -> Result<usize, usize> {
        self.list
            .binary_search_by(|entry| entry.key.as_str().cmp(key))
    }

    /// Removes `key`, and gives what it held.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let place = self.find(key).ok()?;
        let old = Arc::make_mut(&mut self.list).remove(place);
        self.forget(&old);
        Some(old.value)
    }

    /// Removes everything but the library's own entries, see [`is_reserved`].
    pub fn clear(&mut self) {
        let mut own = Self::new();
        for entry in &*self.list {
            if is_reserved(entry.key.as_str()) {
                own.put(entry.clone());
            }
        }
        own.stale = self.stale + (self.len - own.len);
        own.leave_stale_text();
        *self = own;
    }

    /// Whether there is an entry of this key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|entry| entry.key.as_str())
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl Entry {
    /// `"key":value,`
    fn json_len(&self) -> usize {
        let key = self.key.as_str();
        let key_len = match is_plain(key) {
            true => key.len() + 2,
            false => json_key(key).len(),
        };
        key_len + self.value.get().len() + 2
    }
}

/// Reads entries from a text, of which they keep one copy.
struct FromJson<'a>(&'a str);

impl<'de> Visitor<'de> for FromJson<'_> {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Entries, A::Error> {
        let (text, whole) = (self.0, Arc::from(self.0));
        let mut entries = Entries::new();
        while let Some((key, value)) = object.next_entry::<Key<'_>, &RawValue>()? {
            entries.put(Entry {
                key: Part::of(&whole, text, &key.0),
                value: Value::new(Part::of(&whole, text, value.get())),
            });
        }
        Ok(entries)
    }
}

/// A key, copied only where it is escaped.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl PartialEq for Entries {
    /// Whether both hold the same keys with the same JSON text.
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && (Arc::ptr_eq(&self.list, &other.list) || self.list == other.list)
    }
}

impl Eq for Entries {}

impl fmt::Debug for Entries {
    /// Shows the keys alone: values may be anybody's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys()).finish()
    }
}

fn json_key(key: &str) -> String {
    serde_json::to_string(key).expect("a string is always JSON")
}

/// Whether a key is written as it is, between quotes.
fn is_plain(key: &str) -> bool {
    key.bytes()
        .all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(entries: &Entries) -> usize {
        let held = entries.list.iter().map(|entry| entry.value.held());
        held.max().unwrap_or_default()
    }

    #[test]
    fn what_is_gone_does_not_stay_in_memory() {
        let json = format!(r#"{{"$own":1,"big":"{}","small":2}}"#, "x".repeat(100_000));
        let read = Entries::from_json(&json).unwrap();
        assert!(held(&read) > 100_000);
        let (mut removed, mut replaced, mut cleared) = (read.clone(), read.clone(), read);
        removed.remove("big");
        replaced.set("big", "y").unwrap();
        cleared.clear();
        for (entries, expected) in [
            (removed, r#"{"$own":1,"small":2}"#),
            (replaced, r#"{"$own":1,"big":"y","small":2}"#),
            (cleared, r#"{"$own":1}"#),
        ] {
            let mut json = String::new();
            entries.write_json(&mut json);
            assert_eq!(json, expected);
            assert_eq!(entries.json_len(), expected.len());
            assert!(held(&entries) <= expected.len() + STALE);
        }
    }
}
