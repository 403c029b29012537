//! Redis outages: every command fails in time with the right kind of error, and the store recovers.

use std::future::Future;
use std::time::{Duration, Instant};

use cloakroom_core::store::{Created, Ended, Loaded, Touched};
use cloakroom_core::{Record, Store, StoreError, StoreErrorKind};
use cloakroom_redis::RedisStore;
use tests::log::Log;
use tests::records::{MINUTE, next, revision, session, tombstone};
use tests::redis::RedisServer;

/// The timeout of a command, of the wait for a connection after it, and of a second attempt of a read, with
/// slack for a busy machine.
const BOUND: Duration = Duration::from_millis(3 * 250 + 1000);

/// Awaits a result, which must come in time.
async fn in_time<T>(result: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let result = result.await;
    assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
    result
}

/// Checks that every verb fails in time, with the right kind of error.
async fn all_verbs_fail_in_time(store: &RedisStore) {
    let (id, record) = session(1);
    let (stone, seen) = (tombstone(&record), record.last_seen());
    for error in [
        in_time(store.load(id)).await.err(),
        in_time(store.ping()).await.err(),
    ] {
        assert_eq!(kind(error), StoreErrorKind::Unavailable);
    }
    for error in [
        in_time(store.create(id, &record, MINUTE)).await.err(),
        in_time(store.update(id, revision(), &record, MINUTE))
            .await
            .err(),
        in_time(store.touch(id, revision(), seen, MINUTE))
            .await
            .err(),
        in_time(store.end(id, None, &stone, MINUTE)).await.err(),
    ] {
        let kinds = [StoreErrorKind::Unavailable, StoreErrorKind::OutcomeUnknown];
        assert!(kinds.contains(&kind(error)));
    }
}

fn kind(error: Option<StoreError>) -> StoreErrorKind {
    error.expect("the command fails").kind()
}

/// Waits until the store works, while every command completes in time. Returns how long it took.
async fn recovers(store: &RedisStore) -> Duration {
    let began = Instant::now();
    while in_time(store.ping()).await.is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it does not recover"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

#[tokio::test]
async fn with_a_killed_server_commands_fail_in_time_and_the_store_recovers() {
    let mut server = RedisServer::start();
    let store = RedisStore::connect(server.url(), "cloakroom")
        .await
        .unwrap();
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    for round in 0..2 {
        server.kill();
        for _ in 0..3 {
            all_verbs_fail_in_time(&store).await;
        }
        server.restart();
        let took = recovers(&store).await;
        println!("round {round}: back after {took:?}");
        assert_eq!(store.load(id).await.unwrap(), Loaded::Nothing);
        assert_eq!(
            store.create(id, &record, MINUTE).await.unwrap(),
            Created::Created
        );
    }
    server.restart_with_data();
    recovers(&store).await;
    assert_eq!(store.load(id).await.unwrap(), Loaded::Record(record));
}

#[tokio::test]
async fn with_a_frozen_server_commands_fail_in_time_and_the_store_recovers() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url(), "cloakroom")
        .await
        .unwrap();
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    for round in 0..2 {
        server.freeze();
        for _ in 0..3 {
            all_verbs_fail_in_time(&store).await;
        }
        server.thaw();
        let took = recovers(&store).await;
        println!("round {round}: back after {took:?}");
        assert_eq!(
            store.load(id).await.unwrap(),
            Loaded::Record(record.clone())
        );
    }
}

#[tokio::test]
async fn repeated_timeouts_open_a_new_connection() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url(), "cloakroom")
        .await
        .unwrap();
    let (id, record) = session(1);
    server.freeze();
    // Continuous writes, as in a busy app, so that fred never sees an idle connection.
    let began = Instant::now();
    let mut refused_at_once = 0;
    while began.elapsed() < Duration::from_secs(3) {
        let load = store.load(id);
        let create = store.create(id, &record, MINUTE);
        let before = Instant::now();
        let (load, create) = in_time(async { tokio::join!(load, create) }).await;
        assert!(load.is_err() && create.is_err());
        refused_at_once += u32::from(before.elapsed() < Duration::from_millis(50));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        refused_at_once > 20,
        "the watchdog gave the connection up: {refused_at_once}"
    );
    server.thaw();
    recovers(&store).await;
}

#[tokio::test]
async fn while_the_server_is_known_to_be_down_commands_fail_at_once() {
    let log = Log::capture();
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url(), "cloakroom")
        .await
        .unwrap();
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    server.freeze();
    for _ in 0..3 {
        in_time(store.load(id)).await.unwrap_err();
    }
    // Nothing is sent any more, so nothing waits for a timeout.
    let began = Instant::now();
    let mut slow = 0;
    let mut asked = 0;
    while began.elapsed() < Duration::from_secs(3) {
        let before = Instant::now();
        let write = store.update(id, record.revision(), &record, MINUTE);
        let error = in_time(write).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "it was not sent");
        slow += u32::from(before.elapsed() > Duration::from_millis(50));
        asked += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(slow <= asked / 100, "{slow} of {asked} waited");
    server.thaw();
    recovers(&store).await;
    assert_eq!(store.load(id).await.unwrap(), Loaded::Record(record));
    assert_eq!(log.count("Redis is not responding"), 1);
    assert_eq!(log.count("Redis is responding again"), 1);
}

