//! Reading a record: with one command for all requests that want theirs at the same moment.

use std::sync::Arc;

use bytes::Bytes;
use cloakroom_core::StoreError;
use fred::error::Error as FredError;
use fred::interfaces::{ClientLike, KeysInterface};
use tokio::time::Instant;

use super::call::strange;
use super::send::{Sender, in_what_is_left, send};
use super::words::Words;
use crate::coalesce::{Answer, Joint, jointly};
use crate::connection::Connection;
use crate::verdict::Effect;

/// `GET key`; for several requests `MGET key …`.
pub(crate) async fn load(
    connection: &Connection,
    key: String,
) -> Result<Option<Bytes>, StoreError> {
    let client = connection.client()?;
    let coalescer = connection.coalescer();
    // In a cluster, one command cannot have keys of several slots.
    if coalescer.in_flight() == 0 || client.is_clustered() {
        return send(connection, Effect::Read, |client| get(client, key.clone())).await;
    }
    let _under_way = coalescer.one_more();
    let began = Instant::now();
    let wanted = Get {
        client: client.clone(),
        key,
    };
    let found = match jointly(&coalescer.gets, wanted).await {
        Ok(Found::Text(text)) => Ok(Some(text)),
        Ok(Found::Nothing) => Ok(None),
        Ok(Found::NoText(key)) => {
            let client = in_what_is_left(&client, connection.limit(), began);
            get(Arc::new(client), key).await
        }
        Err(error) => Err(error),
    };
    connection.settle(found, Effect::Read)
}

fn get(client: Sender, key: String) -> Answer<Result<Option<Bytes>, FredError>> {
    Box::pin(async move { client.get(key).await })
}

/// A key that is to be read.
pub(crate) struct Get {
    client: Sender,
    key: String,
}

/// What is there.
pub(crate) enum Found {
    Text(Bytes),
    Nothing,
    /// Nothing, or something that is no text, which is an error: `MGET` does not tell these apart. With the
    /// key, to be asked for by itself.
    NoText(String),
}

impl Joint for Get {
    type Reply = Found;

    fn carry_out(mut gets: Vec<Self>) -> Answer<Vec<Result<Found, FredError>>> {
        Box::pin(async move {
            let count = gets.len();
            if count == 1
                && let Some(Self { client, key }) = gets.pop()
            {
                let found = get(client, key).await;
                return vec![found.map(|text| text.map_or(Found::Nothing, Found::Text))];
            }
            let Some(client) = gets.first().map(|first| first.client.clone()) else {
                return Vec::new();
            };
            let mut keys = Words::on(&[], gets.iter().map(|get| get.key.len()).sum());
            for get in &gets {
                keys.add(&get.key);
            }
            let keys = keys.into_bytes();
            let texts: Result<Vec<Option<Bytes>>, FredError> = client.mget(keys).await;
            match texts {
                Ok(texts) if texts.len() == count => {
                    let found = |(text, get): (Option<Bytes>, Self)| match text {
                        Some(text) => Ok(Found::Text(text)),
                        None => Ok(Found::NoText(get.key)),
                    };
                    texts.into_iter().zip(gets).map(found).collect()
                }
                Ok(_) => (0..count).map(|_| Err(strange())).collect(),
                Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
            }
        })
    }
}
