//! A session's data: keys to values, each value kept as raw JSON until it is asked for.

mod entry;
mod error;
mod json;

use std::fmt;
use std::mem;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::entry::Entry;
pub use self::error::EntryError;
use self::json::json_len;

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
    /// its own copy. `None` as long as there was none, for requests that never look at their session.
    list: Option<Arc<Vec<Entry>>>,
    /// The length of all of it as one JSON object, less the outer braces.
    len: usize,
    /// What the text that was read holds of entries that are gone, about.
    stale: usize,
}

/// So much of what is gone may be kept along, besides as much as there is.
const STALE: usize = 1024;

/// So many entries a request puts into a new session, about.
const NEW: usize = 6;

/// And so many more into one that has some. Most change what is there.
const MORE: usize = 2;

impl Entries {
    /// No entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The length of the JSON object, in bytes.
    #[must_use]
    pub fn json_len(&self) -> usize {
        // Each entry counts its comma; the last has none.
        2 + self.len.saturating_sub(1)
    }

    /// How much text is kept in memory for it, in bytes, about: also what is gone, as far as it shares a text
    /// with what is not.
    #[must_use]
    pub const fn text_len(&self) -> usize {
        self.len + self.stale
    }

    /// The length of the JSON object without the library's own entries, see [`is_reserved`]: what an
    /// app's limit is about.
    #[must_use]
    pub fn json_len_of_the_app(&self) -> usize {
        // Reserved keys stand together, in the order of keys.
        let list = self.list();
        let from = list.partition_point(|entry| entry.key() < "$");
        let reserved = list[from..].iter();
        let reserved = reserved.take_while(|entry| is_reserved(entry.key()));
        let reserved: usize = reserved.map(json_len).sum();
        2 + (self.len - reserved).saturating_sub(1)
    }

    /// The value of `key`, decoded.
    ///
    /// # Errors
    ///
    /// When there is one, and it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, EntryError> {
        self.entry(key).map(Entry::decode).transpose()
    }

    /// The entry of `key`.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        let list = self.list();
        Some(&list[find(list, key).ok()?])
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    ///
    /// When the value cannot be written as JSON.
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), EntryError> {
        self.put(Entry::encode(key, value)?);
        Ok(())
    }

    /// Puts an entry in, in the place of one of the same key.
    pub fn put(&mut self, entry: Entry) {
        self.len += json_len(&entry);
        if let Some(old) = put_into(self.list_mut(), entry) {
            self.forget(&old);
        }
    }

    /// Takes an entry that is gone off the books, and off the text when that holds little else.
    fn forget(&mut self, old: &Entry) {
        self.strike(old);
        self.leave_stale_text();
    }

    /// Takes an entry that is gone off the books alone.
    fn strike(&mut self, old: &Entry) {
        self.len -= json_len(old);
        self.stale += old.len_in_shared_text();
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

    /// Removes `key`, and gives what it held.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        let place = find(self.list(), key).ok()?;
        let old = self.list_mut().remove(place);
        self.forget(&old);
        Some(old)
    }

    /// Removes everything but the library's own entries, see [`is_reserved`].
    pub fn clear(&mut self) {
        let mut own = Self::new();
        for entry in self.list() {
            if is_reserved(entry.key()) {
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
        find(self.list(), key).is_ok()
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.list().iter().map(Entry::key)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list().is_empty()
    }

    fn list(&self) -> &[Entry] {
        self.list.as_deref().map_or(&[], Vec::as_slice)
    }

    /// The list, to be edited: a copy, if somebody else has it too.
    fn list_mut(&mut self) -> &mut Vec<Entry> {
        let is_shared = |list: &mut Arc<_>| Arc::get_mut(list).is_none();
        if self.list.as_mut().is_none_or(is_shared) {
            let list = self.list();
            let room = if list.is_empty() { NEW } else { MORE };
            let mut copy = Vec::with_capacity(list.len() + room);
            copy.extend_from_slice(list);
            self.list = Some(Arc::new(copy));
        }
        let list = self.list.as_mut().and_then(Arc::get_mut);
        list.expect("nobody else has the copy")
    }
}

/// Where `key` stands in a list, or where it would.
fn find(list: &[Entry], key: &str) -> Result<usize, usize> {
    // What is asked for and is not there is mostly the library's own, which would come first.
    if list.first().is_none_or(|first| first.key() > key) {
        return Err(0);
    }
    list.binary_search_by(|entry| entry.key().cmp(key))
}

/// Puts an entry into a list; gives the one whose place it takes.
fn put_into(list: &mut Vec<Entry>, entry: Entry) -> Option<Entry> {
    // What is stored comes in order.
    if list.last().is_none_or(|last| last.key() < entry.key()) {
        list.push(entry);
        return None;
    }
    match find(list, entry.key()) {
        Ok(place) => Some(mem::replace(&mut list[place], entry)),
        Err(place) => {
            list.insert(place, entry);
            None
        }
    }
}

impl PartialEq for Entries {
    /// Whether both hold the same keys with the same JSON text.
    fn eq(&self, other: &Self) -> bool {
        let is_same = match (&self.list, &other.list) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        is_same || (self.len == other.len && self.list() == other.list())
    }
}

impl Eq for Entries {}

impl fmt::Debug for Entries {
    /// Shows the keys alone: values may be anybody's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(entries: &Entries) -> usize {
        let held = entries.list().iter().map(Entry::held);
        held.max().unwrap_or_default()
    }

    #[test]
    fn what_is_gone_does_not_stay_in_memory() {
        let json = format!(r#"{{"$own":1,"big":"{}","small":2}}"#, "x".repeat(100_000));
        let read = Entries::from_json(&json).unwrap();
        assert!(held(&read) > 100_000);
        let twice = Entries::from_json(&json.replace("small", "big")).unwrap();
        let (mut removed, mut replaced, mut cleared) = (read.clone(), read.clone(), read);
        removed.remove("big");
        replaced.set("big", "y").unwrap();
        cleared.clear();
        for (entries, expected) in [
            (removed, r#"{"$own":1,"small":2}"#),
            (replaced, r#"{"$own":1,"big":"y","small":2}"#),
            (cleared, r#"{"$own":1}"#),
            (twice, r#"{"$own":1,"big":2}"#),
        ] {
            let mut json = String::new();
            entries.write_json(&mut json);
            assert_eq!(json, expected);
            assert_eq!(entries.json_len(), expected.len());
            assert!(held(&entries) <= expected.len() + STALE);
        }
    }
}
