//! Reading a record: with one command for all requests that want theirs at the same moment.

use std::sync::Arc;

use bytes::Bytes;
use cloakroom_core::StoreError;
use fred::error::Error as FredError;
use fred::interfaces::{ClientLike, KeysInterface};
use tokio::time::Instant;

use super::call::strange;
use super::send::{Sender, in_what_is_left, send};
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
        key: key.clone(),
    };
    let found = match jointly(&coalescer.gets, wanted).await {
        Ok(Found::Text(text)) => Ok(Some(text)),
        Ok(Found::Nothing) => Ok(None),
        Ok(Found::NoText) => {
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
    /// Nothing, or something that is no text, which is an error: `MGET` does not tell these apart.
    NoText,
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
            let keys: Vec<String> = gets.into_iter().map(|get| get.key).collect();
            let texts: Result<Vec<Option<Bytes>>, FredError> = client.mget(keys).await;
            match texts {
                Ok(texts) if texts.len() == count => texts
                    .into_iter()
                    .map(|text| Ok(text.map_or(Found::NoText, Found::Text)))
                    .collect(),
                Ok(_) => (0..count).map(|_| Err(strange())).collect(),
                Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
            }
        })
    }
}
