//! A Redis Cluster.

use crate::redis::{RedisServer, free_port};
use crate::resp::Reply;
use crate::topology::{copied_at_once, tells, wait_for};

/// How many primaries there are, and replicas: one of each primary.
const PRIMARIES: usize = 3;

/// The number of slots of every cluster.
const SLOTS: usize = 16_384;

/// Three primaries and a replica of each.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<RedisServer>,
}

impl Cluster {
    /// Starts the nodes, and waits until each of them finds the cluster whole.
    ///
    /// # Panics
    ///
    /// When they do not become a cluster.
    #[must_use]
    pub fn start() -> Self {
        let nodes = (0..2 * PRIMARIES).map(|_| start_node()).collect();
        let cluster = Self { nodes };
        cluster.meet();
        cluster.share_slots();
        cluster.replicate();
        cluster.wait_until_whole();
        cluster
    }

    /// The URL, which names two of the nodes.
    #[must_use]
    pub fn url(&self) -> String {
        let [first, second, ..] = self.primaries() else {
            unreachable!("there are three");
        };
        let (first, second) = (first.port(), second.port());
        format!("redis-cluster://127.0.0.1:{first}?node=127.0.0.1:{second}")
    }

    /// The nodes that were primaries when it started.
    #[must_use]
    pub fn primaries(&self) -> &[RedisServer] {
        &self.nodes[..PRIMARIES]
    }

    /// Their replicas, in the same order.
    #[must_use]
    pub fn replicas(&self) -> &[RedisServer] {
        &self.nodes[PRIMARIES..]
    }

    /// Sends a command to every node.
    ///
    /// # Panics
    ///
    /// When a node refuses it.
    pub fn command_all(&self, words: &[&str]) {
        for node in &self.nodes {
            ok(node.command(words));
        }
    }

    /// Makes a replica the primary of its slots, in agreement with the one it was, and waits until
    /// all nodes know.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn fail_over(&self, index: usize) {
        let (old, new) = (&self.primaries()[index], &self.replicas()[index]);
        ok(new.command(&["CLUSTER", "FAILOVER"]));
        wait_for("a failover", || {
            tells(new, "replication", "role:master") && tells(old, "replication", "role:slave")
        });
    }

    /// Every node gets to know every other.
    fn meet(&self) {
        for (epoch, node) in self.nodes.iter().enumerate() {
            let epoch = (epoch + 1).to_string();
            ok(node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]));
        }
        for node in &self.nodes {
            for other in &self.nodes {
                let (port, bus) = (other.port().to_string(), bus_port(other));
                ok(node.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]));
            }
        }
        for node in &self.nodes {
            wait_for("a meeting", || {
                let nodes = node.command(&["CLUSTER", "NODES"]).text();
                nodes.lines().count() == self.nodes.len() && !nodes.contains("handshake")
            });
        }
    }

    fn share_slots(&self) {
        for (index, node) in self.primaries().iter().enumerate() {
            let first = (SLOTS * index / PRIMARIES).to_string();
            let last = (SLOTS * (index + 1) / PRIMARIES - 1).to_string();
            ok(node.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]));
        }
    }

    fn replicate(&self) {
        for (primary, replica) in self.primaries().iter().zip(self.replicas()) {
            let id = primary.command(&["CLUSTER", "MYID"]).text();
            ok(replica.command(&["CLUSTER", "REPLICATE", &id]));
        }
    }

    fn wait_until_whole(&self) {
        for node in &self.nodes {
            wait_for("a whole cluster", || {
                let info = node.command(&["CLUSTER", "INFO"]).text();
                let slots = node.command(&["CLUSTER", "SLOTS"]).list();
                info.contains("cluster_state:ok") && slots.len() == PRIMARIES
            });
        }
        for replica in self.replicas() {
            wait_for("a copy", || {
                tells(replica, "replication", "master_link_status:up")
            });
        }
    }
}

fn start_node() -> RedisServer {
    RedisServer::start_from(&[], || {
        let bus = free_port().to_string();
        let mut options = copied_at_once();
        options.extend(
            [
                ["--cluster-enabled", "yes"],
                ["--cluster-port", &bus],
                ["--cluster-node-timeout", "5000"],
            ]
            .concat()
            .into_iter()
            .map(str::to_owned),
        );
        options
    })
}

fn bus_port(node: &RedisServer) -> String {
    let [_, port] = <[Reply; 2]>::try_from(node.command(&["CONFIG", "GET", "cluster-port"]).list())
        .expect("a name and its value");
    port.text()
}

fn ok(reply: Reply) {
    assert_eq!(reply, Reply::Status("OK".to_owned()));
}
