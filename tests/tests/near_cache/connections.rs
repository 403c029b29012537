//! The connections of a near cache, and what it passes on to the store behind it.

use std::time::Duration;

use cloakroom_core::Store;
use cloakroom_core::store::Loaded;
use cloakroom_redis::{NearCache, RedisStore};
use tests::generous;
use tests::proxy::Proxy;
use tests::records::session;
use tests::redis::RedisServer;
use tests::wait::within;

use super::{PATIENCE, begin, coherent, near, seen};

/// Nothing arrives on it, so no message and no reply would ever say that it does not work any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_replaced() {
    let redis = RedisServer::start();
    let proxy = Proxy::start(redis.port()).await;
    let store = RedisStore::builder(proxy.url(), "cloakroom")
        .with_command_timeout(Duration::from_secs(1))
        .with_connect_timeout(PATIENCE);
    let store = store.connect().await.expect("the server is running");
    let here = NearCache::new(store);
    coherent(&here).await;
    let opened = proxy.accepted();
    // That of the near cache, which was opened last.
    proxy.silence_newest();
    let is_noticed = async || !here.stats().coherent;
    within("it is noticed", PATIENCE, is_noticed).await;
    coherent(&here).await;
    assert!(proxy.accepted() > opened);
}

/// The lines of a report of the server.
fn lines(redis: &RedisServer, command: &[&str], start: &str) -> Vec<String> {
    let text = redis.command(command).text();
    let lines = text.lines().filter(|line| line.starts_with(start));
    lines.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_cleared_while_nothing_is_flushed() {
    let redis = RedisServer::start();
    let here = near(&redis.url()).await;
    let cleared = here.stats().cleared;
    let checks = || lines(&redis, &["INFO", "commandstats"], "cmdstat_client");
    for _ in 0..4 {
        let before = checks();
        within("a check", PATIENCE, async || checks() != before).await;
    }
    assert_eq!(here.stats().cleared, cleared);
    redis.command(&["FLUSHALL"]);
    let is_cleared = async || here.stats().cleared == cleared + 1;
    within("it is cleared", PATIENCE, is_cleared).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_last_clone_closes_the_connections() {
    let redis = RedisServer::start();
    let store = generous::connect(redis.url(), "cloakroom").await;
    let store = store.expect("the server is running");
    let near = NearCache::new(store.clone());
    let clone = near.clone();
    coherent(&near).await;
    let tracked = || {
        let clients = lines(&redis, &["CLIENT", "LIST"], "id=");
        let is_tracked = |line: &&String| line.contains(" flags=t");
        clients.iter().filter(is_tracked).count()
    };
    assert_eq!(tracked(), 1);
    drop(near);
    assert!(clone.stats().coherent);
    assert_eq!(tracked(), 1);
    drop(clone);
    within("it is closed", PATIENCE, async || tracked() == 0).await;
    store.ping().await.expect("the store has its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_cached_reaches_the_store() {
    let redis = RedisServer::start();
    let here = near(&redis.url()).await;
    let (id, record) = begin(&here).await;
    let (unknown, _) = session(1);
    let sessions = here.stats().sessions;
    let found = here.load_many(&[id, unknown]).await;
    let found: Vec<_> = found
        .into_iter()
        .map(|found| found.expect("the command succeeds"))
        .collect();
    assert_eq!(found, [Loaded::Record(record.clone()), Loaded::Nothing]);
    assert_eq!(here.stats().sessions, sessions, "lists fill no cache");
    assert!(here.index().is_some() && here.admin().is_some() && here.bus().is_some());
    assert_eq!(seen(&here, id).await, Loaded::Record(record));
}
