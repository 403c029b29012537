//! Merging in a cluster: of the commands that arrive together, those for one node become one script on that node.
//!
//! A cluster rejects a command with keys in several slots. But a script with the flag `allow-cross-slot-keys`
//! (Redis 7.0) may use keys that it has not declared, and a node of a cluster rejects each access to a key
//! that it does not have, in the script that runs, without executing anything. What was rejected is sent by itself, as are all
//! commands if a node does not run such scripts. That a server rejects these accesses is checked, not assumed:
//! a proxy in front of several servers would find nothing under the key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fred::error::Error as FredError;
use fred::interfaces::{ClusterInterface, KeysInterface};
use fred::types::Value;
use fred::types::cluster::ClusterRouting;
use fred::types::config::Server;
use fred::util::redis_keyslot;
use tokio::time::Instant;

use super::args::Args;
use super::batch::{Waiting, send_in_time};
use super::eval::{
    Ran, ScriptCall, eval, evaluate_or_repeat, is_unknown_script, pack, split_replies,
    unexpected_merged_reply,
};
use super::plain::Found;
use super::script::{NODE_BATCH, NODE_GET, Script};
use crate::classify::{is_moved, is_not_run, is_rejected_key};
use crate::coalesce::{BoxFuture, Item, execute_in_order};
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
    /// Whether the node rejects keys that it does not have, so that commands can be merged.
    rejects: bool,
    until: Instant,
}

/// One node, for one batch.
#[derive(Clone)]
pub(super) struct Node {
    nodes: Arc<Nodes>,
    routing: Arc<ClusterRouting>,
    server: Server,
}

/// A command with one key, which can be merged with others for the same node.
pub(super) trait Mergeable: Send + Sized + 'static {
    /// What becomes of it.
    type Reply: Send + 'static;

    fn key(&self) -> &str;

    /// It was not executed, and is to be sent by itself.
    fn separately(self) -> Self::Reply;

    /// Executes commands for one node. Returns one result per command, in their order.
    fn send(node: Node, client: CommandClient, commands: Vec<Self>) -> Results<Self::Reply>;
}

type Results<R> = BoxFuture<Vec<Result<R, FredError>>>;

/// A batch of commands for all nodes.
type Batch<T> = Vec<Item<Waiting<T>, Result<<T as Mergeable>::Reply, FredError>>>;

/// Executes the commands of a batch, those for each node in a task of its own: a node that does not reply holds
/// up no command for another.
pub(super) async fn send_to_nodes<T: Mergeable>(nodes: Arc<Nodes>, batch: Batch<T>) {
    let routing = batch
        .last()
        .and_then(|newest| newest.item.client().cached_cluster_state());
    let routing = Arc::new(routing.unwrap_or_else(ClusterRouting::new));
    nodes.retain(&routing);
    for (server, part) in by_server(&routing, batch) {
        let node = server.map(|server| Node {
            nodes: Arc::clone(&nodes),
            routing: Arc::clone(&routing),
            server,
        });
        tokio::spawn(execute_in_order(part, async move |commands| {
            let send = |client, commands| match node {
                Some(node) => T::send(node, client, commands),
                None => Box::pin(async { all_separately(commands) }),
            };
            send_in_time(commands, send).await
        }));
    }
}

/// Splits a batch by the node that has the key, as far as is known.
fn by_server<T: Mergeable>(
    routing: &ClusterRouting,
    batch: Batch<T>,
) -> Vec<(Option<Server>, Batch<T>)> {
    let mut parts: Vec<(Option<&Server>, Batch<T>)> = Vec::new();
    for one in batch {
        let server = owner(routing, one.item.command().key());
        match parts.iter_mut().find(|(other, _)| *other == server) {
            Some((_, part)) => part.push(one),
            None => parts.push((server, vec![one])),
        }
    }
    let parts = parts.into_iter();
    parts
        .map(|(server, part)| (server.cloned(), part))
        .collect()
}

fn owner<'a>(routing: &'a ClusterRouting, key: &str) -> Option<&'a Server> {
    routing.get_server(redis_keyslot(key.as_bytes()))
}

fn all_separately<T: Mergeable>(commands: Vec<T>) -> Vec<Result<T::Reply, FredError>> {
    let replies = commands.into_iter().map(T::separately);
    replies.map(Ok).collect()
}

