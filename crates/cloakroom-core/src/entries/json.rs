//! Entries as one JSON object: how it is read and written, and how long it is.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Entries, Entry, put_into};

/// So many bytes of JSON are one entry, about: most records are read into a list that need not grow.
const BYTES_OF_AN_ENTRY: usize = 20;

/// For so many entries there is room from the beginning, at most: they may as well be few and long.
const ROOM: usize = 32;

impl Entries {
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
        for (index, entry) in self.list().iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            let key = entry.key();
            match is_plain(key) {
                true => out.extend(["\"", key, "\""]),
                false => out.push_str(&json_key(key)),
            }
            out.push(':');
            out.push_str(entry.json());
        }
        out.push('}');
    }
}

/// The length of `"key":value,`.
pub(super) fn json_len(entry: &Entry) -> usize {
    let key = entry.key();
    let key_len = match is_plain(key) {
        true => key.len() + 2,
        false => json_key(key).len(),
    };
    key_len + entry.json().len() + 2
}

/// Reads entries from a text, of which they keep one copy.
struct FromJson<'a>(&'a str);

impl<'de> Visitor<'de> for FromJson<'_> {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Entries, A::Error> {
        let (text, copy) = (self.0, Arc::from(self.0));
        let mut list = Vec::with_capacity((text.len() / BYTES_OF_AN_ENTRY).min(ROOM));
        let mut entries = Entries::new();
        while let Some((key, value)) = object.next_entry::<Key<'_>, &RawValue>()? {
            let entry = Entry::read(&copy, text, &key.0, value.get());
            entries.len += json_len(&entry);
            if let Some(old) = put_into(&mut list, entry) {
                entries.strike(&old);
            }
        }
        entries.list = Some(Arc::new(list));
        entries.leave_stale_text();
        Ok(entries)
    }
}

/// A key, copied only where it is escaped.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

fn json_key(key: &str) -> String {
    serde_json::to_string(key).expect("a string is always JSON")
}

/// Whether a key is written as it is, between quotes.
fn is_plain(key: &str) -> bool {
    key.bytes()
        .all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}
