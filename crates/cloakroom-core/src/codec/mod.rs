//! The stored formats of a record: a head, followed by JSON, so that `redis-cli GET` shows a session's data.
//!
//! Both [formats](RecordFormat) are read. Format 1 is written unless a store is configured otherwise:
//!
//! ```text
//! c1 9f3a61c07b5e2d48 0191e0c48f2a 0000001b7740 01927a2b0c00 - 3mNqJ8Yw…43 {"cart":[3,5],"hits":7}
//! |  |                |            |            |            | |           the entries
//! |  |                |            |            |            | digest of the secret, base64url
//! |  |                |            |            |            `x`: limits chosen for this session; else `-`
//! |  |                |            |            absolute deadline
//! |  |                |            idle timeout
//! |  |                last seen
//! |  revision
//! format: `c` for a live session, version 1
//! ```
//!
//! Format 2 has the same in about half of the space, with the first 128 bits of the digest:
//!
//! ```text
//! c2 8wuNR0vMXp7-O6Vl7we-O8u9kk-3mNqJ8Yw…22 x30m {"cart":[3,5],"hits":7}
//! |  |          |       |       |           |
//! |  |          |       |       |           idle timeout, after `x` if the limits were chosen for this session;
//! |  |          |       |       |           left out if they were not, and it is one day
//! |  |          |       |       digest of the secret, base64url
//! |  |          |       absolute deadline
//! |  |          last seen
//! |  revision
//! format: version 2
//! ```
//!
//! An ended session has a tombstone, in one format only: it lives for a minute.
//!
//! ```text
//! t1 0191e0c48f2a 3mNqJ8Yw…43 destroyed
//! |  |            |           why the session ended
//! |  |            digest of the secret; `-` if unknown
//! |  when the session ended
//! format: `t` for a tombstone, version 1
//!
//! t1 0191e0c48f2a 3mNqJ8Yw…43 renewed:0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b
//!                             |       the session in which the data continues
//!                             `renewed` alone in tombstones of release 0.1.0, which reads this one as a reason
//!                             that it does not know: the session has ended
//!
//! t1 0191e0c48f2a - renewed:0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b:3mNqJ8Yw…43:w0x4Kd2P…43
//!                                                                |
//!                                    digests of the secrets, if several were valid: at most sixteen
//!
//! t1 0191e0c48f2a - revoked_by_user:3mNqJ8Yw…43:w0x4Kd2P…43
//!                                   digests of the secrets, if several were valid: at most sixteen. A release before that
//!                                   reads it as a reason that it does not know
//! ```
//!
//! Times are in milliseconds. Format 1 and tombstones have them in twelve lower-case hexadecimal digits, as in the
//! head of a UUIDv7. Format 2 has times and revision in the characters of base64url, which stand for 0 to 63 in the
//! order of ASCII, so that later times are greater texts.
//!
//! Decoding accepts exactly the heads that encoding writes, and any JSON object after a record's head.

mod digits;
mod error;
mod format;
mod json;
mod tombstone;
mod v1;
mod v2;

use std::ops::Range;
use std::str;

pub use self::error::CodecError;
pub use self::format::{RecordFormat, encode_head_start_as, encode_time_as};
use self::tombstone::decode_tombstone;
pub use self::tombstone::encode_tombstone;
use crate::clock::Timestamp;
use crate::entries::Entries;
use crate::id::Revision;
use crate::record::{Record, Tombstone};

/// The longest value that is decoded, in bytes: 1 MiB.
pub const MAX_LEN: usize = error::MAX_LEN;

/// The first bytes of an encoded record, in format 1.
pub const RECORD_MAGIC: &str = RecordFormat::V1.magic();

/// The position of a record's revision in format 1, sixteen digits.
pub const REVISION: Range<usize> = RecordFormat::V1.revision();

/// The position of a record's last-seen in format 1, twelve digits.
pub const SEEN: Range<usize> = RecordFormat::V1.last_seen();

/// The length of a record's head in format 1, up to the JSON, in bytes. No head is longer.
pub const HEAD_LEN: usize = v1::HEAD_LEN;

/// A decoded value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The record of a live session.
    Record(Record),
    /// The tombstone of an ended session.
    Tombstone(Tombstone),
}

/// Returns the length of a record with these entries in format 1, in bytes. It is shorter in format 2.
#[must_use]
pub fn encoded_len(entries: &Entries) -> usize {
    HEAD_LEN + entries.json_len()
}

/// Encodes a record in format 1; one that was read in format 2 in that, if only the first half of its digest is
/// known.
#[must_use]
pub fn encode(record: &Record) -> String {
    encode_as(record, RecordFormat::V1)
}

/// Encodes a record in this format; as [`encode`] if it is format 1.
#[must_use]
pub fn encode_as(record: &Record, format: RecordFormat) -> String {
    let mut out = String::with_capacity(encoded_len(record.entries()));
    encode_into(record, format, &mut out);
    out
}

/// Appends a record to `out`, as [`encode_as`] encodes it.
pub fn encode_into(record: &Record, format: RecordFormat, out: &mut String) {
    let format = format.of(record);
    encode_head_start_as(record.revision(), format, out);
    match format {
        RecordFormat::V1 => v1::encode_rest_of_head(record, out),
        RecordFormat::V2 => v2::encode_rest_of_head(record, out),
    }
    record.entries().write_json(out);
}

/// Appends the first bytes of every record with this revision in format 1 to `out`: the format and the revision,
/// each followed by a space. No other value begins with them.
pub fn encode_head_start(revision: Revision, out: &mut String) {
    encode_head_start_as(revision, RecordFormat::V1, out);
}

/// Encodes a time, as a record holds it in format 1.
#[must_use]
pub fn encode_time(time: Timestamp) -> String {
    encode_time_as(time, RecordFormat::V1)
}

/// Decodes a value that [`encode_as`] or [`encode_tombstone`] wrote.
///
/// # Errors
///
/// If it is anything else. It never panics.
pub fn decode(bytes: &[u8]) -> Result<Stored, CodecError> {
    // This check comes first: the format of a newer release may be longer, or not text.
    if let Some(version) = newer_version(bytes) {
        return Err(CodecError::Newer(version));
    }
    if bytes.len() > MAX_LEN {
        return Err(CodecError::TooLong(bytes.len()));
    }
    let text = str::from_utf8(bytes).map_err(|_| CodecError::Unreadable("it is not UTF-8"))?;
    match text.split_once(' ') {
        Some(("c1", _)) => v1::decode_record(text).map(Stored::Record),
        Some(("c2", _)) => v2::decode_record(text).map(Stored::Record),
        Some(("t1", rest)) => decode_tombstone(rest).map(Stored::Tombstone),
        Some(_) => Err(CodecError::Unreadable("its format is unknown")),
        None => Err(CodecError::Unreadable("it has no head")),
    }
}

/// Returns the format version of a value that a newer release wrote; `None` for all other values.
fn newer_version(bytes: &[u8]) -> Option<u8> {
    let longest = "c255 ".len().min(bytes.len());
    let head = str::from_utf8(bytes[..longest].split(|byte| *byte == b' ').next()?).ok()?;
    let digits = head.strip_prefix(['c', 't'])?;
    let known = if head.starts_with('c') { 2 } else { 1 };
    let version: u8 = digits.parse().ok().filter(|version| *version > known)?;
    // `+3` and `03` parse as numbers, but no release writes them.
    (bytes.get(head.len()) == Some(&b' ') && version.to_string() == digits).then_some(version)
}
