//! A primary and its replicas, without anybody who watches over them: a failover is the test's own act.

use std::time::Duration;

use crate::redis::RedisServer;
use crate::topology::link::Link;
use crate::topology::{copied_at_once, tells, wait_for};

/// A primary, and replicas that have copied it.
#[derive(Debug)]
pub struct Replicated {
    primary: RedisServer,
    replicas: Vec<RedisServer>,
}

impl Replicated {
    /// Starts them, and waits until the replicas have their copy.
    ///
    /// # Panics
    ///
    /// When they do not find each other.
    #[must_use]
    pub fn start(replicas: usize) -> Self {
        Self::start_apart(replicas, Duration::ZERO)
    }

    /// The same, with replicas that every byte takes this long to and from.
    ///
    /// # Panics
    ///
    /// When they do not find each other.
    #[must_use]
    pub fn start_apart(replicas: usize, apart: Duration) -> Self {
        let start = || RedisServer::start_from(&[], copied_at_once);
        let primary = start();
        let replicas: Vec<_> = (0..replicas).map(|_| start()).collect();
        let port = match apart {
            Duration::ZERO => primary.port(),
            apart => Link::lay(primary.port(), apart).port(),
        };
        let port = port.to_string();
        for replica in &replicas {
            replica.command(&["REPLICAOF", "127.0.0.1", &port]);
        }
        for replica in &replicas {
            wait_for("a copy", || {
                tells(replica, "replication", "master_link_status:up")
            });
        }
        let all = Self { primary, replicas };
        // Something to hand on, so that they have something to tell of.
        all.primary.command(&["PUBLISH", "to", "nobody"]);
        wait_for("the replicas", || all.online() == all.replicas.len());
        all
    }

    /// How many replicas have told the primary how far they are. A new one does after a second.
    #[must_use]
    pub fn online(&self) -> usize {
        let told = self.primary.command(&["INFO", "replication"]).text();
        let online = |line: &&str| line.contains("state=online") && !line.contains("offset=0,");
        told.lines().filter(online).count()
    }

    /// Lets the first replica lose its primary: what is written from now on does not reach it.
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

    /// Kills the primary, and makes the first replica one.
    pub fn fail_over(&mut self) -> &RedisServer {
        self.primary.kill();
        let [heir, ..] = &self.replicas[..] else {
            unreachable!("a failover needs a replica");
        };
        heir.command(&["REPLICAOF", "NO", "ONE"]);
        heir
    }
}
