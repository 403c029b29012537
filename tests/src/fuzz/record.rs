//! Bytes as they could stand in the store.

use std::sync::Arc;

use cloakroom_core::codec::{self, Stored};
use cloakroom_core::{Changes, Entries};
use serde_json::{Value, json};

/// The key of an entry that another request sets meanwhile.
const FOREIGN: &str = "of another request";

/// What is stored is read or refused; what was read is written as something that reads the same, and
/// edits of it land on a fresher record as they did on the copy.
///
/// # Panics
///
/// When that does not hold.
pub fn record(bytes: &[u8]) {
    match codec::decode(bytes) {
        Ok(Stored::Record(record)) => {
            let again = codec::decode(codec::encode(&record).as_bytes());
            assert!(record.entries().json_len() <= bytes.len(), "it grows");
            edit(record.entries());
            assert_eq!(again, Ok(Stored::Record(record)));
        }
        Ok(Stored::Tombstone(tombstone)) => {
            let again = codec::decode(codec::encode_tombstone(&tombstone).as_bytes());
            assert_eq!(again, Ok(Stored::Tombstone(tombstone)));
        }
        Err(error) => drop(error.to_string()),
    }
}

/// Edits every entry, each in another way, and replays that on what another request made meanwhile.
fn edit(base: &Entries) {
    let (mut mine, mut changes) = (base.clone(), Changes::new());
    for (number, key) in base.keys().enumerate() {
        match number % 4 {
            0 => drop(changes.remove(&mut mine, key)),
            1 => drop(changes.take(&mut mine, key)),
            2 => changes.set(&mut mine, key, &number).expect("it is JSON"),
            // What is too deep cannot be read as a value; then nothing may be changed.
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
