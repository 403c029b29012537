//! A primary and its replicas, without sentinels: the test itself performs a failover.

use std::time::Duration;

use crate::redis::RedisServer;
use crate::topology::delay::DelayedPort;
use crate::topology::{info_has, wait_for, with_immediate_sync};

/// A primary and its replicas.
#[derive(Debug)]
pub struct Replicated {
    primary: RedisServer,
    replicas: Vec<RedisServer>,
}

impl Replicated {
    /// Starts them, and waits until the replicas are in sync.
    ///
    /// # Panics
    ///
    /// When they do not connect to each other.
    #[must_use]
    pub fn start(replicas: usize) -> Self {
        Self::start_with_delay(replicas, Duration::ZERO)
    }

    /// The same, with this latency between primary and replicas.
    ///
    /// # Panics
    ///
    /// When they do not connect to each other.
    #[must_use]
    pub fn start_with_delay(replicas: usize, delay: Duration) -> Self {
        let start = || RedisServer::start_from(&[], with_immediate_sync);
        let primary = start();
        let replicas: Vec<_> = (0..replicas).map(|_| start()).collect();
        let port = match delay {
            Duration::ZERO => primary.port(),
            delay => DelayedPort::start(primary.port(), delay).port(),
        };
        let port = port.to_string();
        for replica in &replicas {
            replica.command(&["REPLICAOF", "127.0.0.1", &port]);
        }
        for replica in &replicas {
            wait_for("a copy", || {
                info_has(replica, "replication", "master_link_status:up")
            });
        }
        let all = Self { primary, replicas };
        // Something to replicate, so that they acknowledge an offset.
        all.primary.command(&["PUBLISH", "to", "nobody"]);
        wait_for("the replicas", || all.online() == all.replicas.len());
        all
    }

    /// How many replicas have acknowledged an offset. A new one does after a second.
    #[must_use]
    pub fn online(&self) -> usize {
        let info = self.primary.command(&["INFO", "replication"]).text();
        let online = |line: &&str| line.contains("state=online") && !line.contains("offset=0,");
        info.lines().filter(online).count()
    }

    /// Disconnects the first replica from its primary: later writes do not reach it.
    pub fn cut_off(&self) {
        let nobody = crate::redis::free_port().to_string();
        self.replicas[0].command(&["REPLICAOF", "127.0.0.1", &nobody]);
        wait_for("the loss", || self.online() < self.replicas.len());
    }

    /// The primary.
    #[must_use]
    pub fn primary(&self) -> &RedisServer {
        &self.primary
    }

    /// The replicas.
    #[must_use]
    pub fn replicas(&self) -> &[RedisServer] {
        &self.replicas
    }

    /// Kills the primary, and promotes the first replica.
    pub fn fail_over(&mut self) -> &RedisServer {
        self.primary.kill();
        let [successor, ..] = &self.replicas[..] else {
            unreachable!("a failover needs a replica");
        };
        successor.command(&["REPLICAOF", "NO", "ONE"]);
        successor
    }
}
