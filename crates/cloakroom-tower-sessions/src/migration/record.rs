//! The record of `tower-sessions-redis-store`: a `MessagePack` array of the id, the entries and the expiry
//! time.

use std::collections::BTreeMap;

use cloakroom_core::codec::MAX_LEN;
use cloakroom_core::{Entries, StoreError, StoreErrorKind};
use serde::Deserialize;
use serde_json::Value;
use time::{Date, OffsetDateTime, Time, UtcOffset};

/// The maximum nesting depth, which is that of the JSON parser. Deeper data could overflow the stack.
const MAX_DEPTH: usize = 128;

/// A decoded record.
pub(super) struct Record {
    pub(super) entries: Entries,
    pub(super) expires: OffsetDateTime,
}

/// The array. The id is not used, because it is the Redis key.
#[derive(Deserialize)]
struct Written(
    #[allow(dead_code, reason = "the first element of the array")] i128,
    BTreeMap<String, Value>,
    ExpiryTime,
);

/// Year, day of the year, hour, minute, second and nanosecond, then hours, minutes and seconds of the UTC
/// offset.
#[derive(Deserialize)]
struct ExpiryTime(i32, u16, u8, u8, u8, u32, i8, i8, i8);

/// Decodes a record.
pub(super) fn decode(bytes: &[u8]) -> Result<Record, StoreError> {
    if bytes.len() > MAX_LEN {
        return Err(unreadable("it is too long"));
    }
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    reader.set_max_depth(MAX_DEPTH);
    let Written(_, entries, expires) = Written::deserialize(&mut reader).map_err(kind_of)?;
    // The entries are read back from JSON here, so that a session is not migrated that could not be loaded
    // later.
    let json = serde_json::to_string(&entries)
        .map_err(|_| unreadable("an entry cannot be written as JSON"))?;
    let entries =
        Entries::from_json(&json).map_err(|_| unreadable("an entry is nested too deeply"))?;
    let expires = expires
        .to_date_time()
        .map_err(|_| unreadable("its expiry time is invalid"))?;
    Ok(Record { entries, expires })
}

impl ExpiryTime {
    fn to_date_time(&self) -> Result<OffsetDateTime, time::error::ComponentRange> {
        let date = Date::from_ordinal_date(self.0, self.1)?;
        let time = Time::from_hms_nano(self.2, self.3, self.4, self.5)?;
        let offset = UtcOffset::from_hms(self.6, self.7, self.8)?;
        Ok(OffsetDateTime::new_in_offset(date, time, offset))
    }
}

/// Describes a decoder error. The decoder's own message may quote the data.
fn kind_of(error: rmp_serde::decode::Error) -> StoreError {
    use rmp_serde::decode::Error;
    unreadable(match error {
        Error::InvalidMarkerRead(_) | Error::InvalidDataRead(_) => "it ends early",
        Error::DepthLimitExceeded => "an entry is nested too deeply",
        _ => "it is not a record of tower-sessions",
    })
}

fn unreadable(why: &'static str) -> StoreError {
    StoreError::with_source(StoreErrorKind::Unreadable, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as tower-sessions-redis-store 0.16 wrote it.
    const FIXTURE: &str = "93c410d5e8e38535470a6d66a63745eec46fca82a46b656570cb3fb999999999999aa4\
                           736565640099cd07eacd0155042c04ce0446bc68000000";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn a_record_of_tower_sessions_is_decoded() {
        let record = decode(&bytes(FIXTURE)).unwrap();
        assert_eq!(record.entries.get("keep").unwrap(), Some(0.1));
        assert_eq!(record.entries.get("seed").unwrap(), Some(0));
        assert_eq!(record.entries.len(), 2);
        let expires = record.expires.unix_timestamp_nanos();
        // 2026-12-07 04:44:04.07173 UTC.
        assert_eq!(expires / 1_000_000, 1_796_618_644_071);
    }

    #[test]
    fn other_data_is_unreadable_and_nothing_panics() {
        let whole = bytes(FIXTURE);
        for end in 0..whole.len() {
            assert!(decode(&whole[..end]).is_err(), "{end}");
        }
        for index in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[index] ^= 1 << bit;
                // Some are valid records with other values.
                drop(decode(&damaged));
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
            &vec![0x91; MAX_LEN + 1],
        ] {
            let error = decode(bytes).err().unwrap();
            assert_eq!(error.kind(), StoreErrorKind::Unreadable);
        }
    }
}
