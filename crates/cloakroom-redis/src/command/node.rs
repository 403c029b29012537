//! Merging scripts in a cluster: of the calls that arrive together, those for one node become one script on that node.
//!
//! A cluster rejects a command with keys in several slots. But a script with the flag `allow-cross-slot-keys`
//! (Redis 7.0) may use keys that it has not declared, and a node of a cluster rejects each access to a key
//! that it does not have, in the script that runs, without executing anything. What was rejected is sent by itself, as are all
//! calls if a node does not run such scripts. That a server rejects these accesses is checked, not assumed:
//! a proxy in front of several servers would find nothing under the key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fred::error::Error as FredError;
use fred::interfaces::ClusterInterface;
use fred::types::Value;
use fred::types::cluster::ClusterRouting;
use fred::types::config::Server;
use rmp::encode::{write_array_len, write_str};
use tokio::time::Instant;

use super::batch::{Waiting, send_in_time};
use super::eval::{
    Ran, ScriptCall, eval, evaluate_or_repeat, is_unknown_script, named, pack, ran, split_replies,
};
use super::script::NODE_BATCH;
use super::slot::slot_of;
use crate::classify::{is_moved, is_not_run, is_rejected_key};
use crate::coalesce::{BoxFuture, Item, complete_all, execute_in_order};
use crate::connection::CommandClient;

/// How long the result of a check is believed.
const CHECKED_FOR: Duration = Duration::from_secs(60);

/// How many names are tried for a key that another node has. In a cluster of two primaries, half of them are.
const MAX_NAMES: u32 = 64;

/// What is known of the nodes of a cluster. It has an entry for each node of the current slot map at most.
#[derive(Default)]
pub(super) struct Nodes(Mutex<HashMap<Server, Checked>>);

/// The result of a check.
#[derive(Clone, Copy)]
struct Checked {
    /// Whether the node runs the script, and rejects keys that it does not have.
    rejects: bool,
    until: Instant,
}

/// One node, for one batch.
struct Node {
    nodes: Arc<Nodes>,
    routing: Arc<ClusterRouting>,
    server: Server,
}

/// Calls that wait for their results.
type Batch = Vec<Item<Waiting<ScriptCall>, Result<Ran, FredError>>>;

/// Runs the calls of a batch, those for each node by themselves: a node that does not reply holds up no call for another.
pub(super) async fn eval_on_nodes(nodes: Arc<Nodes>, batch: Batch) {
    let parts = by_node(&nodes, batch).into_iter();
    let parts = parts.map(|(node, part)| -> BoxFuture<()> {
        let eval = |client, calls| -> BoxFuture<_> { Box::pin(eval_on(node, client, calls)) };
        Box::pin(execute_in_order(part, async move |calls| {
            send_in_time(calls, eval).await
        }))
    });
    complete_all(parts.collect()).await;
}

/// Splits a batch by the node that has the key of a call, as far as is known.
fn by_node(nodes: &Arc<Nodes>, batch: Batch) -> Vec<(Option<Node>, Batch)> {
    let newest = batch.last();
    let routing = newest.and_then(|newest| newest.item.client().cached_cluster_state());
    let routing = Arc::new(routing.unwrap_or_else(ClusterRouting::new));
    let mut parts: Vec<(Option<&Server>, Batch)> = Vec::new();
    for one in batch {
        let server = owner(&routing, one.item.command().args.first_key());
        match parts.iter_mut().find(|(other, _)| *other == server) {
            Some((_, part)) => part.push(one),
            None => parts.push((server, vec![one])),
        }
    }
    let node = |server: &Server| Node {
        nodes: Arc::clone(nodes),
        routing: Arc::clone(&routing),
        server: server.clone(),
    };
    let parts = parts.into_iter();
    parts
        .map(|(server, part)| (server.map(node), part))
        .collect()
}

fn owner<'a>(routing: &'a ClusterRouting, key: &str) -> Option<&'a Server> {
    routing.get_server(slot_of(key))
}

