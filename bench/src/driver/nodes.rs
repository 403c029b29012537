//! The Redis of a testbed: one server, or the primaries of a Cluster.

use std::thread::sleep;
use std::time::{Duration, Instant};

use test_support::free_port;
use test_support::monitor::{Monitor, Recorded};
use test_support::redis::RedisServer;
use test_support::resp::Reply;

use super::process::cpu_time;
use crate::BoxError;

/// The primaries of a Cluster. They have no replicas, which would take CPU from everybody.
const PRIMARIES: usize = 3;

/// The number of slots of every Cluster.
const SLOTS: usize = 16_384;

/// How long the nodes may take to become a Cluster.
const START_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Nodes(Vec<RedisServer>);

impl Nodes {
    /// Starts one server, or a Cluster.
    pub(super) fn start(cluster: bool) -> Result<Self, BoxError> {
        if !cluster {
            return Ok(Self(vec![RedisServer::start()]));
        }
        let nodes = Self((0..PRIMARIES).map(|_| start_node()).collect());
        nodes.become_cluster()?;
        Ok(nodes)
    }

    /// The port of the server, or of a node of the Cluster.
    pub(super) fn port(&self) -> u16 {
        self.0.first().map_or(0, RedisServer::port)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &RedisServer> {
        self.0.iter()
    }

    /// The CPU time that all of them have used so far.
    pub(super) fn cpu_time(&self) -> Result<Duration, BoxError> {
        self.iter().map(|node| cpu_time(node.process())).sum()
    }

    /// All keys, each with the reply to a command that has the key as its last argument.
    pub(super) fn of_each_key(&self, command: &[&str]) -> Vec<(String, Reply)> {
        let mut all = Vec::new();
        for node in self.iter() {
            for key in node.keys() {
                let words = [command, &[key.as_str()]].concat();
                let reply = node.command(&words);
                all.push((key, reply));
            }
        }
        all
    }

    /// Starts to record the commands of all of them.
    pub(super) fn monitor(&self) -> Vec<Monitor> {
        self.iter().map(RedisServer::monitor).collect()
    }

    fn become_cluster(&self) -> Result<(), BoxError> {
        for (index, node) in self.iter().enumerate() {
            let first = (SLOTS * index / PRIMARIES).to_string();
            let last = (SLOTS * (index + 1) / PRIMARIES - 1).to_string();
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            for other in self.iter() {
                let bus = other.command(&["CONFIG", "GET", "cluster-port"]).list();
                let bus = bus.into_iter().nth(1).ok_or("no cluster port")?.text();
                let port = other.port().to_string();
                node.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
            }
        }
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.iter().all(is_complete) {
            if Instant::now() > deadline {
                return Err("the nodes do not become a Cluster".into());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// What the monitors of all nodes have recorded.
pub(super) fn recorded(monitors: Vec<Monitor>) -> Vec<Recorded> {
    monitors.into_iter().flat_map(Monitor::recorded).collect()
}

fn start_node() -> RedisServer {
    RedisServer::start_from(&[], || {
        let bus = free_port().to_string();
        let options = ["--cluster-enabled", "yes", "--cluster-port", &bus];
        options.map(str::to_owned).to_vec()
    })
}

/// Whether a node knows the owners of all slots.
fn is_complete(node: &RedisServer) -> bool {
    let info = node.command(&["CLUSTER", "INFO"]).text();
    let slots = node.command(&["CLUSTER", "SLOTS"]).list().len();
    info.contains("cluster_state:ok") && slots == PRIMARIES
}
