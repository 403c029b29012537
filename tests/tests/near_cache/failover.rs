//! After a failover, the near cache follows the new primary.

use std::time::Duration;

use cloakroom_core::store::Loaded;
use cloakroom_core::{Record, SessionId, Store};
use cloakroom_redis::{NearCache, RedisStore};
use tests::generous;
use tests::records::recent;
use tests::redis::RedisServer;
use tests::topology::{Cluster, Sentinel, wait_for};
use tests::wait::within;

use super::{SLACK, WINDOW, begin, coherent, near, write};

/// How long servers may take to detect a lost primary and elect another.
const ELECTION: Duration = Duration::from_secs(30);

/// A server with a near cache, one without, and sessions that both use.
struct Setup {
    here: NearCache,
    elsewhere: RedisStore,
    sessions: Vec<(SessionId, Record)>,
}

impl Setup {
    async fn start(url: &str) -> Self {
        let here = near(url).await;
        let elsewhere = generous::connect(url, "cloakroom")
            .await
            .expect("the server is running");
        let mut sessions = Vec::new();
        for _ in 0..20 {
            sessions.push(begin(&here).await);
        }
        Self {
            here,
            elsewhere,
            sessions,
        }
    }

    async fn stops_serving(&self) {
        let knows = async || !self.here.stats().coherent;
        within("it stops serving from the cache", WINDOW + SLACK, knows).await;
    }

    /// Checks that writes on the other server are seen here within the window.
    async fn follows(&self) {
        let (here, elsewhere) = (&self.here, &self.elsewhere);
        for (id, record) in &self.sessions {
            within("the new primary takes writes", ELECTION, async || {
                elsewhere.load(*id).await.is_ok() && here.load(*id).await.is_ok()
            })
            .await;
            self.sees_a_write(*id, record).await;
        }
        coherent(here).await;
    }

    async fn sees_a_write(&self, id: SessionId, record: &Record) {
        let expected = Loaded::Record(write(&self.elsewhere, id, record).await);
        within("it is invalidated", WINDOW + SLACK, async || {
            let seen = recent(&self.here, id).await;
            seen.is_ok_and(|seen| seen == expected)
        })
        .await;
    }
}

/// Waits until the replicas hold as many keys as their primary.
fn wait_until_copied(primary: &RedisServer, replicas: &[&RedisServer]) {
    let count = primary.command(&["DBSIZE"]);
    for replica in replicas {
        wait_for("a copy", || replica.command(&["DBSIZE"]) == count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_cluster_failover_is_followed() {
    let cluster = Cluster::start();
    for index in 0..2 {
        let setup = Setup::start(&cluster.url()).await;
        cluster.fail_over(index);
        setup.follows().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_cluster_primary_is_killed_its_successor_is_followed() {
    let mut cluster = Cluster::start();
    let setup = Setup::start(&cluster.url()).await;
    wait_until_copied(&cluster.primaries()[0], &[&cluster.replicas()[0]]);
    cluster.kill(0);
    setup.stops_serving().await;
    setup.follows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_primary_with_sentinels_is_killed_its_successor_is_followed() {
    let mut sentinel = Sentinel::start();
    let setup = Setup::start(&sentinel.url()).await;
    let [primary, replicas @ ..] = sentinel.servers() else {
        unreachable!("there are three");
    };
    wait_until_copied(primary, &replicas.iter().collect::<Vec<_>>());
    sentinel.servers_mut()[0].kill();
    setup.stops_serving().await;
    setup.follows().await;
}

/// The old primary hangs, still acts as a primary when it resumes, and becomes a replica some time
/// later.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_primary_with_sentinels_is_not_trusted_when_it_resumes() {
    let sentinel = Sentinel::start();
    let setup = Setup::start(&sentinel.url()).await;
    let [primary, replicas @ ..] = sentinel.servers() else {
        unreachable!("there are three");
    };
    wait_until_copied(primary, &replicas.iter().collect::<Vec<_>>());
    primary.freeze();
    setup.stops_serving().await;
    setup.follows().await;
    primary.thaw();
    let (id, _) = setup.sessions[0];
    let Loaded::Record(record) = setup
        .elsewhere
        .load(id)
        .await
        .expect("the command succeeds")
    else {
        panic!("it is there");
    };
    setup.sees_a_write(id, &record).await;
}
