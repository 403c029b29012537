//! Merging loads in a cluster: those for one node become one script on that node.

use std::sync::Arc;

use fred::error::Error as FredError;
use fred::interfaces::KeysInterface;
use fred::types::Value;

use super::batch::send_in_time;
use super::node::{Batch, Node, Nodes, by_node, pack_keys};
use super::plain::Found;
use super::script::NODE_GET;
use crate::classify::{is_moved, is_reply};
use crate::coalesce::{BoxFuture, complete_all, execute_in_order};
use crate::connection::CommandClient;

/// Loads the keys of a batch, those of each node by themselves: a node that does not reply holds up no load from another.
pub(super) async fn get_on_nodes(nodes: Arc<Nodes>, batch: Batch<String, Found>) {
    let parts = by_node(&nodes, batch, |key| key);
    let parts = parts.into_iter().map(|(node, part)| -> BoxFuture<()> {
        let get = |client, keys| -> BoxFuture<_> { Box::pin(get_on(node, client, keys)) };
        Box::pin(execute_in_order(part, async move |keys| {
            send_in_time(keys, get).await
        }))
    });
    complete_all(parts.collect()).await;
}

/// Loads keys from one node. Returns one result per key, in their order.
async fn get_on(
    node: Option<Node>,
    client: CommandClient,
    mut keys: Vec<String>,
) -> Vec<Result<Found, FredError>> {
    if keys.len() < 2 {
        return match keys.pop() {
            Some(key) => vec![get(client, key).await],
            None => Vec::new(),
        };
    }
    match get_merged(node, client, &keys).await {
        Ok(Some(values)) => {
            let found = values.into_iter().zip(keys);
            found.map(|(value, key)| Ok(found_of(value, key))).collect()
        }
        Ok(None) => keys.into_iter().map(Found::Separately).map(Ok).collect(),
        Err(error) => vec![Err(error); keys.len()],
    }
}

/// Loads keys with one script. Returns `None` if they have to be loaded by themselves.
///
/// # Errors
///
/// If there was no reply.
async fn get_merged(
    node: Option<Node>,
    client: CommandClient,
    keys: &[String],
) -> Result<Option<Vec<Value>>, FredError> {
    let Some(node) = node else {
        return Ok(None);
    };
    let args = [pack_keys(keys.iter().map(String::as_str))];
    match node.run(client, &NODE_GET, &keys[0], args).await {
        None => Ok(None),
        Some(Ok(Value::Array(values))) if values.len() == keys.len() => Ok(Some(values)),
        Some(Err(error)) if !is_reply(&error) => Err(error),
        // Whatever the node says of the script, it may say something else of a `GET`.
        Some(_) => {
            node.refuses();
            Ok(None)
        }
    }
}

/// Loads one key.
async fn get(client: CommandClient, key: String) -> Result<Found, FredError> {
    match client.get::<Value, _>(key.as_str()).await {
        Ok(value) => Ok(Found::Reply(value)),
        Err(error) if is_moved(&error) => Ok(Found::Separately(key)),
        Err(error) => Err(error),
    }
}

fn found_of(value: Value, key: String) -> Found {
    match value {
        Value::Integer(_) => Found::Separately(key),
        value => Found::Reply(value),
    }
}
