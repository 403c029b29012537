//! The bytes of a record: a head of fixed width, then JSON, so that `redis-cli GET` shows what a
//! session holds.
//!
//! ```text
//! c1 9f3a61c07b5e2d48 0191e0c48f2a 0000001b7740 01927a2b0c00 - 3mNqJ8Yw…43 {"cart":[3,5],"hits":7}
//! |  |                |            |            |            | |           the entries
//! |  |                |            |            |            | digest of the secret, base64url
//! |  |                |            |            |            `x`: limits chosen for this session
//! |  |                |            |            absolute deadline
//! |  |                |            idle timeout
//! |  |                last seen
//! |  revision
//! format: `c` a coat, version 1
//!
//! t1 0191e0c48f2a 3mNqJ8Yw…43 destroyed
//! |  |            |           why the session ended
//! |  |            digest of the secret; `-` if unknown
//! |  when
//! format: `t` a tombstone, version 1
//! ```
//!
//! Times are milliseconds in twelve lower-case hexadecimal digits, as in the head of a UUIDv7.
//! Decoding accepts the heads that encoding writes and no others, and after a record's any JSON
//! object.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::str;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::entries::Entries;
use crate::expiry::Limits;
use crate::id::Revision;
use crate::record::{EndReason, Record, Tombstone};
use crate::token::Digest;

/// The longest value that is decoded, in bytes: 1 MiB.
pub const LONGEST: usize = 1 << 20;

/// What a record's encoding begins with.
pub const RECORD_MAGIC: &str = "c1 ";

/// Where a record's revision stands: sixteen digits.
pub const REVISION: std::ops::Range<usize> = 3..19;

/// Where a record's last-seen stands: twelve digits.
pub const SEEN: std::ops::Range<usize> = 20..32;

/// The length of a record's head, up to the JSON.
pub const HEAD_LEN: usize = 105;

/// What a stored value turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// A live session.
    Record(Record),
    /// An ended one.
    Tombstone(Tombstone),
}

/// The length of [`encode`]'s result for these entries, in bytes.
#[must_use]
pub fn encoded_len(entries: &Entries) -> usize {
    HEAD_LEN + entries.json_len()
}

/// Writes a record.
#[must_use]
pub fn encode(record: &Record) -> String {
    let mut out = String::with_capacity(encoded_len(record.entries()));
    let limits = record.limits();
    write!(
        out,
        "{RECORD_MAGIC}{} {:012x} {:012x} {:012x} {} ",
        record.revision(),
        record.seen().as_millis(),
        limits.idle().as_millis(),
        limits.deadline().as_millis(),
        if limits.is_chosen() { 'x' } else { '-' },
    )
    .expect("writing to a String does not fail");
    record.digest().encode_into(&mut out);
    out.push(' ');
    record.entries().write_json(&mut out);
    out
}

/// Writes a tombstone.
#[must_use]
pub fn encode_tombstone(tombstone: &Tombstone) -> String {
    let mut out = format!("t1 {} ", encode_time(tombstone.at()));
    match tombstone.digest() {
        Some(digest) => digest.encode_into(&mut out),
        None => out.push('-'),
    }
    out.push(' ');
    out.push_str(tombstone.reason().as_str());
    out
}

/// Writes a time, as a record holds it.
#[must_use]
pub fn encode_time(time: Timestamp) -> String {
    format!("{:012x}", time.as_millis())
}

/// Reads what [`encode`] or [`encode_tombstone`] wrote.
///
/// # Errors
///
/// When it is something else. Nothing is guessed, and nothing panics.
pub fn decode(bytes: &[u8]) -> Result<Stored, CodecError> {
    // First of all: what a newer release writes may be longer, or no text.
    if let Some(version) = newer_version(bytes) {
        return Err(CodecError::Newer(version));
    }
    if bytes.len() > LONGEST {
        return Err(CodecError::TooLong(bytes.len()));
    }
    let text = str::from_utf8(bytes).map_err(|_| CodecError::Unreadable("it is not UTF-8"))?;
    let (version, rest) = text
        .split_once(' ')
        .ok_or(CodecError::Unreadable("it has no head"))?;
    match version {
        "c1" => decode_record(rest).map(Stored::Record),
        "t1" => decode_tombstone(rest).map(Stored::Tombstone),
        _ => Err(CodecError::Unreadable("its format is unknown")),
    }
}

