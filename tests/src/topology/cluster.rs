//! A Redis Cluster.

use crate::redis::{RedisServer, free_port};
use crate::resp::{Connection, Reply};
use crate::topology::{info_has, wait_for, with_immediate_sync};

/// The number of primaries, each with one replica.
const PRIMARIES: usize = 3;

/// The number of slots of every cluster.
const SLOTS: usize = 16_384;

/// Three primaries, each with a replica.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<RedisServer>,
}

impl Cluster {
    /// Starts the nodes, and waits until the cluster is complete for each of them.
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
        cluster.wait_until_complete();
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

    /// The URL that names one node, by a port through which it is reached.
    #[must_use]
    pub fn url_of(port: u16) -> String {
        format!("redis-cluster://127.0.0.1:{port}")
    }

    /// Has the primaries announce these ports instead of their own, and waits until all nodes know.
    ///
    /// # Panics
    ///
    /// When a node refuses it.
    pub fn announce(&self, ports: &[u16]) {
        for (primary, port) in self.primaries().iter().zip(ports) {
            let port = port.to_string();
            ok(primary.command(&["CONFIG", "SET", "cluster-announce-port", &port]));
        }
        for node in &self.nodes {
            wait_for("a port that all know", || {
                let slots = node.command(&["CLUSTER", "SLOTS"]).list();
                slots.into_iter().all(|slot| ports.contains(&range(slot).2))
            });
        }
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

    /// All nodes.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// Performs a planned failover to a replica, and waits until all nodes know.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn fail_over(&self, index: usize) {
        let new = &self.replicas()[index];
        ok(new.command(&["CLUSTER", "FAILOVER"]));
        self.wait_until_owned(SLOTS * index / PRIMARIES, new);
        for node in &self.nodes {
            wait_for("a complete cluster", || is_complete(node));
        }
    }

    /// Kills a primary.
    ///
    /// # Panics
    ///
    /// When it cannot be killed.
    pub fn kill(&mut self, index: usize) {
        self.nodes[index].kill();
    }

    /// Waits until the replica of a lost primary has taken over its slots, and all other nodes know.
    ///
    /// # Panics
    ///
    /// When it does not in time.
    pub fn wait_until_replaced(&self, index: usize) {
        let successor = &self.replicas()[index];
        for node in self
            .nodes
            .iter()
            .filter(|node| node.port() != self.nodes[index].port())
        {
            wait_for("a successor", || {
                owns(node, SLOTS * index / PRIMARIES, successor)
            });
        }
    }

