//! Commands other than scripts.

use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::StoreError;
use fred::error::Error as FredError;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::{CustomCommand, Expiration, SetOptions, Value};
use tokio::time::Instant;

use super::args::{Args, hash_of, millis};
use super::batch::Waiting;
use super::eval::unexpected_merged_reply;
use crate::classify::{Effect, is_cross_slot};
use crate::coalesce::{BoxFuture, Item};
use crate::connection::CommandClient;
use crate::error::unexpected_reply;

/// A command on one key.
#[derive(Clone)]
pub(crate) enum Command {
    /// `GET key`.
    Get(String),
    /// `SET key value NX PX ttl`.
    Create {
        key: String,
        value: Bytes,
        ttl: Duration,
    },
    /// `DEL key`.
    Delete(String),
    /// `name key args…`, for commands for which fred has no suitable method.
    Custom {
        name: &'static str,
        key: String,
        args: Vec<Value>,
    },
}

impl Command {
    pub(super) fn send(self, client: CommandClient) -> BoxFuture<Result<Value, FredError>> {
        match self {
            Self::Get(key) => Box::pin(async move { client.get(key).await }),
            Self::Create { key, value, ttl } => {
                let (ttl, nx) = (Some(Expiration::PX(millis(ttl))), Some(SetOptions::NX));
                Box::pin(async move { client.set(key, value, ttl, nx, false).await })
            }
            Self::Delete(key) => Box::pin(async move { client.del(key).await }),
            Self::Custom { name, key, args } => {
                let command = CustomCommand::new_static(name, hash_of(&key), false);
                let key = Value::Bytes(key.into());
                let args: Vec<Value> = [key].into_iter().chain(args).collect();
                Box::pin(async move { client.custom(command, args).await })
            }
        }
    }
}

/// Sends the commands of a batch together. Each caller gets its reply from fred.
pub(super) fn send_together(batch: Vec<Item<Waiting<Command>, Result<Value, FredError>>>) {
    let now = Instant::now();
    for Item { item, result } in batch {
        match item.in_time(now) {
            Ok((client, command)) => result.start(command.send(client)),
            Err(error) => result.send(Err(error)),
        }
    }
}

/// Converts the reply to a `GET`.
pub(super) fn value_of(reply: Value) -> Result<Option<Bytes>, StoreError> {
    match reply {
        Value::Null => Ok(None),
        Value::Bytes(bytes) => Ok(Some(bytes)),
        Value::String(text) => Ok(Some(text.into_inner())),
        _ => Err(unexpected_reply(Effect::Read)),
    }
}

/// The reply to a `GET` that may have been merged with others.
#[derive(Clone)]
pub(super) enum Found {
    Reply(Value),
    /// Nothing, or a value that is not a string, for which `GET` returns an error: `MGET` does not tell
    /// these apart. Contains the key, for a `GET`.
    NothingOrOtherType(String),
    /// Nothing was read, because the keys are in several slots. Contains the key, for a `GET`.
    CrossSlot(String),
}

/// Reads keys with one `MGET`; a single one with `GET`.
pub(super) fn get_merged(
    client: CommandClient,
    mut keys: Vec<String>,
) -> BoxFuture<Vec<Result<Found, FredError>>> {
    Box::pin(async move {
        let count = keys.len();
        if count < 2 {
            let Some(key) = keys.pop() else {
                return Vec::new();
            };
            let reply: Result<Value, FredError> = client.get(key).await;
            return vec![reply.map(Found::Reply)];
        }
        let mut args = Args::with_keys(&[], keys.iter().map(String::len).sum());
        for key in &keys {
            args.push(key);
        }
        let reply: Result<Value, FredError> = client.mget(args.into_bytes()).await;
        match reply {
            Ok(Value::Array(values)) if values.len() == count => {
                let found = values.into_iter().zip(keys);
                found.map(|(value, key)| Ok(found_of(value, key))).collect()
            }
            Ok(_) => vec![Err(unexpected_merged_reply()); count],
            Err(error) if is_cross_slot(&error) => {
                keys.into_iter().map(Found::CrossSlot).map(Ok).collect()
            }
            Err(error) => vec![Err(error); count],
        }
    })
}

fn found_of(value: Value, key: String) -> Found {
    match value {
        Value::Null => Found::NothingOrOtherType(key),
        value => Found::Reply(value),
    }
}
