//! Asking the server how it is.

use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::{StoreError, StoreErrorKind};
use fred::clients::{Client, WithOptions};
use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::config::Options;
use fred::types::{ClusterHash, CustomCommand, Value};
use tokio::time::Instant;

use super::send::in_what_is_left;
use crate::connection::Connection;
use crate::error::strange_answer;
use crate::verdict::{Effect, Verdict};

/// Not run by its name: it is rare.
const RIGHTS: &str = include_str!("../scripts/rights.lua");

/// `PING`: how long the answer took.
pub(crate) async fn ping(connection: &Connection) -> Result<Duration, StoreError> {
    let client = connection.client()?;
    let began = Instant::now();
    let pong: Result<Value, FredError> = client.ping(None).await;
    connection.settle(pong, Effect::Read)?;
    Ok(began.elapsed())
}

/// What a server tells of itself.
#[derive(Debug)]
pub(crate) struct Account {
    /// The answer to `INFO`.
    pub(crate) text: String,
    /// The commands that the user may not send.
    pub(crate) forbidden: Vec<String>,
    /// How long the answers took.
    pub(crate) latency: Duration,
}

/// `INFO` and `scripts/rights.lua`, together: at the server; in a cluster, at one primary after the
/// other, all within one time limit.
pub(crate) async fn check(
    connection: &Connection,
    (key, channel): (&str, &str),
    further: &[&'static str],
) -> Result<Vec<Account>, StoreError> {
    let client = connection.client()?;
    let began = Instant::now();
    let mut nodes = connection.nodes();
    if nodes.is_empty() {
        // Asked all the same, so that the error tells what is wrong.
        nodes.push(None);
    }
    let mut accounts = Vec::with_capacity(nodes.len());
    for node in nodes {
        let left = in_what_is_left(&client, connection.limit(), began);
        let options = Options {
            cluster_node: node,
            ..left.options().clone()
        };
        accounts.push(
            account(
                connection,
                &(**client).with_options(&options),
                (key, channel),
                further,
            )
            .await?,
        );
    }
    Ok(accounts)
}

async fn account(
    connection: &Connection,
    client: &WithOptions<Client>,
    (key, channel): (&str, &str),
    further: &[&'static str],
) -> Result<Account, StoreError> {
    let began = Instant::now();
    let mut words: Vec<Value> = vec![
        RIGHTS.into(),
        0.into(),
        Bytes::copy_from_slice(key.as_bytes()).into(),
        Bytes::copy_from_slice(channel.as_bytes()).into(),
    ];
    words.extend(further.iter().map(|&name| Value::from_static_str(name)));
    let rights = CustomCommand::new_static("EVAL", ClusterHash::Random, false);
    let (told, forbidden) = tokio::join!(
        client.info::<Value>(None),
        client.custom::<Value, _>(rights, words)
    );
    let latency = began.elapsed();
    let told = connection.settle(told, Effect::Read)?;
    let forbidden = match forbidden {
        // It may not even ask, and what else it lacks is not known.
        Err(error) if Verdict::of(&error) == Verdict::Final(StoreErrorKind::Refused) => {
            vec!["eval".to_owned()]
        }
        result => {
            let list = connection.settle(result, Effect::Read)?;
            list.convert().map_err(|_| strange_answer(Effect::Read))?
        }
    };
    Ok(Account {
        text: String::from_utf8_lossy(told.as_bytes().unwrap_or_default()).into_owned(),
        forbidden,
        latency,
    })
}
