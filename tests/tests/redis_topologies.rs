//! Redis in other shapes than one server on a port: the store keeps its contract in each.

use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};

use cloakroom_core::conformance::{self, Subject};
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated};
use cloakroom_core::{Record, SessionId, Store, StoreError};
use cloakroom_redis::{ConnectErrorKind, RedisStore, RedisStoreBuilder};
use tests::redis::RedisServer;
use tests::samples::{MINUTE, next, session, tombstone};
use tests::topology::{Authority, Cluster, Sentinel, TlsServer};

/// What a builder leads to.
struct Redis(RedisStoreBuilder);

impl Redis {
    fn at(url: impl Into<String>) -> Self {
        Self(RedisStore::builder(url))
    }
}

impl Subject for Redis {
    type Store = RedisStore;

    async fn store(&self) -> RedisStore {
        let store = self.0.clone().connect().await;
        store.expect("the servers are there")
    }

    /// Redis has a clock of its own, so this time really passes.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[tokio::test]
async fn a_cluster_keeps_the_contract() {
    let cluster = Cluster::start();
    conformance::all(&Redis::at(cluster.url())).await;
}

#[tokio::test]
async fn a_primary_with_sentinels_keeps_the_contract() {
    let sentinel = Sentinel::start();
    conformance::all(&Redis::at(sentinel.url())).await;
}

#[tokio::test]
async fn a_unix_socket_keeps_the_contract() {
    let server = RedisServer::start_with(&["--unixsocket", "redis.sock"]);
    let socket = server.folder().join("redis.sock");
    conformance::all(&Redis::at(format!("redis+unix://{}", socket.display()))).await;
}

#[tokio::test]
async fn tls_keeps_the_contract() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, "no");
    let builder = RedisStore::builder(server.url()).with_tls_ca(authority.certificate());
    conformance::all(&Redis(builder)).await;
}

#[tokio::test]
async fn a_server_that_nobody_trusts_gets_no_password() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, "no");
    let password = ["CONFIG", "SET", "requirepass", "hunter2"];
    server.server().command(&password);
    let builder = || RedisStore::builder(server.url()).with_password("hunter2");
    let trusting = |authority: &Authority| builder().with_tls_ca(authority.certificate());
    let store = trusting(&authority).connect().await.unwrap();
    store.ping().await.unwrap();

    let another_host = server.url().replace("127.0.0.1", "localhost");
    let another_host = RedisStore::builder(another_host).with_password("hunter2");
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
async fn a_server_that_wants_a_certificate_gets_it() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, "yes");
    let builder = || RedisStore::builder(server.url()).with_tls_ca(authority.certificate());
    let showing = |authority: &Authority| {
        let shop = authority.issue("shop");
        builder().with_tls_client_certificate(shop.certificate, shop.key)
    };
    let store = showing(&authority).connect().await.unwrap();
    store.ping().await.unwrap();
    for builder in [builder(), showing(&Authority::new())] {
        let error = builder.connect().await.unwrap_err();
        // The server may have hung up before its reason was read.
        let kinds = [ConnectErrorKind::Refused, ConnectErrorKind::Unreachable];
        assert!(kinds.contains(&error.kind()), "{error}");
        println!("{error}");
    }
    let (one, other) = (authority.issue("one"), authority.issue("other"));
    let mixed = builder().with_tls_client_certificate(one.certificate, other.key);
    let error = mixed.connect().await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Configuration, "{error}");
}

/// Uses every verb on a session, which must do what they say.
async fn live(store: &RedisStore) -> Result<(), StoreError> {
    let (id, first) = session(1);
    let (second, stone) = (next(&first, 2), tombstone(&first));
    let later = first.seen().plus(MINUTE);
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

/// Waits until the store works again, every answer in time, and gives the time that it took.
async fn recovers(store: &RedisStore, limit: Duration) -> Duration {
    let began = Instant::now();
    while in_time(live(store)).await.is_err() {
        assert!(began.elapsed() < limit, "it does not recover");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

/// Awaits an answer, which must come in the time limit of a command, and what a busy machine may add.
async fn in_time<T>(answer: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let answer = answer.await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    answer
}

/// Creates sessions, and gives how many of them each primary of the cluster holds.
async fn spread(store: &RedisStore, cluster: &Cluster) -> Vec<(SessionId, Record)> {
    let mut sessions = Vec::new();
    for number in 0..90 {
        let (id, record) = session(number);
        let created = store.create(id, &record, MINUTE).await.expect("it answers");
        assert_eq!(created, Created::Created);
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
async fn sessions_spread_over_a_cluster_and_scripts_with_them() {
    let cluster = Cluster::start();
    let store = RedisStore::connect(cluster.url()).await.unwrap();
    let mut sessions = spread(&store, &cluster).await;
    cluster.command_all(&["SCRIPT", "FLUSH"]);
    for (id, record) in &mut sessions {
        let fresh = next(record, 7);
        let updated = store.update(*id, record.revision(), &fresh, MINUTE).await;
        assert_eq!(updated.unwrap(), Updated::Updated);
        *record = fresh;
    }
    for primary in cluster.primaries() {
        let scripts = primary.command(&["INFO", "memory"]).text();
        assert!(scripts.contains("number_of_cached_scripts:1"), "{scripts}");
    }
    // A replica takes its primary's place: nothing is lost, and the store follows.
    cluster.fail_over(0);
    let began = Instant::now();
    let mut failed: HashMap<SessionId, u32> = HashMap::new();
    for (id, record) in sessions {
        let loaded = loop {
            match in_time(store.load(id)).await {
                Ok(loaded) => break loaded,
                Err(error) => {
                    *failed.entry(id).or_default() += 1;
                    println!("{error:?}");
                    assert!(began.elapsed() < Duration::from_secs(5), "{error}");
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!(loaded, Loaded::Record(record));
    }
    let took = began.elapsed();
    println!("a failover in a cluster: all read after {took:?}, {failed:?}");
    live(&store).await.unwrap();
}

#[tokio::test]
async fn a_new_primary_is_found_through_the_sentinels() {
    let mut sentinel = Sentinel::start();
    let store = RedisStore::connect(sentinel.url()).await.unwrap();
    live(&store).await.unwrap();
    let old = sentinel.primary();
    sentinel.servers_mut()[0].kill();
    assert!(in_time(live(&store)).await.is_err());
    let took = recovers(&store, Duration::from_secs(15)).await;
    let new = sentinel.primary();
    assert_ne!(new, old);
    println!("the primary killed, noticed after 1 s: the store works again after {took:?}");
}
