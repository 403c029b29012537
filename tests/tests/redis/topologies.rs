//! The store on a cluster, with sentinels, with TLS, and on a Unix socket.

use std::future::Future;
use std::time::{Duration, Instant};

use cloakroom_core::conformance::{self, Subject};
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated};
use cloakroom_core::{Record, SessionId, Store, StoreError};
use cloakroom_redis::{ConnectErrorKind, RedisStore, RedisStoreBuilder, StoreErrorKind};
use tests::generous;
use tests::records::{MINUTE, next, session, tombstone};
use tests::redis::RedisServer;
use tests::resp::Reply;
use tests::topology::{Authority, Cluster, Sentinel, TlsServer};
use tests::wait::eventually;

/// A builder as the subject of the conformance suite.
struct Redis(RedisStoreBuilder);

impl Redis {
    fn with_least_rights(url: String) -> Self {
        let builder = generous::redis(url, "cloakroom").with_username("shop");
        Self(builder.with_password("password"))
    }
}

impl Subject for Redis {
    type Store = RedisStore;

    async fn store(&self) -> RedisStore {
        let store = self.0.clone().connect().await;
        store.expect("the servers are running")
    }

    /// Redis has its own clock, so the test really waits.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[tokio::test]
async fn a_cluster_passes_the_conformance_suite() {
    let cluster = Cluster::start();
    for node in cluster.nodes() {
        node.add_user(&["+cluster|slots", "+cluster|info"]);
    }
    conformance::all(&Redis::with_least_rights(cluster.url())).await;
}

#[tokio::test]
async fn a_primary_with_sentinels_passes_the_conformance_suite() {
    let sentinel = Sentinel::start();
    for server in sentinel.servers() {
        server.add_user(&["+role"]);
    }
    conformance::all(&Redis::with_least_rights(sentinel.url())).await;
}

#[tokio::test]
async fn a_unix_socket_passes_the_conformance_suite() {
    let server = RedisServer::start_with(&["--unixsocket", "redis.sock"]);
    let socket = server.folder().join("redis.sock");
    server.add_user(&[]);
    let url = format!("redis+unix://{}", socket.display());
    conformance::all(&Redis::with_least_rights(url)).await;
}

#[tokio::test]
async fn tls_passes_the_conformance_suite() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, "no");
    let builder = generous::redis(server.url(), "cloakroom").with_tls_ca(authority.certificate());
    conformance::all(&Redis(builder)).await;
}

#[tokio::test]
async fn an_untrusted_server_gets_no_password() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, "no");
    let password = ["CONFIG", "SET", "requirepass", "hunter2"];
    server.server().command(&password);
    let builder = || generous::redis(server.url(), "cloakroom").with_password("hunter2");
    let trusting = |authority: &Authority| builder().with_tls_ca(authority.certificate());
    let store = trusting(&authority).connect().await.unwrap();
    store.ping().await.unwrap();

    let another_host = server.url().replace("127.0.0.1", "localhost");
    let another_host = generous::redis(another_host, "cloakroom").with_password("hunter2");
    for builder in [
        builder(),
        trusting(&Authority::new()),
        another_host.with_tls_ca(authority.certificate()),
    ] {
        let error = builder.connect().await.unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains("not trusted"), "{error}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_presented() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, "yes");
    let builder =
        || generous::redis(server.url(), "cloakroom").with_tls_ca(authority.certificate());
    let showing = |authority: &Authority| {
        let shop = authority.issue("shop");
        builder().with_tls_client_certificate(shop.certificate, shop.key)
    };
    let store = showing(&authority).connect().await.unwrap();
    store.ping().await.unwrap();
    for builder in [builder(), showing(&Authority::new())] {
        let error = builder.connect().await.unwrap_err();
        // The server may close the connection before the reason is read.
        let kinds = [ConnectErrorKind::Refused, ConnectErrorKind::Unreachable];
        assert!(kinds.contains(&error.kind()), "{error}");
        println!("{error}");
    }
    let (one, other) = (authority.issue("one"), authority.issue("other"));
    let mixed = builder().with_tls_client_certificate(one.certificate, other.key);
    let error = mixed.connect().await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Configuration, "{error}");
}

