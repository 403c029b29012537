//! The commands on a session.

use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::codec::{self, HEAD_LEN, RecordFormat};
use cloakroom_core::{Limits, Record, Revision, StoreError, StoreErrorKind, Timestamp};
use fred::error::Error as FredError;
use fred::interfaces::KeysInterface;
use fred::types::Value;

use super::args::{Args, hash_of, millis};
use super::eval::ScriptCall;
use super::executor::Executor;
use super::plain::{Command, value_of};
use super::script::{TOUCH, UPDATE};
use crate::classify::Effect;
use crate::coalesce::{BoxFuture, start_all};
use crate::error::unexpected_reply;
use crate::replication::Replication;

/// Bytes for the head of a record and a few numbers.
pub(super) const SMALL: usize = 64;

// The scripts contain these as numbers.
const _: () = assert!(Limits::CLOCK_TOLERANCE.as_millis() == 5000);
const _: () = {
    let [one, two] = [RecordFormat::V1, RecordFormat::V2];
    assert!(one.revision().end == 19 && two.revision().end == 14);
    assert!(one.last_seen().start == 20 && one.last_seen().end == 32 && HEAD_LEN == 105);
    assert!(two.last_seen().start == 14 && two.last_seen().end == 22);
    assert!(one.digest().start == 61 && one.digest().end == 104);
    assert!(two.digest().start == 30 && two.digest().end == 52);
};

/// `MGET key …`; in a cluster a `GET` for each, sent together. A value that is not a string counts as missing:
/// `MGET` does not tell these apart.
pub(crate) async fn load_many(
    executor: &Executor,
    keys: Vec<String>,
) -> Vec<Result<Option<Bytes>, StoreError>> {
    let count = keys.len();
    if executor.connection().is_clustered() {
        return load_each(executor, keys).await;
    }
    let values = match mget(executor, &keys).await {
        Ok(Value::Array(values)) if values.len() == count => values,
        // The reply has shown that the server is in cluster mode.
        Err(error)
            if error.kind() == StoreErrorKind::Refused && executor.connection().is_clustered() =>
        {
            return load_each(executor, keys).await;
        }
        Ok(_) => return vec![Err(unexpected_reply(Effect::Read)); count],
        Err(error) => return vec![Err(error); count],
    };
    values.into_iter().map(value_of).collect()
}

async fn mget(executor: &Executor, keys: &[String]) -> Result<Value, StoreError> {
    if keys.is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    let mut args = Args::with_keys(&[], keys.iter().map(String::len).sum());
    for key in keys {
        args.push(key);
    }
    let (client, _in_flight) = executor.connection().begin()?;
    let values: Result<Value, FredError> = client.mget(args.into_bytes()).await;
    executor.connection().settle(values, Effect::Read)
}

async fn load_each(
    executor: &Executor,
    keys: Vec<String>,
) -> Vec<Result<Option<Bytes>, StoreError>> {
    let loads = keys.into_iter().map(|key| {
        let executor = executor.clone();
        let load: BoxFuture<_> = Box::pin(async move { executor.load(key).await });
        load
    });
    let mut values = Vec::new();
    for load in start_all(loads.collect()).await {
        values.push(load.await);
    }
    values
}

/// `SET key record NX PX ttl`. The reply is nil if the key exists.
pub(crate) fn create(key: String, record: &Record, ttl: Duration, format: RecordFormat) -> Command {
    let value = Bytes::from(codec::encode_as(record, format));
    Command::Create { key, value, ttl }
}

/// `SET key record PX ttl NX` with `WAIT`. Returns whether the key was set.
pub(crate) async fn create_on_replicas(
    replication: &Replication,
    key: String,
    record: &Record,
    ttl: Duration,
    format: RecordFormat,
) -> Result<bool, StoreError> {
    let mut write = replication.begin().await?;
    let slot = hash_of(&key);
    let args: Vec<Value> = vec![
        Bytes::from(key).into(),
        Bytes::from(codec::encode_as(record, format)).into(),
        Value::from_static_str("PX"),
        millis(ttl).into(),
        Value::from_static_str("NX"),
    ];
    let reply = write.send("SET", slot, args).await?;
    if reply.is_null() {
        return Ok(false);
    }
    write.acknowledged().map(|()| true)
}

/// `scripts/update.lua`.
pub(crate) fn update(
    key: &str,
    expected: Revision,
    record: &Record,
    ttl: Duration,
    format: RecordFormat,
) -> ScriptCall {
    let length = codec::encoded_len(record.entries());
    let mut args = Args::with_keys(&[key], length + SMALL);
    push_head_start(&mut args, expected, RecordFormat::V1);
    args.push_with(|text| codec::encode_into(record, format, text));
    args.push_display(millis(ttl));
    push_head_start(&mut args, expected, RecordFormat::V2);
    ScriptCall {
        script: &UPDATE,
        args,
    }
}

/// `scripts/touch.lua`.
pub(crate) fn touch(key: &str, expected: Revision, seen: Timestamp, ttl: Duration) -> ScriptCall {
    let mut args = Args::with_keys(&[key], SMALL);
    push_head_start(&mut args, expected, RecordFormat::V1);
    args.push(&codec::encode_time(seen));
    args.push_display(millis(ttl));
    push_head_start(&mut args, expected, RecordFormat::V2);
    args.push(&codec::encode_time_as(seen, RecordFormat::V2));
    ScriptCall {
        script: &TOUCH,
        args,
    }
}

/// Adds the text with which a record of this revision starts. Scripts compare that of each format: the caller does
/// not know in which one the record was written.
pub(super) fn push_head_start(args: &mut Args, revision: Revision, format: RecordFormat) {
    args.push_with(|text| codec::encode_head_start_as(revision, format, text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_as_long_as_the_scripts_assume() {
        for (format, expected) in [
            (RecordFormat::V1, "c1 000000000000000a "),
            (RecordFormat::V2, "c2 ----------9"),
        ] {
            let mut head = String::new();
            codec::encode_head_start_as(Revision::from_bits(10), format, &mut head);
            assert_eq!(head, expected);
            assert_eq!(head.len(), format.last_seen().start);
        }
    }
}
