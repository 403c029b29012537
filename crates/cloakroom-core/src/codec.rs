//! The stored format of a record: a head of fixed width, followed by JSON, so that `redis-cli GET` shows
//! a session's data.
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
//!
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
//! Times are milliseconds in twelve lower-case hexadecimal digits, as in the head of a UUIDv7.
//! Decoding accepts exactly the heads that encoding writes, and any JSON object after a record's head.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::str;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::entries::Entries;
use crate::expiry::Limits;
use crate::id::{Revision, SessionId};
use crate::record::{EndReason, Record, Tombstone};
use crate::token::Digest;

/// The longest value that is decoded, in bytes: 1 MiB.
pub const MAX_LEN: usize = 1 << 20;

/// The first bytes of an encoded record.
pub const RECORD_MAGIC: &str = "c1 ";

/// The position of a record's revision, sixteen digits.
pub const REVISION: Range<usize> = 3..19;

/// The position of a record's last-seen, twelve digits.
pub const SEEN: Range<usize> = 20..32;

const IDLE: Range<usize> = 33..45;
const DEADLINE: Range<usize> = 46..58;
const CHOSEN: Range<usize> = 59..60;

/// The position of the digest of a record's secret, 43 characters.
pub const DIGEST: Range<usize> = 61..104;

/// The length of a record's head, up to the JSON, in bytes.
pub const HEAD_LEN: usize = 105;

/// A decoded value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The record of a live session.
    Record(Record),
    /// The tombstone of an ended session.
    Tombstone(Tombstone),
}

/// Returns the length of a record with these entries, as [`encode`] writes it, in bytes.
#[must_use]
pub fn encoded_len(entries: &Entries) -> usize {
    HEAD_LEN + entries.json_len()
}

/// Encodes a record.
#[must_use]
pub fn encode(record: &Record) -> String {
    let mut out = String::with_capacity(encoded_len(record.entries()));
    encode_into(record, &mut out);
    out
}

/// Appends an encoded record to `out`.
pub fn encode_into(record: &Record, out: &mut String) {
    let limits = record.limits();
    encode_head_start(record.revision(), out);
    let idle = Timestamp::from_millis(0).plus(limits.idle());
    for time in [record.last_seen(), idle, limits.deadline()] {
        write_hex(out, time.as_millis(), SEEN.len());
        out.push(' ');
    }
    out.push_str(if limits.is_chosen() { "x " } else { "- " });
    record.digest().encode_into(out);
    out.push(' ');
    record.entries().write_json(out);
}

/// Appends the first bytes of every record with this revision to `out`: the format and the revision, each
/// followed by a space. No other value begins with them.
pub fn encode_head_start(revision: Revision, out: &mut String) {
    out.push_str(RECORD_MAGIC);
    write_hex(out, revision.to_bits(), REVISION.len());
    out.push(' ');
}

/// Encodes a tombstone.
#[must_use]
pub fn encode_tombstone(tombstone: &Tombstone) -> String {
    let mut out = format!("t1 {} ", encode_time(tombstone.at()));
    match tombstone.digest() {
        Some(digest) => digest.encode_into(&mut out),
        None => out.push('-'),
    }
    out.push(' ');
    out.push_str(tombstone.reason().as_str());
    if let Some(successor) = tombstone.successor() {
        out.push(':');
        successor.write_into(&mut out);
    }
    for digest in tombstone.secrets() {
        out.push(':');
        digest.encode_into(&mut out);
    }
    out
}

/// Encodes a time, as a record holds it.
#[must_use]
pub fn encode_time(time: Timestamp) -> String {
    let mut out = String::with_capacity(SEEN.len());
    write_hex(&mut out, time.as_millis(), SEEN.len());
    out
}

/// Decodes a value that [`encode`] or [`encode_tombstone`] wrote.
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
        Some(("c1", _)) => decode_record(text).map(Stored::Record),
        Some(("t1", rest)) => decode_tombstone(rest).map(Stored::Tombstone),
        Some(_) => Err(CodecError::Unreadable("its format is unknown")),
        None => Err(CodecError::Unreadable("it has no head")),
    }
}

fn decode_record(text: &str) -> Result<Record, CodecError> {
    const INVALID: CodecError = CodecError::Unreadable("its head is invalid");
    // Every field has a fixed position, and is followed by a space.
    let field = |range: Range<usize>| {
        let has_space = text.as_bytes().get(range.end) == Some(&b' ');
        text.get(range).filter(|_| has_space).ok_or(INVALID)
    };
    let number = |range: Range<usize>| {
        let digits = range.len();
        decode_hex(field(range)?, digits).ok_or(INVALID)
    };
    let limits = Limits::from_parts(
        Duration::from_millis(number(IDLE)?),
        Timestamp::from_millis(number(DEADLINE)?),
        match field(CHOSEN)? {
            "-" => false,
            "x" => true,
            _ => return Err(INVALID),
        },
    );
    Ok(Record::new(
        Revision::from_bits(number(REVISION)?),
        Timestamp::from_millis(number(SEEN)?),
        limits,
        Digest::parse(field(DIGEST)?).ok_or(INVALID)?,
        decode_entries(text.get(HEAD_LEN..).ok_or(INVALID)?)?,
    ))
}

