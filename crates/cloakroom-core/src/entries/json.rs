//! The JSON object of a session's entries: how it is read and written, and its length.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::entry::Entry;

/// Reads the entries of a JSON object, in their order in the text. A key may occur more than once.
///
/// All entries share one copy of the text.
pub(super) fn read(json: &str, on_entry: impl FnMut(Entry)) -> Result<(), serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_str(json);
    parser.deserialize_map(Object { json, on_entry })?;
    parser.end()
}

/// Appends the JSON object of these entries to `out`.
pub(super) fn write(entries: &[Entry], out: &mut String) {
    out.push('{');
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let key = entry.key();
        if is_plain(key) {
            out.extend(["\"", key, "\""]);
        } else {
            out.push_str(&quoted(key));
        }
        out.push(':');
        out.push_str(entry.json());
    }
    out.push('}');
}

/// Returns the length of an entry in a JSON object, `"key":value,`, with the comma.
pub(super) fn member_len(entry: &Entry) -> usize {
    let key = entry.key();
    let key_len = if is_plain(key) {
        key.len() + 2
    } else {
        quoted(key).len()
    };
    key_len + entry.json().len() + 2
}

/// Reads the members of a JSON object.
struct Object<'a, F> {
    json: &'a str,
    on_entry: F,
}

impl<'de, F: FnMut(Entry)> Visitor<'de> for Object<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        let copy = Arc::from(self.json);
        while let Some((key, value)) = object.next_entry::<Key<'_>, &RawValue>()? {
            (self.on_entry)(Entry::read(&copy, self.json, &key.0, value.get()));
        }
        Ok(())
    }
}

/// A key; copied only if it contains escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

fn quoted(key: &str) -> String {
    serde_json::to_string(key).expect("a string is always JSON")
}

/// Returns whether a key needs no escapes in JSON.
fn is_plain(key: &str) -> bool {
    key.bytes()
        .all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}
