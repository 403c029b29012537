//! The commands that are sent to Redis: the only place that calls fred for them.
//!
//! Here are those of a session; [`index`] has those of a user's index and of the whole store, [`bus`]
//! the one that publishes, [`foreign`] those on keys of others, [`check`] those that ask how the server
//! is. [`script`] runs scripts.

mod bus;
mod call;
mod check;
mod foreign;
mod index;
mod load;
mod script;
mod send;
mod words;

use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::codec::{self, HEAD_LEN, REVISION, SEEN};
use cloakroom_core::{Record, Revision, StoreError, Timestamp, Tombstone};
use fred::interfaces::KeysInterface;
use fred::types::{ClusterHash, Expiration, SetOptions, Value};
use fred::util::redis_keyslot;

pub(crate) use self::bus::publish;
pub(crate) use self::call::Call;
pub(crate) use self::check::{Account, check, ping};
pub(crate) use self::foreign::{load_alone, load_and_keep, remove, remove_on_replicas};
pub(crate) use self::index::{
    Beginning, admit, begin_epoch, enter, entered, epoch, everything, forget,
};
pub(crate) use self::load::{Get, load};
pub(crate) use self::script::Reply;
use self::script::{END, TOUCH, UPDATE, run};
use self::send::{Sender, send};
use self::words::Words;
use crate::coalesce::Answer;
use crate::connection::Connection;
use crate::replicas::Replicas;
use crate::verdict::Effect;

/// Room for a head, and a few numbers.
const NUMBERS: usize = 64;

// The scripts hold these places as numbers.
const _: () = assert!(REVISION.start == 3 && REVISION.end == 19);
const _: () = assert!(SEEN.start == 20 && SEEN.end == 32 && HEAD_LEN == 105);

/// `SET key value NX PX ttl`: whether it was set.
pub(crate) async fn create(
    connection: &Connection,
    key: String,
    record: &Record,
    ttl: Duration,
) -> Result<bool, StoreError> {
    let value = Bytes::from(codec::encode(record));
    let set = |client: Sender| -> Answer<_> {
        let (key, value, ttl) = (key.clone(), value.clone(), Expiration::PX(millis(ttl)));
        Box::pin(async move {
            let nx = Some(SetOptions::NX);
            client.set(key, value, Some(ttl), nx, false).await
        })
    };
    let reply: Value = send(connection, Effect::Write, set).await?;
    Ok(!reply.is_null())
}

/// `SET key record PX ttl NX`, and `WAIT` behind it: whether it was set.
pub(crate) async fn create_on_replicas(
    replicas: &Replicas,
    key: String,
    record: &Record,
    ttl: Duration,
) -> Result<bool, StoreError> {
    let mut sending = replicas.begin().await?;
    let slot = slot_of(&key);
    let words: Vec<Value> = vec![
        Bytes::from(key).into(),
        Bytes::from(codec::encode(record)).into(),
        Value::from_static_str("PX"),
        millis(ttl).into(),
        Value::from_static_str("NX"),
    ];
    let reply = sending.send("SET", slot, words).await?;
    if reply.is_null() {
        return Ok(false);
    }
    sending.replicated().map(|()| true)
}

/// `scripts/update.lua`.
pub(crate) async fn update(
    connection: &Connection,
    key: &str,
    expected: Revision,
    record: &Record,
    ttl: Duration,
) -> Result<Reply, StoreError> {
    let mut words = Words::on(&[key], codec::encoded_len(record.entries()) + NUMBERS);
    words.add_by(|text| codec::begin_with(expected, text));
    words.add_by(|text| codec::encode_into(record, text));
    words.add_shown(millis(ttl));
    Reply::of(run(connection, &UPDATE, words).await?)
}

/// `scripts/touch.lua`.
pub(crate) async fn touch(
    connection: &Connection,
    key: &str,
    expected: Revision,
    seen: Timestamp,
    ttl: Duration,
) -> Result<Reply, StoreError> {
    let mut words = Words::on(&[key], NUMBERS);
    words.add_by(|text| codec::begin_with(expected, text));
    words.add(&codec::encode_time(seen));
    words.add_shown(millis(ttl));
    Reply::of(run(connection, &TOUCH, words).await?)
}

/// `scripts/end.lua`.
pub(crate) async fn end(
    connection: &Connection,
    key: &str,
    expected: Option<Revision>,
    tombstone: &Tombstone,
    keep: Duration,
) -> Result<Reply, StoreError> {
    let words = ending(key, expected, tombstone, keep);
    Reply::of(run(connection, &END, words).await?)
}

/// `scripts/end.lua`, and `WAIT` behind it. Always by its text: a server that does not know its name
/// would make the second `WAIT` start when the first is over.
pub(crate) async fn end_on_replicas(
    replicas: &Replicas,
    key: &str,
    expected: Option<Revision>,
    tombstone: &Tombstone,
    keep: Duration,
) -> Result<Reply, StoreError> {
    let mut sending = replicas.begin().await?;
    let words = ending(key, expected, tombstone, keep).into_values();
    let words = END.by_text(1, words);
    let reply = Reply::of(sending.send("EVAL", slot_of(key), words).await?)?;
    if reply == Reply::Done {
        sending.replicated()?;
    }
    Ok(reply)
}

fn ending(key: &str, expected: Option<Revision>, tombstone: &Tombstone, keep: Duration) -> Words {
    let tombstone = codec::encode_tombstone(tombstone);
    let mut words = Words::on(&[key], tombstone.len() + NUMBERS);
    words.add_by(|text| {
        if let Some(expected) = expected {
            codec::begin_with(expected, text);
        }
    });
    words.add(&tombstone);
    words.add_shown(millis(keep));
    words
}

fn slot_of(key: &str) -> ClusterHash {
    ClusterHash::Custom(redis_keyslot(key.as_bytes()))
}

/// Whole milliseconds for `PX`: at least 1, as 0 is an error, and at most 2^48, which no expiry adds
/// up over.
fn millis(ttl: Duration) -> i64 {
    const MOST: i64 = 1 << 48;
    i64::try_from(ttl.as_millis()).map_or(MOST, |millis| millis.clamp(1, MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_whole_milliseconds_and_never_none() {
        for (ttl, expected) in [
            (Duration::ZERO, 1),
            (Duration::from_micros(999), 1),
            (Duration::from_micros(2_999), 2),
            (Duration::from_secs(60), 60_000),
            (Duration::MAX, 1 << 48),
        ] {
            assert_eq!(millis(ttl), expected);
        }
    }

    #[test]
    fn the_head_is_as_long_as_the_scripts_think() {
        let mut head = String::new();
        codec::begin_with(Revision::from_bits(10), &mut head);
        assert_eq!(head, "c1 000000000000000a ");
        assert_eq!(head.len(), SEEN.start);
    }
}
