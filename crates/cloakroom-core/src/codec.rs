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
use std::fmt;
use std::ops::Range;
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
pub const REVISION: Range<usize> = 3..19;

/// Where a record's last-seen stands: twelve digits.
pub const SEEN: Range<usize> = 20..32;

const IDLE: Range<usize> = 33..45;
const DEADLINE: Range<usize> = 46..58;
const CHOSEN: Range<usize> = 59..60;
const DIGEST: Range<usize> = 61..104;

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
    encode_into(record, &mut out);
    out
}

/// Writes a record behind what `out` holds.
pub fn encode_into(record: &Record, out: &mut String) {
    let limits = record.limits();
    begin_with(record.revision(), out);
    let idle = Timestamp::from_millis(0).plus(limits.idle());
    for time in [record.seen(), idle, limits.deadline()] {
        put_hex(out, time.as_millis(), SEEN.len());
        out.push(' ');
    }
    out.push_str(if limits.is_chosen() { "x " } else { "- " });
    record.digest().encode_into(out);
    out.push(' ');
    record.entries().write_json(out);
}

/// Writes what every record of this revision begins with, and no other: its format and its revision, with
/// the space behind it.
pub fn begin_with(revision: Revision, out: &mut String) {
    out.push_str(RECORD_MAGIC);
    put_hex(out, revision.to_bits(), REVISION.len());
    out.push(' ');
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
    let mut out = String::with_capacity(SEEN.len());
    put_hex(&mut out, time.as_millis(), SEEN.len());
    out
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
    match text.split_once(' ') {
        Some(("c1", _)) => decode_record(text).map(Stored::Record),
        Some(("t1", rest)) => decode_tombstone(rest).map(Stored::Tombstone),
        Some(_) => Err(CodecError::Unreadable("its format is unknown")),
        None => Err(CodecError::Unreadable("it has no head")),
    }
}

fn decode_record(text: &str) -> Result<Record, CodecError> {
    const BROKEN: CodecError = CodecError::Unreadable("its head is broken");
    // Every field has its place, and a space behind it.
    let field = |place: Range<usize>| {
        let ends = text.as_bytes().get(place.end) == Some(&b' ');
        text.get(place).filter(|_| ends).ok_or(BROKEN)
    };
    let number = |place: Range<usize>| {
        let digits = place.len();
        decode_hex(field(place)?, digits).ok_or(BROKEN)
    };
    let limits = Limits::from_parts(
        Duration::from_millis(number(IDLE)?),
        Timestamp::from_millis(number(DEADLINE)?),
        match field(CHOSEN)? {
            "-" => false,
            "x" => true,
            _ => return Err(BROKEN),
        },
    );
    Ok(Record::new(
        Revision::from_bits(number(REVISION)?),
        Timestamp::from_millis(number(SEEN)?),
        limits,
        Digest::parse(field(DIGEST)?).ok_or(BROKEN)?,
        decode_entries(text.get(HEAD_LEN..).ok_or(BROKEN)?)?,
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
    let at = decode_hex(next()?, SEEN.len()).ok_or(BROKEN)?;
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

/// Writes the last digits of a number, sixteen at most, in lower-case hexadecimal.
fn put_hex(out: &mut String, number: u64, digits: usize) {
    let mut text = [0; 16];
    for (place, digit) in text.iter_mut().rev().enumerate() {
        let nibble = (number >> (4 * place)) & 15;
        *digit = b"0123456789abcdef"[nibble as usize];
    }
    let text = str::from_utf8(&text[text.len() - digits..]);
    out.push_str(text.expect("digits are text"));
}

/// Lower-case hexadecimal of exactly this many digits, sixteen at most.
fn decode_hex(text: &str, digits: usize) -> Option<u64> {
    let add = |number: u64, byte: u8| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some((number << 4) | u64::from(digit))
    };
    let number = text.bytes().try_fold(0, add)?;
    (text.len() == digits).then_some(number)
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
