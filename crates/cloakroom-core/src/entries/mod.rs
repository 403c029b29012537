//! A session's data: keys and values, each value kept as raw JSON until it is read.

mod bytes;
mod checked;
mod entry;
mod error;
mod json;
mod list;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::bytes::Base64;
pub use self::entry::Entry;
pub use self::error::EntryError;
use self::json::member_len;
use self::list::{List, find, look_up, put_into, sort};

/// The stale text that may be kept in memory, in bytes, in addition to as much as there is live text.
const MAX_STALE: usize = 1024;

/// Capacity for entries that a request adds to a new session.
const CAPACITY_OF_NEW: usize = 6;

/// Capacity for entries that a request adds to a session that has some. Most requests change what is
/// there.
const CAPACITY_OF_COPY: usize = 2;

/// The approximate length of an entry in JSON, in bytes: most records are read into a list that need
/// not grow.
const TYPICAL_ENTRY_LEN: usize = 20;

/// The most entries for which a list is allocated in advance: a long text may hold a few long entries.
const MAX_CAPACITY: usize = 32;

/// Returns whether a key is reserved for the library: keys that begin with `$` are.
#[must_use]
pub fn is_reserved(key: &str) -> bool {
    key.starts_with('$')
}

/// The entries of a session: a map from keys to JSON values. Reading a value decodes only that value.
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
    list: List,
    /// The length of the JSON object, without its braces, with a comma after each entry.
    len: usize,
    /// The approximate number of bytes of removed values that the shared text still contains.
    stale: usize,
}

impl Entries {
    /// Creates an empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads entries from a JSON object. If a key occurs more than once, the last value counts.
    ///
    /// # Errors
    ///
    /// If the text is not a JSON object.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        let mut list = Vec::with_capacity((json.len() / TYPICAL_ENTRY_LEN).min(MAX_CAPACITY));
        let mut is_sorted = true;
        json::read(json, |entry| {
            is_sorted &= list
                .last()
                .is_none_or(|last: &Entry| last.key() < entry.key());
            list.push(entry);
        })?;
        let mut entries = Self::new();
        // Other writers may have another order, or repeat a key. Sorting once keeps this from being quadratic.
        if !is_sorted {
            entries.stale = sort(&mut list);
        }
        entries.len = list.iter().map(member_len).sum();
        entries.list = List::Read(Arc::from(list));
        entries.compact();
        Ok(entries)
    }

    /// Appends the entries to `out` as a JSON object, sorted by key.
    pub(crate) fn write_json(&self, out: &mut String) {
        json::write(self.list(), out);
    }

    /// Returns the length of the JSON object, in bytes.
    #[must_use]
    pub fn json_len(&self) -> usize {
        // `len` counts a comma after each entry; the last has none.
        2 + self.len.saturating_sub(1)
    }

    /// Returns approximately how much text the entries keep in memory, in bytes, including removed values
    /// that the text still contains.
    #[must_use]
    pub const fn text_len(&self) -> usize {
        self.len + self.stale
    }

    /// Returns the length of the JSON object without reserved entries (see [`is_reserved`]), in bytes. It
    /// is what the limit on the size of a session applies to.
    #[must_use]
    pub fn app_json_len(&self) -> usize {
        // Reserved keys are adjacent, because the list is sorted.
        let list = self.list();
        let from = list.partition_point(|entry| entry.key() < "$");
        let reserved = list[from..].iter();
        let reserved = reserved.take_while(|entry| is_reserved(entry.key()));
        let reserved: usize = reserved.map(member_len).sum();
        2 + (self.len - reserved).saturating_sub(1)
    }

    /// Returns the value of `key`, decoded; `None` if there is no such entry, or it is `null` and a `T` is never
    /// written as that.
    ///
    /// # Errors
    ///
    /// If the value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, EntryError> {
        self.entry(key).map_or(Ok(None), Entry::decode)
    }

    /// Returns the entry of `key`.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        look_up(self.list(), key)
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    ///
    /// If the value cannot be kept as JSON, as [`Entry::encode`].
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), EntryError> {
        self.put(Entry::encode(key, value)?);
        Ok(())
    }

    /// Inserts an entry. It replaces the one with the same key.
    pub fn put(&mut self, entry: Entry) {
        self.len += member_len(&entry);
        if let Some(old) = put_into(self.list_mut(), entry) {
            self.subtract(&old);
            self.compact();
        }
    }

    /// Subtracts a removed entry from the lengths.
    fn subtract(&mut self, old: &Entry) {
        self.len -= member_len(old);
        self.stale += old.len_in_shared_text();
    }

    /// Copies the live entries into a new text, if the shared one consists mostly of removed values.
    fn compact(&mut self) {
        if self.stale <= self.len + MAX_STALE {
            return;
        }
        let mut json = String::with_capacity(self.json_len());
        self.write_json(&mut json);
        if let Ok(compacted) = Self::from_json(&json) {
            *self = compacted;
        }
    }

    /// Removes `key`, and returns its entry.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        let index = find(self.list(), key).ok()?;
        let old = self.list_mut().remove(index);
        self.subtract(&old);
        self.compact();
        Some(old)
    }

    /// Removes all entries except reserved ones (see [`is_reserved`]).
    pub fn clear(&mut self) {
        let mut reserved = Self::new();
        for entry in self.list() {
            if is_reserved(entry.key()) {
                reserved.put(entry.clone());
            }
        }
        reserved.stale = self.stale + (self.len - reserved.len);
        reserved.compact();
        *self = reserved;
    }

    /// Returns whether there is an entry with this key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Returns the keys in sorted order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.list().iter().map(Entry::key)
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list().len()
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list().is_empty()
    }

    fn list(&self) -> &[Entry] {
        match &self.list {
            List::None => &[],
            List::Read(list) => list,
            List::Edited(list) => list,
        }
    }

    /// Returns the list for editing. A list that is shared is copied first.
    fn list_mut(&mut self) -> &mut Vec<Entry> {
        let is_own = match &mut self.list {
            List::Edited(list) => Arc::get_mut(list).is_some(),
            List::None | List::Read(_) => false,
        };
        if !is_own {
            let list = self.list();
            let additional = if list.is_empty() {
                CAPACITY_OF_NEW
            } else {
                CAPACITY_OF_COPY
            };
            let mut copy = Vec::with_capacity(list.len() + additional);
            copy.extend_from_slice(list);
            self.list = List::Edited(Arc::new(copy));
        }
        let list = match &mut self.list {
            List::Edited(list) => Arc::get_mut(list),
            List::None | List::Read(_) => None,
        };
        list.expect("a new copy is not shared")
    }
}