    /// Moves slots with all their keys from one primary to another, one by one.
    ///
    /// # Panics
    ///
    /// When a node refuses it.
    pub fn move_slots(&self, from: usize, to: usize, count: usize) {
        let first = SLOTS * from / PRIMARIES;
        let (source, target) = (&self.primaries()[from], &self.primaries()[to]);
        let (source_id, target_id) = (id(source), id(target));
        let port = target.port().to_string();
        // Connections that stay open: a slot should be between two nodes for a short time only.
        let mut nodes: Vec<_> = self.primaries().iter().map(connect).collect();
        for slot in first..first + count {
            let slot = slot.to_string();
            let importing = ["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id];
            ok(send(&mut nodes[to], &importing));
            let migrating = ["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id];
            ok(send(&mut nodes[from], &migrating));
            loop {
                let keys = ["CLUSTER", "GETKEYSINSLOT", &slot, "10"];
                let keys = send(&mut nodes[from], &keys).list();
                if keys.is_empty() {
                    break;
                }
                for key in keys {
                    // A key may expire or be deleted meanwhile.
                    let migrate = ["MIGRATE", "127.0.0.1", &port, &key.text(), "0", "5000"];
                    send(&mut nodes[from], &migrate);
                }
            }
            // First the new owner, then the old one.
            for index in [to, from].into_iter().chain(0..PRIMARIES) {
                let owner = ["CLUSTER", "SETSLOT", &slot, "NODE", &target_id];
                ok(send(&mut nodes[index], &owner));
            }
        }
    }

    /// Makes a replica the primary of its slots, without a vote.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn take_over(&self, index: usize) {
        ok(self.replicas()[index].command(&["CLUSTER", "FAILOVER", "TAKEOVER"]));
    }

    /// Starts migrating the slot of a key from one primary to another.
    ///
    /// # Panics
    ///
    /// When a node refuses it.
    pub fn begin_move(&self, key: &str, from: &RedisServer, to: &RedisServer) {
        let slot = slot(from, key).to_string();
        ok(to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]));
        ok(from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]));
    }

    /// Moves one key.
    ///
    /// # Panics
    ///
    /// When a node refuses it.
    pub fn move_key(&self, key: &str, from: &RedisServer, to: &RedisServer) {
        let port = to.port().to_string();
        ok(from.command(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]));
    }

    /// Completes the migration of a slot whose keys have all been moved, and waits until all nodes know.
    ///
    /// # Panics
    ///
    /// When a node refuses it.
    pub fn end_move(&self, key: &str, from: &RedisServer, to: &RedisServer) {
        let slot = slot(from, key);
        for node in [to, from] {
            let slot = slot.to_string();
            ok(node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(to)]));
        }
        self.wait_until_owned(slot, to);
    }

    /// The index of the primary that holds a key.
    ///
    /// # Panics
    ///
    /// When none does.
    #[must_use]
    pub fn holder(&self, key: &str) -> usize {
        let holds = |node: &RedisServer| node.command(&["EXISTS", key]) == Reply::Number(1);
        let mut primaries = self.primaries().iter();
        primaries.position(holds).expect("a primary has the key")
    }

    fn wait_until_owned(&self, slot: usize, owner: &RedisServer) {
        for node in &self.nodes {
            wait_for("an owner that all know", || owns(node, slot, owner));
        }
    }

    /// Introduces every node to every other.
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
            wait_for("a handshake", || {
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
            ok(replica.command(&["CLUSTER", "REPLICATE", &id(primary)]));
        }
    }

    fn wait_until_complete(&self) {
        for node in &self.nodes {
            wait_for("a complete cluster", || {
                let slots = node.command(&["CLUSTER", "SLOTS"]).list();
                is_complete(node) && slots.len() == PRIMARIES
            });
        }
        for replica in self.replicas() {
            wait_for("a copy", || {
                info_has(replica, "replication", "master_link_status:up")
            });
        }
    }
}

fn start_node() -> RedisServer {
    RedisServer::start_from(&[], || {
        let bus = free_port().to_string();
        let mut options = with_immediate_sync();
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

/// Whether the cluster is complete for a node; until then it rejects commands.
fn is_complete(node: &RedisServer) -> bool {
    let info = node.command(&["CLUSTER", "INFO"]).text();
    info.contains("cluster_state:ok")
}

/// Whether a node knows another one as the owner of a slot.
fn owns(node: &RedisServer, slot: usize, owner: &RedisServer) -> bool {
    let ranges = node.command(&["CLUSTER", "SLOTS"]).list().into_iter();
    ranges
        .map(range)
        .any(|(first, last, port)| (first..=last).contains(&slot) && port == owner.port())
}

fn bus_port(node: &RedisServer) -> String {
    let [_, port] = <[Reply; 2]>::try_from(node.command(&["CONFIG", "GET", "cluster-port"]).list())
        .expect("a name and its value");
    port.text()
}

fn id(node: &RedisServer) -> String {
    node.command(&["CLUSTER", "MYID"]).text()
}

fn slot(node: &RedisServer, key: &str) -> usize {
    let slot = node.command(&["CLUSTER", "KEYSLOT", key]).number();
    usize::try_from(slot).expect("a slot is not negative")
}

/// A range of CLUSTER SLOTS: its first and last slot, and the port of its primary.
fn range(reply: Reply) -> (usize, usize, u16) {
    let mut parts = reply.list().into_iter();
    let mut number = || parts.next().and_then(|part| part.number().try_into().ok());
    let (first, last) = (number(), number());
    let port = parts.next().and_then(|node| node.list().into_iter().nth(1));
    let port = port.and_then(|port| port.number().try_into().ok());
    first
        .zip(last)
        .zip(port)
        .map(|((first, last), port)| (first, last, port))
        .expect("a range has an owner")
}

fn connect(node: &RedisServer) -> Connection {
    Connection::open(node.port()).expect("the node runs")
}

fn send(node: &mut Connection, words: &[&str]) -> Reply {
    let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
    node.command(&words).expect("the node replies")
}

fn ok(reply: Reply) {
    assert_eq!(reply, Reply::Status("OK".to_owned()));
}
