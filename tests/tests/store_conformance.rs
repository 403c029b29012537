//! Every store keeps the contract.

use std::time::Duration;

use cloakroom_core::conformance::{self, Subject};
use cloakroom_core::{ManualClock, MemoryStore};
use cloakroom_redis::RedisStore;
use tests::redis::RedisServer;

struct Memory(ManualClock);

impl Subject for Memory {
    type Store = MemoryStore;

    async fn store(&self) -> MemoryStore {
        MemoryStore::with_clock(self.0.clone())
    }

    async fn pass(&self, time: Duration) {
        self.0.advance(time);
    }
}

struct Redis(RedisServer);

impl Subject for Redis {
    type Store = RedisStore;

    async fn store(&self) -> RedisStore {
        let store = RedisStore::connect(self.0.url()).await;
        store.expect("the server is there")
    }

    /// Redis has a clock of its own, so this time really passes.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[tokio::test]
async fn the_store_in_memory() {
    conformance::all(&Memory(ManualClock::default())).await;
}

#[tokio::test]
async fn the_store_on_redis() {
    conformance::all(&Redis(RedisServer::start())).await;
}
