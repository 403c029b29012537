//! What `tower-sessions-redis-store` keeps of a session: `MessagePack`, an array of the id, the entries
//! and the time when it expires.

use std::collections::BTreeMap;

use cloakroom_core::codec::LONGEST;
use cloakroom_core::{Entries, StoreError, StoreErrorKind};
use serde::Deserialize;
use serde_json::Value;
use time::{Date, OffsetDateTime, Time, UtcOffset};

/// No deeper than JSON is read; what is deeper could fill the stack.
const DEEPEST: usize = 128;

pub(super) struct Record {
    pub(super) entries: Entries,
    pub(super) expires: OffsetDateTime,
}

/// As it is written. The id is not asked for: the key is the id.
#[derive(Deserialize)]
struct Written(
    #[allow(dead_code, reason = "it stands before what is wanted")] i128,
    BTreeMap<String, Value>,
    Moment,
);

/// Year, day of the year, hour, minute, second, nanosecond; hours, minutes and seconds of the offset.
#[derive(Deserialize)]
struct Moment(i32, u16, u8, u8, u8, u32, i8, i8, i8);

/// Reads a record.
pub(super) fn decode(bytes: &[u8]) -> Result<Record, StoreError> {
    if bytes.len() > LONGEST {
        return Err(unreadable("it is longer than any session that is read"));
    }
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    reader.set_max_depth(DEEPEST);
    let Written(_, entries, expires) = Written::deserialize(&mut reader).map_err(kind_of)?;
    // Once as a whole: what could not be read again is not taken in.
    let json = serde_json::to_string(&entries).map_err(|_| unreadable("an entry is no JSON"))?;
    let entries = Entries::from_json(&json).map_err(|_| unreadable("an entry is too deep"))?;
    let expires = expires
        .read()
        .map_err(|_| unreadable("its time to expire is none"))?;
    Ok(Record { entries, expires })
}

impl Moment {
    fn read(&self) -> Result<OffsetDateTime, time::error::ComponentRange> {
        let date = Date::from_ordinal_date(self.0, self.1)?;
        let time = Time::from_hms_nano(self.2, self.3, self.4, self.5)?;
        let offset = UtcOffset::from_hms(self.6, self.7, self.8)?;
        Ok(OffsetDateTime::new_in_offset(date, time, offset))
    }
}

/// The decoder's own text may quote what it has read.
fn kind_of(error: rmp_serde::decode::Error) -> StoreError {
    use rmp_serde::decode::Error;
    unreadable(match error {
        Error::InvalidMarkerRead(_) | Error::InvalidDataRead(_) => "it ends early",
        Error::DepthLimitExceeded => "an entry is too deep",
        _ => "it is no record of tower-sessions",
    })
}

fn unreadable(why: &'static str) -> StoreError {
    StoreError::with_source(StoreErrorKind::Unreadable, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As tower-sessions-redis-store 0.16 wrote it.
    const FIXTURE: &str = "93c410d5e8e38535470a6d66a63745eec46fca82a46b656570cb3fb999999999999aa4\
                           736565640099cd07eacd0155042c04ce0446bc68000000";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = decode(&bytes(FIXTURE)).unwrap();
        assert_eq!(record.entries.get("keep").unwrap(), Some(0.1));
        assert_eq!(record.entries.get("seed").unwrap(), Some(0));
        assert_eq!(record.entries.len(), 2);
        let expires = record.expires.unix_timestamp_nanos();
        // 2026-12-07 04:44:04.07173 UTC.
        assert_eq!(expires / 1_000_000, 1_796_618_644_071);
    }

    #[test]
    fn what_is_no_record_is_unreadable_and_nothing_panics() {
        let whole = bytes(FIXTURE);
        for end in 0..whole.len() {
            assert!(decode(&whole[..end]).is_err(), "{end}");
        }
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut bent = whole.clone();
                bent[place] ^= 1 << bit;
                // Some are records of other values.
                drop(decode(&bent));
            }
        }
        let mut deep = vec![0x93, 0xc4, 16];
        deep.extend([0; 16]);
        deep.extend([0x81, 0xa1, b'a']);
        deep.extend(vec![0x91; 100_000]);
        for bytes in [
            &deep[..],
            b"",
            b"\x00",
            b"c1 0123",
            &vec![0x91; LONGEST + 1],
        ] {
            let error = decode(bytes).err().unwrap();
            assert_eq!(error.kind(), StoreErrorKind::Unreadable);
        }
    }
}
