//! A session's data: keys to values, each value kept as raw JSON until it is asked for.

use std::any::type_name;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use serde::de::{DeserializeOwned, Deserializer as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One value, as JSON text. Shared, because the working copy, the log of edits and the stored
/// record all hold it.
pub type Value = Arc<RawValue>;

/// Whether a key is the library's own: those that begin with `$` are.
#[must_use]
pub fn is_reserved(key: &str) -> bool {
    key.starts_with('$')
}

/// Encodes a value as JSON.
///
/// # Errors
///
/// When the value cannot be written as JSON, such as a map whose keys are not strings.
pub fn encode<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<Value, EntryError> {
    match serde_json::value::to_raw_value(value) {
        Ok(raw) => Ok(raw.into()),
        Err(error) => Err(EntryError::new::<T>(key, Direction::Encode, &error)),
    }
}

/// Decodes the value of `key`.
///
/// # Errors
///
/// When the JSON is not that of a `T`.
pub fn decode<T: DeserializeOwned>(key: &str, value: &RawValue) -> Result<T, EntryError> {
    serde_json::from_str(value.get())
        .map_err(|error| EntryError::new::<T>(key, Direction::Decode, &error))
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
    /// Shared until somebody edits it: a request holds what is stored and its own copy.
    map: Arc<BTreeMap<Arc<str>, Value>>,
    /// The length of all of it as one JSON object, less the outer braces.
    len: usize,
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
        let mut json = serde_json::Deserializer::from_str(json);
        let entries = json.deserialize_map(FromJson)?;
        json.end()?;
        Ok(entries)
    }

    /// Writes the entries as a JSON object, in the order of their keys.
    pub(crate) fn write_json(&self, out: &mut String) {
        out.push('{');
        for (index, (key, value)) in self.map.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(&json_key(key));
            out.push(':');
            out.push_str(value.get());
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
        let from_reserved = (Bound::Included("$"), Bound::Excluded("%"));
        let reserved = self.map.range::<str, _>(from_reserved);
        let reserved: usize = reserved.map(|(key, value)| entry_len(key, value)).sum();
        2 + (self.len - reserved).saturating_sub(1)
    }

    /// The value of `key`, decoded.
    ///
    /// # Errors
    ///
    /// When there is one, and it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, EntryError> {
        self.map
            .get(key)
            .map(|value| decode(key, value))
            .transpose()
    }

    /// The JSON of `key`.
    #[must_use]
    pub fn get_raw(&self, key: &str) -> Option<&Value> {
        self.map.get(key)
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
        self.len += entry_len(key, &value);
        if let Some(old) = Arc::make_mut(&mut self.map).insert(Arc::clone(key), value) {
            self.len -= entry_len(key, &old);
        }
    }

    /// Removes `key`, and gives what it held.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        if !self.map.contains_key(key) {
            return None;
        }
        let value = Arc::make_mut(&mut self.map).remove(key)?;
        self.len -= entry_len(key, &value);
        Some(value)
    }

    /// Removes everything but the library's own entries, see [`is_reserved`].
    pub fn clear(&mut self) {
        let mut own = Self::new();
        for (key, value) in &*self.map {
            if is_reserved(key) {
                own.set_raw(key, Arc::clone(value));
            }
        }
        *self = own;
    }

    /// Whether there is an entry of this key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(|key| &**key)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

/// Reads entries without a copy between the text and what is kept.
struct FromJson;

impl<'de> Visitor<'de> for FromJson {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Entries, A::Error> {
        let mut entries = Entries::new();
        while let Some((key, value)) = object.next_entry::<Key<'_>, &RawValue>()? {
            entries.set_raw(&key.0.into(), Arc::from(value.to_owned()));
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
        self.len == other.len
            && (Arc::ptr_eq(&self.map, &other.map)
                || self.map.len() == other.map.len()
                    && self.map.iter().zip(&*other.map).all(|(one, two)| {
                        one.0 == two.0 && (Arc::ptr_eq(one.1, two.1) || one.1.get() == two.1.get())
                    }))
    }
}

impl Eq for Entries {}

impl fmt::Debug for Entries {
    /// Shows the keys alone: values may be anybody's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.map.keys()).finish()
    }
}

fn json_key(key: &str) -> String {
    serde_json::to_string(key).expect("a string is always JSON")
}

/// `"key":value,`
fn entry_len(key: &str, value: &RawValue) -> usize {
    let plain = key
        .bytes()
        .all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
    let key_len = if plain {
        key.len() + 2
    } else {
        json_key(key).len()
    };
    key_len + value.get().len() + 2
}

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
enum Direction {
    Encode,
    Decode,
}

impl EntryError {
    fn new<T: ?Sized>(key: &str, direction: Direction, error: &serde_json::Error) -> Self {
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
