//! Entries with a lifetime of their own: they are absent after it, however long the session lives.
//!
//! The times at which entries expire are stored next to them, under a reserved key. A release that does not know it
//! returns such an entry also after its time, and keeps the time; if it replaces the value, the time of the earlier one
//! still applies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::entries::Entries;

/// When entries of a session expire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lifetimes(BTreeMap<String, u64>);

impl Lifetimes {
    /// The reserved key under which they are stored among the entries.
    pub const KEY: &'static str = "$expires";

    /// How many entries of a session have a lifetime at most, apart from those of concurrent requests.
    pub const MAX: usize = 64;

    /// Returns whether there are any.
    #[must_use]
    pub fn are_in(entries: &Entries) -> bool {
        entries.contains(Self::KEY)
    }

    /// Reads the times from a session's entries. Empty if there are none, or if they cannot be read.
    #[must_use]
    pub fn of(entries: &Entries) -> Self {
        if !Self::are_in(entries) {
            return Self::default();
        }
        entries.get(Self::KEY).ok().flatten().unwrap_or_default()
    }

    /// Returns when an entry expires; `None` if it lives as long as the session.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Timestamp> {
        self.0.get(key).copied().map(Timestamp::from_millis)
    }

    /// Returns whether another entry may have a lifetime.
    #[must_use]
    pub fn has_room_for(&self, key: &str) -> bool {
        self.0.len() < Self::MAX || self.0.contains_key(key)
    }

    /// Sets when an entry expires.
    pub fn set(entries: &mut Entries, key: &str, until: Timestamp) {
        let mut lifetimes = Self::of(entries);
        lifetimes.0.insert(key.to_owned(), until.as_millis());
        lifetimes.put_into(entries);
    }

    /// Lets an entry live as long as the session.
    pub fn remove(entries: &mut Entries, key: &str) {
        if !Self::are_in(entries) {
            return;
        }
        let mut lifetimes = Self::of(entries);
        if lifetimes.0.remove(key).is_some() {
            lifetimes.put_into(entries);
        }
    }

    /// Removes the entries that have expired at `now`.
    pub fn expire(entries: &mut Entries, now: Timestamp) {
        if !Self::are_in(entries) {
            return;
        }
        let mut lifetimes = Self::of(entries);
        let before = lifetimes.0.len();
        lifetimes.0.retain(|key, until| {
            let is_live = now.as_millis() < *until;
            if !is_live {
                entries.remove(key);
            }
            is_live
        });
        if lifetimes.0.len() < before {
            lifetimes.put_into(entries);
        }
    }

    /// Returns the entries without those that have expired at `now`.
    #[must_use]
    pub fn live(entries: &Entries, now: Timestamp) -> Entries {
        let mut live = entries.clone();
        Self::expire(&mut live, now);
        live
    }

    fn put_into(&self, entries: &mut Entries) {
        if self.0.is_empty() {
            entries.remove(Self::KEY);
        } else {
            entries
                .set(Self::KEY, self)
                .expect("text and numbers are always JSON");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn an_entry_is_there_until_its_time_and_then_leaves_nothing() {
        let mut entries = Entries::from_json(r#"{"a":1,"b":2,"c":3}"#).unwrap();
        Lifetimes::set(&mut entries, "a", at(10));
        Lifetimes::set(&mut entries, "b", at(20));
        assert_eq!(Lifetimes::of(&entries).get("a"), Some(at(10)));
        assert_eq!(Lifetimes::live(&entries, at(9)), entries);
        let later = Lifetimes::live(&entries, at(10));
        assert!(!later.contains("a") && later.contains("b"));
        let last = Lifetimes::live(&entries, at(20));
        assert_eq!(last, Entries::from_json(r#"{"c":3}"#).unwrap());
        Lifetimes::remove(&mut entries, "a");
        Lifetimes::remove(&mut entries, "b");
        assert_eq!(
            entries,
            Entries::from_json(r#"{"a":1,"b":2,"c":3}"#).unwrap()
        );
    }

    #[test]
    fn so_many_entries_may_have_a_lifetime() {
        let mut entries = Entries::new();
        assert!(!Lifetimes::are_in(&entries));
        for number in 0..Lifetimes::MAX {
            let key = number.to_string();
            assert!(Lifetimes::of(&entries).has_room_for(&key));
            Lifetimes::set(&mut entries, &key, at(10));
        }
        assert!(Lifetimes::are_in(&entries));
        let full = Lifetimes::of(&entries);
        assert!(full.has_room_for("0") && !full.has_room_for("another"));
    }

    #[test]
    fn what_cannot_be_read_expires_nothing() {
        for json in [r#"{"$expires":7,"a":1}"#, r#"{"$expires":{"a":"x"},"a":1}"#] {
            let entries = Entries::from_json(json).unwrap();
            assert!(Lifetimes::live(&entries, at(u64::MAX)).contains("a"));
        }
    }
}
