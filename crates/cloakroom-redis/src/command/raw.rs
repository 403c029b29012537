//! The commands on keys that are not the store's own.

use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::StoreError;
use fred::types::Value;

use super::args::{hash_of, millis};
use super::executor::Executor;
use super::plain::{Command, value_of};
use crate::classify::Effect;
use crate::error::unexpected_reply;
use crate::replication::Replication;

/// `GET key`, never merged into an `MGET`: the rights to these keys and to the store's own may come from
/// different ACL rules, and Redis requires one rule that allows a whole command.
pub(crate) async fn get(executor: &Executor, key: &str) -> Result<Option<Bytes>, StoreError> {
    let get = Command::Get(key.to_owned());
    value_of(executor.send(Effect::Read, get).await?)
}

/// `GETEX key PX ttl`. If the reply is lost, the key lives a little longer, which does no harm.
pub(crate) async fn get_and_expire(
    executor: &Executor,
    key: &str,
    ttl: Duration,
) -> Result<Option<Bytes>, StoreError> {
    let getex = Command::Custom {
        name: "GETEX",
        key: key.to_owned(),
        args: vec![Value::from_static_str("PX"), millis(ttl).into()],
    };
    value_of(executor.send(Effect::Read, getex).await?)
}

/// `DEL key`. Returns whether the key existed.
pub(crate) async fn delete(executor: &Executor, key: &str) -> Result<bool, StoreError> {
    let del = Command::Delete(key.to_owned());
    match executor.send(Effect::Write, del).await? {
        Value::Integer(count) => Ok(count > 0),
        _ => Err(unexpected_reply(Effect::Write)),
    }
}

/// `DEL key` with `WAIT`. Returns whether the key existed.
pub(crate) async fn delete_on_replicas(
    replication: &Replication,
    key: &str,
) -> Result<bool, StoreError> {
    let mut write = replication.begin().await?;
    let args = vec![Bytes::copy_from_slice(key.as_bytes()).into()];
    match write.send("DEL", hash_of(key), args).await? {
        Value::Integer(0) => Ok(false),
        Value::Integer(_) => write.acknowledged().map(|()| true),
        _ => Err(unexpected_reply(Effect::Write)),
    }
}
