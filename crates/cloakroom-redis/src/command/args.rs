//! The arguments of commands.

use std::fmt::{Display, Write as _};
use std::mem;
use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::SessionId;
use fred::types::{ClusterHash, Value};

use super::slot::slot_of;

/// The keys of a script, followed by its arguments, all in one text: with a text for each, fred would
/// need two more allocations per argument.
pub(crate) struct Args {
    text: String,
    /// Where each argument ends, and the next one starts.
    ends: Vec<usize>,
    /// How many of them are keys.
    keys: usize,
}

impl Args {
    /// The initial capacity: most scripts have no more arguments.
    const CAPACITY: usize = 16;

    /// Starts with these keys, and reserves `capacity` bytes for the arguments that follow.
    pub(super) fn with_keys(keys: &[&str], capacity: usize) -> Self {
        let length: usize = keys.iter().map(|key| key.len()).sum();
        let mut args = Self {
            text: String::with_capacity(length + capacity),
            ends: Vec::with_capacity(Self::CAPACITY),
            keys: keys.len(),
        };
        for key in keys {
            args.push(key);
        }
        args
    }

    pub(super) fn push(&mut self, arg: &str) {
        self.push_with(|text| text.push_str(arg));
    }

    pub(super) fn push_id(&mut self, id: SessionId) {
        self.push_with(|text| id.write_into(text));
    }

    pub(super) fn push_display(&mut self, arg: impl Display) {
        self.push_with(|text| write!(text, "{arg}").expect("writing to a String does not fail"));
    }

    /// Adds the text that `write` appends as one argument.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.text);
        self.ends.push(self.text.len());
    }

    pub(super) fn keys(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        (0..self.keys).map(|index| self.get(index))
    }

    /// The first key; there is one.
    pub(super) fn first_key(&self) -> &str {
        self.get(0)
    }

    /// The arguments after the keys.
    pub(super) fn rest(&self) -> impl ExactSizeIterator<Item = &str> {
        (self.keys..self.ends.len()).map(|index| self.get(index))
    }

    /// The total length in bytes.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    fn get(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[index]]
    }

    /// All keys and arguments, as slices of the one text.
    pub(super) fn into_bytes(self) -> Vec<Bytes> {
        let text = Bytes::from(self.text);
        let mut start = 0;
        let slice = |end| text.slice(mem::replace(&mut start, end)..end);
        self.ends.into_iter().map(slice).collect()
    }

    /// The same, as fred's values.
    pub(super) fn into_values(self) -> Vec<Value> {
        self.into_bytes().into_iter().map(Value::Bytes).collect()
    }
}

/// Returns by what fred finds the node of a cluster that has a key.
pub(super) fn hash_of(key: &str) -> ClusterHash {
    ClusterHash::Custom(slot_of(key))
}

/// Converts a time to live to whole milliseconds for `PX`: at least 1, since 0 is an error, and at most
/// 2^48, so that no sum with a timestamp overflows.
pub(super) fn millis(ttl: Duration) -> i64 {
    const MAX: i64 = 1 << 48;
    i64::try_from(ttl.as_millis()).map_or(MAX, |millis| millis.clamp(1, MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_returned_as_they_were_added() {
        let mut args = Args::with_keys(&["one", ""], 0);
        args.push("three");
        args.push("");
        args.push_with(|text| text.push('5'));
        args.push_display(-6);
        assert_eq!(args.keys().collect::<Vec<_>>(), ["one", ""]);
        assert_eq!(args.rest().collect::<Vec<_>>(), ["three", "", "5", "-6"]);
        assert_eq!(args.len(), "onethree5-6".len());
        let values = args.into_values();
        let texts: Vec<_> = values.iter().filter_map(Value::as_str).collect();
        assert_eq!(texts, ["one", "", "three", "", "5", "-6"]);
    }

    #[test]
    fn a_ttl_is_whole_milliseconds_and_never_none() {
        for (ttl, expected) in [
            (Duration::ZERO, 1),
            (Duration::from_micros(999), 1),
            (Duration::from_micros(2_999), 2),
            (Duration::from_secs(60), 60_000),
            (Duration::MAX, 1 << 48),
        ] {
            assert_eq!(millis(ttl), expected);
        }
    }
}
