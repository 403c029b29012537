//! The faults of simple caches, each next to what this crate does.

use std::time::{Duration, Instant};

use tests::redis::RedisServer;
use tests::resp::Reply;
use tests::wait::within;

use crate::setup::{Database, LONG, PATIENCE, Setup, lasting, read, until_messages_arrive};

fn get(server: &RedisServer, key: &str) -> Option<String> {
    match server.command(&["GET", key]) {
        Reply::Nil => None,
        reply => Some(reply.text()),
    }
}

/// `GET`, on a miss a query and `SET key value EX ttl`; and `DEL` after a change.
#[tokio::test(flavor = "multi_thread")]
async fn a_miss_that_is_stored_after_a_delete_stays_stale_and_ours_is_not_stored() {
    let setup = Setup::redis();
    let Setup::Redis(server) = &setup else {
        unreachable!("it is Redis");
    };
    let database = Database::with([(1, 10)]);
    let loaded = database
        .query(1)
        .await
        .expect("it can be read")
        .expect("it is there");
    database.set(1, 11);
    server.command(&["DEL", "naive:1"]);
    server.command(&["SET", "naive:1", &loaded.to_string(), "EX", "300"]);
    assert_eq!(
        get(server, "naive:1").as_deref(),
        Some("10"),
        "stale for five minutes"
    );

    database.set(1, 10);
    let records = setup.server(&database).await;
    database.close();
    let before = database.queries();
    let slow = tokio::spawn({
        let records = records.clone();
        async move { read(&records, 1).await }
    });
    within("it is loaded", PATIENCE, async || {
        database.queries() > before
    })
    .await;
    database.set(1, 11);
    records.forget(&1).await.expect("it is stored");
    database.open();
    slow.await.expect("no panic");
    assert_eq!(read(&records, 1).await, 11);
    assert_eq!(read(&setup.server(&database).await, 1).await, 11);
}

/// A value that is written through, while a miss is loaded.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_through_is_overwritten_by_a_slow_miss_and_ours_is_not() {
    let setup = Setup::redis();
    let Setup::Redis(server) = &setup else {
        unreachable!("it is Redis");
    };
    server.command(&["SET", "naive:1", "11", "EX", "300"]);
    server.command(&["SET", "naive:1", "10", "EX", "300"]);
    assert_eq!(get(server, "naive:1").as_deref(), Some("10"));

    let database = Database::with([(1, 10)]);
    let records = setup.server(&database).await;
    database.close();
    let slow = tokio::spawn({
        let records = records.clone();
        async move { read(&records, 1).await }
    });
    within("it is loaded", PATIENCE, async || database.queries() == 1).await;
    database.set(1, 11);
    records.put(&1, &11).await.expect("it is stored");
    database.open();
    assert_eq!(slow.await.expect("no panic"), 11);
    assert_eq!(read(&setup.server(&database).await, 1).await, 11);
    assert_eq!(database.queries(), 1);
}

/// Two servers with a cache in memory and messages: one that is lost leaves a copy for as long as it lives.
#[tokio::test(flavor = "multi_thread")]
async fn without_messages_a_copy_lives_for_ever_and_ours_no_longer_than_the_bound() {
    let setup = Setup::redis();
    let Setup::Redis(server) = &setup else {
        unreachable!("it is Redis");
    };
    // Nobody receives it, and Redis keeps nothing.
    let received = server.command(&["PUBLISH", "naive:changes", "1"]);
    assert_eq!(received, Reply::Number(0));

    // This server may not publish.
    server.command(&[
        "ACL",
        "SETUSER",
        "mute",
        "on",
        ">password",
        "~*",
        "resetchannels",
        "+@all",
    ]);
    let url = format!("redis://mute:password@127.0.0.1:{}", server.port());
    let mute = crate::setup::store(&url, PATIENCE).await;
    let database = Database::with([(1, 10)]);
    let here = database.cached(lasting(&cloakroom_cache::CacheBackend::new(&mute)));
    let bound = Duration::from_secs(4);
    let there = database.cached(lasting(&setup.backend().await).with_max_staleness(bound));
    let audible = setup.server(&database).await;
    until_messages_arrive(&audible, &there, &database).await;
    assert_eq!((read(&here, 1).await, read(&there, 1).await), (10, 10));
    let read_at = Instant::now();
    database.set(1, 11);
    let forgotten = here.forget(&1).await;
    forgotten.expect("it is stored, although nothing is published");
    let value = read(&there, 1).await;
    assert!(
        value == 10 || read_at.elapsed() >= bound,
        "no message arrives"
    );
    tokio::time::sleep(bound).await;
    assert_eq!(read(&there, 1).await, 11);
}

/// A counter of a window per user is `cloakroom-limit`; keys that expire together are this crate's jitter.
#[tokio::test(flavor = "multi_thread")]
async fn values_that_were_loaded_together_do_not_expire_together() {
    let setup = Setup::redis();
    let Setup::Redis(server) = &setup else {
        unreachable!("it is Redis");
    };
    let database = Database::with((0..50).map(|key| (key, key)));
    let records = setup.server(&database).await;
    for key in 0..50 {
        read(&records, key).await;
    }
    let keys = server.keys_with_ttl();
    let mut ttls: Vec<_> = keys.into_iter().filter_map(|(_, ttl)| ttl).collect();
    ttls.sort();
    assert_eq!(ttls.len(), 50);
    assert!(
        ttls[49] - ttls[0] > LONG.mul_f64(0.1),
        "they are 0.9 to 1.1 of {LONG:?}"
    );
    assert!(ttls[0] >= LONG.mul_f64(0.9) - Duration::from_secs(60));
    assert!(ttls[49] <= LONG.mul_f64(1.1));
}
