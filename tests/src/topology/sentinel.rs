//! A primary that is monitored by sentinels.

use crate::redis::RedisServer;
use crate::topology::{info_has, wait_for, with_immediate_sync};

/// The service name.
const SERVICE: &str = "sessions";

/// The number of sentinels.
const SENTINELS: usize = 3;

/// A primary, two replicas, and three sentinels, of which two must agree.
#[derive(Debug)]
pub struct Sentinel {
    sentinels: Vec<RedisServer>,
    servers: Vec<RedisServer>,
}

impl Sentinel {
    /// Starts them, and waits until every sentinel knows all servers.
    ///
    /// # Panics
    ///
    /// When they do not connect to each other.
    #[must_use]
    pub fn start() -> Self {
        let servers = Self::start_servers();
        let port = servers[0].port();
        Self::monitor(servers, port)
    }

    /// Starts a primary and its replicas.
    ///
    /// # Panics
    ///
    /// When they do not connect to each other.
    #[must_use]
    pub fn start_servers() -> Vec<RedisServer> {
        let servers: Vec<_> = (0..3)
            .map(|_| RedisServer::start_from(&[], with_immediate_sync))
            .collect();
        let primary = servers[0].port().to_string();
        for replica in &servers[1..] {
            replica.command(&["REPLICAOF", "127.0.0.1", &primary]);
        }
        for replica in &servers[1..] {
            wait_for("a copy", || {
                info_has(replica, "replication", "master_link_status:up")
            });
        }
        servers
    }

    /// Starts sentinels that reach the primary through a port, which they tell their clients.
    ///
    /// # Panics
    ///
    /// When they do not find all servers.
    #[must_use]
    pub fn monitor(servers: Vec<RedisServer>, port: u16) -> Self {
        let port = port.to_string();
        let sentinels = (0..SENTINELS).map(|_| start_sentinel(&port)).collect();
        let all = Self { sentinels, servers };
        all.wait_until_known();
        all
    }

    /// The URL, which names all sentinels.
    #[must_use]
    pub fn url(&self) -> String {
        let ports: Vec<_> = self.sentinels.iter().map(RedisServer::port).collect();
        let [first, second, third] = ports[..] else {
            unreachable!("there are three");
        };
        format!(
            "redis-sentinel://127.0.0.1:{first}?sentinelServiceName={SERVICE}\
             &node=127.0.0.1:{second}&node=127.0.0.1:{third}"
        )
    }

    /// The sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// The server that was the primary when it started, and its replicas.
    #[must_use]
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The same, mutable: to kill one.
    #[must_use]
    pub fn servers_mut(&mut self) -> &mut [RedisServer] {
        &mut self.servers
    }

    /// The port of the primary, according to a sentinel.
    ///
    /// # Panics
    ///
    /// When the sentinel does not respond.
    #[must_use]
    pub fn primary(&self) -> u16 {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE];
        let mut address = self.sentinels[0].command(&words).list();
        let port = address.pop().expect("an address has a port").text();
        port.parse().expect("a port is a number")
    }

    fn wait_until_known(&self) {
        for sentinel in &self.sentinels {
            wait_for("a sentinel that knows all", || {
                let known = |what| sentinel.command(&["SENTINEL", what, SERVICE]).list().len();
                known("REPLICAS") == self.servers.len() - 1 && known("SENTINELS") == SENTINELS - 1
            });
        }
    }
}

fn start_sentinel(primary: &str) -> RedisServer {
    let configuration = format!(
        "sentinel monitor {SERVICE} 127.0.0.1 {primary} 2\n\
         sentinel down-after-milliseconds {SERVICE} 1000\n\
         sentinel failover-timeout {SERVICE} 5000\n"
    );
    RedisServer::start_from(&[("redis.conf", &configuration)], || {
        vec!["--sentinel".to_owned()]
    })
}
