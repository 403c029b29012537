//! The commands that ask for the state of the server.

use std::time::Duration;

use cloakroom_core::StoreError;
use fred::clients::{Client, WithOptions};
use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::Value;
use tokio::time::Instant;

use super::permissions::{self, Missing, Names};
use crate::classify::Effect;
use crate::connection::{Connection, for_node, with_remaining_timeout};

/// `PING`. Returns how long the reply took.
pub(crate) async fn ping(connection: &Connection) -> Result<Duration, StoreError> {
    connection.attach().await;
    let client = connection.client()?;
    let began = Instant::now();
    let pong: Result<Value, FredError> = client.ping(None).await;
    connection.settle(pong, Effect::Read)?;
    Ok(began.elapsed())
}

/// What a server reports about itself.
#[derive(Debug)]
pub(crate) struct ServerInfo {
    /// The reply to `INFO`.
    pub(crate) text: String,
    /// What the store cannot do.
    pub(crate) missing: Missing,
    /// How long the replies took.
    pub(crate) latency: Duration,
}

/// `INFO` and `scripts/permissions.lua`, sent together; in a cluster to one primary after the other, all
/// within one timeout.
pub(crate) async fn info(
    connection: &Connection,
    names: Names<'_>,
) -> Result<Vec<ServerInfo>, StoreError> {
    connection.attach().await;
    let client = connection.client()?;
    let began = Instant::now();
    let mut nodes = connection.nodes();
    if nodes.is_empty() {
        // Sent without a node, so that the error says what is wrong.
        nodes.push(None);
    }
    let mut infos = Vec::with_capacity(nodes.len());
    for node in nodes {
        let client = with_remaining_timeout(&client, began);
        let client = for_node(&client, node);
        infos.push(info_of(connection, &client, names).await?);
    }
    Ok(infos)
}

async fn info_of(
    connection: &Connection,
    client: &WithOptions<Client>,
    names: Names<'_>,
) -> Result<ServerInfo, StoreError> {
    let began = Instant::now();
    let (info, missing) = tokio::join!(
        client.info::<Value>(None),
        permissions::missing(client, names)
    );
    let latency = began.elapsed();
    let info = connection.settle(info, Effect::Read)?;
    let missing = match missing.as_ref().err().and_then(permissions::without_eval) {
        Some(missing) => missing,
        None => connection.settle(missing, Effect::Read)?,
    };
    Ok(ServerInfo {
        text: String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned(),
        missing,
        latency,
    })
}