/// Decodes the JSON after the head. White space before the object is not accepted.
fn decode_entries(json: &str) -> Result<Entries, CodecError> {
    json.starts_with('{')
        .then(|| Entries::from_json(json).ok())
        .flatten()
        .ok_or(CodecError::Unreadable("its entries are not a JSON object"))
}

fn decode_tombstone(rest: &str) -> Result<Tombstone, CodecError> {
    const INVALID: CodecError = CodecError::Unreadable("it is an invalid tombstone");
    let mut fields = rest.split(' ');
    let mut next = || fields.next().ok_or(INVALID);
    let at = decode_hex(next()?, SEEN.len()).ok_or(INVALID)?;
    let digest = match next()? {
        "-" => None,
        text => Some(Digest::parse(text).ok_or(INVALID)?),
    };
    let reason = next()?;
    if next().is_ok() {
        return Err(INVALID);
    }
    let at = Timestamp::from_millis(at);
    Ok(match (decode_successor(reason), digest) {
        (Some((successor, secrets)), digest) if secrets.is_empty() => {
            Tombstone::renewed(digest, at, successor)
        }
        (Some((successor, secrets)), None) => {
            Tombstone::renewed_with_secrets(secrets, at, successor)
        }
        (None, None) => {
            let (reason, secrets) = decode_reason(reason);
            Tombstone::new(None, at, reason).with_secrets(secrets)
        }
        (Some(_) | None, digest) => Tombstone::new(digest, at, EndReason::from_stored(reason)),
    })
}

/// Decodes the reason of a renewed session that names its successor, and the digests after it. Returns `None`
/// for all other reasons.
fn decode_successor(reason: &str) -> Option<(SessionId, Vec<Digest>)> {
    let rest = reason.strip_prefix(EndReason::Renewed.as_str())?;
    let mut parts = rest.strip_prefix(':')?.split(':');
    let successor = parts.next()?.parse().ok()?;
    Some((successor, decode_secrets(parts)?))
}

/// Decodes a reason, and the digests after it. What only a newer release knows is another reason.
fn decode_reason(text: &str) -> (EndReason, Vec<Digest>) {
    if let Some((reason, digests)) = text.split_once(':')
        && let Some(secrets) = decode_secrets(digests.split(':'))
        && let Ok(reason) = reason.parse()
    {
        return (reason, secrets);
    }
    (EndReason::from_stored(text), Vec::new())
}

fn decode_secrets<'a>(parts: impl Iterator<Item = &'a str>) -> Option<Vec<Digest>> {
    let secrets: Vec<_> = parts
        .take(Tombstone::MAX_SECRETS + 1)
        .map(Digest::parse)
        .collect::<Option<_>>()?;
    (secrets.len() <= Tombstone::MAX_SECRETS).then_some(secrets)
}

/// Appends the last digits of a number in lower-case hexadecimal, sixteen at most.
fn write_hex(out: &mut String, number: u64, digits: usize) {
    let mut text = [0; 16];
    for (index, digit) in text.iter_mut().rev().enumerate() {
        let nibble = (number >> (4 * index)) & 15;
        *digit = b"0123456789abcdef"[nibble as usize];
    }
    let text = str::from_utf8(&text[text.len() - digits..]);
    out.push_str(text.expect("digits are text"));
}

/// Decodes lower-case hexadecimal of exactly this many digits, sixteen at most.
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

/// Returns the format version of a value that a newer release wrote; `None` for all other values.
fn newer_version(bytes: &[u8]) -> Option<u8> {
    let longest = "c255 ".len().min(bytes.len());
    let head = str::from_utf8(bytes[..longest].split(|byte| *byte == b' ').next()?).ok()?;
    let digits = head.strip_prefix(['c', 't'])?;
    let version: u8 = digits.parse().ok().filter(|version| *version > 1)?;
    // `+2` and `02` parse as numbers, but no release writes them.
    (bytes.get(head.len()) == Some(&b' ') && version.to_string() == digits).then_some(version)
}

/// A stored value that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// It is not in the format of this crate.
    Unreadable(&'static str),
    /// It has a format version that only a newer release of this crate reads. The data is intact: in a
    /// rolling deployment, the newer servers can read it.
    Newer(u8),
    /// It is longer than [`MAX_LEN`]. The value is its length in bytes.
    TooLong(usize),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "the record cannot be read: {why}"),
            Self::Newer(version) => write!(
                f,
                "the record has format version {version}, and this release reads version 1"
            ),
            Self::TooLong(length) => {
                write!(
                    f,
                    "the record has {length} bytes, and the limit is {MAX_LEN}"
                )
            }
        }
    }
}

impl Error for CodecError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_reason_survives_the_stored_format() {
        for &reason in EndReason::ALL {
            let tombstone = Tombstone::new(None, Timestamp::from_millis(7), reason);
            let digest = Digest::parse(&"A".repeat(43)).unwrap();
            let of_several = tombstone.clone().with_secrets(vec![digest; 3]);
            for tombstone in [tombstone, of_several] {
                let text = encode_tombstone(&tombstone);
                assert_eq!(decode(text.as_bytes()), Ok(Stored::Tombstone(tombstone)));
            }
        }
    }
}
