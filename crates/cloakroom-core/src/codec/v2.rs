//! Format 2: fields of a fixed width without spaces between them, and optional ones after a space.

use std::ops::Range;
use std::time::Duration;

use super::digits::{BASE64, read_duration, write_duration};
use super::error::{CodecError, INVALID_HEAD};
use super::format::RecordFormat;
use super::json::decode_entries;
use crate::clock::Timestamp;
use crate::expiry::Limits;
use crate::id::Revision;
use crate::record::Record;
use crate::token::Digest;

const REVISION: Range<usize> = RecordFormat::V2.revision();
const SEEN: Range<usize> = RecordFormat::V2.last_seen();
const DEADLINE: Range<usize> = 22..30;
const DIGEST: Range<usize> = RecordFormat::V2.digest();

/// The idle timeout that is left out. It is part of the format: if the default idle timeout changes, this stays.
const USUAL_IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// Appends what follows the revision, up to the JSON.
pub(super) fn encode_rest_of_head(record: &Record, out: &mut String) {
    let limits = record.limits();
    for time in [record.last_seen(), limits.deadline()] {
        BASE64.write(out, time.as_millis(), SEEN.len());
    }
    record.digest().encode_short_into(out);
    out.push(' ');
    if limits.is_chosen() {
        out.push('x');
    }
    if limits.is_chosen() || limits.idle() != USUAL_IDLE {
        write_duration(out, limits.idle());
        out.push(' ');
    }
}

pub(super) fn decode_record(text: &str) -> Result<Record, CodecError> {
    let field = |range: Range<usize>| text.get(range).ok_or(INVALID_HEAD);
    let number = |range: Range<usize>| {
        let digits = range.len();
        BASE64.read(field(range)?, digits).ok_or(INVALID_HEAD)
    };
    let rest = field(DIGEST.end..text.len())?;
    let rest = rest.strip_prefix(' ').ok_or(INVALID_HEAD)?;
    let (is_chosen, idle, json) = decode_idle(rest)?;
    Ok(Record::new(
        Revision::from_bits(number(REVISION)?),
        Timestamp::from_millis(number(SEEN)?),
        Limits::from_parts(idle, Timestamp::from_millis(number(DEADLINE)?), is_chosen),
        Digest::parse_short(field(DIGEST)?).ok_or(INVALID_HEAD)?,
        decode_entries(json)?,
    ))
}

/// Decodes what precedes the JSON, if anything does.
fn decode_idle(rest: &str) -> Result<(bool, Duration, &str), CodecError> {
    if rest.starts_with('{') {
        return Ok((false, USUAL_IDLE, rest));
    }
    let (idle, json) = rest.split_once(' ').ok_or(INVALID_HEAD)?;
    let chosen = idle.strip_prefix('x');
    let duration = read_duration(chosen.unwrap_or(idle)).ok_or(INVALID_HEAD)?;
    let is_usual = chosen.is_none() && duration == USUAL_IDLE;
    // A longer one would not be kept.
    if is_usual || duration.as_millis() > u128::from(Timestamp::MAX.as_millis()) {
        return Err(INVALID_HEAD);
    }
    Ok((chosen.is_some(), duration, json))
}
