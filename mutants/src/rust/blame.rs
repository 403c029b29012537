//! Which mutants an error of the compiler is about.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::edits::{Kind, Place};

/// Why a mutant is not tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LeftOut {
    /// The changed code does not compile.
    Unviable,
    /// The code with the switch does not compile, such as in a constant. Without it, the mutant might.
    Unswitched,
}

/// A mutant that an error is about, and its file.
pub(super) type Blamed<'a> = (&'a str, u32, LeftOut);

/// The mutants that an error is about.
pub(super) fn blame<'a>(error: &Value, places: &BTreeMap<&'a str, Vec<Place>>) -> Vec<Blamed<'a>> {
    let own = error["spans"].as_array().into_iter().flatten();
    let children = error["children"].as_array().into_iter().flatten();
    let notes = children.filter_map(|child| child["spans"].as_array());
    let (mut spans, secondary): (Vec<&Value>, Vec<&Value>) =
        own.partition(|span| span["is_primary"] == true);
    spans.extend(secondary);
    spans.extend(notes.flatten());
    let find = |place| {
        spans
            .iter()
            .map(move |span| blame_span(span, places, place))
    };
    let mut found = find(smallest as Choice).chain(find(function));
    found.find(|list| !list.is_empty()).unwrap_or_default()
}

/// Chooses of a file's places those that an error in a range is about.
type Choice = fn(&[Place], Range<usize>) -> Vec<&Place>;

/// The smallest place around the range that has mutants.
fn smallest(places: &[Place], range: Range<usize>) -> Vec<&Place> {
    let is_around = |place: &&Place| contains(&place.range, &range) && !place.mutants.is_empty();
    let around = places.iter().filter(is_around);
    around
        .min_by_key(|place| place.range.len())
        .into_iter()
        .collect()
}

/// All in the function around the range.
fn function(places: &[Place], range: Range<usize>) -> Vec<&Place> {
    let is_function =
        |place: &&Place| place.kind == Kind::Function && contains(&place.range, &range);
    let functions = places.iter().filter(is_function);
    let Some(function) = functions.min_by_key(|place| place.range.len()) else {
        return Vec::new();
    };
    let is_inside =
        |place: &&Place| contains(&function.range, &place.range) && place.kind != Kind::Replacement;
    places.iter().filter(is_inside).collect()
}

fn contains(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

fn blame_span<'a>(
    span: &Value,
    places: &BTreeMap<&'a str, Vec<Place>>,
    choose: Choice,
) -> Vec<Blamed<'a>> {
    let mut span = span;
    while span["expansion"]["span"].is_object() {
        span = &span["expansion"]["span"];
    }
    let byte = |name: &str| {
        span[name]
            .as_u64()
            .and_then(|byte| usize::try_from(byte).ok())
    };
    let file = span["file_name"]
        .as_str()
        .and_then(|file| places.get_key_value(file));
    let (Some((&file, places)), Some(start), Some(end)) =
        (file, byte("byte_start"), byte("byte_end"))
    else {
        return Vec::new();
    };
    let mut blamed = Vec::new();
    for place in choose(places, start..end) {
        let reason = match place.kind {
            Kind::Replacement => LeftOut::Unviable,
            Kind::Switch | Kind::Function => LeftOut::Unswitched,
        };
        blamed.extend(place.mutants.iter().map(|&number| (file, number, reason)));
    }
    blamed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_leads_to_the_smallest_place_or_to_the_function() {
        let place = |range, kind, mutants: &[u32]| Place {
            range,
            kind,
            mutants: mutants.to_vec(),
        };
        let here = vec![
            place(0..100, Kind::Function, &[]),
            place(10..50, Kind::Switch, &[1, 2]),
            place(20..30, Kind::Replacement, &[1]),
        ];
        let places = BTreeMap::from([("a.rs", here)]);
        let blamed = |file: &str, start: usize, end: usize| {
            let span = json!({"file_name": file, "byte_start": start, "byte_end": end, "is_primary": true});
            let outer =
                json!({"file_name": "b.rs", "is_primary": true, "expansion": {"span": span}});
            assert_eq!(
                blame(&json!({"spans": [span]}), &places),
                blame(&json!({"spans": [outer]}), &places)
            );
            blame(
                &json!({"spans": [], "children": [{"spans": [span]}]}),
                &places,
            )
        };
        assert_eq!(blamed("a.rs", 22, 30), [("a.rs", 1, LeftOut::Unviable)]);
        let both = [
            ("a.rs", 1, LeftOut::Unswitched),
            ("a.rs", 2, LeftOut::Unswitched),
        ];
        assert_eq!(blamed("a.rs", 22, 31), both);
        assert_eq!(blamed("a.rs", 60, 61), both);
        assert_eq!(blamed("a.rs", 99, 101), []);
        assert_eq!(blamed("b.rs", 22, 30), []);
    }
}