impl Mergeable for ScriptCall {
    type Reply = Ran;

    fn key(&self) -> &str {
        self.args.first_key()
    }

    fn separately(self) -> Ran {
        Ran::Separately(self)
    }

    fn send(node: Node, client: CommandClient, mut calls: Vec<Self>) -> Results<Ran> {
        Box::pin(async move {
            if calls.len() < 2 {
                return match calls.pop() {
                    Some(call) => vec![eval(client, call).await.map(Ran::Reply)],
                    None => Vec::new(),
                };
            }
            let length = calls.iter().map(|call| call.args.len()).sum();
            let mut args = vec![Value::Bytes(pack(&calls, length).into())];
            args.extend(bytes_of(calls[1..].iter().map(Mergeable::key)));
            let Some(reply) = node.run(client, &NODE_BATCH, calls[0].key(), args).await else {
                return all_separately(calls);
            };
            let ran = split_replies(reply, calls.len()).into_iter().zip(calls);
            ran.map(|(ran, call)| match ran {
                Err(error) if is_rejected_key(&error) => Ok(Ran::Separately(call)),
                ran => ran,
            })
            .collect()
        })
    }
}

/// The key of a `GET`.
impl Mergeable for String {
    type Reply = Found;

    fn key(&self) -> &str {
        self
    }

    fn separately(self) -> Found {
        Found::Separately(self)
    }

    fn send(node: Node, client: CommandClient, mut keys: Vec<Self>) -> Results<Found> {
        Box::pin(async move {
            if keys.len() < 2 {
                return match keys.pop() {
                    Some(key) => vec![client.get(key).await.map(Found::Reply)],
                    None => Vec::new(),
                };
            }
            let args = bytes_of(keys[1..].iter().map(String::as_str));
            match node.run(client, &NODE_GET, &keys[0], args).await {
                None => all_separately(keys),
                Some(Ok(Value::Array(values))) if values.len() == keys.len() => {
                    let found = values.into_iter().zip(keys);
                    found.map(|(value, key)| Ok(found_of(value, key))).collect()
                }
                Some(Ok(_)) => vec![Err(unexpected_merged_reply()); keys.len()],
                Some(Err(error)) => vec![Err(error); keys.len()],
            }
        })
    }
}

fn found_of(value: Value, key: String) -> Found {
    match value {
        Value::Integer(_) => Found::Separately(key),
        value => Found::Reply(value),
    }
}

/// Texts as arguments, in one buffer.
fn bytes_of<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Value> {
    let mut args = Args::with_keys(&[], 0);
    for text in texts {
        args.push(text);
    }
    args.into_values()
}

impl Node {
    /// Runs a script that uses undeclared keys: with a key, and `args` after the key to check. Returns `None` if
    /// nothing was executed, because the node does not run such scripts or does not have the first key.
    async fn run(
        &self,
        client: CommandClient,
        script: &'static Script,
        key: &str,
        args: Vec<Value>,
    ) -> Option<Result<Value, FredError>> {
        let foreign = match self.nodes.rejects(&self.server) {
            Some(true) => None,
            Some(false) => return None,
            None => Some(self.foreign_key(key)?),
        };
        let is_check = foreign.is_some();
        let head = [key.to_owned(), foreign.unwrap_or_default()].map(Bytes::from);
        let args = head.into_iter().map(Value::Bytes).chain(args).collect();
        match evaluate_or_repeat(client, script, 1, args, is_unknown_script).await {
            Err(error) if is_moved(&error) => None,
            Err(error) if is_not_run(&error) => {
                self.nodes.record(&self.server, false);
                None
            }
            Ok(Value::Integer(0)) => {
                self.nodes.record(&self.server, false);
                None
            }
            reply => {
                if is_check && reply.is_ok() {
                    self.nodes.record(&self.server, true);
                }
                Some(reply)
            }
        }
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

    fn record(&self, server: &Server, rejects: bool) {
        let until = Instant::now() + CHECKED_FOR;
        let checked = Checked { rejects, until };
        self.lock().insert(server.clone(), checked);
    }

    /// Forgets the nodes that have no slots any more.
    fn retain(&self, routing: &ClusterRouting) {
        let mut checked = self.lock();
        let nodes = routing.unique_primary_nodes();
        if checked.len() > nodes.len() {
            checked.retain(|server, _| nodes.contains(server));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Server, Checked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