fn decode_record(rest: &str) -> Result<Record, CodecError> {
    const BROKEN: CodecError = CodecError::Unreadable("its head is broken");
    let mut fields = rest.splitn(7, ' ');
    let mut next = || fields.next().ok_or(BROKEN);
    let revision = decode_hex(next()?, 16).ok_or(BROKEN)?;
    let seen = decode_hex(next()?, 12).ok_or(BROKEN)?;
    let idle = decode_hex(next()?, 12).ok_or(BROKEN)?;
    let deadline = decode_hex(next()?, 12).ok_or(BROKEN)?;
    let chosen = match next()? {
        "-" => false,
        "x" => true,
        _ => return Err(BROKEN),
    };
    let digest = Digest::parse(next()?).ok_or(BROKEN)?;
    let entries = decode_entries(next()?)?;
    let limits = Limits::from_parts(
        Duration::from_millis(idle),
        Timestamp::from_millis(deadline),
        chosen,
    );
    Ok(Record::new(
        Revision::from_bits(revision),
        Timestamp::from_millis(seen),
        limits,
        digest,
        entries,
    ))
}

/// The JSON begins where the head ends: white space before it would be a longer head.
fn decode_entries(json: &str) -> Result<Entries, CodecError> {
    json.starts_with('{')
        .then(|| Entries::from_json(json).ok())
        .flatten()
        .ok_or(CodecError::Unreadable("its entries are no JSON object"))
}

fn decode_tombstone(rest: &str) -> Result<Tombstone, CodecError> {
    const BROKEN: CodecError = CodecError::Unreadable("it is a broken tombstone");
    let mut fields = rest.split(' ');
    let mut next = || fields.next().ok_or(BROKEN);
    let at = decode_hex(next()?, 12).ok_or(BROKEN)?;
    let digest = match next()? {
        "-" => None,
        text => Some(Digest::parse(text).ok_or(BROKEN)?),
    };
    let reason = EndReason::parse(next()?);
    if next().is_ok() {
        return Err(BROKEN);
    }
    Ok(Tombstone::new(digest, Timestamp::from_millis(at), reason))
}

/// Lower-case hexadecimal of exactly this many digits.
fn decode_hex(text: &str, digits: usize) -> Option<u64> {
    let canonical = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == digits && text.bytes().all(canonical))
        .then(|| u64::from_str_radix(text, 16).ok())?
}

/// The format version of a value that a newer release wrote.
fn newer_version(bytes: &[u8]) -> Option<u8> {
    let longest = "c255 ".len().min(bytes.len());
    let head = str::from_utf8(bytes[..longest].split(|byte| *byte == b' ').next()?).ok()?;
    let digits = head.strip_prefix(['c', 't'])?;
    let version: u8 = digits.parse().ok().filter(|version| *version > 1)?;
    // `+2` and `02` are numbers that no release writes.
    (bytes.get(head.len()) == Some(&b' ') && version.to_string() == digits).then_some(version)
}

/// A stored value that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// It is not what this crate writes.
    Unreadable(&'static str),
    /// It is of a format version that a newer release of this crate writes. Not an error of the
    /// data: in a rolling deployment the newer servers read it well.
    Newer(u8),
    /// It is longer than [`LONGEST`]; so many bytes.
    TooLong(usize),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "the record cannot be read: {why}"),
            Self::Newer(version) => write!(
                f,
                "the record is of format version {version}, and this release knows 1"
            ),
            Self::TooLong(length) => {
                write!(f, "the record has {length} bytes, and {LONGEST} are read")
            }
        }
    }
}

impl Error for CodecError {}
