//! Every store passes the conformance suite.

use std::time::Duration;

use cloakroom_core::codec::RecordFormat;
use cloakroom_core::conformance::{self, Subject};
use cloakroom_core::{ManualClock, MemoryStore};
use cloakroom_redis::{NearCache, RedisStore};
use tests::generous;
use tests::redis::RedisServer;
use tests::topology::Cluster;

struct Memory {
    store: MemoryStore,
    clock: ManualClock,
}

impl Memory {
    fn new() -> Self {
        let clock = ManualClock::default();
        Self {
            store: MemoryStore::with_clock(clock.clone()),
            clock,
        }
    }
}

impl Subject for Memory {
    type Store = MemoryStore;

    async fn store(&self) -> MemoryStore {
        self.store.clone()
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

struct Redis {
    server: RedisServer,
    format: RecordFormat,
}

impl Redis {
    fn start(format: RecordFormat) -> Self {
        let server = RedisServer::start();
        Self { server, format }
    }
}

impl Subject for Redis {
    type Store = RedisStore;

    async fn store(&self) -> RedisStore {
        let store = generous::redis(self.server.url(), "cloakroom")
            .with_command_timeout(Duration::from_secs(10))
            .with_record_format(self.format);
        store.connect().await.expect("the server is running")
    }

    /// Redis has its own clock, so the test really waits.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// A wrapper of a store. If it forgot to forward an optional part, the suite of that part fails.
struct Near(RedisServer);

impl Subject for Near {
    type Store = NearCache;

    async fn store(&self) -> NearCache {
        let store = generous::redis(self.0.url(), "cloakroom")
            .with_command_timeout(Duration::from_secs(10))
            .connect();
        NearCache::new(store.await.expect("the server is running"))
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

struct RedisCluster(Cluster);

impl Subject for RedisCluster {
    type Store = RedisStore;

    async fn store(&self) -> RedisStore {
        let store = generous::connect(self.0.url(), "cloakroom").await;
        store.expect("the servers are running")
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

async fn everything(subject: &impl Subject) {
    conformance::all(subject).await;
    conformance::index::all(subject).await;
    conformance::admin::all(subject).await;
    conformance::bus::all(subject).await;
}

#[tokio::test]
async fn the_memory_store_conforms() {
    everything(&Memory::new()).await;
}

#[tokio::test]
async fn the_redis_store_conforms() {
    everything(&Redis::start(RecordFormat::V1)).await;
}

#[tokio::test]
async fn the_redis_store_conforms_with_records_of_format_2() {
    everything(&Redis::start(RecordFormat::V2)).await;
}

#[tokio::test]
async fn the_near_cache_conforms() {
    everything(&Near(RedisServer::start())).await;
}

#[tokio::test]
async fn the_redis_store_conforms_on_a_cluster() {
    everything(&RedisCluster(Cluster::start())).await;
}
