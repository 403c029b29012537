//! Changes whose futures are dropped, loaders that panic, and reloads beside reads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloakroom_cache::{CacheBackend, CacheErrorKind, Cached};
use tests::on_every_backend;
use tests::redis::RedisServer;
use tests::wait::within;
use tokio::time::timeout;

use crate::setup::{Database, LONG, PATIENCE, Records, Setup, lasting, read, store};

const INSTANT: Duration = Duration::from_millis(1);

/// Less than the lease of a load may live.
const SOON: Duration = Duration::from_secs(10);

/// A record that was deleted without a `forget`, and nothing remembers that there is none.
async fn a_stale_value_ends_when_its_row_is_gone(setup: Setup) {
    let database = Database::with([(1, 10)]);
    let builder = lasting(&setup.backend().await)
        .with_fresh_for(INSTANT)
        .with_stale_for(LONG)
        .with_absent_for(Duration::ZERO)
        .with_max_staleness(INSTANT);
    let records = database.cached(builder);
    assert_eq!(read(&records, 1).await, 10);
    database.remove(1);
    within("it is gone", SOON, async || {
        records.get(&1).await.expect("it can be read").is_none()
    })
    .await;
}

async fn a_stale_value_ends_when_the_new_one_cannot_be_stored(setup: Setup) {
    let row = Arc::new(Mutex::new("short".to_owned()));
    let texts: Cached<u64, String> = Cached::builder(&setup.backend().await, "text")
        .with_fresh_for(INSTANT)
        .with_stale_for(LONG)
        .with_max_staleness(INSTANT)
        .build({
            let row = Arc::clone(&row);
            move |_| {
                let text = row.lock().expect("no panic").clone();
                async move { Ok::<_, std::io::Error>(Some(text)) }
            }
        })
        .expect("a valid configuration");
    let length = async || {
        let text = texts.get(&1).await.expect("it can be read");
        text.expect("it is there").len()
    };
    assert_eq!(length().await, 5);
    *row.lock().expect("no panic") = "x".repeat(1 << 20);
    within("the long one", SOON, async || length().await == 1 << 20).await;
}

async fn others_use_the_value_while_a_reload_loads_it_and_after_it_has_failed(setup: Setup) {
    let database = Database::with([(1, 10)]);
    let (here, there) = (setup.server(&database).await, setup.server(&database).await);
    assert_eq!(read(&here, 1).await, 10);
    database.close();
    let reload = tokio::spawn({
        let here = here.clone();
        async move { here.reload(&1).await }
    });
    within("it is loaded", PATIENCE, async || database.queries() == 2).await;
    let value = timeout(SOON, read(&there, 1))
        .await
        .expect("without waiting");
    assert_eq!(value, 10);
    database.set_down(true);
    database.open();
    reload
        .await
        .expect("no panic")
        .expect_err("the database is down");
    assert_eq!(read(&setup.server(&database).await, 1).await, 10);
    assert_eq!(database.queries(), 2, "it is still stored");

    database.set_down(false);
    database.set(1, 11);
    let loaded = here.reload(&1).await.expect("it can be read");
    assert_eq!(loaded.as_deref(), Some(&11));
    assert_eq!(read(&setup.server(&database).await, 1).await, 11);
    assert_eq!(database.queries(), 3);
}

/// What this server has used during a reload is not used after it.
async fn a_reload_that_finds_nothing_ends_the_copies(setup: Setup) {
    let database = Database::with([(1, 10)]);
    let builder = lasting(&setup.backend().await)
        .with_absent_for(Duration::ZERO)
        .with_max_staleness(Duration::from_secs(60));
    let records = database.cached(builder);
    assert_eq!(read(&records, 1).await, 10);
    database.close();
    database.remove(1);
    let reload = tokio::spawn({
        let records = records.clone();
        async move { records.reload(&1).await }
    });
    within("it is loaded", PATIENCE, async || database.queries() == 2).await;
    assert_eq!(read(&records, 1).await, 10);
    database.open();
    let loaded = reload.await.expect("no panic").expect("it can be read");
    assert_eq!(loaded, None);
    assert_eq!(records.get(&1).await.expect("it can be read"), None);
}

/// The reload of another server takes the lease away, and never ends.
async fn a_reload_beside_another_one_does_not_return_what_is_stored(setup: Setup) {
    let (database, slow) = (Database::with([(1, 10)]), Database::with([(1, 10)]));
    let (here, there) = (setup.server(&database).await, setup.server(&slow).await);
    assert_eq!(read(&here, 1).await, 10);
    database.close();
    slow.close();
    let reload = |records: &Records| {
        let records = records.clone();
        tokio::spawn(async move { records.reload(&1).await })
    };
    let first = reload(&here);
    within("it is loaded", PATIENCE, async || database.queries() == 2).await;
    let second = reload(&there);
    within("it is loaded", PATIENCE, async || slow.queries() == 1).await;
    database.set(1, 11);
    database.open();
    let loaded = first.await.expect("no panic").expect("it can be read");
    assert_eq!(loaded.as_deref(), Some(&11));
    second.abort();
}

