//! Measures the memory of a session in Redis: prints the table of `docs/redis.md`.
//!
//! It creates sessions of a given size, and reads by how much the used memory of the server has grown: that
//! includes the key, the TTL and both hash tables.

use cloakroom_core::{Entries, Record, Store};
use cloakroom_redis::RedisStore;
use tests::records::{MINUTE, session};
use tests::redis::RedisServer;

/// How many sessions are averaged: enough that the hash tables are at least half full.
const SESSIONS: u64 = 50_000;

#[tokio::main]
async fn main() {
    let mut table = String::from(
        "| text in the session | `MEMORY USAGE` of one key | memory in use, per session |\n|---|---|---|\n",
    );
    for bytes in [16, 100, 1_000, 4_000] {
        let server = RedisServer::start();
        let store = RedisStore::connect(server.url(), "cloakroom").await;
        let store = store.expect("the server is running");
        let before = used(&store).await;
        let mut key = String::new();
        for _ in 0..SESSIONS {
            let (id, record) = holding(bytes);
            let created = store.create(id, &record, MINUTE * 60).await;
            created.expect("the server has memory");
            key = format!("cloakroom:{id}");
        }
        let each = (used(&store).await - before) / SESSIONS;
        let one = server.command(&["MEMORY", "USAGE", &key]).number();
        table.push_str(&format!("| {bytes} bytes | {one} bytes | {each} bytes |\n"));
    }
    #[allow(clippy::print_stdout, reason = "the table is the output")]
    {
        print!("{table}");
    }
}

/// A session with one entry, a text of `bytes` bytes.
fn holding(bytes: usize) -> (cloakroom_core::SessionId, Record) {
    let (id, record) = session(0);
    let mut entries = Entries::new();
    entries
        .set("text", &"x".repeat(bytes))
        .expect("a text is JSON");
    let record = Record::new(
        record.revision(),
        record.last_seen(),
        record.limits(),
        *record.digest(),
        entries,
    );
    (id, record)
}

async fn used(store: &RedisStore) -> u64 {
    let health = store.health().await;
    health.expect("the server responds").memory_used()
}
