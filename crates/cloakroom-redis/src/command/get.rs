//! Reading values: one, or several with one command.

use std::sync::Arc;

use bytes::Bytes;
use fred::clients::{Client, WithOptions};
use fred::error::Error as FredError;
use fred::interfaces::KeysInterface;

use super::args::Args;
use super::eval::unexpected_merged_reply;
use crate::coalesce::BoxFuture;

/// `GET key`.
pub(super) fn get(
    client: Arc<WithOptions<Client>>,
    key: String,
) -> BoxFuture<Result<Option<Bytes>, FredError>> {
    Box::pin(async move { client.get(key).await })
}

/// A key to read together with others.
pub(super) struct Get {
    pub(super) client: Arc<WithOptions<Client>>,
    pub(super) key: String,
}

/// The value of a key.
pub(super) enum Found {
    Value(Bytes),
    Nothing,
    /// Nothing, or a value that is not a string, for which `GET` returns an error: `MGET` does not tell
    /// these apart. Contains the key, for a `GET`.
    NothingOrOtherType(String),
}

/// Reads several keys with one `MGET`; a single one with `GET`.
pub(super) fn get_merged(mut gets: Vec<Get>) -> BoxFuture<Vec<Result<Found, FredError>>> {
    Box::pin(async move {
        let count = gets.len();
        if count == 1
            && let Some(Get { client, key }) = gets.pop()
        {
            let value = get(client, key).await;
            return vec![value.map(|value| value.map_or(Found::Nothing, Found::Value))];
        }
        let Some(client) = gets.first().map(|first| first.client.clone()) else {
            return Vec::new();
        };
        let mut keys = Args::with_keys(&[], gets.iter().map(|get| get.key.len()).sum());
        for get in &gets {
            keys.push(&get.key);
        }
        let values: Result<Vec<Option<Bytes>>, FredError> = client.mget(keys.into_bytes()).await;
        match values {
            Ok(values) if values.len() == count => {
                let found = values.into_iter().zip(gets);
                found.map(|(value, get)| Ok(found_of(value, get))).collect()
            }
            Ok(_) => (0..count).map(|_| Err(unexpected_merged_reply())).collect(),
            Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
        }
    })
}

fn found_of(value: Option<Bytes>, get: Get) -> Found {
    match value {
        Some(value) => Found::Value(value),
        None => Found::NothingOrOtherType(get.key),
    }
}
