//! A map whose entries expire, with a bound on their number.

use std::collections::HashMap;

/// How many entries are looked at to find one that can be evicted.
const SAMPLE: usize = 16;

/// Holds at most a fixed number of entries. A full map evicts an entry that has expired, or else the one of
/// a sample that expires first: a counter with little in it, rather than one that is nearly exhausted.
#[derive(Debug)]
pub(crate) struct BoundedMap<V> {
    entries: HashMap<String, Entry<V>>,
    max_len: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    /// In milliseconds, of the clock that the caller passes.
    expires: u64,
}

impl<V> BoundedMap<V> {
    pub(crate) fn new(max_len: usize) -> Self {
        Self {
            entries: HashMap::new(),
            max_len,
        }
    }

    /// Returns the value, and how long it lives on.
    pub(crate) fn get(&self, key: &str, now: u64) -> Option<(&V, u64)> {
        let entry = self.entries.get(key)?;
        let ttl = entry.expires.checked_sub(now).filter(|&ttl| ttl > 0)?;
        Some((&entry.value, ttl))
    }

    /// Stores a value for `ttl` milliseconds.
    pub(crate) fn insert(&mut self, key: &str, value: V, ttl: u64, now: u64) {
        let expires = now.saturating_add(ttl);
        if let Some(entry) = self.entries.get_mut(key) {
            *entry = Entry { value, expires };
            return;
        }
        if self.entries.len() >= self.max_len {
            self.evict(now);
        }
        self.entries
            .insert(key.to_owned(), Entry { value, expires });
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.entries.remove(key);
    }

    /// Removes the expired entries of a sample; if there are none, the one that expires first.
    fn evict(&mut self, now: u64) {
        let sample = self.entries.iter().take(SAMPLE);
        let mut sample: Vec<_> = sample
            .map(|(key, entry)| (entry.expires, key.clone()))
            .collect();
        sample.sort_unstable();
        for (index, (expires, key)) in sample.into_iter().enumerate() {
            if index == 0 || expires <= now {
                self.entries.remove(&key);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_expires() {
        let mut map = BoundedMap::new(10);
        map.insert("a", 1, 5, 100);
        assert_eq!(map.get("a", 104), Some((&1, 1)));
        assert_eq!(map.get("a", 105), None);
    }

    #[test]
    fn the_number_of_entries_is_bounded_and_expired_ones_go_first() {
        let mut map = BoundedMap::new(10);
        map.insert("long", 0, 1_000_000, 0);
        for number in 0..1000 {
            map.insert(&number.to_string(), number, 10, number);
            assert!(map.len() <= 10);
        }
        assert!(
            map.get("long", 1000).is_some(),
            "others expired or expire earlier"
        );
        assert_eq!(map.get("999", 999), Some((&999, 10)));
    }
}
