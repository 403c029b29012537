//! The common types of the standard library and of other crates, at their limits.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU8, Wrapping};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use cloakroom_core::Entries;
use rust_decimal::Decimal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::{Date, OffsetDateTime, PrimitiveDateTime};
use uuid::Uuid;

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let mut entries = Entries::new();
    entries.set("key", &value).expect("it is accepted");
    assert_eq!(entries.get("key"), Ok(Some(value)));
}

#[test]
fn integers_at_their_limits() {
    comes_back((i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN));
    comes_back((u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX));
    comes_back((isize::MIN, usize::MAX, Wrapping(u64::MAX), NonZeroU8::MIN));
    comes_back(BTreeMap::from([(i128::MIN, u128::MAX), (i128::MAX, 0)]));
}

#[test]
fn types_of_the_standard_library() {
    comes_back(Duration::MAX);
    comes_back(UNIX_EPOCH + Duration::new(u64::from(u32::MAX), 999_999_999));
    comes_back("2001:db8::1".parse::<IpAddr>().expect("an address"));
    comes_back("192.0.2.1:80".parse::<SocketAddr>().expect("an address"));
    comes_back(PathBuf::from("/ä \u{1f9e5}"));
    comes_back(OsString::from("ä"));
    comes_back(Cow::<str>::Owned("text".to_owned()));
    comes_back(Cow::<[u8]>::Owned(vec![0, 255]));
    comes_back((1..5, 'ß', Box::<str>::from("\u{0}\u{7f}\u{2028}\"\\")));
    comes_back(Ok::<_, String>(()));
}

/// A time that serde cannot write is refused, rather than stored as another.
#[test]
fn a_time_before_1970_is_refused() {
    let early: SystemTime = UNIX_EPOCH - Duration::from_secs(1);
    assert!(Entries::new().set("key", &early).is_err());
}

#[test]
fn borrowed_text_is_read_as_owned_text() {
    let mut entries = Entries::new();
    let owned = String::from("für Ida");
    entries.set("key", &owned[..]).expect("text");
    assert_eq!(entries.get("key"), Ok(Some(owned)));
}

#[test]
fn types_of_chrono() {
    comes_back(DateTime::<Utc>::MIN_UTC);
    comes_back(DateTime::<Utc>::MAX_UTC);
    comes_back(DateTime::from_timestamp(1_764_374_400, 123_456_789).expect("a time"));
    let offset = FixedOffset::west_opt(5 * 3600 + 1800).expect("an offset");
    let time = DateTime::from_timestamp(-1, 1).expect("a time");
    comes_back(time.with_timezone(&offset));
    comes_back(NaiveDateTime::MAX);
    comes_back((NaiveDate::MIN, NaiveDate::MAX));
    // A leap second.
    let leap = NaiveTime::from_hms_nano_opt(23, 59, 59, 1_999_999_999);
    comes_back(leap.expect("a time"));
}

#[test]
fn types_of_time() {
    comes_back(OffsetDateTime::UNIX_EPOCH + time::Duration::nanoseconds(-1));
    comes_back((Date::MIN, Date::MAX));
    comes_back((PrimitiveDateTime::MIN, PrimitiveDateTime::MAX));
    comes_back((time::Duration::MIN, time::Duration::MAX));
    comes_back((time::Time::MIDNIGHT, time::UtcOffset::UTC));
}

#[test]
fn types_of_uuid_and_rust_decimal() {
    comes_back((Uuid::nil(), Uuid::max()));
    comes_back(BTreeMap::from([(Uuid::max(), 1)]));
    for decimal in [Decimal::MIN, Decimal::MAX, Decimal::new(-1, 28)] {
        comes_back(decimal);
        let mut entries = Entries::new();
        entries.set("key", &decimal).expect("a number");
        let read: Decimal = entries.get("key").expect("a number").expect("it is there");
        assert_eq!(read.to_string(), decimal.to_string());
    }
}
