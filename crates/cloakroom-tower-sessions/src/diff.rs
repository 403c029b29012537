//! The difference between two states of a session's data, entry by entry, so that it can be applied to data
//! that other requests have changed.

use std::collections::HashMap;

use serde_json::Value;

/// The data of a tower-sessions record.
pub(crate) type Data = HashMap<String, Value>;

/// The changes to the data since it was loaded.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Difference {
    /// Whether all entries that were there are removed.
    pub(crate) clears: bool,
    /// Entries that are new or have another value.
    pub(crate) set: Data,
    /// Keys of removed entries.
    pub(crate) removed: Vec<String>,
}

impl Difference {
    /// Computes the changes from `base`, the loaded data, to `data`. Without a base, the data was cleared
    /// without being loaded.
    pub(crate) fn between(base: Option<&Data>, data: &Data) -> Self {
        let Some(base) = base else {
            return Self {
                clears: true,
                set: data.clone(),
                removed: Vec::new(),
            };
        };
        let set = data.iter().filter(|(key, now)| base.get(*key) != Some(now));
        let removed = base.keys().filter(|key| !data.contains_key(*key));
        Self {
            clears: false,
            set: set.map(|(key, now)| (key.clone(), now.clone())).collect(),
            removed: removed.cloned().collect(),
        }
    }

    /// Applies the changes to data that other requests may have changed.
    pub(crate) fn apply(&self, data: &mut Data) {
        if self.clears {
            data.clear();
        }
        for key in &self.removed {
            data.remove(key);
        }
        for (key, value) in &self.set {
            data.insert(key.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, u32)]) -> Data {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
            .collect()
    }

    #[test]
    fn changes_of_different_entries_are_merged() {
        let base = data(&[("a", 1), ("b", 1), ("c", 1)]);
        let mut stored = data(&[("a", 2), ("b", 1), ("c", 1), ("d", 1)]);
        let mine = data(&[("a", 1), ("b", 2), ("e", 1)]);
        Difference::between(Some(&base), &mine).apply(&mut stored);
        assert_eq!(stored, data(&[("a", 2), ("b", 2), ("d", 1), ("e", 1)]));
    }

    #[test]
    fn data_cleared_without_a_load_replaces_everything() {
        let mut stored = data(&[("a", 1)]);
        Difference::between(None, &data(&[("b", 1)])).apply(&mut stored);
        assert_eq!(stored, data(&[("b", 1)]));
    }
}