/// Checks every verb on a session.
async fn live(store: &RedisStore) -> Result<(), StoreError> {
    let (id, first) = session(1);
    let (second, stone) = (next(&first, 2), tombstone(&first));
    let later = first.last_seen().plus(MINUTE);
    assert_eq!(store.create(id, &first, MINUTE).await?, Created::Created);
    let touched = store.touch(id, first.revision(), later, MINUTE).await?;
    assert_eq!(touched, Touched::Touched);
    let updated = store.update(id, first.revision(), &second, MINUTE).await?;
    assert_eq!(updated, Updated::Updated);
    assert_eq!(store.load(id).await?, Loaded::Record(second));
    assert_eq!(store.end(id, None, &stone, MINUTE).await?, Ended::Ended);
    assert_eq!(store.load(id).await?, Loaded::Tombstone(stone));
    Ok(())
}

/// Waits until the store works again, while every command completes in time. Returns how long it took.
async fn recovers(store: &RedisStore, limit: Duration) -> Duration {
    let began = Instant::now();
    while in_time(live(store)).await.is_err() {
        assert!(began.elapsed() < limit, "it does not recover");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

/// Awaits a result, which must come within the timeout of a command, with slack for a busy machine.
async fn in_time<T>(result: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let result = result.await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "it took {took:?}");
    result
}

/// Creates enough sessions that every primary of the cluster holds some.
async fn spread(store: &RedisStore, cluster: &Cluster) -> Vec<(SessionId, Record)> {
    let mut sessions = Vec::new();
    for number in 0..90 {
        let (id, record) = session(number);
        let created = store.create(id, &record, MINUTE).await;
        assert_eq!(created.expect("the cluster is whole"), Created::Created);
        sessions.push((id, record));
    }
    for primary in cluster.primaries() {
        let keys = primary.keys_with_ttl();
        assert!(keys.len() > 10, "{keys:?}");
        assert!(keys.iter().all(|(_, ttl)| ttl.is_some()), "{keys:?}");
    }
    sessions
}

#[tokio::test]
async fn sessions_and_scripts_spread_over_a_cluster() {
    let cluster = Cluster::start();
    let store = RedisStore::connect(cluster.url(), "cloakroom")
        .await
        .unwrap();
    for (id, record) in spread(&store, &cluster).await {
        let fresh = next(&record, 7);
        let updated = store.update(id, record.revision(), &fresh, MINUTE).await;
        assert_eq!(updated.unwrap(), Updated::Updated);
        assert_eq!(store.load(id).await.unwrap(), Loaded::Record(fresh));
    }
    for primary in cluster.primaries() {
        let memory = primary.command(&["INFO", "memory"]).text();
        // On the node of one key also the script that checks the rights when connecting.
        let counts = [
            "number_of_cached_scripts:1\r",
            "number_of_cached_scripts:2\r",
        ];
        assert!(
            counts.iter().any(|count| memory.contains(count)),
            "{memory}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_cluster_failover_fails_no_command() {
    let cluster = Cluster::start();
    // A longer timeout than the default, for a busy machine: the test is about failing commands.
    let builder = RedisStore::builder(cluster.url(), "cloakroom");
    let builder = builder.with_command_timeout(Duration::from_millis(900));
    let store = builder.connect().await.unwrap();
    let sessions = spread(&store, &cluster).await;
    cluster.fail_over(0);
    cluster.fail_over(1);
    let began = Instant::now();
    for (index, (id, record)) in sessions.into_iter().enumerate() {
        // Either verb may be the first one sent to the new primary.
        if index % 2 == 0 {
            let loaded = in_time(store.load(id)).await;
            assert_eq!(loaded.unwrap(), Loaded::Record(record.clone()));
        }
        let fresh = next(&record, 7);
        let updated = store.update(id, record.revision(), &fresh, MINUTE);
        assert_eq!(in_time(updated).await.unwrap(), Updated::Updated);
    }
    println!("after two failovers, 135 commands in {:?}", began.elapsed());
    live(&store).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_recovers_after_a_cluster_primary_is_killed() {
    let mut cluster = Cluster::start();
    let patient = RedisStore::connect(cluster.url(), "cloakroom")
        .await
        .unwrap();
    let sessions = spread(&patient, &cluster).await;
    let store = RedisStore::connect(cluster.url(), "cloakroom")
        .await
        .unwrap();
    let size = |node: &RedisServer| node.command(&["DBSIZE"]).number();
    let (primary, replica) = (&cluster.primaries()[0], &cluster.replicas()[0]);
    eventually("a copy", || size(replica) == size(primary)).await;

    cluster.kill(0);
    for (id, record) in &sessions {
        // fred needs all primaries, so any session may fail.
        match in_time(store.load(*id)).await {
            Ok(loaded) => assert_eq!(loaded, Loaded::Record(record.clone())),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable),
        }
    }
    cluster.take_over(0);
    let took = recovers(&store, Duration::from_secs(10)).await;
    println!("the replica took over: the store works after {took:?}");
    for (id, record) in sessions {
        let loaded = in_time(store.load(id)).await;
        assert_eq!(loaded.unwrap(), Loaded::Record(record));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_can_migrate_to_another_node() {
    let cluster = Cluster::start();
    let store = RedisStore::connect(cluster.url(), "cloakroom")
        .await
        .unwrap();
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    let key = format!("cloakroom:{id}");
    let holder = cluster.holder(&key);
    let (from, to) = (
        &cluster.primaries()[holder],
        &cluster.primaries()[(holder + 1) % 3],
    );
    let there = Loaded::Record(record.clone());

    cluster.begin_move(&key, from, to);
    assert_eq!(in_time(store.load(id)).await.unwrap(), there);
    cluster.move_key(&key, from, to);
    // fred does not follow ASK redirections.
    let fresh = next(&record, 2);
    let update = || store.update(id, record.revision(), &fresh, MINUTE);
    let unavailable = StoreErrorKind::Unavailable;
    let load = in_time(store.load(id)).await;
    assert_eq!(load.unwrap_err().kind(), unavailable);
    let refused = in_time(update()).await;
    assert_eq!(refused.unwrap_err().kind(), unavailable);

    cluster.end_move(&key, from, to);
    assert_eq!(in_time(store.load(id)).await.unwrap(), there);
    assert_eq!(in_time(update()).await.unwrap(), Updated::Updated);
}

/// A session that is replicated to all servers.
async fn session_on_all(store: &RedisStore, sentinel: &Sentinel) -> (SessionId, Record) {
    let (id, record) = session(1);
    let created = store.create(id, &record, MINUTE).await;
    assert_eq!(created.expect("the primary works"), Created::Created);
    for server in sentinel.servers() {
        let words = ["EXISTS", &format!("cloakroom:{id}")];
        eventually("a copy", || server.command(&words) == Reply::Number(1)).await;
    }
    (id, record)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_sentinels_the_successor_of_a_killed_primary_is_found() {
    let mut sentinel = Sentinel::start();
    let store = RedisStore::connect(sentinel.url(), "cloakroom")
        .await
        .unwrap();
    let (id, record) = session_on_all(&store, &sentinel).await;
    let old = sentinel.primary();
    sentinel.servers_mut()[0].kill();
    assert!(in_time(live(&store)).await.is_err());
    let took = recovers(&store, Duration::from_secs(15)).await;
    println!("killed, which the sentinels see after 1 s: the store works after {took:?}");
    assert_ne!(sentinel.primary(), old);
    assert_eq!(store.load(id).await.unwrap(), Loaded::Record(record));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_sentinels_the_successor_of_a_frozen_primary_is_found() {
    let sentinel = Sentinel::start();
    let store = RedisStore::connect(sentinel.url(), "cloakroom")
        .await
        .unwrap();
    let (id, record) = session_on_all(&store, &sentinel).await;
    let old = sentinel.primary();
    sentinel.servers()[0].freeze();
    assert!(in_time(live(&store)).await.is_err());
    let took = recovers(&store, Duration::from_secs(15)).await;
    println!("frozen, which the sentinels see after 1 s: the store works after {took:?}");
    assert_ne!(sentinel.primary(), old);
    // The old primary acts as one until the sentinels reconfigure it.
    sentinel.servers()[0].thaw();
    for _ in 0..20 {
        in_time(live(&store)).await.unwrap();
    }
    assert_eq!(store.load(id).await.unwrap(), Loaded::Record(record));
}
