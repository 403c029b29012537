//! Format 1: every field has a fixed position, and is followed by a space.

use std::ops::Range;
use std::time::Duration;

use super::digits::HEX;
use super::error::{CodecError, INVALID_HEAD};
use super::format::RecordFormat;
use super::json::decode_entries;
use crate::clock::Timestamp;
use crate::expiry::Limits;
use crate::id::Revision;
use crate::record::Record;
use crate::token::Digest;

const REVISION: Range<usize> = RecordFormat::V1.revision();
const SEEN: Range<usize> = RecordFormat::V1.last_seen();
const IDLE: Range<usize> = 33..45;
const DEADLINE: Range<usize> = 46..58;
const CHOSEN: Range<usize> = 59..60;
const DIGEST: Range<usize> = RecordFormat::V1.digest();
pub(super) const HEAD_LEN: usize = 105;

/// Appends what follows the revision, up to the JSON.
pub(super) fn encode_rest_of_head(record: &Record, out: &mut String) {
    let limits = record.limits();
    let idle = Timestamp::from_millis(0).plus(limits.idle());
    for time in [record.last_seen(), idle, limits.deadline()] {
        HEX.write(out, time.as_millis(), SEEN.len());
        out.push(' ');
    }
    out.push_str(if limits.is_chosen() { "x " } else { "- " });
    record.digest().encode_into(out);
    out.push(' ');
}

pub(super) fn decode_record(text: &str) -> Result<Record, CodecError> {
    let field = |range: Range<usize>| {
        let has_space = text.as_bytes().get(range.end) == Some(&b' ');
        text.get(range).filter(|_| has_space).ok_or(INVALID_HEAD)
    };
    let number = |range: Range<usize>| {
        let digits = range.len();
        HEX.read(field(range)?, digits).ok_or(INVALID_HEAD)
    };
    let limits = Limits::from_parts(
        Duration::from_millis(number(IDLE)?),
        Timestamp::from_millis(number(DEADLINE)?),
        match field(CHOSEN)? {
            "-" => false,
            "x" => true,
            _ => return Err(INVALID_HEAD),
        },
    );
    Ok(Record::new(
        Revision::from_bits(number(REVISION)?),
        Timestamp::from_millis(number(SEEN)?),
        limits,
        Digest::parse(field(DIGEST)?).ok_or(INVALID_HEAD)?,
        decode_entries(text.get(HEAD_LEN..).ok_or(INVALID_HEAD)?)?,
    ))
}