#[tokio::test]
async fn the_store_recovers_without_the_right_to_ping() {
    let server = RedisServer::start();
    server.add_user(&["-ping"]);
    let builder = RedisStore::builder(server.url(), "cloakroom").with_username("shop");
    let store = builder.with_password("password").connect().await.unwrap();
    let (id, _) = session(1);
    store.load(id).await.unwrap();
    server.freeze();
    for _ in 0..4 {
        in_time(store.load(id)).await.unwrap_err();
    }
    server.thaw();
    let began = Instant::now();
    while in_time(store.load(id)).await.is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it does not recover"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_dead_idle_connection_is_noticed_too() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url(), "cloakroom")
        .await
        .unwrap();
    server.freeze();
    in_time(store.ping()).await.unwrap_err();
    let began = Instant::now();
    while !format!("{store:?}").contains("is_down: true") {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it is not noticed"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.thaw();
    recovers(&store).await;
}

#[tokio::test]
async fn a_flood_on_a_frozen_server_is_bounded_and_fails() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url(), "cloakroom")
        .await
        .unwrap();
    let (id, record) = session(1);
    let big = next(&record, 1);
    server.freeze();
    // Far more than the socket buffer and the queue hold.
    let mut results = Vec::new();
    for _ in 0..25_000 {
        let (store, big) = (store.clone(), big.clone());
        results.push(tokio::spawn(
            async move { store.create(id, &big, MINUTE).await },
        ));
    }
    for result in results {
        assert!(result.await.unwrap().is_err());
    }
    server.thaw();
    let began = Instant::now();
    while store.ping().await.is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "it does not recover"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Commands are still flushed individually.
    for _ in 0..20 {
        in_time(store.load(id)).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_stuck_in_a_write_is_abandoned() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url(), "cloakroom")
        .await
        .unwrap();
    let (id, record) = session(1);
    let mut entries = record.entries().clone();
    entries.set("big", &"x".repeat(500_000)).unwrap();
    let digest = *record.digest();
    let big = Record::new(
        revision(),
        record.last_seen(),
        record.limits(),
        digest,
        entries,
    );
    server.freeze();
    let mut results = Vec::new();
    for _ in 0..100 {
        let (store, big) = (store.clone(), big.clone());
        results.push(tokio::spawn(
            async move { store.create(id, &big, MINUTE).await },
        ));
    }
    for result in results {
        assert!(result.await.unwrap().is_err());
    }
    // fred is now blocked on the socket, and does not process a request to reconnect.
    let began = Instant::now();
    loop {
        let before = Instant::now();
        assert!(in_time(store.load(id)).await.is_err());
        if before.elapsed() < Duration::from_millis(50) {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(6),
            "it is not abandoned"
        );
    }
    server.thaw();
    recovers(&store).await;
    in_time(store.load(id)).await.unwrap();
}

#[tokio::test]
async fn a_lazily_connected_store_can_start_before_its_server() {
    let mut server = RedisServer::start();
    server.kill();
    let builder = RedisStore::builder(server.url(), "cloakroom");
    let store = builder.connect_lazy().unwrap();
    let error = in_time(store.ping()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    server.restart();
    recovers(&store).await;
}

#[tokio::test]
async fn full_memory_rejects_new_data_but_not_sign_outs() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    let store = RedisStore::connect(server.url(), "cloakroom")
        .await
        .unwrap();
    let (id, record) = session(1);
    let (other, _) = session(2);
    store.create(id, &record, MINUTE).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);

    let full = StoreErrorKind::OutOfMemory;
    let create = store.create(other, &record, MINUTE).await;
    assert_eq!(create.unwrap_err().kind(), full);
    let errors = server.command(&["INFO", "errorstats"]).text();
    assert!(
        errors.contains("errorstat_OOM:count=1\r"),
        "it is sent once: {errors}"
    );
    let update = store
        .update(id, record.revision(), &next(&record, 2), MINUTE)
        .await;
    assert_eq!(update.unwrap_err().kind(), full);
    assert_eq!(
        store.load(id).await.unwrap(),
        Loaded::Record(record.clone())
    );

    let later = record.last_seen().plus(MINUTE);
    let touch = store.touch(id, record.revision(), later, MINUTE * 5).await;
    assert_eq!(touch.unwrap(), Touched::Touched);
    let ttl = server.ttl(&format!("cloakroom:{id}")).unwrap();
    assert!(ttl > MINUTE * 4, "it is kept alive: {ttl:?}");
    let unmoved = Loaded::Record(record.clone());
    assert_eq!(store.load(id).await.unwrap(), unmoved, "last-seen stays");

    let end = store
        .end(id, Some(record.revision()), &tombstone(&record), MINUTE)
        .await;
    assert_eq!(end.unwrap(), Ended::Ended);
    assert_eq!(store.load(id).await.unwrap(), Loaded::Nothing);
    // A tombstone that could not be written is reported as an error.
    let end = store.end(other, None, &tombstone(&record), MINUTE).await;
    assert_eq!(end.unwrap_err().kind(), full);
}

#[tokio::test]
async fn writes_to_a_replica_fail_and_the_connection_is_replaced() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url(), "cloakroom")
        .await
        .unwrap();
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    // It becomes the replica of a missing server, and keeps its data.
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let update = store
        .update(id, record.revision(), &next(&record, 2), MINUTE)
        .await;
    assert_eq!(update.unwrap_err().kind(), StoreErrorKind::Unavailable);
    // A connection that survives a failover would lead to the old primary forever.
    let writers = || {
        let list = server.command(&["CLIENT", "LIST"]).text();
        list.matches("cmd=eval").count()
    };
    assert_eq!(writers(), 1);
    let began = Instant::now();
    while writers() != 0 {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the connection is not replaced"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.command(&["REPLICAOF", "NO", "ONE"]);
    recovers(&store).await;
    let update = store
        .update(id, record.revision(), &next(&record, 2), MINUTE)
        .await;
    update.unwrap();
}
