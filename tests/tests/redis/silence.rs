//! Connections that stay open and carry nothing any more: kept from it, noticed, and replaced.

use std::time::{Duration, Instant};

use cloakroom::{Session, SessionLayer};
use cloakroom_core::store::{Ended, Loaded, Updated};
use cloakroom_core::{
    EventBus, Realm, SessionEvent, Store, StoreAdmin, StoreErrorKind, UserId, UserIndex, UserKey,
};
use cloakroom_redis::{NearCache, RedisStore};
use http::StatusCode;
use tests::app::app;
use tests::browser::Browser;
use tests::proxy::{Network, Proxy};
use tests::records::{MINUTE, add_request, next, session, tombstone};
use tests::redis::RedisServer;
use tests::topology::Replicated;
use tests::wait::within;
use tokio::time::{sleep, timeout};

/// Longer than a test.
const NEVER: Duration = Duration::from_secs(3600);

/// The timeout of a command: long, because a busy machine may take a while to open a connection.
const COMMAND: Duration = Duration::from_secs(2);

/// How long anything may take that is not about time.
const PATIENCE: Duration = Duration::from_secs(10);

/// The ways in which a connection can be silent.
const SILENT: [Network; 3] = [
    Network::Blackholed,
    Network::CommandsDropped,
    Network::RepliesDropped,
];

async fn store(proxy: &Proxy, probe: Duration) -> RedisStore {
    let builder = RedisStore::builder(proxy.url(), "cloakroom")
        .with_probe_interval(probe)
        .with_command_timeout(COMMAND)
        .with_connect_timeout(COMMAND);
    builder.connect().await.expect("the server is running")
}

