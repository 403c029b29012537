//! Redis is killed, hangs, is full or fails over: reads come in time, from the database, and changes are not lost.

use std::time::{Duration, Instant};

use cloakroom_cache::{CacheBackend, CacheErrorKind, CachedBuilder};
use futures_util::future::join_all;
use tests::redis::RedisServer;
use tests::topology::Cluster;
use tests::wait::within;

use crate::setup::{Database, PATIENCE, Setup, lasting, read, store};

/// Three timeouts of a read of the generation, with slack for a busy machine.
const BOUND: Duration = Duration::from_millis(3 * 250 + 1500);

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let result = what.await;
    assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
    result
}

/// Records over a connection with the default timeout.
async fn impatient(server: &RedisServer) -> CachedBuilder<u64, u64> {
    let store = store(&server.url(), Duration::from_millis(250)).await;
    lasting(&CacheBackend::new(&store))
}

/// While the backend is away: values come from the database, in time, and no more at once than allowed.
async fn reads_go_to_the_database(database: &Database, builder: CachedBuilder<u64, u64>) {
    let records = database.cached(builder.with_max_loads(4));
    let reads = (100..200).map(|key| {
        let records = records.clone();
        tokio::spawn(async move { in_time(read(&records, key)).await })
    });
    for (key, value) in (100..).zip(join_all(reads.collect::<Vec<_>>()).await) {
        assert_eq!(value.expect("in time"), key);
    }
    assert!(database.most_at_once() <= 4, "{}", database.most_at_once());
    // Not remembered for longer than the staleness bound.
    database.set(100, 7);
    within("the new value", PATIENCE, async || {
        read(&records, 100).await == 7
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_killed_values_are_loaded_in_time_by_a_bounded_number_of_queries() {
    let mut server = RedisServer::start();
    let database = Database::with((0..200).map(|key| (key, key)));
    let builders = (impatient(&server).await, impatient(&server).await);
    let records = database.cached(builders.0);
    assert_eq!(read(&records, 1).await, 1);
    server.kill();
    reads_go_to_the_database(&database, builders.1).await;
    server.start_again();
    // It has lost everything, and is filled again.
    within("Redis is used again", PATIENCE, async || {
        let _ = read(&records, 2).await;
        server
            .keys()
            .iter()
            .any(|key| key.starts_with("shop:cache:record:"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_hangs_values_are_loaded_in_time_by_a_bounded_number_of_queries() {
    let server = RedisServer::start();
    let database = Database::with((0..200).map(|key| (key, key)));
    let builders = (impatient(&server).await, impatient(&server).await);
    let records = database.cached(builders.0);
    assert_eq!(read(&records, 1).await, 1);
    server.freeze();
    reads_go_to_the_database(&database, builders.1).await;
    server.thaw();
    let loads = records.stats().loads;
    within("Redis is used again", PATIENCE, async || {
        let _ = read(&records, 1).await;
        let stats = records.stats();
        stats.loads == loads && stats.shared > 0
    })
    .await;
}

/// It hangs after the lease was taken, when the value is to be stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_returned_in_time_although_redis_hangs_during_its_load() {
    let server = RedisServer::start();
    let database = Database::with([(1, 10)]);
    let records = database.cached(impatient(&server).await);
    database.close();
    let slow = tokio::spawn({
        let records = records.clone();
        async move { read(&records, 1).await }
    });
    within("it is loaded", PATIENCE, async || database.queries() == 1).await;
    server.freeze();
    database.open();
    assert_eq!(in_time(slow).await.expect("no panic"), 10);
    server.thaw();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_full_what_is_stored_is_used_and_the_rest_is_loaded() {
    let server = RedisServer::start();
    let database = Database::with((0..200).map(|key| (key, key)));
    let builders = (impatient(&server).await, impatient(&server).await);
    let records = database.cached(builders.0);
    assert_eq!(read(&records, 1).await, 1);
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let queries = database.queries();
    let other = database.cached(impatient(&server).await);
    assert_eq!(in_time(read(&other, 1)).await, 1);
    assert_eq!(database.queries(), queries, "it is stored");
    reads_go_to_the_database(&database, builders.1).await;
    database.set(1, 2);
    records.forget(&1).await.expect("removing needs no memory");
    assert_eq!(read(&other_after(&server, &database).await, 1).await, 2);
}

async fn other_after(server: &RedisServer, database: &Database) -> crate::setup::Records {
    database.cached(impatient(server).await)
}

/// The change is stored in the background: until then this server does not use what Redis has, and afterwards nobody does.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_could_not_be_stored_is_stored_when_redis_is_back() {
    let server = RedisServer::start();
    let database = Database::with([(1, 10), (2, 20)]);
    let records = database.cached(impatient(&server).await);
    assert_eq!((read(&records, 1).await, read(&records, 2).await), (10, 20));
    server.freeze();
    database.set(1, 11);
    database.set(2, 21);
    let error = in_time(records.forget(&1)).await.expect_err("no reply");
    assert_eq!(error.kind(), CacheErrorKind::ChangeNotStored);
    let error = in_time(records.put(&2, &21)).await.expect_err("no reply");
    assert_eq!(error.kind(), CacheErrorKind::ChangeNotStored);
    assert_eq!(in_time(read(&records, 1)).await, 11);
    assert_eq!(in_time(read(&records, 2)).await, 21);
    server.thaw();
    // A server that was not there before has only what Redis has.
    let other = database.cached(
        impatient(&server)
            .await
            .with_max_staleness(Duration::from_millis(1)),
    );
    within("the changes are stored", PATIENCE, async || {
        read(&other, 1).await == 11 && read(&other, 2).await == 21
    })
    .await;
    for _ in 0..20 {
        assert_eq!((read(&records, 1).await, read(&records, 2).await), (11, 21));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_everything_is_repeated_when_redis_is_back() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let database = Database::with([(1, 10)]);
    let records = database.cached(impatient(&server).await);
    assert_eq!(read(&records, 1).await, 10);
    server.kill();
    database.set(1, 11);
    let error = in_time(records.forget_all())
        .await
        .expect_err("it is killed");
    assert_eq!(error.kind(), CacheErrorKind::ChangeNotStored);
    assert_eq!(in_time(read(&records, 1)).await, 11);
    server.start_again();
    let other = database.cached(
        impatient(&server)
            .await
            .with_max_staleness(Duration::from_millis(1)),
    );
    within("it is stored", PATIENCE, async || {
        read(&other, 1).await == 11
    })
    .await;
    within("Redis is used again", PATIENCE, async || {
        let _ = read(&records, 1).await;
        records.stats().shared > 0
    })
    .await;
    assert_eq!(read(&records, 1).await, 11);
}

/// A server that dies during a load keeps the others waiting no longer than the load may take.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_of_a_server_that_has_died_does_not_block_the_others() {
    let setup = Setup::redis();
    let database = Database::with([(1, 10)]);
    let limit = Duration::from_millis(300);
    let builders = [
        lasting(&setup.backend().await).with_load_timeout(PATIENCE),
        lasting(&setup.backend().await).with_load_timeout(limit),
    ];
    let [dying, living] = builders.map(|builder| database.cached(builder));
    database.close();
    let slow = tokio::spawn(async move { dying.get(&1).await });
    within("it is loaded", PATIENCE, async || database.queries() == 1).await;
    // Its reads never end, like those of a server that is gone.
    let waiting = tokio::spawn(async move {
        let began = Instant::now();
        (read(&living, 1).await, began.elapsed())
    });
    within("the other one loads", PATIENCE, async || {
        database.queries() == 2
    })
    .await;
    database.open();
    let (value, took) = waiting.await.expect("no panic");
    assert_eq!(value, 10);
    assert!(took >= limit, "it has waited for the other server");
    slow.await.expect("no panic").expect("it can be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_of_a_cluster_brings_nothing_old_back() {
    let cluster = Cluster::start();
    let database = Database::with((0..30).map(|key| (key, 1)));
    let backend = CacheBackend::new(&store(&cluster.url(), PATIENCE).await);
    let records = database.cached(lasting(&backend));
    for key in 0..30 {
        assert_eq!(read(&records, key).await, 1);
        database.set(key, 2);
        records.forget(&key).await.expect("it is stored");
        assert_eq!(read(&records, key).await, 2);
    }
    // A planned failover waits until the replica has everything. A third of the keys are concerned.
    cluster.fail_over(0);
    let backend = CacheBackend::new(&store(&cluster.url(), PATIENCE).await);
    let fresh = database.cached(lasting(&backend));
    for key in 0..30 {
        assert_eq!(read(&fresh, key).await, 2);
        database.set(key, 3);
        within("it can be stored again", PATIENCE, async || {
            records.forget(&key).await.is_ok()
        })
        .await;
        assert_eq!(read(&records, key).await, 3);
    }
}
