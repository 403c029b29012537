//! Reading a record: with one command for all requests that want theirs at the same moment.

use bytes::Bytes;
use cloakroom_core::StoreError;
use fred::error::Error as FredError;
use fred::interfaces::{ClientLike, KeysInterface};

use super::call::strange;
use super::send::{Sender, send};
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
    if coalescer.in_flight() > 0 && !client.is_clustered() {
        let _under_way = coalescer.one_more();
        let key = key.clone();
        let found = jointly(&coalescer.gets, Get { client, key }).await;
        let found = connection.settle(found, Effect::Read)?;
        if found.is_some() {
            return Ok(found);
        }
        // What is no text is an error, and `MGET` does not tell it from nothing.
    }
    send(connection, Effect::Read, |client| get(client, key.clone())).await
}

fn get(client: Sender, key: String) -> Answer<Result<Option<Bytes>, FredError>> {
    Box::pin(async move { client.get(key).await })
}

/// A key that is to be read.
pub(crate) struct Get {
    client: Sender,
    key: String,
}

impl Joint for Get {
    type Reply = Option<Bytes>;

    fn carry_out(mut gets: Vec<Self>) -> Answer<Vec<Result<Option<Bytes>, FredError>>> {
        Box::pin(async move {
            let count = gets.len();
            if count == 1
                && let Some(Self { client, key }) = gets.pop()
            {
                return vec![get(client, key).await];
            }
            let Some(client) = gets.first().map(|first| first.client.clone()) else {
                return Vec::new();
            };
            let keys: Vec<String> = gets.into_iter().map(|get| get.key).collect();
            let found: Result<Vec<Option<Bytes>>, FredError> = client.mget(keys).await;
            match found {
                Ok(found) if found.len() == count => found.into_iter().map(Ok).collect(),
                Ok(_) => vec![Err(strange()); count],
                Err(error) => vec![Err(error); count],
            }
        })
    }
}
