//! Changes of a text, some of them within others.

use std::cmp::Reverse;
use std::ops::Range;

/// A change of a range of the text.
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) parts: Vec<Part>,
}

pub(super) enum Part {
    Text(String),
    /// The original text, with the edits in it.
    Source(Range<usize>),
    Begin(Kind, Vec<u32>),
    End,
}

/// A range of the text that was written for some mutants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
    pub(crate) mutants: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The code that replaces the original.
    Replacement,
    /// The code that chooses, with both.
    Switch,
    /// A whole function. Its mutants are those that return a value at once.
    Function,
}

/// Changes a text. Also returns where the marked parts are.
pub(super) fn apply(text: &str, mut edits: Vec<Edit>) -> (String, Vec<Place>) {
    edits.sort_by_key(|edit| (edit.range.start, Reverse(edit.range.end)));
    let mut output = Output::default();
    output.source(text, &edits, 0..text.len());
    (output.text, output.places)
}

#[derive(Default)]
struct Output {
    text: String,
    places: Vec<Place>,
    /// The indexes of the places that have begun.
    open: Vec<usize>,
}

impl Output {
    /// Writes a range of the original text, with the edits in it. They are sorted: those that contain others come first.
    fn source(&mut self, original: &str, edits: &[Edit], range: Range<usize>) {
        let mut at = range.start;
        for (index, edit) in edits.iter().enumerate() {
            if edit.range.start >= range.end {
                break;
            }
            if edit.range.start < at || edit.range.end > range.end {
                continue;
            }
            self.text.push_str(&original[at..edit.range.start]);
            self.parts(original, &edits[index + 1..], &edit.parts);
            at = edit.range.end;
        }
        self.text.push_str(&original[at..range.end]);
    }

    fn parts(&mut self, original: &str, edits: &[Edit], parts: &[Part]) {
        for part in parts {
            match part {
                Part::Text(text) => self.text.push_str(text),
                Part::Source(range) => self.source(original, edits, range.clone()),
                Part::Begin(kind, mutants) => {
                    self.open.push(self.places.len());
                    self.places.push(Place {
                        range: self.text.len()..self.text.len(),
                        kind: *kind,
                        mutants: mutants.clone(),
                    });
                }
                Part::End => {
                    let place = self.open.pop().expect("it has begun");
                    self.places[place].range.end = self.text.len();
                }
            }
        }
    }
}
