//! Properties of the stored format: decoding is exact, and safe for any input.

mod support;

use std::time::Duration;

use cloakroom_core::codec::{
    self, CodecError, HEAD_LEN, RECORD_MAGIC, REVISION, RecordFormat, SEEN, Stored,
};
use cloakroom_core::{Digest, EndReason, Entries, Limits, Record, Revision, Timestamp};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

const RECORDS: [&str; 6] = [
    include_str!("fixtures/record.txt"),
    include_str!("fixtures/record-chosen.txt"),
    include_str!("fixtures/record-empty.txt"),
    include_str!("fixtures/record-2.txt"),
    include_str!("fixtures/record-2-chosen.txt"),
    include_str!("fixtures/record-2-empty.txt"),
];

const TOMBSTONES: [&str; 4] = [
    include_str!("fixtures/tombstone.txt"),
    include_str!("fixtures/tombstone-unknown.txt"),
    include_str!("fixtures/tombstone-renewed.txt"),
    include_str!("fixtures/tombstone-renewed-secrets.txt"),
];

fn fixtures() -> impl Iterator<Item = &'static str> {
    RECORDS.into_iter().chain(TOMBSTONES)
}

fn decode_record(text: &str) -> Record {
    match codec::decode(text.as_bytes()) {
        Ok(Stored::Record(record)) => record,
        other => panic!("not a record: {other:?}"),
    }
}

/// Checks that a value that can be decoded is encoded to the same bytes again, up to the form of its JSON.
fn check(bytes: &[u8]) {
    match codec::decode(bytes) {
        Err(_) => {}
        Ok(Stored::Record(record)) => {
            let format = match &bytes[..3] {
                b"c1 " => RecordFormat::V1,
                _ => RecordFormat::V2,
            };
            let again = codec::encode_as(&record, format);
            // In a record whose digest ends with zeros, format 2 would be written.
            if !again.starts_with(format.magic()) {
                return;
            }
            let head = again.find('{').expect("the entries");
            assert_eq!(&again.as_bytes()[..head], &bytes[..head]);
            assert_eq!(decode_record(&again), record);
            let read: Result<Value, _> = serde_json::from_slice(&bytes[head..]);
            if let Ok(read) = read {
                let written: Value = serde_json::from_str(&again[head..]).expect("JSON");
                assert_eq!(written, read);
            }
        }
        Ok(Stored::Tombstone(tombstone)) => {
            let again = codec::encode_tombstone(&tombstone);
            // The name of a reason of a newer release is not kept.
            let known = match tombstone.reason() {
                EndReason::Other => again.len() - "other".len(),
                _ => again.len(),
            };
            assert_eq!(&again.as_bytes()[..known], &bytes[..known]);
        }
    }
}

#[test]
fn no_single_byte_changes_the_meaning_unnoticed() {
    for text in fixtures() {
        let mut bytes = text.as_bytes().to_vec();
        for index in 0..bytes.len() {
            let original = bytes[index];
            for byte in (0..=u8::MAX).filter(|byte| *byte != original) {
                bytes[index] = byte;
                check(&bytes);
            }
            bytes[index] = original;
            check(&bytes[..index]);
        }
    }
}

#[test]
fn no_prefix_of_a_record_is_a_record() {
    for text in RECORDS {
        for length in (0..text.len()).filter(|length| text.is_char_boundary(*length)) {
            let read = codec::decode(&text.as_bytes()[..length]);
            assert!(
                matches!(read, Err(CodecError::Unreadable(_))),
                "{length} bytes of {text:?}"
            );
        }
    }
}

/// Any JSON, three levels deep.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Keys of every kind: empty, any text, and characters that JSON must escape.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), r#"[a-c"\\\x00-\x20\x7f]{0,4}"#]
}

