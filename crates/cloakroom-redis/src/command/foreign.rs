//! Commands on keys that are not the store's own.

use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::StoreError;
use fred::error::Error as FredError;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::{CustomCommand, Value};

use super::send::{Sender, send};
use super::{millis, slot_of};
use crate::coalesce::Answer;
use crate::connection::Connection;
use crate::error::strange_answer;
use crate::replicas::Replicas;
use crate::verdict::Effect;

/// `GET key`, by itself: a user of Redis may have the right to these keys and to the store's own under
/// different rules, and then to no `MGET` of both.
pub(crate) async fn load_alone(
    connection: &Connection,
    key: &str,
) -> Result<Option<Bytes>, StoreError> {
    let get = |client: Sender| -> Answer<Result<Option<Bytes>, FredError>> {
        let key = key.to_owned();
        Box::pin(async move { client.get(key).await })
    };
    send(connection, Effect::Read, get).await
}

/// `GETEX key PX ttl`. If its answer is lost, the key lives on a little longer, which is no harm.
pub(crate) async fn load_and_keep(
    connection: &Connection,
    key: &str,
    ttl: Duration,
) -> Result<Option<Bytes>, StoreError> {
    let get = |client: Sender| -> Answer<Result<Option<Bytes>, FredError>> {
        let command = CustomCommand::new_static("GETEX", slot_of(key), false);
        let words: Vec<Value> = vec![
            Bytes::copy_from_slice(key.as_bytes()).into(),
            Value::from_static_str("PX"),
            millis(ttl).into(),
        ];
        Box::pin(async move { client.custom(command, words).await })
    };
    send(connection, Effect::Read, get).await
}

/// `DEL key`: whether it was there.
pub(crate) async fn remove(connection: &Connection, key: &str) -> Result<bool, StoreError> {
    let del = |client: Sender| -> Answer<Result<i64, FredError>> {
        let key = key.to_owned();
        Box::pin(async move { client.del(key).await })
    };
    Ok(send(connection, Effect::Write, del).await? > 0)
}

/// `DEL key`, and `WAIT` behind it: whether it was there.
pub(crate) async fn remove_on_replicas(replicas: &Replicas, key: &str) -> Result<bool, StoreError> {
    let mut sending = replicas.begin().await?;
    let words = vec![Bytes::copy_from_slice(key.as_bytes()).into()];
    match sending.send("DEL", slot_of(key), words).await? {
        Value::Integer(0) => Ok(false),
        Value::Integer(_) => sending.replicated().map(|()| true),
        _ => Err(strange_answer(Effect::Write)),
    }
}
