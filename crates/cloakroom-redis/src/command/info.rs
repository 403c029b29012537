//! The commands that ask for the state of the server.

use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::{StoreError, StoreErrorKind};
use fred::clients::{Client, WithOptions};
use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};
use tokio::time::Instant;

use crate::classify::{Effect, ErrorClass};
use crate::connection::{Connection, for_node, with_remaining_timeout};
use crate::error::unexpected_reply;

/// Always sent as text, since it is used rarely.
const PERMISSIONS: &str = include_str!("../scripts/permissions.lua");

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
    /// The commands that the user may not send.
    pub(crate) forbidden: Vec<String>,
    /// How long the replies took.
    pub(crate) latency: Duration,
}

/// `INFO` and `scripts/permissions.lua`, sent together; in a cluster to one primary after the other, all
/// within one timeout. `further` are commands to check besides those that every store sends.
pub(crate) async fn info(
    connection: &Connection,
    (key, channel): (&str, &str),
    further: &[&'static str],
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
        let args = permissions_args(key, channel, further);
        infos.push(info_of(connection, &client, args).await?);
    }
    Ok(infos)
}

fn permissions_args(key: &str, channel: &str, further: &[&'static str]) -> Vec<Value> {
    let mut args: Vec<Value> = vec![
        PERMISSIONS.into(),
        0.into(),
        Bytes::copy_from_slice(key.as_bytes()).into(),
        Bytes::copy_from_slice(channel.as_bytes()).into(),
    ];
    args.extend(further.iter().map(|&name| Value::from_static_str(name)));
    args
}

async fn info_of(
    connection: &Connection,
    client: &WithOptions<Client>,
    permissions_args: Vec<Value>,
) -> Result<ServerInfo, StoreError> {
    let began = Instant::now();
    let permissions = CustomCommand::new_static("EVAL", ClusterHash::Random, false);
    let (info, forbidden) = tokio::join!(
        client.info::<Value>(None),
        client.custom::<Value, _>(permissions, permissions_args)
    );
    let latency = began.elapsed();
    let info = connection.settle(info, Effect::Read)?;
    let forbidden = match forbidden {
        // The user may not even send `EVAL`; which other rights are missing is unknown.
        Err(error) if ErrorClass::of(&error) == ErrorClass::Final(StoreErrorKind::Refused) => {
            vec!["eval".to_owned()]
        }
        result => {
            let list = connection.settle(result, Effect::Read)?;
            list.convert().map_err(|_| unexpected_reply(Effect::Read))?
        }
    };
    Ok(ServerInfo {
        text: String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned(),
        forbidden,
        latency,
    })
}