/// The time within which a silent connection is replaced: see `with_probe_interval`. With time to connect,
/// and slack for a busy machine.
fn noticed_within(probe: Duration) -> Duration {
    probe + COMMAND + COMMAND / 4 + Duration::from_secs(2)
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_keep_every_connection_from_being_forgotten() {
    let servers = Replicated::start(1);
    let proxy = Proxy::start(servers.primary().port()).await;
    proxy.forget_after(Duration::from_secs(3));
    let builder = RedisStore::builder(proxy.url(), "cloakroom")
        .with_probe_interval(Duration::from_millis(300))
        .with_command_timeout(COMMAND)
        .with_replica_acks(1, Duration::from_millis(500));
    let store = builder.connect().await.unwrap();
    let near = NearCache::new(store.clone());
    let mut events = store.bus().unwrap().subscribe();
    within("it is coherent", PATIENCE, async || near.stats().coherent).await;
    let all = "connections for commands, replicas, events, invalidations";
    within(all, PATIENCE, async || proxy.accepted() >= 4).await;
    let accepted = proxy.accepted();
    let mut browser = Browser::new(app(SessionLayer::new(near.clone())));
    for silence in [4, 1, 4] {
        sleep(Duration::from_secs(silence)).await;
        let response = browser
            .request(|session: Session| async move {
                session.update("hits", |hits: Option<u32>| hits.unwrap_or(0) + 1)?;
                Ok(())
            })
            .await;
        assert_eq!(response.status, StatusCode::OK, "after {silence} s");
    }
    assert_eq!(proxy.forgotten(), 0);
    assert_eq!(proxy.accepted(), accepted, "no connection was replaced");
    let (id, _) = session(1);
    let event = SessionEvent::Created { id };
    store.bus().unwrap().publish(&event).await.unwrap();
    let received = async { while events.next().await != Some(event.clone()) {} };
    let received = timeout(PATIENCE, received).await;
    received.expect("events still arrive");
    within("it is coherent", PATIENCE, async || near.stats().coherent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_replaced_before_the_next_request() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let probe = Duration::from_millis(300);
    let store = store(&proxy, probe).await;
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    for network in SILENT {
        let accepted = proxy.accepted();
        proxy.set_open(network);
        let noticed = async || proxy.accepted() > accepted;
        within("it is replaced", noticed_within(probe), noticed).await;
        // The new connection is used once its handshake is complete.
        within("it is used", PATIENCE, async || {
            let began = Instant::now();
            store.load(id).await.is_ok() && began.elapsed() < COMMAND / 2
        })
        .await;
        assert_eq!(proxy.accepted(), accepted + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_on_a_silent_connection_is_repeated_on_a_new_one() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = store(&proxy, NEVER).await;
    let (id, record) = session(1);
    let user = UserKey::new(&Realm::new("silence"), &UserId::from("ada"));
    let add_request = add_request(id, &record);
    let created = store.create_for_user(&user, &add_request, &record, MINUTE, None);
    created.await.unwrap();
    for network in SILENT {
        proxy.set_open(network);
        let began = Instant::now();
        let loaded = store.load(id).await.unwrap();
        assert_eq!(loaded, Loaded::Record(record.clone()));
        assert!(began.elapsed() >= COMMAND, "the connection was silent");
    }
    proxy.set_open(Network::Blackholed);
    assert_eq!(
        store.index().unwrap().list(&user, None).await.unwrap(),
        [id]
    );
    proxy.set_open(Network::Blackholed);
    store.admin().unwrap().revoked_before().await.unwrap();
    proxy.set_open(Network::Blackholed);
    let raw = store.raw_keys();
    let value = raw.read(&format!("cloakroom:{id}")).await.unwrap();
    assert!(value.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_reads_on_a_silent_connection_share_one_new_connection() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = store(&proxy, NEVER).await;
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    let accepted = proxy.accepted();
    proxy.set_open(Network::Blackholed);
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let store = store.clone();
        reads.spawn(async move { store.load(id).await });
    }
    for read in reads.join_all().await {
        assert_eq!(read.unwrap(), Loaded::Record(record.clone()));
    }
    assert_eq!(proxy.accepted(), accepted + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_on_a_silent_connection_is_not_repeated() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = store(&proxy, NEVER).await;
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    let [first, second, third] = [2, 3, 4].map(|number| next(&record, number));
    let update = store.update(id, record.revision(), &first, MINUTE).await;
    assert_eq!(
        update.unwrap(),
        Updated::Updated,
        "the server knows the script"
    );
    // The write arrives, and its reply does not.
    proxy.set_open(Network::RepliesDropped);
    let monitor = server.monitor();
    let update = store.update(id, first.revision(), &second, MINUTE).await;
    assert_eq!(update.unwrap_err().kind(), StoreErrorKind::OutcomeUnknown);
    // The next command is sent on a new connection.
    let loaded = store.load(id).await.unwrap();
    assert_eq!(loaded, Loaded::Record(second.clone()));
    let commands = monitor.recorded().into_iter();
    let sent = commands.filter(|one| one.words[0] == "EVALSHA").count();
    assert_eq!(sent, 1);
    let update = store.update(id, second.revision(), &third, MINUTE).await;
    assert_eq!(update.unwrap(), Updated::Updated);
}

/// What is in flight when a connection is replaced gets its reply.
#[tokio::test(flavor = "multi_thread")]
async fn replacing_a_connection_loses_no_command_in_flight() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let builder = RedisStore::builder(proxy.url(), "cloakroom")
        .with_probe_interval(NEVER)
        .with_command_timeout(Duration::from_secs(5));
    let store = builder.connect().await.unwrap();
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let accepted = proxy.accepted();
    proxy.set_open(Network::Slow(Duration::from_millis(500)));
    let end = |after| {
        let (store, record) = (store.clone(), record.clone());
        tokio::spawn(async move {
            sleep(after).await;
            store.end(id, None, &tombstone(&record), MINUTE).await
        })
    };
    // The second command reaches the proxy while it delays the first, to which the server replies that it
    // is a replica.
    let first = end(Duration::ZERO);
    let second = end(Duration::from_millis(400));
    let first = first.await.unwrap().unwrap_err();
    assert_eq!(first.kind(), StoreErrorKind::Unavailable);
    let replaced = async || proxy.accepted() > accepted;
    within("the connection is replaced", PATIENCE, replaced).await;
    let second = second.await.unwrap().unwrap_err();
    assert_eq!(second.kind(), StoreErrorKind::Unavailable, "it has a reply");
    server.command(&["REPLICAOF", "NO", "ONE"]);
    let ended = store.end(id, None, &tombstone(&record), MINUTE).await;
    assert_eq!(ended.unwrap(), Ended::Ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_to_replicas_is_replaced_too() {
    let servers = Replicated::start(1);
    let proxy = Proxy::start(servers.primary().port()).await;
    let probe = Duration::from_millis(300);
    let builder = RedisStore::builder(proxy.url(), "cloakroom")
        .with_probe_interval(probe)
        .with_command_timeout(COMMAND)
        .with_connect_timeout(COMMAND)
        .with_replica_acks(1, Duration::from_millis(500));
    let store = builder.connect().await.unwrap();
    let accepted = proxy.accepted();
    proxy.set_open(Network::Blackholed);
    let noticed = async || proxy.accepted() == accepted + 2;
    let limit = noticed_within(probe) + Duration::from_millis(500) * 5 / 4;
    within("both connections are replaced", limit, noticed).await;
    within("writes are acknowledged", PATIENCE, async || {
        let (id, record) = session(1);
        store.create(id, &record, MINUTE).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_for_a_moment_keeps_its_connection() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let builder = RedisStore::builder(proxy.url(), "cloakroom")
        .with_probe_interval(Duration::from_millis(100))
        .with_command_timeout(Duration::from_secs(5));
    let store = builder.connect().await.unwrap();
    let accepted = proxy.accepted();
    server.freeze();
    sleep(Duration::from_millis(700)).await;
    server.thaw();
    store.ping().await.unwrap();
    assert_eq!(proxy.accepted(), accepted);
}

/// More requests at once than the store accepts.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_requests_is_shed_without_a_new_connection() {
    let server = RedisServer::start();
    let builder = RedisStore::builder(server.url(), "cloakroom");
    // The machine may be busy: this is not about time.
    let builder = builder.with_command_timeout(Duration::from_secs(30));
    let store = builder.connect().await.unwrap();
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    // Each look is a connection of its own.
    let connections = || {
        let info = server.command(&["INFO", "stats"]).text();
        let mut lines = info.lines();
        let count = lines.find_map(|line| line.strip_prefix("total_connections_received:"));
        count.and_then(|count| count.parse::<u64>().ok())
    };
    let before = connections().expect("it is counted");
    let mut loads = tokio::task::JoinSet::new();
    for _ in 0..14_000 {
        let store = store.clone();
        loads.spawn(async move { store.load(id).await });
    }
    let (mut loaded, mut shed) = (0, 0);
    for result in loads.join_all().await {
        match result {
            Ok(found) => {
                assert_eq!(found, Loaded::Record(record.clone()));
                loaded += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Unavailable);
                shed += 1;
            }
        }
    }
    println!("{loaded} loaded, {shed} shed");
    assert!(loaded >= 10_000);
    store.load(id).await.expect("it is available at once");
    assert!(!format!("{store:?}").contains("is_down: true"));
    assert_eq!(
        connections(),
        Some(before + 1),
        "there is no new connection"
    );
}
