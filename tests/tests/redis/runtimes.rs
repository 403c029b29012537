//! One store in several Tokio runtimes, as in a `static` that tests share: runtimes end, and some are not
//! driven.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::{Duration, Instant};

use cloakroom_core::store::{Created, Loaded};
use cloakroom_core::{EventBus, SessionEvent, Store, StoreAdmin, StoreErrorKind};
use cloakroom_redis::{AppScript, NearCache, RedisStore, ScriptReply};
use tests::generous;
use tests::proxy::{Network, Proxy};
use tests::records::{MINUTE, session};
use tests::redis::RedisServer;
use tests::topology::Replicated;
use tests::wait::within;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A runtime with this number of threads of its own; with none, it runs only in `block_on`.
fn runtime(threads: usize) -> Runtime {
    let mut builder = match threads {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if threads > 0 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build().expect("a runtime starts")
}

async fn connect(server: &RedisServer) -> RedisStore {
    let store = RedisStore::connect(server.url(), "cloakroom").await;
    store.expect("the server is running")
}

/// The first command in each runtime works, whether it reads or writes.
#[test]
fn a_store_works_in_one_runtime_after_the_other() {
    let server = RedisServer::start();
    let store = runtime(0).block_on(generous::connect(server.url(), "cloakroom"));
    let store = store.expect("the server is running");
    for threads in [0, 1, 0, 2] {
        let (id, record) = session(1);
        runtime(threads).block_on(async {
            let created = store.create(id, &record, MINUTE).await;
            assert_eq!(created.expect("it is connected"), Created::Created);
        });
        runtime(threads).block_on(async {
            let loaded = store.load(id).await.expect("it is connected");
            assert_eq!(loaded, Loaded::Record(record.clone()));
        });
        runtime(threads).block_on(async {
            store.ping().await.expect("it is connected");
        });
        runtime(threads).block_on(async {
            let script = AppScript::new("return redis.call('PTTL', KEYS[1])");
            let scripts = store.app_scripts();
            let keys = [scripts.key("missing")];
            let reply = scripts.run(&script, &keys, &[]).await;
            assert_eq!(reply.expect("it is connected"), ScriptReply::Integer(-2));
        });
        runtime(threads).block_on(async {
            let found = store.raw_keys().read("missing").await;
            assert_eq!(found.expect("it is connected"), None);
        });
        runtime(threads).block_on(async {
            let page = store.scan_ids(None).await.expect("it is connected");
            assert!(!page.ids.is_empty());
        });
        runtime(threads).block_on(async {
            store.health().await.expect("it is connected");
        });
        // A runtime that ends at once, with everything that was started in it.
        runtime(threads).block_on(async {
            drop(timeout(Duration::ZERO, store.load(id)).await);
        });
    }
}

/// The flag "a recovery is running" would refuse every command from then on.
#[test]
fn a_recovery_that_is_lost_with_its_runtime_is_started_again() {
    let server = RedisServer::start();
    let first = runtime(0);
    let store = first.block_on(connect(&server));
    let (id, record) = session(1);
    drop(first);
    server.freeze();
    // Each of these runtimes starts a recovery, and ends before the server replies.
    for _ in 0..3 {
        runtime(0).block_on(async {
            store.load(id).await.expect_err("the server is suspended");
        });
    }
    server.thaw();
    runtime(0).block_on(async {
        within("it recovers", PATIENCE, async || {
            matches!(
                store.create(id, &record, MINUTE).await,
                Ok(Created::Created)
            ) || store.load(id).await.is_ok()
        })
        .await;
    });
}

/// As in a program that calls `block_on` for every command: in between, nothing runs.
#[test]
fn an_outage_ends_in_a_runtime_that_runs_only_for_commands() {
    let server = RedisServer::start();
    let runtime = runtime(0);
    let store = runtime.block_on(connect(&server));
    let (id, _) = session(1);
    server.freeze();
    for _ in 0..3 {
        let load = runtime.block_on(store.load(id));
        load.expect_err("the server is suspended");
    }
    server.thaw();
    let began = Instant::now();
    while runtime.block_on(store.load(id)).is_err() {
        assert!(began.elapsed() < PATIENCE, "it does not recover");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The connection belongs to a runtime that exists, but that nobody drives.
#[test]
fn a_runtime_that_is_not_driven_does_not_hold_up_another() {
    let server = RedisServer::start();
    let idle = runtime(0);
    let store = idle.block_on(generous::connect(server.url(), "cloakroom"));
    let store = store.expect("the server is running");
    let (id, record) = session(1);
    runtime(1).block_on(async {
        let loaded = store.load(id).await.expect("it is connected anew");
        assert_eq!(loaded, Loaded::Nothing);
        let created = store.create(id, &record, MINUTE).await;
        assert_eq!(created.expect("it is connected"), Created::Created);
    });
    let loaded = idle.block_on(store.load(id)).expect("it is connected");
    assert_eq!(loaded, Loaded::Record(record));
}

/// A handler that blocks its thread, which may be the one that drives the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn blocked_threads_do_not_hold_up_the_others() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    for _ in 0..3 {
        let mut blocked = tokio::task::JoinSet::new();
        for _ in 0..3 {
            blocked.spawn(async { std::thread::sleep(Duration::from_secs(2)) });
        }
        let reader = store.clone();
        let read = tokio::spawn(async move { reader.load(id).await });
        let read = read.await.unwrap().expect("it is read");
        assert_eq!(read, Loaded::Record(record.clone()));
        blocked.join_all().await;
    }
}

#[test]
fn subscriptions_and_the_near_cache_continue_in_another_runtime() {
    let server = RedisServer::start();
    let first = runtime(1);
    let (store, near, mut events) = first.block_on(async {
        let store = connect(&server).await;
        let near = NearCache::new(store.clone());
        let mut events = store.bus().expect("it has one").subscribe();
        within("it is coherent", PATIENCE, async || near.stats().coherent).await;
        assert_eq!(events.next().await, Some(SessionEvent::Missed));
        (store, near, events)
    });
    drop(first);
    runtime(1).block_on(async {
        let (id, record) = session(1);
        near.create(id, &record, MINUTE)
            .await
            .expect("it is connected");
        let is_invalid = async || !near.stats().coherent;
        within("nothing keeps it valid", PATIENCE, is_invalid).await;
        within("it is coherent again", PATIENCE, async || {
            near.load(id).await.expect("it is connected");
            near.stats().coherent
        })
        .await;
        let next = timeout(PATIENCE, events.next()).await;
        assert_eq!(next.expect("in time"), Some(SessionEvent::Missed));
        let event = SessionEvent::Created { id };
        let published = store.bus().expect("it has one").publish(&event).await;
        published.expect("it is connected");
        let next = timeout(PATIENCE, events.next()).await;
        assert_eq!(next.expect("in time"), Some(event));
    });
}

/// A write that waits for replicas has its turn for as long as it takes, and not for as long as its caller
/// likes.
#[tokio::test(flavor = "multi_thread")]
async fn a_replicated_write_that_is_not_polled_does_not_hold_up_others() {
    let servers = Replicated::start(1);
    let builder = RedisStore::builder(servers.primary().url(), "cloakroom")
        .with_command_timeout(Duration::from_secs(2))
        .with_replica_acks(1, Duration::from_secs(1));
    let store = builder.connect().await.expect("the server is running");
    let [(one, record), (two, _), (three, _)] = [1, 2, 3].map(session);
    // One has its turn, and another one is the next to get it. There is no reply before both have been polled.
    servers.primary().freeze();
    let mut held = [one, two].map(|id| Box::pin(store.create(id, &record, MINUTE)));
    for write in &mut held {
        let polled = poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx)));
        assert!(polled.await.is_pending());
    }
    servers.primary().thaw();
    let created = store.create(three, &record, MINUTE).await;
    assert_eq!(created.expect("it has its turn"), Created::Created);
    for write in held {
        assert_eq!(write.await.expect("it had its turn"), Created::Created);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replicated_write_that_is_dropped_gives_up_its_turn() {
    let servers = Replicated::start(1);
    let proxy = Proxy::start(servers.primary().port()).await;
    let builder = RedisStore::builder(proxy.url(), "cloakroom")
        .with_probe_interval(Duration::from_secs(3600))
        .with_command_timeout(Duration::from_secs(1))
        .with_replica_acks(1, Duration::from_secs(1));
    let store = builder.connect().await.expect("the server is running");
    proxy.set(Network::Blackholed);
    let (id, record) = session(1);
    let write = store.create(id, &record, MINUTE);
    let dropped = timeout(Duration::from_millis(200), write).await;
    dropped.expect_err("there is no reply");
    // The next one is sent. Without a turn it would be `Unavailable`.
    let (id, record) = session(2);
    let error = store.create(id, &record, MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::OutcomeUnknown);
}
