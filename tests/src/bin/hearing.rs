//! How long it takes until a log-out on one server has its effect on another with a near cache.
//!
//! `cargo run --release -p tests --bin hearing` prints it, for a server at rest and for one that is busy.

use std::io::{Write, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloakroom_core::Store;
use cloakroom_core::store::Loaded;
use cloakroom_redis::{NearCache, RedisStore};
use tests::redis::RedisServer;
use tests::samples::{MINUTE, next, number, recent, session, tombstone};

const TIMES: usize = 2000;

#[tokio::main]
async fn main() {
    let redis = RedisServer::start();
    let here = NearCache::new(connect(&redis).await);
    let elsewhere = connect(&redis).await;
    let at_rest = measure(&here, &elsewhere).await;
    let over = Arc::new(AtomicBool::new(false));
    let busy = tokio::spawn(write_without_end(connect(&redis).await, Arc::clone(&over)));
    let beside_writes = measure(&here, &elsewhere).await;
    over.store(true, Ordering::Relaxed);
    let written = busy.await.expect("it writes");
    let table = format!(
        "| | p50 | p99 | most |\n|---|---|---|---|\n| at rest | {at_rest} |\n\
         | while others write | {beside_writes} |\n\n\
         {TIMES} log-outs each; {written} writes of others meanwhile\n"
    );
    let written = stdout().write_all(table.as_bytes());
    written.expect("somebody reads it");
}

async fn connect(redis: &RedisServer) -> RedisStore {
    let store = RedisStore::connect(redis.url()).await;
    store.expect("the server is there")
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
            .expect("it answers");
        // Twice, so that it is remembered.
        for _ in 0..2 {
            recent(here, id).await.expect("it answers");
        }
        let stone = tombstone(&record);
        let ended = elsewhere.end(id, None, &stone, MINUTE).await;
        ended.expect("it answers");
        let over = Instant::now();
        while matches!(recent(here, id).await, Ok(Loaded::Record(_))) {
            tokio::task::yield_now().await;
        }
        took.push(over.elapsed());
    }
    took.sort();
    let [p50, p99, most] = [TIMES / 2, TIMES * 99 / 100, TIMES - 1].map(|at| took[at]);
    format!("{p50:.1?} | {p99:.1?} | {most:.1?}")
}

async fn write_without_end(store: RedisStore, over: Arc<AtomicBool>) -> u64 {
    let (id, mut record) = session(0);
    store.create(id, &record, MINUTE).await.expect("it answers");
    while !over.load(Ordering::Relaxed) {
        let edited = next(&record, number(&record) + 1);
        let update = store.update(id, record.revision(), &edited, MINUTE);
        update.await.expect("it answers");
        record = edited;
    }
    number(&record)
}
