//! Options that are out of bounds, and bounds that hold.

use std::time::Duration;

use cloakroom_cache::{CacheBackend, CacheErrorKind, Cached, CachedBuilder, ConfigError};
use futures_util::future::join_all;
use futures_util::poll;
use tests::wait::within;

use crate::setup::{Database, LONG, PATIENCE, lasting, read};

fn error(builder: CachedBuilder<u64, u64>) -> ConfigError {
    let loader = |_| async { Ok::<_, std::io::Error>(None) };
    builder.build(loader).expect_err("it is out of bounds")
}

#[test]
fn an_option_out_of_bounds_is_an_error_that_names_it() {
    let backend = CacheBackend::in_memory();
    let builder = || lasting(&backend);
    let day = Duration::from_secs(24 * 60 * 60);
    for (option, builder) in [
        ("builder", Cached::builder(&backend, "User")),
        ("with_fresh_for", builder().with_fresh_for(Duration::ZERO)),
        ("with_fresh_for", builder().with_fresh_for(8 * day)),
        ("with_stale_for", builder().with_stale_for(8 * day)),
        ("with_absent_for", builder().with_absent_for(Duration::MAX)),
        ("with_jitter", builder().with_jitter(0.6)),
        ("with_jitter", builder().with_jitter(f64::NAN)),
        (
            "with_max_staleness",
            builder().with_max_staleness(Duration::ZERO),
        ),
        ("with_max_staleness", builder().with_max_staleness(day)),
        (
            "with_load_timeout",
            builder().with_load_timeout(Duration::ZERO),
        ),
        (
            "with_load_timeout",
            builder().with_load_timeout(Duration::MAX),
        ),
        ("with_max_loads", builder().with_max_loads(0)),
        ("with_max_loads", builder().with_max_loads(usize::MAX)),
        ("with_max_waiting", builder().with_max_waiting(0)),
        ("with_max_waiting", builder().with_max_waiting(usize::MAX)),
        ("with_max_bytes", builder().with_max_bytes(0)),
    ] {
        let error = error(builder);
        assert_eq!(error.option(), option);
        assert!(error.to_string().starts_with(&format!("`{option}`: ")));
    }
    let error = backend
        .with_hash_key("too short")
        .expect_err("31 bytes or fewer");
    assert_eq!(error.option(), "with_hash_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_may_wait_fail_at_once() {
    let database = Database::with([(1, 10), (2, 20)]);
    let backend = CacheBackend::in_memory();
    let records = database.cached(lasting(&backend).with_max_waiting(3));
    assert_eq!(read(&records, 2).await, 20);
    database.close();
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(read(&records, 1))).collect();
    for request in &mut waiting {
        assert!(poll!(request).is_pending());
    }
    let error = records.get(&3).await.expect_err("three wait");
    assert_eq!(error.kind(), CacheErrorKind::Overloaded);
    assert_eq!(read(&records, 2).await, 20, "it does not have to wait");
    let error = records.reload(&2).await.expect_err("it would have to wait");
    assert_eq!(error.kind(), CacheErrorKind::Overloaded);
    database.open();
    assert_eq!(join_all(waiting).await, [10; 3]);
    assert_eq!(records.get(&3).await.expect("it can be read"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_takes_too_long_is_an_error_and_others_have_their_turn() {
    let database = Database::with([(1, 10)]);
    let backend = CacheBackend::in_memory();
    let limit = Duration::from_millis(500);
    let records = database.cached(lasting(&backend).with_load_timeout(limit).with_max_loads(1));
    database.close();
    for _ in 0..2 {
        let error = records.get(&1).await.expect_err("it takes too long");
        assert_eq!(error.kind(), CacheErrorKind::LoadTimedOut);
    }
    database.open();
    assert_eq!(read(&records, 1).await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_that_panics_is_an_error() {
    let backend = CacheBackend::in_memory();
    let records: Cached<u64, u64> = Cached::builder(&backend, "record")
        .with_fresh_for(LONG)
        .build(|key: u64| async move {
            assert!(key != 1, "a panic for the test");
            Ok::<_, std::io::Error>(Some(key))
        })
        .expect("a valid configuration");
    let error = records.get(&1).await.expect_err("it panics");
    assert_eq!(error.kind(), CacheErrorKind::LoaderFailed);
    assert_eq!(read(&records, 2).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_too_long_is_returned_but_not_cached() {
    let backend = CacheBackend::in_memory();
    let texts: Cached<u64, String> = Cached::builder(&backend, "text")
        .build(|length: u64| async move {
            let length = usize::try_from(length).expect("it is small");
            Ok::<_, std::io::Error>(Some("x".repeat(length)))
        })
        .expect("a valid configuration");
    for length in [1000, 1 << 20] {
        for _ in 0..2 {
            let text = texts.get(&length).await.expect("it is loaded");
            assert_eq!(text.expect("it is there").len() as u64, length);
        }
    }
    assert_eq!(texts.stats().loads, 3);
    texts
        .put(&1, &"short".to_owned())
        .await
        .expect("it is stored");
    let error = texts.put(&1, &"x".repeat(1 << 20)).await;
    let error = error.expect_err("it is too long");
    assert_eq!(error.kind(), CacheErrorKind::InvalidValue);
    let text = texts.get(&1).await.expect("it is loaded");
    assert_eq!(
        text.as_deref().map(String::as_str),
        Some("x"),
        "the old one is forgotten"
    );
}

/// The cache outlives the runtime in which it was used first.
#[test]
fn a_cache_works_in_a_later_runtime() {
    let database = Database::with([(1, 10)]);
    let backend = CacheBackend::in_memory();
    let bound = Duration::from_secs(60);
    let (here, there) = (
        database.cached(lasting(&backend).with_max_staleness(bound)),
        database.cached(lasting(&backend).with_max_staleness(bound)),
    );
    let runtime = || tokio::runtime::Runtime::new().expect("it can be started");
    runtime().block_on(async {
        assert_eq!((read(&here, 1).await, read(&there, 2 - 1).await), (10, 10));
    });
    runtime().block_on(async {
        database.set(1, 11);
        database.set(2, 20);
        // A read that is not a copy starts the tasks again.
        assert_eq!(read(&there, 2).await, 20);
        here.forget(&1).await.expect("it is stored");
        assert_eq!(read(&here, 1).await, 11);
        here.forget(&1).await.expect("it is stored");
        within("a message arrives", PATIENCE, async || {
            read(&there, 1).await == 11
        })
        .await;
    });
}
