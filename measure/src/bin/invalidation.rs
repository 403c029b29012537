//! Measures how long a sign-out on one server takes to reach the near cache of another, with an idle and
//! with a busy Redis.
//!
//! `cargo run --release -p measure --bin invalidation` prints the table of `docs/near-cache.md`.

use std::io::{Write, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloakroom_core::Store;
use cloakroom_core::store::Loaded;
use cloakroom_redis::{NearCache, RedisStore};
use tests::records::{MINUTE, next, number, recent, session, tombstone};
use tests::redis::RedisServer;

const TIMES: usize = 2000;

#[tokio::main]
async fn main() {
    let redis = RedisServer::start();
    let here = NearCache::new(connect(&redis).await);
    let elsewhere = connect(&redis).await;
    let idle = measure(&here, &elsewhere).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write_until_stopped(
        connect(&redis).await,
        Arc::clone(&stop),
    ));
    let busy_redis = measure(&here, &elsewhere).await;
    stop.store(true, Ordering::Relaxed);
    let written = writer.await.expect("it writes");
    let table = format!(
        "| | p50 | p99 | most |\n|---|---|---|---|\n| idle | {idle} |\n\
         | while others write | {busy_redis} |\n\n\
         {TIMES} sign-outs each; {written} writes of others meanwhile\n"
    );
    let written = stdout().write_all(table.as_bytes());
    written.expect("stdout is open");
}

async fn connect(redis: &RedisServer) -> RedisStore {
    let store = RedisStore::connect(redis.url(), "cloakroom").await;
    store.expect("the server is running")
}

async fn measure(here: &NearCache, elsewhere: &RedisStore) -> String {
    while !here.stats().coherent {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut took = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let (id, record) = session(1);
        elsewhere
            .create(id, &record, MINUTE)
            .await
            .expect("it responds");
        // Twice, so that it is cached.
        for _ in 0..2 {
            recent(here, id).await.expect("it responds");
        }
        let stone = tombstone(&record);
        let ended = elsewhere.end(id, None, &stone, MINUTE).await;
        ended.expect("it responds");
        let stop = Instant::now();
        while matches!(recent(here, id).await, Ok(Loaded::Record(_))) {
            tokio::task::yield_now().await;
        }
        took.push(stop.elapsed());
    }
    took.sort();
    let [p50, p99, most] = [TIMES / 2, TIMES * 99 / 100, TIMES - 1].map(|at| took[at]);
    format!("{p50:.1?} | {p99:.1?} | {most:.1?}")
}

async fn write_until_stopped(store: RedisStore, stop: Arc<AtomicBool>) -> u64 {
    let (id, mut record) = session(0);
    store
        .create(id, &record, MINUTE)
        .await
        .expect("it responds");
    while !stop.load(Ordering::Relaxed) {
        let edited = next(&record, number(&record) + 1);
        let update = store.update(id, record.revision(), &edited, MINUTE);
        update.await.expect("it responds");
        record = edited;
    }
    number(&record)
}
