//! The near cache: saved commands, invalidation, and staleness.

mod coherence;
mod commands;
mod connections;
mod failover;
mod gaps;
mod invalidation;
mod own_writes;

use std::time::Duration;

use cloakroom_core::store::{Created, Loaded, Updated};
use cloakroom_core::{Record, SessionId, Store};
use cloakroom_redis::NearCache;
use tests::generous;
use tests::records::{MINUTE, next, number, recent, session};
use tests::redis::RedisServer;
use tests::wait::within;

/// The default window of a near cache.
const WINDOW: Duration = Duration::from_secs(1);

/// How much later than its window a near cache may be on a busy machine.
const SLACK: Duration = Duration::from_millis(500);

/// How long anything without a window may take. Generous, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A near cache in front of the server at `url`, once it is coherent.
async fn near(url: &str) -> NearCache {
    let store = generous::connect(url, "cloakroom")
        .await
        .expect("the server is running");
    let near = NearCache::new(store);
    coherent(&near).await;
    near
}

async fn coherent(near: &NearCache) {
    within("it is coherent", PATIENCE, async || near.stats().coherent).await;
}

/// Creates a session on this server.
async fn begin(near: &impl Store) -> (SessionId, Record) {
    let (id, record) = session(1);
    let created = near.create(id, &record, MINUTE).await;
    assert_eq!(created.expect("the command succeeds"), Created::Created);
    (id, record)
}

/// Writes the session's next number.
async fn write(store: &impl Store, id: SessionId, record: &Record) -> Record {
    let next = next(record, number(record) + 1);
    let updated = store.update(id, record.revision(), &next, MINUTE).await;
    assert_eq!(updated.expect("the command succeeds"), Updated::Updated);
    next
}

/// What a request would read.
async fn seen(near: &NearCache, id: SessionId) -> Loaded {
    recent(near, id).await.expect("the command succeeds")
}

/// What it would read without a command; `None` if it would need one.
async fn cached(near: &NearCache, id: SessionId) -> Option<Loaded> {
    let hits = near.stats().hits;
    let found = seen(near, id).await;
    (near.stats().hits > hits).then_some(found)
}

/// Two servers of one app.
async fn two(redis: &RedisServer) -> (NearCache, NearCache) {
    (near(&redis.url()).await, near(&redis.url()).await)
}
