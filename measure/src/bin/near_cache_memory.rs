//! Measures the memory of a near cache: of an idle one, of a full one, and of a cached session.
//!
//! `cargo run --release -p measure --bin near_cache_memory` prints the table of `docs/near-cache.md`: the
//! resident memory of a process for each topology. With the argument `sessions` it prints the memory of a
//! session among a million, by the allocator and by the near cache's own count.

use std::alloc::System;
use std::env;
use std::error::Error;
use std::fs;
use std::io::{Write, stdout};
use std::process::Command;
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
use tests::topology::Cluster;
use tokio::task::JoinSet;
use tokio::time::sleep;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SESSIONS: u64 = 1_000_000;
const AT_ONCE: u64 = 64;
const TTL: Duration = Duration::from_secs(3600);

/// How many sessions fill a near cache of the default size, three times over.
const MORE_THAN_FIT: u64 = 250_000;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a near cache is idle before its memory is read: several of its heartbeats.
const IDLE: Duration = Duration::from_secs(3);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let text = match env::args().nth(1).as_deref() {
        None => table()?,
        Some("sessions") => of_a_session().await?,
        Some("one") => {
            let redis = RedisServer::start();
            row("one server", &redis.url()).await?
        }
        Some("cluster") => {
            let cluster = Cluster::start();
            row("Cluster of three", &cluster.url()).await?
        }
        Some(other) => return Err(format!("unknown argument: {other}").into()),
    };
    stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Each row comes from a process of its own.
fn table() -> Result<String> {
    let mut table = String::from(
        "| resident memory | without a near cache | an idle near cache adds | a full one adds | of these, \
         counted sessions |\n|---|---|---|---|---|\n",
    );
    for topology in ["one", "cluster"] {
        let row = Command::new(env::current_exe()?).arg(topology).output()?;
        if !row.status.success() {
            return Err(String::from_utf8_lossy(&row.stderr).into());
        }
        table.push_str(str::from_utf8(&row.stdout)?);
    }
    Ok(table)
}

async fn row(topology: &str, url: &str) -> Result<String> {
    let store = connect(url).await?;
    // What is allocated once.
    begin_many(&store, 10 * AT_ONCE).await;
    let without = resident()?;
    let near = NearCache::new(store);
    until_coherent(&near).await;
    sleep(IDLE).await;
    let idle = resident()?;
    begin_many(&near, MORE_THAN_FIT).await;
    let (full, counted) = (resident()?, near.stats().bytes);
    Ok(format!(
        "| {topology} | {} | {} | {} | {} |\n",
        megabytes(without),
        megabytes(idle.saturating_sub(without)),
        megabytes(full.saturating_sub(without)),
        megabytes(counted),
    ))
}

/// With a long timeout, so that a busy machine does not matter.
async fn connect(url: &str) -> Result<RedisStore> {
    let store = RedisStore::builder(url, "cloakroom").with_command_timeout(PATIENCE);
    Ok(store.connect().await?)
}

/// The resident memory of this process, in bytes.
fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let mut lines = status.lines();
    let resident = lines.find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|text| text.trim().strip_suffix(" kB"));
    let kilobytes: u64 = kilobytes.ok_or("no VmRSS")?.parse()?;
    Ok(kilobytes * 1024)
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

async fn until_coherent(near: &NearCache) {
    while !near.stats().coherent {
        sleep(Duration::from_millis(1)).await;
    }
}

async fn of_a_session() -> Result<String> {
    let redis = RedisServer::start();
    let store = connect(&redis.url()).await?;
    let near = NearCache::builder(store).with_max_bytes(4 << 30).build()?;
    until_coherent(&near).await;
    // What is allocated once, independent of the number of sessions.
    begin_many(&near, AT_ONCE).await;
    let (before, region) = (near.stats(), Region::new(ALLOCATOR));
    begin_many(&near, SESSIONS).await;
    let (after, change) = (near.stats(), region.change());
    let sessions = after.sessions - before.sessions;
    let taken = change.bytes_allocated - change.bytes_deallocated;
    Ok(format!(
        "{sessions} sessions of five entries are cached: {} bytes each by the allocator, {} by the cache\n",
        taken as u64 / sessions,
        (after.bytes - before.bytes) / sessions,
    ))
}

async fn begin_many(store: &(impl Store + Clone), count: u64) {
    let left = Arc::new(AtomicU64::new(count));
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (store, left) = (store.clone(), Arc::clone(&left));
        workers.spawn(async move {
            let take = |left: u64| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
            {
                let (id, record) = session();
                store.create(id, &record, TTL).await.expect("it responds");
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
