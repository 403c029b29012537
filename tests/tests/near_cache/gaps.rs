//! While it receives no invalidations, it serves nothing from the cache.

use std::pin::pin;
use std::time::Duration;

use cloakroom_core::Store;
use cloakroom_core::store::{Loaded, Touched};
use cloakroom_redis::NearCache;
use futures_util::poll;
use tests::generous;
use tests::log::Log;
use tests::proxy::{Network, Proxy};
use tests::records::{MINUTE, recent};
use tests::redis::RedisServer;
use tests::wait::within;

use super::{PATIENCE, SLACK, WINDOW, begin, cached, coherent, near, seen, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_detected_within_the_window() {
    let redis = RedisServer::start();
    let proxy = Proxy::start(redis.port()).await;
    let here = near(&proxy.url()).await;
    let elsewhere = generous::connect(redis.url(), "cloakroom")
        .await
        .expect("the server is running");
    let (id, record) = begin(&here).await;
    within("it is cached", PATIENCE, async || {
        cached(&here, id).await.is_some()
    })
    .await;
    proxy.set(Network::Blackholed);
    let record = write(&elsewhere, id, &record).await;
    within(
        "it stops serving from the cache",
        WINDOW + SLACK,
        async || !here.stats().coherent,
    )
    .await;
    assert!(recent(&here, id).await.is_err(), "Redis cannot be asked");
    proxy.set(Network::Normal);
    proxy.disconnect();
    coherent(&here).await;
    within("it is back", PATIENCE, async || {
        recent(&here, id).await.is_ok()
    })
    .await;
    assert_eq!(seen(&here, id).await, Loaded::Record(record));
}

/// Keys that one command changes: Redis sends one message for them.
const KEYS_AT_ONCE: usize = 500;

/// The runtime has one thread, which the test keeps: neither fred's task nor the listener is polled.
#[tokio::test]
async fn a_burst_of_changes_is_not_missed_by_a_listener_that_is_not_polled() {
    let redis = RedisServer::start();
    let here = near(&redis.url()).await;
    let elsewhere = generous::connect(redis.url(), "cloakroom")
        .await
        .expect("the server is running");
    let (id, record) = begin(&elsewhere).await;
    let expected = Some(Loaded::Record(record));
    within("it is cached", PATIENCE, async || {
        cached(&here, id).await == expected
    })
    .await;
    tokio::time::pause();
    redis.command(&["DEL", &format!("cloakroom:{id}")]);
    let script = "for number = ARGV[1], ARGV[1] + ARGV[2] - 1 do
        redis.call('SET', 'cloakroom:0191e0c4-8f2a-7c3e-9b1d-' .. string.format('%012x', number), '', 'PX', 60000)
    end";
    let at_once = KEYS_AT_ONCE.to_string();
    for first in (0..200_000).step_by(KEYS_AT_ONCE) {
        redis.command(&["EVAL", script, "0", &first.to_string(), &at_once]);
    }
    // Polled once, it moves the clock, and no other task has run yet.
    let mut advance = pin!(tokio::time::advance(WINDOW));
    assert!(poll!(&mut advance).is_pending());
    assert_eq!(here.peek_cached(id), None, "nothing is trusted any longer");
    tokio::time::resume();
    advance.await;
    coherent(&here).await;
    assert_eq!(seen(&here, id).await, Loaded::Nothing);
    assert_eq!(cached(&here, id).await, None);
}

/// The message about the newer record is lost, and the connection still trusted, so that the cache has an older one.
#[tokio::test(flavor = "multi_thread")]
async fn a_stale_record_is_not_cached_again_by_a_touch() {
    let redis = RedisServer::start();
    let proxy = Proxy::start(redis.port()).await;
    let [store, elsewhere] = [proxy.url(), redis.url()].map(|url| async move {
        let store = generous::connect(url, "cloakroom").await;
        store.expect("the server is running")
    });
    let (store, elsewhere) = tokio::join!(store, elsewhere);
    let here = NearCache::builder(store)
        .with_max_staleness(Duration::from_secs(5))
        .build()
        .expect("it is valid");
    coherent(&here).await;
    let (id, old) = begin(&elsewhere).await;
    let expected = Some(Loaded::Record(old.clone()));
    within("it is cached", PATIENCE, async || {
        cached(&here, id).await == expected
    })
    .await;
    // The connection of the near cache, which was opened last.
    proxy.silence_newest();
    let new = write(&elsewhere, id, &old).await;
    assert_eq!(here.peek_cached(id), expected, "it is behind");
    let at = new.last_seen().plus(Duration::from_secs(1));
    let touched = here.touch(id, new.revision(), at, MINUTE).await;
    assert_eq!(touched.expect("the command succeeds"), Touched::Touched);
    assert_ne!(here.peek_cached(id), Some(Loaded::Record(old.touched(at))));
    assert_eq!(seen(&here, id).await, Loaded::Record(new.touched(at)));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_during_a_disconnect_are_not_missed() {
    let redis = RedisServer::start();
    let proxy = Proxy::start(redis.port()).await;
    let here = near(&proxy.url()).await;
    let elsewhere = generous::connect(redis.url(), "cloakroom")
        .await
        .expect("the server is running");
    let (id, mut record) = begin(&here).await;
    for _ in 0..10 {
        coherent(&here).await;
        within("it is cached", PATIENCE, async || {
            matches!(recent(&here, id).await, Ok(Loaded::Record(_)))
        })
        .await;
        let cleared = here.stats().cleared;
        proxy.disconnect();
        record = write(&elsewhere, id, &record).await;
        let expected = Loaded::Record(record.clone());
        within("it is seen", WINDOW + SLACK, async || {
            recent(&here, id).await.is_ok_and(|seen| seen == expected)
        })
        .await;
        within("it starts over", PATIENCE, async || {
            here.stats().cleared > cleared
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalidations_resume_after_a_restart() {
    let mut redis = RedisServer::start();
    let here = near(&redis.url()).await;
    let (id, _) = begin(&here).await;
    redis.kill();
    within(
        "it stops serving from the cache",
        WINDOW + SLACK,
        async || !here.stats().coherent,
    )
    .await;
    redis.restart();
    coherent(&here).await;
    within("it is gone", PATIENCE, async || {
        recent(&here, id)
            .await
            .is_ok_and(|seen| seen == Loaded::Nothing)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demoted_primary_is_not_trusted() {
    let (redis, other) = (RedisServer::start(), RedisServer::start());
    let here = near(&redis.url()).await;
    redis.command(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    within(
        "it stops serving from the cache",
        WINDOW + SLACK,
        async || !here.stats().coherent,
    )
    .await;
    redis.command(&["REPLICAOF", "NO", "ONE"]);
    coherent(&here).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_track_keys_every_read_goes_to_redis() {
    let redis = RedisServer::start();
    redis.add_user(&["+client|trackinginfo"]);
    let store = generous::redis(redis.url(), "cloakroom")
        .with_username("shop")
        .with_password("password");
    let near = NearCache::new(store.connect().await.expect("it may"));
    let (id, record) = begin(&near).await;
    for _ in 0..20 {
        assert_eq!(cached(&near, id).await, None);
        assert_eq!(seen(&near, id).await, Loaded::Record(record.clone()));
    }
    assert!(!near.stats().coherent);
    redis.add_user(&["+client|tracking"]);
    coherent(&near).await;
    assert_eq!(seen(&near, id).await, Loaded::Record(record));
}

/// The log names the command, once.
async fn a_missing_right_is_logged_once(missing: &str) {
    let redis = RedisServer::start();
    redis.add_user(&["+client|tracking", "+client|trackinginfo", missing]);
    let log = Log::capture();
    let store = generous::redis(redis.url(), "cloakroom")
        .with_username("shop")
        .with_password("password");
    let near = NearCache::new(store.connect().await.expect("it may"));
    let failed = "the server does not report changes";
    let rejected = || redis.command(&["INFO", "errorstats"]).text();
    within("it is logged", PATIENCE, async || log.count(failed) > 0).await;
    // The outcome of the first of these is known when the second one is sent.
    for _ in 0..2 {
        let before = rejected();
        within("the next attempt", PATIENCE, async || rejected() != before).await;
    }
    assert_eq!(log.count(failed), 1, "{}", log.text());
    let name = missing.replace('-', "'");
    assert!(log.text().contains(&name), "{}", log.text());
    redis.command(&["ACL", "SETUSER", "shop", &missing.replace('-', "+")]);
    coherent(&near).await;
    assert_eq!(log.count("invalidation connection established"), 1);
}

#[tokio::test]
async fn a_missing_right_to_track_keys_is_logged_once() {
    a_missing_right_is_logged_once("-client|tracking").await;
}

#[tokio::test]
async fn a_missing_right_to_ask_for_the_tracking_is_logged_once() {
    a_missing_right_is_logged_once("-client|trackinginfo").await;
}

#[tokio::test]
async fn a_missing_right_to_ask_for_the_role_is_logged_once() {
    a_missing_right_is_logged_once("-info").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_options_are_rejected() {
    let redis = RedisServer::start();
    let store = generous::connect(redis.url(), "cloakroom")
        .await
        .expect("the server is running");
    let builder = || NearCache::builder(store.clone());
    for builder in [
        builder().with_max_staleness(Duration::from_millis(99)),
        builder().with_max_staleness(Duration::from_secs(6)),
        builder().with_max_bytes(0),
    ] {
        assert!(builder.build().is_err());
    }
    let quick = builder()
        .with_max_staleness(Duration::from_millis(100))
        .build();
    let quick = quick.expect("it may be as short");
    coherent(&quick).await;
    let (id, record) = begin(&quick).await;
    let elsewhere = quick.store();
    let record = write(elsewhere, id, &record).await;
    let expected = Loaded::Record(record);
    within("it is invalidated", SLACK, async || {
        seen(&quick, id).await == expected
    })
    .await;
}
