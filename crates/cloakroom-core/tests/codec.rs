//! The stored format: it is frozen, and each value has exactly one form.

use std::time::Duration;

use cloakroom_core::codec::{self, CodecError, HEAD_LEN, MAX_LEN, RecordFormat, Stored};
use cloakroom_core::{Digest, EndReason, Entries, Limits, Record, Revision, Timestamp, Tombstone};
use serde_json::Value;

// Written by release 0.1.0. A change that breaks one of these would end all sessions. It needs a new format
// version instead.
const RECORD: &str = include_str!("fixtures/record.txt");
const RECORD_CHOSEN: &str = include_str!("fixtures/record-chosen.txt");
const RECORD_EMPTY: &str = include_str!("fixtures/record-empty.txt");
const TOMBSTONE: &str = include_str!("fixtures/tombstone.txt");
const TOMBSTONE_UNKNOWN: &str = include_str!("fixtures/tombstone-unknown.txt");
// Written since the tombstone of a renewed session names its successor.
const TOMBSTONE_RENEWED: &str = include_str!("fixtures/tombstone-renewed.txt");
// Written since it has the digests of several secrets.
const TOMBSTONE_SECRETS: &str = include_str!("fixtures/tombstone-renewed-secrets.txt");

// Written in format 2.
const RECORD_2: &str = include_str!("fixtures/record-2.txt");
const RECORD_2_CHOSEN: &str = include_str!("fixtures/record-2-chosen.txt");
const RECORD_2_EMPTY: &str = include_str!("fixtures/record-2-empty.txt");

const SUCCESSOR: &str = "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b";

/// The digest in the fixtures: the bytes 0 to 31.
fn digest() -> Digest {
    Digest::from_bytes(std::array::from_fn(|index| {
        u8::try_from(index).expect("32 bytes")
    }))
}

fn decode_record(text: &str) -> Record {
    match codec::decode(text.as_bytes()) {
        Ok(Stored::Record(record)) => record,
        other => panic!("not a record: {other:?}"),
    }
}

/// The first half of that digest, as format 2 has it.
fn short_digest() -> Digest {
    let [mut bytes, whole] = [[0; 32], *digest().as_bytes()];
    bytes[..16].copy_from_slice(&whole[..16]);
    Digest::from_bytes(bytes)
}

fn encode_in_2(record: &Record) -> String {
    codec::encode_as(record, RecordFormat::V2)
}

fn is_rejected(text: &str) -> bool {
    matches!(
        codec::decode(text.as_bytes()),
        Err(CodecError::Unreadable(_))
    )
}

#[test]
fn a_record_with_the_layers_limits_is_frozen() {
    let mut entries = Entries::new();
    entries.set("hits", &7).unwrap();
    entries.set("cart", &[3, 5]).unwrap();
    let record = Record::new(
        Revision::from_bits(0x9f3a_61c0_7b5e_2d48),
        Timestamp::from_millis(0x0191_e0c4_8f2a),
        Limits::from_parts(
            Duration::from_secs(30 * 60),
            Timestamp::from_millis(0x0192_7a2b_0c00),
            false,
        ),
        digest(),
        entries,
    );
    assert_eq!(decode_record(RECORD), record);
    assert_eq!(codec::encode(&record), RECORD);
}

