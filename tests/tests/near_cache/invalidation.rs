//! Changes on other servers invalidate cached sessions.

use std::time::Duration;

use cloakroom_core::store::{Ended, Loaded, Touched};
use cloakroom_core::{Record, SessionId, Store};
use cloakroom_redis::NearCache;
use tests::generous;
use tests::records::{MINUTE, tombstone};
use tests::redis::RedisServer;
use tests::topology::Cluster;
use tests::wait::within;
use tokio::time::sleep;

use super::{PATIENCE, SLACK, WINDOW, begin, cached, near, seen, two, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_reads_its_own_writes() {
    let redis = RedisServer::start();
    let near = near(&redis.url()).await;
    let (id, mut record) = begin(&near).await;
    assert_eq!(seen(&near, id).await, Loaded::Record(record.clone()));
    for _ in 0..500 {
        record = write(&near, id, &record).await;
        assert_eq!(seen(&near, id).await, Loaded::Record(record.clone()));
    }
    let stone = tombstone(&record);
    let ended = near.end(id, None, &stone, MINUTE).await;
    assert_eq!(ended.expect("the command succeeds"), Ended::Ended);
    assert_eq!(seen(&near, id).await, Loaded::Tombstone(stone));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_on_another_server_invalidates() {
    let redis = RedisServer::start();
    let (here, elsewhere) = two(&redis).await;
    let plain = generous::connect(redis.url(), "cloakroom")
        .await
        .expect("the server is running");
    let (id, record) = begin(&here).await;
    let sees = async |expected: Loaded| {
        within("it is invalidated", WINDOW + SLACK, async || {
            seen(&here, id).await == expected
        })
        .await;
        within("it is cached", PATIENCE, async || {
            cached(&here, id).await.as_ref() == Some(&expected)
        })
        .await;
    };
    let record = write(&elsewhere, id, &record).await;
    sees(Loaded::Record(record.clone())).await;
    let record = write(&plain, id, &record).await;
    sees(Loaded::Record(record.clone())).await;
    let later = record.last_seen().plus(Duration::from_secs(1));
    let touched = elsewhere.touch(id, record.revision(), later, MINUTE).await;
    assert_eq!(touched.expect("the command succeeds"), Touched::Touched);
    let record = record.touched(later);
    sees(Loaded::Record(record.clone())).await;
    let stone = tombstone(&record);
    let ended = elsewhere.end(id, None, &stone, MINUTE).await;
    assert_eq!(ended.expect("the command succeeds"), Ended::Ended);
    sees(Loaded::Tombstone(stone)).await;
}

/// Waits until the cache answers by itself. Otherwise an invalidation would have nothing to do.
async fn from_memory(near: &NearCache, id: SessionId, record: Record) {
    let expected = Some(Loaded::Record(record));
    let is_cached = async || cached(near, id).await == expected;
    within("the cache answers", PATIENCE, is_cached).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_made_without_cloakroom_invalidate_too() {
    let redis = RedisServer::start();
    let near = near(&redis.url()).await;
    // Sessions written by another server, since the cache trusts its own writes for a window only.
    let elsewhere = generous::connect(redis.url(), "cloakroom")
        .await
        .expect("the server is running");
    let gone = async |id| {
        let invalidated = async || seen(&near, id).await == Loaded::Nothing;
        within("it is gone", WINDOW + SLACK, invalidated).await;
    };
    for what in ["DEL", "UNLINK", "EXPIRE", "FLUSHDB", "FLUSHALL"] {
        let (id, record) = begin(&elsewhere).await;
        from_memory(&near, id, record).await;
        let key = format!("cloakroom:{id}");
        match what {
            "EXPIRE" => redis.command(&["PEXPIRE", &key, "1"]),
            "DEL" | "UNLINK" => redis.command(&[what, &key]),
            flush => redis.command(&[flush]),
        };
        gone(id).await;
    }
    let (id, record) = begin(&elsewhere).await;
    from_memory(&near, id, record).await;
    redis.command(&["SWAPDB", "0", "1"]);
    gone(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_cached_briefly_and_unknown_ids_never() {
    let redis = RedisServer::start();
    let near = near(&redis.url()).await;
    let (unknown, _) = tests::records::session(1);
    assert_eq!(seen(&near, unknown).await, Loaded::Nothing);
    assert_eq!(near.stats().sessions, 0);
    let (id, mut record) = begin(&near).await;
    let is_cached = async || cached(&near, id).await.is_some();
    let is_not_cached = async || near.peek_cached(id).is_none();
    // Its own writes are cached for one window, reads for five seconds. The message about an earlier write may come
    // late, and then the next one is not cached.
    within("a write is cached", PATIENCE, async || {
        record = write(&near, id, &record).await;
        near.peek_cached(id).is_some()
    })
    .await;
    within("it is read from Redis again", WINDOW + SLACK, is_not_cached).await;
    within("what it read outlives the window", PATIENCE, async || {
        seen(&near, id).await;
        sleep(WINDOW + SLACK).await;
        is_cached().await
    })
    .await;
    within(
        "it is read from Redis again",
        Duration::from_secs(6),
        is_not_cached,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_session_is_cached_when_it_is_first_read() {
    let redis = RedisServer::start();
    let near = near(&redis.url()).await;
    let (id, record) = begin(&near).await;
    assert_eq!((near.peek_cached(id), near.stats().sessions), (None, 0));
    // The message about its creation may come after the first read.
    within("it is cached", PATIENCE, async || {
        let found = seen(&near, id).await;
        assert_eq!(found, Loaded::Record(record.clone()));
        near.peek_cached(id) == Some(found)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_primary_of_a_cluster_sends_invalidations() {
    let cluster = Cluster::start();
    let (here, elsewhere) = (near(&cluster.url()).await, near(&cluster.url()).await);
    for _ in 0..30 {
        let (id, record) = begin(&here).await;
        assert_eq!(seen(&here, id).await, Loaded::Record(record.clone()));
        let record = write(&elsewhere, id, &record).await;
        let expected = Loaded::Record(record.clone());
        within("it is invalidated", WINDOW + SLACK, async || {
            seen(&here, id).await == expected
        })
        .await;
    }
    for primary in cluster.primaries() {
        let (id, record) = begin(&here).await;
        let held = cluster.primaries()[cluster.holder(&format!("cloakroom:{id}"))].port();
        primary.command(&["FLUSHALL"]);
        let expected = if held == primary.port() {
            Loaded::Nothing
        } else {
            Loaded::Record(record)
        };
        within("it is invalidated", WINDOW + SLACK, async || {
            seen(&here, id).await == expected
        })
        .await;
    }
}
