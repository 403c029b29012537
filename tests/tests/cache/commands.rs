//! What is stored, and which commands that costs.

use std::time::Duration;

use cloakroom_cache::CacheBackend;
use cloakroom_redis::RedisStore;
use tests::redis::RedisServer;

use crate::setup::{Database, PATIENCE, Setup, lasting, read, store, until_messages_arrive};

#[tokio::test(flavor = "multi_thread")]
async fn every_key_has_a_ttl_and_no_key_and_no_message_contains_the_key_of_a_record() {
    let server = RedisServer::start();
    let database = Database::with([(7_654_321, 10)]);
    let store = store(&server.url(), PATIENCE).await;
    let secret = "a secret that all servers of the app share";
    let backend = CacheBackend::new(&store).with_hash_key(secret);
    let backend = backend.expect("it is long enough");
    let fresh = Duration::from_secs(1000);
    let builder = lasting(&backend)
        .with_fresh_for(fresh)
        .with_stale_for(fresh);
    let records = database.cached(builder.with_jitter(0.2));
    let monitor = server.monitor();
    read(&records, 7_654_321).await;
    records.get(&1_234_567).await.expect("it can be read");
    records
        .put(&1_234_567, &9_999_999)
        .await
        .expect("it is stored");
    records.forget(&7_654_321).await.expect("it is stored");
    records.forget_all().await.expect("it is stored");
    read(&records, 7_654_321).await;

    let keys = server.keys_with_ttl();
    assert_eq!(keys.len(), 3, "{keys:?}");
    for (key, ttl) in keys {
        assert!(key.starts_with("shop:cache:record:"), "{key}");
        let ttl = ttl.expect("it has a TTL");
        if key == "shop:cache:record:generation" {
            assert!(ttl > Duration::from_secs(29 * 24 * 60 * 60));
        } else {
            assert!(
                ttl > fresh.mul_f64(1.75) && ttl <= fresh.mul_f64(2.2),
                "{ttl:?}"
            );
        }
    }
    for command in monitor.recorded() {
        let text = command.words.join(" ");
        assert!(
            !text.contains("7654321") && !text.contains("1234567"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_costs_no_command_and_any_other_read_one_and_a_rare_second() {
    let server = RedisServer::start();
    let database = Database::with((0..50).map(|key| (key, key)));
    let backend = CacheBackend::new(&store(&server.url(), PATIENCE).await);
    let bound = Duration::from_secs(60);
    let builder = || lasting(&backend).with_max_staleness(bound);
    let (first, second) = (database.cached(builder()), database.cached(builder()));
    let cost = async |records| {
        let monitor = server.monitor();
        for key in 0..50 {
            read(records, key).await;
        }
        let commands = monitor.recorded().into_iter();
        let sent = commands.filter(|command| {
            let name = command.words[0].to_uppercase();
            !command.by_script && ["GET", "MGET", "EVAL", "EVALSHA"].contains(&name.as_str())
        });
        sent.count()
    };
    // Afterwards nothing but changes makes the copies of the first server invalid.
    until_messages_arrive(&second, &first, &database).await;
    // And the generation, or a script by its text.
    assert!((100..=103).contains(&cost(&first).await));
    assert!((50..=53).contains(&cost(&second).await));
    let loads = database.queries();
    assert_eq!(cost(&first).await, 0);
    assert_eq!(database.queries(), loads);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_of_the_stores_user_suffice() {
    let server = RedisServer::start();
    server.add_user(&[]);
    let url = format!("redis://shop:password@127.0.0.1:{}", server.port());
    let database = Database::with([(1, 10)]);
    let builder = RedisStore::builder(&url, "cloakroom").with_command_timeout(PATIENCE);
    let backend = CacheBackend::new(&builder.connect().await.expect("the server is running"));
    let records = database.cached(lasting(&backend));
    assert_eq!(read(&records, 1).await, 10);
    records.put(&1, &11).await.expect("it is stored");
    assert_eq!(read(&records, 1).await, 11);
    records.forget(&1).await.expect("it is stored");
    records.forget_all().await.expect("it is stored");
    assert_eq!(read(&records, 1).await, 10);
    assert_eq!(records.stats().loads, 2);
}

/// A flushed database loses leases as well: what is being loaded is not stored, but loaded again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_stored_without_its_lease() {
    let setup = Setup::redis();
    let Setup::Redis(server) = &setup else {
        unreachable!("it is Redis");
    };
    let database = Database::with([(1, 10)]);
    let records = setup.server(&database).await;
    database.close();
    let slow = tokio::spawn({
        let records = records.clone();
        async move { read(&records, 1).await }
    });
    tests::wait::within("it is loaded", PATIENCE, async || database.queries() == 1).await;
    server.command(&["FLUSHALL"]);
    database.set(1, 11);
    database.open();
    assert_eq!(slow.await.expect("no panic"), 11);
    assert_eq!(database.queries(), 2);
}