impl PartialEq for Entries {
    /// Compares keys and JSON text.
    fn eq(&self, other: &Self) -> bool {
        let is_same = match (&self.list, &other.list) {
            (List::Read(one), List::Read(other)) => Arc::ptr_eq(one, other),
            (List::Edited(one), List::Edited(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        is_same || (self.len == other.len && self.list() == other.list())
    }
}

impl Eq for Entries {}

impl fmt::Debug for Entries {
    /// Shows the keys only, since values may be personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_in_memory(entries: &Entries) -> usize {
        let texts = entries.list().iter().map(Entry::text_len);
        texts.max().unwrap_or_default()
    }

    #[test]
    fn keys_in_any_order_are_sorted_and_the_last_value_of_each_counts() {
        let read = |json: &str| {
            let entries = Entries::from_json(json).unwrap();
            let mut written = String::new();
            entries.write_json(&mut written);
            assert_eq!(entries.json_len(), written.len());
            written
        };
        assert_eq!(read(r#"{"c":1,"b":2,"a":3}"#), r#"{"a":3,"b":2,"c":1}"#);
        assert_eq!(
            read(r#"{"b":1,"a":1,"b":2,"a":2,"b":3,"c":1}"#),
            r#"{"a":2,"b":3,"c":1}"#
        );
        assert_eq!(read(r#"{"a":1,"a":2}"#), r#"{"a":2}"#);
        assert_eq!(read("{}"), "{}");
    }

    /// The largest record with the shortest entries, its keys in falling order.
    #[test]
    fn a_large_text_in_falling_order_is_read_in_about_the_time_of_a_sorted_one() {
        let count = 80_000;
        let text = |keys: &mut dyn Iterator<Item = u32>| {
            let members: Vec<_> = keys.map(|n| format!("\"{n:06}\":1")).collect();
            format!("{{{}}}", members.join(","))
        };
        let rising = text(&mut (0..count));
        let falling = text(&mut (0..count).rev());
        assert!(Entries::from_json(&falling).unwrap() == Entries::from_json(&rising).unwrap());
        // The best of three, since other programs may run.
        let time = |json: &str| {
            let times = [(); 3].map(|()| {
                let began = std::time::Instant::now();
                drop(Entries::from_json(json));
                began.elapsed()
            });
            times.into_iter().min().unwrap()
        };
        let (usual, taken) = (time(&rising), time(&falling));
        // Insertion one by one, each moving all that were read before, takes thirty times as long.
        assert!(taken < usual * 10, "{taken:?}, and {usual:?} if sorted");
    }

    #[test]
    fn entries_are_equal_if_keys_and_values_are() {
        let read = |json: &str| Entries::from_json(json).unwrap();
        let one = read(r#"{"a":1,"b":2}"#);
        let mut edited = Entries::new();
        edited.set("b", &2).unwrap();
        edited.set("a", &1).unwrap();
        assert_eq!(one, edited);
        assert_eq!(edited, edited.clone());
        // The second one is as long.
        for other in ["{}", r#"{"a":1,"b":3}"#, r#"{"a":1}"#, r#"{"a":1,"b":23}"#] {
            assert!(one != read(other) && edited != read(other), "{other}");
        }
        let mut changed = edited.clone();
        changed.set("b", &3).unwrap();
        assert!(changed != edited);
    }

    #[test]
    fn an_error_says_whether_a_value_was_written_or_read() {
        let mut entries = Entries::new();
        let written = entries.set("a", &f64::NAN).unwrap_err();
        assert!(written.is_encode() && !written.is_decode());
        entries.set("a", "text").unwrap();
        let read = entries.get::<u32>("a").unwrap_err();
        assert!(read.is_decode() && !read.is_encode());
    }

    #[test]
    fn lengths_are_those_of_the_text() {
        let json = r#"{"!a":1,"$own":22,"$two":3,"b":4}"#;
        let mut entries = Entries::from_json(json).unwrap();
        assert!(!entries.is_empty() && Entries::new().is_empty());
        assert_eq!(entries.json_len(), json.len());
        assert_eq!(entries.app_json_len(), r#"{"!a":1,"b":4}"#.len());
        assert_eq!(Entries::new().app_json_len(), 2);
        let own = Entries::from_json(r#"{"$own":1}"#).unwrap();
        assert_eq!(own.app_json_len(), 2);
        // Each member counts with a comma, and removed values are kept for a while.
        let whole = json.len() - 1;
        assert_eq!(entries.text_len(), whole);
        entries.remove("b");
        assert!(entries.text_len() < whole && entries.text_len() > whole - r#""b":4,"#.len());
        let mut cleared = Entries::from_json(json).unwrap();
        cleared.clear();
        assert_eq!(cleared.text_len(), whole);
        assert_eq!(cleared.json_len(), r#"{"$own":22,"$two":3}"#.len());
    }

    #[test]
    fn as_much_removed_text_is_kept_as_live_text_and_a_little_more() {
        let json = format!(
            r#"{{"big":"{}","kept":"{}"}}"#,
            "x".repeat(50_000),
            "y".repeat(1_000)
        );
        let mut entries = Entries::from_json(&json).unwrap();
        entries.remove("big");
        assert!(text_in_memory(&entries) <= 2 * entries.json_len() + MAX_STALE);
    }

    #[test]
    fn removed_values_do_not_stay_in_memory() {
        let json = format!(r#"{{"$own":1,"big":"{}","small":2}}"#, "x".repeat(100_000));
        let read = Entries::from_json(&json).unwrap();
        assert!(text_in_memory(&read) > 100_000);
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
            assert!(text_in_memory(&entries) <= expected.len() + MAX_STALE);
        }
    }
}
