//! What a script is told, or another command of many words.

use std::fmt::{Display, Write as _};
use std::mem;

use bytes::Bytes;
use cloakroom_core::SessionId;
use fred::types::Value;

/// The keys of a script, and then its arguments, all in one text: a text of its own for each would be two
/// allocations for each on the way through fred.
pub(crate) struct Words {
    text: String,
    /// Where each word ends, and the next begins.
    ends: Vec<usize>,
    /// How many of them are keys.
    keys: usize,
}

impl Words {
    /// How many words most scripts have at most.
    const COUNT: usize = 16;

    /// These keys, and so far no arguments. For these there is room of so many bytes.
    pub(super) fn on(keys: &[&str], room: usize) -> Self {
        let length: usize = keys.iter().map(|key| key.len()).sum();
        let mut words = Self {
            text: String::with_capacity(length + room),
            ends: Vec::with_capacity(Self::COUNT),
            keys: keys.len(),
        };
        for key in keys {
            words.add(key);
        }
        words
    }

    /// One more word.
    pub(super) fn add(&mut self, word: &str) {
        self.add_by(|text| text.push_str(word));
    }

    /// One more word, an id.
    pub(super) fn add_id(&mut self, id: SessionId) {
        self.add_by(|text| id.write_into(text));
    }

    /// One more word, as it is shown.
    pub(super) fn add_shown(&mut self, word: impl Display) {
        self.add_by(|text| write!(text, "{word}").expect("writing to a String does not fail"));
    }

    /// One more word, which is what `write` adds to the text.
    pub(super) fn add_by(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.text);
        self.ends.push(self.text.len());
    }

    pub(super) fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.keys).map(|place| self.word(place))
    }

    pub(super) fn args(&self) -> impl ExactSizeIterator<Item = &str> {
        (self.keys..self.ends.len()).map(|place| self.word(place))
    }

    /// How many bytes they have in all.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    fn word(&self, place: usize) -> &str {
        &self.text[self.begin(place)..self.ends[place]]
    }

    fn begin(&self, place: usize) -> usize {
        place.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// All of them, each a part of the one text.
    pub(super) fn into_bytes(self) -> Vec<Bytes> {
        let text = Bytes::from(self.text);
        let mut begin = 0;
        let word = |end| text.slice(mem::replace(&mut begin, end)..end);
        self.ends.into_iter().map(word).collect()
    }

    /// The same, for a command of fred that takes any words.
    pub(super) fn into_values(self) -> Vec<Value> {
        self.into_bytes().into_iter().map(Value::Bytes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_out_as_they_went_in() {
        let mut words = Words::on(&["one", ""], 0);
        words.add("three");
        words.add("");
        words.add_by(|text| text.push('5'));
        words.add_shown(-6);
        assert_eq!(words.keys().collect::<Vec<_>>(), ["one", ""]);
        assert_eq!(words.args().collect::<Vec<_>>(), ["three", "", "5", "-6"]);
        assert_eq!(words.len(), "onethree5-6".len());
        let values = words.into_values();
        let texts: Vec<_> = values.iter().filter_map(Value::as_str).collect();
        assert_eq!(texts, ["one", "", "three", "", "5", "-6"]);
    }
}
