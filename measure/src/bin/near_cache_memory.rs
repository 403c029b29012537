//! Measures the memory of a cached session, by the allocator and by the near cache's own count.
//!
//! `cargo run --release -p measure --bin near_cache_memory` prints both, for a million sessions.

use std::alloc::System;
use std::error::Error;
use std::io::{Write, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloakroom_core::{
    Clock, Entries, Expiry, Limits, Realm, Record, SessionId, Store, SystemClock, SystemRng, Token,
};
use cloakroom_redis::{NearCache, RedisStore};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tests::records::revision;
use tests::redis::RedisServer;
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SESSIONS: u64 = 1_000_000;
const AT_ONCE: u64 = 64;
const TTL: Duration = Duration::from_secs(3600);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let redis = RedisServer::start();
    let store = RedisStore::connect(redis.url(), "cloakroom").await?;
    let near = NearCache::builder(store).with_max_bytes(4 << 30).build()?;
    while !near.stats().coherent {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // What is allocated once, independent of the number of sessions.
    begin_many(&near, AT_ONCE).await;
    let (before, region) = (near.stats(), Region::new(ALLOCATOR));
    begin_many(&near, SESSIONS).await;
    let (after, change) = (near.stats(), region.change());
    let sessions = after.sessions - before.sessions;
    let taken = change.bytes_allocated - change.bytes_deallocated;
    let text = format!(
        "{sessions} sessions of five entries are cached: {} bytes each by the allocator, {} by the cache\n",
        taken as u64 / sessions,
        (after.bytes - before.bytes) / sessions,
    );
    stdout().write_all(text.as_bytes())?;
    Ok(())
}

async fn begin_many(near: &NearCache, count: u64) {
    let left = Arc::new(AtomicU64::new(count));
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (near, left) = (near.clone(), Arc::clone(&left));
        workers.spawn(async move {
            let take = |left: u64| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
            {
                let (id, record) = session();
                near.create(id, &record, TTL).await.expect("it responds");
            }
        });
    }
    workers.join_all().await;
}

/// With five entries: a number, two texts, a list and a counter.
fn session() -> (SessionId, Record) {
    let now = SystemClock.now();
    let token = Token::issue(now, &SystemRng).expect("the system has randomness");
    let mut entries = Entries::new();
    for (key, value) in [
        ("user_id", "123456"),
        ("name", "\"Ada Lovelace\""),
        ("csrf", "\"Zm9vYmFyYmF6cXV4Zm9vYmFy\""),
        ("roles", "[\"member\",\"editor\"]"),
        ("hits", "1"),
    ] {
        let value: serde_json::Value = serde_json::from_str(value).expect("it is JSON");
        entries.set(key, &value).expect("it is JSON");
    }
    let limits = Limits::begin(Expiry::default(), now);
    let digest = Realm::new("tests").digest(&token);
    let record = Record::new(revision(), now, limits, digest, entries);
    (token.id(), record)
}