/// Runs the calls for one node. Returns one result per call, in their order.
async fn eval_on(
    node: Option<Node>,
    client: CommandClient,
    mut calls: Vec<ScriptCall>,
) -> Vec<Result<Ran, FredError>> {
    if calls.len() < 2 {
        return match calls.pop() {
            Some(call) => vec![eval(client, call).await.map(Ran::Reply)],
            None => Vec::new(),
        };
    }
    let reply = match &node {
        Some(node) => node.eval_merged(client, &calls).await,
        None => None,
    };
    let Some(reply) = reply else {
        return calls.into_iter().map(Ran::Separately).map(Ok).collect();
    };
    let replies = split_replies(reply, calls.len()).into_iter().zip(calls);
    replies
        .map(|(reply, call)| match reply {
            Err(error) if is_rejected_key(&error) => Ok(Ran::Separately(call)),
            reply => ran(reply, call, Ran::Reply, Ran::Separately),
        })
        .collect()
}

/// Encodes keys in `MessagePack`.
fn pack_keys<'a>(keys: impl Iterator<Item = &'a str> + Clone) -> Vec<u8> {
    const INFALLIBLE: &str = "writing to a Vec does not fail";
    let (count, length) = keys.clone().fold((0, 0), |(count, length), key| {
        (count + 1, length + key.len())
    });
    // Lengths take at most five bytes each.
    let mut out = Vec::with_capacity(length + 5 * count + 5);
    write_array_len(&mut out, u32::try_from(count).unwrap_or(u32::MAX)).expect(INFALLIBLE);
    for key in keys {
        write_str(&mut out, key).expect(INFALLIBLE);
    }
    out
}

impl Node {
    /// Runs calls as one script. Returns `None` if nothing was executed, because the node does not run such scripts
    /// or does not have the first key.
    async fn eval_merged(
        &self,
        client: CommandClient,
        calls: &[ScriptCall],
    ) -> Option<Result<Value, FredError>> {
        let first = calls[0].args.first_key();
        let foreign = match self.nodes.rejects(&self.server) {
            Some(true) => None,
            Some(false) => return None,
            None => Some(self.foreign_key(first)?),
        };
        let is_check = foreign.is_some();
        let length = calls.iter().map(|call| call.args.len()).sum();
        let args = [
            first.to_owned().into_bytes(),
            foreign.unwrap_or_default().into_bytes(),
            pack_keys(calls.iter().flat_map(|call| call.args.keys())),
            pack(named(calls), length),
        ];
        let args = args.map(|arg| Value::Bytes(arg.into())).into();
        match evaluate_or_repeat(client, &NODE_BATCH, 1, args, is_unknown_script).await {
            Err(error) if is_moved(&error) => None,
            Err(error) if is_not_run(&error) => {
                self.record(false);
                None
            }
            Ok(Value::Integer(0)) => {
                self.record(false);
                None
            }
            reply => {
                if is_check && reply.is_ok() {
                    self.record(true);
                }
                Some(reply)
            }
        }
    }

    fn record(&self, rejects: bool) {
        let until = Instant::now() + CHECKED_FOR;
        let mut checked = self.nodes.lock();
        checked.insert(self.server.clone(), Checked { rejects, until });
        // Forgets the nodes that have no slots any more.
        let nodes = self.routing.unique_primary_nodes();
        checked.retain(|server, _| nodes.contains(server));
    }

    /// A key that another node has, with the same start as `key`, so that the same rights apply. `None` if there is
    /// no other node.
    fn foreign_key(&self, key: &str) -> Option<String> {
        let mut names = (0..MAX_NAMES).map(|number| format!("{key}{{{number}}}"));
        names.find(|name| owner(&self.routing, name).is_some_and(|owner| *owner != self.server))
    }
}

impl Nodes {
    /// Whether a node is known to reject keys that it does not have. `None` if that has to be checked.
    fn rejects(&self, server: &Server) -> Option<bool> {
        let checked = self.lock().get(server).copied()?;
        (Instant::now() < checked.until).then_some(checked.rejects)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Server, Checked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
