//! Arbitrary bytes as a stored value.

use std::sync::Arc;

use cloakroom_core::codec::{self, RecordFormat, Stored};
use cloakroom_core::{Changes, Entries};
use serde_json::{Value, json};

/// The key of an entry that a concurrent request sets.
const FOREIGN: &str = "of another request";

/// Stored bytes decode or are rejected. A decoded record encodes, in each format, to one that decodes equal, and edits of it
/// replay on a fresher record as they applied to the copy.
///
/// # Panics
///
/// When that does not hold.
pub fn record(bytes: &[u8]) {
    match codec::decode(bytes) {
        Ok(Stored::Record(record)) => {
            assert!(record.entries().json_len() <= bytes.len(), "it grows");
            edit(record.entries());
            for format in [RecordFormat::V1, RecordFormat::V2] {
                let again = codec::decode(codec::encode_as(&record, format).as_bytes());
                assert_eq!(again, Ok(Stored::Record(record.clone())));
            }
        }
        Ok(Stored::Tombstone(tombstone)) => {
            let again = codec::decode(codec::encode_tombstone(&tombstone).as_bytes());
            assert_eq!(again, Ok(Stored::Tombstone(tombstone)));
        }
        Err(error) => drop(error.to_string()),
    }
}

/// Edits every entry, each in another way, and replays the edits on the changes of a concurrent request.
fn edit(base: &Entries) {
    let (mut mine, mut changes) = (base.clone(), Changes::new());
    for (number, key) in base.keys().enumerate() {
        match number % 4 {
            0 => drop(changes.remove(&mut mine, key)),
            1 => drop(changes.take(&mut mine, key)),
            2 => changes.set(&mut mine, key, &number).expect("it is JSON"),
            // A value nested too deeply cannot be parsed; then nothing may change.
            _ => drop(changes.update(&mut mine, key, |there: Option<Value>| json!([there]))),
        }
    }
    let alone = changes.replay(base, base).expect("it was edited so before");
    assert_eq!(alone.entries, mine);
    assert_eq!(alone.overwritten, Vec::<Arc<str>>::new());

    let (mut fresher, mut both) = (base.clone(), mine);
    for entries in [&mut fresher, &mut both] {
        entries.set(FOREIGN, &true).expect("it is JSON");
    }
    if !base.contains(FOREIGN) {
        let merged = changes.replay(base, &fresher).expect("as before");
        assert_eq!(merged.entries, both, "both requests' edits land");
        assert_eq!(merged.overwritten, Vec::<Arc<str>>::new());
    }
}