/// A server waits for the load of another one because it cannot decode what is stored. If that is replaced between
/// two of its commands, it loads too, which is rare.
async fn a_server_that_has_waited_for_a_decodable_value_uses_it(setup: Setup) {
    const KEYS: u64 = 6;
    let texts: Cached<u64, String> = Cached::builder(&setup.backend().await, "record")
        .with_fresh_for(LONG)
        .build(|_| async { Ok::<_, std::io::Error>(Some("text".to_owned())) })
        .expect("a valid configuration");
    let database = Database::with((0..KEYS).map(|key| (key, key)));
    let (here, there) = (setup.server(&database).await, setup.server(&database).await);
    let mut repeated = 0;
    for key in 0..KEYS {
        texts.get(&key).await.expect("it can be read");
        database.close();
        let before = database.queries();
        let reload = tokio::spawn({
            let here = here.clone();
            async move { here.reload(&key).await }
        });
        within("it is loaded", PATIENCE, async || {
            database.queries() > before
        })
        .await;
        let waiting = tokio::spawn({
            let there = there.clone();
            async move { read(&there, key).await }
        });
        // Time to find the text, and then the lease.
        tokio::time::sleep(Duration::from_millis(300)).await;
        database.open();
        assert_eq!(waiting.await.expect("no panic"), key);
        reload.await.expect("no panic").expect("it can be read");
        repeated += database.queries() - before - 1;
    }
    assert!(repeated <= 3, "{repeated} of {KEYS} were loaded twice");
}

/// The first call for each key panics: when it is called, or when its future is polled.
async fn a_key_whose_loader_has_panicked_can_be_read_at_once(setup: Setup) {
    let calls = Arc::new(AtomicUsize::new(0));
    let records: Records = lasting(&setup.backend().await)
        .build(move |key: u64| {
            let is_first = calls.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
            assert!(!(is_first && key == 1), "a panic for the test");
            async move {
                tokio::task::yield_now().await;
                assert!(!is_first, "a panic for the test");
                Ok::<_, std::io::Error>(Some(key))
            }
        })
        .expect("a valid configuration");
    for key in [1, 2] {
        let error = records.get(&key).await.expect_err("it panics");
        assert_eq!(error.kind(), CacheErrorKind::LoaderFailed);
        let value = timeout(SOON, read(&records, key)).await;
        assert_eq!(value.expect("no lease is left"), key);
    }
    assert_eq!(records.stats().failed_loads, 2);
}

on_every_backend! {
    crate::setup::Setup:
    a_stale_value_ends_when_its_row_is_gone,
    a_stale_value_ends_when_the_new_one_cannot_be_stored,
    others_use_the_value_while_a_reload_loads_it_and_after_it_has_failed,
    a_reload_that_finds_nothing_ends_the_copies,
    a_reload_beside_another_one_does_not_return_what_is_stored,
    a_server_that_has_waited_for_a_decodable_value_uses_it,
    a_key_whose_loader_has_panicked_can_be_read_at_once,
}

/// The request that makes a change is dropped while it waits for Redis.
async fn a_change_that_is_dropped_is_made(change: impl AsyncFnOnce(&Records)) {
    let server = RedisServer::start();
    let database = Database::with([(1, 10)]);
    let backend = CacheBackend::new(&store(&server.url(), PATIENCE).await);
    let records = database.cached(lasting(&backend));
    assert_eq!(read(&records, 1).await, 10);
    database.set(1, 11);
    {
        let mut change = std::pin::pin!(change(&records));
        assert!(futures_util::poll!(&mut change).is_pending());
    }
    assert_eq!(read(&records, 1).await, 11);
    let other = lasting(&backend).with_max_staleness(INSTANT);
    let other = database.cached(other);
    within("it is stored", PATIENCE, async || {
        read(&other, 1).await == 11
    })
    .await;
}

// On one thread: nothing is sent between the poll and the drop.
#[tokio::test]
async fn a_forget_whose_future_is_dropped_is_made() {
    a_change_that_is_dropped_is_made(async |records| {
        records.forget(&1).await.expect("it is stored");
    })
    .await;
}

#[tokio::test]
async fn a_put_whose_future_is_dropped_forgets_the_old_value() {
    a_change_that_is_dropped_is_made(async |records| {
        records.put(&1, &11).await.expect("it is stored");
    })
    .await;
}

#[tokio::test]
async fn forgetting_everything_is_done_although_its_future_is_dropped() {
    a_change_that_is_dropped_is_made(async |records| {
        records.forget_all().await.expect("it is stored");
    })
    .await;
}

/// While Redis is away, nobody can tell a load that is under way of a change.
#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_load_that_is_older_than_the_staleness_bound_is_not_joined() {
    let mut server = RedisServer::start();
    let database = Database::with([(1, 10)]);
    let backend = CacheBackend::new(&store(&server.url(), Duration::from_millis(250)).await);
    let bound = Duration::from_secs(1);
    let records = database.cached(lasting(&backend).with_max_staleness(bound));
    server.kill();
    database.close();
    let get = || {
        let records = records.clone();
        tokio::spawn(async move { read(&records, 1).await })
    };
    let first = get();
    within("it is loaded", PATIENCE, async || database.queries() == 1).await;
    database.set(1, 11);
    tokio::time::sleep(bound).await;
    let second = get();
    within("it is loaded again", SOON, async || database.queries() == 2).await;
    database.open();
    first.await.expect("no panic");
    assert_eq!(second.await.expect("no panic"), 11);
}