prop_compose! {
    fn record()(
        revision: u64,
        seen in 0..1_u64 << 48,
        idle in 0..1_u64 << 48,
        deadline in 0..1_u64 << 48,
        chosen: bool,
        digest: [u8; 32],
        values in btree_map(key(), value(), 0..6),
    ) -> Record {
        let mut entries = Entries::new();
        for (key, value) in &values {
            entries.set(key, value).expect("a Value is JSON");
        }
        let deadline = Timestamp::from_millis(deadline);
        Record::new(
            Revision::from_bits(revision),
            Timestamp::from_millis(seen),
            Limits::from_parts(Duration::from_millis(idle), deadline, chosen),
            Digest::from_bytes(digest),
            entries,
        )
    }
}

proptest! {
    #![proptest_config(support::config(support::regressions!("codec_properties")))]

    #[test]
    fn records_round_trip(record in record()) {
        let text = codec::encode(&record);
        prop_assert_eq!(decode_record(&text), record.clone());
        prop_assert_eq!(text.len(), codec::encoded_len(record.entries()));
        prop_assert!(text.starts_with(RECORD_MAGIC));
        prop_assert_eq!(&text[REVISION], record.revision().to_string());
        prop_assert_eq!(&text[SEEN], codec::encode_time(record.last_seen()));
        prop_assert_eq!(&text[HEAD_LEN - 1..=HEAD_LEN], " {");
    }

    #[test]
    fn records_round_trip_in_format_2(record in record()) {
        let format = RecordFormat::V2;
        let text = codec::encode_as(&record, format);
        let read = decode_record(&text);
        prop_assert_eq!(&read, &record);
        prop_assert!(text.len() < codec::encoded_len(record.entries()));
        let (mut head, revision) = (String::new(), record.revision());
        codec::encode_head_start_as(revision, format, &mut head);
        prop_assert_eq!(&text[..format.revision().end], head);
        let seen = codec::encode_time_as(record.last_seen(), format);
        prop_assert_eq!(&text[format.last_seen()], seen);
        // With the digest of the presented token, it is what it was in format 1.
        let whole = read.with_whole_digest(record.digest());
        prop_assert_eq!(codec::encode(&whole), codec::encode(&record));
    }

    /// So that a server can compare the texts.
    #[test]
    fn later_times_are_greater_texts_in_format_2(one in 0..1_u64 << 48, other in 0..1_u64 << 48) {
        let text = |millis| codec::encode_time_as(Timestamp::from_millis(millis), RecordFormat::V2);
        prop_assert_eq!(text(one).cmp(&text(other)), one.cmp(&other));
    }

    #[test]
    fn any_limits_fit_a_record(idle: Duration, deadline: u64, chosen: bool) {
        let limits = Limits::from_parts(idle, Timestamp::from_millis(deadline), chosen);
        let digest = Digest::from_bytes([7; 32]);
        let seen = Timestamp::from_millis(0);
        let record = Record::new(Revision::from_bits(0), seen, limits, digest, Entries::new());
        for format in [RecordFormat::V1, RecordFormat::V2] {
            prop_assert_eq!(&decode_record(&codec::encode_as(&record, format)), &record);
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_rejected(bytes in vec(any::<u8>(), 0..200)) {
        check(&bytes);
        check(&[RECORD_MAGIC.as_bytes(), &bytes].concat());
        check(&[&RECORDS[0].as_bytes()[..HEAD_LEN], &bytes].concat());
        check(&[&RECORDS[5].as_bytes()[..53], &bytes].concat());
        check(&[&RECORDS[5].as_bytes()[..52], &bytes].concat());
        check(&[b"c2 ".as_slice(), &bytes].concat());
    }

    #[test]
    fn a_damaged_record_is_decoded_or_rejected(
        text in select(fixtures().collect::<Vec<_>>()),
        damage in vec((any::<Index>(), any::<u8>(), 0..3), 1..6),
    ) {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte, kind) in damage {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
            check(&bytes);
        }
    }
}