#[test]
fn a_record_with_chosen_limits_and_unusual_entries_is_frozen() {
    let record = decode_record(RECORD_CHOSEN);
    assert_eq!(record.revision(), Revision::from_bits(1));
    assert_eq!(record.last_seen(), Timestamp::from_millis(0x0191_e0c4_8f2a));
    let idle = Duration::from_millis(0x9a7e_c800);
    assert_eq!(
        record.limits(),
        Limits::from_parts(idle, Timestamp::MAX, true)
    );
    assert_eq!(record.digest(), &digest());
    let raw: Vec<_> = record
        .entries()
        .keys()
        .map(|key| (key, record.entries().entry(key).unwrap().json()))
        .collect();
    let expected = [
        ("", "null"),
        ("\0\"\\", r#""\u001f""#),
        ("käse 🧥", r#"{"a b":[1.50,-0,1e400,{}]}"#),
        ("z", r#"" ""#),
    ];
    assert_eq!(raw, expected);
    assert_eq!(codec::encode(&record), RECORD_CHOSEN);
}

#[test]
fn a_record_without_entries_is_frozen() {
    let record = decode_record(RECORD_EMPTY);
    assert_eq!(record.revision(), Revision::from_bits(u64::MAX));
    assert_eq!(record.last_seen(), Timestamp::from_millis(0));
    let second = Limits::from_parts(Duration::from_secs(1), Timestamp::from_millis(1000), false);
    assert_eq!(record.limits(), second);
    assert!(record.entries().is_empty());
    assert_eq!(codec::encode(&record), RECORD_EMPTY);
}

/// What is read from the fixtures of format 1, with the bytes of the digest that format 2 has.
fn in_format_2(text: &str) -> Record {
    let record = decode_record(text);
    let (limits, entries) = (record.limits(), record.entries().clone());
    assert_eq!(record.digest().as_bytes(), digest().as_bytes());
    Record::new(
        record.revision(),
        record.last_seen(),
        limits,
        short_digest(),
        entries,
    )
}

#[test]
fn records_of_format_2_are_frozen() {
    for (first, second) in [(RECORD, RECORD_2), (RECORD_CHOSEN, RECORD_2_CHOSEN)] {
        assert_eq!(encode_in_2(&decode_record(first)), second);
        let read = decode_record(second);
        assert_eq!(read, in_format_2(first));
        assert_eq!(read.digest().as_bytes(), short_digest().as_bytes());
    }
    let empty = decode_record(RECORD_2_EMPTY);
    assert_eq!(empty.revision(), Revision::from_bits(u64::MAX));
    assert_eq!(empty.last_seen(), Timestamp::from_millis(0));
    let day = Duration::from_secs(24 * 60 * 60);
    let deadline = Timestamp::from_millis(86_400_000);
    assert_eq!(empty.limits(), Limits::from_parts(day, deadline, false));
    assert_eq!(encode_in_2(&empty), RECORD_2_EMPTY);
}

/// A server of a release before format 2 would not find a truncated digest equal, and sign the user out.
#[test]
fn format_1_is_written_only_with_the_whole_digest() {
    let read = decode_record(RECORD_2);
    assert_eq!(codec::encode(&read), RECORD_2);
    let other = Digest::from_bytes([255; 32]);
    assert_eq!(
        codec::encode(&read.clone().with_whole_digest(&other)),
        RECORD_2
    );
    assert_eq!(codec::encode(&read.with_whole_digest(&digest())), RECORD);
}

#[test]
fn digests_are_equal_if_their_first_128_bits_are() {
    assert!(digest() == short_digest() && short_digest() == digest());
    for bit in 0..256 {
        let mut bytes = *digest().as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Digest::from_bytes(bytes) == digest(), bit >= 128, "{bit}");
    }
}

#[test]
fn the_head_of_format_2_has_half_the_length() {
    let length = |text: &str| text.find('{').expect("the entries");
    assert_eq!(length(RECORD_2_EMPTY), 53);
    assert_eq!(length(RECORD_2), 57);
    let longest = Duration::from_millis(Timestamp::MAX.as_millis());
    let limits = Limits::from_parts(longest, Timestamp::MAX, true);
    let seen = Timestamp::from_millis(0);
    let revision = Revision::from_bits(0);
    let record = Record::new(revision, seen, limits, digest(), Entries::new());
    let text = encode_in_2(&record);
    assert_eq!(length(&text), 72);
    assert!(length(&text) < HEAD_LEN && text.len() < codec::encoded_len(record.entries()));
    assert_eq!(decode_record(&text), record);
}

#[test]
fn tombstones_are_frozen() {
    let at = Timestamp::from_millis(0x0191_e0c4_8f2a);
    let known = Tombstone::new(Some(digest()), at, EndReason::Renewed);
    let unknown = Tombstone::new(None, at, EndReason::Destroyed);
    let renewed = Tombstone::renewed(Some(digest()), at, SUCCESSOR.parse().unwrap());
    let secrets = vec![digest(), Digest::from_bytes([255; 32])];
    let several = Tombstone::renewed_with_secrets(secrets, at, SUCCESSOR.parse().unwrap());
    for (text, tombstone) in [
        (TOMBSTONE_SECRETS, several),
        (TOMBSTONE, known),
        (TOMBSTONE_UNKNOWN, unknown),
        (TOMBSTONE_RENEWED, renewed),
    ] {
        assert_eq!(codec::encode_tombstone(&tombstone), text);
        assert_eq!(
            codec::decode(text.as_bytes()),
            Ok(Stored::Tombstone(tombstone))
        );
    }
}

/// Only a renewed session has a successor, and its id has one form.
#[test]
fn a_successor_is_read_exactly_as_it_is_written() {
    let upper = SUCCESSOR.to_uppercase();
    for reason in [
        format!("destroyed:{SUCCESSOR}"),
        format!("renewed:{upper}"),
        format!("renewed::{SUCCESSOR}"),
        format!("renewed{SUCCESSOR}"),
        format!("renewed:{SUCCESSOR}:"),
    ] {
        let text = format!("t1 0191e0c48f2a - {reason}");
        match codec::decode(text.as_bytes()) {
            Ok(Stored::Tombstone(tombstone)) => {
                assert_eq!(tombstone.reason(), EndReason::Other, "{text}");
                assert_eq!(tombstone.successor(), None, "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A client that knows only the id of a renewed session is not led to its successor.
#[test]
fn only_the_secrets_of_a_tombstone_are_known() {
    let (at, other) = (Timestamp::from_millis(7), Digest::from_bytes([255; 32]));
    let successor = SUCCESSOR.parse().unwrap();
    let none = Tombstone::renewed(None, at, successor);
    let one = Tombstone::renewed(Some(digest()), at, successor);
    let two = Tombstone::renewed_with_secrets(vec![digest(), other], at, successor);
    let known =
        |tombstone: &Tombstone| (tombstone.is_secret(&digest()), tombstone.is_secret(&other));
    assert_eq!(known(&none), (false, false));
    assert_eq!(known(&one), (true, false));
    assert_eq!(known(&two), (true, true));
    assert!(!two.is_secret(&Digest::from_bytes([254; 32])));
    let public = two.without_successor();
    assert_eq!((public.successor(), public.secrets()), (None, &[][..]));
    assert_eq!(public.reason(), EndReason::Renewed);
}

#[test]
fn a_tombstone_has_a_limited_number_of_digests() {
    let (at, successor) = (Timestamp::from_millis(7), SUCCESSOR.parse().unwrap());
    let most = vec![digest(); Tombstone::MAX_SECRETS];
    let more = vec![digest(); Tombstone::MAX_SECRETS + 1];
    let tombstone = Tombstone::renewed_with_secrets(more, at, successor);
    assert_eq!(tombstone.secrets(), most);
    let text = codec::encode_tombstone(&tombstone);
    let decoded = codec::decode(text.as_bytes());
    assert_eq!(decoded, Ok(Stored::Tombstone(tombstone)));
    let (_, digest) = text.rsplit_once(':').unwrap();
    match codec::decode(format!("{text}:{digest}").as_bytes()) {
        Ok(Stored::Tombstone(tombstone)) => {
            assert_eq!(tombstone.reason(), EndReason::Other);
            assert_eq!(tombstone.successor(), None);
        }
        other => panic!("{other:?}"),
    }
}

/// A session does not count as live because a newer release wrote a reason that this one does not know.
#[test]
fn an_unknown_reason_is_read_as_other() {
    for word in [
        "eaten",
        "",
        "destroye",
        "renewed:",
        "renewed:7",
        "destroyed:7",
    ] {
        let text = format!("t1 0191e0c48f2a - {word}");
        let at = Timestamp::from_millis(0x0191_e0c4_8f2a);
        let tombstone = Tombstone::new(None, at, EndReason::Other);
        assert_eq!(
            codec::decode(text.as_bytes()),
            Ok(Stored::Tombstone(tombstone))
        );
    }
}

/// How releases that know only format 1 recognize a newer one. It is frozen, as they are.
fn newer_than_format_1(bytes: &[u8]) -> Option<u8> {
    let longest = "c255 ".len().min(bytes.len());
    let head = std::str::from_utf8(bytes[..longest].split(|byte| *byte == b' ').next()?).ok()?;
    let digits = head.strip_prefix(['c', 't'])?;
    let version: u8 = digits.parse().ok().filter(|version| *version > 1)?;
    (bytes.get(head.len()) == Some(&b' ') && version.to_string() == digits).then_some(version)
}

/// So such a server responds with a 503, and neither ends the session nor replaces its cookie.
#[test]
fn releases_before_format_2_take_its_records_for_newer_ones() {
    for record in [RECORD_2, RECORD_2_CHOSEN, RECORD_2_EMPTY] {
        assert_eq!(newer_than_format_1(record.as_bytes()), Some(2));
    }
    for known in [RECORD, RECORD_CHOSEN, RECORD_EMPTY, TOMBSTONE] {
        assert_eq!(newer_than_format_1(known.as_bytes()), None);
    }
}

#[test]
fn a_newer_format_is_distinguished_from_an_invalid_one() {
    let newer = |bytes: &[u8]| match codec::decode(bytes) {
        Err(CodecError::Newer(version)) => Some(version),
        _ => None,
    };
    assert_eq!(newer(b"c3 whatever"), Some(3));
    assert_eq!(newer(b"t2 whatever"), Some(2));
    assert_eq!(newer(b"t9 "), Some(9));
    assert_eq!(newer(b"c255 {}"), Some(255));
    assert_eq!(newer(b"c3 \xff\xfe\x00 not text"), Some(3));
    assert_eq!(
        newer(&[b"c3 ".as_slice(), &vec![b'x'; MAX_LEN]].concat()),
        Some(3)
    );
    for invalid in [
        "c3", "c", "", " ", "c0 ", "c01 ", "c02 ", "c03 ", "c+3 ", "c256 ", "d3 ", "C3 ", "c3\n",
    ] {
        assert!(is_rejected(invalid), "{invalid:?}");
    }
}

#[test]
fn a_value_that_is_too_long_is_rejected() {
    let padded = |length: usize| {
        let frame = RECORD_EMPTY.len() + r#""k":"""#.len();
        let filler = "x".repeat(length - frame);
        format!(r#"{}{{"k":"{filler}"}}"#, &RECORD_EMPTY[..HEAD_LEN])
    };
    let longest = padded(MAX_LEN);
    assert_eq!(longest.len(), MAX_LEN);
    assert_eq!(codec::encode(&decode_record(&longest)), longest);
    let too_long = codec::decode(padded(MAX_LEN + 1).as_bytes());
    assert_eq!(too_long, Err(CodecError::TooLong(MAX_LEN + 1)));
}

#[test]
fn a_head_in_another_form_is_rejected() {
    let (head, json) = RECORD.split_at(HEAD_LEN);
    assert!(!is_rejected(RECORD));
    for (from, to) in [
        ("9f3a", "9F3A"),
        ("9f3a", "+f3a"),
        ("c1 ", "C1 "),
        ("c1 ", "c1  "),
        ("c1 ", " c1 "),
        (" - ", "  - "),
        (" - ", " X "),
        (" - ", " "),
        ("0191e0c48f2a ", "0191e0c48f2 "),
        ("0191e0c48f2a ", "00191e0c48f2a "),
        ("7b5e2d48 ", "7b5e2d48\t"),
        ("Hh8 ", "Hh9 "),
        ("Hh8 ", "Hh8= "),
        ("Hh8 ", "Hh "),
        ("Hh8 ", "Hh8  "),
        ("Hh8 ", "Hh8\n"),
        ("AAEC", "AA+C"),
    ] {
        let text = format!("{}{json}", head.replacen(from, to, 1));
        assert_ne!(text, RECORD, "{from:?} is not in the head");
        assert!(is_rejected(&text), "{from:?} -> {to:?}");
    }
    for json in [
        "",
        "null",
        "[]",
        "{",
        r#"{"a":}"#,
        r#"{"a":1}{}"#,
        r"{a:1}",
        "\u{feff}{}",
    ] {
        assert!(is_rejected(&format!("{head}{json}")), "{json:?}");
    }
    assert!(!is_rejected("t1 0191e0c48f2a - destroyed"));
    for tombstone in [
        // Times of 11, 13 and 20 digits.
        "t1 191e0c48f2a - destroyed",
        "t1 00191e0c48f2a - destroyed",
        "t1 000000000191e0c48f2a - destroyed",
        "t1 0191e0c48f2a",
        "t1 0191e0c48f2a -",
        "t1 0191e0c48f2a - destroyed ",
    ] {
        assert!(is_rejected(tombstone), "{tombstone:?}");
    }
}

#[test]
fn a_head_of_format_2_in_another_form_is_rejected() {
    assert!(!is_rejected(RECORD_2));
    let (head, json) = RECORD_2.split_at(57);
    for (from, to) in [
        ("c2 ", "c2  "),
        ("c2 ", "c2"),
        // 65 bits.
        ("c2 8", "c2 F"),
        ("c2 8", "c2 8-"),
        ("c2 8", "c2 "),
        ("c2 8", "c2 +"),
        ("0ODw", "0ODx"),
        ("0ODw", "0ODw="),
        ("0ODw ", "0ODw"),
        ("0ODw ", "0ODw  "),
        (" 30m ", " 1800s "),
        (" 30m ", " 030m "),
        (" 30m ", " +30m "),
        (" 30m ", " 30M "),
        (" 30m ", " X30m "),
        (" 30m ", " xx30m "),
        (" 30m ", " x "),
        (" 30m ", " - "),
        (" 30m ", " 30m"),
        (" 30m ", " 30m  "),
        // One day is left out, and a longer time than 48 bits of milliseconds is not kept.
        (" 30m ", " 1d "),
        (" 30m ", " x24h "),
        (" 30m ", " 281474976710656ms "),
        (" 30m ", " 18446744073709551615ms "),
    ] {
        let text = format!("{}{json}", head.replacen(from, to, 1));
        assert_ne!(text, RECORD_2, "{from:?} is not in the head");
        assert!(is_rejected(&text), "{from:?} -> {to:?}");
    }
    for json in ["", "null", "[]", "{", r#"{"a":}"#, " {}"] {
        assert!(is_rejected(&format!("{head}{json}")), "{json:?}");
        assert!(
            is_rejected(&format!("{}{json}", &RECORD_2_EMPTY[..53])),
            "{json:?}"
        );
    }
}

#[test]
fn the_last_value_of_a_repeated_key_counts() {
    let record = decode_record(&format!(
        "{}{}",
        &RECORD[..HEAD_LEN],
        r#"{"a":1,"b":2,"a":3}"#
    ));
    assert_eq!(record.entries().len(), 2);
    assert_eq!(record.entries().get("a").unwrap(), Some(3));
    assert!(codec::encode(&record).ends_with(r#" {"a":3,"b":2}"#));
    assert_eq!(
        codec::encoded_len(record.entries()),
        codec::encode(&record).len()
    );
}

#[test]
fn deep_json_does_not_overflow_the_stack() {
    let nested = |open: &str, core: &str, close: &str| {
        let (open, close) = (open.repeat(150_000), close.repeat(150_000));
        format!(r#"{}{{"deep":{open}{core}{close}}}"#, &RECORD[..HEAD_LEN])
    };
    let small_stack = std::thread::Builder::new().stack_size(256 * 1024);
    let run = small_stack.spawn(move || {
        let record = decode_record(&nested("[", "", "]"));
        // Decoding it into a tree would recurse too deeply, so it is an error.
        assert!(record.entries().get::<Value>("deep").is_err());
        assert_eq!(decode_record(&codec::encode(&record)), record);
        let objects = decode_record(&nested(r#"{"":"#, "0", "}"));
        assert!(objects.entries().get::<Value>("deep").is_err());
        assert!(is_rejected(&nested("[", "", "")));
    });
    run.unwrap().join().unwrap();
}
