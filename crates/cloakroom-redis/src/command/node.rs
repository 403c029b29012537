//! Merging in a cluster: of the commands that arrive together, those for one node become one script on that node.
//! `node_calls` says which.
//!
//! A cluster rejects a command with keys in several slots. But a script with the flag `allow-cross-slot-keys`
//! (Redis 7.0) may use keys that it has not declared, and a node of a cluster rejects each access to a key
//! that it does not have, in the script that runs, without executing anything. What was rejected is sent by itself, as are all
//! commands if a node does not run such scripts. That a server rejects these accesses is checked, not assumed:
//! a proxy in front of several servers would find nothing under the key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fred::error::Error as FredError;
use fred::interfaces::ClusterInterface;
use fred::types::Value;
use fred::types::cluster::ClusterRouting;
use fred::types::config::Server;
use fred::util::redis_keyslot;
use rmp::encode::{write_array_len, write_str};
use tokio::time::Instant;

use super::batch::Waiting;
use super::eval::{evaluate_or_repeat, is_unknown_script};
use super::script::Script;
use crate::classify::{is_moved, is_not_run};
use crate::coalesce::Item;
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
pub(super) struct Node {
    nodes: Arc<Nodes>,
    routing: Arc<ClusterRouting>,
    server: Server,
}

/// Commands that wait for their results.
pub(super) type Batch<T, R> = Vec<Item<Waiting<T>, Result<R, FredError>>>;

/// The commands of a batch for one node; `None` if it is not known which.
pub(super) type Part<T, R> = (Option<Node>, Batch<T, R>);

/// Splits a batch by the node that has the key of a command, as far as is known.
pub(super) fn by_node<T, R>(
    nodes: &Arc<Nodes>,
    batch: Batch<T, R>,
    key: impl Fn(&T) -> &str,
) -> Vec<Part<T, R>> {
    let newest = batch.last();
    let routing = newest.and_then(|newest| newest.item.client().cached_cluster_state());
    let routing = Arc::new(routing.unwrap_or_else(ClusterRouting::new));
    let mut parts: Vec<(Option<&Server>, Batch<T, R>)> = Vec::new();
    for one in batch {
        let server = owner(&routing, key(one.item.command()));
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
    routing.get_server(redis_keyslot(key.as_bytes()))
}

/// Encodes keys in `MessagePack`.
pub(super) fn pack_keys<'a>(keys: impl Iterator<Item = &'a str> + Clone) -> Vec<u8> {
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
    /// Runs a script on several keys of the node, of which `first` is declared. `args` follow the key for the check. Returns
    /// `None` if nothing was executed, because the node does not run such scripts or does not have the first key.
    pub(super) async fn run(
        &self,
        client: CommandClient,
        script: &Script,
        first: &str,
        args: impl IntoIterator<Item = Vec<u8>>,
    ) -> Option<Result<Value, FredError>> {
        let foreign = match self.nodes.rejects(&self.server) {
            Some(true) => None,
            Some(false) => return None,
            None => Some(self.foreign_key(first)?),
        };
        let is_check = foreign.is_some();
        let keys = [first.to_owned(), foreign.unwrap_or_default()];
        let keys = keys.into_iter().map(|key| Value::Bytes(key.into()));
        let args = args.into_iter().map(|arg| Value::Bytes(arg.into()));
        let args = keys.chain(args).collect();
        match evaluate_or_repeat(client, script, 1, args, is_unknown_script).await {
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
