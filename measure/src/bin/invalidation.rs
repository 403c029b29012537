//! Measures how long a sign-out on one server takes to reach the near cache of another, with an idle and
//! with a busy Redis; and what the messages about changes cost.
//!
//! `cargo run --release -p measure --bin invalidation` prints the tables of `docs/near-cache.md`.

use std::env;
use std::fs;
use std::io::{Write, stdout};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloakroom_core::Store;
use cloakroom_core::store::Loaded;
use cloakroom_redis::{NearCache, RedisStore};
use tests::records::{MINUTE, next, number, recent, session, tombstone};
use tests::redis::RedisServer;
use tokio::task::JoinSet;

const TIMES: usize = 2000;

/// How long a command may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many messages are averaged, and of how many writers of other servers.
const MESSAGES: u64 = 100_000;
const WRITERS: [u64; 2] = [1, 64];

/// The unit of CPU times in `/proc`, as Linux has it on all usual machines.
const TICK: Duration = Duration::from_millis(10);

#[tokio::main]
async fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [url, writers] = &*args {
        return write_messages(url, writers.parse().expect("a number")).await;
    }
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
    let table = table + &cost_of_messages(&redis, &here).await;
    let written = stdout().write_all(table.as_bytes());
    written.expect("stdout is open");
}

/// The CPU time of this process for each changed session, while another process writes sessions that are not
/// cached here.
async fn cost_of_messages(redis: &RedisServer, here: &NearCache) -> String {
    let mut table = String::from(
        "\n| writers at once | changes per second | CPU time per change |\n|---|---|---|\n",
    );
    for writers in WRITERS {
        let (before, cpu, began) = (here.stats().changes, cpu_time(), Instant::now());
        let mut process = Command::new(env::current_exe().expect("it is known"));
        process.arg(redis.url()).arg(writers.to_string());
        let ended = tokio::task::spawn_blocking(move || process.status()).await;
        let status = ended.expect("it does not panic").expect("it starts");
        assert!(status.success(), "the writers fail");
        let took = began.elapsed();
        let changes = here.stats().changes - before;
        table.push_str(&format!(
            "| {writers} | {:.0} | {:.1?} |\n",
            changes as f64 / took.as_secs_f64(),
            (cpu_time() - cpu).div_f64(changes as f64),
        ));
    }
    table
}

/// In a process of its own: another server, whose CPU time does not count.
async fn write_messages(url: &str, writers: u64) {
    let store = RedisStore::builder(url, "cloakroom").with_command_timeout(PATIENCE);
    let store = store.connect().await.expect("the server is running");
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..MESSAGES / writers {
                let (id, record) = session(0);
                let created = store.create(id, &record, MINUTE).await;
                created.expect("it responds");
            }
        });
    }
    tasks.join_all().await;
}

/// The CPU time of this process, of all its threads.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    let times = fields.split_whitespace().skip(11).take(2);
    TICK * times
        .map(|time| time.parse::<u32>().expect("a number"))
        .sum::<u32>()
}

async fn connect(redis: &RedisServer) -> RedisStore {
    let store = RedisStore::builder(redis.url(), "cloakroom").with_command_timeout(PATIENCE);
    store.connect().await.expect("the server is running")
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
