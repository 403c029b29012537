//! The text of a tombstone.

use super::digits::HEX;
use super::error::CodecError;
use super::format::{RecordFormat, encode_time_as};
use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::record::{EndReason, Tombstone};
use crate::token::Digest;

/// Encodes a tombstone.
#[must_use]
pub fn encode_tombstone(tombstone: &Tombstone) -> String {
    let mut out = format!("t1 {} ", encode_time_as(tombstone.at(), RecordFormat::V1));
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

pub(super) fn decode_tombstone(rest: &str) -> Result<Tombstone, CodecError> {
    const INVALID: CodecError = CodecError::Unreadable("it is an invalid tombstone");
    let mut fields = rest.split(' ');
    let mut next = || fields.next().ok_or(INVALID);
    let at = HEX
        .read(next()?, RecordFormat::V1.last_seen().len())
        .ok_or(INVALID)?;
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

#[cfg(test)]
mod tests {
    use super::super::{Stored, decode};
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
